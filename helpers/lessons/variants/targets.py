"""What the laboratory's network learnt from, and the targets that it is tried on, side by side."""

import torch
from matplotlib.figure import Figure

from helpers.images.drawn.garden import class_names, render
from helpers.notebook.figures import new_axes, styled

SOURCE = {50: "petals", 100: "petals", 500: "creature", 650: "creature", 700: "material", 750: "material"}  # of its 800 classes
TARGETS = (("flowers", (0, 1)), ("goldfinches", (0, 3)), ("tissue", (0, 2)))


@styled
def plot_targets() -> Figure:
    """Two rows of drawings: classes of the source of `garden`, and below two classes of each target."""
    figure, axes = new_axes(2, 6, (12, 5))
    pairs = [("source", label) for label in SOURCE] + [(name, label) for name, labels in TARGETS for label in labels]
    for axis, (name, label) in zip(axes.flat, pairs, strict=True):
        pixels, _ = render(name, torch.tensor([label]), torch.tensor([0]), size=128)
        axis.imshow(pixels[0].permute(1, 2, 0))
        axis.set_title(f"its source:\n{SOURCE[label]}" if name == "source" else f"{name}:\n{class_names(name)[label]}", size=13)
        axis.axis("off")
    figure.suptitle("The laboratory's source (top) and three targets (below): for which is a new output layer enough?")
    return figure
