"""The stages of a network in a table: what each holds, what it hands on, and how much of the picture it sees."""

import copy

import pandas
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.costs import stage_modules, walk

GLOBAL = (nn.Linear, nn.MultiheadAttention)  # every output depends on the whole picture
LOCAL = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def take_apart(model: nn.Module, size: int = 224) -> pandas.DataFrame:
    """A row for each stage that holds parameters; stages without (ReLU, pooling) are counted to the one before.

    output      shape of the stage's output for one image of `size` x `size` pixels: channels x height x width, or tokens x
                channels for a transformer
    sees        width in pixels of the receptive field of the unit in the middle, at most `size`
    parameters  how many; share %: of the whole network
    The model may be on the meta device. Raises ValueError if it does not take images of this size.
    """
    total = sum(parameter.numel() for parameter in model.parameters())
    rows = []
    for (stage, _, out, _), width in zip([*walk(model, size)], receptive_fields(model, size), strict=True):
        row = {"output": " x ".join(map(str, out.shape[1:])), "sees": width}
        if stage.parameters or not rows:
            count = sum(parameter.numel() for parameter in stage.parameters)
            rows.append({"stage": stage.name, **row, "parameters": count, "share %": round(100 * count / total, 1)})
        elif not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in stage.modules):
            rows[-1] |= row
    return pandas.DataFrame(rows).set_index("stage")


def receptive_fields(model: nn.Module, size: int = 224) -> list[int]:
    """For each stage: on how many columns of pixels, of `size`, the unit in the middle of its output depends.

    Measured, not calculated, on a copy with few channels, which has the same geometry and is cheap. It gets `size`
    pictures, each with NaN in another column. Convolution and pooling pass NaN on, so the unit in the middle is NaN exactly
    where it sees that column. For the head, and from the first stage that mixes all positions (a linear layer, attention,
    global pooling), it is `size`.
    """
    parts = stage_modules(model)
    holes = torch.zeros(size, 1, size, size if size < 64 else 64).transpose(2, 3)
    holes[torch.arange(size), :, :, torch.arange(size)] = float("nan")
    widths, seen = [], 1
    for i, (stage, module) in enumerate(parts, 1):
        inner = [module for used in stage.modules for module in used.modules()]
        if seen == size or i == len(parts) or any(isinstance(module, GLOBAL) for module in inner):
            seen = size
        elif any(isinstance(module, LOCAL) for module in inner):
            with torch.no_grad():
                holes = _slim(stage.modules[0] if len(stage.modules) == 1 else module).eval()(holes)
            seen = int(holes[:, 0, holes.shape[2] // 2, holes.shape[3] // 2].isnan().sum())
        widths.append(seen)
    return widths


class _SlimConv2d(nn.Conv2d):
    """Takes any number of input channels, as after a concatenation: their mean is NaN where one of them is."""

    def forward(self, x):
        return super().forward(x.mean(1, keepdim=True))


def _slim(module: nn.Module) -> nn.Module:
    """A copy in which every convolution has two channels at most, and normalisation does nothing."""
    whole = nn.Sequential(copy.deepcopy(module))  # so that every module to be replaced has a parent
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
                axis.annotate(f"{share:.0f}%", (value, i), (4, 0), textcoords="offset points", va="center", fontsize=10)
        axis.set(xlabel="million parameters", title=f"{name}: {millions.sum():.1f} million", ylim=(len(names) - 0.4, -0.6))
        axis.set_xlim(0, 1.18 * millions.max())
        axis.set_yticks(range(len(names)), names, fontsize=10)
        axis.grid(axis="y", visible=False)
    return figure
