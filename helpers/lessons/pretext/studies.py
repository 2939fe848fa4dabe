"""The cases of lecture 1: heads from a supervised source, a self-supervised one, and none, with more and more labels."""

from dataclasses import replace

from helpers.images.tasks import open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION
from helpers.training.study import Case

QUESTION = "How many labels are needed, from which source?"
TASKS = ("flowers", "goldfinches")
HEADS = {  # only the new head is trained
    "supervised, head": FEATURE_EXTRACTION,
    "self-supervised, head": replace(FEATURE_EXTRACTION, source="garden-simclr"),
    "random, head": replace(FEATURE_EXTRACTION, copied=0),  # nothing is copied: a random network, frozen
}


def cases(ways: dict, numbers, tasks=TASKS) -> list[Case]:
    """Every way with every number of training images a class on every task."""
    opened = [open_task(name, per_class=number) for name in tasks for number in numbers]
    return [
        Case({"task": task.name, "per_class": task.per_class, "way": way}, replace(recipe, name=way), task)
        for task in opened
        for way, recipe in ways.items()
    ]
