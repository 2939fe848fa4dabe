"""Behind the freeze explorer: what it says before training is true, what it trains is what `fit` trains, what it draws."""

from dataclasses import replace

import pytest
import torch
from test_widgets7 import made, unknown  # noqa: F401

from helpers.freezing import freeze
from helpers.lessons.explorer import trials
from helpers.lessons.explorer.comparing import MOST, differing, plot_trials, table_html, trial_table
from helpers.lessons.explorer.prospects import depth_table, prospect
from helpers.lessons.explorer.trials import Setting, Trial, model_of, try_setting
from helpers.lessons.variants.diagrams import plot_network
from helpers.stages import stage_names
from helpers.training.costs import count_flops, stage_seconds, summary
from helpers.training.fitting import fit

HEAD = Setting(task="goldfinches", upto="fc", per_class=5, steps=40, lr=1e-2)
DEEP = replace(HEAD, upto="layer4", lr=1e-3, steps=10)


@pytest.fixture(scope="module")
def tried():
    return [try_setting(HEAD), try_setting(replace(HEAD, per_class=10))]


# What a setting costs


def test_counted_flops_and_parameters_are_those_of_the_network_that_trains():
    seen, task = prospect(DEEP), DEEP.open()
    backbone, model = model_of(DEEP)
    model = freeze(model, "layer4").train()
    assert seen.trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert seen.parameters == sum(p.numel() for p in model.parameters())
    images = backbone.normalise(task.train.pixels[: seen.batch])
    assert sum(count_flops(model, images)) / 1e6 == pytest.approx(seen.mflops_without)
    assert seen.mflops < seen.mflops_without < seen.mflops_all


def test_cache_size_is_that_of_the_features_that_are_really_kept(monkeypatch):
    monkeypatch.setattr(trials, "_KEPT", {})
    try_setting(DEEP)
    kept = sum(features.nbytes for features in trials._KEPT.values())
    assert kept / 1e6 == pytest.approx(prospect(DEEP).cache_mb)


def test_every_depth_is_listed_and_the_deeper_the_freezing_the_less_a_step_costs():
    table = depth_table(HEAD)
    assert list(table.index) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    for column in ("trained", "MFLOPs a step", "without cache, MFLOPs", "expected s"):
        assert table[column].is_monotonic_decreasing, column
    assert table["cache MB"]["conv1"] == 0 and (table["cache MB"].drop("conv1") > 0).all()


def test_backward_pass_reaches_the_first_stage_that_trains_and_the_lines_say_what_the_time_rests_on():
    lines = prospect(DEEP).lines
    assert lines["backward pass reaches"] == "layer4"
    assert "calibrated on this machine" in lines["expected time"]
    assert lines["feature cache"].endswith("for 100 images, before layer4")
    assert "nothing is frozen" in prospect(replace(DEEP, upto="conv1")).lines["feature cache"]


def test_calibration_times_every_stage_forward_and_backward_and_needs_images():
    backbone, model = model_of(HEAD)
    images = backbone.normalise(HEAD.open().val.pixels[:16])
    seconds = stage_seconds(model, images, rounds=1)
    assert list(seconds) == stage_names(model)
    costly = [seconds[row["stage"]] for row in summary(model, 64).rows if row["flops"] > 1e6]
    assert len(costly) == 5 and all(forward > 0 and backward > 0 for forward, backward in costly)
    with pytest.raises(ValueError, match="no images"):
        stage_seconds(model, images[:0])


# What is trained


def test_head_on_kept_features_and_its_warm_up_train_as_fit_does():
    for setting in (HEAD, replace(DEEP, head_steps=10)):
        mine, theirs = try_setting(setting), fit(setting.recipe(), setting.open(), setting.seed)
        rows = theirs.history.to_dict("records")
        assert [row["step"] for row in mine.history] == [row["step"] for row in rows]
        for column in ("train_loss", "val_loss", "val_accuracy"):
            assert [row[column] for row in mine.history] == pytest.approx([row[column] for row in rows], rel=1e-4), column


def test_training_moves_neither_the_shared_model_nor_the_random_numbers():
    state, dice = {k: v.clone() for k, v in model_of(DEEP)[1].state_dict().items()}, torch.get_rng_state()
    try_setting(DEEP)
    assert all(torch.equal(value, state[name]) for name, value in model_of(DEEP)[1].state_dict().items())
    assert torch.equal(torch.get_rng_state(), dice)


def test_a_network_of_another_architecture_can_be_frozen_and_trained_too():
    setting = replace(DEEP, source="garden-vit", upto="encoder.layers.encoder_layer_4", steps=2)
    assert len(try_setting(setting).history) == 2 and prospect(setting).reach == "encoder.layers.encoder_layer_4"


def test_what_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match="no stage 'relu' with parameters; there are conv1"):
        prospect(replace(HEAD, upto="relu"))
    with pytest.raises(ValueError, match="per_class=0"):
        replace(HEAD, per_class=0)
    with pytest.raises(ValueError, match="lr=-1"):
        replace(HEAD, lr=-1)
    with pytest.raises(ValueError, match="name of a stage"):
        replace(HEAD, upto=-1)
    with pytest.raises(ValueError, match="has not been trained"):
        Trial(HEAD).accuracy  # noqa: B018


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


def test_stages_in_an_impossible_order_are_refused():
    for states in (["trains", "frozen", "new, trains"], ["frozen", "frozen"], ["frozen", "half"]):
        with pytest.raises(ValueError, match="frozen up to one"):
            plot_network([(f"s{i}", 1, state) for i, state in enumerate(states)])


def test_curves_are_those_of_the_trials_and_too_many_are_refused(tried):
    axis = plot_trials(tried).axes[0]
    assert list(axis.lines[1].get_ydata()) == [100 * row["val_accuracy"] for row in tried[1].history]
    assert len({(line.get_color(), line.get_marker()) for line in axis.lines[:2]}) == 2
    with pytest.raises(ValueError, match="cannot be told apart"):
        plot_trials(tried * MOST)


def test_the_table_shows_the_settings_that_differ_and_says_which_are_the_same(tried):
    assert differing([trial.setting for trial in tried]) == ["per_class"]
    table = trial_table(tried)
    assert list(table["labels a class"]) == [5, 10] and "learning rate" not in table
    assert (table.low < table["validation %"]).all() and (table["validation %"] < table.high).all()
    html = table_html(tried, [1, 3], [1.0, 1.0])
    assert "<b>5</b>" in html and "<b>10</b>" in html and "The same in all" in html and "learning rate 0.01" in html
