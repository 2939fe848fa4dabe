"""Studies: what they measure is paired, kept whole, and says so where it cannot answer."""

import json
from dataclasses import replace

import pandas
import pytest
import torch
from fits import small_task

from helpers import Case, load_study, run_study
from helpers.training.intervals import interval
from helpers.training.recipes import FEATURE_EXTRACTION
from helpers.training.study import SHIPPED, Study, join_studies

SLOW = replace(FEATURE_EXTRACTION, lr=1e-4, steps=5, views=1)
FAST = replace(FEATURE_EXTRACTION, lr=1e-2, steps=5, views=1)


@pytest.fixture(scope="module")
def study():
    cases = [
        Case({"per_class": count, "rate": rate}, recipe, replace_count(count))
        for count in (1, 2)
        for rate, recipe in (("slow", SLOW), ("fast", FAST))
    ]
    return run_study("does the rate matter?", cases, 2, also=lambda fit: {"spread": fit.logits.std()}, keep_history=True)


def replace_count(count):
    return replace(small_task(), per_class=count)


def invented(answers, **conditions):
    """A study with given answers: {(conditions..., seed): list of bool}."""
    names = [*conditions, "seed"]
    rows, correct = [], []
    for key, given in answers.items():
        row = dict(zip(names, key, strict=True))
        row |= {"n": len(given), "accuracy": sum(given) / len(given), "train_accuracy": 1.0, "trained": 1, "seconds": 1.0}
        rows.append(row)
        correct.append(torch.tensor(given, dtype=torch.bool))
    return Study("invented", list(conditions), pandas.DataFrame(rows), correct, {})


PAIRED = invented(
    {("a", 0): [1, 1, 1, 0], ("a", 1): [1, 1, 1, 1], ("b", 0): [1, 0, 0, 0], ("b", 1): [0, 1, 0, 1], ("b", 2): [1, 1, 1, 1]},
    kind=None,
)


def test_a_study_has_a_row_a_case_and_seed_with_what_else_was_asked_for(study):
    assert len(study.runs) == 8 and len(study.correct) == 8
    assert (study.runs.spread > 0).all()
    assert all(len(history) == 5 for history in study.runs.history)
    assert [answers.double().mean().item() for answers in study.correct] == pytest.approx(study.runs.accuracy.tolist())


def test_cases_of_a_seed_share_their_training_images(study):
    again = run_study("does the rate matter?", [Case({"rate": "fast"}, FAST, replace_count(2))], [1])
    same = study.select(per_class=2, rate="fast").runs
    assert again.runs.accuracy.iloc[0] == same[same.seed == 1].accuracy.iloc[0]


def test_the_table_has_the_mean_and_the_interval_of_the_answers(study):
    row = study.table().loc[(2, "fast")]
    part = study.select(per_class=2, rate="fast")
    expected = [100 * value for value in interval(torch.stack(part.correct))]
    assert row[["accuracy %", "low", "high"]].tolist() == pytest.approx(expected, abs=0.051)
    assert row["seeds"] == 2 and row["n"] == len(part.correct[0])


def test_a_saved_study_comes_back_whole(study, tmp_path):
    back = load_study(study.save(tmp_path / "study.json", "python tools/measure.py nothing"))
    pandas.testing.assert_frame_equal(back.table(), study.table())
    assert back.about["command"] == "python tools/measure.py nothing" and back.about["seeds"] == "0, 1"
    assert all(torch.equal(a, b) for a, b in zip(back.correct, study.correct, strict=True))
    assert back.runs.history[0][-1]["step"] == 5


def test_differences_are_paired_on_common_seeds():
    row = PAIRED.paired("kind", "b").loc["a"]
    assert row["seeds"] == 2 and row["points"] == pytest.approx(100 * (7 - 3) / 8)


def test_a_difference_of_nothing_is_not_supported():
    same = invented({(kind, seed): [1, 0, 1, seed] for kind in "ab" for seed in (0, 1)}, kind=None)
    assert same.paired("kind", "a").loc["b", "supported"] == "no"


def test_two_studies_can_be_joined_but_no_run_twice(study):
    more = run_study(study.question, [Case({"per_class": 3, "rate": "slow"}, SLOW, replace_count(3))], 2)
    assert len(join_studies(study, more).runs) == 10
    with pytest.raises(ValueError, match="in common"):
        join_studies(study, study)
    with pytest.raises(ValueError, match="same question"):
        join_studies(study, replace(more, question="another"))


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda study: study.table("rate"), "also go by.*per_class"),
        (lambda study: study.table("depth"), "no condition 'depth'.*per_class, rate"),
        (lambda study: study.select(rate="slower"), "rate='slower'.*slow.*fast"),
        (lambda study: study.paired("rate", "none"), "rate='none'"),
        (lambda study: study.values("speed"), "no column 'speed'"),
    ],
)
def test_a_question_that_the_study_cannot_answer_is_refused(study, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(study)


@pytest.mark.parametrize(
    "cases, seeds, message",
    [
        ([], 2, "needs cases"),
        ([{"a": 1}, {"b": 1}], 2, "same conditions"),
        ([{"a": 1}, {"a": 1}], 2, "two cases have the same"),
        ([{"seed": 1}], 2, "call the condition 'seed' something else"),
        ([{"a": 1}], 0, "at least one seed"),
        ([{"a": 1}], [3, 3], "each once"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(cases, seeds, message):
    with pytest.raises(ValueError, match=message):
        run_study("?", [Case(conditions, SLOW, small_task()) for conditions in cases], seeds)


def test_a_damaged_file_and_an_unknown_name_are_refused(study, tmp_path):
    path = study.save(tmp_path / "study.json")
    data = json.loads(path.read_text())
    data["runs"][0]["accuracy"] = 0.99
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="disagree"):
        load_study(path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match="no saved study"):
        load_study(path)
    with pytest.raises(FileNotFoundError, match="no study 'dept'"):
        load_study("dept")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("study-*.json")), ids=lambda path: path.stem)
def test_shipped_study_says_how_where_and_when_it_was_measured(path):
    study = load_study(path)
    assert {"command", "seeds", "torch", "torchvision", "hardware", "date"} <= study.about.keys()
    assert study.about["command"].startswith("python tools/measure.py ")
    runs = study.runs.groupby(study.conditions, dropna=False)
    few = runs.seed.nunique() < 3  # allowed where nothing trains, so that every seed gives the same
    if path.stem.endswith("-rates"):  # settings that validation images chose: nothing is concluded from one
        assert all("val_accuracy" in rows[-1] for rows in study.runs.history)
        return
    assert not few.any() or (runs["trained"].max()[few] == 0).all(), "three seeds at least"
