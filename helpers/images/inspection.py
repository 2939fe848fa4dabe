"""Look at a folder of images before anything is trained on it: counts, sizes, odd files, duplicates, and pictures of them."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas
import torch

from helpers.images.decoding import MAX_PIXELS
from helpers.images.folders import find_images
from helpers.images.imagecache import Pictures, decode_once
from helpers.images.kinds import is_screenshot, shown
from helpers.images.oddities import sentences
from helpers.images.published import image_folder
from helpers.images.twins import NEAR, flat, near_groups

WIDE = 2.5  # times as long as high, or more: a panorama, of which the central square is the lesser part
_ROWS = 24  # classes in the table that is shown; `table` has all


@dataclass(frozen=True, eq=False)
class Report:
    """What is in a folder of images.

    folder   where they are. size: pixels a side at which they were compared
    files    a row an image file: file ("class/name"), class, width, height (pixels as stored), kB, kind ("JPEG", ...), mode
             (Pillow's), turned (by its EXIF data), odd ("" or what to look at in it), problem ("" or why it can't be decoded),
             same (the number of its group of equal pictures), near (of its group of near-duplicates, equal ones included;
             -1: can't be decoded)
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
        low, high = short.min(), short.max()
        rows["short side, px"] = low.astype(str).where(low == high, low.astype(str) + " to " + high.astype(str))
        return rows.fillna({"usable": 0, "different": 0, "without near-duplicates": 0, "short side, px": ""}).astype(
            {"usable": int, "different": int, "without near-duplicates": int}
        )

    @property
    def problems(self) -> pandas.DataFrame:
        """The files that can't be decoded, a row each: file and why."""
        return self.files.loc[self.files.problem != "", ["file", "problem"]].reset_index(drop=True)

    def groups(self, kind: str = "near") -> list[list[str]]:
        """The files of each group of near-duplicates, or of equal pictures ("same"); pictures without a twin are in none."""
        if kind not in ("near", "same"):
            raise ValueError(f'kind={kind!r} must be "near" or "same"')
        good = self.files[(self.files.problem == "") & self.files.duplicated(kind, keep=False)]
        members = [list(group.file) for _, group in good.groupby(kind)]
        return sorted(members, key=lambda group: (-len(group), group))

    @property
    def findings(self) -> list[str]:
        """What to know and to do before training, a sentence or two each; the worst first."""
        return sentences(self)

    def sheet(self, per_class: int = 10, page: int = 1):
        """A contact sheet: a row a class, pictures from all over its folder. A matplotlib Figure.

        Twenty classes at most; `page=2` has the next twenty. Raises ValueError for a page that there is not.
        """
        from helpers.images.sheets import class_sheet

        return class_sheet(self, per_class, page)

    def twins(self, most: int = 5, kind: str = "near"):
        """A contact sheet of the largest groups of near-duplicates, a row a group, four pictures of each at most."""
        from helpers.images.sheets import twin_sheet

        return twin_sheet(self, most, kind)

    def odd_sheet(self, most: int = 24):
        """A contact sheet of what to look at: files that can't be decoded, as far as they can be shown, and odd pictures.

        Raises ValueError if there is nothing odd.
        """
        from helpers.images.sheets import odd_sheet

        return odd_sheet(self, most)

    def _rows(self) -> tuple[pandas.DataFrame, str]:
        """The table as it is shown, and what it leaves out: of many classes the smallest and the largest."""
        table = self.table.rename(index=shown)
        if len(table) <= _ROWS:
            return table, ""
        table, half = table.sort_values(["usable", "files"], kind="stable"), _ROWS // 2
        left = f"The {half} smallest and the {half} largest classes; {len(table) - _ROWS} more lie between: see .table"
        return pandas.concat([table[:half], table[-half:]]), left

    def _title(self) -> str:
        return f"{len(self.files):,} image files in {self.files['class'].nunique():,} classes"

    def __repr__(self) -> str:
        table, left = self._rows()
        lines = [f"{shown(self.folder.name)}: {self._title()}", table.to_string(), *([left] if left else [])]
        return "\n".join([*lines, *(f"- {line}" for line in self.findings)])

    def _repr_html_(self) -> str:
        table, left = self._rows()
        items = "".join(f"<li>{escape(line)}</li>" for line in self.findings)
        left = f"<p>{escape(left)}</p>" if left else ""
        title = f"<b>{escape(shown(self.folder.name))}</b>: {self._title()}"
        return f'<p>{title}</p>{table.to_html(index_names=False)}{left}<ul style="max-width:60em">{items}</ul>'


def inspect_images(path, size: int = 64, *, near: int = NEAR, cache_dir=None, max_pixels: int = MAX_PIXELS) -> Report:
    """Look at a folder of class folders, or a zip of one, and say what is in it. No file is changed.

    size: pixels a side at which pictures are decoded (and kept, for open_task). near: how many of 256 bits two
    near-duplicates may differ in, see `helpers/images/twins.py`. max_pixels: larger pictures count as files with a problem.
    Raises what `image_folder` and `find_images` raise.
    """
    folder = image_folder(path, cache_dir)
    classes, notes = find_images(folder)
    names = [file for members in classes.values() for file in members]
    pictures = decode_once(folder, names, size, max_pixels, cache_dir)
    group = {row: number for number, rows in enumerate(near_groups(pictures, near)) for row in rows}
    empty = flat(pictures.images).tolist()
    rows = [_row(pictures, row, empty[row]) for row in range(len(names))]
    files = pandas.DataFrame(rows)
    files["same"] = pandas.factorize(pandas.Series(pictures.pixels))[0]
    files["near"] = [group.get(row, -1) for row in range(len(names))]
    return Report(folder, size, files, notes, pictures.images)


def _row(pictures: Pictures, row: int, empty: bool) -> dict:
    """The row of one file in a report's table; zeros where its head says nothing."""
    file, head = pictures.files[row], pictures.headers[row]
    width, height = head.get("width", 0), head.get("height", 0)
    odd = {
        f"{width} x {height}: only its middle is used": max(width, height) >= WIDE * min(width, height) > 0,
        "a screenshot": head.get("screenshot", False) or is_screenshot(file.rpartition("/")[2]),
        "nearly one colour": empty,
        "moves: its first picture is used": head.get("moves", False),
    }
    problem = pictures.bad.get(file, "")
    return {
        "file": file,
        "class": file.split("/")[0],
        "width": width,
        "height": height,
        "kB": round(head["bytes"] / 1000, 1),
        "kind": head.get("kind", ""),
        "mode": head.get("mode", ""),
        "turned": head.get("turned", False),
        "odd": "" if problem else "; ".join(what for what, so in odd.items() if so),
        "problem": problem,
    }
