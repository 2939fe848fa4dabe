"""Fit a recipe on a task, with Lightning, on whatever accelerator there is."""

import time
from dataclasses import dataclass, replace
from numbers import Integral

import pandas
import torch

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import Task
from helpers.notebook.progress import Progress
from helpers.sources.backbones import Backbone, load_backbone
from helpers.stages import cut, split
from helpers.training.batchnorm import release_batchnorm, set_batchnorm
from helpers.training.classifier import Classifier, architecture
from helpers.training.features import extract, fixed_views, worth_caching
from helpers.training.intervals import wilson
from helpers.training.loop import CHECKS, Run, quiet
from helpers.training.recipes import Recipe
from helpers.training.smoke import shortened
from helpers.training.thawing import Thaw
from helpers.training.transplanting import transplant


@dataclass(eq=False)
class Fit:
    """What came out of `fit`.

    classifier  the trained network, ready to predict, save and reload
    history     a row for each look at the validation images: step, train_loss and train_accuracy (of the batches
                since the last look, as they were augmented), val_loss, val_accuracy (0..1)
    logits      of the test images, float32 (n, classes)
    trained     number of parameters that were trained
    seconds     of training; loading the source model and the test are not in it
    cached      the place before which frozen features were kept ("-1": before the head), or "" if none were
    """

    recipe: Recipe
    task: Task
    seed: int
    classifier: Classifier
    history: pandas.DataFrame
    logits: torch.Tensor
    trained: int
    seconds: float
    cached: str

    @property
    def model(self) -> torch.nn.Module:
        """The trained network: normalised images -> logits."""
        return self.classifier.model

    @property
    def labels(self) -> torch.Tensor:
        """The truth about the test images: int64 (n,)."""
        return self.task.test.labels

    @property
    def correct(self) -> torch.Tensor:
        """Which of the test images are named rightly: bool (n,)."""
        return self.logits.argmax(1) == self.labels

    @property
    def n(self) -> int:
        """How many test images the accuracy was measured on."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of the test images that are named rightly, 0..1."""
        return int(self.correct.sum()) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy for this one network: how it may do on other images of the kind."""
        return wilson(self.accuracy, self.n)

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"{self.recipe.name}: {self.accuracy:.1%} of {self.n} test images (95 % interval {low:.1%} to {high:.1%}), "
            f"seed {self.seed}, {self.trained:,} parameters trained, {self.seconds:.1f} s"
        )


def fit(recipe: Recipe, task: Task, seed: int = 0, *, cache: bool = True, progress: Progress | None = None) -> Fit:
    """Train `recipe` on `task.train`, look at `task.val` on the way, and measure once on `task.test`.

    The same seed gives the same numbers on the same machine; torch's own random numbers are left as they were.
    Frozen stages are run once and their output is kept, where the recipe allows it (nothing is augmented, or the
    views are fixed) and memory does; cache=False does without.
    progress: one that is shown already, to report to; by default a line of its own.

    Raises ValueError for a recipe whose stage or source does not exist or whose training diverges, and for a seed
    that is none; TypeError if recipe and task are something else.
    """
    if not isinstance(recipe, Recipe) or not isinstance(task, Task):
        raise TypeError(f"fit takes a Recipe and a Task, got {type(recipe).__name__} and {type(task).__name__}")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number, 0 or more")
    recipe = shortened(recipe)
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = _source(recipe)
        model = swap_head(backbone.model, len(task.classes)).to(memory_format=torch.channels_last)
        freeze(model, recipe.upto)  # a wrong stage name fails before anything is trained
        line = progress or Progress(recipe.head_steps + recipe.steps, recipe.name)
        started, rows, of_head = time.perf_counter(), [], ""
        if recipe.head_steps:
            rows, of_head = _phase(recipe, -1, recipe.head_steps, recipe.head_lr, 0, backbone, task, seed, cache, line)
        more, cached = _phase(
            recipe, recipe.upto, recipe.steps, recipe.lr, recipe.head_steps, backbone, task, seed, cache, line
        )
        history, cached = pandas.DataFrame(rows + more), cached or of_head
        seconds = time.perf_counter() - started
        classifier = Classifier(backbone, task.classes, task.size, architecture(recipe.source))
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        release_batchnorm(model)
        if recipe.only == "lora":
            from helpers.training.subsets import merge_adapters

            merge_adapters(model)  # into the weights: a network like any other
        model.to(_device()).eval()
        logits = classifier.logits(task.test)
    result = Fit(recipe, task, seed, classifier, history, logits, trained, seconds, cached)
    if progress is None:
        line.done(repr(result))
    return result


def _source(recipe: Recipe) -> Backbone:
    backbone = load_backbone(recipe.source, recipe.weights)
    if recipe.weights is None and backbone.weights:  # a checkpoint: only its architecture and preprocessing count
        backbone.model = load_backbone(architecture(recipe.source), weights=None).model
    if recipe.copied is not None:
        fresh = load_backbone(architecture(recipe.source), weights=None).model
        backbone.model = transplant(backbone.model, fresh, recipe.copied)
    if recipe.preprocessing == "none":
        backbone = replace(backbone, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return backbone


def _phase(recipe, upto, steps, lr, first_step, backbone, task, seed, cache, progress) -> tuple[list[dict], str]:
    """One run of the optimizer with one part frozen: its history, and the place before which features were kept."""
    model = freeze(backbone.model.to(_device()).train(), upto)  # Lightning puts what it trained back onto the CPU
    images, labels = task.train.pixels, task.train.labels
    if recipe.batchnorm != "as frozen":
        set_batchnorm(model, recipe.batchnorm, backbone.normalise(images.to(_device())))
    if recipe.only:
        from helpers.training.subsets import train_only

        train_only(model, recipe.only)
    if recipe.views:
        images, labels = fixed_views(task.train, recipe.views, seed)
    val_images, trains, kept = task.val.pixels, model, ""
    moving = recipe.batchnorm in ("live", "statistics") or (recipe.gradual and upto != -1)
    if cache and (recipe.views or not recipe.augment) and not moving:
        prefix, suffix = split(model, upto)
        if worth_caching(prefix, images, len(images) + len(val_images), backbone):
            images, val_images = extract(prefix, images, backbone), extract(prefix, val_images, backbone)
            trains, kept = suffix, str(upto)
    thaw = _thawing(model, upto) if recipe.gradual and upto != -1 else None
    run = Run(recipe, trains, model, (images, labels), (val_images, task.val.labels), steps, lr, seed, backbone,
              progress, first_step, thaw)  # fmt: skip
    return run.run(), kept


def _thawing(model, upto) -> Thaw:
    """One stage with parameters after the other, from the head down to `upto`, in the first half of the looks."""
    places = [stage.name for stage in reversed(cut(model, upto)[1]) if stage.parameters]
    return Thaw({i * CHECKS // (2 * len(places)): place for i, place in enumerate([*places[:-1], upto])}, "net")


def _device() -> torch.device:
    """Where Lightning trains when it may choose."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
