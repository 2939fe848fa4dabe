"""The course's figures: one style, colours that the colour-blind can tell apart, a caption and alt text with each."""

import base64
import contextlib
import functools
import io
import re
import textwrap
import tomllib
import warnings
from html import escape
from pathlib import Path

import matplotlib
import torch
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext

FOLDER = Path(__file__).parents[1] / "data/figures"  # captions and alt texts of the lectures
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito, 2008
SMALL = 11  # points: titles above small pictures and notes inside a figure; nothing but credits is smaller
STYLE = {
    "font.size": 12, "axes.titlesize": 13, "legend.frameon": False, "figure.dpi": 100,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "lines.linewidth": 2.2,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS), "text.parse_math": False,  # a class may be called "$5"
}  # fmt: skip
FONTS = (  # for letters that matplotlib's own font lacks, if the system has one of them
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC",
    "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Arial Unicode MS", "Unifont",
)  # fmt: skip
MOST_CREDITS = 6  # printed below a figure; `show` has the others in a list that unfolds


def styled(function):
    """Decorator: what the function draws is in the course's style; your own settings of matplotlib stay as they are."""

    @functools.wraps(function)
    def in_style(*args, **kwargs):
        with matplotlib.rc_context({**STYLE, "font.family": _fonts()}):
            return function(*args, **kwargs)

    return in_style


@functools.cache
def _fonts() -> list[str]:
    return ["DejaVu Sans", *(name for name in FONTS if name in font_manager.get_font_names())]


def new_axes(rows: int, columns: int, size, **settings):
    """A figure of `size` (inches) that no other library displays by itself, and its axes as an array (rows, columns)."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **settings)


def ink(ground) -> str:
    """ "k" or "w": black or white text, whichever has more contrast on the colour `ground` (WCAG 2.2, contrast ratio)."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(ground)]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return "k" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "w"


def drawable(text: str, most: int = 10_000) -> str:
    """Text that a figure can show: at most so many letters, a box for each letter that no font here has."""
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in _fonts()]
    if len(text) > most:
        text = text[: most // 2 - 1] + "…" + text[-(most - most // 2) :]
    return "".join(letter if any(font.get_char_index(ord(letter)) for font in fonts) else "□" for letter in text)


def entry(name: str) -> str:
    """A name as an entry of a legend: matplotlib leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def add_credits(figure: Figure, credits) -> Figure:
    """Print below a figure whose photographs it shows, a line each ("who, licence, link"). Returns the figure.

    credits: such as `task.credits` or `split.credits`; repeated and empty lines are dropped, and nothing is printed if there
    is none. `plot_split` and `plot_mistakes` do this by themselves.
    """
    lines = list(dict.fromkeys(filter(None, credits)))
    if lines:
        figure.credits = lines  # for `show`
        text = "Photographs: " + "; ".join(lines[:MOST_CREDITS])
        text += f"; and {len(lines) - MOST_CREDITS:,} more (see the credits of the task)" * (len(lines) > MOST_CREDITS)
        width, height = figure.get_size_inches()
        text = textwrap.fill(drawable(text), max(24, int(15 * width)), break_on_hyphens=False)
        figure.set_size_inches(width, height + 0.16 * (text.count("\n") + 1))
        figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color="0.25")
    return figure


@styled
def show(figure: Figure, alt: str, credits=()) -> None:
    """Show a figure in a notebook with `alt` as its caption and as its text for screen readers.

    alt: one or two sentences that say what there is to see; or a lecture's own, "02/features": two texts, for caption and
    screen readers, in helpers/data/figures/02.toml. credits: whose photographs the figure shows, such as `task.credits`, see
    `add_credits`. Raises ValueError if alt is empty, a word or two, or a name that is not there.
    """
    from IPython.display import display

    caption, alt = _texts(alt) if re.fullmatch(r"\w+/[\w-]+", alt) else (alt, alt)
    if len(alt.strip()) < 20:
        raise ValueError(f"alt={alt!r}: say in a sentence or two what there is to see in the figure")
    add_credits(figure, credits)
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):  # would show its markup, because mathtext is off
            axis.set_major_formatter("{x:g}")
    colour_pictures = any(image.get_array().ndim == 3 for axes in figure.axes for image in axes.images)
    kind = "jpeg" if colour_pictures else "png"  # as PNG, a sheet of photographs takes megabytes of the notebook
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with _letters_of(figure) as letters:
            figure.savefig(buffer, format=kind, bbox_inches="tight", pil_kwargs={"quality": 88, "optimize": True})
    if any("missing from font" in str(one.message) for one in said):
        print("Some letters are drawn as boxes: no font here has them. Install one that does, such as Noto Sans CJK.")
    data = base64.b64encode(buffer.getvalue()).decode()
    html = (
        f'<figure style="margin:0"><img src="data:image/{kind};base64,{data}" alt="{escape(alt)}" style="max-width:100%"'
        f' data-letters="{min(letters, default="none")}"{_title_html(figure)}>'
        f"<figcaption><small>{escape(caption)}</small>{_credits_html(figure)}</figcaption></figure>"
    )
    credits = f" Photographs: {'; '.join(figure.credits)}." if hasattr(figure, "credits") else ""
    display({"text/html": html, "text/plain": f"[figure] {alt}{credits}"}, raw=True)


@contextlib.contextmanager
def _letters_of(figure: Figure):
    """A list to which the height of all letters is added that are drawn in the meantime, in pixels of the picture."""
    heights, draw_text = [], RendererAgg.draw_text

    def noted(renderer, gc, x, y, text, font, *rest, **how):
        heights.append(round(font.get_size_in_points() * figure.dpi / 72, 1))
        draw_text(renderer, gc, x, y, text, font, *rest, **how)

    RendererAgg.draw_text = noted
    try:
        yield heights
    finally:
        RendererAgg.draw_text = draw_text


def _title_html(figure: Figure) -> str:
    """The figure's title, and its box in the picture that was just saved: a slide has it as its own headline instead."""
    title = figure._suptitle if figure._suptitle or len(figure.axes) != 1 else figure.axes[0].title
    if not title or not title.get_text().strip():
        return ""
    tight, pad = figure.get_tightbbox(), matplotlib.rcParams["savefig.pad_inches"]
    left, bottom, right, top = title.get_window_extent().extents / figure.dpi
    inches = (left - tight.x0 + pad, tight.y1 + pad - top, right - tight.x0 + pad, tight.y1 + pad - bottom)
    box = " ".join(str(round(inch * figure.dpi)) for inch in inches)
    return f' data-title="{escape(title.get_text())}" data-title-box="{box}"'


def _texts(name: str) -> tuple[str, str]:
    """The caption and the text for screen readers of the figure "02/features"."""
    lecture, key = name.split("/")
    path = FOLDER / f"{lecture}.toml"
    known = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if key not in known:
        raise ValueError(f"no texts for the figure {name!r}; {path} has {', '.join(known) or 'none'}")
    return known[key]["caption"], known[key]["alt"]


def _credits_html(figure: Figure) -> str:
    lines = getattr(figure, "credits", [])
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    title = f"<summary><small>Whose photographs these are ({len(lines)})</small></summary>"
    return f"<details>{title}<small><ul>{items}</ul></small></details>" if lines else ""


@styled
def plot_images(images, titles=None, columns: int = 8, width: float = 1.4, credits=(), rows=()) -> Figure:
    """A contact sheet of uint8 images (N, 3, S, S), row by row, with a title above each (or none).

    width: inches of an image. rows: names of the rows, on their left. credits: whose photographs they are, see `add_credits`.
    Raises ValueError if there are no images, or not one title an image.
    """
    if len(images) == 0 or (titles and len(titles) != len(images)):
        raise ValueError(f"cannot show {len(images)} images with {len(titles or [])} titles: give one an image, or none")
    columns = min(columns, len(images))
    count = -(-len(images) // columns)
    lines = 1 + max(title.count("\n") for title in titles) if titles else 0
    left = 0.09 * max(map(len, rows), default=0)
    figure, axes = new_axes(count, columns, (width * columns + left, (width + 0.17 * lines) * count))
    for name, (axis, *_) in zip(rows, axes, strict=False):
        axis.text(-0.08, 0.5, name, transform=axis.transAxes, ha="right", va="center", fontsize=SMALL)
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i < len(images):
            axis.imshow(torch.as_tensor(images[i]).permute(1, 2, 0).cpu().numpy())
            if titles:
                axis.set_title(titles[i], fontsize=SMALL)
    return add_credits(figure, credits)


@styled
def plot_split(split, classes, per_class: int = 5, width: float = 1.2) -> Figure:
    """A row a class: the first `per_class` images of a split, the class's name on the left; credits below, if there are any."""
    figure, axes = new_axes(len(classes), per_class, (width * per_class + 1.6, width * len(classes)))
    credits = []
    for label, name in enumerate(classes):
        rows = split.select((split.labels == label).nonzero()[:per_class, 0])
        credits += rows.credits
        for i, axis in enumerate(axes[label]):
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
            if i < len(rows):
                axis.imshow(rows[i][0].permute(1, 2, 0).numpy())
        axes[label][0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, fontsize="large")
    return add_credits(figure, credits)



@styled
def plot_confusion(labels, predictions, classes) -> Figure:
    """A confusion matrix: rows are the true classes, columns the predicted ones, cells are counts.

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
    figure, ((axis,),) = new_axes(1, 1, (side, side))
    colours = axis.imshow((counts / counts.sum(1, keepdim=True).clamp(min=1)).numpy(), cmap="Blues", vmin=0, vmax=1)
    axis.grid(False)
    for row, column in counts.nonzero().tolist():
        ground = colours.to_rgba(float(counts[row, column] / counts[row].sum()))
        place = {"ha": "center", "va": "center", "fontsize": min(12, 280 / count)}
        axis.text(column, row, int(counts[row, column]), color=ink(ground), **place)
    axis.set(xlabel="predicted", ylabel="true", xticks=known, yticks=known, yticklabels=classes)
    axis.set_xticks(known, classes, rotation=45, ha="right")
    axis.tick_params(labelsize=min(12, 340 / count))
    return figure



@styled
def plot_mistakes(fit, count: int = 8) -> Figure:
    """The test images on which the network was most wrong: those to whose true class it gave the least probability.

    Raises ValueError if there are no mistakes.
    """
    probabilities = fit.logits.softmax(1)
    wrong = (~fit.correct).nonzero()[:, 0]
    worst = wrong[probabilities[wrong, fit.labels[wrong]].argsort()][:count]
    names = fit.classifier.classes
    titles = [
        f"{names[fit.labels[i]]}\ntaken for {names[fit.logits[i].argmax()]}\n({probabilities[i].max():.0%})"
        for i in worst.tolist()
    ]
    if not titles:
        raise ValueError("there are no mistakes to show: every test image is classified correctly")
    shown = fit.task.test.select(worst)
    return plot_images(shown.pixels, titles, columns=4, width=2.0, credits=shown.credits)
