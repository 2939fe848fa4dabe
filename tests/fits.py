"""Small tasks, short recipes and cheap source models for the tests of training, each made once a process."""

from dataclasses import replace
from functools import cache

import pandas
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from helpers.images.tasks import open_task
from helpers.training.fitting import Fit, fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE, SCRATCH, Recipe
from helpers.training.study import Study

ARCHITECTURE = "squeezenet1_1"  # with dropout right before its head, and a ReLU behind it


@cache
def small_task():
    """Four goldfinches at 32 px: 12 images to train on, 8 for validation, 20 for the test."""
    return open_task("goldfinches", per_class=3, size=32, val=2, test=5)


def short(recipe: Recipe, **changes) -> Recipe:
    """The recipe with few steps on few images."""
    budget = {"steps": 10, "head_steps": min(recipe.head_steps, 5), "batch_size": 6, "views": min(recipe.views, 2)}
    return replace(recipe, **(budget | changes))


HEAD_BY_STEPS = short(Recipe("head by steps", upto=-1, lr=1e-2, views=8))  # trained, not solved
RECIPES = [short(r) for r in (SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE)]


@cache
def fitted(recipe: Recipe, seed: int = 0, cached: bool = True) -> Fit:
    """`recipe` fitted on the small task. Tests share it, so do not change it."""
    return fit(recipe, small_task(), seed, cache=cached)


def write_source(path, seed: int = 0) -> str:
    """A checkpoint of a torchvision net with random weights, as a source model; returns its path."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_model(ARCHITECTURE, weights=None)
    save_file(model.state_dict(), path, {"arch": ARCHITECTURE})
    return str(path)


def invented(answers: dict | None = None, conditions=("recipe",), **recipes) -> Study:
    """A study with these answers: {(conditions ..., seed): bool (n,)}, or recipe=bool (seeds, n)."""
    given = answers or {(name, seed): right for name, rows in recipes.items() for seed, right in enumerate(rows)}
    rows, correct = [], []
    for (*values, seed), right in given.items():
        correct.append(torch.as_tensor(right, dtype=torch.bool))
        about = {"seed": seed, "n": len(right), "accuracy": correct[-1].double().mean().item(), "trained": 7}
        rows.append(dict(zip(conditions, values, strict=True)) | about)
    return Study("made up", list(conditions), pandas.DataFrame(rows), correct, {"date": "2024-02-29"})


class Deaf:
    """A progress line that shows nothing, or stops the training when the first step is reported."""

    def __init__(self, stop_with=None):
        self.stop_with, self.count = stop_with, 0

    def step(self, count=1):
        self.count += count
        if self.stop_with:
            raise self.stop_with
