"""Lecture 3: diagrams that show what the recipes really do, and what the notebook claims, compared with what was measured."""

import re
from dataclasses import replace
from functools import partial

import project
from fits import short, small_task
from photos import open_small, photos
from project import ROOT, cells

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


def test_the_laboratory_s_source_is_shown_above_two_classes_of_each_target_and_the_goldfinches_marks_are_circled():
    axes = plot_targets().axes
    titles = [axis.get_title().split(":")[0] for axis in axes]
    assert titles == 6 * ["its source"] + ["flowers"] * 2 + ["goldfinches"] * 2 + ["tissue"] * 2
    assert [len(axis.patches) for axis in axes] == [0] * 8 + [2, 2, 0, 0]
    for axis in axes[8:10]:
        back, bill = axis.patches
        assert back.width > 2 * bill.width and bill.center[1] < back.center[1], "the bill is small, and higher up"
        assert bill.center[0] > back.center[0], "both birds look to the right"


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
    chosen, tested = outcome("search-chosen").splitlines()
    tested = {name: int(share) for name, share in re.findall(r"([a-z][^%]*?) (\d+)%", tested.removeprefix("test images: "))}
    assert chosen == "chosen: everything, 160 steps" and sorted(tested, key=tested.get) == [*tested], "in the same order"
    assert sorted(tested, key=lambda name: number("search", name)) == [*tested] and [*tested][-1] == "everything, 160 steps"
    assert "test" not in outcome("search")


def test_eighty_images_leave_an_accuracy_uncertain_by_nine_points_and_four_hundred_by_four():
    assert [round(196 * (0.77 * 0.23 / count) ** 0.5) for count in (80, 400)] == [9, 4]
    assert number("puzzle-outcome", "solved, not trained in steps") == 77


def test_lp_ft_gains_on_drawn_goldfinches_and_photographs_and_a_lot_on_the_goldfinches_alone():
    rows = re.findall(r"^(.+?) {2,}(-?[\d.]+) +(-?[\d.]+) to", outcome("depth-outcome"), re.MULTILINE)
    gains = {name: (float(points), float(low)) for name, points, low in rows}
    assert [name for name, (_, low) in gains.items() if low > 0] == ["drawn goldfinches", "flower photographs"]
    assert [name for name, (points, _) in gains.items() if points > 5] == ["drawn goldfinches"]


def test_all_four_panels_show_the_same_two_recipes_over_five_seeds():
    both = ["feature extraction", "probe, then fine-tune"]
    drawn = h.load_study("suite-garden").select(target=["flowers", "goldfinches", "tissue"], recipe=both)
    real = h.load_study("suite-efficientnet_lite0").select(target="photographs", size=128, recipe=both)
    for study in (drawn, real):
        assert (study.paired("recipe", both[0], by=["target", "per_class"]).seeds == 5).all()


def test_the_photographs_have_190_validation_and_375_test_images_whatever_the_labels(tmp_path):
    folder = photos(tmp_path / "flowers", **dict.fromkeys(("daisy", "dandelion", "roses", "sunflowers", "tulips"), 300))
    for task in (open_small(folder, per_class) for per_class in (5, 100)):
        assert (len(task.val.labels), len(task.test.labels)) == (190, 375)


def test_the_program_for_a_folder_names_a_picture_that_it_has_not_seen():
    said = project.outcome(ROOT / "notebooks/appendix/lecture3.ipynb", "own-head")
    assert re.search(r"new.jpg: (\w+) \d+% \(it is: \1\)", said)


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
