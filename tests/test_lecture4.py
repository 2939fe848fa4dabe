"""Lecture 4: what the notebook claims, compared with what it has stored."""

from functools import partial

import project
from project import ROOT

NOTEBOOK = ROOT / "notebooks/04_fine_tuning_well.ipynb"
number = partial(project.number, NOTEBOOK)


def test_head_first_batchnorm_at_rest_and_the_middle_rate_are_far_ahead_and_every_rate_forgets():
    at_rest = number("opening", "at rest")
    assert at_rest > max(number("opening", "live"), number("opening", "before")) + 5
    assert at_rest > max(number("head-outcome", "random head"), number("head-outcome", "10x rate")) + 15
    before, after = number("opening", "before"), number("head-outcome", "head first, refitted")
    unharmed = number("head-outcome", "random head, refitted")
    assert max(number("head-outcome", "random head") + 5, before - 5) < unharmed < after - 5
    assert number("again", "drawings' statistics") < 45 < number("again", "head refitted") < before - 5
    assert number("again", "measured again") < at_rest - 5 and number("spread", "source: .* factor of") > 1.3
    assert number("bn-only", "head alone") < number("bn-only", "parameters") < at_rest < number("recipe-choose", "test images")
    low, middle, high = (number("forgetting", f"accuracy at {rate}") for rate in ("1e-4", "3e-4", "1e-3"))
    assert middle > low + 5 and high < low - 5 and number("forgetting", "old answers kept at 1e-4") < 80
    assert number("forgetting", "accuracy at 1e-3, refitted") > max(high, before - 10) + 5
    head, lora, slow, fast = (number("lora-train", f"{name}:") for name in ("head, 1e-2", "LoRA, 3e-3", "3e-4", "1e-3"))
    assert head < lora < max(slow, fast), "LoRA gains over the head, everything at its better rate gains more"
    (text,) = (cell.source for cell in project.cells(NOTEBOOK, "markdown") if cell.id == "text-31")
    assert f"with {number('lora-count', 'LoRA and head')}% of the parameters" in text
