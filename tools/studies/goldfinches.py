"""The study of lab 2, study-goldfinches.json: where training starts, the learning rate, 5 to 50 goldfinches a species.

For each run it keeps the accuracy on the validation images, to choose by, and how the network reacts to a species that it
was not trained on: how often its confidence is above 90%, and how well confidence tells known from unknown.
"""

from dataclasses import replace
from functools import cache

from helpers.images.drawn.garden import render_split
from helpers.images.tasks import open_task
from helpers.lessons.goldfinches.calibration import confidence, known_from_unknown, sure
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL
from helpers.training.fitting import Fit
from helpers.training.recipes import Recipe
from helpers.training.study import SHIPPED, Case, run_study

COMMAND = "python tools/measure.py goldfinches"
QUESTION = "how deep, how fast, with how many goldfinches?"
LABELS = (5, 20, 50)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DEPTHS = {"head": -1, "layer2": "layer2", "all": 0}


def recipe(depth: str, lr: float, steps: int = 200) -> Recipe:
    """The recipe for a depth at which training starts ("head", "layer2" or "all") and a learning rate."""
    base = FEATURE_EXTRACTION if depth == "head" else FINE_TUNE_ALL
    return replace(base, name=f"{depth}, {lr:g}", upto=DEPTHS[depth], lr=lr, steps=steps)


def cases(labels=LABELS, depths=tuple(DEPTHS), rates=RATES) -> list[Case]:
    """A case for each number of images a species, depth and learning rate; 50 validation images a species."""
    return [
        Case({"per_class": per_class, "depth": depth, "lr": lr}, recipe(depth, lr), task)
        for per_class in labels
        for task in [open_task("goldfinches", per_class, val=50)]
        for depth in depths
        for lr in rates
    ]


@cache
def siskins():
    """A hundred pictures of a species that no task contains: uint8 (100, 3, 64, 64)."""
    return render_split("siskins", "test", 100)[0]


def judged(fit: Fit) -> dict[str, float]:
    """Validation accuracy and loss; the share of goldfinches and of siskins with a confidence above 90%; the area under
    the ROC curve of telling the two apart by confidence."""
    stranger, last = fit.classifier.logits(siskins()), fit.history.iloc[-1]
    return {
        "val": last.val_accuracy,
        "val_loss": last.val_loss,
        "sure of goldfinches": sure(fit.logits)[0],
        "sure of siskins": sure(stranger)[0],
        "auroc": known_from_unknown(confidence(fit.logits), confidence(stranger)),
    }


def run(seeds: int = 3) -> None:
    """Measure and write it, with three seeds at most."""
    run_study(QUESTION, cases(), min(seeds, 3), also=judged).save(SHIPPED / "study-goldfinches.json", COMMAND)


def stamps() -> dict[str, str]:
    """The lab shows its numbers in tables and figures: no text holds one."""
    return {}
