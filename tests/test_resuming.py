"""A training that was interrupted goes on, and ends with the numbers of the uninterrupted one, to the last bit."""

import os
import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from fits import HEAD_BY_STEPS, Deaf, fitted, short, small_task
from hostile import FORMS, LONG, Malicious

from helpers import compare, load_classifier, run_study
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE

# A head, then stages that thaw one after the other: one cycle, AdamW, augmentation, random numbers in every step.
GRADUAL = short(PROBE_THEN_FINE_TUNE, batchnorm="as frozen", interpolate=False, gradual=True, upto="layer3", augment=True,
                head_steps=10, head_lr=1e-2, steps=20)  # fmt: skip
RECIPES = {
    "gradual": GRADUAL,
    "kept features": replace(GRADUAL, gradual=False, augment=False),
    "interpolated": replace(GRADUAL, gradual=False, interpolate=True, batchnorm="live"),
    "solved head": replace(GRADUAL, head_lr=None),
    "patient": short(FINE_TUNE_ALL, patience=2, schedule="constant", lr=2e-2, steps=30, augment=False),
}


def same(one, other):
    states = [fit.model.state_dict() for fit in (one, other)]
    equal = all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    return equal and one.history.equals(other.history) and one.kept == other.kept and torch.equal(one.logits, other.logits)


class Line(Deaf):
    """A progress line that writes each step, or interrupts the training at one."""

    def step(self, count=1):
        self.count += count
        print(self.count, flush=True)
        if self.stop_with and self.count >= self.stop_with:
            raise KeyboardInterrupt


def stopped(folder, at, recipe=GRADUAL):
    """Interrupt a training at a step; what the interrupt says. The folder has its checkpoints."""
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(recipe, small_task(), checkpoint=folder, progress=Line(at))
    return str(caught.value)


def kill(folder, name, seed):
    """Train in another process, and kill that at a moment that is drawn with the seed; whether it had not ended before."""
    rng, env = random.Random(seed), os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, __file__, folder, name], stdout=subprocess.PIPE, env=env)
    for _ in range(rng.randrange(2, 28)):
        run.stdout.readline()
    time.sleep(rng.uniform(0, 0.1))
    run.kill()
    run.communicate()
    return run.returncode != 0


@pytest.mark.parametrize("name, at", [("gradual", 22), ("kept features", 7), ("interpolated", 29), ("solved head", 17),
                                      ("patient", 9)])  # fmt: skip
def test_what_goes_on_from_a_checkpoint_equals_the_uninterrupted_training_bitwise(tmp_path, name, at):
    recipe, line = RECIPES[name], Deaf()
    stopped(tmp_path, at, recipe)
    resumed = fit(recipe, small_task(), checkpoint=tmp_path, progress=line)
    assert same(resumed, fitted(recipe)) and line.count == recipe.head_steps + recipe.steps
    assert same(fit(recipe, small_task(), checkpoint=tmp_path), resumed), "one that was over is there again"


@pytest.mark.parametrize("seed", range(50 if LONG else 1))
def test_killed_twice_at_random_moments_it_goes_on_and_is_the_same_bitwise(tmp_path, seed):
    name = [*RECIPES][seed % len(RECIPES)]
    killed = [kill(tmp_path, name, 2 * seed + again) for again in range(2)]
    assert killed[0] or name == "patient", "patience may end it early"
    assert same(fit(RECIPES[name], small_task(), checkpoint=tmp_path), fitted(RECIPES[name]))


def test_an_interrupt_leaves_a_network_to_use_and_says_how_to_go_on(tmp_path):
    said = stopped(tmp_path, 25)
    assert "The same call goes on" in said and str(tmp_path / "stopped.safetensors") in said
    now, before = load_classifier(tmp_path / "stopped.safetensors").model.state_dict(), fitted(GRADUAL).model.state_dict()
    assert {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])} == {"layer3", "layer4", "fc"}
    with pytest.raises(KeyboardInterrupt, match="nothing is kept.*checkpoint=FOLDER"):
        fit(GRADUAL, small_task(), progress=Line(3))


def test_checkpoints_of_another_training_are_refused_by_what_differs(tmp_path):
    stopped(tmp_path, 15)
    task = small_task()
    other = replace(task, train=replace(task.train, labels=task.train.labels.flip(0)))
    for words, recipe, its, settings in (
        ("lr=0.001 there, 0.01 here", replace(GRADUAL, lr=1e-2), task, {}), ("seed=0 there, 1 here", GRADUAL, task, {"seed": 1}),
        ("drawn with seed=0 there, 4", GRADUAL, task.draw(4), {}), ("images=", GRADUAL, other, {}),
        ("cache=True there, False here", GRADUAL, task, {"cache": False}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"another training \({words}.*Give another folder"):
            fit(recipe, its, checkpoint=tmp_path, **settings)


@pytest.mark.parametrize("form", ["cut short", "empty", *FORMS])
def test_a_damaged_checkpoint_is_named_and_no_code_in_it_runs(tmp_path, form):
    stopped(tmp_path, 5)
    file, mark = tmp_path / "head.ckpt", tmp_path / "code ran"
    form(Malicious(mark), file) if callable(form) else file.write_bytes(file.read_bytes()[: 5000 * (form != "empty")])
    with pytest.raises(ValueError, match=r"checkpoint .*head.ckpt is cut short or damaged. Delete it"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path)
    assert not mark.exists()
    (tmp_path / "training.json").write_text('{"lr": ')
    with pytest.raises(ValueError, match=r"training.json is damaged"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path)


def test_without_room_the_error_says_so_and_the_last_checkpoint_is_intact(tmp_path):
    resource = pytest.importorskip("resource")
    stopped(tmp_path, 15)
    before, limits = (tmp_path / "training.ckpt").read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as a disk that becomes full while a checkpoint is written
    try:
        with pytest.raises(OSError, match=r"cannot write to .*File too large.*Make room, and the same call goes on"):
            fit(GRADUAL, small_task(), checkpoint=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "training.ckpt").read_bytes() == before and not list(tmp_path.glob(".*"))
    with pytest.raises(OSError, match="cannot write to .*give another folder"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path / "training.ckpt" / "no folder", progress=Line(1))


def test_a_study_goes_on_where_it_stopped_and_with_more_seeds(tmp_path, monkeypatch):
    recipes, fits = [replace(HEAD_BY_STEPS, name="slow", lr=1e-3), short(FEATURE_EXTRACTION, name="solved")], []

    def counted(recipe, task, seed, **settings):
        fits.append(f"{recipe.name} {seed}")
        return fit(recipe, task, seed, **settings | ({"progress": Line(1)} if len(fits) == 2 else {}))

    monkeypatch.setitem(run_study.__kwdefaults__, "run", counted)
    with pytest.raises(KeyboardInterrupt, match="The same call goes on"):
        compare(recipes, small_task(), 1, checkpoint=tmp_path)
    study = compare(recipes, small_task(), 2, checkpoint=tmp_path)
    assert fits == ["slow 0", "solved 0", "solved 0", "slow 1", "solved 1"] and len(list(tmp_path.iterdir())) == 4
    assert study.runs.drop(columns="seconds").equals(compare(recipes, small_task(), 2).runs.drop(columns="seconds"))
    next(tmp_path.glob("*.json")).write_text("[1")
    with pytest.raises(ValueError, match=r"\.json is damaged. Delete it"):
        compare(recipes, small_task(), 2, checkpoint=tmp_path)


if __name__ == "__main__":
    fit(RECIPES[sys.argv[2]], small_task(), checkpoint=sys.argv[1], progress=Line())
