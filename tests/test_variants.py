"""The figures of lecture 3: diagrams that show what the recipes really do, and the depths that follow a slider, in words."""

import pandas
import pytest
import torch
from fits import short, small_task

from helpers.lessons.variants.depths import describe_depth, draw_depth
from helpers.lessons.variants.diagrams import plot_costs, plot_dataset_view, plot_model_view, variant_table
from helpers.training.costs import step_costs
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, SCRATCH
from helpers.training.study import Study

VARIANTS = [SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL]
SHARES = {"head": 0.60, "layer4": 0.90, "all": 0.91, "scratch": 0.30}


def test_the_four_variants_differ_in_what_is_new_frozen_and_fine_tuned():
    table = variant_table(VARIANTS, classes=4)
    assert (table["scratch"] == "new").all()
    assert table["feature extraction"].tolist() == ["frozen"] * 6 + ["new"]
    assert table["fine-tune last"].tolist() == ["frozen"] * 5 + ["fine-tuned", "new"]
    assert table["fine-tune all"].tolist() == ["fine-tuned"] * 6 + ["new"]
    assert table.index[0] == "conv1" and table.index[-1] == "fc"


def test_the_model_view_says_in_words_what_its_colours_say_and_what_copies_nothing_stands_left_of_the_source():
    texts = plot_model_view(VARIANTS, small_task(), 800).axes[0].texts
    words, places = [text.get_text() for text in texts], {text.get_text(): text.get_position()[0] for text in texts}
    assert words.count("frozen") == 11 and words.count("fine-tuned") == 7 and words.count("new") == 6
    assert words.count("new, 4 outputs") == 4 and "fc, 800 outputs" in words
    assert places["scratch"] < places["source model"] < places["feature extraction"] < places["fine-tune all"]


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


def study(**shares) -> Study:
    """Answers with these shares of right ones; two depths whose shares are near get the same images wrong but a few."""
    rows, correct, shares, n = [], [], SHARES | shares, 400
    for per_class in (5, 20):
        for i, (depth, share) in enumerate(shares.items()):
            for seed in range(3):
                row = {"task": "flowers", "per_class": per_class, "depth": depth, "seed": seed, "n": n, "accuracy": share}
                rows.append(row)
                correct.append(torch.arange(n).roll(3 * seed + i) < share * n)
    return Study("depth", ["task", "per_class", "depth"], pandas.DataFrame(rows), correct, {})


def test_the_text_of_a_depth_names_the_best_what_is_level_with_it_and_how_far_scratch_is_behind():
    text = describe_depth(study(), "flowers", 5)
    assert text.startswith("flowers, 5 labels a class: best where training starts at all, 91%")
    assert "it: layer4." in text, "one point on 400 images is nothing to go by"
    assert "From scratch 30%" in text and "behind by 61 points" in text
    assert "ahead by 8 points" in describe_depth(study(scratch=0.99), "flowers", 5)
    level = describe_depth(study(scratch=0.905, layer4=0.5), "flowers", 5)
    assert "from it, either" in level and "every other depth is behind it" in level


def test_the_figure_of_a_depth_shows_every_depth_but_scratch_as_a_point_and_scratch_as_a_line():
    figure, text = draw_depth(study(), "flowers", 20)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["head", "layer4", "all"]
    assert {"60", "90", "91", "from scratch", "5 labels"} <= {text.get_text() for text in axis.texts}
    assert "3 seeds, n = 400" in axis.get_title() and text == describe_depth(study(), "flowers", 20)
    with pytest.raises(ValueError, match="no run with task='tissue'"):
        draw_depth(study(), "tissue", 5)
