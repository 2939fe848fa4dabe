"""Look at a folder of images before anything is trained on it: counts, sizes, unreadable files, duplicates, a contact sheet."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas
import torch

from helpers.images.folders import find_images, read_credits
from helpers.images.imagecache import decode_once
from helpers.images.kinds import NEEDED, shown, some
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
        good = self.files[self.files.problem == ""].groupby("class")
        counts = {"usable": good.size(), "different": good.same.nunique(), "without near-duplicates": good.near.nunique()}
        rows = pandas.DataFrame({"files": self.files.groupby("class").size()} | counts).fillna(0).astype(int)
        short = self.files[self.files.problem == ""].set_index("class")[["width", "height"]].min(axis=1).groupby("class")
        low, high = short.min().astype(str), short.max().astype(str)
        rows["short side, px"] = low.where(low == high, low + " to " + high).reindex(rows.index, fill_value="")
        return rows

    @property
    def problems(self) -> pandas.DataFrame:
        """The files that can't be decoded, a row each: file and why."""
        return self.files.loc[self.files.problem != "", ["file", "problem"]].reset_index(drop=True)

    def groups(self, kind: str = "near") -> list[list[str]]:
        """The files of each group of near-duplicates, or of equal pictures ("same"); the largest group first."""
        if kind not in ("near", "same"):
            raise ValueError(f'kind={kind!r} must be "near" or "same"')
        good = self.files[(self.files.problem == "") & self.files.duplicated(kind, keep=False)]
        members = [list(group.file) for _, group in good.groupby(kind)]
        return sorted(members, key=lambda group: (-len(group), group))

    @property
    def findings(self) -> list[str]:
        """What to know and to do before training, a sentence or two each; the most urgent first."""
        good = self.files[self.files.problem == ""]
        lines = [*_unreadable(self.problems), *_two_classes(good), *_balance(self.table)]
        if groups := self.groups():
            lines.append(
                f"{_count(groups, 'group')} of near-duplicates, {sum(map(len, groups)):,} pictures in all. Keep each group on "
                "one side of the split: open_task(..., together=True)."
            )
        if same := self.groups("same"):
            pairs = "; ".join(" = ".join(map(shown, group[:2])) for group in same[:3])
            lines.append(f"Repeated exactly, and used once: {sum(map(len, same)) - len(same):,} files, such as {pairs}.")
        small = good.file[good[["width", "height"]].min(axis=1) < self.size]
        if len(small):
            lines.append(f"Smaller than {self.size} pixels: {_count(small, 'picture')}, such as {some(small, 3)}.")
        return lines + [note[0].upper() + note[1:] + "." for note in self.notes]

    def sheet(self, files=None, columns: int = 8):
        """A contact sheet, a matplotlib Figure: a row a class, pictures from all over its folder; twenty classes at most.

        files: show these instead, each with its name: `report.sheet(report.groups()[0])` the largest group of near-duplicates.
        Raises ValueError for files that are not in the report or cannot be decoded.
        """
        good, credits = self.files[self.files.problem == ""], read_credits(self.folder)
        row_of = dict(zip(good.file, good.index, strict=True))
        if files is not None:
            if unknown := [file for file in files if file not in row_of]:
                raise ValueError(f"there is no picture to show of {some(unknown)}; see .files and .problems")
            rows = torch.tensor([row_of[file] for file in files], dtype=torch.long)
            titles = [drawable(shown(Path(file).name), 18) for file in files]
            return plot_images(self.images[rows], titles, columns, 1.7, [credits.get(file, "") for file in files])
        classes = sorted(self.files["class"].unique())[:20]
        members = [good.index[good["class"] == name].tolist() for name in classes]
        rows = [its[:: -(-len(its) // columns)] if its else [] for its in members]
        labels = [label for label, its in enumerate(rows) for _ in its]
        index = torch.tensor(sum(rows, []), dtype=torch.long)
        names = list(good.file[index.tolist()])
        lines = [credits.get(name, "") for name in names]
        split = Split(self.images, index, torch.tensor(labels, dtype=torch.long), names, credits=lines)
        titles = [f"{drawable(shown(name), 22)}\n{len(its):,}" for name, its in zip(classes, members, strict=True)]
        return plot_split(split, titles, columns, 1.1)

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


def inspect_images(path, size: int = 64, *, files: Files | None = None) -> Report:
    """Look at a folder of class folders, or a zip of one, and report what is in it. No file is changed.

    size: pixels a side at which pictures are decoded (and kept, for open_task). files: where decoded images are kept and how
    large a picture may be, as for open_task. Raises what `image_folder` and `find_images` raise.
    """
    files = files or Files()
    folder = image_folder(path, files.cache_dir)
    classes, notes = find_images(folder)
    names = [file for members in classes.values() for file in members]
    pictures = decode_once(folder, names, size, files.max_pixels, files.cache_dir)
    group = {row: number for number, rows in enumerate(near_groups(pictures)) for row in rows}
    width, height = zip(*pictures.sizes, strict=True)
    table = pandas.DataFrame(
        {
            "file": names,
            "class": [file.split("/")[0] for file in names],
            "width": width,
            "height": height,
            "problem": [pictures.bad.get(file, "") for file in names],
            "same": pandas.factorize(pandas.Series(pictures.pixels))[0],
            "near": [group.get(row, -1) for row in range(len(names))],
        }
    )
    return Report(folder, size, table, notes, pictures.images)


def _unreadable(problems: pandas.DataFrame):
    """What to do about files that can't be decoded; those that a package would help come first."""
    heic = problems.problem.str.contains(NEEDED, regex=False)
    large = problems.problem.str.contains("too large")
    for which, what, remedy in (
        (heic, "HEIC picture", f"To read them: {NEEDED}"),
        (large, "too large picture", "Shrink them, or allow more with files=Files(max_pixels=...), here and in open_task."),
        (~heic & ~large, "file", 'Replace or remove them, or leave them out with open_task(..., on_bad="skip").'),
    ):
        if which.any():
            yield f"{_count(problems[which], what)} can't be decoded: {some(problems.file[which], 3)}. {remedy}"


def _two_classes(good: pandas.DataFrame):
    spread = good.groupby("near")["class"].nunique()
    both = sorted(list(group.file) for _, group in good[good.near.isin(spread.index[spread > 1])].groupby("near"))
    if both:
        pairs = "; ".join(some(group, 3) for group in both[:3]) + (f"; and {len(both) - 3:,} more" if len(both) > 3 else "")
        yield f"{_count(both, 'group')} of near-duplicates in two classes: {pairs}. Which class is right?"


def _balance(table: pandas.DataFrame):
    """How even the classes are, the accuracy of always giving the same answer, and classes with too few pictures."""
    counts = table["usable"]
    if not counts.sum():
        return
    largest, smallest = shown(counts.idxmax()), shown(counts.idxmin())
    beat = f"{counts.max() / counts.sum():.0%}: the number to beat."
    if counts.max() == counts.min():
        yield f"Each class has {counts.max():,} usable files. Always giving the same answer would be right for {beat}"
    else:
        yield (
            f"{counts.max():,} usable files of {largest!r}, {counts.min():,} of {smallest!r}. Always answering {largest!r} would "
            f"be right for {beat}"
        )
    if counts.max() >= _UNEVEN * counts.min() >= _UNEVEN * FEW:
        yield (
            f"The classes are uneven: more pictures of {smallest!r} help most. Until you have them, train on as many of each "
            f"class, open_task(..., per_class={int(0.6 * counts.min())}), and look at the accuracy of each class."
        )
    few = table["without near-duplicates"]
    few = [f"{name} ({count})" for name, count in few[few < FEW].items()]
    if few:
        yield f"Fewer than {FEW} different pictures: {some(few)}. That is too few to learn from and to judge by: add some."


def _count(items, what: str) -> str:
    return f"{len(items):,} {what}" + "s" * (len(items) != 1)
