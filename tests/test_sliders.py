"""The figure of lecture 3 that follows a slider: one target at every depth, and the text that describes it."""

import pandas
import pytest
import torch

from helpers.lessons.variants import depths as sliders
from helpers.training.study import Study

DEPTHS = ("head", "layer4", "all", "scratch")
SHARES = {"head": 0.60, "layer4": 0.90, "all": 0.91, "scratch": 0.30}


def study(shares=SHARES, labels=(5, 20), seeds=3, n=400) -> Study:
    """Answers with these shares of right ones; two depths whose shares are near get the same images wrong but a few."""
    rows, correct = [], []
    for per_class in labels:
        for depth in DEPTHS:
            for seed in range(seeds):
                rows.append({"task": "flowers", "per_class": per_class, "depth": depth, "seed": seed, "n": n,
                             "accuracy": shares[depth]})  # fmt: skip
                correct.append(torch.arange(n).roll(3 * seed + (DEPTHS.index(depth))) < shares[depth] * n)
    return Study("depth", ["task", "per_class", "depth"], pandas.DataFrame(rows), correct, {})


def test_the_text_of_a_depth_names_the_best_and_what_cannot_be_told_from_it():
    text = sliders.describe_depth(study(), "flowers", 5)
    assert text.startswith("flowers, 5 labels a class: best where training starts at all, 91 %")
    assert "not to be told from it: layer4." in text, "one point on 400 images is nothing to go by"
    assert "From scratch 30 %" in text and "behind by 61 points" in text


def test_the_text_says_when_scratch_is_ahead_or_level():
    assert "ahead by 8 points" in sliders.describe_depth(study(SHARES | {"scratch": 0.99}), "flowers", 5)
    level = sliders.describe_depth(study(SHARES | {"scratch": 0.905, "layer4": 0.5}), "flowers", 5)
    assert "not to be told from it, either" in level and "every other depth is behind it" in level


def test_the_figure_of_a_depth_shows_every_depth_but_scratch_as_a_point_and_scratch_as_a_line():
    figure, text = sliders.draw_depth(study(), "flowers", 20)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["head", "layer4", "all"]
    words = [text.get_text() for text in axis.texts]
    assert {"60", "90", "91", "from scratch", "5 labels"} <= set(words)
    assert "3 seeds, n = 400" in axis.get_title() and text == sliders.describe_depth(study(), "flowers", 20)


def test_a_target_that_the_study_lacks_is_refused():
    with pytest.raises(ValueError, match="no run with task='tissue'"):
        sliders.draw_depth(study(), "tissue", 5)
