"""What the bug museum measures with: batches, predictions and features that are known to be right, and the bill."""

import copy
import time
from collections.abc import Callable

import pandas
import torch
from torch import nn

from helpers.heads import mode
from helpers.images.tasks import Task
from helpers.lessons.probes import changes, kept
from helpers.lessons.studies import study_of
from helpers.sources.backbones import Backbone
from helpers.stages import split
from helpers.training.features import extract
from helpers.training.steps import fit_head
from helpers.training.study import Study, load_study


def batches(count: int, size: int, steps: int, seed: int = 0) -> list[torch.Tensor]:
    """The rows of `steps` batches out of `count` images, int64 (size,) each, in a new order each epoch.

    The last batch of an epoch holds what is left, so that every image is seen once per epoch. Raises ValueError for a
    count or size below 1, or steps below 0.
    """
    if count < 1 or size < 1 or steps < 0:
        raise ValueError(f"batches takes a count and a size of 1 or more and steps of 0 or more, got {count}, {size}, {steps}")
    rng, rows = torch.Generator().manual_seed(seed), []
    while len(rows) < steps:
        rows += torch.randperm(count, generator=rng).split(size)
    return rows[:steps]


@torch.no_grad()
def predict(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The predicted labels of normalised images (N, 3, S, S), int64 (N,), in evaluation mode; modes stay as they were."""
    with mode(model, training=False):
        return torch.cat([model(batch).argmax(1) for batch in images.split(100)])


def what_changed(model: nn.Module, action: Callable[[], object]) -> list[str]:
    """Run action() once; the names of all parameters and buffers of the model that have changed."""
    before = kept(model)
    action()
    return changes(model, before)


def probed(source: Backbone, task: Task, seed: int = 0) -> nn.Module:
    """A copy of a source model (with a last layer `fc`) whose new head was fitted to the frozen features of task.train.

    It is in evaluation mode."""
    model = copy.deepcopy(source.model).eval()
    head = fit_head(extract(split(model, -1)[0], task.train.pixels, source), task.train.labels, len(task.classes), seed)
    model.fc = head.requires_grad_(True)
    return model


@torch.no_grad()
def features_at(model: nn.Module, images: torch.Tensor, at: str | float = -1) -> torch.Tensor:
    """The input of a stage of a network (-1: of the head) for normalised images (N, 3, S, S): float32 (N, ...).

    Computed in evaluation mode, a hundred images at a time, without gradients; the model's modes stay as they were.
    """
    prefix = split(model, at)[0]
    with mode(model, training=False):
        return torch.cat([prefix(batch) for batch in images.split(100)])


def bill(task: Task, seeds: int, **versions: Callable[[Task, int], torch.Tensor]) -> Study:
    """What a bug costs: a Study of each version of a piece of code, over seeds, on the same training and test images.

    versions: functions of a task, drawn with the seed, and the seed; they train and return their predicted labels of
    task.test, int64 (N,). Condition: version. `points_lost` reads the bill.
    """
    rows = []
    for seed in range(seeds):
        drawn = task.draw(seed)
        for name, version in versions.items():
            started = time.perf_counter()
            correct = version(drawn, seed) == task.test.labels
            rows.append({"version": name.replace("_", " "), "seed": seed, "correct": correct,
                         "seconds": round(time.perf_counter() - started, 3)})  # fmt: skip
    return study_of("what the bug costs", rows)


def points_lost(study: Study, exhibit: str = "exhibit", fixed: str = "fixed") -> tuple[float, float, float]:
    """How many points of accuracy one version loses against another, with the 95% interval: (mean, low, high)."""
    row = study.paired("version", fixed).loc[exhibit]
    return tuple(float(-row[name]) + 0.0 for name in ("points", "high", "low"))


def bills() -> pandas.DataFrame:
    """A row for each room, a column for each task: the points of test accuracy that the bug costs, with the 95% interval.

    In room 6: by how many points the comparison of two sources differs from a fair one.
    """
    study = load_study("museum")
    words = {task: {} for task in study.runs.task.unique()}
    for task in words:
        for room in study.runs.room.unique():
            points, low, high = points_lost(study.select(task=task, room=room))
            words[task][room] = f"{points:.1f} ({low:.1f} to {high:.1f})".replace("-0.0", "0.0")
    return pandas.DataFrame(words).rename_axis("room")


def small_bills() -> pandas.DataFrame:
    """Exhibit minus fixed version for the rooms whose bug costs a few points only: a table for `plot_differences`."""
    study = load_study("museum")
    rooms = [room for room in study.runs.room.unique() if room[0] not in "27"]
    paired = study.select(room=rooms).paired("version", "fixed")
    paired = paired.loc[sorted(paired.index, key=lambda row: row[0])]  # the rooms of one task together
    paired.index = [f"{task}: {room}" for task, room, _ in paired.index]
    return paired
