"""The switch of a notebook, and guesses beside outcomes."""

import socket
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse

import pandas
import pytest
import torch
from standins import fill_cache
from torchvision.models import get_model_weights

from helpers.lessons import budget as module
from helpers.lessons.budget import choose_budget
from helpers.notebook.guesses import beside


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    """No GPU, no network, no weights and nothing set, unless a test says so."""
    for variable in ("COURSE_RUN", "COURSE_IMAGES", "COURSE_OFFLINE", "COURSE_DEVICE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_reachable", lambda host: False)
    gpu(monkeypatch, None)


def gpu(monkeypatch, device):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: device)
    monkeypatch.setattr("helpers.training.devices.computes", lambda where: True)


def test_a_quick_budget_prints_one_line_and_looks_for_nothing(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_IMAGES", "/nowhere")  # not even looked at
    budget = choose_budget()
    assert (budget.name, budget.full, budget.seeds, budget.images, budget.imagenet) == ("quick", False, 3, None, None)
    line = f"quick budget: 3 seeds, embedded images ({budget.why})\n"
    assert capsys.readouterr().out == line == f"{budget}\n"


@pytest.mark.parametrize(
    "kind, settings, asked, name, why",
    [
        (None, {}, None, "quick", 'no GPU; h.choose_budget("full") runs more'),
        ("cuda", {}, None, "full", 'a GPU (cuda); h.choose_budget("quick") runs less'),
        ("cuda", {"COURSE_DEVICE": "cpu"}, None, "quick", "no GPU"),
        ("mps", {}, None, "quick", 'an Apple GPU (mps); h.choose_budget("full") runs more'),
        ("cuda", {"COURSE_RUN": "quick"}, None, "quick", "COURSE_RUN"),
        ("cuda", {"COURSE_RUN": "quick"}, "full", "full", "you asked"),
    ],
)
def test_an_argument_comes_before_the_environment_and_that_before_the_hardware(monkeypatch, kind, settings, asked, name, why):
    gpu(monkeypatch, SimpleNamespace(type=kind) if kind else None)
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    budget = choose_budget(asked)
    assert (budget.name, budget.seeds) == (name, {"quick": 3, "full": 5}[name]) and why in budget.why


def test_unknown_budget_is_refused_with_the_name_of_what_said_so(monkeypatch):
    with pytest.raises(ValueError, match="choose_budget takes.*'huge'"):
        choose_budget("huge")
    monkeypatch.setenv("COURSE_RUN", "Full")
    with pytest.raises(ValueError, match="COURSE_RUN takes.*'Full'"):
        choose_budget()


def test_photographs_are_a_task_a_folder_or_a_zip_from_the_argument_or_for_the_full_budget_from_the_environment(
    monkeypatch, tmp_path
):
    (tmp_path / "birds.zip").touch()
    for images in ("flowers102", str(tmp_path), str(tmp_path / "birds.zip")):
        monkeypatch.delenv("COURSE_IMAGES", raising=False)
        assert choose_budget("quick", images).images == choose_budget("full", images).images == images
        monkeypatch.setenv("COURSE_IMAGES", images)
        assert choose_budget("full").images == images and choose_budget("quick").images is None
    monkeypatch.setenv("COURSE_IMAGES", "flowers")  # an embedded task, as lab 1 allows
    assert choose_budget("full").images is None
    monkeypatch.setenv("COURSE_IMAGES", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="COURSE_IMAGES is .*nothing.*no folder"):
        choose_budget("full")
    with pytest.raises(ValueError, match="images is 'flower102'.*Did you mean 'flowers102'"):
        choose_budget(images="flower102")


def test_the_line_names_the_photographs_but_not_where_a_folder_is(tmp_path):
    assert 'photographs of "hotdog"' in str(choose_budget(images="hotdog"))
    assert f"photographs in {tmp_path.name} (" in str(choose_budget(images=tmp_path))


def test_full_budget_names_a_model_whose_weights_are_in_torchs_cache(tmp_path, monkeypatch):
    name = "squeezenet1_0"
    monkeypatch.setattr(module, "_reachable", lambda host: pytest.fail("no need to ask"))
    monkeypatch.setenv("COURSE_IMAGES", "hotdog")  # so nothing else is offered
    file = Path(urlparse(get_model_weights(name)["DEFAULT"].url).path).name
    Path(tmp_path, "hub", "checkpoints").mkdir(parents=True)
    Path(tmp_path, "hub", "checkpoints", file).touch()
    assert choose_budget("full").imagenet == name


def test_full_budget_says_what_could_be_downloaded_from_where_and_asks_one_server_once(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(module, "_reachable", lambda host: asked.append(host) or True)
    budget = choose_budget("full")
    assert (budget.images, budget.imagenet) == (None, "resnet18")
    said = capsys.readouterr().out
    assert "downloaded from download.pytorch.org when first used" in said and said.count("\n") == 1
    assert said.endswith('; flowers102 can be downloaded (345 MB): h.choose_budget(images="flowers102") does so\n')
    assert asked == ["download.pytorch.org"]


def test_full_budget_finds_photographs_that_are_on_this_machine(monkeypatch, tmp_path, capsys):
    fill_cache(tmp_path / "cache", "flowers102", train=1, val=1, test=1)
    capsys.readouterr()
    assert choose_budget("full").images is None
    assert "; flowers102 is on this machine: h.choose_budget(images=" in capsys.readouterr().out
    (tmp_path / "cache/flowers102/listed.json").unlink()  # no longer whole
    choose_budget("full")
    assert "on this machine" not in capsys.readouterr().out


def test_where_course_offline_is_set_nobody_is_asked_and_the_line_says_so(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr(module, "_reachable", lambda host: pytest.fail("asked"))
    assert choose_budget("full").imagenet is None
    said = capsys.readouterr().out
    assert "none on this machine, and COURSE_OFFLINE forbids downloads" in said and "flowers102" not in said


def test_network_that_does_not_answer_costs_no_more_than_the_time_given(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: time.sleep(30) or socket.socket())
    start = time.monotonic()
    assert module._reachable("outside.example", seconds=0.05) is False
    assert time.monotonic() - start < 5


def test_guess_stands_beside_the_outcome_with_interval_and_distance():
    outcome = pandas.DataFrame(
        {"accuracy %": [36.4, 88.0], "low": [31.0, 80.0], "high": [42.0, 92.0]}, index=["scratch", "fine-tune all"]
    )
    table = beside({"fine-tune all": 90, "scratch": 50}, outcome)
    assert list(table.columns) == ["you guessed", "measured", "interval", "off by"]
    assert list(table.loc["scratch"]) == ["50", "36.4", "31.0 to 42.0", "13.6 too high"]
    assert list(table.loc["fine-tune all"]) == ["90", "88.0", "80.0 to 92.0", "2.0 too high, inside the interval"]


def test_outcome_may_be_a_dict_and_rows_that_nobody_guessed_are_shown():
    table = beside({"head": 1000}, {"head": 650, "all": 1_234_567})
    assert table.values.tolist() == [["1,000", "650.0", "350.0 too high"], ["-", "1,234,567", "-"]], "no interval"
    assert beside({"a": 5}, {"a": (5, 4, 6)}).loc["a", "off by"] == "nothing"
    assert list(beside({"a": None}, {"a": 5})) == ["measured"], "nobody guessed"


def test_rows_with_several_conditions_are_named_by_their_values():
    index = pandas.MultiIndex.from_tuples([("flowers", 5), ("flowers", 20)], names=["task", "per_class"])
    outcome = pandas.DataFrame({"seconds": [0.5, 3.0]}, index)
    table = beside({("flowers", 5): 0.7, "flowers, 20": 4}, outcome, column="seconds")
    assert table["off by"].to_dict() == {"flowers, 5": "0.2 too high", "flowers, 20": "1.0 too high"}


@pytest.mark.parametrize(
    "guess, outcome, error, words",
    [
        ({"scratch": "90"}, {"scratch": 3}, TypeError, "guess for 'scratch' is '90': put a number"),
        ({"scratch": True}, {"scratch": 3}, TypeError, "is True"),
        ({"scrach": 5}, {"scratch": 3}, ValueError, "you guessed 'scrach', but what was measured is scratch"),
        ({}, {"scratch": 3}, TypeError, "guess = "),
        ({"scratch": 5}, {"scratch": "much"}, TypeError, "outcome of 'scratch' is 'much'"),
        ({"scratch": 5}, {"scratch": (1, 2)}, TypeError, "a number, or .number, low, high."),
        ({"scratch": 5}, pandas.DataFrame({"loss": [1]}, index=["scratch"]), ValueError, "no column accuracy %.*loss"),
        ({"a": 5}, pandas.DataFrame({"mean": [1, 2]}, index=["a", "a"]), ValueError, "several rows"),
    ],
)
def test_guesses_and_outcomes_that_make_no_sense_are_refused_with_what_to_do(guess, outcome, error, words):
    with pytest.raises(error, match=words):
        beside(guess, outcome)
