"""Open a task by name or folder: decoded once, split once, few training images on request."""

import difflib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import escape
from numbers import Integral
from pathlib import Path

import torch

from helpers.decoding import MAX_PIXELS
from helpers.folders import distinct_images, divide, find_images
from helpers.imagecache import decode_once
from helpers.smoke import few

EMBEDDED = ("goldfinches", "flowers", "tissue")


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: rows of a tensor that several splits share.

    images: uint8 (M, 3, S, S), perhaps a memory map. index: int64 (N,), the rows that are this split's.
    labels: int64 (N,). files: N paths ("" for rendered images).
    targets: {name: float (N,)}, what the renderer knows besides the label.
    `split[i]` copies: uint8 (B, 3, S, S) and int64 (B,) for a slice or a tensor of positions, one image for a
    number, so it is also a dataset for torch's DataLoader.
    """

    images: torch.Tensor
    index: torch.Tensor
    labels: torch.Tensor
    files: list[str]
    targets: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self.index[i]
        pixels = self.images.index_select(0, rows.reshape(-1))
        return pixels.reshape(*rows.shape, *self.images.shape[1:]), self.labels[i].clone()

    @property
    def pixels(self) -> torch.Tensor:
        """All images of this split, a copy: uint8 (N, 3, S, S)."""
        return self[:][0]

    def select(self, positions: torch.Tensor) -> "Split":
        """The split of these positions (int64 (K,)); the images stay shared."""
        return Split(
            self.images,
            self.index[positions],
            self.labels[positions],
            [self.files[i] for i in positions.tolist()],
            {name: values[positions] for name, values in self.targets.items()},
        )

    def __repr__(self) -> str:
        return f"Split({len(self)} images, {self.images.shape[-1]} px)"


@dataclass(frozen=True, eq=False)
class Task:
    """Images to learn from and to be judged by.

    train: `per_class` images a class, drawn with `seed` from `pool` (None: all of it).
    val, test: no image in common with the pool, nor with each other.
    size: pixels a side. notes: what of a folder was left out, and why.
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

    def draw(self, seed: int) -> "Task":
        """The same task with other training images of the same pool; validation and test images stay.

        With the same seed, what a smaller `per_class` draws is part of what a larger one draws.
        """
        _whole("seed", seed, 0)
        return replace(self, seed=seed, train=_draw(self.pool, self.per_class, seed))

    def describe(self) -> str:
        """A table of how many images of each class are in each split, and the notes."""
        rows = self._table()
        width = max(len(name) for name, *_ in rows)
        lines = [name.ljust(width) + "".join(count.rjust(7) for count in counts) for name, *counts in rows]
        return "\n".join([self._title(), *lines, *self._main_notes()])

    def _repr_html_(self) -> str:
        def cells(tag, texts):
            return "".join(f"<{tag}>{escape(text)}</{tag.split()[0]}>" for text in texts)

        head, *rows = self._table()
        body = [cells('th scope="row"', row[:1]) + cells("td", row[1:]) for row in rows]
        lines = "".join(f"<tr>{line}</tr>" for line in [cells('th scope="col"', head), *body])
        return f"<table>{cells('caption', [self._title()])}{lines}</table>" + cells("p", self._main_notes())

    def _main_notes(self) -> list[str]:
        more = len(self.notes) - 10
        return self.notes if more <= 1 else [*self.notes[:10], f"and {more} more in notes"]

    def _title(self) -> str:
        drawn = f"training images drawn from {len(self.pool)} with seed {self.seed}"
        return f"{self.name}: {len(self.classes)} classes, {self.size} x {self.size} pixels, {drawn}"

    def _table(self) -> list[list[str]]:
        splits = (self.train, self.val, self.test)
        counts = [split.labels.bincount(minlength=len(self.classes)).tolist() for split in splits]
        rows = [*zip(self.classes, *counts, strict=True), ("together", *map(len, splits))]
        return [["class", "train", "val", "test"], *([str(cell) for cell in row] for row in rows)]

    def __repr__(self) -> str:
        counts = " / ".join(str(len(split)) for split in (self.train, self.val, self.test))
        about = f"{len(self.classes)} classes, {self.size} px"
        return f"Task({self.name!r}: {about}, train / val / test {counts})"


def open_task(name, per_class=20, seed=0, *, size=64, val=None, test=None, on_bad="error",
              together=False, cache_dir=None, max_pixels=MAX_PIXELS) -> Task:  # fmt: skip
    """Open an embedded task ("goldfinches", "flowers", "tissue"), or a folder or zip of class folders (cat/1.jpg, ...).

    per_class: training images a class; None for all there are. seed: another gives another split and draw.
    size: pixels a side; the images of a folder are cropped to their central square.
    val, test: what is set aside of each class, a share (0.25) or a number of images (40). A folder's default
    is 12.5 % and 25 %; embedded tasks have 20 and 100 a class, and at least 100 to draw training images from.
    A folder is split by what is in its files, whatever their names and place; the same picture is used once.
    on_bad: "error" refuses a folder with images that can't be decoded or have more than `max_pixels`; "skip"
    leaves them out and lists them in `notes`. together: near-duplicates (see `twins.py`) stay on one side, so that
    no test picture has a twin in training. cache_dir: where decoded images are kept, see `imagecache.py`.
    Raises ValueError or FileNotFoundError, which names what is wrong and what to do.
    """
    _whole("seed", seed, 0)
    _whole("size", size, 8)
    if per_class is not None:
        _whole("per_class", per_class, 1)
    if on_bad not in ("error", "skip"):
        raise ValueError(f'on_bad={on_bad!r} must be "error" or "skip"')
    usual_val, usual_test = (few(20, 4), few(100, 10)) if name in EMBEDDED else (0.125, 0.25)
    val, test = usual_val if val is None else val, usual_test if test is None else test
    if name in EMBEDDED:
        return _embedded(name, per_class, seed, size, val, test)
    folder = Path(name).expanduser()
    if not folder.exists():
        close = difflib.get_close_matches(str(name), EMBEDDED, 1)
        raise FileNotFoundError(
            f"no task {str(name)!r}: give one of {', '.join(EMBEDDED)}, or a folder of class folders; "
            f"{folder.absolute()} does not exist." + (f" Did you mean {close[0]!r}?" if close else "")
        )
    if not folder.is_dir():
        from helpers.unpacking import image_folder

        folder = image_folder(folder, cache_dir)
    return _from_folder(folder, per_class, seed, size, val, test, on_bad, together, cache_dir, max_pixels)


def _embedded(name, per_class, seed, size, val, test) -> Task:
    _whole("val", val, 1)
    _whole("test", test, 1)
    splits = {}
    for part, count in {"train": max(few(100, 20), per_class or 0), "val": val, "test": test}.items():
        images, labels, targets, classes = _render(name, part, count, seed, size)
        splits[part] = Split(images, torch.arange(len(images)), labels, [""] * len(images), targets)
    pool = splits.pop("train")
    return Task(name, list(classes), size, per_class, seed, _draw(pool, per_class, seed), pool=pool, **splits)


@lru_cache(maxsize=9)  # the three parts of three tasks
def _render(*what):
    from helpers import garden

    return garden.render_split(*what)


def _from_folder(folder, per_class, seed, size, val, test, on_bad, together, cache_dir, max_pixels) -> Task:
    for setting, part in (("val", val), ("test", test)):
        if not (isinstance(part, float) and 0 < part < 1):
            _whole(setting, part, 1, "or a share of each class such as 0.25")
    classes, notes = find_images(folder)
    files = [file for members in classes.values() for file in members]
    pictures = decode_once(folder, files, size, max_pixels, cache_dir)
    bad = list(pictures.bad.values())
    if bad and on_bad == "error":
        listed = bad[:10] + ([f"and {len(bad) - 10} more"] if len(bad) > 10 else [])
        listed = [f"{len(bad)} of the {len(files)} images in {folder} can't be used:", *listed]
        raise ValueError("\n  ".join(listed) + '\nTo leave them out: open_task(..., on_bad="skip").')
    rows, repeated = distinct_images(folder, classes, pictures)
    groups, splits = None, {}
    if together:
        from helpers.twins import near_groups

        groups = near_groups(pictures)
    for part, members in divide(folder, rows, pictures.content, per_class, val, test, seed, groups).items():
        index = [row for its in members.values() for row in its]
        labels = [label for label, its in enumerate(members.values()) for _ in its]
        paths = [str(folder / files[row]) for row in index]
        splits[part] = Split(pictures.images, torch.tensor(index), torch.tensor(labels), paths)
    notes += [f"skipped {why}" for why in bad] + repeated
    train = _draw(splits["pool"], per_class, seed)
    return Task(folder.resolve().name, list(classes), size, per_class, seed, train, notes=notes, **splits)


def _draw(pool: Split, per_class: int | None, seed: int) -> Split:
    if per_class is None:
        return pool
    dice = torch.Generator().manual_seed(seed)
    of_class = [(pool.labels == label).nonzero()[:, 0] for label in pool.labels.unique()]
    drawn = [rows[torch.randperm(len(rows), generator=dice)[:per_class]] for rows in of_class]
    return pool.select(torch.cat(drawn))


def _whole(name: str, value, least: int, otherwise: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number, {least} or more {otherwise}".rstrip())
