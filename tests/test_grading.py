"""The labs in the real nbgrader: it makes the same labs, and gives a point for each check that passes."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from project import ROOT, clean_environment
from short.short_course import SHORT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason='nbgrader is not installed: pip install -e ".[grade]"'
)
GRADED = "lab4_bug_museum"  # the quickest


def nbgrader(folder, *command):
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader runs alembic from there
    environment = clean_environment(PATH=scripts, PYTHONPATH=os.pathsep.join([SHORT, str(ROOT)]), COURSE_RUN="quick")
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder for nbgrader, with the labs made as `tools/grading.py` says."""
    folder = tmp_path_factory.mktemp("course")
    subprocess.run([sys.executable, ROOT / "tools/grading.py", folder], check=True, capture_output=True)
    return folder


def cells(path):
    return [(cell.cell_type, cell.source) for cell in nbformat.read(path, as_version=4).cells]


def test_nbgrader_makes_the_same_lab_as_we_do(course):
    nbgrader(course, "generate_assignment", GRADED)
    theirs, ours = cells(course / f"release/{GRADED}/{GRADED}.ipynb"), cells(ROOT / f"labs/{GRADED}.ipynb")
    about_place = {"colab", "setup-why", "setup"}  # the line for Colab names the file
    ids = [cell.id for cell in nbformat.read(ROOT / f"labs/{GRADED}.ipynb", as_version=4).cells]
    for (kind, source), wanted, cell in zip(theirs, ours, ids, strict=True):
        assert (kind, source) == wanted or cell in about_place, cell


def test_nbgrader_gives_the_solution_all_points_and_the_blank_lab_none(course):
    from nbgrader.api import Gradebook

    if not (course / "release" / GRADED).exists():
        nbgrader(course, "generate_assignment", GRADED)
    blank = course / f"release/{GRADED}/{GRADED}.ipynb"
    solved = course / f"source/{GRADED}/{GRADED}.ipynb"
    for student, path in {"blank": blank, "solved": solved}.items():
        target = course / "submitted" / student / GRADED
        target.mkdir(parents=True)
        (target / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    nbgrader(course, "autograde", GRADED, "--create")
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        points = {s: book.find_submission(GRADED, s) for s in ("blank", "solved")}
        most = points["solved"].max_score
        assert most >= 8, "a point for each check"
        assert (points["blank"].score, points["solved"].score) == (0, most)
