"""Look at a folder of images before anything is trained on it: counts, sizes, odd files, duplicates, and pictures of them."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas
import torch
from PIL import ExifTags, Image

from helpers.decoding import MAX_PIXELS
from helpers.folders import find_images
from helpers.imagecache import decode_once
from helpers.twins import NEAR, near_groups
from helpers.unpacking import image_folder


@dataclass(frozen=True, eq=False)
class Report:
    """What is in a folder of images.

    folder   where they are. size: pixels a side at which they were compared
    files    a row an image file: file ("class/name"), class, width, height (pixels as stored), kB, turned (by its EXIF data),
             problem ("" or why it can't be decoded), same (the number of its group of equal pictures), near (of its group of
             near-duplicates, equal ones included; -1: can't be decoded)
    notes    what is in the folder besides
    """

    folder: Path
    size: int
    files: pandas.DataFrame
    notes: list[str]
    images: torch.Tensor

    @property
    def table(self) -> pandas.DataFrame:
        """A row a class: files, how many can be decoded, how many differ, how many still do when near-duplicates count once."""
        good = self.files[self.files.problem == ""]
        rows = self.files.groupby("class").size().to_frame("files")
        rows["usable"] = good.groupby("class").size()
        rows["different"] = good.groupby("class").same.nunique()
        rows["without near-duplicates"] = good.groupby("class").near.nunique()
        short = good[["width", "height"]].min(axis=1).groupby(good["class"])
        rows["short side, px"] = short.agg(lambda sides: f"{sides.min()} to {sides.max()}")
        return rows.fillna({"usable": 0, "different": 0, "without near-duplicates": 0, "short side, px": ""}).astype(
            {"usable": int, "different": int, "without near-duplicates": int}
        )

    def groups(self, kind: str = "near") -> list[list[str]]:
        """The files of each group of near-duplicates, or of equal pictures ("same"); pictures without a twin are in none."""
        if kind not in ("near", "same"):
            raise ValueError(f'kind={kind!r} must be "near" or "same"')
        good = self.files[self.files.problem == ""]
        members = [list(group.file) for _, group in good.groupby(kind)]
        return sorted((group for group in members if len(group) > 1), key=lambda group: (-len(group), group))

    @property
    def findings(self) -> list[str]:
        """What to know and to do before training, a sentence each; the worst first."""
        files, counts = self.files, self.table["usable"]
        bad, near, same = files[files.problem != ""], self.groups("near"), self.groups("same")
        both = [group for group in near if len({file.split("/")[0] for file in group}) > 1]
        small = files[(files.problem == "") & (files[["width", "height"]].min(axis=1) < self.size)]
        lines = []
        if len(bad):
            lines.append(f"{_count(len(bad), 'file')} can't be decoded: {_some(bad.file)}. Replace or remove them.")
        if both:
            pairs = "; ".join(_some(group) for group in both[:3])
            lines.append(f"{_count(len(both), 'group')} of near-duplicates in two classes: {pairs}. Which class is right?")
        if counts.sum():
            uneven = "The classes are uneven: " if counts.max() > 1.3 * counts.min() else ""
            lines.append(
                f"{uneven}{counts.max()} usable files of {counts.idxmax()!r}, {counts.min()} of {counts.idxmin()!r}. Always "
                f"answering {counts.idxmax()!r} would be right for {counts.max() / counts.sum():.0%}: the number to beat."
            )
        if near:
            lines.append(
                f"{_count(len(near), 'group')} of near-duplicates, {sum(map(len, near))} pictures in all. Keep each group on one "
                "side of the split: open_task(..., together=True)."
            )
        if same:
            spare = sum(map(len, same)) - len(same)
            lines.append(f"Repeated exactly, and used once: {_count(spare, 'file')}, such as {same[0][0]} = {same[0][1]}.")
        if len(small):
            lines.append(f"Smaller than {self.size} pixels: {_count(len(small), 'picture')}, such as {_some(small.file)}.")
        if files.turned.any():
            lines.append(f"Stored lying, and turned upright as their EXIF data ask: {_some(files.file[files.turned])}.")
        return lines + [note[0].upper() + note[1:] + "." for note in self.notes]

    def sheet(self, per_class: int = 10):
        """A contact sheet: a row a class, pictures from all over its folder. A matplotlib Figure."""
        from helpers.plots import plot_split
        from helpers.tasks import Split

        names = sorted(self.files["class"].unique())
        good = self.files[self.files.problem == ""]
        picked = []
        for name in names:
            mine = good.index[good["class"] == name].tolist()
            count = min(per_class, len(mine))
            picked += [mine[place * len(mine) // count] for place in range(count)]
        rows = torch.tensor(picked, dtype=torch.long)
        labels = torch.tensor([names.index(self.files["class"][row]) for row in picked])
        return plot_split(Split(self.images, rows, labels, list(self.files.file[picked])), names, per_class, 1.1)

    def twins(self, most: int = 5, kind: str = "near"):
        """A contact sheet of the largest groups of near-duplicates, a row a group, four pictures of each at most."""
        from helpers.plots import plot_images

        groups = self.groups(kind)[:most]
        if not groups:
            raise ValueError("there are no duplicates to show")
        row_of = {file: row for row, file in enumerate(self.files.file)}
        shown, titles = [], []
        for group in groups:
            for place in range(4):
                there = place < len(group)
                shown.append(self.images[row_of[group[place]]] if there else torch.full_like(self.images[0], 255))
                titles.append(Path(group[place]).stem[:16] if there else "")
        return plot_images(torch.stack(shown), titles, columns=4, width=1.9)

    def __repr__(self) -> str:
        lines = [f"{self.folder.name}: {len(self.files)} image files in {len(self.table)} classes", self.table.to_string()]
        return "\n".join([*lines, *(f"- {line}" for line in self.findings)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line in self.findings)
        title = f"{len(self.files)} image files in {len(self.table)} classes"
        return f"<p><b>{escape(self.folder.name)}</b>: {title}</p>{self.table.to_html()}<ul>{items}</ul>"


def inspect_images(path: str | Path, size: int = 64, *, near: int = NEAR, cache_dir=None) -> Report:
    """Look at a folder of class folders, or a zip of one, and say what is in it. No file is changed.

    size: pixels a side at which pictures are decoded (and kept, for open_task). near: how many of 256 bits two
    near-duplicates may differ in, see `helpers/twins.py`. Raises what `image_folder` and `find_images` raise.
    """
    folder = image_folder(path, cache_dir)
    classes, notes = find_images(folder)
    names = [file for members in classes.values() for file in members]
    pictures = decode_once(folder, names, size, MAX_PIXELS, cache_dir)
    group = {row: number for number, rows in enumerate(near_groups(pictures, near)) for row in rows}
    rows = [
        {"file": file, "class": file.split("/")[0], **_header(folder / file), "problem": pictures.bad.get(file, "")}
        for file in names
    ]
    files = pandas.DataFrame(rows)
    files["same"] = pandas.factorize(pandas.Series(pictures.pixels))[0]
    files["near"] = [group.get(row, -1) for row in range(len(names))]
    return Report(folder, size, files, notes, pictures.images)


def _header(file: Path) -> dict:
    """What the head of an image file says; zeros where there is none."""
    about = {"width": 0, "height": 0, "kB": round(file.stat().st_size / 1000, 1), "turned": False}
    try:
        with Image.open(file) as image:
            width, height = image.size
            return about | {
                "width": width,
                "height": height,
                "turned": image.getexif().get(ExifTags.Base.Orientation, 1) != 1,
            }
    except Exception:  # said in `problem`, where it is decoded in full
        return about


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _some(names, most: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
