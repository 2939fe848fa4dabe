"""Lecture 5: which source for which target, told before training and measured after it; and when a source does harm.

choosing   every source on every target: only a new head, and everything fine-tuned; and none, trained from scratch
harm       tissue with many labels: more and more of a source frozen, against scratch
overlap    photographs of daisies, which ImageNet has as a class: its own head, a probe, fine-tuning
"""

import os
from dataclasses import replace

import pandas

from helpers.images.tasks import open_task
from helpers.lessons.choosing import against_none, heads, rank_correlation
from helpers.lessons.choosing.studies import QUESTION, cases, scores
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.lessons.studies import percent, points
from helpers.training.study import SHIPPED, Case, Study, join_studies, load_study, run_study

TARGETS = ("flowers", "goldfinches", "tissue")
PHOTOGRAPHS = "photographs"
PER_CLASS = 10
HARM = "When does a source do harm?"
MANY = 100
OTHERS = ("garden-textures", "garden-simclr-small")
FROZEN = {"all but the head": -1, "up to layer3": "layer4", "nothing": 0}
TUNED = ("flowers", "tissue")  # the near and the far target, and
OPPOSITES = ("garden-simclr-small", "garden-petals")  # the sources that change places there: fine-tuning takes long


def targets() -> dict:
    """The tasks of the matrix; the photographs where the environment variable COURSE_PHOTOS names a folder of them."""
    tasks = {name: open_task(name, per_class=PER_CLASS) for name in TARGETS}
    if folder := os.environ.get("COURSE_PHOTOS"):
        tasks[PHOTOGRAPHS] = open_task(folder, per_class=PER_CLASS, size=64)
    return tasks


def run(seeds: int) -> None:
    """Measure all of it; in the matrix, three seeds at most where the whole network trains."""
    tasks, slow = targets(), min(seeds, 3)
    study = join_studies(heads(tasks, seeds), scratch(tasks, slow), whole({name: tasks[name] for name in TUNED}, slow))
    study.save(SHIPPED / "study-choosing.json", "python tools/measure.py choosing")
    harm(seeds).save(SHIPPED / "study-harm.json", "python tools/measure.py choosing")


def whole(tasks: dict, seeds, sources=OPPOSITES) -> Study:
    """Everything fine-tuned, from the two sources that change places between the near and the far target."""
    return run_study(QUESTION, cases(FINE_TUNE_ALL, sources, tasks, "fine-tuned"), seeds, also=scores)


def scratch(tasks: dict, seeds) -> Study:
    """No source."""
    rows = [Case({"target": name, "source": "none", "how": "scratch"}, SCRATCH, task) for name, task in tasks.items()]
    return run_study(QUESTION, rows, seeds, also=scores)


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
        texts[f"05.harm-{source}-{FROZEN[frozen]}"] = points(row)
    fitted = hurt.values("train_accuracy", ["source", "frozen"])
    for (source, frozen), row in fitted.iterrows():
        texts[f"05.fitted-{source}-{FROZEN[frozen]}"] = f"{100 * row['mean']:.0f}%"
    return texts
