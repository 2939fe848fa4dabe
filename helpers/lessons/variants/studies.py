"""The studies of lecture 3: how deep to freeze, at how many labels; and a reversal taken apart.

depth     study-depth.json: where training starts (the head alone ... everything, and from scratch), labels a class, three
          targets. With 100 labels a class every seed has the same images, all there are, in another order.
reversal  study-reversal.json: the head alone below scratch, with the settings of a well-known course; each mended alone
"""

from dataclasses import replace

import pandas

from helpers.images.tasks import open_task
from helpers.lessons.studies import points
from helpers.lessons.variants.depths import describe_depth
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH, Recipe
from helpers.training.study import SHIPPED, Case, Study, load_study, run_study

COMMAND = "python tools/measure.py variants"
TASKS = ("flowers", "goldfinches", "tissue")
LABELS = (5, 20, 100)
DEPTHS = {"head": -1, "layer4": "layer4", "layer2": "layer2", "all": 0}
DEPTH_QUESTION = "how deep to freeze, at how many labels"
REVERSAL_QUESTION = "why the head alone may end below scratch"
REVERSAL_LABELS = 20  # a class
MENDED = FEATURE_EXTRACTION
AS_FOUND = replace(MENDED, name="head, as found", lr=0.1, schedule="constant", batchnorm="live")


def depth_recipe(depth: str) -> Recipe:
    """The recipe of a row of the map: "scratch", or the first stage that trains ("head", "layer4", "layer2", "all").

    The head alone gets the rate that suits it, and fixed views, so that features are kept; from layer4 on down to all,
    the recipes differ in nothing but where training starts.
    """
    if depth == "scratch":
        return SCRATCH
    if depth == "head":
        return FEATURE_EXTRACTION
    return replace(FINE_TUNE_ALL, name=f"fine-tune {depth}" if depth == "all" else f"from {depth}", upto=DEPTHS[depth])


def depth_cases(tasks=TASKS, labels=LABELS, depths=(*DEPTHS, "scratch")) -> list[Case]:
    """A case for each target, number of labels a class and depth."""
    return [
        Case({"task": name, "per_class": per_class, "depth": depth}, depth_recipe(depth), task)
        for name in tasks
        for per_class in labels
        for task in [open_task(name, per_class=per_class)]
        for depth in depths
    ]


def reversal_recipes() -> dict[str, Recipe]:
    """The recipes of the reversal by the names that the lecture gives them: as found, each setting mended alone, all."""
    heads = {
        "head, as found": AS_FOUND,
        "head, lr mended": replace(AS_FOUND, lr=MENDED.lr),
        "head, schedule mended": replace(AS_FOUND, schedule=MENDED.schedule),
        "head, BatchNorm mended": replace(AS_FOUND, batchnorm=MENDED.batchnorm),
        "head, all mended": MENDED,
        "head, mended, not normalised": replace(MENDED, preprocessing="none"),
    }
    others = {
        "scratch": SCRATCH,
        "scratch, not normalised": replace(SCRATCH, preprocessing="none"),
        "from layer4": depth_recipe("layer4"),
        "fine-tune all": depth_recipe("all"),
    }
    return {name: replace(recipe, name=name) for name, recipe in (heads | others).items()}


def reversal_cases(task: str = "goldfinches", variants=None) -> list[Case]:
    """A case for each of the variants (default: all) of `reversal_recipes` on a target, 20 labels a class."""
    recipes, opened = reversal_recipes(), open_task(task, per_class=REVERSAL_LABELS)
    names = variants or recipes
    return [Case({"task": task, "variant": name}, recipes[name], opened) for name in names]


CONTRAST = ("head, as found", "head, all mended", "scratch", "fine-tune all")  # what is measured on flowers, too


def run(seeds: int = 5) -> None:
    """Measure and write the studies; the map of depths takes three seeds at most."""
    cases = [*reversal_cases(), *reversal_cases("flowers", CONTRAST)]
    run_study(REVERSAL_QUESTION, cases, seeds).save(SHIPPED / "study-reversal.json", COMMAND)
    depths = run_study(DEPTH_QUESTION, depth_cases(), min(seeds, 3), keep_history=True)
    depths.save(SHIPPED / "study-depth.json", COMMAND)


def stamps() -> dict[str, str]:
    """The numbers and sentences of the lecture's text, from the shipped studies."""
    return _of_the_reversal(load_study("reversal")) | _of_the_map(load_study("depth"))


def _of_the_reversal(study: Study) -> dict[str, str]:
    birds, flowers = study.select(task="goldfinches"), study.select(task="flowers")

    def change(of, to, part=birds, ahead=True):
        row = part.select(variant=[of, to]).paired("variant", to).loc[of]
        return points(row) if ahead else f"{-row['points']:.0f} points ({-row['high']:.0f} to {-row['low']:.0f})"

    found, mended = "head, as found", "head, all mended"
    return {
        "03.gap": change(found, "scratch", ahead=False),
        "03.lr": change("head, lr mended", found),
        "03.schedule": change("head, schedule mended", found),
        "03.batchnorm": change("head, BatchNorm mended", found),
        "03.mended": change(mended, found),
        "03.left": change(mended, "scratch", ahead=False),
        "03.layer4-left": change("from layer4", "scratch", ahead=False),
        "03.all": change("fine-tune all", "scratch"),
        "03.flowers": change(found, "scratch", flowers),
        "03.scratch-pixels": change("scratch, not normalised", "scratch"),
        "03.head-pixels": change("head, mended, not normalised", mended),
    }


def _of_the_map(study: Study) -> dict[str, str]:
    texts = {"03.map": "\n\n" + "\n".join(f"- {describe_depth(study, t, n)}" for t in TASKS for n in LABELS) + "\n"}
    for name, of, baseline in (("all-head", "all", "head"), ("head-scratch", "head", "scratch")):
        table = study.select(depth=[of, baseline]).paired("depth", baseline, by=["task", "per_class"])
        for (task, labels, _), row in table.iterrows():
            texts[f"03.{name}-{task}-{labels}"] = points(row, mark=True)
    price = choice_by_validation(study)
    lost = price["test %"] - price["its test %"]
    free = int((lost < 0.05).sum())
    texts["03.choice"] = f"{free} of {len(lost)} columns it costs nothing, and at most {lost.max():.1f} points"
    return texts


def choice_by_validation(study: Study) -> pandas.DataFrame:
    """For each target and number of labels: the depth that is best by the validation images, and what it is by the test."""
    tried = study.select(depth=list(DEPTHS)).runs
    tried["val"] = [100 * rows[-1]["val_accuracy"] for rows in tried.history]
    tried["test"] = 100 * tried.accuracy
    means = tried.groupby(["task", "per_class", "depth"], sort=False)[["val", "test"]].mean()
    by_val, test = means.val.unstack()[list(DEPTHS)].idxmax(axis=1), means.test.unstack()[list(DEPTHS)]
    chosen = pandas.Series({key: test.loc[key, depth] for key, depth in by_val.items()})
    return pandas.DataFrame({"chosen by validation": by_val, "its test %": chosen, "best on test": test.idxmax(axis=1),
                             "test %": test.max(axis=1)}).rename_axis(["task", "per_class"])  # fmt: skip
