"""Studies of an ImageNet network on photographs, study-real-NAME.json: what the lectures claim, measured where it matters.

resolution     the probe at 64 to 224 pixels, 20 labels a class: accuracy and seconds
labels         the probe from 1 to 200 labels a class
batchnorm      a probe and then fine-tuning, with BatchNorm live (also with slower averages), at rest, and re-estimated on the
               training images; and the head alone, with BatchNorm live and at rest
depth          where training starts, after a probe: the head alone, the last block, the last half, everything; 5 to 100 labels
warmup         the head first, or everything at once with the same rate for the head, at three rates
sources        the probe from random weights, garden, SqueezeNet and this network, on photographs and on drawings
splits         the probe on ten other splits of the photographs, at 128 and 224 px
daisy          the source's own class "daisy" without a label, against a new head on its features and on its 1,000 scores
forgotten      what fine-tuning leaves of the source's own answers, and how far the features move, stage by stage

efficientnet_lite0 on the folder that COURSE_PHOTOS names, at 128 px and with 20 labels a class unless said otherwise. Each is
written after every run and goes on where it stopped: `python tools/measure.py real`, or one of them, `real-resolution`.
What the texts say of them is in real_texts.py.
"""

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from unittest import mock

from torch import nn

from helpers.images.tasks import Task, open_task
from helpers.lessons.studies import percent, points
from helpers.sources.backbones import Backbone
from helpers.training import fitting
from helpers.training.fitting import Fit, fit, source_of
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE, Recipe
from helpers.training.study import SHIPPED, Case, Study, load_study
from studies.old_classifier import HEADS, OLD, ask, called, forgotten
from studies.real_texts import draw, section
from studies.resuming import go_on
from studies.suite import PHOTOGRAPHS

COMMAND = "python tools/measure.py real"
SOURCE = "efficientnet_lite0"
SIZE, PER_CLASS = 128, 20
VAL = 25  # photographs of each class, so that 200 of 300 are left to train on
SIZES = (64, 96, 128, 160, 192, 224)
LABELS = (1, 2, 5, 10, 20, 50, 100, 200)
SLOW = "live, momentum 0.01"
BATCHNORM = {"at rest": "frozen", "live": "as frozen", SLOW: "as frozen", "re-estimated": "re-estimated"}
EVERYTHING, HEAD = "everything", "the head"
DEPTHS = {"the head": -1, "the last block": "blocks.6", "the last half": 0.5, "everything": 0}
RATES = (1e-4, 3e-4, 1e-3)
RANDOM = "random weights"
TARGETS = (PHOTOGRAPHS, "drawn flowers", "drawn goldfinches")
SOURCES = {RANDOM: SIZE, "garden": 64, "squeezenet1_0": SIZE, SOURCE: SIZE}  # each at the size that suits it
SPLITS = 10
FORGETTING = (FEATURE_EXTRACTION, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE, FINE_TUNE_ALL)

STUDIES = {  # the question, and its conditions in the order in which they are measured
    "resolution": ("At which resolution?", [{"size": size} for size in SIZES]),
    "labels": ("How many labels does a probe need?", [{"per_class": labels} for labels in LABELS]),
    "batchnorm": ("What should BatchNorm do on photographs?", [{"trains": EVERYTHING, "batchnorm": how} for how in BATCHNORM]
                  + [{"trains": HEAD, "batchnorm": how} for how in ("at rest", "live")]),
    "depth": ("Where should training start?",
              [{"per_class": labels, "depth": depth} for labels in (5, 20, 100) for depth in DEPTHS]),
    "warmup": ("Must the head be trained first?",
               [{"lr": lr, "warm-up": how} for lr in RATES for how in ("head first", "all at once")]),
    "sources": ("Which source, for photographs and for drawings?",
                [{"target": target, "source": source, "size": size} for target in TARGETS for source, size in SOURCES.items()]),
    "splits": ("How much does it matter which photographs are the test?",
               [{"size": size, "split": split} for size in (128, 224) for split in range(SPLITS)]),
    "daisy": ("What is the source's own class \"daisy\" worth? (Is it a daisy: \"no\" to all is right for 80%)",
              [{"head": OLD, "per_class": 0},
               *({"head": head, "per_class": labels} for labels in (1, 2, 5, 20) for head in HEADS)]),
    "forgotten": ("What does fine-tuning leave of the source's own answers?", [{"recipe": one.name} for one in FORGETTING]),
}  # fmt: skip


def run(seeds: int = 5) -> None:
    """All of them, one after the other."""
    for name in STUDIES:
        measure(name, seeds)


def measure(name: str, seeds: int = 5) -> None:
    """One of STUDIES, from where its file stands, seed by seed."""
    if not os.environ.get("COURSE_PHOTOS"):
        print(f"real-{name}: left out, COURSE_PHOTOS names no folder of class folders")
        return
    question, cells = STUDIES[name]
    plans = [(conditions, seed) for seed in range(seeds) for conditions in cells if seed < most_seeds(conditions)]
    path = SHIPPED / f"study-real-{name}.json"
    go_on(path, f"{COMMAND}-{name}", question, plans, case, kind=tuple(cells[0]), **SETTINGS.get(name, {}))


def fit_slowly_averaging(recipe: Recipe, task: Task, seed: int, *, progress=None) -> Fit:
    """`fit`; for a recipe that is called SLOW the running statistics move by 1% a batch, as where EfficientNet was trained, in
    place of PyTorch's usual 10%."""
    if recipe.name != SLOW:
        return fit(recipe, task, seed, progress=progress)

    def slow(recipe: Recipe) -> Backbone:
        source = source_of(recipe)
        for layer in source.model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.01
        return source

    with mock.patch.object(fitting, "source_of", slow):
        return fit(recipe, task, seed, progress=progress)


SETTINGS = {  # of `run_study`
    "batchnorm": {"run": fit_slowly_averaging}, "daisy": {"run": ask, "also": called}, "forgotten": {"also": forgotten},
}  # fmt: skip


def most_seeds(conditions: dict) -> float:
    """How many seeds at most: one where nothing is random."""
    return 1 if conditions.get("head") == OLD else float("inf")


def case(conditions: dict) -> Case:
    """The recipe and the images of some conditions."""
    labels = conditions.get("per_class", PER_CLASS) or 1  # what needs no labels gets a task that has some
    images = task(conditions.get("target", PHOTOGRAPHS), labels, conditions.get("size", SIZE), conditions.get("split", 0))
    return Case(conditions, recipe(conditions), images)


def recipe(conditions: dict) -> Recipe:
    """What the conditions change of the course's recipes, and nothing else."""
    source = conditions.get("source", SOURCE)
    return replace(_recipe(conditions), source=SOURCE if source == RANDOM else source)


def _recipe(conditions: dict) -> Recipe:
    if conditions.get("trains") == HEAD:  # the same loop for both
        how = "live" if conditions["batchnorm"] == "live" else "frozen"
        return replace(FEATURE_EXTRACTION, name=conditions["batchnorm"], lr=1e-2, batchnorm=how)
    if "batchnorm" in conditions:  # without going back to the probe, which would hide harm
        how = BATCHNORM[conditions["batchnorm"]]
        return replace(PROBE_THEN_FINE_TUNE, name=conditions["batchnorm"], batchnorm=how, interpolate=False)
    if "depth" in conditions and conditions["depth"] != "the head":
        return replace(PROBE_THEN_FINE_TUNE, upto=DEPTHS[conditions["depth"]], interpolate=False)  # as above
    if "lr" in conditions:  # the same steps in all, and the same rate for the head
        head_first = replace(FINE_TUNE_ALL, lr=conditions["lr"], head_lr=conditions["lr"], head_steps=50, steps=100)
        return head_first if conditions["warm-up"] == "head first" else replace(head_first, head_steps=0, steps=150)
    if "recipe" in conditions:
        return next(one for one in FORGETTING if one.name == conditions["recipe"])
    if "head" in conditions:
        return replace(FEATURE_EXTRACTION, name=conditions["head"])
    if conditions.get("source") == RANDOM:  # as in lecture 2: nothing copied, and statistics that fit the random weights
        return replace(FEATURE_EXTRACTION, copied=0, batchnorm="re-estimated")
    return FEATURE_EXTRACTION


@lru_cache(maxsize=len(LABELS))
def task(target: str, per_class: int, size: int, split: int) -> Task:
    """The images; the test images of a split are the same whatever the labels, sizes and seeds."""
    name = os.environ["COURSE_PHOTOS"] if target == PHOTOGRAPHS else target.removeprefix("drawn ")
    return open_task(name, per_class, split, size=size, val=VAL)


def measured() -> dict[str, Study]:
    """The studies that are shipped and whole: each of the conditions has three seeds, where there are to be so many."""
    found = {name: load_study(f"real-{name}") for name in STUDIES if (SHIPPED / f"study-real-{name}.json").exists()}
    return {name: study for name, study in found.items() if whole(study, STUDIES[name][1])}


def whole(study: Study, cells: list[dict]) -> bool:
    seeds = study.runs.groupby(study.conditions).seed.nunique().to_dict()  # the key of a single condition is no tuple
    key = lambda conditions: tuple(conditions.values()) if len(conditions) > 1 else next(iter(conditions.values()))
    return all(seeds.get(key(conditions), 0) >= min(3, most_seeds(conditions)) for conditions in cells)


def stamps() -> dict[str, str]:
    """The sections of docs/photographs.md, and figure and table of docs/source_model.md, of what has been measured."""
    return {f"real.{name}": section(name, study) for name, study in measured().items()} | capstone()


def capstone() -> dict[str, str]:
    """The experiments of the filled-in example in labs/capstone.md, and its answer."""
    size, depth, batchnorm = (load_study(f"real-{name}") for name in ("resolution", "depth", "batchnorm"))
    experiments = {
        "size": size.paired("size", SIZE).loc[224],
        "depth": depth.select(per_class=PER_CLASS).paired("depth", HEAD).loc[EVERYTHING],
        "batchnorm": batchnorm.select(trains=HEAD).paired("batchnorm", "at rest").loc["live"],
    }
    told = {f"capstone.{name}": f"{points(row, 1)}, {row['seeds']:.0f} seeds" for name, row in experiments.items()}
    return told | {"capstone.answer": percent(size.table("size").loc[224])}


def draw_figures(docs: Path) -> None:
    """A figure for each section."""
    for name, study in measured().items():
        draw(name, study, docs)
