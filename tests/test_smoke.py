"""COURSE_RUN=smoke cuts every training short and says so; without it nothing is cut."""

from dataclasses import replace

import pytest
import torch

from helpers.images.tasks import open_task
from helpers.lessons.budget import choose_budget
from helpers.lessons.pretext.tasks import train_rotation
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE
from helpers.training.smoke import STEPS, few, shortened


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.setenv("COURSE_RUN", "smoke")


def test_nothing_is_cut_unless_it_is_asked_for(monkeypatch):
    for run in ("quick", "full"):
        monkeypatch.setenv("COURSE_RUN", run)
        assert few(200, 3) == 200 and shortened(PROBE_THEN_FINE_TUNE) is PROBE_THEN_FINE_TUNE
    with pytest.raises(ValueError, match="'smoke'"):
        choose_budget("smoke")  # the variable alone reaches all that is cut


def test_smoke_run_trains_a_few_steps_on_few_images_and_says_that_its_numbers_mean_nothing(smoke, capsys):
    budget = choose_budget()
    assert (budget.name, budget.full, budget.imagenet) == ("smoke", False, None)
    assert "the numbers mean nothing" in capsys.readouterr().out
    task = open_task("flowers", per_class=2)
    assert len(task.test) == 100 and len(task.train) == 20
    run = fit(replace(FEATURE_EXTRACTION, batch_size=4), task)
    assert (run.history.step.max(), run.recipe.steps, run.recipe.views) == (STEPS, STEPS, 1)


def test_smoke_run_of_a_pretext_task_is_short_too(smoke, capsys):
    train_rotation(torch.randint(256, (800, 3, 16, 16), dtype=torch.uint8), epochs=1)
    assert f" {STEPS} steps" in capsys.readouterr().out
