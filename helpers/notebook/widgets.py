"""Widgets, with something to see for readers who have no kernel behind their notebook; a figure that follows sliders."""

import base64
import io
import sys
from collections.abc import Callable
from html import escape

from matplotlib.figure import Figure

VIEW = "application/vnd.jupyter.widget-view+json"


def show_widget(widget, fallback: dict[str, str]) -> None:
    """Display an ipywidgets widget; where it cannot live, the fallback is shown in its place.

    fallback: {"text/html": ..., "text/plain": ...}; a picture as <img alt="..."> in the HTML. tools/execute.py stores the
    fallback alone, because a stored widget without its state shows as an error. Raises ValueError without a fallback.
    """
    from IPython.display import display

    if "text/html" not in fallback:
        raise ValueError('a widget needs a fallback of the kind "text/html"')
    bundle = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    if "google.colab" in sys.modules:  # where several forms are given, Colab's choice among them is not documented
        bundle["text/plain"] = fallback.get("text/plain", "")
    else:
        bundle |= fallback
    display(bundle, raw=True)


def browse(draw: Callable, **choices) -> None:
    """Show what `draw` draws, and let the reader choose the values that it draws for.

    draw     called with a value for each name, returns (Figure, text): the text says what there is to see
    choices  name=[values]: a slider for numbers, buttons for words; a name's underscores are shown as spaces

    Both work by mouse and by keyboard (Tab to reach one; then arrow keys move a slider, the space bar chooses a button; in a
    drop-down menu JupyterLab would take the arrow keys for itself). Where no kernel runs, the figure of
    the first values stands in their place. Raises ValueError for a choice without values.
    """
    start = _first(choices)
    picture, text = _picture(*draw(**start))
    shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in start.items())
    html = picture_html(picture, text, f"{text} (Run this cell to choose; shown is {shown}.)")
    show_widget(make_browser(draw, **choices), {"text/html": html, "text/plain": f"[figure] {text}"})


def picture_html(picture: bytes, alt: str, caption: str) -> str:
    """A PNG as HTML, with words for those who do not see it and a caption: what stands where widgets cannot live."""
    return (
        f'<figure style="margin:0"><img src="data:image/png;base64,{base64.b64encode(picture).decode()}" '
        f'alt="{escape(alt)}" style="max-width:100%"><figcaption><small>{escape(caption)}</small></figcaption></figure>'
    )


def make_browser(draw: Callable, **choices):
    """The widgets of `browse`, a VBox: the controls, the image, and the text below it. Within ipywidgets 7.7's API."""
    import ipywidgets as widgets

    start = _first(choices)
    controls = {name: _control(widgets, name, values) for name, values in choices.items()}
    picture, text = _picture(*draw(**start))
    image, words = widgets.HTML(), widgets.HTML(escape(text))
    image.value = image_html(picture, text)

    def follow(_=None):
        picture, said = _picture(*draw(**{name: control.value for name, control in controls.items()}))
        image.value, words.value = image_html(picture, said), escape(said)

    for control in controls.values():
        control.observe(follow, names="value")
    return widgets.VBox([*controls.values(), image, words])


def image_html(picture: bytes, alt: str, width: str = "auto", name: str = "course-figure") -> str:
    """A PNG as HTML, for a widget that follows a control (an Image widget has no words for those who do not see it).

    It keeps its place while it is exchanged, so that nothing below it jumps. name: its class.
    """
    wide, high = (int.from_bytes(picture[place : place + 4], "big") for place in (16, 20))  # of the PNG's header
    data = base64.b64encode(picture).decode()
    return (
        f'<img class="{name}" src="data:image/png;base64,{data}" alt="{escape(alt)}" style="width: {width}; max-width: 100%; '
        f'aspect-ratio: {wide} / {high}; background: white">'
    )


def _first(choices: dict) -> dict:
    for name, values in choices.items():
        if len(values) == 0:
            raise ValueError(f"there is nothing to choose for {name!r}: give a list of values")
    return {name: values[0] for name, values in choices.items()}


def _control(widgets, name: str, values):
    settings = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if all(isinstance(value, (int, float)) for value in values):
        return widgets.SelectionSlider(options=list(values), value=values[0], continuous_update=False, **settings)
    return widgets.RadioButtons(options=list(values), value=values[0], **settings)


def _picture(figure: Figure, text: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue(), text
