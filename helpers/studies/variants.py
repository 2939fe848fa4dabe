"""The studies of lecture 3: how deep to freeze, at how many labels; and a reversal taken apart.

depth     study-depth.json: where training starts (the head alone ... everything, and from scratch), labels a class, three
          targets. With 100 labels a class every seed has the same images, all there are, in another order.
"""

from dataclasses import replace

from helpers.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH, Recipe
from helpers.study import SHIPPED, Case, run_study
from helpers.tasks import open_task

COMMAND = "python -m helpers.measure variants"
TASKS = ("flowers", "goldfinches", "tissue")
LABELS = (5, 20, 100)
DEPTHS = {"head": -1, "layer4": "layer4", "layer3": "layer3", "layer2": "layer2", "layer1": "layer1", "all": 0}
DEPTH_QUESTION = "how deep to freeze, at how many labels"


def depth_recipe(depth: str) -> Recipe:
    """The recipe of a row of the map: "scratch", or the first stage that trains ("head", "layer4" ... "layer1", "all").

    The head alone gets the rate that suits it, and fixed views, so that features are kept; from layer4 on down to all,
    the recipes differ in nothing but where training starts.
    """
    if depth == "scratch":
        return SCRATCH
    if depth == "head":
        return FEATURE_EXTRACTION
    return replace(FINE_TUNE_ALL, name=f"fine-tune {depth}" if depth == "all" else f"from {depth}", upto=DEPTHS[depth])


def depth_cases(tasks=TASKS, labels=LABELS, depths=(*DEPTHS, "scratch")) -> list[Case]:
    """A case for each target, number of labels a class and depth."""
    return [
        Case({"task": name, "per_class": per_class, "depth": depth}, depth_recipe(depth), task)
        for name in tasks
        for per_class in labels
        for task in [open_task(name, per_class=per_class)]
        for depth in depths
    ]


def run(seeds: int = 3) -> None:
    """Measure and write the study."""
    run_study(DEPTH_QUESTION, depth_cases(), seeds, keep_history=True).save(SHIPPED / "study-depth.json", COMMAND)


def stamps() -> dict[str, str]:
    """The numbers of the lecture's text, from the shipped studies."""
    return {}
