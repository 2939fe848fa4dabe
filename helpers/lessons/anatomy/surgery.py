"""Take a network apart: what each stage holds, gives and sees; how far frozen BatchNorm drifts; what features know."""

import copy
import time

import pandas
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.freezing import freeze
from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.sources.backbones import load_backbone
from helpers.stages import part, split, stages
from helpers.training.devices import provenance, seeded
from helpers.training.features import extract
from helpers.training.study import Study

GLOBAL = (nn.Linear, nn.MultiheadAttention)  # each of their outputs depends on the whole picture
LOCAL = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def take_apart(model: nn.Module, size: int = 224) -> pandas.DataFrame:
    """A row for each stage that holds parameters; stages without (ReLU, pooling) are counted to the one before.

    output      shape of what leaves the stage, for one image of `size` x `size` pixels: channels x height x width, or
                for a transformer tokens x channels
    sees        width in pixels of the part of the picture that the unit in the middle depends on, at most `size`
    parameters  how many, and share %: of the whole network
    The model may be on the meta device: no value is looked at. Raises ValueError as `summary` does.
    """
    found = stages(model)
    total = sum(parameter.numel() for parameter in model.parameters())
    rows = []
    for stage, shape, width in zip(found, _shapes(model, found, size), receptive_fields(model, size), strict=True):
        row = {"output": " x ".join(map(str, shape)), "sees": width}
        if stage.parameters or not rows:
            count = sum(parameter.numel() for parameter in stage.parameters)
            rows.append({"stage": stage.name, **row, "parameters": count, "share %": round(100 * count / total, 1)})
        elif not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in stage.modules):
            rows[-1] |= row
    return pandas.DataFrame(rows).set_index("stage")


def _shapes(model, found, size) -> list[tuple[int, ...]]:
    from helpers.heads import mode

    x, shapes = torch.empty(1, 3, size, size, device="meta", dtype=next(model.parameters()).dtype), []
    with mode(model, training=False), torch.no_grad():
        for i, stage in enumerate(found):
            module = part(model, [stage], stage.input if i else None, found[i + 1].input if i + 1 < len(found) else None)
            state = {name: torch.empty_like(tensor, device="meta")
                     for name, tensor in (*module.named_parameters(), *module.named_buffers())}  # fmt: skip
            try:
                x = torch.func.functional_call(module, state, x)
            except (RuntimeError, AssertionError) as error:
                raise ValueError(f"{type(model).__name__} does not take images of {size} x {size} px") from error
            shapes.append(tuple(x.shape[1:]))
    return shapes


def receptive_fields(model: nn.Module, size: int = 224) -> list[int]:
    """For each stage: on how many columns of pixels, of `size`, the unit in the middle of its output depends.

    Measured, not calculated: a copy with few channels has the same geometry and costs next to nothing. It gets `size`
    pictures, in each of which another column is not a number (NaN). A convolution or a pooling passes NaN on, so the
    unit in the middle is NaN exactly where it sees the hole. From the first stage on that mixes all places (a linear
    layer, attention, a global pooling) and for the head, it is `size`.
    """
    found = stages(model)
    holes = torch.zeros(size, 1, size, size if size < 64 else 64).transpose(2, 3)
    holes[torch.arange(size), :, :, torch.arange(size)] = float("nan")
    widths, seen = [], 1
    for i, stage in enumerate(found):
        inner = [module for used in stage.modules for module in used.modules()]
        is_head = i + 1 == len(found)
        if seen == size or is_head or any(isinstance(module, GLOBAL) for module in inner):
            seen = size
        elif any(isinstance(module, LOCAL) for module in inner):
            module = stage.modules[0] if len(stage.modules) == 1 else None
            module = module or part(model, [stage], stage.input if i > 0 else None, found[i + 1].input)
            with torch.no_grad():
                holes = _slim(module).eval()(holes)
            middle = holes[:, 0, holes.shape[2] // 2, holes.shape[3] // 2]
            seen = int(middle.isnan().sum())
        widths.append(seen)
    return widths


class _SlimConv2d(nn.Conv2d):
    """However many channels come in, by concatenation for instance: their mean is NaN where one of them is."""

    def forward(self, x):
        return super().forward(x.mean(1, keepdim=True))


def _slim(module: nn.Module) -> nn.Module:
    """A copy in which every convolution has two channels at most, and normalisation does nothing."""
    whole = nn.Sequential(copy.deepcopy(module))  # so that every module to be replaced is within another
    for name, inner in list(whole.named_modules()):
        if isinstance(inner, nn.Conv2d):
            geometry = {key: getattr(inner, key) for key in ("kernel_size", "stride", "padding", "dilation")}
            whole.set_submodule(name, _SlimConv2d(1, 2, bias=False, **geometry))
        elif isinstance(inner, _BatchNorm):
            whole.set_submodule(name, nn.Identity())
    return whole


@styled
def plot_parameters(tables: dict[str, pandas.DataFrame]):
    """Where the parameters are: a panel for each table of `take_apart`, a bar a stage from the input (top) to the head."""
    figure, (axes,) = new_axes(1, len(tables), (4.6 * len(tables), 5.2))
    for axis, (name, table), colour in zip(axes, tables.items(), COLOURS, strict=False):
        names = [stage.replace("encoder.layers.encoder_layer_", "block ") for stage in table.index]
        millions = table["parameters"] / 1e6
        axis.barh(range(len(names)), millions, color=colour)
        for i, (value, share) in enumerate(zip(millions, table["share %"], strict=True)):
            if share >= 3:
                axis.annotate(f"{share:.0f} %", (value, i), (4, 0), textcoords="offset points", va="center", fontsize=10)
        axis.set(xlabel="million parameters", title=f"{name}: {millions.sum():.1f} million", ylim=(len(names) - 0.4, -0.6))
        axis.set_xlim(0, 1.18 * millions.max())
        axis.set_yticks(range(len(names)), names, fontsize=10)
        axis.grid(axis="y", visible=False)
    return figure


def fit_head(features: torch.Tensor, labels: torch.Tensor, classes: int, seed: int = 0, steps: int = 200) -> nn.Linear:
    """A linear layer on features float32 (N, D), fitted to labels int64 (N,): AdamW on all of them at once."""
    with seeded(seed):
        head = nn.Linear(features.shape[1], classes)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.05)
    for _ in range(steps):
        loss = F.cross_entropy(head(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.requires_grad_(False)


def study_of(question: str, rows: list[dict]) -> Study:
    """A Study of answers that were not made by `fit`: tables with n, seeds and intervals as usual.

    rows: each a dict of conditions, "seed", "correct" (bool (n,): which test images were named rightly), and further
    measured columns under "also" (a dict of numbers). Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("a study needs at least one row of answers")
    conditions = [name for name in rows[0] if name not in ("seed", "correct", "also", "seconds")]
    runs = [
        {**{name: row[name] for name in conditions}, "seed": row["seed"], "n": len(row["correct"]),
         "accuracy": row["correct"].double().mean().item(), "seconds": row.get("seconds", 0.0), **row.get("also", {})}
        for row in rows
    ]  # fmt: skip
    about = {"seeds": ", ".join(map(str, sorted({row["seed"] for row in rows})))} | provenance()
    return Study(question, conditions, pandas.DataFrame(runs), [row["correct"] for row in rows], about)


def batchnorm_drift(known, seen, steps=(0, 2, 5, 10, 20, 50), seeds: int = 3, *, frozen: str = "requires_grad") -> Study:
    """What happens to a head while its "frozen" backbone is in training mode: no parameter changes in all this.

    A head is fitted to the features of the task `known`. Then the backbone sees batches of 32 training images of the
    task `seen`, forward only, with every requires_grad False, and is asked again about the test images of `known`.
    frozen: "requires_grad" alone, or "h.freeze". Conditions: known, seen, frozen, steps. Also measured: features and
    statistics, how far the features of the test images and the running means and standard deviations have moved (the
    length of the difference in % of the length before); refitted, the accuracy in % with a head fitted anew.
    """
    backbone, rows = load_backbone("garden"), []
    for seed in range(seeds):
        started = time.perf_counter()
        model = copy.deepcopy(backbone.model)
        model.requires_grad_(False) if frozen == "requires_grad" else freeze(model, -1).requires_grad_(False)
        here, there = known.draw(seed), seen.draw(seed)
        prefix, images = split(model, -1)[0], there.train.pixels
        head = fit_head(extract(prefix, here.train.pixels, backbone), here.train.labels, len(here.classes), seed)
        dice, step, before = torch.Generator().manual_seed(seed), 0, None
        for stop in steps:
            model.train()
            with torch.no_grad():
                for _ in range(step, stop):  # goes on where the last stretch ended
                    model(backbone.normalise(images[torch.randperm(len(images), generator=dice)[:32]]))
            step = stop
            features, statistics = extract(prefix.eval(), here.test.pixels, backbone), _statistics(model)
            before = before or (features, statistics)
            refitted = fit_head(extract(prefix, here.train.pixels, backbone), here.train.labels, len(here.classes), seed)
            also = {"features": _moved(features, before[0]), "statistics": _moved(statistics, before[1]),
                    "refitted": 100 * (refitted(features).argmax(1) == here.test.labels).double().mean().item()}  # fmt: skip
            rows.append({"known": known.name, "seen": seen.name, "frozen": frozen, "steps": stop, "seed": seed,
                         "correct": head(features).argmax(1) == here.test.labels, "also": also,
                         "seconds": round(time.perf_counter() - started, 3)})  # fmt: skip
    return study_of("a frozen backbone in training mode", rows)


def _statistics(model: nn.Module) -> torch.Tensor:
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return torch.cat([x for layer in layers for x in (layer.running_mean, layer.running_var.sqrt())])


def _moved(now: torch.Tensor, before: torch.Tensor) -> float:
    return 100 * ((now - before).norm() / before.norm()).item()


def explained(features: torch.Tensor, values: torch.Tensor, test_features: torch.Tensor, test_values: torch.Tensor,
              penalty: float = 10.0) -> float:  # fmt: skip
    """R2 on test images of a linear (ridge) regression from features float32 (N, D) to values float (N,)."""
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    x, test = ((f - mean) / spread for f in (features, test_features))
    middle = values.mean()
    weights = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ (values - middle))
    errors = test @ weights + middle - test_values
    return 1 - (errors.square().sum() / (test_values - test_values.mean()).square().sum()).item()
