"""Recipes for ImageNet weights on real photographs, with the learning rates that were best there (tools/studies/imagenet.py)."""

from dataclasses import replace

from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.training.recipes import Recipe
from helpers.training.study import Study, load_study

SOURCE = "squeezenet1_0"
# Few steps, for a photograph of 128 px costs a CPU core 30 ms to train on. From scratch twice as many; a probe's steps cost
# next to nothing, its price is the features.
SHORT = {"source": SOURCE, "steps": 60}
RECIPES = {
    "scratch": replace(SCRATCH, **SHORT | {"steps": 120}),
    "probe": replace(FEATURE_EXTRACTION, name="probe", views=2, **SHORT | {"steps": 200}),
    "probe, then fine-tune": replace(PROBE_THEN_FINE_TUNE, head_steps=30, **SHORT),
    "fine-tune all": replace(FINE_TUNE_ALL, **SHORT),
}


def best_rates(trials: Study) -> dict[str, float]:
    """{recipe: the rate with the best validation accuracy, of equal ones the one with the lower validation loss}."""
    last = [rows[-1] for rows in trials.runs.history]
    runs = trials.runs.assign(val=[row["val_accuracy"] for row in last], gain=[-row["val_loss"] for row in last])
    best = runs.sort_values(["val", "gain"]).groupby("recipe", sort=False).lr.last()
    return {name: float(best[name]) for name in RECIPES if name in best}


def tuned(name: str, rates: dict[str, float]) -> Recipe:
    """The recipe at its own rate; the head of probe-then-fine-tune trains at the probe's, the rest at fine-tuning's."""
    if name == "probe, then fine-tune":
        return replace(RECIPES[name], head_lr=rates["probe"], lr=rates["fine-tune all"])
    return replace(RECIPES[name], lr=rates[name])


def recipes(source: str) -> list[Recipe]:
    """The four recipes from another source, as long and with the rates that were best here."""
    rates = best_rates(load_study("imagenet-rates"))
    return [replace(tuned(name, rates), source=source) for name in RECIPES]
