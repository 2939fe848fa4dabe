"""Studies: what they measure is paired, kept whole, and refused where it cannot answer."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas
import pytest
import torch
from fits import fitted, invented, short, small_task
from matplotlib.figure import Figure
from scipy import stats

from helpers import Case, compare, load_study, run_study
from helpers.training import study as studies
from helpers.training.fitting import fit
from helpers.training.intervals import interval
from helpers.training.learning_curves import learning_curves, overfitting, plot_curves
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.training.study import SHIPPED, Study, join_studies

SLOW = replace(FEATURE_EXTRACTION, lr=1e-4, steps=5, views=1)
FAST = replace(FEATURE_EXTRACTION, lr=1e-2, steps=5, views=1)
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
    assert len(study.runs) == 8 and len(study.correct) == 8
    assert (study.runs.spread > 0).all()
    assert all(len(history) == 5 for history in study.runs.history)
    assert [answers.double().mean().item() for answers in study.correct] == pytest.approx(study.runs.accuracy.tolist())


def test_cases_of_a_seed_share_their_training_images(study):
    again = run_study("does the rate matter?", [Case({"rate": "fast"}, FAST, labelled(2))], [1])
    same = study.select(per_class=2, rate="fast").runs
    assert again.runs.accuracy.iloc[0] == same[same.seed == 1].accuracy.iloc[0]


def test_all_recipes_of_a_seed_see_the_same_images_and_seeds_differ(monkeypatch):
    seen = []

    def look(recipe, task, seed, progress):
        seen.append((seed, recipe.name, task))
        return SimpleNamespace(correct=torch.zeros(20, dtype=torch.bool), accuracy=0.0, trained=1, seconds=0.0, n=20,
                               history=pandas.DataFrame({"train_accuracy": [1.0]}))  # fmt: skip

    recipes = [PROBE, SCRATCH, FINE_TUNE_ALL]
    studies.run_study("?", [Case({"recipe": recipe.name}, recipe, small_task()) for recipe in recipes], 3, run=look)
    assert [(seed, name) for seed, name, _ in seen] == [(seed, recipe.name) for seed in range(3) for recipe in recipes]
    drawn = {}
    for seed, _, task in seen:
        drawn.setdefault(seed, set()).add(tuple(task.train.index.tolist()))
        assert torch.equal(task.test.pixels, small_task().test.pixels) and torch.equal(task.val.pixels, small_task().val.pixels)
    assert all(len(draws) == 1 for draws in drawn.values())
    assert len(set.union(*drawn.values())) == 3


def test_a_comparison_is_a_study_of_what_fits_one_by_one_give(compared):
    for recipe in (PROBE, BAD_PROBE):
        alone = fit(recipe, small_task().draw(3), 3)
        part = compared.select(recipe=recipe.name)
        assert torch.equal(part.correct[1], alone.correct)
        row = part.runs.iloc[1]
        assert (row.seed, row.accuracy, row.trained) == (3, alone.accuracy, alone.trained) and row.seconds > 0
    assert torch.equal(compared.correct[0], fitted(PROBE).correct)


def test_a_comparison_says_what_was_measured_where_and_when(compared):
    assert compared.question == "goldfinches, 3 training images a class, 32 px" and compared.conditions == ["recipe"]
    assert {"python", "torch", "torchvision", "lightning", "hardware", "date", "seeds"} <= compared.about.keys()
    assert "lr=1e-06" in compared.about[f"recipe {BAD_PROBE.name}"]
    assert isinstance(compared.plot(), Figure)


def test_a_study_leaves_one_line_behind(capsys):
    compare([short(BAD_PROBE, steps=2)], small_task(), seeds=2)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.startswith("goldfinches, 3 training images a class, 32 px: 2 runs")


@pytest.mark.parametrize("recipes", [[], [SCRATCH, SCRATCH], [SCRATCH, replace(FINE_TUNE_ALL, name="scratch")]])
def test_recipes_need_different_names(recipes):
    with pytest.raises(ValueError, match="recipes with different names"):
        compare(recipes, small_task())


@pytest.mark.parametrize("recipes", [SCRATCH, ["scratch"], {"scratch": SCRATCH}, None])
def test_something_else_than_a_list_of_recipes_is_an_error(recipes):
    with pytest.raises(TypeError, match="compare takes a list of recipes"):
        compare(recipes, small_task())


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


# --- tables ---


def test_the_table_has_the_mean_and_the_interval_of_the_answers(study):
    row = study.table().loc[(2, "fast")]
    part = study.select(per_class=2, rate="fast")
    expected = [100 * value for value in interval(torch.stack(part.correct))]
    assert row[["accuracy %", "low", "high"]].tolist() == pytest.approx(expected, abs=0.051)
    assert row["seeds"] == 2 and row["n"] == len(part.correct[0])


def test_the_table_shows_other_columns_if_asked(compared):
    table = compared.table(also=["trained", "seconds"])
    assert list(table.columns) == ["accuracy %", "low", "high", "seeds", "n", "trained", "seconds"]
    assert table.trained.tolist() == [256 * 4 + 4] * 2 and (table.seconds > 0).all()


def test_values_of_another_column_have_students_interval(study):
    row = study.values("spread").loc[(1, "slow")]
    spread = study.select(per_class=1, rate="slow").runs.spread
    expected = stats.t.interval(0.95, 1, spread.mean(), spread.sem())
    assert row.tolist() == pytest.approx([spread.mean(), *expected, 2], abs=1e-4)


# --- paired differences ---


def test_differences_are_paired_by_seed_and_image():
    generator = torch.Generator().manual_seed(0)
    one, two = (torch.rand(5, 40, generator=generator) < p for p in (0.6, 0.8))
    row = invented(one=one, two=two).paired().loc["two"]
    mean, low, high = interval(two.double() - one.double())
    assert mean == pytest.approx(two.double().mean() - one.double().mean())
    assert [row["points"], row["low"], row["high"]] == pytest.approx([100 * mean, 100 * low, 100 * high], abs=0.051)


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
    for name, rows in recipes.items():
        _, low, high = interval(rows.double() - base.double())
        assert (paired.loc[name, "supported"] == "yes") == (low > 0 or high < 0)


def test_one_image_or_one_run_supports_no_difference():
    base, better = torch.zeros(5, 50, dtype=torch.bool), torch.zeros(5, 50, dtype=torch.bool)
    better[:, 0] = True
    assert invented(base=base, better=better).paired().loc["better", "supported"] == "no"
    alone = invented(base=base[:1], better=~base[:1]).paired().loc["better"]
    assert (alone["points"], alone["supported"]) == (100, "no")


def test_any_value_can_be_the_baseline_and_the_sign_turns_with_it():
    both = invented(a=[[1, 0, 1, 1], [1, 1, 0, 1]], b=[[0, 0, 1, 0], [0, 1, 0, 0]])
    assert both.paired().loc["b", "points"] == -both.paired("recipe", "b").loc["a", "points"] == -50


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


def test_curves_are_means_over_the_seeds():
    curves = learning_curves(curved(), ["per_class", "depth"])
    assert curves.loc[(5, "all", 20), "val_loss"] == pytest.approx(0.51)
    assert list(curves.xs((5, "head"), level=[0, 1]).index) == [10, 20, 30]


def test_overfitting_is_a_validation_loss_that_has_risen_for_sure():
    table = overfitting(curved(), ["per_class", "depth"])
    assert table.loc[(5, "all"), "lowest at"] == 20 and table.loc[(5, "all"), "rises by"] == pytest.approx(0.4)
    assert table.loc[(5, "all"), "starts to overfit"] == "yes" and table.loc[(5, "head"), "starts to overfit"] == "no"
    assert table.loc[(5, "all"), "gap"] == pytest.approx(20)


def test_a_rise_that_seeds_disagree_on_is_not_called_overfitting():
    noisy = curved()
    noisy.runs.at[3, "history"] = history([1.0, 0.5, 0.1])
    table = overfitting(noisy, ["per_class", "depth"])
    assert table.loc[(5, "all"), "rises by"] > 0 and table.loc[(5, "all"), "starts to overfit"] == "no"


def test_curves_are_drawn_a_panel_a_number_of_labels():
    figure = plot_curves(curved(), line="depth", panel="per_class", live=curved({"all": UP}))
    assert [axis.get_title() for axis in figure.axes] == ["per class: 5", ""]
    assert sum(line.get_marker() == "o" and line.get_label() == "_live" for line in figure.axes[0].lines) == 1


def test_curves_need_a_history():
    with pytest.raises(ValueError, match="keep_history=True"):
        learning_curves(invented(a=[[1, 0]]), ["recipe"])


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


DAMAGE = {
    "a key is missing": lambda data: data.pop("conditions"),
    "an accuracy disagrees with the answers": lambda data: data["runs"][0].update(accuracy=0.99),
    "answers are missing": lambda data: data["runs"][0].pop("correct"),
    "answers are of other images": lambda data: data["runs"][0].update(correct="AAAAAAAA"),
    "a run lacks its seed": lambda data: [row.pop("seed") for row in data["runs"]],
    "a run is there twice": lambda data: data["runs"].append(data["runs"][0]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage, tmp_path):
    path = invented(a=[[1, 0, 1], [1, 1, 1]], b=[[0, 0, 1], [0, 1, 1]]).save(tmp_path / "study.json")
    data = json.loads(path.read_text())
    DAMAGE[damage](data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="study.json is not a saved study"):
        load_study(path)


@pytest.mark.parametrize("content", [b"", b'{"question": ', b"[1, 2]", b"3", b"\xff\xfe\x00", b"\x89PNG"])
def test_a_file_with_something_else_is_refused(content, tmp_path):
    path = tmp_path / "study.json"
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
