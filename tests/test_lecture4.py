"""Lecture 4: what the notebook claims, compared with what it has stored."""

from functools import partial

import project
from project import ROOT

from helpers.training.study import load_study

NOTEBOOK = ROOT / "notebooks/04_fine_tuning_well.ipynb"
number = partial(project.number, NOTEBOOK)


def test_head_first_batchnorm_at_rest_and_the_middle_rate_are_far_ahead_and_every_rate_forgets():
    texts = {cell.id: cell.source for cell in project.cells(NOTEBOOK, "markdown")}
    at_rest = number("opening", "at rest")
    assert at_rest > max(number("opening", "live"), number("opening", "before")) + 5
    assert at_rest > max(number("head-outcome", "random head"), number("head-outcome", "10x rate")) + 15
    assert round(at_rest - number("opening", "live")) == 10, "one switch cost ten points"
    before, after = number("head-outcome", "untouched, refitted"), number("head-outcome", "head first, refitted")
    unharmed = number("head-outcome", "random head, refitted")
    assert number("head-outcome", "10x rate, refitted") > before + 3, "at ten times the rate the features learnt more"
    assert before - 5 < unharmed < after - 5
    gap = at_rest - number("head-outcome", "random head")
    assert 0.4 < (unharmed - number("head-outcome", "random head")) / gap < 0.6, "a new head: about half of the gap"
    assert f"end {gap:.0f} points behind the head first" in texts["text-07"]
    assert number("again", "drawings' statistics") < 45 < number("again", "head refitted") < before - 5
    assert number("again", "measured again") < at_rest - 5 and number("spread", "source: .* factor of") > 1.3
    assert number("bn-only", "head alone") < number("bn-only", "parameters") < at_rest < number("recipe-choose", "test images")
    low, middle, high = (number("forgetting", f"accuracy at {rate}") for rate in ("1e-4", "3e-4", "1e-3"))
    assert middle > low + 5 and high < low - 5 and number("forgetting", "old answers kept at 1e-4") < 80
    assert number("forgetting", "accuracy at 1e-3, refitted") > max(high, before - 10) + 5
    head, lora, slow, fast = (number("lora-train", f"{name}:") for name in ("head, 1e-2", "LoRA, 3e-3", "3e-4", "1e-3"))
    assert head < lora < max(slow, fast), "LoRA gains over the head, everything at its better rate gains more"
    assert f"with {number('lora-count', 'LoRA and head')}% of the parameters" in texts["text-31"]
    assert number("recipe-choose", "chosen:") == 0.001 and number("recipe-constant", "constant 0.001:") < 35


def test_head_first_gains_in_every_run_on_flowers_and_nowhere_measurably_on_photographs():
    runs = load_study("tuning-warmup").select(task="flowers").runs
    wide = runs.pivot(index=["lr", "seed"], columns="warm-up", values="accuracy")
    assert (wide["head first"] > wide["all at once"]).all()
    gains = load_study("real-warmup").paired("warm-up", "all at once", by=["lr"])
    assert not ((gains.supported == "yes") & (gains.points > 0)).any()
    rates = load_study("real-warmup").select(**{"warm-up": "head first"}).paired("lr", 3e-4)
    assert (rates.supported == "no").all() and max(rates.index) == 10 * min(rates.index)
