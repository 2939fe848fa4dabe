"""Tables as HTML, in one style."""

import re
from collections.abc import Iterable, Sequence
from html import escape


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table: a title for each column (none if `head` is empty), and rows whose first cell is their heading.

    The texts are escaped; an address becomes a link; numbers are aligned on the right. Screen readers get the headings of
    rows and columns.
    """
    lines = ["".join(_cell('th scope="col"', text) for text in head)] if head else []
    for first, *rest in rows:
        lines.append(_cell('th scope="row"', first, ";white-space:nowrap") + "".join(_cell("td", text) for text in rest))
    title = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    return f"<table>{title}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(tag: str, text: str, style: str = "") -> str:
    shown = escape(text)
    if text.startswith("https://"):
        shown = f'<a href="{shown}">{shown}</a>'
    side = "right" if re.fullmatch(r"-?[\d.,]+%?", text) else "left"
    return f'<{tag} style="text-align:{side};vertical-align:top{style}">{shown}</{tag.split()[0]}>'
