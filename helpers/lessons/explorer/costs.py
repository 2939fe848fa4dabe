"""What a setting of the freeze explorer costs, known before it is trained."""

import copy
import time
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas
import torch
from torch.nn import functional as F

from helpers.freezing import freeze, parameter_groups
from helpers.lessons.explorer.trials import Setting, cut_points, fresh_model, short
from helpers.stages import split
from helpers.training.costs import count_flops, stage_seconds, summary
from helpers.training.devices import device
from helpers.training.loop import CHECKS
from helpers.training.steps import take_steps


@dataclass(frozen=True)
class Cost:
    """What a setting costs. FLOPs are counted; seconds are estimated from a calibration on this machine.

    stages       (name, parameters, state) of each stage with parameters, from input to head; the state is "frozen",
                 "trains" or "new, trains" (the head, which starts at random)
    mflops       of a step on kept features, forward and backward
    mflops_without, mflops_all   of the same step without kept features; and if everything trained
    images, cache_mb      how many images' features are kept and their memory; 0.0 if nothing is frozen
    seconds      of the training, with the pass that computes the kept features
    calibration  seconds that the calibration took
    """

    setting: Setting
    stages: list[tuple[str, int, str]]
    mflops: float
    mflops_without: float
    mflops_all: float
    images: int
    cache_mb: float
    seconds: float
    calibration: float

    @property
    def trained(self) -> int:
        """How many parameters train."""
        return sum(parameters for _, parameters, state in self.stages if state != "frozen")

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(parameters for _, parameters, _ in self.stages)

    @property
    def lines(self) -> dict[str, str]:
        """The costs in words: {what: how much}."""
        everything, start = self.cache_mb == 0, short(self.setting.upto)
        others = f"{amount(self.mflops_without)} without the cache, {amount(self.mflops_all)} where everything trains"
        kept = f"{amount(self.cache_mb)} MB for {self.images:,} images, before {start}"
        return {
            "trainable parameters": f"{self.trained:,} of {self.parameters:,} ({100 * self.trained / self.parameters:.3g}%)",
            "MFLOPs a step": f"{amount(self.mflops)} ({'the whole network' if everything else others})",
            "feature cache": "none: nothing is frozen" if everything else kept,
            "backward pass reaches": f"{start}{', the first stage' if everything else ''}",
            "expected time": f"about {duration(self.seconds)} (calibrated on this machine in {self.calibration:.1f} s)",
        }


def cost_of(setting: Setting) -> Cost:
    """What a setting will cost. Raises ValueError for a source, task or stage that does not exist."""
    task, recipe = setting.open(), setting.recipe()
    network = setting.source, len(task.classes), task.size
    rows, batch = _rows(*network), min(recipe.batch_size, len(task.train))
    at = [row["stage"] for row in rows].index(setting.upto)
    states = ["frozen"] * at + ["trains"] * (len(rows) - at - 1) + ["new, trains"]
    step, images = _mflops(*network, setting.upto, batch), len(task.train) + len(task.val)
    times, step_of_head, calibration = _calibration(*network)
    return Cost(
        setting,
        stages=[(row["stage"], row["parameters"], state) for row, state in zip(rows, states, strict=True) if row["parameters"]],
        mflops=step,
        mflops_without=step + batch * sum(row["flops"] for row in rows[:at]) / 1e6,
        mflops_all=_mflops(*network, rows[0]["stage"], batch),
        images=images,
        cache_mb=images * rows[at]["cache_mb"] if at else 0.0,
        seconds=_seconds(setting, at, batch, times, step_of_head),
        calibration=calibration,
    )


def depth_table(setting: Setting) -> pandas.DataFrame:
    """What a setting would cost at each depth: a row for each stage that training can start at."""
    rows = {}
    for stage in cut_points(setting):
        cost = cost_of(replace(setting, upto=stage))
        rows[short(stage)] = {"trained": cost.trained, "MFLOPs a step": cost.mflops, "cache MB": cost.cache_mb,
                              "without cache, MFLOPs": cost.mflops_without, "expected s": cost.seconds}  # fmt: skip
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("training starts at")


def amount(value: float) -> str:
    """A number with two or more significant digits: 0.33, 3.3, 33, 3,335."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds in words: 3.3 s, 33 s, 3 min."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _seconds(setting: Setting, at: int, batch: int, times: list[tuple[float, float]], step: float) -> float:
    """The pass that computes the features, all steps, and the validation steps."""
    task = setting.open()
    forward, both = [f for f, _ in times], [f + b for f, b in times]
    kept, val = len(task.pool if setting.only_head else task.train), len(task.val)
    total = (kept + val) * sum(forward[:at]) + setting.steps * (step + batch * sum(both[at:-1]))
    total += CHECKS * val * sum(forward[at:])
    if setting.head_steps and not setting.only_head:
        total += (len(task.pool) + val) * sum(forward[:-1]) + setting.head_steps * step
    return total


# What depends on the network alone is computed once.


@lru_cache(maxsize=32)
def _rows(source: str, classes: int, size: int) -> list[dict]:
    return summary(fresh_model(source, classes, 0)[1], size).rows


@lru_cache(maxsize=256)
def _mflops(source: str, classes: int, size: int, upto: str, batch: int) -> float:
    """MFLOPs of a step on features kept before `upto`, counted on the meta device: from shapes, without computing."""
    model = copy.deepcopy(fresh_model(source, classes, 0)[1]).to("meta").train()
    prefix, suffix = split(freeze(model, upto), upto)
    return sum(count_flops(suffix, prefix(torch.empty(batch, 3, size, size, device="meta")).detach())) / 1e6


@lru_cache(maxsize=16)
def _calibration(source: str, classes: int, size: int) -> tuple[list[tuple[float, float]], float, float]:
    """Seconds of each stage, forward and backward, for one image; of a step of the head on features; of the calibration."""
    started = time.perf_counter()
    model = copy.deepcopy(fresh_model(source, classes, 0)[1]).to(device())
    images = torch.randn(32, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device())
    times = list(stage_seconds(model, images).values())
    prefix, head = split(freeze(model, -1), -1)
    with torch.no_grad():
        features, labels = prefix(images), torch.zeros(32, dtype=torch.int64, device=device())
    optimizer, began = torch.optim.AdamW(parameter_groups(model, 1e-3)), time.perf_counter()
    take_steps(range(20), lambda _: F.cross_entropy(head(features), labels), optimizer)
    return times, (time.perf_counter() - began) / 20, time.perf_counter() - started
