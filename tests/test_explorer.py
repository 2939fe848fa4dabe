"""The freeze explorer: its controls do what they say, and it has a figure without them.

Callbacks are plain functions: here they are called without a browser. tests/test_browser.py presses them in one.
"""

import asyncio
import re
import time
from dataclasses import replace

import pytest
from test_widgets7 import made, unknown  # noqa: F401

from helpers.lessons.explorer import panel as explorer
from helpers.lessons.explorer.bench import Bench, Job
from helpers.lessons.explorer.comparing import MOST
from helpers.lessons.explorer.trials import Setting, Step, places, try_setting

HEAD = Setting(task="goldfinches", upto="fc", per_class=5, steps=40, lr=1e-2)
DEEP = replace(HEAD, upto="layer4", lr=1e-3, steps=10)


@pytest.fixture(scope="module")
def tried():
    return [try_setting(HEAD), try_setting(replace(HEAD, per_class=10))]


def test_without_widgets_there_is_the_same_figure_with_words(tried):
    figure, text = explorer.draw_explorer(replace(HEAD, upto="layer2"), tried)
    words = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "layer1: frozen\n18,560 parameters" in words
    assert "conv1, bn1, layer1 frozen" in text and "run 2" in text and "10 labels a class" in text


def test_the_stored_notebook_gets_figure_numbers_runs_and_all_depths(tried, monkeypatch):
    shown = []
    monkeypatch.setattr(explorer, "show_widget", lambda widget, fallback: shown.append(fallback))
    explorer.explore(HEAD, tried)
    html = shown[0]["text/html"]
    assert 'src="data:image/png;base64,' in html and "Run this cell to explore" in html
    assert "backward pass reaches" in html and "training starts at" in html and "The same in all" in html
    assert shown[0]["text/plain"].startswith("[figure] The network of garden")


# What the controls do


@pytest.fixture
def board():
    box = explorer.make_explorer(DEEP)
    named = {name.removeprefix("explorer-"): widget for name, widget in box.named.items()}
    named["say"] = lambda: re.sub("<.*?>", "", named["said"].value)
    return named | {"bench": box.bench}


def test_moving_the_depth_changes_picture_numbers_and_the_line_that_is_read_out(board):
    before = board["network"].value, board["numbers"].value
    board["depth"].value = "layer2"
    assert board["network"].value != before[0] and board["numbers"].value != before[1]
    assert board["say"]().startswith("Training starts at layer2.") and "backward pass reaches layer2" in board["say"]()
    assert 'role="alert"' in board["said"].value
    assert 'alt="The network of garden as a stack of stages: conv1, bn1, layer1 frozen' in board["network"].value
    assert 'alt="Empty axes' in board["curves"].value


def test_a_linear_head_answers_a_slider_in_under_half_a_second(board):
    board["depth"].value = "fc"  # this fills the cache
    board["bench"].change(steps=200)
    spent = []
    for name, value in (("rate", 1e-2), ("labels", 10), ("rate", 3e-2), ("labels", 20)):
        started = time.process_time()
        board[name].value = value
        spent.append(time.process_time() - started)
        assert "the head alone, trained in" in board["say"]()
    assert min(spent) < 0.5, "seconds of one processor; 0.25 where this was written"
    assert board["bench"].now.history, "its curve is drawn"


def test_runs_are_kept_numbered_and_removed(board):
    board["train"].click()
    board["rate"].value = 1e-2
    board["train"].click()
    assert [run.number for run in board["bench"].kept] == [1, 2] and "learning rate" in board["runs"].value
    assert "Run 2 is done after" in board["say"]() and "validation images" in board["say"]()
    board["bench"].remove(1)
    board["train"].click()
    assert [run.number for run in board["bench"].kept] == [1, 2], "a number that is free is given again"
    assert board["bench"].kept[0].trial.setting.lr == 1e-2
    board["clear"].click()
    assert board["bench"].kept == [] and "No runs yet" in board["runs"].value


def test_another_source_keeps_the_place_and_offers_its_own_stages(board):
    board["depth"].value = "fc"
    board["source"].value = "garden-vit"
    assert board["bench"].setting.upto == board["depth"].value == "heads.head"
    assert [label for label, _ in board["depth"].options][:2] == ["conv_proj", "encoder_layer_0"]


def test_what_is_refused_is_said_and_leaves_everything_as_it_was(board):
    board["bench"].change(upto="relu")
    assert board["say"]().startswith("Problem.") and board["bench"].setting == DEEP


def test_no_more_runs_than_can_be_told_apart(tried):
    bench = Bench(HEAD, tried[:1] * MOST)
    bench.train()
    assert bench.problem and "Remove one first" in bench.said and len(bench.kept) == MOST


def wait(condition, seconds=20.0):
    async def waiting():
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            await asyncio.sleep(0.005)
        assert condition()

    return waiting()


def test_cancel_is_heard_while_a_run_trains_and_a_second_train_is_refused_meanwhile(board):
    async def session():
        board["bench"].change(steps=400)
        board["train"].click()
        await wait(lambda: board["bench"].step)
        assert board["bench"].training
        board["train"].click()
        assert "Refused" in board["say"]() and "still training" in board["say"]()
        board["depth"].value = "fc"  # controls answer meanwhile
        assert "backward pass reaches fc" in board["say"]()
        board["cancel"].click()
        await wait(lambda: not board["bench"].training)
        assert "Cancelled (training, step: " in board["say"]() and board["bench"].kept == []
        board["cancel"].click()
        assert "nothing to cancel" in board["say"]()
        board["train"].click()  # and it can train again
        await wait(lambda: board["bench"].kept)
        assert "Run 1 is done" in board["say"]()

    asyncio.run(session())


def test_an_error_in_a_step_is_shown_and_the_next_run_can_begin(board, monkeypatch):
    def fails(trial):
        yield Step("training, step", 1, 2)
        raise RuntimeError("out of memory")

    monkeypatch.setattr("helpers.lessons.explorer.bench.steps_of", fails)
    board["train"].click()
    assert "Problem. The training stopped: RuntimeError: out of memory" in board["say"]()
    assert not board["bench"].training and board["bench"].now is None
    monkeypatch.undo()
    board["train"].click()
    assert "Run 1 is done" in board["say"]()


def test_work_gives_way_to_other_work_after_each_step():
    seen = []

    async def session():
        job = Job(iter(range(3)), seen.append, lambda error: seen.append("done"))
        asyncio.get_running_loop().call_soon(seen.append, "a click")
        await job.task

    asyncio.run(session())
    assert seen.index("a click") < seen.index(1) and seen[-1] == "done"


def test_only_what_ipywidgets_7_knows_is_used(made):  # noqa: F811
    explorer.make_explorer(HEAD)
    assert not unknown(made)


def test_every_control_has_a_name_and_its_own_class(board):
    for name in ("task", "source", "depth", "labels", "warmup", "rate", "train", "cancel", "clear"):
        assert board[name].description, name
        assert f"explorer-{name}" in board[name]._dom_classes
    assert board["train"].tooltip and board["cancel"].tooltip
    assert board["depth"].options == tuple((place, place) for place in places(DEEP))
