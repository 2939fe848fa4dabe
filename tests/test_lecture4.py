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
    assert fast < 50, "comes close to guessing, one in four"


def test_a_random_head_leaves_features_as_they_were_and_a_fitted_one_improves_them():
    alone, fresh, fitted = (number("opening", name) for name in ("the head alone", "a random head", "good settings"))
    after_fresh, after_fitted = (number("head-outcome", f"{what} head, then a new head") for what in ("random", "fitted"))
    assert after_fitted - after_fresh > 0.7 * (fitted - fresh), "with a new head on both, most of the gap remains"
    assert alone - 5 < after_fresh < alone + 2, "hardly damaged, and nothing learnt"
    assert after_fitted > alone + 8


def test_statistics_of_other_images_cost_much_and_a_new_head_brings_back_a_part():
    names = "our statistics", "our statistics, a new head", "source's statistics"
    ours, refitted, theirs = (number("again", f"{name} ") for name in names)
    assert ours < 50 and ours + 10 < refitted < theirs - 5
    live, measured_anew = (number("again", f"trained live{then} ") for then in ("", ", then our statistics"))
    assert live > ours + 20 and live > ours + 0.7 * (theirs - ours), "live training climbs most of the way"
    assert measured_anew < live + 1, "averages that lag are not to blame"


def test_the_middle_rate_is_far_ahead_every_rate_forgets_and_after_the_highest_no_head_can_use_the_features():
    low, middle, high = (number("forgetting", f"accuracy at {rate}") for rate in ("1e-4", "3e-4", "1e-3"))
    assert middle > low + 5 and high < low - 20 and number("forgetting", "1e-3, a new head") < low - 20
    assert number("forgetting", "1e-3, BatchNorm live") > number("opening", "live") - 5, "no such harm where it is live"
    kept = [number("forgetting", f"old answers kept at {rate}") for rate in ("1e-4", "3e-4", "1e-3")]
    assert 50 < kept[0] < 80 and kept[1] < 50 and kept[2] < 5


def test_few_parameters_bring_much_of_the_gain_and_peft_trains_as_many_as_our_own_lora():
    alone, few, good = number("opening", "the head alone"), number("bn-only", "parameters"), number("opening", "good settings")
    assert (few - alone) / (good - alone) > 0.5
    by_hand, with_peft = (project.outcome(NOTEBOOK, cell).split()[0] for cell in ("lora-count", "peft"))
    assert by_hand == with_peft, "as many parameters train"


def test_the_recipe_takes_the_middle_of_tied_rates_and_its_rate_belongs_to_its_schedule():
    tied, chosen = re.search(r"tied: \[(.*)\], chosen: (\S+)", project.outcome(NOTEBOOK, "recipe-choose")).groups()
    rates = [float(rate) for rate in tied.split(", ")]
    assert float(chosen) == rates[(len(rates) - 1) // 2]
    assert number("recipe-test", "test images:") > number("opening", "good settings")
    assert number("recipe-constant", "constant 0.001:") < 35 and number("recipe-choose", "0.001: ") > 80
    assert number("recipe-choose", "the head alone") <= min(number("recipe-choose", f"{rate}: ") for rate in rates)


def test_more_depth_gains_more_on_the_birds_and_is_too_close_to_call_on_photographs():
    alone, block, whole = (number("bird-depths", name) for name in ("head alone", "last block", "everything"))
    assert block < alone + 2 and whole > max(alone, block, number("bird-depths", "last half"))
    depths = load_study("real-depth")
    gains = depths.paired("depth", "the head", by=["per_class"])
    assert (gains.supported == "no").all() and depths.runs.train_accuracy.min() >= 0.98
    assert all(row.points > 0 for (count, _), row in gains.iterrows() if count == 100), "with 100 per class all lean to the right"


def test_the_recipe_is_tested_on_images_that_nothing_before_it_used():
    code = {cell.id: cell.source for cell in project.cells(NOTEBOOK, "code")}
    written, opened = code["recipe-files"], code["images-tensors"]
    assert "test[::2]" in opened and 'part == "test" and number % 2 == 0' in written
    assert number("recipe-test", "") == 200


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
