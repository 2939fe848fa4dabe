"""Figures of studies show what their tables hold."""

import pytest
import torch
from fits import invented

from helpers import plot_differences, plot_lines, plot_map
from helpers.training.charts import plot_comparison


def grid(shift=0):
    """Two tasks, three numbers of labels, two recipes, three seeds: the right answers grow with the labels."""
    answers = {}
    for task in ("near", "far"):
        for i, count in enumerate((1, 5, 100)):
            for j, recipe in enumerate(("frozen", "whole")):
                for seed in range(3):
                    right = min(4 * i + 5 * j + seed + 2 + shift, 20)
                    answers[task, count, recipe, seed] = [k < right for k in range(20)]
    return invented(answers, ["task", "per_class", "recipe"])


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_lines_have_their_means_at_the_values_of_x():
    figure = plot_lines(grid(), "per_class", "recipe", "task")
    assert [axis.get_title() for axis in figure.axes] == ["near", "far"]
    means = grid().select(task="near", recipe="whole").table("per_class")["accuracy %"].tolist()
    assert figure.axes[0].containers[1][0].get_ydata().tolist() == means
    assert figure.axes[0].get_xscale() == "log"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "5", "100"]
    assert figure.axes[0].get_xlabel() == "training images per class"


@pytest.mark.parametrize("panel", [None, "task"])
def test_a_live_slice_is_drawn_with_open_markers_over_the_shipped_lines(panel):
    study = grid() if panel else grid().select(task="near")
    live = grid(1).select(task="near", per_class=5)
    figure = plot_lines(study, "per_class", "recipe", panel, live=live)
    drawn = [bars[0] for bars in figure.axes[0].containers]
    assert len(drawn) == 4 and {line.get_markerfacecolor() for line in drawn[2:]} == {"none"}
    assert drawn[3].get_ydata().tolist() == live.select(recipe="whole").table("per_class")["accuracy %"].tolist()
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["frozen", "whole", "measured here"]


def test_a_map_has_the_number_and_the_interval_of_each_cell_and_frames_the_best():
    near = grid().select(task="near")
    figure, cell = plot_map(near, "per_class", "recipe"), near.table(["per_class", "recipe"]).loc[(5, "whole")]
    assert {f"{cell['accuracy %']:.0f}", f"{cell['low']:.0f} to {cell['high']:.0f}"} <= set(texts(figure))
    assert len(figure.axes[0].patches) == 3, "a frame a column"
    differences = plot_map(near, "per_class", "recipe", differences_to="frozen")
    assert texts(differences)[::2] == ["+25", "+25", "+25"], "without the baseline, plus or minus"


def test_differences_that_are_not_supported_have_open_markers():
    paired = grid().paired("recipe", "frozen")
    paired["supported"] = ["no"] + ["yes"] * (len(paired) - 1)
    figure = plot_differences(paired)
    faces = [bars[0].get_markerfacecolor() for bars in figure.axes[0].containers]
    assert faces[0] == "w" and "w" not in faces[1:]


@pytest.mark.parametrize("recipes", [1, 9])
def test_comparisons_show_each_run_and_each_mean(recipes):
    generator = torch.Generator().manual_seed(0)
    answers = {f"recipe {i}": torch.rand(3, 20, generator=generator) < (i + 1) / 10 for i in range(recipes)}
    comparison = invented(**answers)
    figure = plot_comparison(comparison)
    figure.canvas.draw()
    assert {label.get_text() for label in figure.axes[0].get_yticklabels()} == set(answers)
    dots = figure.axes[0].lines[0].get_xdata()
    assert list(dots) == pytest.approx((100 * answers["recipe 0"].double().mean(1)).tolist(), abs=1e-4)
    assert f"{comparison.table('recipe').loc['recipe 0', 'accuracy %']:.0f}" in texts(figure)


MANY = {(f"r{i}", 0): [True, False] for i in range(8)}


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plot_differences(grid().table()), "the table of paired"),
        (lambda: plot_lines(invented(MANY, ["recipe"]), "recipe", "recipe"), "cannot be told apart"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
