"""python tools/fetch.py: fetched beforehand, from stand-ins on this machine, and then all works offline."""

import runpy
import sys

import fetch
import pytest
from origin import Origin, publish
from project import ROOT
from standins import archives, standing_in
from torchvision.models import SqueezeNet1_1_Weights, get_model

from helpers.images.tasks import open_task
from helpers.sources.backbones import load_backbone

PHOTOGRAPHS = {"train": 9, "test": 1}  # images a class


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    """Empty folders, and no waiting between tries."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    monkeypatch.setattr("helpers.data.downloads.WAITS", (0, 0))


@pytest.fixture
def origin(monkeypatch):
    """The hot dogs and one network's weights, on this machine."""
    files = archives("hotdog", **PHOTOGRAPHS)
    with Origin(files) as origin, standing_in(files, origin.url("")):
        publish(origin, monkeypatch, SqueezeNet1_1_Weights.DEFAULT, get_model("squeezenet1_1").state_dict())
        yield origin


def test_what_was_prepared_opens_offline_and_is_not_fetched_again(origin, monkeypatch, tmp_path, capsys):
    assert fetch.main(["hotdog", "squeezenet1_1", "flowers", "--size", "8"]) == 0
    said = capsys.readouterr().out
    assert "Fetching hotdog" in said and "127.0.0.1" in said
    assert "hotdog: fetched, and decoded at 8 x 8 pixels\n" in said and "squeezenet1_1: fetched\n" in said
    assert "flowers: here already\n" in said
    assert f"Photographs are in {tmp_path / 'cache'} (COURSE_CACHE), weights in {tmp_path / 'torch'} (TORCH_HOME)." in said
    asked = len(origin.requests)
    assert fetch.main(["hotdog", "squeezenet1_1"]) == 0
    assert "hotdog: here already\nsqueezenet1_1: here already\n" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr("os.replace", lambda *_: pytest.fail("a folder that is read-only would not do"))
    assert open_task("hotdog", 2, size=8).classes and load_backbone("squeezenet1_1").weights
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert len(origin.requests) == asked


def test_interrupted_it_says_that_it_can_go_on(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "load", interrupt)
    assert fetch.main(["hotdog", "flowers102"]) == 130
    assert capsys.readouterr().out == "\nhotdog: stopped. What was fetched is kept; the same command goes on from there.\n"


def test_what_fails_is_named_and_the_rest_is_fetched(origin, capsys):
    origin.behave("/hotdog.zip", always=404)
    assert fetch.main(["hotdog", "squeezenet1_1"]) == 1
    said = capsys.readouterr().out
    assert "hotdog: FAILED. " in said and "squeezenet1_1: fetched" in said and "Missing: hotdog. " in said
    assert fetch.is_here("squeezenet1_1") and not fetch.is_here("hotdog")


def test_without_names_it_lists_what_is_here_and_how_much_the_rest_is_and_fetches_nothing(monkeypatch, capsys):
    monkeypatch.setattr(fetch, "PROPOSED", ["flowers102", "squeezenet1_0", "garden"])
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: pytest.fail("fetched"))
    assert fetch.main([]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == ["flowers102 not here, 345 MB", "squeezenet1_0 not here, 5.0 MB", "garden here"]
    assert lines[3].startswith("Photographs are in ") and "COURSE_CACHE" in lines[3]


def test_name_that_nobody_knows_stops_it_before_anything_is_fetched(origin, capsys):
    with pytest.raises(SystemExit) as ended:
        fetch.main(["squeezenet1_1", "flower102"])
    assert ended.value.code == 2 and "Did you mean 'flowers102'?" in capsys.readouterr().err
    assert not origin.requests


def test_command_of_the_docs_ends_with_its_result(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fetch", "garden", "tissue"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "tools/fetch.py"), run_name="__main__")
    assert ended.value.code == 0 and "garden: here already\ntissue: here already\n" in capsys.readouterr().out
    assert "python tools/fetch.py flowers102 resnet18" in (ROOT / "docs/offline.md").read_text(encoding="utf-8")
