"""The numbers that the texts quote are those of the shipped results, and the results hold what is promised of them."""

import json

import measure
import pytest
from project import ROOT
from studies import front, suite

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


def test_the_headline_opens_with_photographs_and_says_what_the_shipped_study_says():
    """On photographs both ways to transfer are ahead of scratch at any number of labels; in the laboratory scratch catches up."""
    ahead = front.part(front.REAL).paired("recipe", "scratch", by=["per_class"])
    assert len(ahead) == 6 and (ahead.supported == "yes").all(), ahead
    caught = front.part(front.LABORATORY).paired("recipe", "scratch", by=["per_class"]).points
    assert (caught[5] > 0).all() and (caught[100] < 0).all(), caught
    assert [axis.get_title("left").split(":")[0] for axis in front.figure().axes] == ["Photographs", "The laboratory"]
    row = load_study("suite-efficientnet_lite0").select(per_class=20, size=128, recipe="feature extraction")
    assert f" {row.select(target='photographs').table('recipe').iloc[0, 0]:.0f}% (95% " in measure.stamps()["headline"]


def test_a_headline_whose_runs_are_missing_says_what_to_measure(monkeypatch):
    some = suite.suite().select(recipe=["feature extraction", "probe, then fine-tune"])
    monkeypatch.setattr(front, "suite", lambda: some)
    with pytest.raises(ValueError, match=r"of scratch at 5, .* Run `python tools/measure.py suite-efficientnet_lite0`"):
        front.figure()


def test_what_takes_more_than_a_day_is_measured_only_if_it_is_named():
    left_out = set(measure.parts()) - set(measure.by_default())
    assert {part.partition("-")[0] for part in left_out} == {"suite", "real"} < left_out


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
