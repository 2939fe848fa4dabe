"""Lecture 4: what the notebook claims, compared with what it has stored."""

import re
from functools import partial

import project
from project import ROOT

from helpers.training.study import load_study

NOTEBOOK = ROOT / "notebooks/04_fine_tuning_well.ipynb"
number = partial(project.number, NOTEBOOK)


def test_with_good_settings_the_network_gains_and_each_changed_line_takes_that_away():
    good, live, fresh, fast = (number("opening", name) for name in ("good settings", "live", "a random head", "rate 1e-3"))
    alone = number("opening", "the head alone")
    assert good > alone + 5 and max(live, fresh, fast) < alone, "each of three lines takes away what fine-tuning gained"
    assert fast < 30, "guesses, one in four"


def test_a_random_head_leaves_features_as_they_were_and_a_fitted_one_improves_them():
    alone, fresh, fitted = (number("opening", name) for name in ("the head alone", "a random head", "good settings"))
    after_fresh, after_fitted = (number("head-outcome", f"{what} head, then a new head") for what in ("random", "fitted"))
    assert after_fitted - after_fresh > 0.7 * (fitted - fresh), "with a new head on both, most of the gap remains"
    assert alone - 5 < after_fresh < alone + 5, "about as useful as untouched ones"
    assert after_fitted > alone + 8


def test_statistics_of_other_images_cost_much_and_a_new_head_brings_back_a_part():
    names = "our statistics", "our statistics, a new head", "source's statistics"
    ours, refitted, theirs = (number("again", f"{name} ") for name in names)
    assert ours < 50 and ours + 10 < refitted < theirs - 5


def test_the_middle_rate_is_far_ahead_and_after_the_highest_no_head_can_use_the_features():
    low, middle, high, rescued = (number("rates", rate) for rate in ("1e-4 ", "3e-4 ", "1e-3 ", "1e-3, then a new head"))
    alone = number("opening", "the head alone")
    assert alone - 3 < low < alone + 3 and middle > low + 5 and max(high, rescued) < low - 20


def test_the_more_trains_the_more_old_answers_are_gone_and_a_fitted_head_keeps_more():
    last, probe, whole = (number("forgetting", name) for name in ("fine-tune last", "probe, then fine-tune", "fine-tune all"))
    assert last > probe > whole + 20 and whole < 30, "most go when everything trains from a random head"


def test_few_parameters_bring_much_of_the_gain_and_peft_trains_as_many_as_our_own_lora():
    alone, few, good = number("opening", "the head alone"), number("bn-only", "parameters"), number("opening", "good settings")
    assert (few - alone) / (good - alone) > 0.5
    by_hand, with_peft = (project.outcome(NOTEBOOK, cell).split()[0] for cell in ("lora-count", "peft"))
    assert by_hand == with_peft, "as many parameters train"


def test_the_recipe_takes_the_middle_of_tied_rates_and_gains_more_than_the_opening():
    tied, chosen = re.search(r"tied: \[(.*)\], chosen: (\S+)", project.outcome(NOTEBOOK, "recipe-choose")).groups()
    rates = [float(rate) for rate in tied.split(", ")]
    assert float(chosen) == rates[(len(rates) - 1) // 2]
    assert number("recipe-choose", "0.001: ") > 80, "the rate that destroyed the features does no harm"
    validated, tested = (number(cell, "the head alone") for cell in ("recipe-choose", "recipe-test"))
    assert abs(validated - number("opening", "the head alone")) < 6 > abs(tested - number("opening", "the head alone"))
    assert number("recipe-test", "test images:") > tested + 5


def test_more_depth_is_too_close_to_call_on_photographs():
    depths = load_study("real-depth")
    gains = depths.paired("depth", "the head", by=["per_class"])
    assert (gains.supported == "no").all() and depths.runs.train_accuracy.min() >= 0.98
    assert all(row.points > 0 for (count, _), row in gains.iterrows() if count == 100), "with 100 per class all lean to the right"


def test_the_recipe_is_tested_on_images_that_nothing_before_it_used():
    code = {cell.id: cell.source for cell in project.cells(NOTEBOOK, "code")}
    written, opened = code["recipe-files"], code["images-tensors"]
    assert "test[::2]" in opened and 'part == "test" and number % 2 == 0' in written
    assert number("recipe-test", "") == 300


def test_a_fast_head_does_its_harm_while_it_trains_alone():
    """The third and fourth row of the figure differ only in what follows; the first two are what the text names."""
    switches = load_study("tuning-switches")
    rows = switches.paired("switch", "baseline").points.sort_values().index.tolist()
    assert rows[:2] == ["no augmentation", "lower rates for earlier stages"]
    effects = switches.paired("switch", "baseline")
    losing = effects[(effects.supported == "yes") & (effects.points < 0)]
    assert len(losing) == 7 and (losing.high < -1).sum() == 4, "four clearly, and three that just leave out zero"
    assert {*rows[2:4]} == {"both", "head first at 10x rate"}
    slow = switches.select(switch=["head first", "head first at 10x rate"]).paired("switch", "head first").iloc[0]
    assert slow.supported == "yes" and slow.points < 0, "at ten times the rate the head first loses more"


def test_head_first_gains_in_every_run_on_flowers_and_nowhere_measurably_on_photographs():
    runs = load_study("tuning-warmup").select(task="flowers").runs
    wide = runs.pivot(index=["lr", "seed"], columns="warm-up", values="accuracy")
    assert (wide["head first"] > wide["all at once"]).all()
    gains = load_study("real-warmup").paired("warm-up", "all at once", by=["lr"])
    assert not ((gains.supported == "yes") & (gains.points > 0)).any()
    rates = load_study("real-warmup").select(**{"warm-up": "head first"}).paired("lr", 3e-4)
    assert (rates.supported == "no").all() and max(rates.index) == 10 * min(rates.index)
