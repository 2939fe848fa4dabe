"""Look at a folder of images before anything is trained on it: counts, sizes, unreadable files, duplicates, a contact sheet."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas
import torch

from helpers.images.decoding import HEIC_NEEDS, shown, some
from helpers.images.folders import find_images, read_credits
from helpers.images.imagecache import decode_once
from helpers.images.published import image_folder
from helpers.images.tasks import Files, Split
from helpers.images.twins import near_groups
from helpers.notebook.figures import drawable, plot_images, plot_split

FEW = 10  # different pictures of a class: with fewer there is next to nothing left to learn from, or to judge by
_UNEVEN = 3  # times as many pictures of the largest class as of the smallest
_ROWS = 24  # classes in the table that is shown; `table` has all


@dataclass(frozen=True, eq=False)
class Report:
    """What is in a folder of images.

    folder   where they are. size: pixels a side at which they were compared
    files    a row an image file: file ("class/name"), class, width, height (pixels as stored), problem ("" or why it can't
             be decoded), same (the number of its group of equal pictures), near (of its group of near-duplicates, equal
             ones included; -1: can't be decoded)
    notes    what else is in the folder
    images   uint8 (rows of `files`, 3, size, size)
    """

    folder: Path
    size: int
    files: pandas.DataFrame
    notes: list[str]
    images: torch.Tensor

    @property
    def table(self) -> pandas.DataFrame:
        """A row a class: files, how many can be decoded, how many differ, how many still do when near-duplicates count once."""
        good = self._good.groupby("class")
        counts = {"usable": good.size(), "different": good.same.nunique(), "without near-duplicates": good.near.nunique()}
        rows = pandas.DataFrame({"files": self.files.groupby("class").size()} | counts).fillna(0).astype(int)
        short = self._good[["width", "height"]].min(axis=1).groupby(self._good["class"])
        low, high = short.min().astype(str), short.max().astype(str)
        rows["short side, px"] = low.where(low == high, low + " to " + high).reindex(rows.index, fill_value="")
        return rows

    @property
    def _good(self) -> pandas.DataFrame:
        return self.files[self.files.problem == ""]

    @property
    def problems(self) -> pandas.DataFrame:
        """The files that can't be decoded, a row each: file and why."""
        return self.files.loc[self.files.problem != "", ["file", "problem"]].reset_index(drop=True)

    def groups(self, kind: str = "near") -> list[list[str]]:
        """The files of each group of near-duplicates, or of equal pictures ("same"); the largest group first."""
        if kind not in ("near", "same"):
            raise ValueError(f'kind={kind!r} must be "near" or "same"')
        good = self._good
        members = [list(group.file) for _, group in good[good.duplicated(kind, keep=False)].groupby(kind)]
        return sorted(members, key=lambda group: (-len(group), group))

    @property
    def findings(self) -> list[str]:
        """What to know and to do before training, a sentence or two each; the most urgent first."""
        lines = [*_unreadable(self.problems), *_two_classes(self._good), *_balance(self.table)]
        if groups := self.groups():
            lines.append(
                f"{_count(groups, 'group')} of near-duplicates, {sum(map(len, groups)):,} pictures in all. Keep each group on "
                "one side of the split: open_task(..., together=True)."
            )
        if same := self.groups("same"):
            pairs = "; ".join(" = ".join(map(shown, group[:2])) for group in same[:3])
            lines.append(f"Repeated exactly, and used once: {sum(map(len, same)) - len(same):,} files, such as {pairs}.")
        small = self._good.file[self._good[["width", "height"]].min(axis=1) < self.size]
        if len(small):
            lines.append(f"Smaller than {self.size} pixels: {_count(small, 'picture')}, such as {some(small, 3)}.")
        return lines + [note[0].upper() + note[1:] + "." for note in self.notes]

    def sheet(self, files=None, columns: int = 8):
        """A contact sheet, a matplotlib Figure: a row a class, pictures from all over its folder; twenty classes at most.

        files: show these instead, each with its name: `report.sheet(report.groups()[0])` the largest group of near-duplicates.
        Raises ValueError for files that are not in the report or cannot be decoded.
        """
        good, credits = self._good, read_credits(self.folder)
        if files is not None:
            row_of = dict(zip(good.file, good.index, strict=True))
            if unknown := [file for file in files if file not in row_of]:
                raise ValueError(f"there is no picture to show of {some(unknown)}; see .files and .problems")
            titles = [drawable(shown(Path(file).name), 18) for file in files]
            images = self.images[[row_of[file] for file in files]]
            return plot_images(images, titles, columns, 1.7, [credits.get(file, "") for file in files])
        members = {name: good[good["class"] == name] for name in sorted(self.files["class"].unique())[:20]}
        chosen = pandas.concat([its[:: max(1, -(-len(its) // columns))] for its in members.values()])
        labels = torch.tensor(chosen["class"].map([*members].index).tolist(), dtype=torch.long)
        lines = [credits.get(name, "") for name in chosen.file]
        split = Split(self.images, torch.tensor(chosen.index.tolist(), dtype=torch.long), labels, [*chosen.file], credits=lines)
        titles = [f"{drawable(shown(name), 22)}\n{len(its):,}" for name, its in members.items()]
        return plot_split(split, titles, columns, 1.1)

    def _title(self) -> str:
        return f"{len(self.files):,} image files in {self.files['class'].nunique():,} classes"

    def _rows(self) -> pandas.DataFrame:
        """The table as it is shown: of many classes the smallest and the largest."""
        table = self.table.rename(index=shown)
        if len(table) <= _ROWS:
            return table
        table = table.sort_values(["usable", "files"], kind="stable")
        between = pandas.DataFrame("", [f"{len(table) - _ROWS} more lie between: see .table"], table.columns)
        return pandas.concat([table[: _ROWS // 2], between, table[-_ROWS // 2 :]])

    def __repr__(self) -> str:
        findings = (f"- {line}" for line in self.findings)
        return "\n".join([f"{shown(self.folder.name)}: {self._title()}", self._rows().to_string(), *findings])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line in self.findings)
        title = f"<b>{escape(shown(self.folder.name))}</b>: {self._title()}"
        return f'<p>{title}</p>{self._rows().to_html(index_names=False)}<ul style="max-width:60em">{items}</ul>'


def inspect_images(path, size: int = 64, *, files: Files | None = None) -> Report:
    """Look at a folder of class folders, or a zip of one, and report what is in it. No file is changed.

    size: pixels a side at which pictures are decoded (and kept, for open_task). files: where decoded images are kept and how
    large a picture may be, as for open_task. Raises what `image_folder` and `find_images` raise.
    """
    files = files or Files()
    folder = image_folder(path, files.cache_dir)
    classes, notes = find_images(folder)
    names = sum(classes.values(), [])
    pictures = decode_once(folder, names, size, files.max_pixels, files.cache_dir)
    group = {row: number for number, rows in enumerate(near_groups(pictures)) for row in rows}
    table = pandas.DataFrame({"file": names, "class": [file.split("/")[0] for file in names]})
    table[["width", "height"]] = pictures.sizes
    table["problem"] = table.file.map(lambda file: pictures.bad.get(file, ""))
    table["same"] = pandas.factorize(pandas.Series(pictures.pixels))[0]
    table["near"] = table.index.map(lambda row: group.get(row, -1))
    return Report(folder, size, table, notes, pictures.images)


def _unreadable(problems: pandas.DataFrame):
    """What to do about files that can't be decoded; those that a package would help come first."""
    heic = problems.problem.str.contains(HEIC_NEEDS, regex=False)
    large = problems.problem.str.contains("too large")
    for which, what, remedy in (
        (heic, "HEIC picture", f"To read them: {HEIC_NEEDS}"),
        (large, "too large picture", "Shrink them, or allow more with files=Files(max_pixels=...), here and in open_task."),
        (~heic & ~large, "file", 'Replace or remove them, or leave them out with open_task(..., on_bad="skip").'),
    ):
        if which.any():
            yield f"{_count(problems[which], what)} can't be decoded: {some(problems.file[which], 3)}. {remedy}"


def _two_classes(good: pandas.DataFrame):
    both = sorted(list(group.file) for _, group in good.groupby("near") if group["class"].nunique() > 1)
    if both:
        pairs = "; ".join(some(group, 3) for group in both[:3]) + (f"; and {len(both) - 3:,} more" if len(both) > 3 else "")
        yield f"{_count(both, 'group')} of near-duplicates in two classes: {pairs}. Which class is right?"


def _balance(table: pandas.DataFrame):
    """How even the classes are, the accuracy of always giving the same answer, and classes with too few pictures."""
    counts = table["usable"]
    if not counts.sum():
        return
    largest, smallest = shown(counts.idxmax()), shown(counts.idxmin())
    most, least, beat = counts.max(), counts.min(), f"{counts.max() / counts.sum():.0%}: the number to beat."
    if most == least:
        yield f"Each class has {most:,} usable files. Always giving the same answer would be right for {beat}"
    else:
        usable = f"{most:,} usable files of {largest!r}, {least:,} of {smallest!r}"
        yield f"{usable}. Always answering {largest!r} would be right for {beat}"
    if most >= _UNEVEN * least >= _UNEVEN * FEW:
        yield (
            f"The classes are uneven: more pictures of {smallest!r} help most. Until you have them, train on as many of each "
            f"class, open_task(..., per_class={int(0.6 * least)}), and look at the accuracy of each class."
        )
    few = table["without near-duplicates"]
    few = [f"{name} ({count})" for name, count in few[few < FEW].items()]
    if few:
        yield f"Fewer than {FEW} different pictures: {some(few)}. That is too few to learn from and to judge by: add some."


def _count(items, what: str) -> str:
    return f"{len(items):,} {what}" + "s" * (len(items) != 1)
