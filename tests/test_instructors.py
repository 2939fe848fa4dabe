"""The instructors' pages: minutes that add up, and a rubric for every question that asks to explain."""

import re

import pytest
from project import ROOT, cells, each

PAGES = sorted((ROOT / "docs/instructors").glob("lab*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPLAIN = (ROOT / "docs/instructors/explain.md").read_text(encoding="utf-8")
RUBRICS = dict(re.findall(r"^## Lab (\d):.*?$(.*?)(?=^## |\Z)", EXPLAIN, re.MULTILINE | re.DOTALL))


def minutes(page):
    """({part: minutes} of a page's table of minutes, {"core" or "all": the sum that stands below it})."""
    text = re.search(r"^## Minutes$(.*?)(?=^## )", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
    rows = {part: int(number) for part, number in re.findall(r"^\| ([^|]+?) \| \**(\d+)\** \|", text, re.MULTILINE)}
    sums = {part.strip("*").lower(): rows.pop(part) for part in [*rows] if part.startswith("**")}
    return rows, sums


@each(PAGES)
def test_minutes_of_the_parts_add_up_to_what_page_readme_and_lab_say(path):
    rows, sums = minutes(path)
    whole, core = sum(rows.values()), sum(value for part, value in rows.items() if "(optional)" not in part)
    assert len(rows) >= 4 and sums.items() <= {"core": core, "all": whole, "total": whole}.items(), f"core {core}, all {whole}"
    low, high = re.search(r"(\d+)(?: to (\d+))? minutes", path.read_text(encoding="utf-8").split("## Minutes")[0]).groups()
    if core < whole:  # with optional parts, the lab's time holds the core
        stated = int(re.search(rf"^\| \[.*\(labs/{path.stem}\.ipynb\).*\| (\d+)[^|]*\|$", README, re.MULTILINE)[1])
        assert core <= stated <= whole and core <= int(low)
    else:
        assert int(low) <= whole <= int(high or low)
    headings = "\n".join(cell.source for cell in cells(ROOT / f"solutions/{path.stem}.ipynb", "markdown"))
    told = [int(number) for number in re.findall(r"^## .*\((\d+) minutes\)", headings, re.MULTILINE)]
    assert len(told) != len(rows) or told == [*rows.values()], "the headings of the lab"


@pytest.mark.parametrize("number", RUBRICS)
def test_every_question_that_asks_to_explain_has_a_rubric_and_a_model_answer(number):
    (path,) = (ROOT / "solutions").glob(f"lab{number}_*.ipynb")
    asked = [cell.id for cell in cells(path, "markdown") if cell.source.startswith("**Explain.**")]
    _, *graded = re.split(r"^### (?=[\w-]+$)", RUBRICS[number], flags=re.MULTILINE)
    assert asked and [text.split("\n")[0] for text in graded] == asked
    for text in graded:
        assert re.findall(r"^\| (\d) \| .{10,} \|$", text, re.MULTILINE) == ["2", "1", "0"], text
        assert len(text.partition("**Model answer.**")[2].split()) >= 20, text
