"""The students' edition: the course without solutions, instructors' pages and notes, and with what guesses are about left to be
found. tools/release.py hands it out as a zip or a folder, and tools/book.py makes the web edition of it.

Left out of it are the files that KEPT_BACK names, cells for the instructor, and whatever stands in a text or in the Makefile
between the marks <!-- instructors --> and <!-- /instructors -->, or # instructors and # /instructors. Where a notebook asks for a
guess, the stored outputs are left out from the guess to the cell that compares it with the outcome.
"""

import re
import subprocess
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
KEPT_BACK = (
    "solutions", "tests", "conftest.py", "docs/instructors", "docs/presenting.md", "docs/book", "docs/architecture.md",
    "CONTRIBUTING.md", ".ci", ".pre-commit-config.yaml", "tools/studies/contest.py", "tools/studies/museum.py", "tools/deck",
    *(f"tools/{name}.py" for name in (
        "assessment", "book", "colab", "counts", "execute", "grading", "house", "labs", "links", "minutes", "release", "setup_cells",
        "slides", "students", "submissions")),
)  # fmt: skip
MARKED = re.compile(
    r"^(?:<!--|#) instructors(?: -->)?\n.*?^(?:<!--|#) /instructors(?: -->)?\n|<!-- instructors -->.*?<!-- /instructors -->",
    re.MULTILINE | re.DOTALL,
)
GUESS = re.compile(r"^(guess\w*) = ", re.MULTILINE)


def tracked(root=ROOT):
    """The files that git tracks, as paths with /, and that are still there. Raises CalledProcessError outside a git checkout."""
    listing = subprocess.check_output(["git", "ls-files", "-z"], cwd=root, text=True)
    return [file for file in listing.split("\0") if file and (root / file).is_file()]


def handed_out(files):
    """Of the project's files, those that students get."""
    return sorted(file for file in files if not any(file == part or file.startswith(part + "/") for part in KEPT_BACK))


def is_note(cell):
    """Whether a cell of a notebook is for the instructor."""
    return cell.cell_type == "markdown" and cell.metadata.get("slideshow", {}).get("slide_type") == "notes"


def outcomes(cells):
    """Of a notebook's cells, those of code after a guess, up to the one that compares it; quizzes, whose output is the question,
    excepted.
    """
    found, asked = [], {}
    for place, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        guesses = set(GUESS.findall(cell.source)) if "None" in cell.source else set()  # not yet made
        if "beside(" in cell.source:
            first = min((asked.pop(name) + 1 for name in list(asked) if re.search(rf"\b{name}\b", cell.source)), default=place)
            found += [one for one in cells[first : place + 1] if one.cell_type == "code" and "h.quiz(" not in one.source]
        asked |= dict.fromkeys(guesses, place)
    return found


def of_notebook(notebook):
    """The students' copy of a notebook, changed in place."""
    for cell in outcomes(notebook.cells):
        cell.outputs, cell.execution_count = [], None
    notebook.cells = [cell for cell in notebook.cells if not is_note(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = MARKED.sub("", cell.source)
    return notebook


def content(root, file):
    """The bytes of a file, by its path in the project, as students get it."""
    data = (root / file).read_bytes()
    if file.endswith(".ipynb"):
        return (nbformat.writes(of_notebook(nbformat.reads(data.decode(), as_version=4))) + "\n").encode()
    if file.endswith(".md") or file == "Makefile":
        return MARKED.sub("", data.decode()).encode()
    return data


def write(root, files, folder):
    """Write the students' edition of the files into a folder."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content(root, file))
        (folder / file).chmod((root / file).stat().st_mode & 0o777)
