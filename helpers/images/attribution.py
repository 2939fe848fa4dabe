"""The credits of photographs below every figure that shows them, drawn and as text."""

import re
import textwrap
import unicodedata
from functools import lru_cache
from html import escape

from matplotlib.figure import Figure

from helpers.images.credits import anything_known, credits_of

GID = "credits"
_POINTS, _LINE, _GAP = 8.5, 1.3, 0.12  # size of the text, height of a line in that size, inches above the first
_PHOTO = re.compile(r"photo (\d+) by (.+), (CC[^,]*), (inaturalist\.org/photos/\d+)")
_LEGAL = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


def credited(result):
    """A figure, or a tuple that begins with one, with the credits of the photographs in it printed below them.

    What a figure shows is looked at each time; where nothing in it needs a credit, it is left as it is.
    """
    figure = result[0] if isinstance(result, tuple) and result else result
    if anything_known() and isinstance(figure, Figure):
        _print_below(figure, figure_credits(figure))
    return result


def figure_credits(figure: Figure) -> list[str]:
    """The credits of what a figure shows, in the order of its axes."""
    if not anything_known():
        return []
    grey = ("gray", "gray_r", "grey", "grey_r", "Greys", "Greys_r", "binary", "binary_r")
    shown = [image for axes in figure.axes for image in axes.images]
    return credits_of(image.get_array() for image in shown if image.get_array().ndim == 3 or image.get_cmap().name in grey)


def line_below(figure: Figure, words: str) -> None:
    """A line below what a figure shows, above the credits."""
    credits = figure_credits(figure)
    if credits:
        figure._words = words
        _print_below(figure, credits, anew=True)
    else:
        figure.supxlabel(words, fontsize=11)


def _print_below(figure: Figure, credits: list[str], anew: bool = False) -> None:
    before = getattr(figure, "_credited", None)  # (credits, height before, their text)
    if before and before[0] == credits and not anew:
        return
    width, height = figure.get_size_inches()
    if before:
        before[2].remove()
        _stretch(figure, height, before[1], below=before[1] - height)
        height, figure._credited = before[1], None
    if credits:
        most = max(24, int(72 * (width - 0.1) / (0.56 * _POINTS)))  # characters: a letter is half as wide as high, or more
        lines = [getattr(figure, "_words", ""), *printed(credits, most)]
        lines = lines if lines[0] else lines[1:]
        room = len(lines) * _LINE * _POINTS / 72 + _GAP
        _stretch(figure, height, height + room, below=room)
        text = figure.text(0.05 / width, (room - _GAP) / (height + room), "\n".join(lines), fontsize=_POINTS, ha="left", va="top",
                           linespacing=1.15, color="0.25", gid=GID, parse_math=False, family="DejaVu Sans")  # fmt: skip
        text.set_in_layout(True)
        figure._credited = credits, height, text


def _stretch(figure: Figure, old: float, new: float, below: float) -> None:
    """Make a figure higher (or lower again) at its foot; what it shows keeps its size."""
    engine = figure.get_layout_engine()
    figure.set_size_inches(figure.get_size_inches()[0], new)
    if engine is not None and hasattr(engine, "set") and "rect" in engine.get():
        engine.set(rect=(0, max(below, 0) / new, 1, 1 - max(below, 0) / new))
        figure.draw_without_rendering()  # the layout takes two goes to find its place
    else:
        for axes in figure.axes:
            x, y, w, h = axes.get_position(original=True).bounds
            axes.set_position((x, (y * old + below) / new, w, h * old / new))


def printed(credits: list[str], most: int = 120) -> list[str]:
    """The credits in lines of at most `most` characters: two in full, many as a list of numbers, names and licences."""
    found = [_PHOTO.fullmatch(credit) for credit in credits]
    if len(credits) > 2:
        known = [f"{one[1]} {_drawable(one[2])} ({one[3]})" for one in found if one]
        short = [one.replace(" ", "\xa0") if len(one) < most else one for one in known]  # broken between photographs only
        head = "Photographs, in the order shown, cut and made smaller. Each is at inaturalist.org/photos/ and its number: "
        parts = [head + "; ".join(short) + "."] if short else []
        parts += [_drawable(credit) for credit, one in zip(credits, found, strict=True) if not one]
    else:
        words = [one and f"Photograph by {_drawable(one[2])}, {one[3]}, {one[4]}, cut and made smaller" for one in found]
        parts = [one or _drawable(credit) for credit, one in zip(credits, words, strict=True)]
    return [line.replace("\xa0", " ") for part in parts for line in textwrap.wrap(part, most, break_on_hyphens=False)]


def credits_html(credits: list[str]) -> str:
    """The credits as a list that unfolds, with links to each photograph and its licence; "" if there are none."""
    items = []
    for credit in credits:
        found = _PHOTO.fullmatch(credit)
        if found:
            number, author, licence, page = found.groups()
            terms = f'<a href="{_LEGAL[licence]}">{licence}</a>' if licence in _LEGAL else escape(licence)
            items.append(f'<a href="https://www.{page}">photo {number}</a> by {escape(author)}, {terms}')
        else:
            items.append(escape(credit))
    rows = "".join(f"<li>{item}</li>" for item in items)
    words = f"Whose photographs these are ({len(items)}), and their licences"
    return f"<details><summary><small>{words}</small></summary><small><ul>{rows}</ul></small></details>" if items else ""


def credits_text(credits: list[str]) -> str:
    """The credits as one sentence, for those who hear what others see; "" if there are none."""
    return f" Photographs: {'; '.join(credits)}." if credits else ""


def _drawable(name: str) -> str:
    """A name; the login behind it, where the font lacks its letters or matplotlib would draw them in the wrong order."""
    signs = _signs()
    good = "".join(c for c in name if ord(c) in signs and unicodedata.bidirectional(c) not in ("R", "AL", "AN"))
    if len(good) == len(name):
        return name
    login = re.search(r"\(([^()]+)\)$", good)
    return login[1] if login else " ".join(good.split()) or "the person named on its page"


@lru_cache(1)
def _signs() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())
