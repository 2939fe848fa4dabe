"""The course's figures: one style, colours told apart by the colour-blind, a caption and alt text with each."""

import base64
import functools
import io
import textwrap
from html import escape

import matplotlib
import torch
from matplotlib.figure import Figure

from helpers.images.attribution import credited, credits_html, credits_text, figure_credits
from helpers.notebook.legibility import ink, make_legible

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito, 2008
STYLE = {
    "font.size": 12, "axes.titlesize": 13, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.3, "legend.frameon": False, "figure.dpi": 100, "lines.linewidth": 2.2,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
}  # fmt: skip


def _in_style(function):
    """Draw in the course's style, which lines and legends take when they are drawn; and say below whose photographs are shown."""

    @functools.wraps(function)
    def styled(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return credited(function(*args, **kwargs))

    return styled


@_in_style
def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with `alt` as its caption and as its text for screen readers.

    alt: one or two sentences that say what there is to see. Raises ValueError if it is empty.
    Text too small to be read from the last row, when the figure fills a slide, is enlarged. Where photographs are shown that
    are to be credited, their credits are below them, in the figure and as text.
    """
    from IPython.display import display

    if len(alt.strip()) < 20:
        raise ValueError(f"alt={alt!r}: say in a sentence or two what there is to see in the figure")
    colour_pictures = any(image.get_array().ndim == 3 for axes in figure.axes for image in axes.images)
    kind = "jpeg" if colour_pictures else "png"  # as PNG, a sheet of photographs takes megabytes of the notebook
    buffer, credits = io.BytesIO(), figure_credits(credited(figure))
    make_legible(figure).savefig(buffer, format=kind, bbox_inches="tight", pil_kwargs={"quality": 88} if colour_pictures else {})
    data = base64.b64encode(buffer.getvalue()).decode()
    html = (
        f'<figure style="margin:0"><img src="data:image/{kind};base64,{data}" alt="{escape(alt)}" style="max-width:100%">'
        f"<figcaption><small>{escape(alt)}</small>{credits_html(credits)}</figcaption></figure>"
    )
    display({"text/html": html, "text/plain": f"[figure] {alt}{credits_text(credits)}"}, raw=True)


@_in_style
def plot_images(images, titles=None, columns: int = 8, width: float = 1.4) -> Figure:
    """A contact sheet of uint8 images (N, 3, S, S), row by row, with a title above each (or none).

    Raises ValueError if there are no images, or not one title an image.
    """
    if len(images) == 0 or (titles and len(titles) != len(images)):
        raise ValueError(f"cannot show {len(images)} images with {len(titles or [])} titles: one an image, or none")
    rows = -(-len(images) // columns)
    figure, axes = _axes(
        rows,
        min(columns, len(images)),
        (width * min(columns, len(images)), (width + 0.3 * bool(titles)) * rows),
    )
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i < len(images):
            axis.imshow(torch.as_tensor(images[i]).permute(1, 2, 0).numpy())
            if titles:
                axis.set_title(titles[i], fontsize=9)
    return figure


@_in_style
def plot_split(split, classes, per_class: int = 5, width: float = 1.2) -> Figure:
    """A row a class: the first `per_class` images of a split, the class's name on the left."""
    figure, axes = _axes(len(classes), per_class, (width * per_class + 1.6, width * len(classes)))
    for label, name in enumerate(classes):
        rows = (split.labels == label).nonzero()[:per_class, 0]
        images = split[rows][0]
        for i, axis in enumerate(axes[label]):
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
            if i < len(images):
                axis.imshow(images[i].permute(1, 2, 0).numpy())
        axes[label][0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return figure


@_in_style
def plot_history(fits) -> Figure:
    """Learning curves of one or several fits: loss and validation accuracy against steps."""
    fits = fits if isinstance(fits, (list, tuple)) else [fits]
    if not fits:
        raise ValueError("there is no fit to show the history of")
    figure, ((left, right),) = _axes(1, 2, (9.5, 3.4))
    for i, run in enumerate(fits):
        history, colour = run.history, COLOURS[i % len(COLOURS)]
        left.plot(history.step, history.train_loss, "--", color=colour, label=f"{run.recipe.name}, training")
        left.plot(history.step, history.val_loss, "-", color=colour, label=f"{run.recipe.name}, validation")
        right.plot(
            history.step, 100 * history.val_accuracy, "-o", color=colour, label=run.recipe.name, markersize=4
        )
    left.set(xlabel="step", ylabel="cross-entropy", title="loss")
    right.set(xlabel="step", ylabel="%", title="accuracy on the validation images")
    left.legend(fontsize=9)
    right.legend(fontsize=9, loc="lower right")
    return figure


@_in_style
def plot_confusion(labels, predictions, classes) -> Figure:
    """A confusion matrix: rows are the truth, columns what the network said, cells are counts.

    labels, predictions: int64 (N,), positions in `classes`. Raises ValueError if they are something else.
    """
    labels, predictions, count = torch.as_tensor(labels), torch.as_tensor(predictions), len(classes)
    known = range(count)
    if labels.shape != predictions.shape or not {*labels.tolist(), *predictions.tolist()} <= {*known}:
        raise ValueError(
            f"labels {tuple(labels.shape)} and predictions {tuple(predictions.shape)} must both be (N,), with numbers "
            f"from 0 to {count - 1}; of logits take logits.argmax(1)"
        )
    counts = torch.bincount(labels * count + predictions, minlength=count * count).view(count, count)
    side = 2.2 + min(0.5 * count, 14)
    figure, ((axis,),) = _axes(1, 1, (side, side))
    colours = axis.imshow((counts / counts.sum(1, keepdim=True).clamp(min=1)).numpy(), cmap="Blues", vmin=0, vmax=1)
    axis.grid(False)
    for row in known:
        for column in known:
            if counts[row, column]:
                ground = colours.to_rgba(float(counts[row, column] / counts[row].sum()))
                axis.text(
                    column,
                    row,
                    int(counts[row, column]),
                    ha="center",
                    va="center",
                    fontsize=min(10, 280 / count),
                    color=ink(ground),
                )
    axis.set(xlabel="predicted", ylabel="true", xticks=known, yticks=known, yticklabels=classes)
    axis.set_xticks(known, classes, rotation=45, ha="right")
    axis.tick_params(labelsize=min(12, 340 / count))
    return figure


@_in_style
def plot_mistakes(fit, count: int = 8) -> Figure:
    """The test images on which the network was most wrong: it gave the truth the least probability."""
    sure = fit.logits.softmax(1)
    wrong = (~fit.correct).nonzero()[:, 0]
    worst = wrong[sure[wrong, fit.labels[wrong]].argsort()][:count]
    names = fit.classifier.classes
    titles = [
        f"{names[fit.labels[i]]}\ntaken for {names[fit.logits[i].argmax()]}\n({sure[i].max():.0%})"
        for i in worst.tolist()
    ]
    if not titles:
        raise ValueError("there are no mistakes to show: every test image is named rightly")
    return plot_images(fit.task.test[worst][0], titles, columns=4, width=2.0)


@_in_style
def plot_comparisons(comparisons) -> Figure:
    """One panel a comparison of recipes (as `compare` returns): each run a small dot, each recipe's mean a large one with
    its 95% interval.

    Raises ValueError if there are none, or they are not of the same recipes.
    """
    comparisons = list(comparisons)
    recipes = [list(comparison.runs.recipe.unique()) for comparison in comparisons]
    if not recipes or any(set(names) != set(recipes[0]) for names in recipes):
        raise ValueError(f"plot_comparisons needs comparisons of the same recipes, got {recipes}")
    names = recipes[0]
    figure, (axes,) = _axes(
        1, len(comparisons), (1.6 + 4 * len(comparisons), 1.5 + 0.55 * len(names)), sharey=True
    )
    for axis, comparison in zip(axes, comparisons, strict=True):
        table = comparison.table("recipe")
        for i, name in enumerate(names):
            row, colour = table.loc[name], COLOURS[i % len(COLOURS)]
            runs = 100 * comparison.runs.accuracy[comparison.runs.recipe == name]
            axis.plot(runs, [i + 0.22] * len(runs), "o", color=colour, alpha=0.45, markersize=5)
            error = [[row["accuracy %"] - row["low"]], [row["high"] - row["accuracy %"]]]
            axis.errorbar(
                row["accuracy %"],
                i,
                xerr=error,
                fmt="o",
                color=colour,
                markersize=9,
                capsize=5,
                elinewidth=2.5,
            )
            label = f"{row['accuracy %']:.0f}"
            axis.annotate(label, (row["accuracy %"], i), (0, 9), textcoords="offset points", ha="center")
        axis.set(
            xlim=(0, 100), xlabel="test accuracy, %", yticks=range(len(names)), ylim=(len(names) - 0.3, -0.6)
        )
        axis.set_yticks(range(len(names)), names)
        words = textwrap.fill(comparison.question, 46)
        axis.set_title(f"{words}\n{comparison.runs.seed.nunique()} seeds, n = {comparison.runs.n.iloc[0]}", fontsize=10)
    return figure


def _axes(rows: int, columns: int, size, **settings):
    """A figure in the course's style, that no other library displays by itself, and its axes (rows, columns)."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **settings)
