"""Lecture 3: diagrams that show what the recipes really do, and what the notebook claims, compared with what was measured."""

import re
from dataclasses import replace
from functools import partial

import project
from fits import short, small_task
from project import ROOT, cells
from scipy.stats import fisher_exact

import helpers as h
from helpers.lessons.variants import plot_targets, reversal_recipes
from helpers.lessons.variants.diagrams import plot_costs, plot_model_view, variant_table
from helpers.training.costs import step_costs
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE, SCRATCH

NOTEBOOK = ROOT / "notebooks/03_variants.ipynb"
outcome = partial(project.outcome, NOTEBOOK)
VARIANTS = [SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL]


def number(cell_id, what):
    """The first number after `what` in the stored outcome of a cell."""
    return float(re.search(rf"^{re.escape(what)} +(-?[\d.]+)", outcome(cell_id), re.MULTILINE)[1])


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


def test_the_bars_of_the_costs_are_those_of_the_table():
    costs = step_costs([short(FINE_TUNE_ALL)], small_task(), batch_size=4, rounds=2)
    flops, time, memory = plot_costs(costs).axes
    assert [bar.get_width() for bar in time.patches] == costs["ms"].tolist()
    assert sum(bar.get_width() for bar in flops.patches) == costs[["forward MFLOPs", "backward MFLOPs"]].sum().sum()
    assert len(memory.patches) == 2


def test_the_laboratory_s_source_is_shown_above_two_classes_of_each_target():
    titles = [axis.get_title().split(":")[0] for axis in plot_targets().axes]
    assert titles == 6 * ["its source"] + ["flowers"] * 2 + ["goldfinches"] * 2 + ["tissue"] * 2


def test_a_probe_with_five_photographs_keeps_up_with_a_hundred_from_scratch():
    suite = h.load_study("suite-efficientnet_lite0").select(target="photographs", size=128)
    table = suite.table(["recipe", "per_class"])
    probe, scratch = table.loc[("feature extraction", 5)], table.loc[("scratch", 100)]
    assert probe["low"] < scratch["accuracy %"] < probe["accuracy %"] + 2
    gains = suite.paired("recipe", "feature extraction", by=["per_class"]).supported
    assert [gains[n, "probe, then fine-tune"] for n in (5, 20, 100)] == ["no", "no", "yes"]


def test_freezing_saves_most_of_a_step_and_kept_features_nearly_all_of_it():
    assert number("kept-features", "the head, features kept") < 2 < number("kept-features", "the last block") < 50
    assert number("kept-features", "the head") <= number("kept-features", "the last block") + 5


def test_moving_batchnorm_ruins_the_head_on_the_real_network():
    rest = number("puzzle-outcome", "BatchNorm at rest")
    assert number("puzzle-outcome", "BatchNorm live") < rest - 10


def test_of_the_puzzle_s_repairs_the_rate_is_not_the_largest_and_its_last_two_rows_differ_in_depth_alone_as_quiz_and_text_say():
    points = h.load_study("reversal").select(task="goldfinches").paired("variant", "scratch").points
    assert points["head, lr fixed"] < points["head, BatchNorm fixed"]
    deep, last = (reversal_recipes()[name] for name in ("fine-tune all", "from layer4"))
    assert replace(deep, name=last.name, upto=last.upto) == last


def test_the_validation_images_choose_everything_and_no_test_accuracy_is_seen_before_the_choice():
    chosen = re.search(r"chosen: (.+), (\d+)%", outcome("search-chosen"))
    assert chosen[1] == "everything, 160 steps" and int(chosen[2]) > number("search", "the head") + 15
    assert "test" not in outcome("search")


def test_ninety_percent_of_eighty_is_a_rare_draw_and_nine_points_either_way_are_not():
    ours, eighty, four_hundred = ([float(n) for n in re.findall(r"([\d.]+)%", line)] for line in outcome("luck").splitlines()[:3])
    assert ours == [90, number("puzzle-outcome", "solved, not trained in steps")]
    assert 0.004 < fisher_exact([[72, 8], [308, 92]], alternative="greater").pvalue < 0.006  # the text's one in 200
    assert eighty[3] < 1 and abs(eighty[2] - eighty[1] - 18) < 1.5 and abs(four_hundred[2] - four_hundred[1] - 8) < 1.5


def test_training_everything_gains_everywhere_but_on_drawn_flowers():
    lows = re.findall(r"^(.+?) {2,}[\d.]+ +(-?[\d.]+) to", outcome("depth-outcome"), re.MULTILINE)
    assert len(lows) == 4 and [name for name, low in lows if float(low) <= 0] == ["drawn flowers"]


def test_the_program_for_a_folder_names_a_picture_that_it_has_not_seen():
    assert re.search(r"new.jpg: (\w+) \d+% \(it is: \1\)", outcome("own-head"))


def test_a_plain_loop_over_everything_gains_about_ten_points_over_the_probe_of_the_goldfinches():
    probe, everything = (float(found) for found in re.findall(r"([\d.]+)%", outcome("plain-lp-ft")))
    assert probe == number("puzzle-outcome", "solved, not trained in steps") and 7 < everything - probe < 13


def test_with_five_labels_everything_at_once_loses_where_the_features_fit_and_gains_where_they_do_not_as_the_quiz_says():
    flowers, finches = (h.load_study(name).paired("recipe", "feature extraction") for name in ("flowers-5", "goldfinches-5"))
    assert flowers.loc["fine-tune all", ["points", "low", "high"]].astype(float).round().tolist() == [-6, -11, -1]
    assert flowers.loc["probe, then fine-tune", ["points", "low", "high"]].astype(float).round().tolist() == [0, -2, 2]
    assert finches.loc["fine-tune all", ["points", "low", "high"]].astype(float).round().tolist() == [20, 14, 27]


def test_the_lecture_writes_the_defaults_of_lp_ft_as_the_recipe_has_them():
    space = {"h": h}
    (cell,) = [cell for cell in cells(NOTEBOOK, "code") if cell.id == "lp-ft"]
    exec(cell.source, space)
    assert space["lp_ft"] == PROBE_THEN_FINE_TUNE
