"""What instructors hand out: a zip without answers that works by itself."""

import re
import subprocess
import sys
import zipfile

import pytest
import release
from project import name, project_files


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("release") / "course.zip"
    release.write(path, release.handed_out(map(name, project_files())), "course")
    return path


def test_the_zip_holds_lectures_labs_and_helpers_and_no_answers(archive):
    with zipfile.ZipFile(archive) as opened:
        files = opened.namelist()
        assert not opened.testzip()
        for notebook in (file for file in files if file.endswith(".ipynb")):
            assert b"BEGIN SOLUTION" not in opened.read(notebook), notebook
    tops = {file.split("/")[1] for file in files}
    assert {"README.md", "environment.yml", "pyproject.toml", "requirements.lock", "helpers", "labs", "notebooks"} <= tops
    assert not {"solutions", "tests", ".ci"} & tops
    assert sum(file.startswith("course/labs/lab") for file in files) == 4
    assert "course/helpers/data/garden.safetensors" in files


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
