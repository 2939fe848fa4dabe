"""The tasks with a name, each with a card: whose images they are, under which licence, how many, and what to cite."""

import difflib
from dataclasses import dataclass
from html import escape

NOT_STATED = "not stated"
_MORE = "Tasks by name: open_task(name) opens one, describe(name) shows all that is known about it."
_OWN = "Images of your own: open_task takes a folder or a zip of them, inspect_images says what is in it."
_ROW = "text-align:left;vertical-align:top;white-space:nowrap"  # the heading of a row in a table


@dataclass(frozen=True)
class Card:
    """What is known about a task before any of it is opened.

    name      what `open_task` takes. title: what the images show
    source    who made and publishes them. address: the page to read about them, "" where there is none
    licence   as the source states it
    download  bytes that are fetched when the task is first opened; 0: nothing is. None: not stated beforehand
    classes   how many. images: how many of them. splits: which are for training, validation and test
    citation  what to cite. notes: what else to know, a sentence each
    instead   the call that opens the most similar images without a download; "" for tasks that need none
    """

    name: str
    title: str
    source: str
    address: str
    licence: str
    download: int | None
    classes: int
    images: str
    splits: str
    citation: str
    notes: tuple[str, ...] = ()
    instead: str = ""

    @property
    def embedded(self) -> bool:
        """Whether its images are drawn by the course itself, so that nothing is ever fetched."""
        return self.download == 0

    @property
    def megabytes(self) -> str:
        """The download in words: "nothing", "345 MB" or "size not stated"."""
        if self.download is None:
            return f"size {NOT_STATED}"
        return f"{self.download / 1e6:,.0f} MB" if self.download else "nothing"

    def rows(self) -> list[tuple[str, str]]:
        """What the card says, a line each: (heading, text)."""
        return [
            ("source", self.source),
            *([("page", self.address)] if self.address else []),
            ("licence", self.licence),
            ("download", self.megabytes + ("" if self.embedded else ", when it is first opened")),
            ("classes", str(self.classes)),
            ("images", self.images),
            ("splits", self.splits),
            ("cite", self.citation),
            *([("without a download", self.instead)] if self.instead else []),
        ]

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.title}", *(f"  {heading.ljust(19)}{text}" for heading, text in self.rows())]
        return "\n".join([*lines, *(f"  - {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        body = "".join(f"<tr>{_head(heading)}{_cell(text)}</tr>" for heading, text in self.rows())
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        frame = "border:1px solid #8888;border-left:5px solid #0072B2;border-radius:6px;padding:.6em 1em;max-width:60em"
        return (
            f'<div style="{frame}">'
            f'<div style="font-size:115%"><code>"{escape(self.name)}"</code> <b>{escape(self.title)}</b></div>'
            f'<table style="margin:.5em 0;border:none">{body}</table>'
            + (f'<ul style="margin:.3em 0 0">{notes}</ul>' if notes else "")
            + "</div>"
        )


@dataclass(frozen=True)
class Catalog:
    """Several cards, shown as a table with a row each."""

    cards: tuple[Card, ...]

    def _lines(self) -> list[tuple[str, ...]]:
        head = ("name", "images of", "classes", "images", "download", "licence")
        about = [(c.name, c.title, str(c.classes), c.images, c.megabytes, c.licence.split(";")[0]) for c in self.cards]
        return [head, *about]

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]
        rows = ["".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*rows, f"{_MORE} {_OWN}"])

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        code = '<code style="white-space:nowrap">'
        body = "".join(
            f'<tr><th scope="row" style="{_ROW}">{code}{escape(name)}</code></th>{"".join(map(_cell, rest))}</tr>'
            for name, *rest in lines
        )
        top = "".join(f'<th scope="col" style="text-align:left">{escape(text)}</th>' for text in head)
        return f'<table><caption style="text-align:left">{_MORE}</caption><tr>{top}</tr>{body}</table><p>{_OWN}</p>'


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


def _head(text: str) -> str:
    return f'<th scope="row" style="{_ROW}">{escape(text)}</th>'


def _cell(text: str) -> str:
    shown = f'<a href="{escape(text)}">{escape(text)}</a>' if text.startswith("https://") else escape(text)
    shown = f"<code>{shown}</code>" if text.startswith("open_task(") else shown
    return f'<td style="text-align:left;vertical-align:top">{shown}</td>'


_DRAWN = {
    "source": "this course: drawn from code, helpers/images/drawn/garden.py",
    "address": "",
    "licence": "CC BY 4.0, as the course's text and figures",
    "download": 0,
    "images": "as many as you ask for",
    "splits": "none in common: drawn anew for training, validation and test from the seed",
    "citation": "this course, see CITATION.cff",
}

CARDS = {
    card.name: card
    for card in (
        Card("goldfinches", "four species of goldfinch, drawn", classes=4, **_DRAWN),
        Card("flowers", "ten kinds of flower, drawn", classes=10, **_DRAWN),
        Card("tissue", "tissue under the microscope, six kinds, drawn", classes=6, **_DRAWN),
        Card(
            "flowers102",
            "photographs of 102 kinds of flower (Oxford 102 Flowers)",
            source="Visual Geometry Group, University of Oxford; torchvision's Flowers102 reads them and names the classes",
            address="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
            licence=NOT_STATED,
            download=344_878_000,  # as TensorFlow Datasets lists it, in url_checksums/oxford_flowers102.txt
            classes=102,
            images="8,189",
            splits="official: 1,020 for training, 1,020 for validation (10 a class each), 6,149 for test (20 and more a class)",
            citation="M-E. Nilsback and A. Zisserman, Automated flower classification over a large number of classes, Indian "
            "Conference on Computer Vision, Graphics and Image Processing, 2008",
            notes=(
                "The largest part is the test. Some courses and libraries (PaddlePaddle's loader) train on it and test on a "
                "small one: with six times the training images, their accuracies cannot be compared.",
                "No licence is stated: use the photographs for study, and do not pass them on.",
            ),
            instead='open_task("flowers")',
        ),
        Card(
            "hotdog",
            "photographs of hot dogs, and of other food",
            source='the book Dive into Deep Learning (D2L), section "Fine-Tuning": images found online',
            address="https://d2l.ai/chapter_computer-vision/fine-tuning.html",
            licence=NOT_STATED,
            download=None,
            classes=2,
            images="2,800",
            splits="official: 2,000 for training and 800 for test, half of them hot dogs; of the training images the course sets "
            "12.5 % aside for validation, the same ones for everybody",
            citation="A. Zhang, Z. C. Lipton, M. Li and A. J. Smola, Dive into Deep Learning, https://d2l.ai",
            notes=("No licence is stated: use the photographs for study, and do not pass them on.",),
            instead='open_task("flowers")',
        ),
        Card(
            "goldfinch-photos",
            "photographs of four species of goldfinch",
            source="people who observe nature, on iNaturalist: research grade, each photograph by another observer",
            address="https://www.inaturalist.org",
            licence="CC0 or CC BY, each its own; task.credits and CREDITS.csv name photographer, licence and page",
            download=None,
            classes=4,
            images="100 a species, unless a manifest says otherwise",
            splits="none official: by the observers' names, whatever the seed, a quarter of each species is for test, an eighth "
            "for validation, the rest for training",
            citation="iNaturalist, https://www.inaturalist.org, and the photographers in task.credits",
            notes=(
                "manifest.json in its cache folder lists the set: open_task(..., files=Files(manifest=...)) opens it elsewhere "
                "and later, or says which photographs are gone.",
            ),
            instead='open_task("goldfinches")',
        ),
    )
}
