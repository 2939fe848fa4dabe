"""One setting of the freeze explorer and what came of it: a fit on kept features, made step by step."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import Task, open_task
from helpers.sources.backbones import Backbone, load_backbone
from helpers.stages import split, stages
from helpers.training.devices import device, seeded
from helpers.training.features import LARGEST_CACHE, extract
from helpers.training.intervals import wilson
from helpers.training.loop import Run
from helpers.training.recipes import Recipe


@dataclass(frozen=True)
class Setting:
    """What the controls of the explorer set. Change one with `dataclasses.replace(setting, upto="layer2")`.

    source, task  a source model and a target, as in `load_backbone` and `open_task`
    upto          the first stage that trains, by its name, one that has parameters; all stages before it are frozen
    per_class     labels a class
    head_steps    head warm-up: steps in which the head alone trains, before the steps proper (without effect if no
                  other stage trains)
    lr            peak learning rate of the steps proper
    steps, seed   as in `Recipe` and `fit`

    Raises ValueError for a setting out of range; a source, task or stage that does not exist is refused when it is used.
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
        self._recipe(self.upto)  # refuses the rest

    def recipe(self) -> Recipe:
        """The recipe that `fit` takes, for the same training. Nothing is augmented, so that features can be kept."""
        if self.upto not in places(self):
            raise ValueError(f"{self.source} has no stage {self.upto!r} with parameters; there are {', '.join(places(self))}")
        return self._recipe(self.upto)

    def _recipe(self, upto) -> Recipe:
        return Recipe(f"from {short(upto)}", self.source, upto=upto, head_steps=self.head_steps, steps=self.steps,
                      lr=self.lr, augment=False)  # fmt: skip

    def open(self) -> Task:
        """The task with its labels; what has been opened once is not drawn anew."""
        return _opened(self.task, self.per_class)

    @property
    def only_head(self) -> bool:
        """Whether nothing but the head trains."""
        return self.upto == places(self)[-1]


@dataclass(eq=False)
class Trial:
    """A setting that is being tried: its history grows while it trains. Validation images only; the test stays unseen.

    history   rows as in `Fit.history`: step, train_loss, train_accuracy, val_loss, val_accuracy (0..1)
    n         validation images
    seconds   of the whole training, the pass that fills the cache included (0 until it is done; opening the task is not in it)
    """

    setting: Setting
    n: int = 0
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """Share of the validation images that are named rightly at the end, 0..1."""
        if not self.history:
            raise ValueError("this trial has not been trained yet: there is no accuracy")
        return self.history[-1]["val_accuracy"]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy for this one network: how it may do on other images of the kind."""
        return wilson(self.accuracy, self.n)


@dataclass(frozen=True)
class Step:
    """How far a trial is: `done` of `total`, of images whose features are kept or of optimizer steps."""

    doing: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.doing}: {self.done} of {self.total}"


def try_setting(setting: Setting) -> Trial:
    """Train a setting to its end and return the trial; the same numbers as `fit(setting.recipe(), setting.open())`.

    Raises ValueError for what does not exist and for training that diverges.
    """
    trial = Trial(setting)
    for _ in steps_of(trial):
        pass
    return trial


def steps_of(trial: Trial) -> Iterator[Step]:
    """Train a trial in steps of some milliseconds, so that other work can go on between them; stop when you like."""
    setting, task, recipe = trial.setting, trial.setting.open(), trial.setting.recipe()
    backbone, model = (copy.deepcopy(thing) for thing in model_of(setting))
    started = time.perf_counter()
    trial.history, trial.n, first = [], len(task.val), 0
    warm_up = 0 if setting.only_head else setting.head_steps
    for upto, steps, lr in ((-1, warm_up, recipe.head_lr), (setting.upto, setting.steps, setting.lr)):
        if steps:
            freeze(model.to(device()).train(), upto)
            trains, train, val = model, task.train.pixels, task.val.pixels
            if upto != places(setting)[0]:
                prefix, trains = split(model, upto)
                place = "head" if upto == -1 or setting.only_head else upto
                train = yield from _features(setting, task, place, "training", prefix, backbone)
                val = yield from _features(setting, task, place, "validation", prefix, backbone)
            run = Run(replace(recipe, steps=steps, lr=lr), trains, (train, task.train.labels), (val, task.val.labels),
                      seed=setting.seed, normalise=backbone.normalise, first_step=first)  # fmt: skip
            earlier = trial.history
            for done in run.steps():
                trial.history = [*earlier, *run.history]
                yield Step("training, step", first + done, warm_up + setting.steps)
            first += steps
    trial.seconds = time.perf_counter() - started


@lru_cache(maxsize=8)
def _opened(name: str, per_class: int) -> Task:
    return open_task(name, per_class=per_class)


@lru_cache(maxsize=16)
def _model(source: str, classes: int, seed: int) -> tuple[Backbone, torch.nn.Module]:
    with seeded(seed):  # as `fit` begins, for the same random head
        backbone = load_backbone(source)
        return backbone, swap_head(backbone.model, classes).to(memory_format=torch.channels_last)


def model_of(setting: Setting) -> tuple[Backbone, torch.nn.Module]:
    """The source model with a random head for the task, as it is before training. Shared: copy before you change it."""
    return _model(setting.source, len(setting.open().classes), setting.seed)


def short(stage: str) -> str:
    """The last part of a stage's name: "encoder.layers.encoder_layer_0" is long on a slider."""
    return stage.rpartition(".")[2]


def places(setting: Setting) -> tuple[str, ...]:
    """The stages of a setting's network that have parameters, by name: where it makes a difference to let training start."""
    return _places(setting.source, len(setting.open().classes))


@lru_cache(maxsize=32)
def _places(source: str, classes: int) -> tuple[str, ...]:
    return tuple(stage.name for stage in stages(_model(source, classes, 0)[1]) if stage.parameters)


_KEPT: dict[tuple, torch.Tensor] = {}  # features by source, task, place and images; the newest are kept


def _features(setting: Setting, task: Task, place: str, part: str, prefix, backbone) -> Iterator[Step]:
    """The prefix's output for the training or validation images, a batch a step; returns it.

    Before the head it is computed for all images that labels can be drawn from, once: then another number of labels is
    another choice of rows.
    """
    pooled = part == "training" and place == "head"
    images = task.val if part == "validation" else task.pool if pooled else task.train
    key = (setting.source, setting.task, place, part, 0 if pooled or part == "validation" else setting.per_class)
    if key not in _KEPT:
        batches = []
        for rows in torch.arange(len(images)).split(100):
            batches.append(extract(prefix, images[rows][0], backbone))
            yield Step(f"keeping features of {part} images", int(rows[-1]) + 1, len(images))
        _KEPT[key] = torch.cat(batches)
    _KEPT[key] = kept = _KEPT.pop(key)  # the newest last
    while len(_KEPT) > 2 and sum(tensor.nbytes for tensor in _KEPT.values()) > LARGEST_CACHE / 4:
        del _KEPT[next(iter(_KEPT))]
    if not pooled:
        return kept
    position = torch.empty(int(task.pool.index.max()) + 1, dtype=torch.int64)
    position[task.pool.index] = torch.arange(len(task.pool))
    return kept[position[task.train.index].to(kept.device)]
