"""The freeze explorer: costs are true, training is that of `fit`, controls do what they say, and it has a figure without them.

Controls are plain functions: here they are called without a browser. tests/test_browser.py uses them in one.
"""

import asyncio
import re
import time
from dataclasses import replace

import pytest
import torch
from pandas import DataFrame
from test_widgets7 import made, unknown  # noqa: F401

from helpers.freezing import freeze
from helpers.lessons.explorer import depth_table, panel, trial_table, trials, try_setting
from helpers.lessons.explorer.costs import cost_of
from helpers.lessons.explorer.runs import MOST, plot_trials, runs_html
from helpers.lessons.explorer.session import Session
from helpers.lessons.explorer.trials import Setting, Step, Trial, cut_points, fresh_model
from helpers.lessons.variants.diagrams import plot_network
from helpers.training.costs import count_flops
from helpers.training.fitting import fit

HEAD = Setting(task="goldfinches", upto="fc", per_class=5, steps=40, lr=1e-2)
DEEP = replace(HEAD, upto="layer4", lr=1e-3, steps=10)


@pytest.fixture(scope="module")
def tried():
    return {1: try_setting(HEAD), 2: try_setting(replace(HEAD, per_class=10))}


def model_of(setting):
    return fresh_model(setting.source, len(setting.open().classes), setting.seed)


# What a setting costs


def test_counted_flops_and_parameters_are_those_of_the_network_that_trains():
    cost, task = cost_of(DEEP), DEEP.open()
    backbone, model = model_of(DEEP)
    model = freeze(model, "layer4").train()
    assert cost.trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    images = backbone.normalise(task.train.pixels[: DEEP.recipe().batch_size])
    assert sum(count_flops(model, images)) / 1e6 == pytest.approx(cost.mflops_without)
    assert cost.mflops < cost.mflops_without < cost.mflops_all


def test_cache_size_is_that_of_the_features_that_are_really_kept(monkeypatch):
    monkeypatch.setattr(trials, "_KEPT", {})
    try_setting(DEEP)
    kept = sum(features.nbytes for features in trials._KEPT.values())
    assert kept / 1e6 == pytest.approx(cost_of(DEEP).cache_mb)


def test_every_depth_is_listed_and_the_deeper_the_freezing_the_less_a_step_costs():
    table = depth_table(HEAD)
    assert list(table.index) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    for column in ("trained", "MFLOPs a step", "without cache, MFLOPs", "expected s"):
        assert table[column].is_monotonic_decreasing, column
    assert table["cache MB"]["conv1"] == 0 and (table["cache MB"].drop("conv1") > 0).all()


def test_costs_in_words_name_the_stage_the_cache_and_what_the_time_rests_on():
    lines = cost_of(DEEP).lines
    assert lines["backward pass reaches"] == "layer4" and lines["feature cache"].endswith("for 100 images, before layer4")
    assert "calibrated on this machine" in lines["expected time"]
    assert "nothing is frozen" in cost_of(replace(DEEP, upto="conv1")).lines["feature cache"]


# What is trained


@pytest.mark.parametrize("setting", [HEAD, replace(DEEP, head_steps=10)], ids=["head", "warm-up"])
def test_head_on_kept_features_and_its_warm_up_train_as_fit_does(setting):
    mine, theirs = DataFrame(try_setting(setting).history), fit(setting.recipe(), setting.open(), setting.seed).history
    assert mine.step.tolist() == theirs.step.tolist()
    for column in ("train_loss", "val_loss", "val_accuracy"):
        assert mine[column].tolist() == pytest.approx(theirs[column].tolist(), rel=1e-4), column


def test_training_moves_neither_the_shared_model_nor_the_random_numbers():
    state, random = {k: v.clone() for k, v in model_of(DEEP)[1].state_dict().items()}, torch.get_rng_state()
    try_setting(DEEP)
    assert all(torch.equal(value, state[name]) for name, value in model_of(DEEP)[1].state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_network_of_another_architecture_can_be_frozen_and_trained_too():
    setting = replace(DEEP, source="garden-vit", upto="encoder.layers.encoder_layer_4", steps=2)
    assert len(try_setting(setting).history) == 2
    assert cost_of(setting).lines["backward pass reaches"] == "encoder_layer_4"


@pytest.mark.parametrize("wrong, message", [
    ({"per_class": 0}, "per_class=0"),
    ({"lr": -1}, "lr=-1"),
    ({"upto": -1}, "name of a stage"),
    ({"upto": "relu"}, "no stage 'relu' with parameters; there are conv1"),
])  # fmt: skip
def test_what_does_not_exist_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        cost_of(replace(HEAD, **wrong))


# What is drawn


def words(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_frozen_stages_are_told_by_hatching_a_lock_and_a_word_and_the_backward_arrow_ends_above_them():
    stages = [("conv1", 9, "frozen"), ("layer1", 99, "trains"), ("fc", 7, "new, trains")]
    figure = plot_network(stages, "1 MB kept")
    (axis,) = figure.axes
    hatched = [patch for patch in axis.patches if patch.get_hatch()]
    assert len(hatched) == 1 and sum(type(patch).__name__ == "Arc" for patch in axis.patches) == 1
    assert "conv1: frozen\n9 parameters" in words(figure) and "layer1: trains\n99 parameters" in words(figure)
    backward = max((p for p in axis.patches if type(p).__name__ == "FancyArrowPatch"), key=lambda p: p.get_linewidth())
    frozen_top = hatched[0].get_y() + hatched[0].get_height()
    assert frozen_top < backward._posA_posB[1][1] < backward._posA_posB[0][1]


@pytest.mark.parametrize("states", [["trains", "frozen", "new, trains"], ["frozen", "frozen"], ["frozen", "half"]])
def test_stages_in_an_impossible_order_are_refused(states):
    with pytest.raises(ValueError, match="frozen up to one"):
        plot_network([(f"s{i}", 1, state) for i, state in enumerate(states)])


def test_curves_are_those_of_the_trials_and_too_many_are_refused(tried):
    axis = plot_trials(tried).axes[0]
    assert list(axis.lines[1].get_ydata()) == [100 * row["val_accuracy"] for row in tried[2].history]
    assert len({(line.get_color(), line.get_marker()) for line in axis.lines[:2]}) == 2
    with pytest.raises(ValueError, match="too many for one figure"):
        plot_trials(dict.fromkeys(range(1, MOST + 2), tried[1]))


def test_the_table_shows_the_settings_that_differ_and_says_which_are_the_same(tried):
    table = trial_table(list(tried.values()))
    assert list(table["labels a class"]) == [5, 10] and "learning rate" not in table
    assert (table.low < table["validation %"]).all() and (table["validation %"] < table.high).all()
    html = runs_html({1: tried[1], 3: tried[2]}, {1: 1.0, 3: 1.0})
    assert "<b>5</b>" in html and "<b>10</b>" in html and "The same in all" in html and "learning rate 0.01" in html
    with pytest.raises(ValueError, match="has not been trained"):
        trial_table([Trial(HEAD)])


def test_without_widgets_there_is_the_same_figure_with_words_numbers_runs_and_all_depths(tried, monkeypatch):
    figure, text = panel.draw_explorer(replace(HEAD, upto="layer2"), list(tried.values()))
    assert "layer1: frozen\n18,560 parameters" in words(figure)
    assert "conv1, bn1, layer1 frozen" in text and "run 2" in text and "10 labels a class" in text
    stored = []
    monkeypatch.setattr(panel, "show_widget", lambda widget, fallback: stored.append(fallback))
    panel.explore(HEAD, list(tried.values()))
    html = stored[0]["text/html"]
    assert 'src="data:image/png;base64,' in html and "Run this cell to explore" in html
    assert "backward pass reaches" in html and "training starts at" in html and "The same in all" in html
    assert stored[0]["text/plain"].startswith("[figure] The network of garden")


# What the controls do


@pytest.fixture
def board():
    box = panel.make_explorer(DEEP)
    return box.named | {"say": lambda: re.sub("<.*?>", "", box.named["said"].value), "session": box.session}


def test_moving_the_depth_changes_picture_numbers_and_the_line_that_is_read_out(board):
    before = board["network"].value, board["numbers"].value
    board["depth"].value = "layer2"
    assert board["network"].value != before[0] and board["numbers"].value != before[1]
    assert board["say"]().startswith("Training starts at layer2.") and "backward pass reaches layer2" in board["say"]()
    assert 'role="alert"' in board["said"].value
    assert 'alt="The network of garden as a stack of stages: conv1, bn1, layer1 frozen' in board["network"].value
    assert 'alt="Empty axes' in board["curves"].value


def test_a_linear_head_answers_a_slider_at_once(board):
    board["depth"].value = "fc"  # this fills the cache
    board["session"].change(steps=200)
    spent = []
    for name, value in (("rate", 1e-2), ("labels", 10), ("rate", 3e-2), ("labels", 20)):
        started = time.process_time()
        board[name].value = value
        spent.append(time.process_time() - started)
        assert "the head alone, trained in" in board["say"]()
    assert min(spent) < 1.5, "seconds of one processor: 0.25 on an idle machine"
    assert board["session"].now.history, "its curve is drawn"


def test_runs_are_kept_numbered_and_removed(board):
    board["train"].click()
    board["rate"].value = 1e-2
    board["train"].click()
    assert list(board["session"].runs) == [1, 2] and "learning rate" in board["runs"].value
    assert "Run 2 is done after" in board["say"]() and "validation images" in board["say"]()
    board["session"].remove(1)
    board["train"].click()
    assert list(board["session"].runs) == [1, 2], "a number that is free is given again"
    assert board["session"].runs[1].setting.lr == 1e-2
    board["clear"].click()
    assert board["session"].runs == {} and "No runs yet" in board["runs"].value


def test_another_source_keeps_the_place_and_offers_its_own_stages(board):
    board["depth"].value = "fc"
    board["source"].value = "garden-vit"
    assert board["session"].setting.upto == board["depth"].value == "heads.head"
    assert [label for label, _ in board["depth"].options][:2] == ["conv_proj", "encoder_layer_0"]


def test_what_is_refused_is_said_and_leaves_everything_as_it_was(board, tried):
    board["session"].change(upto="relu")
    assert board["say"]().startswith("Problem.") and board["session"].setting == DEEP
    session = Session(HEAD, [tried[1]] * MOST)
    session.train()
    assert session.problem and "Remove one first" in session.said and len(session.runs) == MOST


def wait(condition, seconds=20.0):
    async def waiting():
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            await asyncio.sleep(0.005)
        assert condition()

    return waiting()


def test_cancel_is_heard_while_a_run_trains_and_a_second_train_is_refused_meanwhile(board):
    async def session():
        board["session"].change(steps=400)
        board["train"].click()
        await wait(lambda: board["session"].step)
        assert board["session"].training
        board["train"].click()
        assert "Refused" in board["say"]() and "still training" in board["say"]()
        board["depth"].value = "fc"  # controls answer meanwhile
        assert "backward pass reaches fc" in board["say"]()
        board["cancel"].click()
        await wait(lambda: not board["session"].training)
        assert "Cancelled (training, step: " in board["say"]() and board["session"].runs == {}
        board["cancel"].click()
        assert "nothing to cancel" in board["say"]()
        board["train"].click()  # and it can train again
        await wait(lambda: board["session"].runs)
        assert "Run 1 is done" in board["say"]()

    asyncio.run(session())


def test_an_error_in_a_step_is_shown_and_the_next_run_can_begin(board, monkeypatch):
    def fails(trial):
        yield Step("training, step", 1, 2)
        raise RuntimeError("out of memory")

    monkeypatch.setattr("helpers.lessons.explorer.session.steps_of", fails)
    board["train"].click()
    assert "Problem. The training stopped: RuntimeError: out of memory" in board["say"]()
    assert not board["session"].training and board["session"].now is None
    monkeypatch.undo()
    board["train"].click()
    assert "Run 1 is done" in board["say"]()


def test_every_control_has_a_name_and_its_own_class_and_only_what_ipywidgets_7_knows_is_used(made, board):  # noqa: F811
    assert not unknown(made)
    for name in ("task", "source", "depth", "labels", "warmup", "rate", "train", "cancel", "clear"):
        assert board[name].description, name
        assert f"explorer-{name}" in board[name]._dom_classes
    assert board["train"].tooltip and board["cancel"].tooltip
    assert board["depth"].options == tuple((stage, stage) for stage in cut_points(DEEP))
