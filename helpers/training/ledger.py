"""What trains, what is frozen, and what each stage costs: a table with one row a stage."""

from dataclasses import dataclass
from html import escape

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.freezing import held_modules
from helpers.heads import mode
from helpers.stages import Stage, part, stages


@dataclass(frozen=True)
class Summary:
    """A table: `rows` has a dict for each stage (as pandas.DataFrame takes them), `notes` the lines below."""

    rows: list[dict]
    notes: list[str]

    def cells(self) -> list[list[str]]:
        """The table as text: a line of titles, one line a stage, the totals."""
        sums = {key: sum(row[key] for row in self.rows) for key in ("parameters", "trainable", "flops")}
        lines = [
            [
                row["stage"],
                f"{row['parameters']:,}",
                f"{row['trainable']:,}",
                row["mode"],
                f"{row['flops'] / 1e6:,.1f}",
                f"{row['cache_mb']:.4f}" if row["cache_mb"] else "",
            ]
            for row in [*self.rows, {"stage": "total", "mode": "", "cache_mb": None, **sums}]
        ]
        return [["stage", "parameters", "trainable", "mode", "MFLOPs", "cache MB"], *lines]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for line in cells:
            padded = [text.rjust(width) for text, width in zip(line, widths, strict=True)]
            padded[0], padded[3] = line[0].ljust(widths[0]), line[3].ljust(widths[3])
            lines.append("  ".join(padded).rstrip())
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        titles, *lines = self.cells()
        head = "".join(f"<th>{escape(text)}</th>" for text in titles)
        rows = ["".join(f"<td>{escape(text)}</td>" for text in line) for line in lines]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def summary(model: nn.Module, size: int = 224) -> Summary:
    """Say of each stage what trains in it and what it costs; prints as a table.

    mode       "frozen": held in evaluation mode by `freeze`; otherwise "train" or "eval", as the model is
    MFLOPs     of the forward pass for one image of `size` x `size` pixels; a multiply-add counts as 2
    cache MB   of memory for one image, if the model is cut before this stage and the features are kept

    The line "backward reaches" names the first stage with a trainable parameter: the backward pass runs
    from the loss down to there, even for the sake of a single parameter.
    Raises ValueError if the model does not take images of this size.
    """
    found = stages(model)
    flops, megabytes = _costs(model, found, size)
    held = held_modules(model)
    rows = [
        {
            "stage": stage.name,
            "parameters": sum(parameter.numel() for parameter in stage.parameters),
            "trainable": sum(parameter.numel() for parameter in stage.parameters if parameter.requires_grad),
            "mode": _mode(stage, held),
            "flops": flops[i],
            "cache_mb": megabytes[i],
        }
        for i, stage in enumerate(found)
    ]
    reached = next((row["stage"] for row in rows if row["trainable"]), "nothing, no parameter is trainable")
    costs = f"MFLOPs and cache MB: for one image of {size} x {size} px; the cache holds what enters the stage"
    return Summary(rows, [f"backward reaches: {reached}", costs])


def _mode(stage: Stage, held: set[nn.Module]) -> str:
    if not held.isdisjoint(stage.modules):
        return "frozen"
    return "train" if any(module.training for module in stage.modules) else "eval"


def _costs(model: nn.Module, found: list[Stage], size: int) -> tuple[list[int], list[float]]:
    """FLOPs of each stage, and MB of what enters it, from a forward pass of shapes only (meta device)."""
    x = torch.empty(1, 3, size, size, device="meta", dtype=next(model.parameters()).dtype)
    flops, megabytes = [], []
    with mode(model, training=False), torch.no_grad():
        for i, stage in enumerate(found):
            start = stage.input if i > 0 else None
            end = found[i + 1].input if i + 1 < len(found) else None
            module = part(model, [stage], start, end)
            state = [*module.named_parameters(), *module.named_buffers()]
            shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state}
            megabytes.append(x.numel() * x.element_size() / 1e6)
            with FlopCounterMode(display=False) as counter:
                try:
                    x = torch.func.functional_call(module, shapes, x)
                except (RuntimeError, AssertionError) as error:
                    raise ValueError(
                        f"{type(model).__name__} does not take images of {size} x {size} px: its stage "
                        f"'{stage.name}' fails on them. Use the size that it was made for"
                    ) from error
            flops.append(counter.get_total_flops())
    return flops, megabytes
