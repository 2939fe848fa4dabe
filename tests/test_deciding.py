"""The advice follows labels, distance and budget, and always names something to compare with."""

import itertools

import pytest

from helpers.lessons.choosing.deciding import DISTANCES, decision_table, first_try


def test_every_situation_gets_advice_a_reason_and_a_comparison():
    for per_class, distance, gpu in itertools.product((1, 19, 20, 199, 200, 5000), DISTANCES, (True, False)):
        advice = first_try(per_class, distance, gpu)
        assert advice.first and len(advice.why.split()) > 8 and advice.then
        assert advice.first in str(advice) and advice.first in advice._repr_html_()


def test_advice_depends_on_labels_distance_and_gpu():
    assert first_try(5, "near").first == "feature extraction"
    assert first_try(1000, "near").first == "fine-tune all"
    for per_class in (5, 50, 500):
        assert "fine-tune all" in first_try(per_class, "far").first and "scratch" in first_try(per_class, "far").then
    assert all(first_try(5, distance, gpu=False).first.startswith("feature extraction") for distance in DISTANCES)
    table = decision_table()
    assert list(table.columns) == list(DISTANCES) and table.loc["some (20 to 200)", "related"] == first_try(50, "related").first


@pytest.mark.parametrize("situation, message", [
    ((0, "near"), "per_class=0 must be above 0"),
    ((5, "close"), "distance='close' must be one of near, related, far"),
])  # fmt: skip
def test_impossible_situations_are_refused(situation, message):
    with pytest.raises(ValueError, match=message):
        first_try(*situation)
