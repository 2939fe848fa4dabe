"""A comparison is paired, says how sure it is, and survives being written to a file."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pandas
import pytest
import torch
from fits import fitted, short, small_task
from matplotlib.figure import Figure

from helpers.training import results
from helpers.training.fitting import fit
from helpers.training.intervals import interval
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, SCRATCH
from helpers.training.results import Comparison, compare, load_comparison

PROBE = short(FEATURE_EXTRACTION)
BAD_PROBE = replace(PROBE, name="a head that hardly moves", lr=1e-6)


@pytest.fixture(scope="module")
def measured():
    return compare([PROBE, BAD_PROBE], small_task(), seeds=[0, 3])


def made(seeds=2, **correct) -> Comparison:
    """A comparison with these answers, {recipe: bool (seeds, n)}."""
    correct = {name: torch.as_tensor(rows, dtype=torch.bool) for name, rows in correct.items()}
    runs = [
        {"recipe": name, "seed": seed, "accuracy": rows[seed].float().mean().item(), "trained": 7, "seconds": 1.25}
        for name, rows in correct.items()
        for seed in range(len(rows))
    ]
    seeds = list(range(len(next(iter(correct.values())))))
    recipes = {name: asdict(replace(SCRATCH, name=name)) for name in correct}
    return Comparison("made up", recipes, seeds, correct, pandas.DataFrame(runs), {"date": "2024-02-29"})


# --- compare ---


def test_all_recipes_of_a_seed_see_the_same_images_and_seeds_differ(monkeypatch):
    seen = []

    def look(recipe, task, seed, progress):
        seen.append((seed, recipe.name, task))
        return SimpleNamespace(correct=torch.zeros(20, dtype=torch.bool), accuracy=0.0, trained=1, seconds=0.0)

    monkeypatch.setattr(results, "fit", look)
    compare([PROBE, SCRATCH, FINE_TUNE_ALL], small_task(), seeds=3)
    assert [(seed, name) for seed, name, _ in seen] == [
        (seed, recipe.name) for seed in range(3) for recipe in (PROBE, SCRATCH, FINE_TUNE_ALL)
    ]
    drawn = {}
    for seed, _, task in seen:
        drawn.setdefault(seed, set()).add(tuple(task.train.index.tolist()))
        assert torch.equal(task.test.index, small_task().test.index)
        assert torch.equal(task.test.pixels, small_task().test.pixels)
        assert torch.equal(task.val.pixels, small_task().val.pixels)
    assert all(len(draws) == 1 for draws in drawn.values())
    assert len(set.union(*drawn.values())) == 3


def test_a_comparison_is_what_fits_one_by_one_give(measured):
    for recipe in (PROBE, BAD_PROBE):
        alone = fit(recipe, small_task().draw(3), 3)
        assert torch.equal(measured.correct[recipe.name][1], alone.correct)
        row = measured.runs[(measured.runs.recipe == recipe.name) & (measured.runs.seed == 3)].iloc[0]
        assert (row.accuracy, row.trained) == (alone.accuracy, alone.trained) and row.seconds > 0
    assert torch.equal(measured.correct[PROBE.name][0], fitted(PROBE).correct)


def test_the_table_has_accuracy_interval_seeds_n_parameters_and_seconds_of_each_recipe(measured):
    table = measured.table
    assert list(table.index) == [PROBE.name, BAD_PROBE.name]
    columns = ["accuracy %", "low", "high", "seeds", "n", "trained parameters", "seconds"]
    assert list(table.columns) == columns
    for name, row in table.iterrows():
        runs = measured.runs[measured.runs.recipe == name]
        assert row["accuracy %"] == pytest.approx(100 * runs.accuracy.mean(), abs=0.051)
        assert 0 <= row["low"] <= row["accuracy %"] <= row["high"] <= 100 and row["low"] < row["high"]
        assert (row["seeds"], row["n"], row["trained parameters"]) == (2, 20, 256 * 4 + 4)
        assert row["seconds"] == pytest.approx(runs.seconds.mean(), abs=0.051)


def test_a_comparison_says_what_was_measured_where_and_when(measured):
    assert measured.task == "goldfinches, 3 training images a class, 32 px"
    assert measured.recipes == {recipe.name: asdict(recipe) for recipe in (PROBE, BAD_PROBE)}
    assert {"python", "torch", "torchvision", "lightning", "hardware", "date"} <= measured.about.keys()
    assert "2 seeds, 20 test images" in repr(measured) and PROBE.name in repr(measured)


def test_compare_leaves_one_line_behind(capsys):
    compare([short(BAD_PROBE, steps=2)], small_task(), seeds=2)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.startswith("2 runs on goldfinches")


@pytest.mark.parametrize("recipes", [[], [SCRATCH, SCRATCH], [SCRATCH, replace(FINE_TUNE_ALL, name="scratch")]])
def test_recipes_need_different_names(recipes):
    with pytest.raises(ValueError, match="recipes with different names"):
        compare(recipes, small_task())


@pytest.mark.parametrize("recipes", [SCRATCH, ["scratch"], {"scratch": SCRATCH}, None])
def test_what_is_no_list_of_recipes_is_an_error(recipes):
    with pytest.raises(TypeError, match="compare takes a list of recipes"):
        compare(recipes, small_task())


@pytest.mark.parametrize("seeds", [0, [], [1, 1]])
def test_no_seed_or_the_same_seed_twice_is_an_error(seeds):
    with pytest.raises(ValueError, match="at least one seed, and each once"):
        compare([SCRATCH], small_task(), seeds)


# --- paired differences ---


def test_differences_are_paired_by_seed_and_image():
    generator = torch.Generator().manual_seed(0)
    one, two = (torch.rand(5, 40, generator=generator) < p for p in (0.6, 0.8))
    row = made(one=one, two=two).paired().loc["two - one"]
    mean, low, high = interval(two.double() - one.double())
    assert mean == pytest.approx(two.double().mean() - one.double().mean())
    assert [row["points"], row["low"], row["high"]] == pytest.approx([100 * mean, 100 * low, 100 * high], abs=0.051)


def test_pairing_tells_apart_what_the_separate_intervals_do_not():
    easy = torch.arange(60) < 36  # alike for all runs: images differ more than recipes
    one = easy.repeat(5, 1)
    two = one.clone()
    for seed in range(5):
        two[seed, 36:44] = True
    comparison = made(one=one, two=two)
    assert comparison.table.loc["one", "high"] > comparison.table.loc["two", "low"]
    assert comparison.paired().loc["two - one", "supported"] == "yes"


def test_a_difference_is_supported_only_if_its_interval_leaves_out_zero():
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(5, 50, generator=generator) < 0.5
    levels = (0.5, 0.6, 0.8, 0.2, 1.0, 0.0)
    recipes = {f"level {level}": torch.rand(5, 50, generator=generator) < level for level in levels}
    paired = made(base=base, **recipes, same=base).paired("base")
    assert set(paired.supported) == {"yes", "no"} and paired.loc["same - base", "supported"] == "no"
    for name, rows in (recipes | {"same": base}).items():
        _, low, high = interval(rows.double() - base.double())
        assert (paired.loc[f"{name} - base", "supported"] == "yes") == (low > 0 or high < 0)


def test_any_recipe_can_be_the_baseline_and_the_sign_turns_with_it():
    comparison = made(a=[[1, 0, 1, 1], [1, 1, 0, 1]], b=[[0, 0, 1, 0], [0, 1, 0, 0]])
    assert comparison.paired().loc["b - a", "points"] == -comparison.paired("b").loc["a - b", "points"] == -50


def test_one_image_or_one_run_supports_no_difference():
    base, better = torch.zeros(5, 50, dtype=torch.bool), torch.zeros(5, 50, dtype=torch.bool)
    better[:, 0] = True
    assert made(base=base, better=better).paired().loc["better - base", "supported"] == "no"
    alone = made(base=base[:1], better=~base[:1]).paired().loc["better - base"]
    assert (alone["points"], alone["supported"]) == (100, "no")


def test_an_unknown_baseline_is_an_error_that_lists_the_recipes():
    with pytest.raises(ValueError, match="no recipe 'c' in this comparison; there are a, b"):
        made(a=[[1, 0]], b=[[0, 1]]).paired("c")


# --- files ---


def test_a_saved_comparison_comes_back_the_same(measured, tmp_path):
    for comparison in (measured, made(a=[[1, 0, 1]], b=[[0, 0, 1]])):
        back = load_comparison(comparison.save(tmp_path / "results.json"))
        assert back.table.equals(comparison.table) and back.paired().equals(comparison.paired())
        assert back.runs.equals(comparison.runs)
        for name, rows in comparison.correct.items():
            assert torch.equal(back.correct[name], rows) and back.correct[name].dtype == torch.bool
        for field in ("task", "recipes", "seeds", "about"):
            assert getattr(back, field) == getattr(comparison, field)


def test_a_missing_results_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.json"):
        load_comparison(tmp_path / "nothing.json")


DAMAGE = {
    "a key is missing": lambda data: data.pop("seeds"),
    "a key is too many": lambda data: data.update(more=1),
    "an answer is neither right nor wrong": lambda data: data["correct"].update(a=["102", "101"]),
    "an answer is missing": lambda data: data["correct"].update(a=["101", "10"]),
    "a recipe answers other images": lambda data: data["correct"].update(a=["10", "10"]),
    "a run's answers are missing": lambda data: data["correct"].update(a=["101"]),
    "a recipe's answers are missing": lambda data: data["correct"].pop("b"),
    "there are no answers": lambda data: data.update(correct={}),
    "a run is missing": lambda data: data["runs"].pop(),
    "a run lacks its seed": lambda data: data["runs"][0].pop("seed"),
    "answers are a list": lambda data: data.update(correct=["101"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_results_file_is_refused(damage, tmp_path):
    path = made(a=[[1, 0, 1], [1, 1, 1]], b=[[0, 0, 1], [0, 1, 1]]).save(tmp_path / "results.json")
    data = json.loads(path.read_text())
    DAMAGE[damage](data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="results.json is no saved comparison"):
        load_comparison(path)


@pytest.mark.parametrize("content", [b"", b'{"task": ', b"[1, 2]", b"3", b"\xff\xfe\x00", b"\x89PNG"])
def test_a_file_with_something_else_is_refused(content, tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="results.json is no saved comparison"):
        load_comparison(path)


def test_plot_draws_a_comparison(measured):
    assert isinstance(measured.plot(), Figure)
