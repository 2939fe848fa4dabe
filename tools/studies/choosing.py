"""Lecture 5: which source for which target, told before training and measured after it; and when a source does harm.

choosing   every source on every target: only a new head, and everything fine-tuned; and none, trained from scratch
harm       tissue with many labels: more and more of a source frozen, against scratch
real       three networks, two of them from ImageNet, on photographs and on drawn goldfinches: scores and accuracies
"""

import os
import re
from dataclasses import replace

import pandas
import torch

from helpers.images.tasks import open_task
from helpers.lessons.choosing import against_none, rank_correlation, scores
from helpers.lessons.recipes import FINE_TUNE_ALL, SCRATCH
from helpers.lessons.studies import percent, points
from helpers.training.intervals import interval, paired_difference
from helpers.training.recipes import FEATURE_EXTRACTION
from helpers.training.study import SHIPPED, Case, Study, join_studies, load_study, run_study
from studies import real
from studies.resuming import go_on

QUESTION = "Which source for which target?"
SOURCES = ("garden", "garden-small", "garden-petals", "garden-textures", "garden-simclr-small", "garden-regression")
TARGETS = ("flowers", "goldfinches", "tissue")
PHOTOGRAPHS = "photographs"
PER_CLASS = 10
HARM = "When does a source do harm?"
MANY = 100
OTHERS = ("garden-textures", "garden-simclr-small")
FROZEN = {"all but the head": -1, "up to layer3": "layer4", "nothing": 0}
TUNED = ("flowers", "tissue")  # the near and the far target, and
REAL = "Would a score have found the better network?"
REAL_SOURCES, REAL_TARGETS = ("garden", "squeezenet1_0", "efficientnet_lite0"), (PHOTOGRAPHS, "drawn goldfinches")
OPPOSITES = ("garden-simclr-small", "garden-petals")  # the sources that change places there: fine-tuning takes long


def scored(fit) -> dict[str, float]:
    """The scores of a run's source on the images that it was trained on."""
    return scores(fit.recipe.source, fit.task.train, fit.recipe.weights)


def run(seeds: int) -> None:
    """Measure all of it; in the matrix, three seeds at most where the whole network trains."""
    tasks, slow = {name: open_task(name, per_class=PER_CLASS) for name in TARGETS}, min(seeds, 3)
    study = join_studies(heads(tasks, seeds), scratch(tasks, slow), whole({name: tasks[name] for name in TUNED}, slow))
    study.save(SHIPPED / "study-choosing.json", "python tools/measure.py choosing")
    harm(seeds).save(SHIPPED / "study-harm.json", "python tools/measure.py choosing")


def cases(recipe, sources, tasks: dict, how: str) -> list[Case]:
    """A recipe from every source on every task."""
    return [
        Case({"target": target, "source": source, "how": how}, replace(recipe, source=source), task)
        for target, task in tasks.items()
        for source in sources
    ]


def heads(tasks: dict, seeds, sources=SOURCES) -> Study:
    """Only a new head, from every source on every task; and the scores of the sources."""
    return run_study(QUESTION, cases(FEATURE_EXTRACTION, sources, tasks, "new head"), seeds, also=scored)


def whole(tasks: dict, seeds, sources=OPPOSITES) -> Study:
    """Everything fine-tuned, from the two sources that change places between the near and the far target."""
    return run_study(QUESTION, cases(FINE_TUNE_ALL, sources, tasks, "fine-tuned"), seeds, also=scored)


def scratch(tasks: dict, seeds) -> Study:
    """No source."""
    rows = [Case({"target": name, "source": "none", "how": "scratch"}, SCRATCH, task) for name, task in tasks.items()]
    return run_study(QUESTION, rows, seeds, also=scored)


def harm_cases() -> list[Case]:
    """Tissue with many labels: three frozen sources, one of them with less and less of it frozen, and scratch."""
    task = open_task("tissue", per_class=MANY)
    cells = [*(("garden", frozen) for frozen in FROZEN), *((source, "all but the head") for source in OTHERS)]
    cells.append(("garden-simclr-small", "nothing"))
    rows = [Case({"source": "none", "frozen": "nothing"}, SCRATCH, task)]
    for source, frozen in cells:
        upto = FROZEN[frozen]
        recipe = FEATURE_EXTRACTION if upto == -1 else replace(FINE_TUNE_ALL, name=f"frozen {frozen}", upto=upto)
        rows.append(Case({"source": source, "frozen": frozen}, replace(recipe, source=source), task))
    return rows


def harm(seeds) -> Study:
    """When frozen features do harm, and what becomes of it when they are unfrozen."""
    return run_study(HARM, harm_cases(), seeds)


def real_scores(seeds: int = 5) -> None:
    """What `real-sources` fits, once more, with the scores of each source: from where the file stands, seed by seed."""
    if not os.environ.get("COURSE_PHOTOS"):
        print("real-scores: left out, COURSE_PHOTOS names no folder of class folders")
        return
    pairs = [(target, source) for target in REAL_TARGETS for source in REAL_SOURCES]
    cells = [{"target": target, "source": source, "size": real.SOURCES[source]} for target, source in pairs]
    plans = [(cell, seed) for seed in range(seeds) for cell in cells]
    go_on(SHIPPED / "study-real-scores.json", "python tools/measure.py real-scores", REAL, plans, real.case,
          kind=("target", "source"), also=scored)  # fmt: skip


def against_scratch(study: Study, how: str) -> pandas.DataFrame:
    """Paired differences to training from scratch, a row a target and source."""
    return study.select(how=[how, "scratch"]).paired("source", "none", by=["target"])


def stamps() -> dict[str, str]:
    """The numbers of the lecture's text."""
    study, hurt = load_study("choosing"), load_study("harm")
    heads = study.select(how="new head").table(["target", "source"])
    texts = {f"05.{target}-{source}": percent(row) for (target, source), row in heads.iterrows()}
    alone = study.select(how="scratch").table(["target"])
    texts |= {f"05.{target}-none": percent(row) for target, row in alone.iterrows()}
    for how in ("new head", "fine-tuned"):
        for (target, source), row in against_scratch(study, how).iterrows():
            texts[f"05.{target}-{source}-{how.replace(' ', '-')}-gain"] = points(row)
        for score in ("logme", "probe") if how == "new head" else ():
            for target, row in rank_correlation(study, score, how).iterrows():
                text = f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
                texts[f"05.rank-{score}-{target}-{how.replace(' ', '-')}"] = text
    for (source, frozen), row in against_none(hurt).iterrows():
        texts[f"05.harm-{source}-{FROZEN[frozen]}"] = points(row, digits=1)
    hurt = hurt.select(source="garden-simclr-small")
    unfrozen, frozen = (hurt.select(frozen=frozen) for frozen in ("nothing", "all but the head"))
    texts["05.unfreezing-garden-simclr-small"] = difference(unfrozen, frozen, digits=1)
    texts |= more_of_the_same() | of_photographs()
    return texts | {f"{name}-by": text for name, found in texts.items() if (text := unsigned(found))}


def unsigned(text: str) -> str:
    """How far ahead or behind, without signs: "18 points (12 to 24)"; "" where the interval holds 0, or of other texts."""
    found = re.fullmatch(r"([+-])([\d.]+) points \(\1([\d.]+) to \1([\d.]+)\)", text)
    return f"{found[2]} points ({' to '.join(sorted(found.group(3, 4), key=float))})" if found else ""


def difference(one: Study, other: Study, digits: int = 0) -> str:
    """How far one study's only case is above another's, on the seeds that both have, in words."""
    common = sorted({*one.runs.seed} & {*other.runs.seed})
    answers = [torch.stack([each.correct[list(each.runs.seed).index(seed)] for seed in common]) for each in (one, other)]
    return points(paired_difference(*answers), digits)


def more_of_the_same() -> dict[str, str]:
    """Relatedness, and how much a source saw: paired differences between the sources of the laboratory."""
    study = load_study("choosing").select(how="new head")
    pick = lambda target, source: study.select(target=target, source=source)
    pairs = {"petals-small": ("garden-petals", "garden-small"), "garden-small": ("garden", "garden-small"),
             "garden-petals": ("garden", "garden-petals"), "simclr-garden": ("garden-simclr-small", "garden"),
             "simclr-small": ("garden-simclr-small", "garden-small")}  # fmt: skip
    return {f"05.more-{target}-{name}": difference(pick(target, one), pick(target, other))
            for target in TARGETS for name, (one, other) in pairs.items()}  # fmt: skip


def of_photographs() -> dict[str, str]:
    """The network of ImageNet: its source against others and against none, its pixels, and its own class "daisy"."""
    sources, own = load_study("real-sources"), load_study("suite-efficientnet_lite0").select(target=PHOTOGRAPHS, size=128)
    drawn = load_study("suite-garden").select(target="goldfinches", per_class=20)
    names = ("scratch", "feature extraction", "fine-tune last", "fine-tune all")
    scratch, frozen, last, tuned = (drawn.select(recipe=name) for name in names)
    few = load_study("suite-garden").select(target="goldfinches", per_class=5)
    pick = lambda target, source="efficientnet_lite0": sources.select(target=target, source=source)
    texts = {
        "05.squeezenet-goldfinches": difference(pick("drawn goldfinches", "squeezenet1_0"), pick("drawn goldfinches")),
        "05.lite-squeezenet-photographs": difference(pick(PHOTOGRAPHS), pick(PHOTOGRAPHS, "squeezenet1_0"), digits=1),
        "05.lite-garden-goldfinches": difference(pick("drawn goldfinches"), pick("drawn goldfinches", "garden")),
        "05.lite-garden-photographs": difference(pick(PHOTOGRAPHS), pick(PHOTOGRAPHS, "garden")),
        "05.lite-scratch-goldfinches": difference(pick("drawn goldfinches"), scratch),
        "05.squeezenet-scratch-goldfinches": difference(pick("drawn goldfinches", "squeezenet1_0"), scratch),
        "05.garden-scratch-goldfinches": difference(frozen, scratch),
        "05.last-scratch-goldfinches": difference(last, scratch),
        "05.garden-tuned-goldfinches": difference(tuned, scratch, digits=1),
        "05.tuned-frozen-goldfinches-5": difference(few.select(recipe=names[-1]), few.select(recipe=names[1])),
    }
    for number in (20, 100):
        runs = own.select(per_class=number)
        frozen, tuned = runs.select(recipe="feature extraction"), runs.select(recipe="probe, then fine-tune")
        texts[f"05.lite-scratch-photographs-{number}"] = difference(frozen, runs.select(recipe="scratch"))
        texts[f"05.lite-tuned-photographs-{number}"] = difference(tuned, frozen, digits=1)
    pixels = load_study("real-resolution")
    for few, many, digits in ((64, 128, 0), (128, 160, 1)):
        texts[f"05.pixels-{few}-{many}"] = difference(pixels.select(size=many), pixels.select(size=few), digits)
    daisy = load_study("real-daisy")
    for head, number in (("the old classifier", 0), ("new head on the features", 20)):
        part = daisy.select(head=head, per_class=number)
        count = int(part.runs.daisies.iloc[0])
        found, false = [one[:count] for one in part.correct], [~one[count:] for one in part.correct]
        for what, answers in (("found", found), ("false", false)):
            mean, low, high = (100 * value for value in interval(torch.stack(answers)))
            texts[f"05.daisy-{what}-{number}"] = percent({"accuracy %": mean, "low": low, "high": high})
    return texts
