"""The transfer variants as values: what trains, starting from where, for how long, how fast."""

import math
from dataclasses import asdict, dataclass, fields, replace

from helpers.images.tasks import Task
from helpers.training.surgery import BATCHNORM, SUBSETS

MOVING = ("live", "statistics")  # ways of BatchNorm in which even frozen stages give other features each time


@dataclass(frozen=True)
class Recipe:
    """How to train on a target task. Change one with `dataclasses.replace(FINE_TUNE_ALL, lr=1e-4)`.

    name         what tables and figures call it
    source       the source model, as in `load_backbone`: "garden", "resnet18", the path of a checkpoint; None: the one that
                 comes with the course and suits the task, see `source_for`
    weights      its weights, as in `load_backbone`; None: random, nothing is transferred
    upto         the first stage that trains, as in `freeze`: a stage's name, -1 the head alone, -2 also the last
                 stage before it that has weights, a fraction of the stages, 0 everything
    head_steps   steps in which only the head trains, before the steps proper (0: none), at the rate head_lr; head_lr=None:
                 it is solved by L-BFGS, on the images as they are, in at most that many iterations
    steps        optimizer steps: batches seen, whatever the number of images
    batch_size   images a step (all of them, if there are fewer)
    lr           peak learning rate; it rises over the first fifth of the steps and falls to zero (one cycle). None, where
                 the head alone trains on fixed features: it is solved by L-BFGS, in at most `steps` iterations
    decay        learning rate of a stage relative to the stage after it (1: the same for all)
    head_times   learning rate of the head, as a multiple of lr (that of the head_steps is head_lr)
    weight_decay of AdamW; biases and normalisation parameters are spared. Of L-BFGS: half of it times the squared weights
    augment      random views of the training images (crop, flip, colour): a new view each time an image is used
    views        if above 0: this many views of each image, fixed in advance, so that frozen stages can be cached

    Rarely changed:

    preprocessing  "source": as the source model was trained; "none": pixels from 0 to 1 and no more
    schedule       "one cycle" of the learning rate, or "constant"
    batchnorm      "as frozen": in evaluation mode where the stage is frozen, in training mode where it trains; or, for all
                   BatchNorm layers, "live", "frozen", "statistics" or "re-estimated": see `set_batchnorm`. "frozen" is
                   at once true of a network without BatchNorm
    copied         a cut point as in upto: only the stages before it come from the source, the others start at random
    gradual        stages thaw one after the other, the head first, down to `upto` halfway through the steps
    patience       if above 0: after this many validation steps (one for each tenth of the steps) without a lower loss the
                   training ends and goes back to the weights with the lowest
    interpolate    True, with head_steps: afterwards the weights go back a third of the way to where the head's own steps had
                   left them, if the validation loss is lower there (Wortsman et al., 2022); and all the way, if that network
                   classified more validation images correctly
    only           "batchnorm", "bias" or "lora": what trains of the stages that are not frozen, see `train_only`

    Raises ValueError for a setting out of range, and for settings that exclude one another.
    """

    name: str
    source: str | None = None
    weights: str | None = "DEFAULT"
    upto: str | float = 0
    head_steps: int = 0
    head_lr: float | None = 1e-2
    steps: int = 200
    batch_size: int = 32
    lr: float | None = 1e-3
    decay: float = 1.0
    head_times: float = 1.0
    weight_decay: float = 0.05
    augment: bool = True
    views: int = 0
    preprocessing: str = "source"
    schedule: str = "one cycle"
    batchnorm: str = "as frozen"
    copied: str | float | None = None
    gradual: bool = False
    patience: int = 0
    interpolate: bool = False
    only: str | None = None

    def __post_init__(self):
        for name, ok, rule in (
            ("name", _is_text(self.name), "a non-empty string"),
            ("source", self.source is None or _is_text(self.source), "the name of a source model, a checkpoint's path, or None"),
            ("weights", self.weights is None or _is_text(self.weights), "a non-empty string or None"),
            ("upto", _is_cut_point(self.upto), "a stage's name, a fraction from 0.0 to 1.0, 0, or -1, -2, ..."),
            ("head_steps", _is_count(self.head_steps, 0), "a whole number, 0 or more"),
            ("head_lr", _is_rate(self.head_lr), "a number above 0, or None for L-BFGS"),
            ("steps", _is_count(self.steps, 1), "a whole number, 1 or more"),
            ("batch_size", _is_count(self.batch_size, 1), "a whole number, 1 or more"),
            ("lr", _is_rate(self.lr), "a number above 0, or None for L-BFGS"),
            ("decay", _is_number(self.decay) and 0 < self.decay <= 1, "a number above 0, at most 1"),
            ("head_times", _is_number(self.head_times) and self.head_times > 0, "a number above 0"),
            ("weight_decay", _is_number(self.weight_decay) and self.weight_decay >= 0, "a number, 0 or more"),
            ("augment", isinstance(self.augment, bool), "True or False"),
            ("views", _is_count(self.views, 0), "a whole number, 0 or more"),
            ("preprocessing", *_one_of(self.preprocessing, ("source", "none"))),
            ("schedule", *_one_of(self.schedule, ("one cycle", "constant"))),
            ("batchnorm", *_one_of(self.batchnorm, ("as frozen", *BATCHNORM))),
            ("copied", self.copied is None or _is_cut_point(self.copied), "None or a cut point, as upto is"),
            ("gradual", isinstance(self.gradual, bool), "True or False"),
            ("patience", _is_count(self.patience, 0), "a whole number, 0 or more"),
            ("interpolate", isinstance(self.interpolate, bool), "True or False"),
            ("only", *_one_of(self.only, (None, *SUBSETS))),
        ):
            if not ok:
                raise ValueError(f"{name}={getattr(self, name)!r} of recipe {self.name!r} must be {rule}")
        if self.weights is None and (self.upto != 0 or self.head_steps):
            raise ValueError(
                f"recipe {self.name!r} would freeze random weights: with weights=None, upto and head_steps must be 0"
            )
        if self.weights is None and self.copied is not None:
            raise ValueError(f"recipe {self.name!r} has nothing to copy from: copied needs weights")
        if self.gradual and (self.upto == -1 or self.only or self.batchnorm != "as frozen"):
            raise ValueError(
                f"recipe {self.name!r}: gradual thaws down to an upto before the head; it goes with batchnorm='as frozen' and "
                "only=None"
            )
        if self.lr is None and not (self.upto == -1 and self.fixed):
            raise ValueError(
                f"recipe {self.name!r} has lr=None, which solves a head on features that stay the same: that goes with upto=-1 "
                'and augment=False (or views), not with batchnorm="live" or "statistics". To train in steps, give it a learning '
                "rate: lr=1e-2 for a head, lr=1e-3 for more"
            )
        if self.interpolate and not self.head_steps:
            raise ValueError(f"recipe {self.name!r}: interpolate=True needs a trained head to begin with, so set head_steps")
        if self.views and not self.augment:
            raise ValueError(f"recipe {self.name!r} asks for {self.views} views but augment=False")

    @property
    def fixed(self) -> bool:
        """Whether what leaves the frozen stages is the same each time an image is used, so that it can be kept."""
        moving = self.batchnorm in MOVING or self.gradual
        return bool(self.views or not self.augment) and not moving

    @property
    def head_phase(self) -> "Recipe":
        """The recipe of the steps in which only the head trains: as this one, or solved on the images as they are."""
        changes = {"upto": -1, "steps": self.head_steps, "lr": self.head_lr}
        changes |= {"head_steps": 0, "head_times": 1.0, "gradual": False, "patience": 0, "interpolate": False}
        if self.head_lr is None:
            still = "as frozen" if self.batchnorm in MOVING else self.batchnorm
            changes |= {"augment": False, "views": 0, "batchnorm": still}
        return replace(self, **changes)


def _one_of(value, known) -> tuple[bool, str]:
    return value in known, "one of " + ", ".join(map(repr, known))


def _is_text(value) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_rate(value) -> bool:
    return value is None or _is_number(value) and value > 0


def _is_count(value, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_cut_point(value) -> bool:
    if isinstance(value, str):
        return bool(value)
    return _is_number(value) and (0 <= value <= 1 if isinstance(value, float) else value <= 0)


SCRATCH = Recipe("scratch", weights=None, steps=400, lr=2e-3)  # longer: see docs/source_model.md
FEATURE_EXTRACTION = Recipe("feature extraction", upto=-1, lr=None, augment=False, steps=100)
FINE_TUNE_LAST = Recipe("fine-tune last", upto=-2, batchnorm="frozen")
FINE_TUNE_ALL = Recipe("fine-tune all", upto=0, batchnorm="frozen")
PROBE_THEN_FINE_TUNE = Recipe("probe, then fine-tune", upto=0, head_steps=100, head_lr=None, steps=100, decay=0.8,
                              batchnorm="frozen", interpolate=True)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One cell of a study's design: a recipe on a task, under conditions that tables and figures go by.

    conditions  such as {"task": "flowers", "per_class": 5, "depth": "layer4"}: texts, numbers, True or False
    """

    conditions: dict
    recipe: Recipe
    task: Task


class Difference(dict):
    """What differs between two recipes: {setting: (value in the first, value in the second)}; prints as a table."""

    def __str__(self) -> str:
        if not self:
            return "no difference"
        width = max(map(len, self))
        return "\n".join(f"{name.ljust(width)}  {a!r} -> {b!r}" for name, (a, b) in self.items())

    __repr__ = __str__


def diff(a: Recipe, b: Recipe) -> Difference:
    """What differs between recipe a and recipe b. A comparison is fair if they are what you mean to compare."""
    for recipe in (a, b):
        if not isinstance(recipe, Recipe):
            raise TypeError(f"diff compares two recipes, got {type(recipe).__name__}")
    one, two = asdict(a), asdict(b)
    return Difference({f.name: (one[f.name], two[f.name]) for f in fields(Recipe) if one[f.name] != two[f.name]})
