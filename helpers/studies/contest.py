"""Lab 1: what the course's own recipes reach on the pictures of the contest, from 20 labels a class."""

from dataclasses import replace

from helpers.contest import PER_CLASS, SIZE, TASK, held_out
from helpers.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, SCRATCH
from helpers.study import SHIPPED, Case, run_study
from helpers.tasks import open_task

QUESTION = "How well do the course's recipes name the pictures of the contest?"
RECIPES = (SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL)


def run(seeds: int) -> None:
    """Fit each recipe on each draw of 20 training images a class; the pictures of the contest are the test."""
    task = open_task(TASK, PER_CLASS, size=SIZE)
    task = replace(task, test=held_out(TASK, SIZE))
    study = run_study(QUESTION, [Case({"recipe": recipe.name}, recipe, task) for recipe in RECIPES], seeds)
    study.save(SHIPPED / "study-contest.json", "python -m helpers.measure contest")


def stamps() -> dict[str, str]:
    """Nothing: the lab reads the study itself."""
    return {}
