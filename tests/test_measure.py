"""The numbers that the texts quote are those of the shipped results, and the results hold what is promised of them."""

import json

import measure
import pytest
from project import ROOT

from helpers import load_study


@pytest.mark.parametrize("name", measure.COMPARISONS)
def test_shipped_comparison_has_five_seeds_and_the_settings_of_its_recipes(name):
    result = load_study(name)
    recipes = set(result.runs.recipe)
    assert result.runs.groupby("recipe").seed.nunique().min() >= 5 and result.runs.n.nunique() == 1
    assert {f"recipe {recipe}" for recipe in recipes} <= result.about.keys()


@pytest.mark.parametrize("task, promised", [("goldfinches", 25), ("flowers", 50)])
def test_fine_tuning_gains_what_is_promised_over_scratch(task, promised):
    """By the better of the two ways to fine-tune the whole network; on both tasks both are better than scratch."""
    gains = load_study(f"{task}-5").paired("recipe", "scratch")
    fine_tuned = gains.loc[["fine-tune all", "probe, then fine-tune"]]
    assert fine_tuned.points.max() >= promised
    assert (fine_tuned.low > 0).all()


def test_twice_the_steps_would_gain_scratch_less_than_four_points():
    """By the validation images, means over seeds: the comparisons do not stop training from scratch too early."""
    for task, row in measure.budget_table().iterrows():
        assert row[2 * measure.SCRATCH.steps] - row[measure.SCRATCH.steps] < 4, f"{task}: {row.to_dict()}"


@pytest.mark.parametrize("file", measure.STAMPED)
def test_numbers_in_the_text_are_those_of_the_results(file, tmp_path):
    text, copy = (ROOT / file).read_text(encoding="utf-8"), tmp_path / (ROOT / file).name
    copy.write_text(text, encoding="utf-8")
    measure.stamp(copy, measure.stamps())
    assert copy.read_text(encoding="utf-8") == text, "run `make results`"
    assert "<!-- /" in text, "no marks for measured texts"


def test_a_sentence_that_disagrees_with_the_results_is_noticed(tmp_path):
    text = tmp_path / "page.md"
    text.write_text("Look: <!-- headline -->100% of all images<!-- /headline --> and so on")
    measure.stamp(text, {"headline": "half of them"})
    assert text.read_text() == "Look: <!-- headline -->half of them<!-- /headline --> and so on"


def test_a_stamped_notebook_stays_valid_json(tmp_path):
    page = tmp_path / "page.ipynb"
    cell = {"cell_type": "markdown", "source": ["<!-- results --><!-- /results -->\n", "and on"]}
    page.write_text(json.dumps({"cells": [cell]}, indent=1) + "\n")
    measure.stamp(page, {"results": '\n| "a" |\n'})
    assert json.loads(page.read_text())["cells"][0]["source"] == [
        "<!-- results -->\n", '| "a" |\n', "<!-- /results -->\n", "and on"
    ]  # fmt: skip
