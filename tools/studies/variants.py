"""The studies of lecture 3: how deep to freeze, at how many labels; and a reversal taken apart.

depth     study-depth.json: where training starts (the head alone ... everything, and from scratch), labels a class, three
          targets. With 100 labels a class every seed has the same images, all there are, in another order.
reversal  study-reversal.json: the head alone below scratch, with the settings of a well-known course; each fixed alone
"""

import pandas

from helpers.images.tasks import open_task
from helpers.lessons.studies import percent, points
from helpers.lessons.variants import choice_by_validation, depth_cases, reversal_recipes
from helpers.lessons.variants.studies import TASKS
from helpers.training.study import SHIPPED, Case, Study, load_study, run_study

COMMAND = "python tools/measure.py variants"
DEPTH_QUESTION = "how deep to freeze, at how many labels"
REVERSAL_QUESTION = "why the head alone may end below scratch"
REVERSAL_LABELS = 20  # a class
CONTRAST = ("head, as found", "head, all fixed", "scratch", "fine-tune all")  # what is measured on flowers, too


def reversal_cases(task: str = "goldfinches", variants=None) -> list[Case]:
    """A case for each of the variants (default: all) of `reversal_recipes` on a target, 20 labels a class."""
    recipes, opened = reversal_recipes(), open_task(task, per_class=REVERSAL_LABELS)
    names = variants or recipes
    return [Case({"task": task, "variant": name}, recipes[name], opened) for name in names]


def run(seeds: int = 5) -> None:
    """Measure and write the studies; the map of depths takes three seeds at most."""
    cases = [*reversal_cases(), *reversal_cases("flowers", CONTRAST)]
    run_study(REVERSAL_QUESTION, cases, seeds).save(SHIPPED / "study-reversal.json", COMMAND)
    depths = run_study(DEPTH_QUESTION, depth_cases(), min(seeds, 3), keep_history=True)
    depths.save(SHIPPED / "study-depth.json", COMMAND)


def stamps() -> dict[str, str]:
    """The numbers and sentences of the lecture's text, from the shipped studies."""
    return _of_the_reversal(load_study("reversal")) | _of_the_map(load_study("depth")) | _of_photographs() | _of_lp_ft()


def _of_the_reversal(study: Study) -> dict[str, str]:
    birds, flowers = study.select(task="goldfinches"), study.select(task="flowers")

    def change(of, to, part=birds, ahead=True):
        row = part.select(variant=[of, to]).paired("variant", to).loc[of]
        return points(row) if ahead else f"{-row['points']:.0f} points ({-row['high']:.0f} to {-row['low']:.0f})"

    found, fixed = "head, as found", "head, all fixed"
    return {
        "03.scratch": percent(birds.table("variant").loc["scratch"]),
        "03.gap": change(found, "scratch", ahead=False),
        "03.lr": change("head, lr fixed", found),
        "03.schedule": change("head, schedule fixed", found),
        "03.batchnorm": change("head, BatchNorm fixed", found),
        "03.fixed": change(fixed, found),
        "03.left": change(fixed, "scratch", ahead=False),
        "03.layer4-left": change("from layer4", "scratch", ahead=False),
        "03.all": change("fine-tune all", "scratch"),
        "03.flowers": change(found, "scratch", flowers),
        "03.scratch-pixels": change("scratch, not normalised", "scratch"),
        "03.head-pixels": change("head, fixed, not normalised", fixed),
    }


def _of_the_map(study: Study) -> dict[str, str]:
    texts = {}
    for name, of, baseline in (("all-head", "all", "head"), ("head-scratch", "head", "scratch")):
        table = study.select(depth=[of, baseline]).paired("depth", baseline, by=["task", "per_class"])
        for (task, labels, _), row in table.iterrows():
            texts[f"03.{name}-{task}-{labels}"] = points(row)
    price = choice_by_validation(study)
    lost = price["test %"] - price["its test %"]
    free = int((lost < 0.05).sum())
    texts["03.choice"] = f"{free} of {len(lost)} cases it cost nothing, and at most {lost.max():.1f} points"
    return texts


def _of_photographs() -> dict[str, str]:
    """From scratch and the probe on photographs; everything against the head, with five labels, on drawings."""
    suite = load_study("suite-efficientnet_lite0").select(target="photographs", size=128)
    table = suite.table(["recipe", "per_class"])
    behind = suite.paired("recipe", "feature extraction", by=["per_class"]).loc[(5, "scratch")]
    texts = {
        "03.photographs-probe-5": percent(table.loc[("feature extraction", 5)]),
        "03.photographs-scratch-100": percent(table.loc[("scratch", 100)]),
        "03.photographs-gap-5": f"{-behind['points']:.0f} points ({-behind['high']:.0f} to {-behind['low']:.0f})",
    }
    for name in ("goldfinches-5", "flowers-5"):
        at_rest = load_study(name).paired("recipe", "feature extraction")
        texts[f"03.rest-{name}"] = points(at_rest.loc["fine-tune all"])
    return texts


def _of_lp_ft() -> dict[str, str]:
    """What LP-FT gains over the probe in the laboratory; on photographs, whether any depth is clearly off the head alone."""
    suite = load_study("suite-garden")
    gains = suite.select(recipe=["probe, then fine-tune", "feature extraction"])
    table = gains.paired("recipe", "feature extraction", by=["target", "per_class"])
    texts = {f"03.lp-ft-{task}-{labels}": points(row, 1) for (task, labels, _), row in table.iterrows() if task in TASKS}
    live = load_study("depth").select(task="tissue", depth="all")
    solved = suite.select(target="tissue", recipe="feature extraction")
    runs = pandas.concat([live.runs.assign(way="live"), solved.runs.assign(way="solved")], ignore_index=True)
    both = Study("all at once, or the solved head?", ["per_class", "way"], runs, live.correct + solved.correct, {})
    texts["03.tissue-live-100"] = points(both.paired("way", "solved", by=["per_class"]).loc[(100, "live")])
    photographs = load_study("real-depth").paired("depth", "the head", by=["per_class"])
    clear = [f"{depth} {points(row)} with {labels} photographs" for (labels, depth), row in photographs.iterrows()
             if row.supported == "yes"]  # fmt: skip
    seeds = {3: "three", 4: "four", 5: "five"}[photographs.seeds.min()]
    verdict = f"clearly different: {', '.join(clear)}" if clear else "too close to call"
    texts["03.real-depth"] = f"{verdict}, with {seeds} seeds"
    return texts
