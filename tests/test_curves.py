"""Learning curves of a study, and paired differences of its columns, held against numbers by hand."""

import pandas
import pytest
import torch

from helpers.training.curves import learning_curves, overfitting, paired_values, plot_curves
from helpers.training.study import Study

UP, DOWN = [1.0, 0.5, 0.9], [1.0, 0.5, 0.3]


def history(losses, shift=0.0):
    return [{"step": 10 * (i + 1), "train_loss": 0.1, "train_accuracy": 0.9, "val_loss": loss + shift, "val_accuracy": 0.7}
            for i, loss in enumerate(losses)]  # fmt: skip


def study(by_depth=None):
    by_depth = by_depth or {"head": DOWN, "all": UP}
    rows = [{"per_class": 5, "depth": depth, "seed": seed, "n": 4, "accuracy": 0.5, "moved": seed + 2.0 * (depth == "all"),
             "history": history(losses, 0.01 * seed)} for depth, losses in by_depth.items() for seed in range(3)]  # fmt: skip
    answers = [torch.tensor([True, True, False, False])] * len(rows)
    return Study("a question", ["per_class", "depth"], pandas.DataFrame(rows), answers, {})


def test_curves_are_means_over_the_seeds():
    curves = learning_curves(study(), ["per_class", "depth"])
    assert curves.loc[(5, "all", 20), "val_loss"] == pytest.approx(0.51)
    assert list(curves.xs((5, "head"), level=[0, 1]).index) == [10, 20, 30]


def test_overfitting_is_a_validation_loss_that_has_risen_for_sure():
    table = overfitting(study(), ["per_class", "depth"])
    assert table.loc[(5, "all"), "lowest at"] == 20 and table.loc[(5, "all"), "rises by"] == pytest.approx(0.4)
    assert table.loc[(5, "all"), "starts to overfit"] == "yes" and table.loc[(5, "head"), "starts to overfit"] == "no"
    assert table.loc[(5, "all"), "gap"] == pytest.approx(20)


def test_a_rise_that_seeds_disagree_on_is_not_called_overfitting():
    noisy = study()
    noisy.runs.at[3, "history"] = history([1.0, 0.5, 0.1])
    table = overfitting(noisy, ["per_class", "depth"])
    assert table.loc[(5, "all"), "rises by"] > 0 and table.loc[(5, "all"), "starts to overfit"] == "no"


def test_paired_values_are_differences_on_the_same_seeds():
    row = paired_values(study(), "moved", "depth", "head", ["per_class"], scale=10).loc[(5, "all")]
    assert (row.points, row.low, row.high, row.seeds, row.supported) == (20, 20, 20, 3, "yes")


def test_curves_are_drawn_a_panel_a_number_of_labels():
    figure = plot_curves(study(), line="depth", panel="per_class", live=study({"all": UP}))
    assert [axis.get_title() for axis in figure.axes] == ["per class: 5", ""]
    assert sum(line.get_marker() == "o" and line.get_label() == "_live" for line in figure.axes[0].lines) == 1


def test_bad_questions_are_refused_by_name():
    with pytest.raises(ValueError, match="no condition 'place'"):
        learning_curves(study(), ["place"])
    with pytest.raises(ValueError, match="no column 'speed'"):
        paired_values(study(), "speed", "depth", "head", ["per_class"])
    with pytest.raises(ValueError, match="no run with depth='tail'"):
        paired_values(study(), "moved", "depth", "tail", ["per_class"])
    bare = study()
    bare.runs = bare.runs.drop(columns="history")
    with pytest.raises(ValueError, match="keep_history=True"):
        learning_curves(bare, ["depth"])
