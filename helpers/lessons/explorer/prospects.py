"""What a setting of the freeze explorer will cost, known before it is trained."""

import copy
import time
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas
import torch

from helpers.freezing import freeze
from helpers.lessons.explorer.trials import Setting, _model, places, short
from helpers.stages import split
from helpers.training.costs import count_flops, stage_seconds, summary
from helpers.training.devices import device, seeded
from helpers.training.loop import CHECKS, Run
from helpers.training.recipes import Recipe


@dataclass(frozen=True)
class Prospect:
    """What a setting costs. FLOPs are really counted, seconds are estimated from a calibration on this machine.

    stages       (name, parameters, state) of each stage with parameters, from input to head; the state is "frozen",
                 "trains" or "new, trains" (the head, which starts at random)
    trained, parameters   how many parameters train, of how many
    mflops       of a step on kept features, forward and backward
    mflops_without, mflops_all   of the same step without kept features; and where everything trains
    batch        images a step
    images, cache_mb      how many images are kept (training and validation) and what that takes; 0.0: nothing is frozen
    reach        the stage down to which the backward pass runs
    seconds      that the training may take, the pass that fills the cache included
    calibration  seconds that the calibration took
    """

    setting: Setting
    stages: list[tuple[str, int, str]]
    trained: int
    parameters: int
    mflops: float
    mflops_without: float
    mflops_all: float
    batch: int
    images: int
    cache_mb: float
    reach: str
    seconds: float
    calibration: float

    @property
    def lines(self) -> dict[str, str]:
        """What it costs in words: {what: how much}."""
        everything = self.mflops == self.mflops_all
        others = f"{amount(self.mflops_without)} without the cache, {amount(self.mflops_all)} where everything trains"
        kept = f"{amount(self.cache_mb)} MB for {self.images:,} images, before {short(self.setting.upto)}"
        return {
            "trainable parameters": f"{self.trained:,} of {self.parameters:,} ({100 * self.trained / self.parameters:.3g} %)",
            "MFLOPs a step": f"{amount(self.mflops)} ({'the whole network' if everything else others})",
            "feature cache": kept if self.cache_mb else "none: nothing is frozen",
            "backward pass reaches": f"{short(self.reach)}{', the first stage' if everything else ''}",
            "expected time": f"about {duration(self.seconds)} (calibrated on this machine in {self.calibration:.1f} s)",
        }


def prospect(setting: Setting) -> Prospect:
    """What a setting will cost. Raises ValueError for a source, task or stage that does not exist."""
    task, recipe = setting.open(), setting.recipe()
    classes, size = len(task.classes), task.size
    rows = _rows(setting.source, classes, size, setting.seed)
    names = [row["stage"] for row in rows]
    at = names.index(setting.upto)
    batch = min(recipe.batch_size, len(task.train))
    head = rows[-1]["stage"]
    listed = [
        (row["stage"], row["parameters"], "frozen" if i < at else "new, trains" if row["stage"] == head else "trains")
        for i, row in enumerate(rows)
        if row["parameters"]
    ]
    kept, images = _flops(setting.source, classes, size, setting.seed, setting.upto, batch), len(task.train) + len(task.val)
    frozen_flops = batch * sum(row["flops"] for row in rows[:at]) / 1e6
    return Prospect(
        setting,
        listed,
        sum(parameters for _, parameters, state in listed if state != "frozen"),
        sum(parameters for _, parameters, _ in listed),
        kept,
        kept + frozen_flops,
        _flops(setting.source, classes, size, setting.seed, names[0], batch),
        batch,
        images,
        images * rows[at]["cache_mb"] if at else 0.0,
        next(name for name, _, state in listed if state != "frozen"),
        _seconds(setting, at, batch, len(task.val)),
        _calibration(setting.source, classes, size, setting.seed)[2],
    )


def depth_table(setting: Setting) -> pandas.DataFrame:
    """What a setting would cost at each depth: a row for each stage that training can start at."""
    rows = {}
    for place in places(setting):
        seen = prospect(replace(setting, upto=place))
        rows[short(place)] = {"trained": seen.trained, "MFLOPs a step": seen.mflops, "cache MB": seen.cache_mb,
                              "without cache, MFLOPs": seen.mflops_without, "expected s": seen.seconds}  # fmt: skip
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("training starts at")


def _seconds(setting: Setting, at: int, batch: int, validated: int) -> float:
    """Of filling the cache, of all steps, and of the looks at the validation images."""
    task = setting.open()
    images = len(task.pool if setting.only_head else task.train) + validated
    times, step, _ = _calibration(setting.source, len(task.classes), task.size, setting.seed)
    forward, both = [f for f, _ in times], [f + b for f, b in times]
    warm_up = 0 if setting.only_head else setting.head_steps
    total = images * sum(forward[:at]) + setting.steps * (step + batch * sum(both[at:-1]))
    total += CHECKS * validated * sum(forward[at:])
    if warm_up:
        total += (len(task.pool) + validated) * sum(forward[:-1]) + warm_up * step
    return total


@lru_cache(maxsize=32)
def _rows(source: str, classes: int, size: int, seed: int) -> list[dict]:
    return summary(_copy(source, classes, seed), size).rows


@lru_cache(maxsize=256)
def _flops(source: str, classes: int, size: int, seed: int, upto: str, batch: int) -> float:
    """MFLOPs of a step on features kept before `upto`, counted on the meta device: shapes only, nothing is computed."""
    model = _copy(source, classes, seed).to("meta").train()
    prefix, suffix = split(freeze(model, upto), upto)
    features = prefix(torch.empty(batch, 3, size, size, device="meta")).detach()
    return sum(count_flops(suffix, features)) / 1e6


@lru_cache(maxsize=16)
def _calibration(source: str, classes: int, size: int, seed: int) -> tuple[list[tuple[float, float]], float, float]:
    """Seconds of each stage, forward and backward, an image; of a step of the head on features; of the calibration."""
    started = time.perf_counter()
    model = _copy(source, classes, seed).to(device())
    with seeded(seed):
        images = torch.randn(32, 3, size, size, device=device())
        times = list(stage_seconds(model, images).values())
    prefix, suffix = split(freeze(model, -1), -1)
    with torch.no_grad():
        features, labels = prefix(images), torch.arange(32, device=device()) % classes
    run = Run(Recipe("calibration", steps=20), suffix, (features, labels), (features, labels), seed=seed)
    began = time.perf_counter()
    for _ in run.steps():
        pass
    return times, (time.perf_counter() - began) / 20, time.perf_counter() - started


def _copy(source: str, classes: int, seed: int) -> torch.nn.Module:
    return copy.deepcopy(_model(source, classes, seed)[1])


def amount(value: float) -> str:
    """A number with two or more places that count: 0.33, 3.3, 33, 3,335."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds in words: 3.3 s, 33 s, 3 min."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
