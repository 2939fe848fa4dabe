"""Studies of an ImageNet network on photographs, study-real-NAME.json: what the lectures claim, measured where it matters.

resolution     the probe at 64 to 224 pixels, 20 labels a class: accuracy and seconds
labels         the probe from 1 to 200 labels a class
interpolation  a probe and then fine-tuning, at its end, and a third of the way back: 20 and 100 labels
batchnorm      a probe and then fine-tuning, with BatchNorm live, at rest, and re-estimated on the training images
depth          where training starts, after a probe: the head alone, the last block, the last half, everything; 5 to 100 labels
warmup         the head first, or everything at once with the same rate for the head, at three rates

efficientnet_lite0 on the folder that COURSE_PHOTOS names, at 128 px unless said otherwise. Each is written after every run and
goes on where it stopped: `python tools/measure.py real`, or one of them, `real-resolution`.
"""

import os
from dataclasses import replace
from functools import lru_cache

from helpers.images.tasks import open_task
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, Recipe
from helpers.training.study import SHIPPED, Case, Study, load_study
from studies import markdown
from studies.resuming import go_on

COMMAND = "python tools/measure.py real"
SOURCE = "efficientnet_lite0"
SIZE, PER_CLASS = 128, 20
VAL = 25  # photographs of each class, so that 200 of 300 are left to train on
SIZES = (64, 96, 128, 160, 192, 224)
LABELS = (1, 2, 5, 10, 20, 50, 100, 200)
BATCHNORM = {"live": "as frozen", "at rest": "frozen", "re-estimated": "re-estimated"}
DEPTHS = {"the head": -1, "the last block": "blocks.6", "the last half": 0.5, "everything": 0}
HEADINGS = {"size": "pixels a side", "per_class": "photographs a class"}
RATES = (1e-4, 3e-4, 1e-3)

STUDIES = {  # the question, and its conditions in the order in which they are measured
    "resolution": ("At which resolution?", [{"size": size} for size in SIZES]),
    "labels": ("How many labels does a probe need?", [{"per_class": labels} for labels in LABELS]),
    "interpolation": ("At the end of fine-tuning, or a third of the way back?",
                      [{"per_class": labels, "weights": which} for labels in (20, 100) for which in ("at the end", "between")]),
    "batchnorm": ("What should BatchNorm do on photographs?", [{"batchnorm": how} for how in BATCHNORM]),
    "depth": ("Where should training start?",
              [{"per_class": labels, "depth": depth} for labels in (5, 20, 100) for depth in DEPTHS]),
    "warmup": ("Must the head be trained first?",
               [{"lr": lr, "warm-up": how} for lr in RATES for how in ("head first", "all at once")]),
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
    plans = [(conditions, seed) for seed in range(seeds) for conditions in cells]
    path = SHIPPED / f"study-real-{name}.json"
    go_on(path, f"{COMMAND}-{name}", question, plans, case, kind=tuple(cells[0]))


def case(conditions: dict) -> Case:
    """The recipe and the photographs of some conditions."""
    labels, size = conditions.get("per_class", PER_CLASS), conditions.get("size", SIZE)
    return Case(conditions, replace(recipe(conditions), source=SOURCE), photographs(labels, size))


def recipe(conditions: dict) -> Recipe:
    """What the conditions change of the course's recipes, and nothing else."""
    if "weights" in conditions:
        return replace(PROBE_THEN_FINE_TUNE, interpolate=conditions["weights"] == "between")
    if "batchnorm" in conditions:
        return replace(PROBE_THEN_FINE_TUNE, batchnorm=BATCHNORM[conditions["batchnorm"]])
    if "depth" in conditions and conditions["depth"] != "the head":
        return replace(PROBE_THEN_FINE_TUNE, upto=DEPTHS[conditions["depth"]])
    if "lr" in conditions:  # the same steps in all, and the same rate for the head
        head_first = replace(FINE_TUNE_ALL, lr=conditions["lr"], head_lr=conditions["lr"], head_steps=50, steps=100)
        return head_first if conditions["warm-up"] == "head first" else replace(head_first, head_steps=0, steps=150)
    return FEATURE_EXTRACTION


@lru_cache(maxsize=len(LABELS))
def photographs(per_class: int, size: int):
    """The photographs; the test images are the same whatever the labels, sizes and seeds."""
    return open_task(os.environ["COURSE_PHOTOS"], per_class, size=size, val=VAL)


def stamps() -> dict[str, str]:
    """The tables of docs/source_model.md and docs/photographs.md, of what has been measured."""
    texts = {}
    for name, (_, cells) in STUDIES.items():
        if (SHIPPED / f"study-real-{name}.json").exists():
            texts[f"real.{name}"] = "\n\n" + _table(load_study(f"real-{name}"), list(cells[0])) + "\n\n"
    return texts


def _table(study: Study, conditions: list[str]) -> str:
    """Accuracy by the conditions, with intervals, and what a fit took as a share of the longest, as Markdown."""
    seconds = study.runs.groupby(conditions).seconds.mean()
    head = [*(HEADINGS.get(name, name) for name in conditions), "accuracy % (95% interval)", "time", "seeds, n"]
    rows = []
    for key, row in study.table(conditions).iterrows():
        values = key if isinstance(key, tuple) else (key,)
        accuracy = f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
        share = f"{seconds[key] / seconds.max():.2f}"
        rows.append([*map(str, values), accuracy, share, f"{row['seeds']:.0f}, {row['n']:.0f}"])
    return markdown(head, rows)
