"""A run that only shows that everything works: with the environment variable COURSE_RUN=smoke every training stops after
a few steps and embedded tasks have few images. Its numbers mean nothing, and `choose_budget` says so. Tests of the pages
themselves use it (tests/test_browser.py), where the notebooks' numbers are tested by other means.
"""

import os
from dataclasses import replace

STEPS = 3  # of the optimizer in a training


def smoke() -> bool:
    """Whether this run is only to show that everything works."""
    return os.environ.get("COURSE_RUN") == "smoke"


def few(count: int, most: int) -> int:
    """`count`; in such a run `most` at the most."""
    return min(count, most) if smoke() else count


def shortened(recipe):
    """The recipe; in such a run the same with a few steps, and one fixed view of each image."""
    if not smoke():
        return recipe
    short = {"steps": few(recipe.steps, STEPS), "head_steps": few(recipe.head_steps, STEPS), "views": few(recipe.views, 1)}
    return replace(recipe, **short)
