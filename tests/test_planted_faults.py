"""The guards guard: faults that are planted in a copy of the course are found, each by its test, and nothing else is."""

import json
import re
import shutil
import subprocess
import sys

from project import clean_environment, name, project_files

EXECUTED = "tests/test_notebooks.py::test_notebook_was_executed_from_top_to_bottom_and_is_small[notebooks/{}.ipynb]"
NUMBERS = "tests/test_measure.py::test_numbers_in_the_text_are_those_of_the_results[{}.md]"
STALE, START = "tests/test_labs.py::test_labs_are_what_their_solutions_make", "notebooks/00_start_here.ipynb"
FAULTS = {STALE, EXECUTED.format("02_anatomy_of_a_transfer"), NUMBERS.format("README"), *(f"{START}::Cell {i}" for i in (2, 5))}
OTHERS = {EXECUTED.format("03_variants"), NUMBERS.format("docs/source_model")}  # nothing is planted there


def edited(file, change):
    """Replace a notebook of the copy by one that `change` was applied to, cell by cell."""
    book = json.loads(file.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        change(cell)
    file.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def test_a_changed_output_a_raising_cell_a_stale_lab_cleared_outputs_and_a_wrong_number_are_each_found(tmp_path):
    for path in project_files():
        (copy := tmp_path / name(path)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)

    def start(cell):
        if cell["id"] == "helpers":
            cell["outputs"][0]["text"] = ["helpers comes from this folder\n", "Nearly ready.\n"]
        elif cell["id"] == "catalog":
            cell["source"] = ["1 / 0"]

    def cleared(cell):
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)

    edited(tmp_path / "notebooks/00_start_here.ipynb", start)
    edited(tmp_path / "notebooks/02_anatomy_of_a_transfer.ipynb", cleared)
    edited(tmp_path / "labs/lab4_bug_museum.ipynb", lambda cell: cell.update(source=[*cell["source"], " "]))
    page = tmp_path / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"(<!-- headline -->.*?)(\d+)%", r"\g<1>100%", text, count=1), encoding="utf-8")
    run = {START, *OTHERS, *(fault for fault in FAULTS if "ipynb::" not in fault)}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-p", "no:xdist", *sorted(run)],
                          cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=300)  # fmt: skip
    assert set(re.findall(r"^FAILED (.*?)(?: - .*)?$", done.stdout, re.MULTILINE)) == FAULTS, done.stdout
