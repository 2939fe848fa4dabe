"""`fit` repeats to the last digit, leaves everything as it was, and says clearly what goes wrong."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import RECIPES, Deaf, fitted, short, small_task

from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE

by_name = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@by_name
def test_the_same_seed_gives_the_same_numbers_to_the_last_bit_whatever_was_drawn_before(recipe):
    first = fitted(recipe)
    torch.rand(7), np.random.rand(5), random.random()
    again = fit(recipe, small_task())
    assert torch.equal(again.logits, first.logits)
    assert again.history.equals(first.history)
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, first.model.state_dict()[name])
    assert torch.equal(fitted(recipe, seed=1).logits, first.logits) == (recipe.lr is None), "solving a head draws nothing"


@pytest.mark.parametrize("lr, ends", [(1e-2, "well"), (1e6, "in an error")])
def test_random_numbers_and_settings_of_torch_are_left_as_they_were(lr, ends):
    state = lambda: (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate())
    before, environment = state(), dict(os.environ)
    with contextlib.nullcontext() if ends == "well" else pytest.raises(ValueError, match="diverged"):
        fit(short(FEATURE_EXTRACTION, lr=lr), small_task())
    assert state() == before
    assert not torch.are_deterministic_algorithms_enabled()
    assert {name for name in os.environ if name.startswith("PL_")} <= set(environment)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@by_name
def test_a_gpu_repeats_itself_and_leaves_the_model_whole(recipe):
    run = fitted(recipe)
    assert {tensor.device.type for tensor in run.model.state_dict().values()} == {"cpu"}
    assert torch.equal(run.logits, fit(recipe, small_task()).logits)
    assert torch.equal(run.classifier.logits(small_task().test.pixels), run.logits)


@pytest.mark.parametrize(
    "recipe",
    [replace(recipe, lr=1e6) for recipe in RECIPES],
    ids=lambda recipe: recipe.name,
)
def test_divergence_is_an_error_that_says_what_to_do_and_no_number(recipe, capsys):
    with pytest.raises(ValueError, match=rf"'{recipe.name}' diverged.* Choose a learning rate below 1e\+06"):
        fit(recipe, small_task())
    assert "%" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"upto": "layer9"}, ["layer9", "layer4", "fc"]),
        ({"upto": -50}, ["-50"]),
        ({"source": "gardn"}, ["gardn", "garden"]),
        ({"source": "resnet18", "weights": "IMAGENET"}, ["IMAGENET", "IMAGENET1K_V1"]),
    ],
)
def test_a_wrong_stage_or_source_fails_before_anything_is_trained(changes, words):
    progress = Deaf()
    with pytest.raises(ValueError) as caught:
        fit(replace(PROBE_THEN_FINE_TUNE, **changes), small_task(), progress=progress)
    assert all(word in str(caught.value) for word in words)
    assert progress.count == 0


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_an_invalid_seed_is_an_error(seed):
    with pytest.raises(ValueError, match="seed=.* must be a whole number"):
        fit(short(FEATURE_EXTRACTION), small_task(), seed)


def test_recipe_and_task_in_each_others_place_are_an_error():
    with pytest.raises(TypeError, match="fit takes a Recipe and a Task, got Task and Recipe"):
        fit(small_task(), FINE_TUNE_ALL)


def test_a_training_can_be_interrupted_more_than_once():
    """Lightning by itself would end the process and ignore all later interrupts."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(short(FEATURE_EXTRACTION), small_task(), progress=Deaf(KeyboardInterrupt()))
    assert signal.getsignal(signal.SIGINT) is handler


def test_fit_writes_one_line_and_once_which_source_it_took_no_warnings_and_no_files(tmp_path):
    code = (
        "from fits import short, small_task\n"
        "from helpers import PROBE_THEN_FINE_TUNE, fit\n"
        "run = fit(short(PROBE_THEN_FINE_TUNE), small_task())\n"
        "print(repr(run))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    source, line, printed = done.stdout.splitlines()
    assert line == printed and source.startswith("goldfinches: source model 'garden', images of 32 x 32 pixels")
    assert not list(tmp_path.iterdir())
