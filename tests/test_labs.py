"""The labs: made from their solutions, blank where the student works, and helpful from the first blank on."""

import os
import re
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from project import ROOT, cells, each, name, notebooks
from short.short_course import SHORT

sys.path.insert(0, str(ROOT / "tools"))
import labs  # noqa: E402
from helpers import check  # noqa: E402
from helpers.notebook.checking import CHECKS  # noqa: E402

dir(check)  # loads the checklists
SOLUTIONS = [path for path in notebooks("solutions") if path.name.startswith("lab")]
LABS = notebooks("labs")


def output_of(cell):
    """The text of a cell's outputs; of an error its name and message."""
    parts = []
    for output in cell.get("outputs", []):
        parts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
        parts += [f"{output.get('ename', '')}: {output.get('evalue', '')}" if output.output_type == "error" else ""]
    return "\n".join(filter(None, parts))


def test_labs_are_what_their_solutions_make():
    assert [path.name for path in LABS] == [path.name for path in SOLUTIONS] and len(LABS) == 4
    stale = [name(path) for path, text in labs.wanted().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"{', '.join(stale)}: run `make labs`"


@each(SOLUTIONS)
def test_a_lab_holds_no_line_of_the_answers(path):
    answers = [answer[0] for cell in cells(path) for answer in labs.ANSWER.finditer(cell.source)]
    shown = cells(ROOT / "labs" / path.name, "code")
    assert answers, "a lab without a blank"
    # What is right in one room of the bug museum stands in the exhibits of others.
    student = "\n".join(cell.source for cell in shown if not cell.source.startswith("def exhibit_"))
    assert "BEGIN SOLUTION" not in student
    for answer in answers:
        lines = [line.strip() for line in answer.split("\n")[1:-1]]
        told = [line for line in lines if len(line) > 25 and line in student]
        assert len(told) < len(lines), f"this answer stands in the lab, too:\n{answer}"


@each(SOLUTIONS)
def test_a_solution_passes_every_check_of_its_lab_and_says_so_in_its_last_cell(path):
    outcomes = {labs.check_of(cell): output_of(cell) for cell in cells(path, "code") if labs.check_of(cell)}
    mine = [one.name for one in CHECKS.values() if one.lab == path.stem]
    assert list(outcomes) == mine, "the checks of the checklist, in the order in which the lab asks them"
    assert all(f"✔ passed: {one}" in outcome for one, outcome in outcomes.items()), outcomes
    (tally,) = [cell for cell in cells(path, "code") if cell.source.startswith("check.tally(")]
    assert tally.source == f'check.tally("{path.stem}")'
    assert output_of(tally) == f"{path.stem}: {len(mine)} of {len(mine)} checks passed\n"
    assert "nbval-check-output" in tally.metadata.tags, "so that nbval holds it"


@each(LABS)
def test_a_blank_lab_runs_fails_every_check_and_says_what_is_to_be_done(path, monkeypatch):
    path_of_kernel = os.pathsep.join([os.environ["PYTHONPATH"], SHORT])  # what is trained there for show may be short
    monkeypatch.setenv("PYTHONPATH", path_of_kernel)
    lab = nbformat.read(path, as_version=4)
    client = NotebookClient(
        lab, timeout=300, allow_errors=True, store_widget_state=False, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    stub = "This part is yours: replace these two lines by your code."
    errors = [output for cell in lab.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert not errors or (errors[0].ename, errors[0].evalue) == ("NotImplementedError", stub), "an error before the first blank"
    for error in errors:
        assert error.ename in ("NotImplementedError", "NameError") or "run the check" in error.evalue, error
    for cell in lab.cells:
        if labs.check_of(cell):
            assert "✘ not yet" in output_of(cell), f"{labs.check_of(cell)} in a blank lab: {output_of(cell)!r}"
            assert re.search(r"hint 1 of \d", output_of(cell)), output_of(cell)
        elif cell.source.startswith("check.tally("):
            assert re.search(rf"{path.stem}: 0 of \d+ checks passed; open: ", output_of(cell))


@pytest.mark.parametrize(
    "source",
    [
        "### BEGIN SOLUTION\nx = 1",
        "### BEGIN SOLUTION\n### END SOLUTION",
        "x = 1  ### BEGIN SOLUTION\ny = 2\n### END SOLUTION",
    ],
)
def test_marks_that_do_not_pair_up_are_refused(source):
    with pytest.raises(ValueError, match="in pairs"):
        labs.blank(source)


def test_an_answer_that_no_check_follows_is_refused():
    answer = nbformat.v4.new_code_cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", id="x")
    with pytest.raises(ValueError, match="no check follows the answer in cell 'x'"):
        labs.stamp(nbformat.v4.new_notebook(cells=[answer]))


def test_a_blank_keeps_what_stands_around_it_and_its_indentation():
    source = 'def f():\n    """Doc."""\n    ### BEGIN SOLUTION\n    x = 1\n    ### END SOLUTION\n    return x'
    lines = ["def f():", '    """Doc."""', "    # YOUR CODE HERE", f"    {labs.STUB.splitlines()[1]}", "    return x"]
    assert labs.blank(source).split("\n") == lines


# The instructors' pages


@each(sorted((ROOT / "docs/instructors").glob("lab*.md")))
def test_minutes_of_the_parts_add_up_to_what_page_readme_and_lab_say(path):
    page, readme = (one.read_text(encoding="utf-8") for one in (path, ROOT / "README.md"))
    table = re.findall(r"^\| ([^|]+?) \| \**(\d+)\** \|", page.split("## Minutes")[1].split("\n## ")[0], re.MULTILINE)
    parts = {part: int(number) for part, number in table if part[0] != "*"}
    whole, core = sum(parts.values()), sum(value for part, value in parts.items() if "(optional)" not in part)
    sums = {"**core**": core, "**all**": whole}
    assert len(parts) >= 4 and all(sums[part] == int(number) for part, number in table if part not in parts), sums
    low, high = re.search(r"(\d+)(?: to (\d+))? minutes", page.split("## Minutes")[0]).groups()
    assert core <= int(low) if core < whole else int(low) <= whole <= int(high or low), "what the page says above its table"
    stated = re.search(rf"\(labs/{path.stem}\.ipynb\) \|.*\| (\d+)[^|]*\|$", readme, re.MULTILINE)[1]
    assert core == whole or core <= int(stated) <= whole, "what README.md says"
    headings = "\n".join(cell.source for cell in cells(ROOT / f"solutions/{path.stem}.ipynb", "markdown"))
    told = [int(number) for number in re.findall(r"^## .*\((\d+) minutes\)", headings, re.MULTILINE)]
    assert len(told) != len(parts) or told == [*parts.values()], "the headings of the lab"


def test_minutes_of_the_capstones_milestones_are_those_of_readme():
    text, readme = ((ROOT / file).read_text(encoding="utf-8") for file in ("labs/capstone.md", "README.md"))
    minutes = sum(map(int, re.findall(r"^\| \d [^|]+\| (\d+) \|", text, re.MULTILINE)))
    assert f"about {minutes} minutes" in text and re.search(rf"\(labs/capstone\.md\) \|.*\| {minutes}, ", readme)


RUBRICS = (ROOT / "docs/instructors/solutions/explain.md").read_text(encoding="utf-8").split("\n## Lab ")[1:]


@pytest.mark.parametrize("rubric", RUBRICS, ids=lambda rubric: f"lab{rubric[0]}")
def test_every_question_that_asks_to_explain_has_a_rubric_and_a_model_answer(rubric):
    (path,) = (ROOT / "solutions").glob(f"lab{rubric[0]}_*.ipynb")
    asked = [cell.id for cell in cells(path, "markdown") if re.search(r"^\*\*Explain\.\*\*", cell.source, re.MULTILINE)]
    answers = dict(re.findall(r"^### ([\w-]+)$(.*?)(?=^### |\Z)", rubric, re.MULTILINE | re.DOTALL))
    assert asked and [*answers] == asked
    for text in answers.values():
        assert re.findall(r"^\| (\d) \| .{10,} \|$", text, re.MULTILINE) == ["2", "1", "0"], text
        assert len(text.partition("**Model answer.**")[2].split()) >= 20, text
