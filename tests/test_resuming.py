"""A training that was interrupted goes on, and ends with the numbers of the uninterrupted one, to the last bit."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from fits import HEAD_BY_STEPS, Deaf, fitted, short, small_task
from hostile import FORMS, Malicious

from helpers import compare, load_classifier
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


class Stop(Deaf):
    """Stops the training at a step."""

    def step(self, count=1):
        self.count += count
        if self.count >= self.stop_with:
            raise KeyboardInterrupt


def stopped(folder, at, recipe=GRADUAL):
    """A folder with the checkpoints of a training that was interrupted at a step."""
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(recipe, small_task(), checkpoint=folder, progress=Stop(at))
    return str(caught.value)


def kill(folder, name, seed):
    """Train in another process, and kill that at a moment of the training that is drawn with the seed."""
    rng = random.Random(seed)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, __file__, folder, name], stdout=subprocess.PIPE, env=env)
    for _ in range(rng.randrange(1, 30)):
        run.stdout.readline()
    time.sleep(rng.uniform(0, 0.1))
    run.kill()
    run.communicate()
    assert run.returncode == -signal.SIGKILL or name == "patient"  # which may end early


@pytest.mark.parametrize("name, at", [("gradual", 7), ("gradual", 22), ("kept features", 15), ("interpolated", 29),
                                      ("solved head", 17), ("patient", 9)])  # fmt: skip
def test_what_goes_on_from_a_checkpoint_equals_the_uninterrupted_training_bitwise(tmp_path, name, at):
    recipe = RECIPES[name]
    stopped(tmp_path, at, recipe)
    line = Deaf()
    resumed = fit(recipe, small_task(), checkpoint=tmp_path, progress=line)
    assert same(resumed, fitted(recipe)) and line.count == recipe.head_steps + recipe.steps
    line = Stop(10**9)
    assert same(fit(recipe, small_task(), checkpoint=tmp_path, progress=line), resumed), "one that was over is there again"


def test_killed_twice_at_random_moments_it_goes_on_and_is_the_same_bitwise(tmp_path):
    for seed in range(2):
        kill(tmp_path, "gradual", seed)
    assert same(fit(GRADUAL, small_task(), checkpoint=tmp_path), fitted(GRADUAL))


def test_an_interrupt_leaves_a_network_to_use_and_says_how_to_go_on(tmp_path):
    said = stopped(tmp_path, 25)
    assert "The same call goes on" in said and "load_classifier" in said and "stopped.safetensors" in said
    now, before = load_classifier(tmp_path / "stopped.safetensors").model.state_dict(), fitted(GRADUAL).model.state_dict()
    moved = {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])}
    assert moved == {"layer3", "layer4", "fc"}, "what trained is not where the whole training leaves it"
    with pytest.raises(KeyboardInterrupt, match="nothing is kept.*checkpoint=FOLDER"):
        fit(GRADUAL, small_task(), progress=Stop(3))


def test_checkpoints_of_another_training_are_refused_by_what_differs(tmp_path):
    stopped(tmp_path, 15)
    task = small_task()
    other = replace(task, train=replace(task.train, labels=task.train.labels.flip(0)))
    for words, call in {
        r"lr=0.001 there, 0.01 here": lambda: fit(replace(GRADUAL, lr=1e-2), task, checkpoint=tmp_path),
        r"seed=0 there, 1 here": lambda: fit(GRADUAL, task, 1, checkpoint=tmp_path),
        r"drawn with seed=0 there, 4": lambda: fit(GRADUAL, task.draw(4), checkpoint=tmp_path),
        r"images=": lambda: fit(GRADUAL, other, checkpoint=tmp_path),
        r"cache=True there, False here": lambda: fit(GRADUAL, task, checkpoint=tmp_path, cache=False),
    }.items():
        with pytest.raises(ValueError, match=rf"another training \({words}.*Give another folder"):
            call()


@pytest.mark.parametrize("form", ["cut short", "empty", *FORMS])
def test_a_damaged_checkpoint_is_named_and_no_code_in_it_runs(tmp_path, form):
    stopped(tmp_path, 5)
    file, mark = tmp_path / "head.ckpt", tmp_path / "code ran"
    if callable(form):
        form(Malicious(mark), file)
    else:
        file.write_bytes(file.read_bytes()[: 5000 * (form != "empty")])
    with pytest.raises(ValueError, match=r"checkpoint .*head.ckpt is cut short or damaged. Delete it"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path)
    file.unlink()
    assert same(fit(GRADUAL, small_task(), checkpoint=tmp_path), fitted(GRADUAL)) and not mark.exists()
    (tmp_path / "training.json").write_text('{"lr": ')
    with pytest.raises(ValueError, match=r"training.json is damaged"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path)


def test_without_room_the_error_says_so_and_the_last_checkpoint_is_intact(tmp_path):
    stopped(tmp_path, 15)
    before = (tmp_path / "training.ckpt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as a disk that becomes full while a checkpoint is written
    try:
        with pytest.raises(OSError, match=r"cannot write to .*File too large.*Make room, or give another folder"):
            fit(GRADUAL, small_task(), checkpoint=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "training.ckpt").read_bytes() == before and not list(tmp_path.glob(".*"))
    assert same(fit(GRADUAL, small_task(), checkpoint=tmp_path), fitted(GRADUAL))


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "file").touch()
    line = Deaf()
    with pytest.raises(OSError, match="cannot write to .*give another folder"):
        fit(GRADUAL, small_task(), checkpoint=tmp_path / "file" / "folder", progress=line)
    assert line.count == 0


def test_a_study_goes_on_where_it_stopped_and_with_more_seeds(tmp_path, monkeypatch):
    recipes = [replace(HEAD_BY_STEPS, name="slow", lr=1e-3), short(FEATURE_EXTRACTION)]
    runs, fits = compare(recipes, small_task(), 2).runs.drop(columns="seconds"), []

    def counted(recipe, task, seed, **settings):
        fits.append((recipe.name, seed))
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(recipe, task, seed, **settings)

    monkeypatch.setattr("helpers.training.study.run_study.__kwdefaults__", {**compare_defaults(), "run": counted})
    with pytest.raises(KeyboardInterrupt):
        compare(recipes, small_task(), 1, checkpoint=tmp_path)
    study = compare(recipes, small_task(), 2, checkpoint=tmp_path)
    assert fits == [("slow", 0), (recipes[1].name, 0), (recipes[1].name, 0), ("slow", 1), (recipes[1].name, 1)]
    assert study.runs.drop(columns="seconds").equals(runs) and len(list(tmp_path.iterdir())) == 4
    next(tmp_path.glob("*.json")).write_text("{}")
    with pytest.raises(KeyError):
        compare(recipes, small_task(), 2, checkpoint=tmp_path)


def compare_defaults():
    from helpers.training.study import run_study

    return run_study.__kwdefaults__


class Say(Deaf):
    def step(self, count=1):
        print(count, flush=True)


if __name__ == "__main__":
    fit(RECIPES[sys.argv[2]], small_task(), checkpoint=sys.argv[1], progress=Say())
