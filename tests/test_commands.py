"""The commands: `make` lists them, and what keeps one from running is told in one line."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from project import MAKEFILE, ROOT, clean_environment

MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="there is no make")
TARGETS = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE).group(1).split()


@needs_make
def test_make_without_a_target_lists_every_command_with_what_it_does():
    command = [MAKE, "--no-print-directory"]
    text = subprocess.check_output(command, cwd=ROOT, text=True, env=clean_environment())
    rows = [line.split(maxsplit=1) for line in text.splitlines()[1:]]
    commands = set(TARGETS) - {"environment"}  # which is a part of the others
    assert sorted(command for command, _ in rows) == sorted(commands)
    assert all(len(purpose) > 10 for _, purpose in rows)


@pytest.fixture
def copy(tmp_path):
    """The files that the set-up needs, in a folder without .venv whose name holds a space."""
    folder = tmp_path / "a folder"
    for path in ["tools/environment.py", "requirements.lock", "pyproject.toml", "Makefile"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def pretend(folder, line):
    """An environment in which every Python starts with `line`, and in which there is no other Python."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(f"import sys\n{line}\n", encoding="utf-8")
    (folder / "bin").mkdir()
    for program in ["uname", "id", "sh", "awk"]:
        if shutil.which(program):
            os.symlink(shutil.which(program), folder / "bin" / program)
    return clean_environment(PYTHONPATH=str(folder / "site"), PATH=str(folder / "bin"))


TOO_OLD = "sys.version_info = (3, 8, 18, 'final', 0)"
NO_VENV = "sys.modules['venv'] = None"
NO_ENSUREPIP = "sys.modules['ensurepip'] = None"  # what Debian leaves out without python3-venv
INSTALL = f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"


@pytest.mark.skipif(os.name == "nt", reason="needs links to programs")
@pytest.mark.parametrize("line, words", [(TOO_OLD, "needs Python 3.11 or newer.*PYTHON="), (NO_VENV, INSTALL),
                                         (NO_ENSUREPIP, INSTALL), (None, "")])  # fmt: skip
def test_unsuitable_python_is_named_in_one_line_with_the_remedy_and_a_suitable_one_is_not(copy, tmp_path, line, words):
    environment = pretend(tmp_path, line) if line else clean_environment()
    command = [sys.executable, copy / "tools/environment.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and not done.stderr
    assert len(done.stdout.strip().splitlines()) == bool(words) and re.search(words, done.stdout)


@needs_make
def test_make_passes_that_line_on_and_makes_nothing(copy, tmp_path):
    for target, python, words in [("lab", "no-such-python", "no-such-python"), ("test", sys.executable, INSTALL)]:
        environment = clean_environment() if python == "no-such-python" else pretend(tmp_path, NO_ENSUREPIP)
        command = [MAKE, target, f"PYTHON={python}"]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        assert done.returncode != 0 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and words in done.stderr, done.stderr
        assert not (copy / ".venv").exists()


def run_set_up(copy, pip, **changes):
    """The set-up with a stand-in for pip: what it does is up to `pip`, a Python script."""
    (copy / "stand-in").mkdir(exist_ok=True)
    (copy / "stand-in" / "sitecustomize.py").write_text(
        "import sys, subprocess\n"
        "real = subprocess.check_call\n"
        "def fake(command, **options):\n"
        f"    command = [sys.executable, '-c', {pip!r}] if 'pip' in command else command\n"
        "    return real(command + ['--without-pip'] * ('venv' in command), **options)\n"  # quicker
        "subprocess.check_call = fake\n",
        encoding="utf-8",
    )
    environment = clean_environment(PYTHONPATH=str(copy / "stand-in"), **changes)
    command = [sys.executable, copy / "tools/environment.py"]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_interrupted_or_moved_set_up_is_made_afresh_and_a_finished_one_is_left_alone(copy, tmp_path):
    failed = run_set_up(copy, "raise SystemExit(3)")
    assert failed.returncode == 1 and "The set-up failed" in failed.stderr and "Traceback" not in failed.stderr
    debris = copy / ".venv/debris"
    debris.touch()
    finished = run_set_up(copy, "")
    assert finished.returncode == 0 and "unfinished" in finished.stdout
    assert not debris.exists(), "what the interrupted run left behind is still there"
    again = run_set_up(copy, "raise SystemExit(3)")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", ""), "a finished one was made again"
    with open(copy / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    debris.touch()
    updated = run_set_up(copy, "")
    assert updated.returncode == 0 and "up to date" in updated.stdout
    assert debris.exists(), "a finished environment is brought up to date in place"
    moved = copy.rename(tmp_path / "elsewhere")
    assert "displaced" in run_set_up(moved, "").stdout, "a moved environment is made afresh"
