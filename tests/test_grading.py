"""The labs in the real nbgrader: it makes the same labs, gives a point for each check, and leaves explanations to a person."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hostile import LONG
from project import ROOT, clean_environment
from short.short_course import SHORT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason='nbgrader is not installed: pip install -e ".[grade]"'
)
LABS = sorted(path.stem for path in (ROOT / "labs").glob("lab*.ipynb"))


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


@pytest.mark.parametrize("lab", LABS)
def test_nbgrader_makes_the_same_lab(course, lab):
    nbgrader(course, "generate_assignment", lab)
    blank = course / f"release/{lab}/{lab}.ipynb"
    ids = [cell.id for cell in nbformat.read(ROOT / f"labs/{lab}.ipynb", as_version=4).cells]
    for theirs, ours, cell in zip(cells(blank), cells(ROOT / f"labs/{lab}.ipynb"), ids, strict=True):
        assert theirs == ours or cell in {"colab", "setup-why", "setup"}, cell  # the line for Colab names the file


@pytest.mark.parametrize("lab", LABS)
def test_nbgrader_grades_the_checks_and_waits_for_a_person_where_a_student_explains(course, lab):
    from nbgrader.api import Gradebook

    if lab != LABS[-1] and not LONG:
        pytest.skip("runs the lab, as its solution's own test does: COURSE_LONG=1, or `make test-long`")
    blank, solved = (course / f"{folder}/{lab}/{lab}.ipynb" for folder in ("release", "source"))
    students = {"solved": solved} | ({"blank": blank} if lab == LABS[-1] else {})  # test_labs.py runs the others
    for student, path in students.items():
        target = course / "submitted" / student / lab
        target.mkdir(parents=True)
        (target / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    nbgrader(course, "autograde", lab, "--create")
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        all_of_it = book.find_submission(lab, "solved")
        texts = [grade for grade in all_of_it.notebooks[0].grades if grade.needs_manual_grade]
        if "blank" in students:
            nothing = book.find_submission(lab, "blank")
            assert (nothing.score, nothing.needs_manual_grade) == (0, False), "an empty explanation gets 0 by itself"
        assert texts and all(grade.max_score == 2 for grade in texts)
        assert all_of_it.score == all_of_it.max_score - 2 * len(texts) >= 7, "a point for each check"
        for grade in texts:  # as the formgrader does
            grade.manual_score, grade.needs_manual_grade = 2, False
        book.db.commit()
        assert all_of_it.score == all_of_it.max_score and not all_of_it.needs_manual_grade
    nbgrader(course, "generate_feedback", lab, "--student", "solved")
    assert (course / f"feedback/solved/{lab}/{lab}.html").is_file()
