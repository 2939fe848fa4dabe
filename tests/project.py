"""The project's own files, as the tests of set-up, texts and notebooks read them."""

import json
import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
ADDRESS = PROJECT["project"]["urls"]["Repository"]
MADE = {
    ".venv",
    ".git",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    ".import_linter_cache",
    ".ipynb_checkpoints",
    "build",
    "dist",
}


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


def prose():
    """(file, text) of every Markdown file, and of the Markdown cells of every notebook."""
    for path in project_files():
        if path.suffix == ".md":
            yield path, path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
            yield path, "\n\n".join(sources)


def clean_environment(**changes):
    """This process's environment without what make and the tests' own settings put into it."""
    dropped = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in dropped} | changes
