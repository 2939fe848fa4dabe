"""The recipes of lab 2: where training starts, and how fast."""

from dataclasses import replace

from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL
from helpers.training.recipes import Recipe

DEPTHS = {"head": -1, "layer2": "layer2", "all": 0}


def recipe(depth: str, lr: float, steps: int = 200) -> Recipe:
    """The recipe for a depth at which training starts ("head", "layer2" or "all") and a learning rate."""
    base = FEATURE_EXTRACTION if depth == "head" else FINE_TUNE_ALL
    return replace(base, name=f"{depth}, {lr:g}", upto=DEPTHS[depth], lr=lr, steps=steps)
