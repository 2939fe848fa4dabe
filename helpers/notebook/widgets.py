"""Widgets, with something to see for readers who have no kernel behind their notebook; a figure that follows sliders."""

import base64
import io
import sys
from collections.abc import Callable
from functools import partial
from html import escape

from matplotlib.figure import Figure
from PIL import Image

VIEW = "application/vnd.jupyter.widget-view+json"


def show_widget(widget, fallback: dict[str, str]) -> None:
    """Display an ipywidgets widget; where no kernel runs, the fallback is shown in its place.

    fallback: {"text/html": ..., "text/plain": ...}; a picture as <img alt="..."> in the HTML. tools/execute.py stores the
    fallback alone, because a stored widget without its state shows as an error. Raises ValueError without a fallback.
    """
    from IPython.display import display

    if "text/html" not in fallback:
        raise ValueError('a widget needs a fallback of the kind "text/html"')
    bundle = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    if "google.colab" in sys.modules:  # if there are several forms, Colab's choice among them is not documented
        bundle["text/plain"] = fallback.get("text/plain", "")
    else:
        bundle |= fallback
    display(bundle, raw=True)


def browse(draw: Callable, **choices) -> None:
    """Show what `draw` draws, and let the reader choose the values that it draws for.

    draw     called with a value for each name, returns (Figure, text): the text describes the figure
    choices  name=[values]: a slider for numbers, radio buttons for words; underscores in a name are shown as spaces

    Both work with mouse and keyboard (Tab to reach one; then the arrow keys move a slider, the space bar chooses a
    button; in a drop-down menu JupyterLab would take the arrow keys for itself). Where no kernel runs, the figure of the
    first values is shown instead. Raises ValueError for a choice without values.
    """
    browser = make_browser(draw, **choices)
    start = {name: values[0] for name, values in choices.items()}
    figure, text = draw(**start)
    shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in start.items())
    html = picture_html(png_of(figure, bbox_inches="tight"), text, f"{text} (Run this cell to choose; shown is {shown}.)")
    show_widget(browser, {"text/html": html, "text/plain": f"[figure] {text}"})


def make_browser(draw: Callable, **choices):
    """The widgets of `browse`, a VBox: the controls, the image, and the text below it. Within ipywidgets 7.7's API."""
    import ipywidgets as widgets

    controls = {}
    for name, values in choices.items():
        if len(values) == 0:
            raise ValueError(f"there is nothing to choose for {name!r}: give a list of values")
        numbers = all(isinstance(value, (int, float)) for value in values)
        make = partial(widgets.SelectionSlider, continuous_update=False) if numbers else widgets.RadioButtons
        words, style = name.replace("_", " "), {"description_width": "initial"}
        controls[name] = make(options=list(values), value=values[0], description=words, style=style)
    image, words = widgets.HTML(), widgets.HTML()

    def follow(_=None):
        figure, text = draw(**{name: control.value for name, control in controls.items()})
        image.value, words.value = image_html(png_of(figure, bbox_inches="tight"), text), escape(text)

    follow()
    for control in controls.values():
        control.observe(follow, names="value")
    return widgets.VBox([*controls.values(), image, words])


def picture_html(picture: bytes, alt: str, caption: str) -> str:
    """A PNG as HTML with an alt text and a caption: what is shown where widgets cannot be."""
    return (
        f'<figure style="margin:0"><img src="{_address(picture)}" alt="{escape(alt)}" style="max-width:100%">'
        f"<figcaption><small>{escape(caption)}</small></figcaption></figure>"
    )


def image_html(picture: bytes, alt: str, width: str = "auto", name: str = "course-figure") -> str:
    """A PNG as HTML with an alt text, which an Image widget lacks, for a widget that follows a control.

    It keeps its size while it is exchanged, so that nothing below it jumps. name: its class.
    """
    wide, high = (int.from_bytes(picture[place : place + 4], "big") for place in (16, 20))  # of the PNG's header
    return (
        f'<img class="{name}" src="{_address(picture)}" alt="{escape(alt)}" style="width: {width}; max-width: 100%; '
        f'aspect-ratio: {wide} / {high}; background: white">'
    )


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def png_of(figure: Figure, colours: int | None = None, **settings) -> bytes:
    """A figure as a PNG; with `colours`, so many of them, it takes a third of the bytes. settings: of `Figure.savefig`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **settings)
    if colours:
        picture, buffer = Image.open(buffer).convert("RGB").quantize(colours), io.BytesIO()
        picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()
