"""What a training step costs: FLOPs really counted, memory kept for the backward pass, seconds side by side."""

import copy
import statistics
import time

import pandas
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from helpers.freezing import freeze, parameter_groups
from helpers.heads import swap_head
from helpers.images.tasks import Task
from helpers.sources.backbones import load_backbone
from helpers.stages import part, split, stages
from helpers.training.features import extract
from helpers.training.recipes import Recipe


def count_flops(model: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """FLOPs of the forward and of the backward pass of one step on normalised images (N, 3, H, W).

    Counted while the step really runs, on a copy of the model: of convolutions and matrix products, a multiply-add as
    2. A forward pass that only BatchNorm, ReLU and pooling take part in counts as 0 (they are below 1 % of a ResNet).
    Where nothing trains the backward pass is 0. Raises ValueError if there are no images.
    """
    model, images = copy.deepcopy(model), _some(images)
    with FlopCounterMode(display=False) as forward:
        logits = model(images)
    loss = F.cross_entropy(logits, logits.detach().argmax(1))
    with FlopCounterMode(display=False) as backward:
        if loss.requires_grad:
            loss.backward()
    return forward.get_total_flops(), backward.get_total_flops()


def kept_for_backward(model: nn.Module, images: torch.Tensor) -> int:
    """Bytes of activations that one forward pass on images (N, 3, H, W) keeps for the backward pass.

    Counted by torch's own hooks (torch.autograd.graph.saved_tensors_hooks), on a copy of the model: each block of memory
    once, without the model's own parameters and buffers, and without the loss. Raises ValueError if there are no images.
    """
    model, images = copy.deepcopy(model), _some(images)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept = {}  # the tensors stay in here, so that no block of memory is given to another one meanwhile

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(storage.nbytes() for storage in kept.values())


def step_costs(recipes: list[Recipe], task: Task, batch_size: int = 32, rounds: int = 15) -> pandas.DataFrame:
    """What one training step of each recipe costs on this machine: a table, a row a recipe.

    Where a recipe's frozen features can be kept (its views are fixed, or nothing is augmented) it has a second row,
    "..., cached". The columns:

        trained         parameters that get a gradient
        forward, backward MFLOPs    of one step on `batch_size` images, see `count_flops`
        activations MB  kept for the backward pass, see `kept_for_backward`
        gradients + AdamW MB        12 bytes a trained parameter: its gradient and the two averages of AdamW
        ms              a step: forward, loss, backward, optimizer; the median of `rounds`
        images/s        by that median
        share           of the time of the slowest recipe: the median of the ratios round by round

    The recipes take turns, one step each a round, so that a busy machine slows them all down. What is not in it: reading
    and augmenting images, and for cached rows the one pass that fills the cache.
    Raises ValueError for no recipes, two of one name, and fewer than batch_size training images, or what `freeze` raises.
    """
    names = [recipe.name for recipe in recipes]
    if not recipes or len(set(names)) < len(names):
        raise ValueError(f"step_costs needs recipes with different names, got {names}")
    if len(task.train) < batch_size:
        raise ValueError(f"a batch of {batch_size} images needs as many, and {task!r} has {len(task.train)} to train on")
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    rows, steps = {}, {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for recipe in recipes:
            for name, trains, model, images in _prepared(recipe, task, batch_size, device):
                rows[name] = _counts(trains, model, images)
                steps[name] = _stepper(recipe, trains, model, images, task.train.labels[:batch_size].to(device))
        times = _side_by_side(steps, rounds)
    slowest = max(times, key=lambda name: statistics.median(times[name]))
    for name, row in rows.items():
        median = statistics.median(times[name])
        ratios = [mine / theirs for mine, theirs in zip(times[name], times[slowest], strict=True)]
        row |= {"ms": 1000 * median, "images/s": batch_size / median, "share": statistics.median(ratios)}
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("recipe")


def stage_seconds(model: nn.Module, images: torch.Tensor, rounds: int = 2) -> dict[str, tuple[float, float]]:
    """Seconds of the forward and of the backward pass of each stage for one image, by name: a short calibration.

    Each stage runs by itself on normalised images (N, 3, H, W), on a copy of the model where nothing is frozen; the
    fastest of `rounds` after a first one that warms up. Raises ValueError if there are no images.
    """
    model = freeze(copy.deepcopy(model), 0).train()
    found, seconds = stages(model), {}
    ends = [stage.input for stage in found[1:]] + [None]
    starts = [None] + ends[:-1]
    halves = [part(model, [stage], *way) for stage, *way in zip(found, starts, ends, strict=True)]
    for round_ in range(rounds + 1):
        x = _some(images)
        for stage, half in zip(found, halves, strict=True):
            x = x.detach().requires_grad_(stage is not found[0])
            started, y = _now(), half(x)
            between = _now()
            if y.requires_grad:
                y.sum().backward()
            took = (between - started) / len(images), (_now() - between) / len(images)
            if round_:
                seconds[stage.name] = tuple(map(min, took, seconds.get(stage.name, took)))
            x = y
    return seconds


def _now() -> float:
    """The clock, once the accelerator has done what it was told to."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()


def _prepared(recipe: Recipe, task: Task, batch_size: int, device):
    """(name, what is applied to a batch, the whole model, the batch), with and, where it can be, without the cache."""
    backbone = load_backbone(recipe.source, recipe.weights)
    model = swap_head(backbone.model, len(task.classes)).to(device, memory_format=torch.channels_last).train()
    freeze(model, recipe.upto)
    pixels = task.train[torch.arange(batch_size)][0].to(device)
    yield recipe.name, model, model, backbone.normalise(pixels)
    if recipe.upto != 0 and (recipe.views or not recipe.augment):
        prefix, suffix = split(model, recipe.upto)
        yield f"{recipe.name}, cached", suffix, model, extract(prefix, pixels, backbone)


def _counts(trains: nn.Module, model: nn.Module, images: torch.Tensor) -> dict:
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    forward, backward = count_flops(trains, images)
    return {
        "trained": trained, "forward MFLOPs": forward / 1e6, "backward MFLOPs": backward / 1e6,
        "activations MB": kept_for_backward(trains, images) / 1e6, "gradients + AdamW MB": 12 * trained / 1e6,
    }  # fmt: skip


def _stepper(recipe: Recipe, trains: nn.Module, model: nn.Module, images: torch.Tensor, labels: torch.Tensor):
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.lr, recipe.decay, recipe.weight_decay))

    def step():
        loss = F.cross_entropy(trains(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _side_by_side(steps: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, in rounds; the first two rounds are for warming up and do not count."""
    times = {name: [] for name in steps}
    for round_ in range(rounds + 2):
        for name, step in steps.items():
            started = _now()
            step()
            if round_ >= 2:
                times[name].append(_now() - started)
    return times


def _some(images: torch.Tensor) -> torch.Tensor:
    if len(images) == 0:
        raise ValueError("there are no images to count the costs of a step on")
    return images
