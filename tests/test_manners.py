"""The manners of a lecture: what it opens with and ends with, predictions, quizzes, slides, numbers that have a source."""

import re

import pytest
from counts import LIMITS, counts
from project import ROOT, cells, each, name, notebooks

LECTURES = [path for path in notebooks("notebooks") if re.match(r"0[1-9]_", path.name)]
ALL = notebooks("notebooks", "solutions", "labs")


@each(LECTURES)
def test_lecture_opens_with_objectives_minutes_and_what_to_know_then_chooses_its_budget(path):
    opening = " ".join(cell.source for cell in cells(path)[:3])
    assert opening.startswith(f"# Lecture {int(path.name[:2])}: ")
    assert "You will be able to" in opening and "What you need to know" in opening
    assert re.search(r"\d+ minutes|Minutes:\W+\d+|minutes\W+\d+", opening), "say how many minutes it takes"
    assert re.search(r"\bCPU\b", opening), "say on what: two CPU cores"
    code = [cell.source for cell in cells(path, "code")]
    assert "budget = h.choose_budget()" in "\n".join(code[1:3]) and "\n".join(code).count("choose_budget(") == 1


@each(LECTURES)
def test_lecture_ends_with_what_we_learnt_and_what_next(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert re.findall(r"^(?:#+ |\*\*)(What we learnt|What next)", text, re.M) == ["What we learnt", "What next"]
    following = [other for other in LECTURES if other.name > path.name][:1]
    assert all(f"({other.name})" in cells(path)[-1].source for other in following), "link the next lecture at the end"


@each(LECTURES)
def test_student_guesses_before_results_and_then_sees_the_outcome(path):
    code = "\n\n".join(cell.source for cell in cells(path, "code"))
    before, *experiments = re.split(r"^guess\w* = ", code, flags=re.MULTILINE)
    assert len(experiments) >= 3, f"{len(experiments)} predictions"
    assert "h.beside(" not in before, "an outcome without a guess before it"
    for experiment in experiments:
        assert re.search(r"h\.(beside|show)\(", experiment), f"never compared with an outcome: guess = {experiment[:60]}"
    assert code.count("h.beside(") >= len(experiments) / 2, "most guesses stand beside their outcome"


@each(LECTURES)
def test_lecture_asks_at_least_four_quizzes(path):
    asked = [cell.source for cell in cells(path, "code") if re.search(r"\bh\.quiz\(", cell.source)]
    assert len(asked) >= 4, f"only {len(asked)} quizzes"
    assert all(len(source.splitlines()) == 1 for source in asked), "one quiz a cell"


# The path through the course


@each([ROOT / "README.md", ROOT / "notebooks/00_start_here.ipynb"])
def test_path_leads_to_every_lecture_in_order_under_its_title(path):
    text = path.read_text(encoding="utf-8")
    places = [text.index(f"{other.name})") for other in LECTURES]
    assert places == sorted(places)
    for other in LECTURES:
        title = cells(other)[0].source.splitlines()[0].removeprefix("# ")
        assert f"{title}]".lower() in text.replace("**", "").lower(), f"{name(path)} should call {other.name} {title!r}"


@each(LECTURES)
def test_readme_says_the_minutes_that_the_lecture_says(path):
    """Such as "Minutes: 75, of which the computer needs about 2"."""
    (row,) = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
              if line.startswith("|") and path.name in line]  # fmt: skip
    opening = " ".join(cell.source for cell in cells(path)[:3])
    said = [re.search(r"(\d+),\s+of\s+which[^|.]*?(?:about|within)\s+(\d+)", text).groups() for text in (row, opening)]
    assert said[0] == said[1]


# Numbers in the prose


def numbers_without_a_source(markdown):
    """The "87%" and "12 points" of a text that are neither between marks (<!-- 03.key -->...<!-- /03.key -->: those come
    from the results file), nor in code, nor in a paragraph, list item or table row with a web link, "et al." or a year.
    Also "95%" (intervals) and "chance is 25%" may stand alone."""
    text = re.sub(r"<!-- (\S+) -->.*?<!-- /\1 -->", "", markdown, flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    found, announced = [], False  # announced: by a paragraph with a source that ends in a colon, as before a table
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.)\s)", text):
        cites = re.search(r"\]\(https?://|\bet al\b|\b(?:19|20)\d\d\b|\barXiv\b", block)
        if cites or (announced and block.lstrip().startswith("|")):
            announced = announced or block.rstrip().endswith(":")
            continue
        announced = False
        block = re.sub(r"\bchance\b[^.]{0,25}?\d+ ?%", "", block, flags=re.IGNORECASE)
        numbers = re.findall(r"\d[\d.,]*(?:\s|&nbsp;|\u00a0|\u202f)?(?:%|per ?cent\b|points?\b)", block)
        found += [number for number in numbers if not re.fullmatch(r"95\s?(%|per ?cent)", number)]
    return found


@each(LECTURES)
def test_measured_numbers_in_the_prose_are_bound_to_a_results_file_or_cite_a_source(path):
    loose = {cell.id: found for cell in cells(path, "markdown") if (found := numbers_without_a_source(cell.source))}
    assert not loose, f"put measured numbers between <!-- key --> marks, or cite where they come from: {loose}"


@pytest.mark.parametrize(
    "text, found",
    [
        ("It gains 12 points, 3.5% more", ["12 points", "3.5%"]),
        ("<!-- 03.best -->87%<!-- /03.best --> with 95% intervals, that is 5 points more", ["5 points"]),
        ("Zhang et al. found 75% there.\n\nWe found 80%.", ["80%"]),
        ("[A course](https://example.org) reports:\n\n| A | B |\n|---|---|\n| 61% | 62% |\n\nWe: 63%", ["63%"]),
        ("| A | 61% |\n| B (2014) | 71% |", ["61%"]),
        ("Chance is 25%. Measured: 30%.", ["30%"]),
    ],
)
def test_loose_numbers_are_found_and_bound_ones_are_not(text, found):
    assert numbers_without_a_source(text) == found


@each(ALL)
def test_no_line_begins_with_a_mark_and_goes_on_in_markdown(path):
    """Such a line is HTML to Markdown: it ends the paragraph before it, and **bold** or `code` in it stays as written."""
    for cell in cells(path, "markdown"):
        for before, line in re.findall(r"(.*)\n {0,3}(<!-- .*)", "\n" + cell.source):
            rest = re.sub(r"<!--.*?-->", "", line)
            fine = not rest.strip() or (not before.strip() and not re.search(r"[`*_]\S|\]\(", rest))
            assert fine, f"cell {cell.id}: put words before the mark, on the same line: {line[:60]!r}"


# Slides


@each(LECTURES)
def test_the_instructor_has_notes_and_no_cell_has_a_slide_type_that_nothing_reads(path):
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in cells(path)]
    assert set(kinds) == {None, "notes"} and kinds.count("notes") >= 5
    assert not [cell.id for cell, kind in zip(cells(path), kinds, strict=True) if kind and cell.cell_type != "markdown"]


@each(LECTURES)
def test_lecture_asks_no_more_of_its_reader_than_promised_and_its_guesses_begin_empty(path):
    found = counts(path)
    assert all(found[name] <= most for name, most in LIMITS.items()), found
    guesses = [cell.source for cell in cells(path, "code") if cell.source.startswith("guess")]
    assert guesses and not [source for source in guesses if re.search(r": *\d", source)]
    texts = "\n".join(cell.source for cell in cells(path, "markdown"))
    sections = len(re.findall(r"^## \d", texts, re.MULTILINE))
    assert texts.count("**Do this:**") == sections and sections in (5, 6)
