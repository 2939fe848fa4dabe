"""The cases of lecture 2: features from other kinds of source tasks."""

from dataclasses import replace

from helpers.images.tasks import open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION
from helpers.training.study import Case

EXTRACTORS = {  # the first two saw the same number of pictures of the same world, equally often
    "classification": replace(FEATURE_EXTRACTION, source="garden-small"),
    "regression": replace(FEATURE_EXTRACTION, source="garden-regression"),
    "none (random network)": replace(FEATURE_EXTRACTION, copied=0, batchnorm="re-estimated"),
}


def extractor_cases(task: str, per_class: int) -> list[Case]:
    """The three extractors on one task: cases for `run_study`."""
    opened = open_task(task, per_class)
    return [Case({"task": task, "per_class": per_class, "source": name}, recipe, opened)
            for name, recipe in EXTRACTORS.items()]  # fmt: skip
