"""The course on Google Colab, as far as it can be tested without Colab and without a network.

`make test-colab` goes further: it builds an environment with Colab's versions and runs everything there.
"""

import builtins
import importlib
import importlib.util
import io
import subprocess
import sys
import types

import pytest
from project import ADDRESS, ROOT, cells, tags

from helpers.lessons.your_own_images.exporting import missing_for_onnx

TOOL = importlib.import_module("colab")
SETUP = next(cell.source for cell in cells(ROOT / "notebooks/00_start_here.ipynb") if "setup" in tags(cell))


@pytest.fixture
def colab(monkeypatch):
    """Run the setup cell where `google.colab` is loaded; its commands are recorded, and answered with `code`."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    find = importlib.util.find_spec

    def run(code=0, installed=False):
        commands, files = [], []

        def answer(command, **_):
            commands.append(command)
            return types.SimpleNamespace(returncode=code, stderr="ERROR: could not resolve host")

        monkeypatch.setattr(subprocess, "run", answer)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: find(name) if installed or name != "helpers" else None)
        exec(SETUP, {"open": lambda name, mode: files.append(name) or io.StringIO()})
        return commands, files

    return run


def test_setup_cell_does_nothing_on_a_local_install(monkeypatch):
    assert "google.colab" not in sys.modules
    for module, name in ((subprocess, "run"), (subprocess, "Popen"), (builtins, "open")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("the setup cell did something"))
    exec(SETUP, {})


def test_setup_cell_on_colab_fetches_the_course_and_holds_on_to_every_version_that_is_there(colab):
    (versions, install), files = colab()
    assert versions == [sys.executable, "-m", "pip", "list", "--format=freeze"]
    (kept,) = files
    assert install == [sys.executable, "-m", "pip", "install", "-q", "-c", kept, f"git+{ADDRESS}"]
    assert colab(installed=True) == ([], []), "run again, it does nothing"


def test_setup_cell_without_a_network_says_what_was_not_fetched_what_pip_said_and_what_to_do(colab):
    with pytest.raises(RuntimeError, match=f"(?s)(?=.*git.{ADDRESS})(?=.*could not resolve host)(?=.*run this cell again)"):
        colab(code=1)


def test_what_lab3_adds_on_colab_for_onnx_replaces_nothing_there_either(colab, monkeypatch):
    """Without the list of versions, pip would bring a newer protobuf than Colab's other packages accept."""
    (_, install), _ = colab()
    monkeypatch.setattr("helpers.lessons.your_own_images.exporting.find_spec", lambda name: None)
    assert f"pip install {' '.join(install[5:7])} onnx onnxscript onnxruntime" in missing_for_onnx()


def test_environment_like_colabs_has_exact_versions_and_runs_the_tests_of_helpers_and_not_those_of_pages():
    python, packages = TOOL.pins()
    assert python == "3.12" and all(line.count("==") == 1 for line in packages)
    named = {line.partition("==")[0] for line in packages}
    assert {"torch", "torchvision", "numpy", "pandas", "matplotlib", "ipywidgets", "ipython", "ipykernel"} <= named
    assert not named & set(TOOL.ADDED), "what the setup cell adds is not there before"
    chosen = {path.name for path in (ROOT / "tests").glob("test_*.py") if TOOL.of_helpers(path)}
    assert {"test_freezing.py", "test_training.py", "test_quiz.py", "test_widgets7.py", "test_checks.py"} <= chosen
    assert not {"test_browser.py", "test_setup.py", "test_commands.py", "test_slides.py", "test_book.py"} & chosen
