"""Widgets, with something to see for readers who have no kernel behind their notebook."""

import base64
import io
import sys
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
