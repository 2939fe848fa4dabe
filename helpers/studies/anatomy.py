"""Lecture 2: how far a "frozen" backbone drifts, and what the features of other kinds of source tasks are worth."""

from dataclasses import replace

from helpers.anatomy import batchnorm_drift
from helpers.recipes import FEATURE_EXTRACTION
from helpers.study import SHIPPED, Case, Study, join_studies, run_study
from helpers.tasks import open_task

TASKS = ("goldfinches", "flowers")
COMMAND = "python -m helpers.measure anatomy"
EXTRACTORS = {  # the first two saw the same number of pictures of the same world, equally often
    "classification": replace(FEATURE_EXTRACTION, source="garden-small"),
    "regression": replace(FEATURE_EXTRACTION, source="garden-regression"),
    "none (random network)": replace(FEATURE_EXTRACTION, copied=0, batchnorm="re-estimated"),
}


def run(seeds: int) -> None:
    """Measure both studies; about five minutes on one core for 5 seeds."""
    measure_drift(seeds)
    measure_extractors(seeds)


def measure_drift(seeds: int) -> Study:
    """Heads on a backbone of which only requires_grad is False, while it sees images in training mode."""
    tasks = [open_task(name, 20) for name in TASKS]
    parts = [batchnorm_drift(known, seen, seeds=seeds) for known in tasks for seen in tasks]
    study = join_studies(*parts)
    study.save(SHIPPED / "study-drift.json", COMMAND)
    return study


def measure_extractors(seeds: int) -> Study:
    """A new head on the frozen features of a classifier, of a network that learnt pose and size, of a random one."""
    cases = [case for task in TASKS for count in (5, 20, 100) for case in extractor_cases(task, count)]
    study = run_study("features of another kind of task", cases, seeds)
    study.save(SHIPPED / "study-extractors.json", COMMAND)
    return study


def extractor_cases(task: str, per_class: int) -> list[Case]:
    """The three extractors on one task: cases for `run_study`."""
    opened = open_task(task, per_class)
    return [Case({"task": task, "per_class": per_class, "source": name}, recipe, opened)
            for name, recipe in EXTRACTORS.items()]  # fmt: skip


def stamps() -> dict[str, str]:
    """What the lecture quotes."""
    return {}
