"""Lecture 3: its recipes differ in what they say, and its sentences follow from the shipped studies."""

import pytest

from helpers import diff, load_study
from helpers.lessons.variants import studies as variants
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH


@pytest.fixture(scope="module")
def birds():
    return load_study("reversal").select(task="goldfinches")


@pytest.fixture(scope="module")
def depths():
    return load_study("depth")


def test_each_repair_changes_one_setting_and_all_of_them_together_what_was_found():
    recipes = variants.reversal_recipes()
    found = recipes["head, as found"]
    for name, setting in [("lr", "lr"), ("schedule", "schedule"), ("BatchNorm", "batchnorm")]:
        assert set(diff(found, recipes[f"head, {name} mended"])) == {"name", setting}
    assert set(diff(found, recipes["head, all mended"])) == {"name", "lr", "schedule", "batchnorm"}
    assert set(diff(FEATURE_EXTRACTION, recipes["head, all mended"])) == {"name"}
    for name in ("head, mended", "scratch"):
        mended = "head, all mended" if name == "head, mended" else name
        assert set(diff(recipes[mended], recipes[f"{name}, not normalised"])) == {"name", "preprocessing"}


def test_from_layer4_on_the_recipes_of_the_map_differ_in_nothing_but_where_training_starts():
    for depth in ("layer4", "layer2", "all"):
        assert set(diff(FINE_TUNE_ALL, variants.depth_recipe(depth))) <= {"name", "upto"}
    assert variants.depth_recipe("scratch") == SCRATCH and variants.depth_recipe("head") == FEATURE_EXTRACTION


def supported(study, of, baseline, sign):
    row = study.select(variant=[of, baseline]).paired("variant", baseline).loc[of]
    return row["supported"] == "yes" and sign * row["points"] > 0


def test_the_reversal_is_there_and_its_faults_account_for_a_part_of_it_only(birds):
    assert birds.runs.groupby("variant").seed.nunique()["head, as found"] == 5
    assert supported(birds, "head, as found", "scratch", -1)
    assert supported(birds, "head, all mended", "head, as found", +1)
    assert supported(birds, "head, all mended", "scratch", -1), "with nothing left to mend it is still below scratch"
    gaps = birds.select(variant=["head, as found", "head, all mended", "scratch"]).paired("variant", "scratch").points
    assert gaps["head, all mended"] < gaps["head, as found"] / 2, "the larger part is not the faults'"


def test_of_the_faults_only_batchnorm_shows_by_itself(birds):
    assert supported(birds, "head, BatchNorm mended", "head, as found", +1)
    for name in ("head, lr mended", "head, schedule mended"):
        row = birds.select(variant=[name, "head, as found"]).paired("variant", "head, as found").loc[name]
        assert row["supported"] == "no"


def test_training_more_of_the_network_mends_the_reversal(birds):
    assert supported(birds, "from layer4", "head, all mended", +1) and supported(birds, "from layer4", "scratch", -1)
    assert not supported(birds, "fine-tune all", "scratch", -1)


def test_on_flowers_the_same_faults_make_no_reversal():
    assert supported(load_study("reversal").select(task="flowers"), "head, as found", "scratch", +1)


def test_normalising_the_pixels_makes_no_difference_that_shows(birds):
    for name, base in [("scratch, not normalised", "scratch"), ("head, mended, not normalised", "head, all mended")]:
        assert not supported(birds, name, base, +1) and not supported(birds, name, base, -1)


def test_the_map_has_three_seeds_everywhere_and_its_history(depths):
    table = depths.table(["task", "per_class", "depth"])
    assert (table.seeds == 3).all()
    columns = {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
    curves = depths.select(depth=list(variants.DEPTHS)).runs.history  # scratch has none where lecture 1 measured it
    assert all(len(rows) == 10 and columns <= set(rows[0]) for rows in curves)


def difference(depths, task, labels, of, baseline):
    return depths.select(task=task, per_class=labels, depth=[of, baseline]).paired("depth", baseline, by=[]).loc[of]


def test_with_five_labels_every_way_of_transfer_comes_out_above_scratch(depths):
    means = depths.select(per_class=5).table(["task", "depth"])["accuracy %"].unstack()
    assert (means[list(variants.DEPTHS)].min(axis=1) > means["scratch"]).all()
    for task in ("flowers", "tissue"):
        assert difference(depths, task, 5, "head", "scratch")["supported"] == "yes"


def test_with_a_hundred_labels_the_head_alone_is_behind_scratch_on_goldfinches_and_ahead_on_flowers(depths):
    gaps = {task: difference(depths, task, 100, "head", "scratch") for task in variants.TASKS}
    assert gaps["flowers"].low > 0 and gaps["goldfinches"].high < 0
    assert gaps["tissue"].points < 0 < gaps["tissue"].high, "the text calls it undecided"
    for task in variants.TASKS:
        for labels in variants.LABELS:
            row = difference(depths, task, labels, "all", "scratch")
            assert not (row["supported"] == "yes" and row.points < 0), "fine-tuning everything is behind scratch nowhere"


def test_with_five_labels_the_head_alone_is_best_on_flowers_and_tissue_and_everything_on_goldfinches(depths):
    means = depths.table(["task", "per_class", "depth"])["accuracy %"].unstack()[list(variants.DEPTHS)]
    best = means.idxmax(axis=1)
    assert best["flowers", 5] == best["tissue", 5] == "head"
    for labels in (20, 100):
        assert difference(depths, "goldfinches", labels, "all", "head").low > 0
    assert (means["all"] > means["head"])[[key for key in means.index if key[1] > 5 or key[0] == "goldfinches"]].all()


def test_choosing_by_validation_costs_little(depths):
    price = variants.choice_by_validation(depths)
    lost = price["test %"] - price["its test %"]
    assert len(price) == 9 and (lost >= 0).all() and lost.max() < 3
