"""The cases of lecture 3: how deep to freeze, at how many labels; and a reversal taken apart, setting by setting."""

from dataclasses import replace

import pandas

from helpers.images.tasks import open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.training.recipes import Recipe
from helpers.training.study import Case, Study

TASKS = ("flowers", "goldfinches", "tissue")
LABELS = (5, 20, 100)
DEPTHS = {"head": -1, "layer4": "layer4", "layer2": "layer2", "all": 0}
FIXED = FEATURE_EXTRACTION
AS_FOUND = replace(FIXED, name="head, as found", lr=0.1, schedule="constant", batchnorm="live")


def depth_recipe(depth: str) -> Recipe:
    """The recipe of a row of the map: "scratch", or the first stage that trains ("head", "layer4", "layer2", "all").

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


def reversal_recipes() -> dict[str, Recipe]:
    """The recipes of the reversal by the names that the lecture gives them: as found, each setting fixed alone, all."""
    heads = {
        "head, as found": AS_FOUND,
        "head, lr fixed": replace(AS_FOUND, lr=FIXED.lr),
        "head, schedule fixed": replace(AS_FOUND, schedule=FIXED.schedule),
        "head, BatchNorm fixed": replace(AS_FOUND, batchnorm=FIXED.batchnorm),
        "head, all fixed": FIXED,
        "head, fixed, not normalised": replace(FIXED, preprocessing="none"),
    }
    others = {
        "scratch": SCRATCH,
        "scratch, not normalised": replace(SCRATCH, preprocessing="none"),
        "from layer4": depth_recipe("layer4"),
        "fine-tune all": depth_recipe("all"),
    }
    return {name: replace(recipe, name=name) for name, recipe in (heads | others).items()}


def choice_by_validation(study: Study) -> pandas.DataFrame:
    """For each target and number of labels: the depth that is best by the validation images, and what it is by the test."""
    tried = study.select(depth=list(DEPTHS)).runs
    tried["val"] = [100 * rows[-1]["val_accuracy"] for rows in tried.history]
    tried["test"] = 100 * tried.accuracy
    means = tried.groupby(["task", "per_class", "depth"], sort=False)[["val", "test"]].mean()
    by_val, test = means.val.unstack()[list(DEPTHS)].idxmax(axis=1), means.test.unstack()[list(DEPTHS)]
    chosen = pandas.Series({key: test.loc[key, depth] for key, depth in by_val.items()})
    return pandas.DataFrame({"chosen by validation": by_val, "its test %": chosen, "best on test": test.idxmax(axis=1),
                             "test %": test.max(axis=1)}).rename_axis(["task", "per_class"])  # fmt: skip
