"""Open a task by name or folder: decoded once, split once, few training images on request."""

import os
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import escape
from numbers import Integral
from pathlib import Path

import torch

from helpers.images.catalog import CARDS, Card, meant
from helpers.images.closing import refuse_if_closed
from helpers.images.decoding import MAX_PIXELS
from helpers.images.folders import distinct_images, divide, find_images, find_parts, read_credits, read_labels
from helpers.images.imagecache import Pictures, decode_once
from helpers.images.splits import Split
from helpers.notebook.tables import html_table

DRAWN_SIZE, PHOTO_SIZE = 64, 224  # pixels a side, unless another size is asked for; docs/source_model.md says why
MOST_ROWS = 12  # classes in the table of `describe`
EMBEDDED = tuple(name for name, card in CARDS.items() if card.embedded)


@dataclass(frozen=True)
class Files:
    """How image files are fetched, decoded and kept; the defaults suit nearly everybody.

    cache_dir: where what was fetched and decoded is kept; None: COURSE_CACHE or the user's cache folder.
    max_pixels: larger pictures are refused, before they are decoded.
    offline: True fetches nothing, as COURSE_OFFLINE does: what is in the cache is used.
    manifest: a file that says which photographs "goldfinch-photos" has.
    """

    cache_dir: str | Path | None = None
    max_pixels: int = MAX_PIXELS
    offline: bool | None = None
    manifest: str | Path | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """Images to train on, to validate and to test.

    train: `per_class` images a class, drawn with `seed` from `pool` (None: all of it).
    val, test: no image in common with the pool, nor with each other; official splits are left as published, see notes.
    size: pixels a side. notes: what was left out of a folder, and why; what to know about a published split.
    card: of a task that has a name, who made it and under which licence; None for a folder.
    """

    name: str
    classes: list[str]
    size: int
    per_class: int | None
    seed: int
    train: Split
    val: Split
    test: Split
    pool: Split
    notes: list[str] = field(default_factory=list)
    card: Card | None = None

    @property
    def credits(self) -> list[str]:
        """Whose photographs these are, a line each ("who, licence, link"); [] for drawn images and most folders."""
        lines = (line for split in (self.pool, self.val, self.test) for line in split.credits)
        return list(dict.fromkeys(filter(None, lines)))

    def draw(self, seed: int) -> "Task":
        """The same task with other training images from the same pool; validation and test images stay.

        With the same seed, what a smaller `per_class` draws is part of what a larger one draws.
        """
        _whole("seed", seed, 0)
        return replace(self, seed=seed, train=_draw(self.pool, self.per_class, seed))

    def describe(self) -> str:
        """How many images of each class are in each split, where a published set comes from, and the notes."""
        rows = self._table()
        width = max(len(name) for name, *_ in rows)
        lines = [name.ljust(width) + "".join(count.rjust(7) for count in counts) for name, *counts in rows]
        return "\n".join([self._title(), *lines, *self._main_notes()])

    def _repr_html_(self) -> str:
        head, *rows = self._table()
        return html_table(head, rows, self._title()) + "".join(f"<p>{escape(note)}</p>" for note in self._main_notes())

    def _main_notes(self) -> list[str]:
        more = len(self.notes) - 10
        notes = self.notes if more <= 1 else [*self.notes[:10], f"and {more} more in notes"]
        if self.card is None or self.card.embedded:
            return notes
        return [f"source: {self.card.source}", f"licence: {self.card.licence}", f"splits: {self.card.splits}", *notes]

    def _title(self) -> str:
        drawn = f"training images drawn from {len(self.pool)} with seed {self.seed}"
        return f"{self.name}: {len(self.classes)} classes, {self.size} x {self.size} pixels, {drawn}"

    def _table(self) -> list[list[str]]:
        splits = (self.train, self.val, self.test)
        counts = [split.labels.bincount(minlength=len(self.classes)).tolist() for split in splits]
        rows = [*zip(self.classes, *counts, strict=True)]
        if len(rows) > MOST_ROWS:
            rest = zip(*rows[MOST_ROWS - 1 :], strict=True)
            left = len(rows) - MOST_ROWS + 1
            rows[MOST_ROWS - 1 :] = [(f"{left} more classes", *(sum(column) for column in [*rest][1:]))]
        rows.append(("together", *map(len, splits)))
        return [["class", "train", "val", "test"], *([str(cell) for cell in row] for row in rows)]

    def __repr__(self) -> str:
        counts = " / ".join(str(len(split)) for split in (self.train, self.val, self.test))
        about = f"{len(self.classes)} classes, {self.size} px"
        return f"Task({self.name!r}: {about}, train / val / test {counts})"


def open_task(name, per_class=20, seed=0, *, size=None, val=None, test=None, on_bad="error", together=False, files=None) -> Task:
    """Open a task by its name (`describe()` lists them), a folder or zip of class folders (cat/1.jpg, ...), or a table of
    pictures: a CSV with the columns path (from the folder that it is in) and label.

    A name always means the task. A folder that has such a name is given with a separator ("./hotdog") or as a Path.
    per_class: training images a class; None for all there are. seed: another gives another split and draw.
    size: pixels a side, by default 64 for drawn images and 224 for photographs, which are cropped to their central square.
    val, test: what is set aside of each class, a share (0.25) or a number of images (40). A folder's default
    is 12.5% and 25%; embedded tasks have 20 and 100 a class, and at least 100 to draw training images from.
    A folder is split by what is in its files, whatever their names and place; the same picture is used once.
    Where a published task has official splits, or a folder has train/ and val/ or test/, those are used whole, the seed only
    draws from the training images, and a `per_class`, `val` or `test` above what they hold takes what they hold and reports
    it; nothing changes sides.
    on_bad: "error" refuses images that can't be decoded or are too large; "skip" leaves them out and lists them in `notes`.
    together: near-duplicates (see `twins.py`) stay on one side, so that no test picture has a twin in training; official
    splits stay as they are. Or a function: pictures whose names ("cat/1.jpg") it maps to the same value stay on one side, for
    bursts, days, patients. files: a `Files`: the cache folder, offline, the largest picture; None for the usual ones.
    Raises ValueError or FileNotFoundError, which names what is wrong and what to do; `downloads.Offline` (a
    ConnectionError) where photographs would have to be fetched and cannot be.
    """
    files = files or Files()
    _whole("seed", seed, 0)
    if size is not None:
        _whole("size", size, 8)
    if per_class is not None:
        _whole("per_class", per_class, 1)
    if on_bad not in ("error", "skip"):
        raise ValueError(f'on_bad={on_bad!r} must be "error" or "skip"')
    refuse_if_closed()
    if files.manifest is not None and name != "goldfinch-photos":
        raise ValueError(f'manifest={files.manifest!r} goes with "goldfinch-photos", not with {str(name)!r}')
    card = CARDS.get(name) if isinstance(name, str) else None
    if card and os.path.isdir(name):
        print(f"{name!r} is the task of this name, not the folder that is here: for the folder write './{name}'")
    if card and card.embedded:
        return _embedded(name, per_class, seed, size or DRAWN_SIZE, 20 if val is None else val, 100 if test is None else test)
    size = size or PHOTO_SIZE
    for setting, part in (("val", val), ("test", test)):
        if part is not None and not (isinstance(part, float) and 0 < part < 1):
            _whole(setting, part, 1, "or a share of each class such as 0.25")
    if card:
        return _published(card, per_class, seed, size, val, test, on_bad, together, files)
    folder = Path(name).expanduser()
    if not os.path.exists(folder):
        raise FileNotFoundError(
            f"no task {str(name)!r}: give one of {', '.join(CARDS)}, or a folder of class folders; "
            f"{folder.absolute()} does not exist.{meant(str(name))}"
        )
    from helpers.images.published import Published, image_folder

    given, of_table = folder, folder.suffix.lower() in (".csv", ".tsv") and folder.is_file()
    folder = folder.parent if of_table else image_folder(folder, files.cache_dir)
    title = given.stem if of_table else folder.resolve().name
    if not of_table and (divided := find_parts(folder)):
        parts, notes = divided
        found = Published(folder, parts, read_credits(folder), notes)
        decoded = _decode(folder, found.files, size, on_bad, files)
        return _in_parts(title, found, decoded, per_class, seed, val, test, together)
    classes, notes = (read_labels(given), []) if of_table else find_images(folder)
    if folder != given and given.is_dir():
        notes = [f"the classes are the folders in {folder}", *notes]
    pictures, skipped = _decode(folder, sum(classes.values(), []), size, on_bad, files)
    rows, repeated = distinct_images(folder, classes, pictures)
    groups = None
    if together:
        from helpers.images.twins import kept_together

        groups = kept_together(pictures, together)
    val, test = 0.125 if val is None else val, 0.25 if test is None else test
    parts = divide(folder, rows, pictures.content, per_class, val, test, seed, groups)
    splits = _splits(folder, pictures, parts, read_credits(folder))
    return _task(title, classes, size, per_class, seed, splits, notes + skipped + repeated)


def _embedded(name, per_class, seed, size, val, test) -> Task:
    _whole("val", val, 1)
    _whole("test", test, 1)
    splits = {}
    for part, count in {"pool": max(100, per_class or 0), "val": val, "test": test}.items():
        images, labels, targets, classes = _render(name, "train" if part == "pool" else part, count, seed, size)
        splits[part] = Split(images, torch.arange(len(images)), labels, [""] * len(images), targets)
    return _task(name, classes, size, per_class, seed, splits, [], CARDS[name])


@lru_cache(maxsize=9)  # the three parts of three tasks
def _render(*what):
    from helpers.images.drawn import garden

    return garden.render_split(*what)


def _published(card: Card, per_class, seed, size, val, test, on_bad, together, files: Files) -> Task:
    from helpers.images.published import changed, load

    found = load(card, files.cache_dir, files.offline, files.manifest)
    try:
        decoded = _decode(found.folder, found.files, size, on_bad, files)
    except FileNotFoundError as error:
        raise changed(found.folder, error) from error
    return _in_parts(card.name, found, decoded, per_class, seed, val, test, together, card)


def _in_parts(name, found, decoded, per_class, seed, val, test, together, card=None) -> Task:
    """The task of images that are divided already."""
    from helpers.images.published import share_out

    pictures, skipped = decoded
    parts, per_class, notes = share_out(name, found, pictures, per_class, val, test, seed, together)
    splits = _splits(found.folder, pictures, parts, found.credits)
    return _task(name, parts["pool"], pictures.images.shape[-1], per_class, seed, splits, notes + skipped, card)


def _task(name, classes, size, per_class, seed, splits, notes, card=None) -> Task:
    train = _draw(splits["pool"], per_class, seed)
    return Task(name, list(classes), size, per_class, seed, train, notes=notes, card=card, **splits)


def _decode(folder, names, size, on_bad, files: Files) -> tuple[Pictures, list[str]]:
    """The decoded files, and a line for each that can't be used; ValueError if there are any and `on_bad` is "error"."""
    pictures = decode_once(folder, names, size, files.max_pixels, files.cache_dir)
    bad = list(pictures.bad.values())
    if bad and on_bad == "error":
        listed = [f"{len(bad)} of the {len(names)} images in {folder} can't be used:", *bad[:10]]
        listed += [f"and {len(bad) - 10} more"] * (len(bad) > 10)
        raise ValueError("\n  ".join(listed) + '\nTo leave them out: open_task(..., on_bad="skip").')
    return pictures, [f"skipped {why}" for why in bad]


def _splits(folder: Path, pictures: Pictures, parts, credits: dict[str, str]) -> dict[str, Split]:
    """{part: its Split}, from {part: {class: rows}} and {file: its credit}."""
    splits = {}
    for part, members in parts.items():
        labels = [label for label, its in enumerate(members.values()) for _ in its]
        rows = sum(members.values(), [])
        names = [pictures.files[row] for row in rows]
        index, labels = (torch.tensor(numbers, dtype=torch.long) for numbers in (rows, labels))
        paths, lines = [str(folder / name) for name in names], [credits.get(name, "") for name in names]
        splits[part] = Split(pictures.images, index, labels, paths, credits=lines)
    return splits


def _draw(pool: Split, per_class: int | None, seed: int) -> Split:
    if per_class is None:
        return pool
    rng = torch.Generator().manual_seed(seed)
    of_class = [(pool.labels == label).nonzero()[:, 0] for label in pool.labels.unique()]
    drawn = [rows[torch.randperm(len(rows), generator=rng)[:per_class]] for rows in of_class]
    return pool.select(torch.cat(drawn))


def _whole(name: str, value, least: int, otherwise: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number, {least} or more {otherwise}".rstrip())
