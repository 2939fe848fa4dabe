"""Contact sheets of a folder of images: its classes, its near-duplicates, and its odd files."""

import textwrap
from pathlib import Path

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageFile

from helpers.images.attribution import line_below
from helpers.images.credits import follow_file
from helpers.images.decoding import MAX_PIXELS, open_image, quietly
from helpers.images.kinds import shown
from helpers.images.tasks import Split
from helpers.notebook.figures import plot_images, plot_split

CLASSES = 20  # on one sheet


def class_sheet(report, per_class: int, page: int):
    """A row a class of an `inspection.Report`, twenty at most: its name, how many there are, pictures from all over them."""
    names, pages = sorted(report.files["class"].unique()), -(-report.files["class"].nunique() // CLASSES)
    if page not in range(1, pages + 1):
        raise ValueError(f"page={page!r}: there are the pages 1 to {pages}")
    good = report.files[report.files.problem == ""]
    members = {name: group.index.tolist() for name, group in good.groupby("class")}
    mine = names[(page - 1) * CLASSES : page * CLASSES]
    picked, labels = [], []
    for label, name in enumerate(mine):
        rows = members.get(name, [])
        count = min(per_class, len(rows))
        picked += [rows[place * len(rows) // count] for place in range(count)]
        labels += [label] * count
    titles = [f"{drawable(name, 22)}\n{len(members.get(name, [])):,}" for name in mine]
    index, of_class = torch.tensor(picked, dtype=torch.long), torch.tensor(labels, dtype=torch.long)
    figure = plot_split(Split(report.images, index, of_class, list(report.files.file[picked])), titles, per_class, 1.1)
    if pages > 1:
        line_below(figure, f"classes {(page - 1) * CLASSES + 1} to {(page - 1) * CLASSES + len(mine)} of {len(names)}; "
                       f"sheet(page=...) has {pages} pages")  # fmt: skip
    return figure


def twin_sheet(report, most: int, kind: str):
    """The largest groups of near-duplicates of an `inspection.Report`, a row a group, four pictures of each at most."""
    groups = report.groups(kind)
    if not groups:
        raise ValueError("there are no duplicates to show")
    row_of = {file: row for row, file in enumerate(report.files.file)}
    images, titles = [], []
    for group in groups[:most]:
        for place in range(4):
            there = place < len(group)
            images.append(report.images[row_of[group[place]]] if there else torch.full_like(report.images[0], 255))
            more = f" (+ {len(group) - 4})" if place == 3 and len(group) > 4 else ""
            titles.append(drawable(Path(group[place]).stem, 16) + more if there else "")
    figure = plot_images(torch.stack(images), titles, columns=4, width=1.9)
    if len(groups) > most:
        line_below(figure, f"the {most} largest groups; there are {len(groups) - most:,} more")
    return figure


def odd_sheet(report, most: int):
    """Files of an `inspection.Report` that can't be decoded, as far as they can be shown, and then the odd pictures."""
    bad, odd = report.files[report.files.problem != ""], report.files[report.files.odd != ""]
    total = len(bad) + len(odd)
    if not total:
        raise ValueError("there is nothing odd to show: every file can be decoded and looks like a photograph")
    # of both kinds, if there are many of both
    bad = bad[: max(most - len(odd), most // 2)]
    odd = odd[: most - len(bad)]
    side = max(report.size, 96)
    images = [_what_there_is(report.folder / file, side) for file in bad.file]
    images += [_whole(report.folder / file, side) for file in odd.file]
    whys = [_in_short(problem) for problem in bad.problem] + list(odd.odd)
    names = [drawable(Path(file).name, 20) for file in [*bad.file, *odd.file]]
    titles = [f"{name}\n{textwrap.fill(why, 21, max_lines=2)}" for name, why in zip(names, whys, strict=True)]
    figure = plot_images(torch.stack(images), titles, columns=min(4, len(images)), width=2.3)
    if total > len(images):
        line_below(figure, f"{len(images)} of {total:,}; odd_sheet(most=...) shows more")
    return figure


def drawable(text: str, most: int) -> str:
    """A name for a figure: on one line, of at most so many letters, with a box for each that the figures' font has not."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    short = text if len(text) <= most else text[: most // 2 - 1] + "…" + text[-(most - most // 2) :]
    return "".join(letter if font.get_char_index(ord(letter)) else "□" for letter in shown(short)).replace("$", r"\$")


def _whole(file: Path, side: int) -> torch.Tensor:
    """A picture as a whole, on a grey ground: uint8 (3, side, side). (What training sees is its central square.)"""
    try:
        with quietly():
            picture = open_image(file)
    except (OSError, ValueError):
        return _nothing(side)
    return follow_file(file, _on_grey(picture, side))


def _what_there_is(file: Path, side: int) -> torch.Tensor:
    """As much of a damaged or too large file as Pillow can make of it; else an empty tile."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        with quietly(), Image.open(file) as image:
            image.draft("RGB", (side, side))  # of a JPEG an eighth is decoded, so even a huge one takes little memory
            if image.width * image.height > MAX_PIXELS:
                return _nothing(side)
            return follow_file(file, _on_grey(image.convert("RGB"), side))
    except Exception:  # there is nothing to be shown of it, and the report says so
        return _nothing(side)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _on_grey(picture: Image.Image, side: int) -> torch.Tensor:
    picture.thumbnail((side, side))
    ground = Image.new("RGB", (side, side), (225, 225, 225))
    ground.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return torch.from_numpy(np.array(ground)).permute(2, 0, 1)


def _nothing(side: int) -> torch.Tensor:
    """A tile that shows that there is nothing: grey, crossed out."""
    tile = torch.full((3, side, side), 225, dtype=torch.uint8)
    line = torch.arange(side)
    tile[:, line, line] = tile[:, line, side - 1 - line] = 150
    return tile


def _in_short(problem: str) -> str:
    """What is in the brackets of "name: cannot be decoded (why). remedy", or what follows the name."""
    why = problem.partition("cannot be decoded (")[2].rpartition(")")[0] or problem.partition(": ")[2]
    cut = any(words in why.lower() for words in ("truncated", "end of file", "cut off", "broken data stream"))
    return "cut off or damaged" if cut else why.removeprefix("not an image, or of an unknown kind: ")
