"""A diagram of SimCLR: two images, two views of each, one network for all four, and what the loss pulls together."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from helpers.lessons.pretext.tasks import views
from helpers.notebook.figures import COLOURS, new_axes, styled


@styled
def plot_simclr(images) -> Figure:
    """The way of the first two of the images, uint8 (N, 3, S, S), through SimCLR; views are drawn by torch's random numbers."""
    figure, ((axis,),) = new_axes(1, 1, (10.5, 4.9))
    arrow = lambda a, b, style="-|>", colour="0.4", bend=0.0: axis.add_patch(FancyArrowPatch(
        a, b, arrowstyle=style, color=colour, mutation_scale=15, linewidth=2, connectionstyle=f"arc3,rad={bend}"))  # fmt: skip
    for row, image in enumerate(images[:2]):
        top = 6.6 - 4.2 * row
        _picture(axis, image, (0, top - 1), 2)
        for way, view in enumerate((255 * views(torch.stack([image, image]))).byte()):
            y = top + 1 - 2 * way
            _picture(axis, view, (3.4, y - 0.8), 1.6)
            arrow((2.1, top), (3.3, y))
            for x in (5.1, 8.1, 11.1):
                arrow((x, y), (x + 0.8, y))
            axis.text(12.1, y, "z" + "₁₂₃₄"[2 * row + way], va="center", fontsize=16)
        arrow((12.9, top + 0.9), (12.9, top - 0.9), "<|-|>", COLOURS[2], -0.4)
        axis.text(13.5, top, "pull together", va="center", color=COLOURS[2])
    arrow((12.3, 5.2), (12.3, 3.8), "<|-|>", COLOURS[1])
    axis.text(12.6, 4.5, "push apart\n(all other pairs, too)", va="center", color=COLOURS[1])
    for x, words in ((6.0, "network\n(kept)"), (9.0, "projection\nhead\n(thrown\naway)")):
        axis.add_patch(FancyBboxPatch((x, 0.5), 2, 8, boxstyle="round,pad=0.05", facecolor="0.93", edgecolor="0.4"))
        axis.text(x + 1, 4.5, words, ha="center", va="center")
    axis.text(8.5, 4.5, "features", ha="center", va="center", rotation=90, fontweight="bold")
    for x, words in ((1, "image"), (4.2, "two views"), (12.4, "vectors")):
        axis.text(x, 9.0, words, ha="center", fontweight="bold")
    axis.set(xlim=(-0.2, 15.9), ylim=(0.2, 9.6), aspect="equal")
    axis.axis("off")
    return figure


def _picture(axis, image, corner, side):
    (x, y) = corner
    axis.imshow(image.permute(1, 2, 0).numpy(), extent=(x, x + side, y, y + side))
