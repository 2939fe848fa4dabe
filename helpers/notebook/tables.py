"""Tables as HTML, in one style."""

from collections.abc import Iterable, Sequence
from html import escape

_TOP = "text-align:left;vertical-align:top"


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table: a title for each column (none if `head` is empty), and rows whose first cell is their heading.

    The texts are escaped; an address becomes a link. Screen readers get the headings of rows and columns.
    """

    def cell(tag: str, text: str, style: str = _TOP) -> str:
        shown = escape(text)
        if text.startswith("https://"):
            shown = f'<a href="{shown}">{shown}</a>'
        return f'<{tag} style="{style}">{shown}</{tag.split()[0]}>'

    lines = ["".join(cell('th scope="col"', text) for text in head)] if head else []
    for first, *rest in rows:
        lines.append(cell('th scope="row"', first, f"{_TOP};white-space:nowrap") + "".join(cell("td", text) for text in rest))
    title = cell("caption", caption, "text-align:left") if caption else ""
    return f"<table>{title}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
