"""What a model costs: parameters and FLOPs a stage, and FLOPs, memory and seconds of a training step."""

import copy
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import pandas
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from helpers.freezing import freeze, held_modules, parameter_groups
from helpers.heads import mode, swap_head
from helpers.images.tasks import Task
from helpers.notebook.tables import html_table
from helpers.stages import Stage, part, split, stages
from helpers.training.devices import device, layout, seeded
from helpers.training.features import extract
from helpers.training.fitting import for_task, prepare, source_of
from helpers.training.recipes import Recipe
from helpers.training.steps import take_steps


@dataclass(frozen=True)
class Summary:
    """A table: `rows` has a dict for each stage (as pandas.DataFrame takes them), `notes` the lines below it."""

    rows: list[dict]
    notes: list[str]

    def cells(self) -> list[list[str]]:
        """The table as text: a line of titles, one line a stage, the totals."""
        lines = [["stage", "parameters", "trainable", "mode", "MFLOPs", "cache MB"]]
        sums = {key: sum(row[key] for row in self.rows) for key in ("parameters", "trainable", "flops")}
        for row in [*self.rows, {"stage": "total", "mode": "", "cache_mb": None, **sums}]:
            numbers = f"{row['parameters']:,}", f"{row['trainable']:,}"
            cache = f"{row['cache_mb']:.4f}" if row["cache_mb"] else ""
            lines.append([row["stage"], *numbers, row["mode"], f"{row['flops'] / 1e6:,.1f}", cache])
        return lines

    def __str__(self) -> str:
        columns = []
        for i, column in enumerate(zip(*self.cells(), strict=True)):
            width = max(map(len, column))
            columns.append([text.ljust(width) if i in (0, 3) else text.rjust(width) for text in column])
        return "\n".join([*("  ".join(line).rstrip() for line in zip(*columns, strict=True)), *self.notes])

    def _repr_html_(self) -> str:
        titles, *lines = self.cells()
        return html_table(titles, lines) + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def summary(model: nn.Module, size: int = 224) -> Summary:
    """What trains in each stage of a model, and what the stage costs; prints as a table.

    mode       "frozen": held in evaluation mode by `freeze`; otherwise "train" or "eval", as the model is
    MFLOPs     of the forward pass for one image of `size` x `size` pixels; a multiply-add counts as 2
    cache MB   of memory for one image, if the model is cut before this stage and the features are kept

    The line "backward reaches" names the first stage with a trainable parameter: the backward pass runs
    from the loss down to there, even for a single parameter.
    Raises ValueError if the model does not take images of this size.
    """
    held = held_modules(model)
    rows = [
        {
            "stage": stage.name,
            "parameters": sum(parameter.numel() for parameter in stage.parameters),
            "trainable": sum(parameter.numel() for parameter in stage.parameters if parameter.requires_grad),
            "mode": _mode(stage, held),
            "flops": flops,
            "cache_mb": entering.nbytes / 1e6,
        }
        for stage, entering, _, flops in walk(model, size)
    ]
    reached = next((row["stage"] for row in rows if row["trainable"]), "nothing, no parameter is trainable")
    costs = f"MFLOPs and cache MB: for one image of {size} x {size} px; the cache holds what enters the stage"
    return Summary(rows, [f"backward reaches: {reached}", costs])


def _mode(stage: Stage, held: set[nn.Module]) -> str:
    if not held.isdisjoint(stage.modules):
        return "frozen"
    return "train" if any(module.training for module in stage.modules) else "eval"


def stage_modules(model: nn.Module) -> list[tuple[Stage, nn.Module]]:
    """Each stage, and it as a module by itself, which takes a copy of its input; they share the model's own modules."""
    found = stages(model)
    between = [None, *(stage.input for stage in found[1:]), None]
    return [(stage, part(model, [stage], *between[i : i + 2])) for i, stage in enumerate(found)]


def walk(model: nn.Module, size: int) -> Iterator[tuple[Stage, torch.Tensor, torch.Tensor, int]]:
    """Each stage, what enters and what leaves it for one image of `size` x `size` pixels, and its FLOPs.

    Nothing is computed: the tensors are on the meta device, which has shapes only. A model there will do, too.
    Raises ValueError if the model does not take images of this size.
    """
    x = torch.empty(1, 3, size, size, device="meta", dtype=next(model.parameters()).dtype)
    for stage, module in stage_modules(model):
        state = dict([*module.named_parameters(), *module.named_buffers()])
        shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
        try:
            with mode(model, training=False), torch.no_grad(), FlopCounterMode(display=False) as counter:
                out = torch.func.functional_call(module, shapes, x)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"{type(model).__name__} does not take images of {size} x {size} px: its stage "
                f"'{stage.name}' fails on them. Use the size that it was made for"
            ) from error
        yield stage, x, out, counter.get_total_flops()
        x = out


def count_flops(model: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """FLOPs of the forward and of the backward pass of one step on normalised images (N, 3, H, W).

    Counted while the step runs, on a copy of the model: convolutions and matrix products only, a multiply-add as 2 (BatchNorm,
    ReLU and pooling are below 1% of a ResNet). Where nothing trains the backward pass is 0.
    Raises ValueError if there are no images.
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

    The recipes take turns, one step each a round, so that a busy machine slows them all down. Not included: reading
    and augmenting images, and for cached rows the one pass that fills the cache.
    Raises ValueError for no recipes, two of one name, and fewer than batch_size training images, or what `freeze` raises.
    """
    names = [recipe.name for recipe in recipes]
    if not recipes or len(set(names)) < len(names):
        raise ValueError(f"step_costs needs recipes with different names, got {names}")
    if len(task.train) < batch_size:
        raise ValueError(f"a batch needs {batch_size} training images, and {task!r} has {len(task.train)}")
    rows, steps = {}, {}
    with seeded(0):
        for recipe in recipes:
            for name, trains, model, images in _prepared(recipe, task, batch_size):
                trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
                forward, backward = count_flops(trains, images)
                rows[name] = {
                    "trained": trained,
                    "forward MFLOPs": forward / 1e6,
                    "backward MFLOPs": backward / 1e6,
                    "activations MB": kept_for_backward(trains, images) / 1e6,
                    "gradients + AdamW MB": 12 * trained / 1e6,
                }
                steps[name] = _stepper(recipe, trains, model, images, task.train.labels[:batch_size].to(images.device))
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
    seconds, parts = {}, stage_modules(freeze(copy.deepcopy(model), 0).train())
    for round_ in range(rounds + 1):
        x = _some(images)
        for i, (stage, module) in enumerate(parts):
            x = x.detach().requires_grad_(i > 0)
            started, x = now(), module(x)
            between = now()
            if x.requires_grad:
                x.sum().backward()
            took = (between - started) / len(images), (now() - between) / len(images)
            if round_:
                seconds[stage.name] = tuple(map(min, took, seconds.get(stage.name, took)))
    return seconds


def now() -> float:
    """The clock, after the accelerator has finished its work."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()


def _prepared(recipe: Recipe, task: Task, batch_size: int):
    """(name, what is applied to a batch, the whole model, the batch), with and, where it can be, without the cache."""
    recipe = for_task(recipe, task)
    backbone = source_of(recipe)
    model = swap_head(backbone.model, len(task.classes)).to(device(), memory_format=layout())
    prepare(model, recipe, task, backbone)
    pixels = task.train[torch.arange(batch_size)][0].to(device())
    yield recipe.name, model, model, backbone.normalise(pixels)
    if recipe.upto != 0 and recipe.fixed:
        prefix, suffix = split(model, recipe.upto)
        yield f"{recipe.name}, cached", suffix, model, extract(prefix, pixels, backbone)


def _stepper(recipe: Recipe, trains: nn.Module, model: nn.Module, images: torch.Tensor, labels: torch.Tensor):
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.lr or 1e-2, recipe.decay, recipe.weight_decay))
    return lambda: take_steps([images], lambda batch: F.cross_entropy(trains(batch), labels), optimizer)


def _side_by_side(steps: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, in rounds; the first two rounds are for warming up and do not count."""
    times = {name: [] for name in steps}
    for round_ in range(rounds + 2):
        for name, step in steps.items():
            started = now()
            step()
            if round_ >= 2:
                times[name].append(now() - started)
    return times


def _some(images: torch.Tensor) -> torch.Tensor:
    if len(images) == 0:
        raise ValueError("there are no images to count the costs of a step on")
    return images
