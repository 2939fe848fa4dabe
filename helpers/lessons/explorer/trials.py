"""One setting of the freeze explorer and its training, step by step, on kept features."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import torch

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import Task, open_task
from helpers.sources.backbones import Backbone, load_backbone
from helpers.stages import split, stages
from helpers.training.devices import device, seeded
from helpers.training.features import extract
from helpers.training.intervals import wilson
from helpers.training.loop import Run
from helpers.training.recipes import Recipe


@dataclass(frozen=True)
class Setting:
    """What the controls of the explorer set. Change one with `dataclasses.replace(setting, upto="layer2")`.

    source, task  a source model and a target, as in `load_backbone` and `open_task`
    upto          the first stage that trains, by name; it must have parameters, and all stages before it are frozen
    per_class     labels a class
    head_steps    head warm-up: steps that train the head alone, before all the others (unused if only the head trains)
    lr            peak learning rate after the warm-up
    steps, seed   as in `Recipe` and `fit`

    Raises ValueError for a value out of range. A source, task or stage that does not exist is refused when it is used.
    """

    source: str = "garden"
    task: str = "flowers"
    upto: str = "layer4"
    per_class: int = 20
    head_steps: int = 0
    lr: float = 1e-3
    steps: int = 200
    seed: int = 0

    def __post_init__(self):
        if isinstance(self.per_class, bool) or not isinstance(self.per_class, int) or self.per_class < 1:
            raise ValueError(f"per_class={self.per_class!r} must be a whole number, 1 or more")
        if not isinstance(self.upto, str) or not self.upto:
            raise ValueError(f"upto={self.upto!r} must be the name of a stage; stage_names(model) lists them")
        self._recipe()  # refuses what else is out of range

    def recipe(self) -> Recipe:
        """The recipe with which `fit` does the same training. Nothing is augmented, so that features can be kept."""
        if self.upto not in cut_points(self):
            known = ", ".join(cut_points(self))
            raise ValueError(f"{self.source} has no stage {self.upto!r} with parameters; there are {known}")
        return self._recipe()

    def _recipe(self) -> Recipe:
        return Recipe(f"from {short(self.upto)}", self.source, upto=self.upto, head_steps=self.head_steps, steps=self.steps,
                      lr=self.lr, augment=False)  # fmt: skip

    def open(self) -> Task:
        """The task with its labels; opened once and then kept."""
        return _open(self.task, self.per_class)

    @property
    def only_head(self) -> bool:
        """Whether the head alone trains."""
        return self.upto == cut_points(self)[-1]


@dataclass(eq=False)
class Trial:
    """A setting and its training; the history grows while it trains. Validation images only: the test stays unseen.

    history   rows as in `Fit.history`: step, train_loss, train_accuracy, val_loss, val_accuracy (0..1)
    n         number of validation images
    seconds   of the whole training with the pass that computes the kept features; 0 until it is done
    """

    setting: Setting
    n: int = 0
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """Final accuracy on the validation images, 0..1. Raises ValueError before training."""
        if not self.history:
            raise ValueError("this trial has not been trained yet: there is no accuracy")
        return self.history[-1]["val_accuracy"]

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy of this one network, for other images of the kind."""
        return wilson(self.accuracy, self.n)


class Step(NamedTuple):
    """How far a trial is: `done` of `total` images whose features are kept, or optimizer steps."""

    doing: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.doing}: {self.done} of {self.total}"


def try_setting(setting: Setting) -> Trial:
    """Train a setting to the end and return the trial; the same numbers as `fit(setting.recipe(), setting.open())`.

    Raises ValueError for a source, task or stage that does not exist and for training that diverges.
    """
    trial = Trial(setting)
    for _ in steps_of(trial):
        pass
    return trial


def steps_of(trial: Trial) -> Iterator[Step]:
    """Train a trial in steps of some milliseconds, so that other work can go on between them; stop whenever you like."""
    setting, task, recipe = trial.setting, trial.setting.open(), trial.setting.recipe()
    backbone, model = copy.deepcopy(fresh_model(setting.source, len(task.classes), setting.seed))
    started = time.perf_counter()
    phases = [(setting.upto, setting.steps, setting.lr)]
    if setting.head_steps and not setting.only_head:
        phases.insert(0, (-1, setting.head_steps, recipe.head_lr))
    trial.history, trial.n, first, total = [], len(task.val), 0, sum(steps for _, steps, _ in phases)
    for upto, steps, lr in phases:
        freeze(model.to(device()).train(), upto)
        trains, train, val = model, task.train.pixels, task.val.pixels
        if upto != cut_points(setting)[0]:
            prefix, trains = split(model, upto)
            train = yield from _features(setting, upto, "training", prefix, backbone)
            val = yield from _features(setting, upto, "validation", prefix, backbone)
        run = Run(replace(recipe, steps=steps, lr=lr), trains, (train, task.train.labels), (val, task.val.labels),
                  seed=setting.seed, normalise=backbone.normalise, before={"step": first})  # fmt: skip
        earlier = trial.history
        for done in run.steps():
            trial.history = [*earlier, *run.history]
            yield Step("training, step", first + done, total)
        first += steps
    trial.seconds = time.perf_counter() - started


@lru_cache(maxsize=16)
def fresh_model(source: str, classes: int, seed: int) -> tuple[Backbone, torch.nn.Module]:
    """A source model with a random head, as `fit` begins. The result is shared: copy it before you change it."""
    with seeded(seed):
        backbone = load_backbone(source)
        return backbone, swap_head(backbone.model, classes).to(memory_format=torch.channels_last)


def cut_points(setting: Setting) -> tuple[str, ...]:
    """The stages that training can start at: those of the setting's network that have parameters, from input to head."""
    return _cut_points(setting.source, len(setting.open().classes))


def short(stage: str) -> str:
    """The last part of a long name: "encoder.layers.encoder_layer_0" does not fit beside a slider."""
    return stage if len(stage) < 12 else stage.rpartition(".")[2]


@lru_cache(maxsize=8)
def _open(name: str, per_class: int) -> Task:
    return open_task(name, per_class=per_class)


@lru_cache(maxsize=32)
def _cut_points(source: str, classes: int) -> tuple[str, ...]:
    return tuple(stage.name for stage in stages(fresh_model(source, classes, 0)[1]) if stage.parameters)


_KEPT: dict[tuple, torch.Tensor] = {}  # the features computed last, by source, task, cut point and images


def _features(setting: Setting, upto, part: str, prefix, backbone) -> Iterator[Step]:
    """The prefix's output for the training or validation images, a batch a step; returns it.

    Before the head it is computed once for all images that labels can be drawn from: then another number of labels is
    another choice of rows.
    """
    task, at_head = setting.open(), upto == -1 or setting.only_head
    pooled = at_head and part == "training"
    images = task.val if part == "validation" else task.pool if pooled else task.train
    key = (setting.source, setting.task, "head" if at_head else upto, part, images is task.train and setting.per_class)
    if key not in _KEPT:
        batches = []
        for rows in torch.arange(len(images)).split(100):
            batches.append(extract(prefix, images[rows][0], backbone))
            yield Step(f"keeping features of {part} images", int(rows[-1]) + 1, len(images))
        _KEPT[key] = torch.cat(batches)
    _KEPT[key] = kept = _KEPT.pop(key)  # the newest last
    while len(_KEPT) > 6:
        del _KEPT[next(iter(_KEPT))]
    if not pooled:
        return kept
    position = {row: i for i, row in enumerate(task.pool.index.tolist())}
    return kept[[position[row] for row in task.train.index.tolist()]]
