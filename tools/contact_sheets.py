"""Draw the contact sheets that docs/images.md shows, from code: some pictures of each class, its name beside them.

    python tools/contact_sheets.py [folder]

Writes goldfinches.png, flowers.png, tissue.png, studio.png and source_world.png into the folder, docs/ unless told otherwise.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from helpers import render
from helpers.images.drawn.garden import class_names
from helpers.images.drawn.world import FAMILIES

MARGIN = 110  # pixels for the names
SHEETS = {  # file: collection, pictures of each class, their size in pixels, the scene behind them
    "goldfinches": ("goldfinches", 6, 128, "meadow"),
    "flowers": ("flowers", 8, 80, "meadow"),
    "tissue": ("tissue", 8, 80, "meadow"),
    "studio": ("goldfinches", 8, 80, "studio"),
    "source_world": ("source", 8, 64, "meadow"),
}


def shown(collection: str) -> list[int]:
    """The labels on a sheet: all of a small collection, four of each family of the source world."""
    names = class_names(collection)
    if collection != "source":
        return list(range(len(names)))
    return [i for i, name in enumerate(names) if name in {f"{family}-{n:03d}" for family in FAMILIES for n in range(4)}]


def pictures(sheet: str) -> torch.Tensor:
    """The pictures of a sheet, a row a class: uint8 (rows, columns, size, size, 3). They are training pictures, seed 0."""
    collection, columns, size, scene = SHEETS[sheet]
    labels = torch.tensor(shown(collection))
    numbers = torch.arange(columns).repeat(len(labels))
    images, _ = render(collection, labels.repeat_interleave(columns), numbers, size=size, scene=scene)
    return images.view(len(labels), columns, 3, size, size).permute(0, 1, 3, 4, 2)


def draw(sheet: str) -> Image.Image:
    """The sheet, in 256 colours to keep the file small."""
    cells, names = pictures(sheet), class_names(SHEETS[sheet][0])
    rows, columns, size = cells.shape[:3]
    page = Image.new("RGB", (MARGIN + columns * size, rows * size), "white")
    grid = cells.permute(0, 2, 1, 3, 4).reshape(rows * size, columns * size, 3)
    page.paste(Image.fromarray(grid.numpy()), (MARGIN, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for row, label in enumerate(shown(SHEETS[sheet][0])):
        pen.text((6, (row + 0.5) * size), names[label], fill="black", font=font, anchor="lm")
    palette = page.quantize(256, method=Image.Quantize.MAXCOVERAGE)  # keeps small, strong colours such as a red face
    return page.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def main(folder="docs"):
    for sheet in SHEETS:
        path = Path(folder) / f"{sheet}.png"
        draw(sheet).save(path, optimize=True)
        print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
