"""What instructors hand out: a zip without answers, and links for a hub."""

import re
import subprocess
import sys
import zipfile
from urllib.parse import parse_qs, urlsplit

import pytest
from project import ADDRESS, ROOT, name, project_files

sys.path.insert(0, str(ROOT / "tools"))
import links  # noqa: E402
import release  # noqa: E402


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


def test_the_same_files_give_the_same_zip(archive, tmp_path):
    again = tmp_path / "again.zip"
    release.write(again, release.handed_out(map(name, project_files())), "course")
    assert again.read_bytes() == archive.read_bytes()


def test_what_the_zip_holds_works_by_itself(archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    code = "import helpers; print(helpers.__file__, len(dir(helpers.check)) > 20, len(helpers.open_task('flowers', 1).classes))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "course", env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"course.helpers.__init__\.py True 10", done.stdout), done.stdout


def test_links_open_each_lab_from_the_projects_address():
    made = links.links("https://hub.university.edu/", ADDRESS)
    assert sorted(made) == sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    for lab, link in made.items():
        parts = urlsplit(link)
        query = parse_qs(parts.query)
        assert parts.netloc == "hub.university.edu" and parts.path == "/hub/user-redirect/git-pull"
        folder = ADDRESS.rstrip("/").rpartition("/")[2]
        assert query == {"repo": [ADDRESS], "branch": ["main"], "urlpath": [f"lab/tree/{folder}/labs/{lab}"]}


@pytest.mark.parametrize("hub", ["hub.university.edu", "", "ftp://hub"])
def test_what_is_no_web_address_is_named(hub):
    with pytest.raises(ValueError, match=re.escape(repr(hub))):
        links.links(hub, ADDRESS)
