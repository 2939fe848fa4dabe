"""The tasks with a name, each with a card: whose images they are, under which licence, how many, and what to cite."""

import difflib
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path

from helpers.data.downloads import megabytes
from helpers.notebook.tables import html_table

_HEAD = ("name", "images of", "classes", "images", "download", "licence")
_MORE = "Tasks by name: open_task(name) opens one, describe(name) shows all that is known about it."
_OWN = "Images of your own: open_task takes a folder or a zip of them, inspect_images says what is in it."


@dataclass(frozen=True)
class Card:
    """What is known about a task before any of it is opened (helpers/data/catalog.toml).

    name      what `open_task` takes. title: what the images show
    source    who made and publishes them. licence: as the source states it
    classes   how many. images: how many of them. splits: which are for training, validation and test
    citation  what to cite. notes: what else to know, a sentence each
    address   the page to read about them, "" where there is none
    download  bytes that are fetched when the task is first opened; 0: nothing is. None: not stated beforehand
    instead   the call that opens the most similar images without a download; "" for tasks that need none
    """

    name: str
    title: str
    source: str
    licence: str
    classes: int
    images: str
    splits: str
    citation: str
    notes: tuple[str, ...] = ()
    address: str = ""
    download: int | None = None
    instead: str = ""

    @property
    def embedded(self) -> bool:
        """Whether its images are drawn by the course itself, so that nothing is ever fetched."""
        return self.download == 0

    @property
    def megabytes(self) -> str:
        """The download in words: "nothing", "345 MB" or "size not stated"."""
        return "size not stated" if self.download is None else megabytes(self.download) if self.download else "nothing"

    def rows(self) -> list[tuple[str, str]]:
        """What the card says, a line each: (heading, text)."""
        download = self.megabytes + ("" if self.embedded else ", when it is first opened")
        rows = [("source", self.source), ("page", self.address), ("licence", self.licence), ("download", download),
                ("classes", str(self.classes)), ("images", self.images), ("splits", self.splits), ("cite", self.citation),
                ("without a download", self.instead)]  # fmt: skip
        return [row for row in rows if row[1]]

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.title}", *(f"  {heading.ljust(19)}{text}" for heading, text in self.rows())]
        return "\n".join([*lines, *(f"  - {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        frame = "border:1px solid #8888;border-left:5px solid #0072B2;border-radius:6px;padding:.6em 1em;max-width:60em"
        return (
            f'<div style="{frame}">'
            f'<div style="font-size:115%"><code>"{escape(self.name)}"</code> <b>{escape(self.title)}</b></div>'
            + html_table([], self.rows())
            + (f'<ul style="margin:.3em 0 0">{notes}</ul>' if notes else "")
            + "</div>"
        )


@dataclass(frozen=True)
class Catalog:
    """Several cards, shown as a table with a row each."""

    cards: tuple[Card, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        return [(c.name, c.title, str(c.classes), c.images, c.megabytes, c.licence.split(";")[0]) for c in self.cards]

    def __repr__(self) -> str:
        lines = [_HEAD, *self.rows]
        widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]
        rows = ["".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*rows, f"{_MORE} {_OWN}"])

    def _repr_html_(self) -> str:
        return f"{html_table(_HEAD, self.rows, _MORE)}<p>{_OWN}</p>"


def describe(name: str | None = None) -> Card | Catalog:
    """The card of a task, or without a name a table of all tasks. Nothing is fetched, decoded or drawn for it.

    Raises ValueError for an unknown name, and suggests the most similar one.
    """
    if name is None:
        return Catalog(tuple(CARDS.values()))
    if not isinstance(name, str) or name not in CARDS:
        raise ValueError(
            f"no task is called {str(name)!r}: give one of {', '.join(CARDS)}.{meant(str(name))} "
            "A folder or zip of your own is described by inspect_images(...)."
        )
    return CARDS[name]


def meant(name: str) -> str:
    """The sentence " Did you mean ...?" with the task whose name is most like `name`, or ""."""
    plain = lambda text: "".join(letter for letter in text.lower() if letter.isalnum())
    of_plain = {plain(known): known for known in CARDS}
    close = difflib.get_close_matches(plain(name), of_plain, 1)
    return f" Did you mean {of_plain[close[0]]!r}?" if close else ""


def _read_cards() -> dict[str, Card]:
    about = tomllib.loads((Path(__file__).parents[1] / "data" / "catalog.toml").read_text(encoding="utf-8"))
    cards = {}
    for name, entry in about["tasks"].items():
        entry = entry if "source" in entry else about["drawn"] | entry
        cards[name] = Card(name, **entry | {"notes": tuple(entry.get("notes", ()))})
    return cards


CARDS = _read_cards()
