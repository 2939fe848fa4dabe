"""A head on fixed features is solved: to the optimum, whatever the scale of the features, the seed and the order of images."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from fits import fitted, short, small_task, write_source
from photos import open_small, photos
from torch.nn import functional as F

from helpers.images.tasks import open_task
from helpers.sources.backbones import load_backbone
from helpers.stages import split
from helpers.training import fitting
from helpers.training.features import extract
from helpers.training.fitting import fit, source_for
from helpers.training.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE


def test_the_penalised_loss_on_standardised_features_has_no_slope_left():
    run, task = fitted(FEATURE_EXTRACTION), small_task()
    features = extract(split(run.model, -1)[0], task.train.pixels, load_backbone("garden")).flatten(1)
    variance, mean = features.var(0, unbiased=False), features.mean(0)
    root = (variance + variance.mean()).sqrt()
    weight = (run.model.fc.weight.detach() * root).requires_grad_()
    bias = (run.model.fc.bias.detach() + run.model.fc.weight.detach() @ mean).requires_grad_()
    logits = (features - mean) / root @ weight.T + bias
    torch.testing.assert_close(logits, run.classifier.logits(task.train), rtol=0, atol=1e-3)
    (F.cross_entropy(logits, task.train.labels) + FEATURE_EXTRACTION.weight_decay / 2 * weight.square().sum()).backward()
    assert bias.grad.abs().max() < 1e-3 and weight.grad.abs().max() < 1e-3


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_features_does_not_matter(scale, monkeypatch):
    plain, load = fitted(FEATURE_EXTRACTION), fitting.load_backbone

    def scaled(*arguments, **settings):
        backbone = load(*arguments, **settings)
        backbone.model.avgpool.register_forward_hook(lambda module, inputs, output: output * scale)
        return backbone

    monkeypatch.setattr(fitting, "load_backbone", scaled)
    run = fit(FEATURE_EXTRACTION, small_task())
    torch.testing.assert_close(run.logits, plain.logits, rtol=0, atol=2e-2 * plain.logits.abs().max().item())
    assert torch.equal(run.logits.argmax(1), plain.logits.argmax(1))


def test_neither_the_seed_nor_the_order_of_the_images_matters():
    task, plain = small_task(), fitted(FEATURE_EXTRACTION)
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(1))
    for run in (fit(FEATURE_EXTRACTION, task, seed=3), fit(FEATURE_EXTRACTION, replace(task, train=task.train.select(order)))):
        torch.testing.assert_close(run.logits, plain.logits, rtol=0, atol=1e-2 * plain.logits.abs().max().item())


def test_it_is_done_in_few_iterations_and_more_change_nothing():
    one, other = fitted(FEATURE_EXTRACTION), fitted(replace(FEATURE_EXTRACTION, steps=400))
    torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-2 * one.logits.abs().max().item())
    assert one.history.step.tolist() == list(range(10, 101, 10)) and one.history.train_loss.iloc[-1] < 0.1


def test_a_head_that_is_a_convolution_with_a_relu_behind_it_is_solved_too(tmp_path):
    run = fit(replace(FEATURE_EXTRACTION, source=write_source(tmp_path / "net.safetensors")), small_task())
    assert run.history.train_accuracy.iloc[-1] == 1
    assert run.cached == "-1" and run.model.classifier[1].weight.shape == (4, 512, 1, 1)


def test_with_images_that_are_not_kept_the_same_head_comes_out():
    one, other = fitted(short(FEATURE_EXTRACTION)), fitted(short(FEATURE_EXTRACTION), cached=False)
    assert one.cached and not other.cached
    torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-3 * one.logits.abs().max().item())


# A third of the way back from what fine-tuning made to the probe


def a_third_back(run, recipe):
    """The weights two thirds of the way from those of the recipe's probe to those at its end."""
    begun = fitted(replace(FEATURE_EXTRACTION, steps=recipe.head_steps)).model.state_dict()
    ended = fitted(replace(recipe, interpolate=False)).model.state_dict()
    model = copy.deepcopy(run.model)
    model.load_state_dict({name: begun[name].lerp(end, 2 / 3) if end.is_floating_point() else end for name, end in ended.items()})
    return model


@pytest.mark.parametrize("lr", [3e-3, 3e-2, 1.0])
def test_the_weights_go_back_a_third_if_the_validation_loss_is_lower_there_or_all_the_way_if_the_probe_was_better(lr):
    recipe = short(PROBE_THEN_FINE_TUNE, steps=20, lr=lr, name=f"rate {lr}")
    run, task = fitted(recipe), small_task()
    networks = {"probe": fitted(replace(FEATURE_EXTRACTION, steps=recipe.head_steps)).model,
                "end": fitted(replace(recipe, interpolate=False)).model, "between": a_third_back(run, recipe)}  # fmt: skip
    normalise, scores, logits = load_backbone("garden").normalise, {}, {}
    for name, network in networks.items():
        val = network.eval()(normalise(task.val.pixels))
        scores[name] = (val.argmax(1) == task.val.labels).float().mean().item(), F.cross_entropy(val, task.val.labels).item()
        logits[name] = network(normalise(task.test.pixels))
    best = min(("end", "between"), key=lambda name: scores[name][1])
    gain = scores[best][0] - scores["probe"][0]
    best = "probe" if gain < 0 or (gain == 0 and scores[best][1] > math.log(4)) else best
    torch.testing.assert_close(run.logits, logits[best].detach(), rtol=0, atol=1e-3 * run.logits.abs().max().item())
    assert (run.kept["val_accuracy"], run.kept["val_loss"]) == pytest.approx(scores[best], rel=1e-3)


def test_a_fine_tuning_that_only_harms_leaves_the_probe_as_it_was():
    probe = fitted(replace(FEATURE_EXTRACTION, steps=5))
    run = fit(short(PROBE_THEN_FINE_TUNE, lr=10.0), small_task())  # its loss at the end is 1e9
    assert run.history.val_accuracy.iloc[-1] <= probe.history.val_accuracy.iloc[-1]
    torch.testing.assert_close(run.logits, probe.logits, rtol=0, atol=1e-3 * probe.logits.abs().max().item())


# The source that suits a task


def test_where_no_source_is_named_the_garden_gets_small_drawings_and_the_imagenet_network_the_rest(tmp_path):
    assert source_for(small_task()) == source_for(open_task("flowers", 1, val=1, test=1)) == "garden"
    assert source_for(open_task("flowers", 1, size=96, val=1, test=1)) == "efficientnet_lite0"
    assert source_for(open_small(photos(tmp_path / "p", a=5, b=5), size=64)) == "efficientnet_lite0"


def test_it_is_said_once_a_task_which_source_was_taken_and_how_to_name_another(capsys, monkeypatch):
    monkeypatch.setattr(fitting, "_announced", set())
    recipe = replace(FEATURE_EXTRACTION, steps=2)
    runs = [fit(each, small_task()) for each in (recipe, recipe, replace(recipe, source="garden"))]
    said = [line for line in capsys.readouterr().out.splitlines() if "source model" in line]
    assert said == ["goldfinches: source model 'garden', images of 32 x 32 pixels "
                    "(to choose others: source= in the recipe, size= in open_task)"]  # fmt: skip
    assert [run.recipe.source for run in runs] == ["garden"] * 3 and torch.equal(runs[0].logits, runs[2].logits)


@pytest.mark.parametrize("name, size, taken", [("vit_b_32", 64, "takes 224:"), ("inception_v3", 64, "takes 96, 128, 160")])
def test_a_size_that_a_source_cannot_take_is_said_before_training_with_those_that_it_takes(name, size, taken, monkeypatch):
    monkeypatch.setattr(fitting, "load_backbone", lambda source, weights=None: load_backbone(source, weights=None))
    task = open_task("goldfinches", 1, size=size, val=1, test=1)
    with pytest.raises(ValueError, match=f"'{name}' cannot take images of {size} x {size} pixels .*{taken}.*size=") as caught:
        fit(replace(FEATURE_EXTRACTION, source=name), task)
    assert f"open_task(..., size={load_backbone(name, weights=None).size})" in str(caught.value)
