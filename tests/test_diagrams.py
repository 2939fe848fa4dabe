"""The diagrams of transfer show what the recipes really do."""

import pytest
import torch
from fits import short, small_task

from helpers.lessons.variants.diagrams import plot_costs, plot_dataset_view, plot_model_view, variant_table
from helpers.training.costs import step_costs
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, SCRATCH

VARIANTS = [SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL]


def test_the_four_variants_differ_in_what_is_new_frozen_and_fine_tuned():
    table = variant_table(VARIANTS, classes=4)
    assert (table["scratch"] == "new").all()
    assert table["feature extraction"].tolist() == ["frozen"] * 6 + ["new"]
    assert table["fine-tune last"].tolist() == ["frozen"] * 5 + ["fine-tuned", "new"]
    assert table["fine-tune all"].tolist() == ["fine-tuned"] * 6 + ["new"]
    assert table.index[0] == "conv1" and table.index[-1] == "fc"


def test_the_model_view_says_in_words_what_its_colours_say():
    words = [text.get_text() for text in plot_model_view(VARIANTS, small_task(), 800).axes[0].texts]
    assert words.count("frozen") == 11 and words.count("fine-tuned") == 7 and words.count("new") == 6
    assert words.count("new, 4 outputs") == 4 and "fc, 800 outputs" in words


def test_what_copies_nothing_stands_left_of_the_source():
    words = {text.get_text(): text.get_position()[0] for text in plot_model_view(VARIANTS, small_task(), 800).axes[0].texts}
    assert words["scratch"] < words["source model"] < words["feature extraction"] < words["fine-tune all"]


def test_the_dataset_view_draws_the_target_to_the_scale_of_the_source():
    task = small_task()
    figure = plot_dataset_view(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), 800, 1200, task, columns=2)
    (small,) = figure.axes[0].patches[:1]
    assert (small.get_width() / 10) ** 2 == pytest.approx(len(task.train) / 1200)
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "800 classes" in words and "1,200 labelled images" in words and "4 classes,\n12 labelled images" in words


def test_the_bars_of_the_costs_are_those_of_the_table():
    costs = step_costs([short(FINE_TUNE_ALL)], small_task(), batch_size=4, rounds=2)
    flops, time, memory = plot_costs(costs).axes
    assert [bar.get_width() for bar in time.patches] == costs["ms"].tolist()
    assert sum(bar.get_width() for bar in flops.patches) == costs[["forward MFLOPs", "backward MFLOPs"]].sum().sum()
    assert len(memory.patches) == 2
