"""The project's own files, as the tests of set-up, texts and notebooks read them."""

import json
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
ADDRESS = PROJECT["project"]["urls"]["Repository"]
MADE = {".venv", ".git", "__pycache__", ".ipynb_checkpoints", "build", "dist"}
MADE |= {".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache"}


@cache
def project_files():
    """Every file of the project: what git tracks or would track, or without git what no command has made."""
    try:
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(listing, cwd=ROOT, text=True, stderr=subprocess.DEVNULL).split("\0")
        paths = [ROOT / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not MADE & set(path.relative_to(ROOT).parts)]
    return sorted({path for path in paths if path.is_file()})


def notebooks(*folders):
    """Every notebook of the project below the folders, in order."""
    paths = [path for path in project_files() if path.suffix == ".ipynb"]
    return [path for path in paths if path.relative_to(ROOT).parts[0] in folders]


def name(path):
    return path.relative_to(ROOT).as_posix()


def each(paths):
    """One test a file, called by its name."""
    return pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in paths])


@cache
def read(path):
    """A notebook of the project: one for all tests of a process, so leave it as it is."""
    import nbformat

    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def cells(path, kind=None):
    return [cell for cell in read(path).cells if kind in (None, cell.cell_type)]


def tags(cell):
    return cell.metadata.get("tags", [])


def outcome(path, cell_id):
    """What the cell of a notebook with this id has stored, as plain text."""
    (cell,) = [cell for cell in cells(path, "code") if cell.id == cell_id]
    return "\n".join(output.get("text") or output.data["text/plain"] for output in cell.outputs)


def number(path, cell_id, what):
    """The first number after `what`, a pattern, in the stored outcome of a cell."""
    return float(re.search(rf"{what}\D*?(\d+\.?\d*)", outcome(path, cell_id))[1])


def prose():
    """(file, text) of every Markdown file, and of the Markdown cells of every notebook."""
    for path in project_files():
        if path.suffix == ".md":
            yield path, path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb":
            stored = json.loads(path.read_text(encoding="utf-8"))["cells"]
            yield path, "\n\n".join("".join(cell["source"]) for cell in stored if cell["cell_type"] == "markdown")


def clean_environment(**changes):
    """This process's environment without what make and the tests' own settings put into it."""
    dropped = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in dropped} | changes
