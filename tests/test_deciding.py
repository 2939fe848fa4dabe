"""The advice follows labels, distance and budget, and always names something to hold it against."""

import itertools

import pytest

from helpers.lessons.choosing.deciding import DISTANCES, decision_table, first_try


@pytest.mark.parametrize("per_class, distance, gpu", [*itertools.product((1, 19, 20, 199, 200, 5000), DISTANCES, (True, False))])
def test_every_situation_gets_advice_a_reason_and_a_comparison(per_class, distance, gpu):
    advice = first_try(per_class, distance, gpu)
    assert advice.first and len(advice.why.split()) > 8 and advice.then
    assert advice.first in str(advice) and advice.first in advice._repr_html_()


def test_few_labels_near_the_source_ask_for_a_head_and_many_for_everything():
    assert first_try(5, "near").first == "feature extraction"
    assert first_try(1000, "near").first == "fine-tune all"


def test_far_from_the_source_nothing_stays_frozen_and_scratch_is_held_against_it():
    for per_class in (5, 50, 500):
        advice = first_try(per_class, "far")
        assert "fine-tune all" in advice.first and "scratch" in advice.then


def test_without_a_gpu_features_are_computed_once():
    assert all(first_try(5, distance, gpu=False).first.startswith("feature extraction") for distance in DISTANCES)


def test_table_is_the_function():
    table = decision_table()
    assert list(table.columns) == list(DISTANCES) and len(table) == 3
    assert table.loc["some (20 to 200)", "related"] == first_try(50, "related").first


def test_impossible_situations_are_refused():
    with pytest.raises(ValueError, match="per_class=0 must be above 0"):
        first_try(0, "near")
    with pytest.raises(ValueError, match="distance='close' must be one of near, related, far"):
        first_try(5, "close")
