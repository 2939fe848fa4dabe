"""`fit` trains what its recipe says, and measures it once on images that it never trained on."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import HEAD_BY_STEPS, RECIPES, fitted, short, small_task, write_source
from photos import needs_photographs, needs_squeezenet
from safetensors.torch import load_file, save_file
from scipy import stats

from helpers import load_classifier
from helpers.images.tasks import open_task
from helpers.sources import shipping
from helpers.sources.backbones import load_backbone
from helpers.sources.checkpoints import read_safetensors
from helpers.stages import stages
from helpers.training.fitting import fit
from helpers.training.loop import Run
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH


def state_of(stage, model):
    """Parameters and buffers of a stage of `model`, by name."""
    return {name: t for name, t in model.state_dict().items() if name.split(".")[0] == stage}


LIVE = replace(FINE_TUNE_ALL, batchnorm="as frozen")  # all that trains moves
FROZEN = {
    "cached": (HEAD_BY_STEPS, "fc"),
    "uncached": (replace(HEAD_BY_STEPS, views=0), "fc"),
    "solved": (short(FEATURE_EXTRACTION), "fc"),
    "last stage": (short(LIVE, upto=-2), "layer4"),
    "by name": (short(LIVE, upto="layer3", augment=False), "layer3"),
    "by fraction": (short(LIVE, upto=0.5), "layer1"),
    "head first": (short(LIVE, head_steps=5, head_lr=None, upto="layer4"), "layer4"),
    "nothing": (short(LIVE), "conv1"),
    "nothing, head first": (short(LIVE, head_steps=5), "conv1"),
    "nothing, from scratch": (short(SCRATCH), "conv1"),
}


@pytest.mark.parametrize("case", FROZEN)
def test_frozen_stages_are_bitwise_those_of_the_source_and_the_others_have_changed(case):
    recipe, first_trained = FROZEN[case]
    run, source = fitted(recipe), load_backbone("garden").model
    found = [stage for stage in stages(run.model) if stage.parameters]
    first = [stage.name for stage in found].index(first_trained)
    for i, stage in enumerate(found):
        mine, theirs = state_of(stage.name, run.model), state_of(stage.name, source)
        for name, tensor in mine.items():
            same = tensor.shape == theirs[name].shape and torch.equal(tensor, theirs[name])
            assert same == (i < first), f"{name} {'changed' if i < first else 'did not train'}"
    parameters = [parameter for stage in found[first:] for parameter in stage.parameters]
    assert run.trained == sum(parameter.numel() for parameter in parameters)


def test_scratch_uses_nothing_of_its_source(monkeypatch, tmp_path):
    tensors, about = read_safetensors(shipping.SHIPPED / "garden.safetensors")
    other = tmp_path / "garden.safetensors"
    save_file({name: torch.zeros_like(tensor) for name, tensor in tensors.items()}, other, about)
    expected = fitted(short(SCRATCH)), fitted(short(FEATURE_EXTRACTION))
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(other.read_bytes()).hexdigest()}  {other.name}\n")
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path)
    assert torch.equal(fit(short(SCRATCH), small_task()).logits, expected[0].logits)
    assert not torch.equal(fit(short(FEATURE_EXTRACTION), small_task()).logits, expected[1].logits)
    checkpoints = [write_source(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    runs = [fit(short(SCRATCH, steps=2, source=source), small_task()) for source in checkpoints]
    assert torch.equal(runs[0].logits, runs[1].logits)
    assert set(load_file(checkpoints[0])) == set(runs[0].model.state_dict()), "another architecture than the checkpoint's"


def test_probe_then_fine_tune_begins_as_a_probe_and_its_history_goes_on():
    recipe = short(PROBE_THEN_FINE_TUNE, augment=False)
    history = fitted(recipe).history
    probe = short(FEATURE_EXTRACTION, augment=False, views=0, steps=recipe.head_steps, lr=recipe.head_lr)
    assert history[: recipe.head_steps].equals(fitted(probe).history)
    assert history.step.is_monotonic_increasing and history.step.is_unique
    assert history.step.iloc[-1] == recipe.head_steps + recipe.steps


@pytest.mark.parametrize("steps", [1, 2, 11])
def test_any_number_of_steps_is_trained_with_up_to_ten_validation_steps(steps):
    history = fitted(short(FEATURE_EXTRACTION, steps=steps)).history
    assert history.step.iloc[-1] == steps and len(history) == min(steps, 10)
    assert list(history.columns) == ["step", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert np.isfinite(history.to_numpy()).all() and history.val_accuracy.between(0, 1).all()


@pytest.mark.parametrize("batch_size, steps", [(5, 12), (4, 9), (100, 3)])
def test_every_batch_is_full_and_all_images_are_seen_equally_often(batch_size, steps):
    task, backbone = small_task(), load_backbone("garden")
    data = (task.train.pixels, task.train.labels)
    recipe = replace(FINE_TUNE_ALL, batch_size=batch_size)
    run = Run(replace(recipe, steps=steps), backbone.model, data, data)
    batches = [rows for part in run.batches for rows in part]
    assert [len(rows) for rows in batches] == [min(batch_size, len(task.train))] * steps
    seen = torch.bincount(torch.cat(batches), minlength=len(task.train))
    assert seen.max() - seen.min() <= 1


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_accuracy_n_and_interval_are_those_of_the_logits(recipe):
    run, test = fitted(recipe), small_task().test
    assert run.logits.shape == (20, 4) and run.logits.dtype == torch.float32 and not run.logits.requires_grad
    right = (run.logits.argmax(1) == test.labels).sum().item()
    assert run.n == 20 and run.accuracy == right / 20
    expected = stats.binomtest(right, 20).proportion_ci(method="wilson")
    assert run.interval == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert f"{run.accuracy:.1%} accuracy on 20 test images (95% interval" in repr(run) and run.seconds > 0


def test_logits_come_in_the_order_of_the_test_images():
    recipe, task = short(FEATURE_EXTRACTION), small_task()
    order = torch.randperm(len(task.test), generator=torch.Generator().manual_seed(0))
    shuffled = fit(recipe, replace(task, test=task.test.select(order)))
    run = fitted(recipe)
    torch.testing.assert_close(shuffled.logits, run.logits[order], rtol=1e-5, atol=1e-5)
    assert torch.equal(shuffled.labels, run.labels[order])
    assert shuffled.accuracy == run.accuracy
    alone = run.classifier.logits(task.test[7:8][0])
    torch.testing.assert_close(alone[0], run.logits[7], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", ["test", "val"])
def test_test_and_validation_images_do_not_influence_what_is_learnt(part):
    task = small_task()
    held_out = getattr(task, part)
    garbled = replace(held_out, images=255 - held_out.images, labels=held_out.labels.flip(0))
    for recipe in (short(FEATURE_EXTRACTION), short(FINE_TUNE_ALL)):
        run, other = fitted(recipe), fit(recipe, replace(task, **{part: garbled}))
        for name, tensor in other.model.state_dict().items():
            assert torch.equal(tensor, run.model.state_dict()[name])
        assert not torch.equal(other.logits, run.logits) if part == "test" else torch.equal(other.logits, run.logits)
        assert other.history.train_loss.equals(run.history.train_loss)


def test_training_learns():
    """On the images that it trains on, which a few steps of the head suffice to tell apart."""
    task = small_task()
    run = fit(replace(HEAD_BY_STEPS, steps=60, augment=False, views=0), replace(task, test=task.train))
    assert run.accuracy > 0.9
    assert run.history.train_loss.iloc[-1] < 0.5 * run.history.train_loss.iloc[0]


@needs_photographs
@needs_squeezenet
def test_a_probe_of_imagenet_weights_tells_real_photographs_apart(tmp_path):
    for kind in sorted(path for path in Path(os.environ["COURSE_PHOTOS"]).iterdir() if path.is_dir()):
        (tmp_path / kind.name).mkdir()
        for photograph in sorted(kind.iterdir())[:16]:
            shutil.copy(photograph, tmp_path / kind.name)
    task = open_task(tmp_path, per_class=5, size=96, val=2, test=8)
    run = fit(short(FEATURE_EXTRACTION, source="squeezenet1_0", steps=25, batch_size=32), task)
    assert run.cached == "-1" and run.trained == (512 + 1) * len(task.classes)
    assert run.interval[0] > 1 / len(task.classes), repr(run)


def test_a_large_validation_loss_is_a_warning_with_its_number_and_no_error():
    """Wrong labels that it is very sure of: the training loss is small, the validation loss is not."""
    task = small_task()
    other = replace(task.val, labels=(task.val.labels + 1) % len(task.classes))
    recipe = replace(HEAD_BY_STEPS, steps=40, augment=False, views=0, lr=1.0)
    with pytest.warns(UserWarning, match=r"and \d.* on validation images, far above guessing.*judge it by its accuracy"):
        run = fit(recipe, replace(task, val=other))
    assert run.history.train_loss.iloc[-1] < 1 < run.history.val_loss.iloc[-1]


# --- settings that are rarely changed ---


def test_gradual_thawing_starts_with_the_head_and_ends_where_upto_says():
    steps = 20
    gradual = fitted(short(LIVE, name="gradual", gradual=True, steps=steps, upto="layer3"))
    at_once = fitted(short(LIVE, name="at once", steps=steps, upto="layer3"))
    assert gradual.trained == at_once.trained and not torch.equal(gradual.logits, at_once.logits)
    source = fitted(short(FEATURE_EXTRACTION)).model.state_dict()
    moved = {name.split(".")[0] for name, tensor in gradual.model.state_dict().items() if not torch.equal(tensor, source[name])}
    assert moved == {"layer3", "layer4", "fc"}


def test_patience_goes_back_to_the_lowest_validation_loss():
    recipe = short(LIVE, name="patient", patience=2, schedule="constant", lr=2e-2, steps=40, augment=False)
    run = fitted(recipe)
    lowest = run.history.val_loss.idxmin()
    assert len(run.history) == lowest + 1 + 2 < 10
    logits = run.classifier.logits(run.task.val.pixels)
    loss = torch.nn.functional.cross_entropy(logits, run.task.val.labels).item()
    assert loss == pytest.approx(run.history.val_loss[lowest], rel=1e-3)


def test_a_constant_rate_stays_and_one_cycle_does_not():
    one, other = (fitted(short(FINE_TUNE_ALL, schedule=schedule)).history for schedule in ("one cycle", "constant"))
    assert one.train_loss.iloc[-1] != other.train_loss.iloc[-1]


def test_pixels_without_normalisation_stay_so_in_the_classifier(tmp_path):
    run = fitted(short(FINE_TUNE_ALL, name="raw", preprocessing="none"))
    assert run.classifier.backbone.mean == (0.0, 0.0, 0.0) and run.classifier.backbone.std == (1.0, 1.0, 1.0)
    back = load_classifier(run.classifier.save(tmp_path / "raw.safetensors"))
    assert torch.equal(back.logits(run.task.test.pixels), run.logits)
