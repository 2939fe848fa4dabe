"""Diagrams of transfer: what of a model is copied and what trains, and what a step costs."""

import pandas
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import Task
from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.sources.backbones import load_backbone
from helpers.training.costs import summary
from helpers.training.recipes import Recipe

FROZEN, TUNED, FRESH = "#B8C4D0", COLOURS[2], COLOURS[4]  # copied and frozen; copied and trained; random and trained


def variant_table(recipes: list[Recipe], classes: int) -> pandas.DataFrame:
    """What each recipe does to each stage: a column a recipe, a row a stage that has parameters.

    "frozen": copied from the source and kept; "fine-tuned": copied, then trained; "new": random, then trained. Read from the
    model that the recipe makes, not from its name; a recipe that names no source is shown from "garden".
    """
    columns = {}
    for recipe in recipes:
        model = swap_head(load_backbone(recipe.source or "garden", recipe.weights).model, classes)
        rows = [row for row in summary(freeze(model, recipe.upto), 64).rows if row["parameters"]]
        columns[recipe.name] = {
            row["stage"]: "new" if recipe.weights is None or row is rows[-1] else "fine-tuned" if row["trainable"] else "frozen"
            for row in rows
        }
    return pandas.DataFrame(columns).rename_axis("stage")


@styled
def plot_model_view(recipes: list[Recipe], task: Task, source_classes: int) -> Figure:
    """The model view of transfer: the source model's stages, and what each recipe makes of them (see `variant_table`).

    From input (below) to output layer (above); recipes that copy nothing are left of the source model. Each box has a colour
    and a word.
    """
    table = variant_table(recipes, len(task.classes))
    colours = {"frozen": FROZEN, "fine-tuned": TUNED, "new": FRESH}
    figure, ((axis,),) = new_axes(1, 1, (2.3 * (len(recipes) + 1), 5.6))
    random = [recipe.name for recipe in recipes if recipe.weights is None]
    names = [*random, "source model", *(name for name in table.columns if name not in random)]
    for column, name in enumerate(names):
        x, is_source = 2.3 * column, column == len(random)
        for row, stage in enumerate(table.index):
            state = "source" if is_source else table.loc[stage, name]
            head = row == len(table) - 1
            outputs = f", {source_classes if is_source else len(task.classes)} outputs" if head else ""
            words = f"{stage}{outputs}" if is_source else f"{state}{outputs}"
            colour = COLOURS[5] if is_source else colours[state]
            _box(axis, (x, row), 1.7, words, colour, hatched=state == "frozen")
        axis.text(x + 0.85, len(table) + 0.05, name, ha="center", va="bottom", fontsize=11, fontweight="bold")
    beside = 2.3 * len(random) + 2.0
    axis.text(beside, len(table) - 0.69, "not\ncopied", ha="center", va="center", fontsize=9, color=COLOURS[1])
    meanings = [(COLOURS[5], None, "the source model"), (FROZEN, "//", "copied, frozen"), (TUNED, None, "copied, then trained"),
                (FRESH, None, "random, then trained")]  # fmt: skip
    patches = [Patch(facecolor=colour, hatch=hatch, label=label) for colour, hatch, label in meanings]
    axis.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, 0.04), ncols=4, fontsize=10)
    _arrow(axis, (-0.35, 0), (-0.35, len(table) - 0.3), 18, "0.3", linewidth=1.5)
    axis.text(-0.55, len(table) / 2, "from the images up to the answer", rotation=90, ha="center", va="center", fontsize=10)
    axis.set(xlim=(-0.75, 2.3 * len(names) - 0.35), ylim=(-0.5, len(table) + 0.6))
    axis.axis("off")
    return figure


def _box(axis, corner, width: float, words: str, colour, hatched: bool, height: float = 0.62, pad: float = 1.5) -> None:
    """A stage as a box with words on it; hatched if it is frozen."""
    x, y = corner
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.05", facecolor=colour, edgecolor="0.3",
                                  hatch="//" if hatched else None, linewidth=0.8))  # fmt: skip
    axis.text(x + width / 2, y + height / 2, words, ha="center", va="center", fontsize=10,
              bbox={"facecolor": colour, "edgecolor": "none", "pad": pad})  # fmt: skip


@styled
def plot_network(stages: list[tuple[str, int, str]], kept: str = "", figure: Figure | None = None, width: float = 1.0) -> Figure:
    """A network as a stack of its stages, images below and loss above: which are frozen, and where the backward pass ends.

    stages  (name, parameters, state) from input to head; state: "frozen", "trains" or "new, trains"
    kept    what is written at the cut, such as "3.3 MB kept"; "" if no features are kept
    figure  one to draw into, its left part of this `width` (0..1); default: a figure of its own
    A frozen stage is grey and hatched, with a lock and the word. The arrow on the left is the forward pass, dotted where it
    runs only once; the arrow on the right is the backward pass, from the loss down to the first stage that trains.
    Raises ValueError for another state, or if a frozen stage follows one that trains.
    """
    colours = {"frozen": FROZEN, "trains": TUNED, "new, trains": FRESH}
    states = [state for _, _, state in stages]
    at = sum(state == "frozen" for state in states)
    if not set(states) <= set(colours) or states[:at] != ["frozen"] * at or at == len(states):
        raise ValueError(f"stages must be frozen up to one, then train, got {states}")
    figure = figure or Figure(figsize=(3.85, 1.25 + 0.42 * len(stages)))
    axis = figure.add_axes((0, 0, width, 1))
    top = len(stages) - 0.05
    words = "{}: {}\n{:,} parameters" if len(stages) < 10 else "{}: {}, {:,}"
    for row, (name, parameters, state) in enumerate(stages):
        _box(axis, (1.25, row), 3.6, words.format(name, state, parameters), colours[state], state == "frozen", 0.72, 0.2)
        if state == "frozen":
            axis.add_patch(Arc((1.42, row + 0.41), 0.16, 0.36, theta1=0, theta2=180, linewidth=2, color="k"))
            axis.add_patch(Rectangle((1.3, row + 0.15), 0.24, 0.26, color="k"))
    cut = at - 0.14 if at else -0.35
    _forward(axis, cut, top + 0.2, "each step" if len(stages) - at > 1 else "step")
    if at:
        _forward(axis, -0.35, cut, ("once" if kept else "each step")[: None if at > 1 else 4], dashed=bool(kept))
        axis.plot([0.2, 6.6], [cut, cut], "--", color="0.2", linewidth=1.4)
        axis.text(5.05, cut - 0.08, f"{kept}\nno gradient\nbelow here".strip(), ha="left", va="top", fontsize=10)
    _arrow(axis, (5.35, top + 0.2), (5.35, at + 0.04), 24, COLOURS[1], linewidth=4.5)
    for x, y, words, colour, size in ((0.75, top + 0.5, "forward", COLOURS[0], 11), (5.35, top + 0.5, "backward", COLOURS[1], 11),
                                      (3.05, top + 0.5, "loss", "k", 12), (3.05, -0.62, "images", "k", 12)):  # fmt: skip
        axis.text(x, y, words, ha="center", va="center", color=colour, fontsize=size)
    axis.set(xlim=(0, 6.75), ylim=(-1, top + 0.85))
    axis.axis("off")
    return figure


def _arrow(axis, start, end, head: float, colour, **look) -> None:
    """From start to end; head: its size."""
    look |= {"mutation_scale": head, "color": colour, "shrinkA": 0, "shrinkB": 0}
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", **look))


def _forward(axis, start: float, end: float, words: str, dashed: bool = False) -> None:
    """A stretch of the forward pass, as an arrow with words beside it."""
    axis.plot([0.75, 0.75], [start, end - 0.1], ":" if dashed else "-", linewidth=2.5, color=COLOURS[0])
    _arrow(axis, (0.75, end - 0.15), (0.75, end), 18, COLOURS[0])
    axis.text(0.42, (start + end) / 2, words, rotation=90, ha="center", va="center", color=COLOURS[0], fontsize=10)


@styled
def plot_costs(costs: pandas.DataFrame) -> Figure:
    """A table of `step_costs` as bars: MFLOPs of a step, forward and backward; its milliseconds; the memory it needs."""
    figure, (axes,) = new_axes(1, 3, (11.5, 1.3 + 0.5 * len(costs)), sharey=True)
    places = range(len(costs))
    stacks = [
        (("forward MFLOPs", "backward MFLOPs"), "MFLOPs a step", "forward", "backward"),
        (("ms",), "milliseconds a step (median)", None),
        (("activations MB", "gradients + AdamW MB"), "MB to train with", "activations", "gradients, AdamW"),
    ]
    for axis, (columns, label, *names) in zip(axes, stacks, strict=True):
        left = 0 * costs[columns[0]]
        for column, name, colour in zip(columns, names, COLOURS, strict=False):
            axis.barh(places, costs[column], left=left, color=colour, label=name)
            left = left + costs[column]
        for place, total in zip(places, left, strict=True):
            axis.annotate(f"{total:,.0f}" if total >= 10 else f"{total:.2g}", (total, place), (4, 0),
                          textcoords="offset points", va="center", fontsize=10)  # fmt: skip
        axis.set(xlabel=label, xlim=(0, 1.22 * left.max()))
        axis.grid(axis="y", visible=False)
        if names[0]:
            axis.legend(fontsize=10, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axes[0].set_yticks(places, costs.index)
    axes[0].invert_yaxis()
    return figure
