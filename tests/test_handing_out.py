"""What instructors hand out: a zip, or a folder for a JupyterHub, without answers, that works by itself."""

import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
import release
import students
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from project import ROOT, name, project_files

CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`", re.DOTALL)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("release") / "course.zip"
    release.write(path, students.handed_out(map(name, project_files())), "course")
    return path


def test_the_zip_holds_lectures_labs_and_helpers_and_no_answers(archive):
    with zipfile.ZipFile(archive) as opened:
        files = opened.namelist()
        assert not opened.testzip()
        for notebook in (file for file in files if file.endswith(".ipynb")):
            assert b"BEGIN SOLUTION" not in opened.read(notebook), notebook
    tops = {file.split("/")[1] for file in files}
    assert {"README.md", "environment.yml", "pyproject.toml", "requirements.lock", "helpers", "labs", "notebooks"} <= tops
    assert not {"solutions", "tests", ".ci", "CONTRIBUTING.md"} & tops
    assert sum(file.startswith("course/labs/lab") for file in files) == 4
    assert "course/helpers/data/garden.safetensors" in files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a JupyterHub hands out."""
    return release.fill(tmp_path_factory.mktemp("hub"), students.handed_out(map(name, project_files())))


def test_the_folder_for_a_hub_holds_what_the_zip_holds_and_replaces_an_older_one_only(archive, folder, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        files = {file.removeprefix("course/"): opened.read(file) for file in opened.namelist()}
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    (folder / "notes.txt").write_text("the hub's own")
    release.fill(folder, ["README.md"])
    assert (folder / "notes.txt").read_text() == "the hub's own"
    (tmp_path / "thesis.txt").write_text("years of work")
    for other in (tmp_path, ROOT):
        with pytest.raises(FileExistsError, match="something else than a students' edition"):
            release.fill(other, ["README.md"])


def test_students_get_no_notes_no_instructors_pages_and_no_link_that_leads_nowhere(folder):
    checked = 0
    for path in [*folder.rglob("*.md"), *folder.rglob("*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        cells = nbformat.reads(text, 4).cells if path.suffix == ".ipynb" else [new_markdown_cell(text)]
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert "For the instructor" not in "".join(texts) and "<!-- instructors" not in text, path
        for target in (link for part in texts for link in re.findall(r"\]\(([^()\s]+)\)", CODE.sub("", part))):
            file = target.partition("#")[0]
            if file and not re.match(r"[a-z]+:", file):
                assert (path.parent / file).exists(), f"{path.relative_to(folder)} links to {target}"
                checked += 1
    assert checked > 100


def test_what_a_notebook_asks_to_guess_is_left_to_be_found():
    def code(source, text):
        return new_code_cell(source, execution_count=1, outputs=[new_output("stream", text=text)])

    notebook = new_notebook(cells=[
        code("before", "seen"), code('guess = {"a": None}', "asked"), code('h.quiz("01/x")', "a question"), code("train()", "9"),
        new_markdown_cell("**For the instructor.** Most say 8", metadata={"slideshow": {"slide_type": "notes"}}),
        code("h.beside(guess, outcome)", "91"), code("after", "seen"), code("h.beside({1: None}, outcome)", "92"),
        new_markdown_cell("Text.<!-- instructors --> The answer is 91.<!-- /instructors --> More."),
    ])  # fmt: skip
    left = students.of_notebook(notebook).cells
    assert ["".join(one.text for one in cell.outputs) for cell in left if cell.cell_type == "code"] == [
        "seen", "asked", "a question", "", "", "seen", ""]  # fmt: skip
    assert [cell.source for cell in left if cell.cell_type == "markdown"] == ["Text. More."]


def test_the_same_files_give_the_same_zip(tmp_path):
    for copy in ("one.zip", "two.zip"):
        release.write(tmp_path / copy, ["README.md", "helpers/data/garden-small.safetensors"], "course")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_the_zip_holds_works_by_itself(archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    code = "import helpers as h; print(h.__file__, len(dir(h.check)) > 20, h.load_backbone('garden').size)"
    settings = {"PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "course", env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"course.helpers.__init__\.py True 64", done.stdout), done.stdout
