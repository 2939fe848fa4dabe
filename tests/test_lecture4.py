"""Lecture 4: what the notebook claims, compared with what it has stored."""

import re

import nbformat
from counts import LIMITS, counts
from project import ROOT

NOTEBOOK = ROOT / "notebooks/04_fine_tuning_well.ipynb"
CELLS = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}


def number(cell_id, after):
    """The first number after `after` in the stored outcome of a cell."""
    texts = [output.get("text") or output.data["text/plain"] for output in CELLS[cell_id].outputs]
    return float(re.search(rf"{after}\D*?(\d+\.?\d*)", "\n".join(texts))[1])


def test_head_first_batchnorm_at_rest_and_the_middle_rate_are_far_ahead_and_every_rate_forgets():
    at_rest = number("opening", "at rest")
    assert at_rest > max(number("opening", "live"), number("opening", "before")) + 5
    assert at_rest > max(number("head-outcome", "random head"), number("head-outcome", "10x rate")) + 15
    assert number("again", "start, drawings' statistics") < 45 < number("again", "fitted to it") < number("opening", "before") - 5
    assert number("again", "measured again") < at_rest - 5 and number("spread", "factor of") > 1.3
    assert number("bn-only", "head alone") < number("bn-only", "parameters") < at_rest < number("recipe-choose", "test images")
    low, middle, high = (number("forgetting", f"accuracy at {rate}") for rate in ("1e-4", "3e-4", "1e-3"))
    assert middle > low + 5 and high < low - 5 and number("forgetting", "old answers kept at 1e-4") < 80


def test_lecture_asks_no_more_of_its_reader_than_promised_and_its_guesses_begin_empty():
    found = counts(NOTEBOOK)
    assert all(found[name] <= most for name, most in LIMITS.items()), found
    assert not [cell.id for cell in CELLS.values() if cell.source.startswith("guess") and re.search(r": *\d", cell.source)]
    texts = "\n".join(cell.source for cell in CELLS.values() if cell.cell_type == "markdown")
    assert texts.count("**Do this:**") == 5 == len(re.findall(r"^## \d", texts, re.MULTILINE))
