"""docs/images.md shows the embedded images as they are."""

import re
import runpy

import numpy
import pytest
import torch
from PIL import Image
from project import ROOT

from helpers.images.drawn.garden import class_names, field_marks
from helpers.images.drawn.world import FAMILIES

PAGE = (ROOT / "docs/images.md").read_text(encoding="utf-8")
TOOL = runpy.run_path(str(ROOT / "tools/contact_sheets.py"))


@pytest.mark.parametrize("collection", ["goldfinches", "flowers", "tissue"])
def test_table_has_the_field_marks_of_the_code(collection):
    section = PAGE.split(f"## The {collection}")[1].split("\n## ")[0]
    (_, head), *rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.MULTILINE)
    assert head == "what to look for" and dict(rows) == field_marks(collection)


@pytest.mark.parametrize("sheet", TOOL["SHEETS"])
def test_contact_sheet_shows_what_the_code_draws_now(sheet):
    """Up to its 256 colours; otherwise run python tools/contact_sheets.py again."""
    path = ROOT / f"docs/{sheet}.png"
    assert f"]({path.name})" in PAGE and path.stat().st_size < 400_000
    cells = TOOL["pictures"](sheet)
    rows, columns, size = cells.shape[:3]
    page = torch.from_numpy(numpy.array(Image.open(path).convert("RGB"))).float()
    assert page.shape == (rows * size, TOOL["MARGIN"] + columns * size, 3)
    shown = page[:, TOOL["MARGIN"] :].reshape(rows, size, columns, size, 3).transpose(1, 2)
    blocks = (shown - cells.float()).unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2))  # the eye's view of the dots
    of_pictures, of_blocks = blocks.abs().mean((2, 3, 4)).max(), blocks.abs().max()  # of 255
    message = "docs/ shows other pictures than the code draws: run python tools/contact_sheets.py"
    assert of_pictures < 2.5 and of_blocks < 25, message
    names = page[:, : TOOL["MARGIN"]].reshape(rows, -1)
    assert (names.amin(1) < 60).all() and names.mean() > 200, "each row has its name beside it"


def test_example_and_numbers_on_the_page_are_those_of_the_code():
    assert 'render("flowers", [5], [0], size=256)     # one pansy' in PAGE and class_names("flowers")[5] == "pansy"
    assert f"{sum(FAMILIES.values())} classes" in PAGE
    assert {name: int(count) for name, count in re.findall(r"^- \*\*(\w+)s\*\* \((\d+)\)", PAGE, re.MULTILINE)} == FAMILIES
