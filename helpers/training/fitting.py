"""Fit a recipe on a task, with Lightning, on whatever accelerator there is."""

import json
import shutil
import time
import warnings
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from pathlib import Path

import pandas
import torch
from torch import nn

from helpers.data.files import content_hash
from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import DRAWN_SIZE, Task
from helpers.notebook.progress import Progress, Silent
from helpers.sources.backbones import Backbone, load_backbone
from helpers.sources.base import check_size
from helpers.stages import cut, split
from helpers.training.callbacks import Keep, Thaw, claim, read_back, write_to
from helpers.training.classifier import Classifier, fingerprint
from helpers.training.devices import Engine, device, layout, quiet, seeded
from helpers.training.features import extract, fixed_views, worth_caching
from helpers.training.intervals import wilson
from helpers.training.loop import CHECKS, Run
from helpers.training.recipes import Recipe
from helpers.training.solving import Solve
from helpers.training.surgery import has_batchnorm, merge_adapters, release_batchnorm, set_batchnorm, train_only, transplant

VARYING = " does not have a deterministic implementation"  # PyTorch's words; it says so while Lightning trains
_announced = set()  # tasks for which it was said which source model is used


@dataclass(eq=False)
class Fit:
    """What came out of `fit`.

    classifier  the trained network, ready to predict, save and reload
    history     a row for each validation step: step, train_loss and train_accuracy (of the batches since the last one,
                as they were augmented), val_loss, val_accuracy (0..1)
    logits      of the test images, float32 (n, classes)
    trained     number of parameters that were trained
    kept        the row of the history for the weights that were kept: its last row, but with patience or interpolate another;
                for weights between two steps, with the loss and accuracy that they have on the validation images
    seconds     of training; loading the source model and the test are not in it
    cached      the cut point before which frozen features were kept ("-1": before the head), or "" if none were
    varying     names of operations on the way that PyTorch cannot repeat to the last bit on this device; mostly none
    """

    recipe: Recipe
    task: Task
    seed: int
    classifier: Classifier
    history: pandas.DataFrame
    logits: torch.Tensor
    kept: dict
    trained: int
    seconds: float
    cached: str
    varying: list[str]

    @property
    def model(self) -> nn.Module:
        """The trained network, on the CPU: normalised images -> logits."""
        return self.classifier.model

    @property
    def labels(self) -> torch.Tensor:
        """The ground-truth labels of the test images: int64 (n,)."""
        return self.task.test.labels

    @property
    def correct(self) -> torch.Tensor:
        """Which of the test images are classified correctly: bool (n,)."""
        return self.logits.argmax(1) == self.labels

    @property
    def n(self) -> int:
        """How many test images the accuracy was measured on."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of the test images that are classified correctly, 0..1."""
        return int(self.correct.sum()) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the accuracy of this one network on other images of the same kind."""
        return wilson(self.accuracy, self.n)

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"{self.recipe.name}: {self.accuracy:.1%} accuracy on {self.n} test images (95% interval {low:.1%} to {high:.1%}), "
            f"seed {self.seed}, {self.trained:,} parameters trained, {self.seconds:.1f} s"
        )


def fit(recipe: Recipe, task: Task, seed: int = 0, *, cache: bool = True, progress: Progress | None = None,
        checkpoint: str | Path | None = None, devices: int = 1, nodes: int = 1, strategy: str = "auto") -> Fit:  # fmt: skip
    """Train `recipe` on `task.train`, validate on `task.val` on the way, and measure once on `task.test`.

    The same seed gives the same numbers on the same machine; torch's own random numbers are left as they were. It trains on
    the accelerator, if there is one; what it returns is on the CPU.
    Frozen stages are run once and their output is kept, where the recipe allows it (nothing is augmented, or the
    views are fixed) and memory does; cache=False does without.
    Where the head alone trains, it trains on features standardised by the training images, channel by channel, and weight
    decay acts on its weights for those; afterwards this is folded into the head, so that the network is a plain one. See
    `helpers.training.features.standardised`.
    progress: a progress line to report to; by default a line of its own.
    checkpoint: a folder for Lightning's checkpoints, one after each validation step. After an interruption, of whatever kind,
    the same call goes on from there, and ends with the same numbers as without one. What you stop yourself (Ctrl-C, or the
    square button) also leaves the network as it was then, in stopped.safetensors, for `load_classifier`.

    devices, nodes, strategy: for Lightning, which trains in devices * nodes processes ("ddp"), as torchrun, srun or itself starts
    them: each runs the whole script, takes its share of every batch and returns the same Fit, that of one process up to rounding
    and dropout. Images, checkpoints and source have to be where all processes can read them.

    A recipe without a source gets the one of `source_for`, and a line says which. Warns if a loss ends far above guessing.
    Raises ValueError for a recipe whose stage or source does not exist, a size that the source cannot take, a loss that is
    no longer a number, an invalid seed, and checkpoints of another training or damaged ones; on several devices for batches that
    cannot be shared out evenly, gradual thawing, BatchNorm that follows the batch, and a strategy that copies this process.
    OSError if no checkpoint can be written; TypeError if recipe and task are something else.
    """
    if not isinstance(recipe, Recipe) or not isinstance(task, Task):
        raise TypeError(f"fit takes a Recipe and a Task, got {type(recipe).__name__} and {type(task).__name__}")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number, 0 or more")
    engine = Engine(devices, nodes, strategy)
    if progress is None and engine.rank:
        progress = Silent()  # the first process says it for all
    with quiet(), seeded(seed), warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", f".*{VARYING}")
        recipe = for_task(recipe, task)
        backbone = source_of(recipe)
        model = swap_head(backbone.model, len(task.classes)).to(device(), memory_format=layout())
        check_size(backbone, task.size)  # there: not every device computes what a CPU does
        freeze(model, recipe.upto)  # a wrong stage name fails before anything is trained
        keeps, folder = [None, None], checkpoint and Path(checkpoint).expanduser()
        if folder:
            claim(folder, identity(recipe, task, seed) | {"cache": cache, "network": _hash(model.state_dict().values())})
            keeps = [Keep(folder / f"{phase}.ckpt") for phase in ("head", "training")]
        line = progress or Progress(recipe.head_steps + recipe.steps, recipe.name)
        started, phases = time.perf_counter(), []
        try:
            if recipe.head_steps:
                phases.append(_phase(recipe.head_phase, backbone, task, seed, cache, line, keeps[0], engine=engine))
            before = phases[0][0].history[-1] if phases else None
            phases.append(_phase(recipe, backbone, task, seed, cache, line, keeps[1], before, engine))
        except KeyboardInterrupt:
            stopped = "Stopped, and nothing is kept: with fit(..., checkpoint=FOLDER) the same call would go on from here"
            if folder:
                file = _finished(recipe, backbone, task).save(folder / "stopped.safetensors")
                stopped = f"Stopped. The same call goes on from the last checkpoint; load_classifier({str(file)!r}) has it so far"
            raise KeyboardInterrupt(stopped) from None
        seconds = time.perf_counter() - started + sum(keep.seconds for keep in keeps if keep)
        history = pandas.DataFrame([row for run, _ in phases for row in run.history])
        cached = next((kept for _, kept in reversed(phases) if kept), "")
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        classifier = _finished(recipe, backbone, task)
        logits = classifier.logits(task.test)
    varying = sorted({str(warning.message).split(VARYING)[0] for warning in said if VARYING in str(warning.message)})
    for warning in [run.warning for run, _ in phases if run.warning]:
        warnings.warn(warning, stacklevel=2)
    result = Fit(recipe, task, seed, classifier, history, logits, phases[-1][0].kept, trained, seconds, cached,
                 varying)  # fmt: skip
    if progress is None:
        line.done(repr(result))
    return result


def _finished(recipe: Recipe, backbone: Backbone, task: Task) -> Classifier:
    release_batchnorm(backbone.model)
    if recipe.only == "lora":
        merge_adapters(backbone.model)  # into the weights: a network like any other
    backbone.model.cpu().eval()
    return Classifier(backbone, task.classes, task.size, backbone.arch)


def identity(recipe: Recipe, task: Task, seed: int) -> dict:
    """What tells a training from others: its settings, and a hash of its images. For JSON."""
    images = _hash(tensor for split in (task.train, task.val, task.test) for tensor in (split.labels, *split.batches()))
    return asdict(recipe) | {"task": task.name, "size": task.size, "per_class": task.per_class, "drawn with seed": task.seed,
                             "seed": int(seed), "classes": task.classes, "images": images}  # fmt: skip


def _hash(tensors) -> str:
    return content_hash(" ".join(map(fingerprint, tensors)).encode())[:16]


def measured(run, recipe, task, seed, progress, also=None, history=False, folder=None) -> tuple[dict, torch.Tensor]:
    """A row of a study and its answers, as `run_study` has them; from the study's folder, if they were measured before."""
    kept, file = {}, None
    if folder:
        about = identity(for_task(recipe, task), task, seed) | {"also": also and also.__qualname__, "history": history}
        file = Path(folder).expanduser() / f"{content_hash(json.dumps(about).encode())}.json"
        if file.exists():
            progress.step(recipe.head_steps + recipe.steps)
            return (found := read_back(file)), torch.tensor(found.pop("correct"), dtype=torch.bool)
        kept = {"checkpoint": file.with_suffix("")}
    result = run(recipe, task, seed, progress=progress, **kept)
    fitted = result.history.train_accuracy.iloc[-1]
    row = {"seed": int(seed), "n": result.n, "accuracy": result.accuracy, "train_accuracy": fitted, "trained": result.trained,
           "seconds": round(result.seconds, 3)}  # fmt: skip
    if also:
        row |= {name: float(value) for name, value in also(result).items()}
    if history:
        row["history"] = result.history.round(4).to_dict("records")
    if file:
        write_to(file, json.dumps(row | {"correct": result.correct.tolist()}).encode())
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    return row, result.correct


def source_for(task: Task) -> str:
    """The source model that comes with the course and suits a task: "garden" for its drawn images up to 64 pixels, which is
    what it was trained on; "efficientnet_lite0", trained on ImageNet, for photographs and larger drawings."""
    drawn = task.card is not None and task.card.embedded
    return "garden" if drawn and task.size <= DRAWN_SIZE else "efficientnet_lite0"


def for_task(recipe: Recipe, task: Task) -> Recipe:
    """The recipe with its source named; where it names none, the one of `source_for`, and a line says so, once a task."""
    if recipe.source is not None:
        return recipe
    source = source_for(task)
    if (announced := (task.name, task.size)) not in _announced:
        _announced.add(announced)
        print(
            f"{task.name}: source model {source!r}, images of {task.size} x {task.size} pixels "
            "(to choose others: source= in the recipe, size= in open_task)"
        )
    return replace(recipe, source=source)


def source_of(recipe: Recipe) -> Backbone:
    """The source model as a recipe starts from it, with the preprocessing that it asks for; the head is the source's."""
    backbone = load_backbone(recipe.source, recipe.weights)
    if recipe.copied is not None:
        fresh = load_backbone(recipe.source, weights=None).model
        backbone.model = transplant(backbone.model, fresh, recipe.copied)
    if recipe.preprocessing == "none":
        backbone = replace(backbone, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return backbone


def prepare(model: nn.Module, recipe: Recipe, task: Task, backbone: Backbone) -> nn.Module:
    """Freeze what the recipe freezes, in place, with BatchNorm as it says; returns the model, in training mode."""
    freeze(model.train(), recipe.upto)
    if recipe.batchnorm != "as frozen" and (recipe.batchnorm != "frozen" or has_batchnorm(model)):
        measured = recipe.batchnorm == "re-estimated"
        set_batchnorm(model, recipe.batchnorm, backbone.normalise(task.train.pixels) if measured else None)
    if recipe.only:
        train_only(model, recipe.only)
    return model


def _phase(recipe, backbone, task, seed, cache, progress, keep, before=None, engine=None) -> tuple[Run, str]:
    """One run of the optimizer with one part frozen, and the cut point before which features were kept ("": none were).

    keep: its checkpoints, if any. before: the last row of the history of the phase before it.
    """
    upto = recipe.upto
    model = prepare(backbone.model.to(device()), recipe, task, backbone)  # Lightning puts it back onto the CPU
    images, labels = task.train, task.train.labels
    if recipe.views:
        images, labels = fixed_views(task.train, recipe.views, seed, device())
    val_images, trains, kept = task.val, model, ""
    if cache and recipe.fixed:
        prefix, suffix = split(model, upto)
        if worth_caching(prefix, images, len(images) + len(val_images), backbone):
            images, val_images = extract(prefix, images, backbone), extract(prefix, val_images, backbone)
            trains, kept = suffix, str(upto)
    kind = Run if recipe.lr else Solve
    run = kind(recipe, model, (images, labels), (val_images, task.val.labels), seed=seed, trains=trains,
               normalise=backbone.normalise, progress=progress, before=before,
               thaw=_thawing(model, upto) if recipe.gradual else None, keep=keep, engine=engine)  # fmt: skip
    run.run()
    return run, kept


def _thawing(model, upto) -> Thaw:
    """One stage with parameters after the other, from the head down to `upto`, in the first half of the validation steps."""
    points = [stage.name for stage in reversed(cut(model, upto)[1]) if stage.parameters]
    return Thaw({i * CHECKS // (2 * len(points)): point for i, point in enumerate([*points[:-1], upto])}, "net")
