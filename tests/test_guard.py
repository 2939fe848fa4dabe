"""No test reaches another machine, and none tries unnoticed: shown for each way there is (tests/offline)."""

import ast
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import course_guard
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from origin import Origin
from project import ROOT, clean_environment, name, project_files

OUTSIDE = pytest.mark.reaches_out("shows that the guard refuses and notes it")
# Every file with tests that try to reach outside, and why. None of them has to get there, so none gets there.
REACHING_OUT = {"tests/test_guard.py": "the guard has to be seen to refuse"}


def attempts():
    file = Path(os.environ["COURSE_ATTEMPTS"])
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def with_requests():
    import requests

    requests.get("https://requests.example/x", timeout=5)


def with_torch_hub():
    import torch

    torch.hub.load_state_dict_from_url("https://torch-hub.example/x.pth", progress=False)


def with_huggingface_hub():
    from huggingface_hub import hf_hub_download

    hf_hub_download("somebody/something", "config.json", endpoint="https://hugging-face.example", etag_timeout=5)


def with_asyncio():
    asyncio.run(asyncio.open_connection("asyncio.example", 443))


WAYS = {
    "urllib.example": lambda: urllib.request.urlopen("https://urllib.example", timeout=5),
    "plain.example": lambda: urllib.request.urlopen("http://plain.example", timeout=5),
    "requests.example": with_requests,
    "torch-hub.example": with_torch_hub,
    "hugging-face.example": with_huggingface_hub,
    "asyncio.example": with_asyncio,
    "name.example": lambda: socket.gethostbyname("name.example"),
    "192.0.2.1": lambda: socket.socket().connect(("192.0.2.1", 80)),
    "192.0.2.2": lambda: socket.socket().connect_ex(("192.0.2.2", 80)),
    "192.0.2.3": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("192.0.2.3", 53)),
    "2001:db8::1": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
}


@OUTSIDE
@pytest.mark.parametrize("host", WAYS)
def test_whatever_way_python_takes_to_another_machine_is_refused_and_noted(host, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")  # read once, when it is first imported
    before = len(attempts())
    with pytest.raises(Exception) as refused:  # noqa: B017 - every library has its own
        WAYS[host]()
    assert isinstance(refused.value, OSError) or host == "hugging-face.example", refused.value
    assert any(host in line for line in attempts()[before:])


@OUTSIDE
@pytest.mark.parametrize("program", ["curl", "git"])
def test_native_programs_are_refused_by_the_proxy_that_notes_what_they_wanted(program, tmp_path):
    if not shutil.which(program):
        pytest.skip(f"there is no {program}")
    for address in ("https://native.example/x", "http://native.example/x"):
        before = len(attempts())
        command = {"curl": ["curl", "-sS", address], "git": ["git", "ls-remote", address]}[program]
        done = subprocess.run(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=30)
        assert done.returncode != 0 and done.stderr and len(attempts()) > before
        assert all("native.example" in line and "proxy" in line for line in attempts()[before:])


TRY = "import socket; socket.create_connection(('192.0.2.9', 80), 5)"


@OUTSIDE
def test_process_with_a_cleaned_environment_is_guarded_too_and_so_are_its_children():
    before = len(attempts())
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {TRY!r}], env={{}}))"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True)
    assert done.returncode and "there is no network in this test: 192.0.2.9" in done.stderr
    assert [line.partition(" ")[0] for line in attempts()[before:]] == ["192.0.2.9:80"]


@OUTSIDE
def test_isolated_python_does_not_know_the_guard_but_its_downloads_meet_the_proxy():
    before = len(attempts())
    code = "import urllib.request; urllib.request.urlopen('https://isolated.example', timeout=5)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert "503 there is no network in this test: isolated.example" in done.stderr
    assert [line.partition(" ")[0] for line in attempts()[before:]] == ["isolated.example:443"]


@OUTSIDE
def test_sitecustomize_of_the_system_runs_as_if_the_guard_were_not_there(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.told = __name__ + ' of the system'\n")
    code = f"import sys, sitecustomize; print(sys.told, '|', sitecustomize.__file__); {TRY}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(PYTHONPATH=str(tmp_path)), capture_output=True, text=True
    )
    assert done.stdout.strip() == f"sitecustomize of the system | {tmp_path / 'sitecustomize.py'}", done.stderr
    assert "there is no network in this test" in done.stderr


def test_this_machine_itself_can_be_reached_by_every_name_it_has():
    with Origin({"/a": b"hello"}) as origin:
        for host in ("127.0.0.1", "localhost"):
            address = origin.url("/a").replace("127.0.0.1", host)
            assert urllib.request.urlopen(address, timeout=5).read() == b"hello"
    socket.getaddrinfo(None, 80)
    left, right = socket.socketpair()
    left.close(), right.close()


OWN = ["127.9.9.9", "::1", b"localhost", "LocalHost.", "0.0.0.0", "::ffff:127.0.0.1", "x.localhost", socket.gethostname()]
OTHERS = ["127.0.0.1.org", "10.0.0.1", "::ffff:10.0.0.1", "localhost.org", "fe80::1%1"]


@pytest.mark.parametrize("host, local", [*((host, True) for host in OWN), *((host, False) for host in OTHERS)])
def test_own_names_are_told_from_others_that_begin_alike(host, local):
    assert course_guard.is_local(host) is local


def test_run_fails_at_its_end_and_names_the_test_and_the_cell_that_reached_out(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_inner.py").write_text(
        "import contextlib, socket, subprocess, sys, pytest\n"
        "def reach(host):\n"
        "    with contextlib.suppress(OSError):\n"
        "        socket.create_connection((host, 80))\n"
        "def test_quiet(): pass\n"
        "def test_swallows(): reach('swallowed.example')\n"
        "@pytest.mark.reaches_out('is an example')\n"
        "def test_on_purpose(): reach('purpose.example')\n"
        f"def test_child(): subprocess.run([sys.executable, '-c', {TRY!r}], env={{}}, stderr=subprocess.DEVNULL)\n"
    )
    cell = "import urllib.request\ntry:\n    urllib.request.urlopen('https://cell.example')\nexcept OSError:\n    pass"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(new_notebook(cells=[new_code_cell(cell)], metadata={"kernelspec": kernel}), tmp_path / "reaches.ipynb")
    (tmp_path / "home").mkdir()
    settings = ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={tmp_path}", "-n", "1"]
    command = [sys.executable, "-m", "pytest", "-q", *settings, "test_inner.py", "reaches.ipynb"]
    environment = clean_environment(COURSE_TEST_HOME=str(tmp_path / "home"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "5 passed" in done.stdout and done.returncode == 1, done.stdout + done.stderr
    failed = done.stdout.partition("FAILED: these tried to reach outside")[2].partition("on purpose")[0]
    assert "test_inner.py::test_swallows: swallowed.example:80 by" in failed
    assert "test_inner.py::test_child: 192.0.2.9:80 by" in failed
    assert "reaches.ipynb::Cell 0: " in failed and "cell.example:443 by" in failed
    assert "test_quiet" not in failed and "purpose.example" not in failed
    assert "test_inner.py::test_on_purpose: 1 tried; it is an example" in done.stdout


def test_tests_that_reach_out_are_these_and_no_others():
    marked = set()
    for path in project_files():
        if path.suffix == ".py" and path.is_relative_to(ROOT / "tests"):
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if any(isinstance(node, ast.Attribute) and node.attr == "reaches_out" for node in tree):
                marked.add(name(path))
    assert marked == set(REACHING_OUT)
