"""What makes a figure readable from the last row: text that is large enough on a slide, and stands out from its ground."""

from collections.abc import Iterable

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

SLIDE = (1220, 600)  # what a figure may take of a slide of 1280 x 720 pixels: width, height below the title
SMALLEST = 14.0  # pixels of such a slide, about a fiftieth of its height: figures are not to hold smaller text
TOO_MANY = 250  # texts: such a figure, a matrix of many classes say, is for zooming into and stays as it is


def texts_of(figure: Figure) -> list[Text]:
    """Every text of a figure that is shown: titles, ticks, legends, annotations; not the credits, which are small print."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = axis.get_ticklabels()  # before this call, ticks have no text
            hidden.update([] if axes.axison else labels)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text not in hidden]
    return [text for text in texts if text.get_text().strip() and text.get_gid() != "credits"]


def slide_pixels(figure: Figure, points: float) -> float:
    """How high text of so many points is when the figure fills a slide, in pixels of that slide."""
    width, height = figure.get_size_inches()
    return points * min(SLIDE[0] / width, SLIDE[1] / height) / 72


def make_legible(figure: Figure) -> Figure:
    """Enlarge whatever text of a figure would be smaller than SMALLEST on a slide; the rest stays. Returns the figure.

    By at most a half, so that a figure that was never meant for a slide keeps its proportions.
    """
    texts = texts_of(figure)
    if len(texts) <= TOO_MANY:
        for text in texts:
            text.set_fontsize(_enough(figure, text.get_fontsize()))
        for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
            sizes = [label.get_fontsize() for label in axis.get_ticklabels()]
            if sizes:  # with larger text, other ticks may be chosen
                axis.set_tick_params(labelsize=max(sizes))
    return figure


def _enough(figure: Figure, points: float) -> float:
    return points * min(max(SMALLEST / slide_pixels(figure, points), 1.0), 1.5)


def luminance(colour) -> float:
    """Relative luminance of a colour, from 0 for black to 1 for white (WCAG 2.2, W3C 2023, "relative luminance")."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other) -> float:
    """Contrast ratio of two colours, from 1 (none) to 21 (black on white); text wants 4.5 (WCAG 2.2, 1.4.3)."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def ink(ground) -> str:
    """ "k" or "w", black or white: what stands out more from the colour `ground`. Never less than 4.5 to 1."""
    return max("kw", key=lambda colour: contrast(colour, ground))


def on_white(colours: Iterable[float], alpha: float) -> tuple[float, ...]:
    """The colour that is seen where an RGB(A) colour covers white with the opacity `alpha`."""
    return tuple(alpha * part + 1 - alpha for part in tuple(colours)[:3])
