"""The study of lab 1: what the course's own recipes reach on the pictures of the contest, with 20 labels a class."""

from dataclasses import replace

from helpers.images.tasks import open_task
from helpers.lessons.flowers.contest import PER_CLASS, SIZE, TASK, held_out
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, SCRATCH
from helpers.training.study import SHIPPED, Case, run_study

QUESTION = "How well do the course's recipes name the pictures of the contest?"
RECIPES = (SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL)


def run(seeds: int) -> None:
    """Fit each recipe with each seed on the very training images that the lab has; the contest's pictures are the test.

    A seed changes the new layers and the order of batches, not the images: contestants have the same ones, too.
    """
    task = replace(open_task(TASK, PER_CLASS, size=SIZE), test=held_out(TASK, SIZE))
    cases = [Case({"recipe": recipe.name}, recipe, task) for recipe in RECIPES]

    def on_these_images(recipe, drawn, seed, progress):
        return fit(recipe, task, seed, progress=progress)

    study = run_study(QUESTION, cases, seeds, run=on_these_images)
    study.about["images"] = "the same training images for all seeds: the first draw of the task"
    study.save(SHIPPED / "study-contest.json", "python tools/measure.py contest")


def stamps() -> dict[str, str]:
    """Nothing: the lab reads the study itself."""
    return {}
