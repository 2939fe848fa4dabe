"""What the laboratory's network learnt from, and the targets that it is tried on, side by side."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from helpers.images.drawn.finches import GOLDFINCHES
from helpers.images.drawn.garden import class_names, render
from helpers.notebook.figures import new_axes, styled

SOURCE = {50: "petals", 100: "petals", 500: "creature", 650: "creature", 700: "material", 750: "material"}  # of its 800 classes
TARGETS = (("flowers", (0, 1)), ("goldfinches", (0, 3)), ("tissue", (0, 2)))
CIRCLED = ("back", "bill")  # field marks that tell those two goldfinches apart
SIZE = 128


@styled
def plot_targets() -> Figure:
    """Two rows of drawings: classes of the source of `garden`, and below two classes of each target.

    A circle goes around each field mark of CIRCLED on the two goldfinches.
    """
    figure, axes = new_axes(2, 6, (12, 5.2))
    pairs = [("source", label) for label in SOURCE] + [(name, label) for name, labels in TARGETS for label in labels]
    for axis, (name, label) in zip(axes.flat, pairs, strict=True):
        axis.imshow(_picture(name, label).permute(1, 2, 0))
        axis.set_title(f"its source:\n{SOURCE[label]}" if name == "source" else f"{name}:\n{class_names(name)[label]}", size=13)
        axis.axis("off")
        if name == "goldfinches":
            (other,) = {*dict(TARGETS)[name]} - {label}
            for mark in CIRCLED:
                axis.add_patch(_circle(label, other, mark))
    figure.suptitle("Flowers and goldfinches resemble the source (top), but the goldfinches differ only in details (circles)")
    return figure


def _picture(name: str, label: int, plumage=None) -> torch.Tensor:
    return render(name, torch.tensor([label]), torch.tensor([0]), size=SIZE, plumage=plumage)[0][0]


def _circle(label: int, other: int, mark: str) -> Ellipse:
    """Around the pixels that change if this goldfinch gets the mark of the other one."""
    kind, wanted = (GOLDFINCHES[class_names("goldfinches")[one]] for one in (label, other))
    repainted = _picture("goldfinches", label, kind._replace(**{mark: getattr(wanted, mark)}))
    changed = (repainted.int() - _picture("goldfinches", label).int()).abs().amax(0) > 12
    ends = torch.tensor([0.1, 0.9])  # without the thin rims
    (top, bottom), (left, right) = (one.float().quantile(ends).tolist() for one in changed.nonzero().T)
    centre = ((left + right) / 2, (top + bottom) / 2)
    return Ellipse(centre, 1.3 * (right - left) + 5, 1.3 * (bottom - top) + 5, fill=False, edgecolor="white", linewidth=2)
