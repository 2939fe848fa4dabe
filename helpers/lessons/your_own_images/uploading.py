"""A widget that takes a picture file and shows what a function says of it. No server: the file goes to the kernel only."""

import base64
import io
from html import escape

from helpers.images.decoding import open_image
from helpers.notebook.widgets import show_widget

LIMIT = 10  # MB; Jupyter's connection between page and kernel takes no more in one piece
_CALM = "border-left: 4px solid {colour}; padding-left: 8px"


def uploaded(value) -> list[tuple[str, bytes]]:
    """The files in a FileUpload's value, (name, content) each: a dict by name in ipywidgets 7, a tuple of dicts in 8."""
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def reply(answer, name: str, content: bytes) -> str:
    """What to show for one file, as HTML: the picture beside what answer(content) says, or a message that says what is wrong.

    answer: bytes -> text, or None. What it raises is shown as a message too.
    """
    if not content:
        return _said(name, "The file is empty, or did not arrive. Try again.", "#d55e00")
    try:
        said = answer(content)
    except NotImplementedError:
        return _said(name, "Nobody answers yet: fill in the function above, run its cell and this one again.", "#d55e00")
    except Exception as error:
        return _said(name, f"The function raised {type(error).__name__}: {error}", "#d55e00")
    if said is None:
        return _said(name, "The function returned nothing. Does it end in `return`?", "#d55e00")
    picture = _thumbnail(content)
    return _said(name, str(said), "#0072b2" if picture else "#d55e00", picture)


def make_uploader(answer):
    """The widget, an ipywidgets VBox within the API of 7.7: a button that takes files, and what answer(content) says of each."""
    import ipywidgets as widgets

    wide = widgets.Layout(width="100%", max_width="60em")
    button = widgets.FileUpload(
        accept="image/*", multiple=True, description="Choose pictures", layout=widgets.Layout(width="14em")
    )
    how = widgets.HTML(
        f"<p>Choose one or more picture files of up to {LIMIT} MB (Tab reaches the button, Space or Enter opens the list "
        "of files). They stay on this machine.</p>",
        layout=wide,
    )
    said = widgets.HTML("", layout=wide)

    def on_files(_):
        files = uploaded(button.value)
        replies = "".join(reply(answer, name, content) for name, content in files)
        said.value = f'<div role="alert" aria-live="assertive">{replies}</div>' if files else ""

    button.observe(on_files, names="value")
    return widgets.VBox([how, button, said], layout=wide)


def show_uploader(answer) -> None:
    """Show a widget that takes picture files and shows what answer(content) says of each (bytes -> text).

    Where a notebook is read without a kernel, a line says what would be here.
    """
    text = "Here a button takes a picture file and shows the network's answer, when the notebook runs."
    show_widget(make_uploader(answer), {"text/html": f"<p><i>{text}</i></p>", "text/plain": text})


def _said(name: str, text: str, colour: str, picture: str = "") -> str:
    image = f'<img src="{picture}" alt="the uploaded picture {escape(name)}" style="max-height:140px"><br>' if picture else ""
    return f'<div style="{_CALM.format(colour=colour)}; margin:8px 0">{image}<b>{escape(name)}</b>: {escape(text)}</div>'


def _thumbnail(content: bytes) -> str:
    """The picture, small, as a data address that a page can show; "" where there is none."""
    try:
        picture = open_image(io.BytesIO(content))
    except ValueError:
        return ""
    picture.thumbnail((280, 140))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
