"""Studies: what they measure is paired, kept whole, and refused where it cannot answer."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas
import pytest
import torch
from fits import HEAD_BY_STEPS, fitted, invented, short, small_task
from matplotlib.figure import Figure
from scipy import stats

from helpers import compare, load_study, run_study
from helpers.lessons.fine_tuning.learning_curves import learning_curves, overfitting
from helpers.training.fitting import fit
from helpers.training.intervals import interval
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.training.study import SHIPPED, Case, Study, join_studies

SLOW = replace(HEAD_BY_STEPS, name="slow", lr=1e-4, steps=5)
FAST = replace(HEAD_BY_STEPS, name="fast", lr=1e-2, steps=5)
PROBE = short(FEATURE_EXTRACTION)
BAD_PROBE = replace(PROBE, name="a head that hardly moves", lr=1e-6)


def labelled(count):
    return replace(small_task(), per_class=count)


@pytest.fixture(scope="module")
def study():
    cases = [
        Case({"per_class": count, "rate": rate}, recipe, labelled(count))
        for count in (1, 2)
        for rate, recipe in (("slow", SLOW), ("fast", FAST))
    ]
    return run_study("does the rate matter?", cases, 2, also=lambda fit: {"spread": fit.logits.std()}, keep_history=True)


@pytest.fixture(scope="module")
def compared():
    return compare([PROBE, BAD_PROBE], small_task(), seeds=[0, 3])


# --- what is measured ---


def test_a_study_has_a_row_a_case_and_seed_with_what_else_was_asked_for(study):
    assert len(study.runs) == 8 and (study.runs.spread > 0).all()
    assert all(len(history) == 5 for history in study.runs.history)
    assert [answers.double().mean().item() for answers in study.correct] == pytest.approx(study.runs.accuracy.tolist())


def test_all_recipes_of_a_seed_see_the_same_images_and_seeds_differ():
    seen = []

    def watch(recipe, task, seed, progress):
        seen.append((seed, recipe.name, task))
        return SimpleNamespace(correct=torch.zeros(20, dtype=torch.bool), accuracy=0.0, trained=1, seconds=0.0, n=20,
                               history=pandas.DataFrame({"train_accuracy": [1.0]}))  # fmt: skip

    recipes = [PROBE, SCRATCH, FINE_TUNE_ALL]
    run_study("?", [Case({"recipe": recipe.name}, recipe, small_task()) for recipe in recipes], 3, run=watch)
    assert [(seed, name) for seed, name, _ in seen] == [(seed, recipe.name) for seed in range(3) for recipe in recipes]
    assert len({(seed, tuple(task.train.index.tolist())) for seed, _, task in seen}) == 3, "one draw a seed"
    assert len({tuple(task.train.index.tolist()) for _, _, task in seen}) == 3, "another draw for another seed"
    for part in ("test", "val"):
        assert all(torch.equal(getattr(task, part).pixels, getattr(small_task(), part).pixels) for _, _, task in seen)


def test_a_comparison_is_a_study_of_what_fits_one_by_one_give_and_says_what_was_measured(compared):
    for recipe in (PROBE, BAD_PROBE):
        alone, part = fit(recipe, small_task().draw(3), 3), compared.select(recipe=recipe.name)
        assert torch.equal(part.correct[1], alone.correct)
        row = part.runs.iloc[1]
        assert (row.seed, row.accuracy, row.trained) == (3, alone.accuracy, alone.trained) and row.seconds > 0
    assert torch.equal(compared.correct[0], fitted(PROBE).correct)
    assert compared.question == "goldfinches, 3 training images a class, 32 px" and compared.conditions == ["recipe"]
    assert {"python", "torch", "torchvision", "lightning", "hardware", "date", "seeds"} <= compared.about.keys()
    assert "lr=1e-06" in compared.about[f"recipe {BAD_PROBE.name}"]
    assert isinstance(compared.plot(), Figure)


def test_a_study_leaves_one_line_behind_and_prints_as_one(study, capsys):
    compare([short(BAD_PROBE, steps=2)], small_task(), seeds=1)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.startswith("goldfinches, 3 training images a class, 32 px (1 run, 1 seed, ")
    assert repr(study) == "does the rate matter? (8 runs, 2 seeds; conditions: per_class, rate)"


def design(*cases, seeds=2):
    return run_study("?", [Case(conditions, SLOW, small_task()) for conditions in cases], seeds)


@pytest.mark.parametrize("ask, message", [
    (lambda: compare([], small_task()), "recipes with different names"),
    (lambda: compare([SCRATCH, replace(FINE_TUNE_ALL, name="scratch")], small_task()), "recipes with different names"),
    (lambda: compare(SCRATCH, small_task()), "a list of recipes"),
    (lambda: compare(["scratch"], small_task()), "a list of recipes"),
    (design, "needs cases"),
    (lambda: design({"a": 1}, {"b": 1}), "same conditions"),
    (lambda: design({"a": 1}, {"a": 1}), "two cases have the same"),
    (lambda: design({"seed": 1}), "call the condition 'seed' something else"),
    (lambda: design({"a": 1}, seeds=0), "at least one seed"),
    (lambda: design({"a": 1}, seeds=[3, 3]), "each once"),
])  # fmt: skip
def test_a_design_that_makes_no_sense_is_refused(ask, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ask()


# --- tables ---


def test_the_table_has_the_interval_of_the_answers_and_values_have_students(study):
    row, values = study.table(also=["trained", "seconds"]).loc[(2, "fast")], study.values("spread").loc[(2, "fast")]
    part = study.select(per_class=2, rate="fast")
    expected = [100 * value for value in interval(torch.stack(part.correct))]
    assert row[["accuracy %", "low", "high"]].tolist() == pytest.approx(expected, abs=0.051)
    assert row["seeds"] == 2 and row["n"] == 20 and row["trained"] == 256 * 4 + 4
    assert (part.runs.seconds > 0).all() and row["seconds"] == pytest.approx(part.runs.seconds.mean(), abs=0.051)
    spread = part.runs.spread
    expected = stats.t.interval(0.95, 1, spread.mean(), spread.sem())
    assert values.tolist() == pytest.approx([spread.mean(), *expected, 2], abs=1e-4)


# --- paired differences ---


def test_differences_are_paired_by_seed_and_image_and_any_value_can_be_the_baseline():
    generator = torch.Generator().manual_seed(0)
    one, two = (torch.rand(5, 40, generator=generator) < p for p in (0.6, 0.8))
    both = invented(one=one, two=two)
    row, turned = both.paired().loc["two"], both.paired("recipe", "two").loc["one"]
    expected = [100 * value for value in interval(two.double() - one.double())]
    assert [row["points"], row["low"], row["high"]] == pytest.approx(expected, abs=0.051)
    assert [-turned["points"], -turned["high"], -turned["low"]] == [row["points"], row["low"], row["high"]]


def test_differences_are_taken_over_the_seeds_that_both_have():
    part = invented(a=[[1, 1, 1, 0], [1, 1, 1, 1]], b=[[1, 0, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]])
    row = part.paired("recipe", "b").loc["a"]
    assert row["seeds"] == 2 and row["points"] == pytest.approx(100 * (7 - 3) / 8)


def test_pairing_tells_apart_what_the_separate_intervals_do_not():
    easy = torch.arange(60) < 36  # alike for all runs: images differ more than recipes
    one = easy.repeat(5, 1)
    two = one.clone()
    two[:, 36:44] = True
    both = invented(one=one, two=two)
    assert both.table().loc["one", "high"] > both.table().loc["two", "low"]
    assert both.paired().loc["two", "supported"] == "yes"


def test_a_difference_is_supported_only_if_its_interval_leaves_out_zero():
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(5, 50, generator=generator) < 0.5
    recipes = {f"level {level}": torch.rand(5, 50, generator=generator) < level for level in (0.5, 0.6, 0.8, 0.2, 1.0, 0.0)}
    paired = invented(base=base, **recipes, same=base).paired("recipe", "base")
    assert set(paired.supported) == {"yes", "no"} and paired.loc["same", "supported"] == "no"
    assert ((paired.low > 0) | (paired.high < 0)).tolist() == (paired.supported == "yes").tolist()
    alone = invented(base=base[:1], better=torch.ones(1, 50)).paired().loc["better"]
    assert alone["points"] > 0 and alone["supported"] == "no", "another seed might have given another difference"


def test_differences_of_another_column_are_paired_by_seed():
    part = invented(a=[[1, 0]] * 3, b=[[1, 0]] * 3)
    part.runs["moved"] = part.runs.seed + 2.0 * (part.runs.recipe == "b")
    row = part.paired(column="moved", scale=10).loc["b"]
    assert (row.points, row.low, row.high, row.seeds, row.supported) == (20, 20, 20, 3, "yes")


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda study: study.table("rate"), "also go by.*per_class"),
        (lambda study: study.table("depth"), "no condition 'depth'.*per_class, rate"),
        (lambda study: study.table(also=["speed"]), "no column 'speed'"),
        (lambda study: study.select(rate="slower"), "rate='slower'.*slow.*fast"),
        (lambda study: study.paired(), r"several conditions vary \(per_class, rate\)"),
        (lambda study: study.paired("rate", "none"), "rate='none'"),
        (lambda study: study.paired("rate", "slow", column="speed"), "no column 'speed'"),
        (lambda study: study.values("speed"), "no column 'speed'"),
        (lambda study: learning_curves(study, ["depth"]), "no condition 'depth'"),
        (lambda study: learning_curves(invented(a=[[1, 0]]), ["recipe"]), "keep_history=True"),
    ],
)
def test_a_question_that_the_study_cannot_answer_is_refused(study, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(study)


# --- learning curves ---

UP, DOWN = [1.0, 0.5, 0.9], [1.0, 0.5, 0.3]


def history(losses, shift=0.0):
    return [{"step": 10 * (i + 1), "train_loss": 0.1, "train_accuracy": 0.9, "val_loss": loss + shift, "val_accuracy": 0.7}
            for i, loss in enumerate(losses)]  # fmt: skip


def curved(by_depth=None):
    by_depth = by_depth or {"head": DOWN, "all": UP}
    rows = [{"per_class": 5, "depth": depth, "seed": seed, "n": 4, "accuracy": 0.5, "history": history(losses, 0.01 * seed)}
            for depth, losses in by_depth.items() for seed in range(3)]  # fmt: skip
    answers = [torch.tensor([True, True, False, False])] * len(rows)
    return Study("a question", ["per_class", "depth"], pandas.DataFrame(rows), answers, {})


def test_curves_are_means_over_the_seeds_and_drawn_a_panel_a_number_of_labels():
    curves = learning_curves(curved(), ["per_class", "depth"])
    assert curves.loc[(5, "all", 20), "val_loss"] == pytest.approx(0.51)
    assert list(curves.xs((5, "head"), level=[0, 1]).index) == [10, 20, 30]


def test_overfitting_is_a_validation_loss_that_has_risen_for_sure():
    table = overfitting(curved(), ["per_class", "depth"])
    assert table.loc[(5, "all"), "lowest at"] == 20 and table.loc[(5, "all"), "rises by"] == pytest.approx(0.4)
    assert table.loc[(5, "all"), "starts to overfit"] == "yes" and table.loc[(5, "head"), "starts to overfit"] == "no"
    assert table.loc[(5, "all"), "gap"] == pytest.approx(20)
    noisy = curved()
    noisy.runs.at[3, "history"] = history([1.0, 0.5, 0.1])
    table = overfitting(noisy, ["per_class", "depth"])
    assert table.loc[(5, "all"), "rises by"] > 0 and table.loc[(5, "all"), "starts to overfit"] == "no", "the seeds disagree"


# --- files ---


def test_a_saved_study_comes_back_whole(study, compared, tmp_path):
    back = load_study(study.save(tmp_path / "study.json", "python tools/measure.py nothing"))
    pandas.testing.assert_frame_equal(back.table(), study.table())
    assert back.about["command"] == "python tools/measure.py nothing" and back.about["seeds"] == "0, 1"
    assert all(torch.equal(a, b) for a, b in zip(back.correct, study.correct, strict=True))
    assert back.runs.history[0][-1]["step"] == 5
    again = load_study(compared.save(tmp_path / "comparison.json"))
    assert again.paired().equals(compared.paired()) and again.about == compared.about


def test_two_studies_can_be_joined_but_no_run_twice(study):
    more = run_study(study.question, [Case({"per_class": 3, "rate": "slow"}, SLOW, labelled(3))], 2)
    assert len(join_studies(study, more).runs) == 10
    with pytest.raises(ValueError, match="in common"):
        join_studies(study, study)
    with pytest.raises(ValueError, match="same question"):
        join_studies(study, replace(more, question="another"))


@pytest.mark.parametrize("change", [
    lambda data: data.pop("conditions"),
    lambda data: data["runs"][0].update(accuracy=0.99),  # other than its answers say
    lambda data: data["runs"][0].pop("correct"),
    lambda data: data["runs"][0].update(correct="AAAAAAAA"),  # answers for other images
    lambda data: [row.pop("seed") for row in data["runs"]],
    lambda data: data["runs"].append(data["runs"][0]),  # a run twice
])  # fmt: skip
def test_a_file_whose_content_makes_no_sense_is_refused(change, tmp_path):
    path = invented(a=[[1, 0, 1], [1, 1, 1]], b=[[0, 0, 1], [0, 1, 1]]).save(tmp_path / "study.json")
    data = json.loads(path.read_text())
    change(data)
    for content in (json.dumps(data).encode(), path.read_bytes()[:-20], b"[1, 2]", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="study.json is not a saved study"):
            load_study(path)


def test_an_unknown_study_is_an_error_that_lists_those_there_are():
    with pytest.raises(FileNotFoundError, match="no study 'dept'.*depth"):
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
