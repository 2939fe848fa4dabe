"""Saving what was trained, and only that."""

import copy
import warnings

import pytest
import torch
from zoo import build

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.sources.gardennet import GardenNet
from helpers.training.classifier import load_trained, save_trained


def fine_tuned(source, upto=-1, classes=3, size=32):
    """A copy of `source` with a new head, after two steps of training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = freeze(swap_head(copy.deepcopy(source), classes), upto).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model(torch.randn(4, 3, size, size)).logsumexp(1).sum().backward()
        optimizer.step()
    return model


def assert_same(a, b):
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


@pytest.mark.parametrize("upto", [-1, "layer3", 0])
def test_a_fresh_source_model_becomes_the_saved_one(upto, tmp_path):
    source, path = GardenNet(10), tmp_path / "trained.safetensors"
    model = fine_tuned(source, upto)
    save_trained(model, path)
    loaded = load_trained(source, path)
    assert loaded is source
    assert_same(loaded, model)
    assert upto != -1 or path.stat().st_size < 20_000, "the head alone, where the model takes 5 MB"


@pytest.mark.parametrize("name", ["squeezenet1_0", "googlenet", "mnasnet0_5"])
def test_what_left_with_the_head_leaves_the_loaded_model_too(name, tmp_path):
    """squeezenet's last ReLU, googlenet's auxiliary heads; mnasnet refuses to load a plain dict of tensors."""
    source = build(name)
    model = fine_tuned(source)
    save_trained(model, tmp_path / "trained.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_trained(source, tmp_path / "trained.safetensors")
    assert_same(loaded, model)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(images), model.eval()(images))


def test_a_model_that_kept_its_head_is_loaded_with_the_head_it_has(tmp_path):
    """squeezenet's ReLU belongs to that head, so it stays."""
    source = build("squeezenet1_0")
    model = freeze(copy.deepcopy(source), -1)
    model.classifier[1].weight.detach().add_(0.01)
    save_trained(model, tmp_path / "trained.safetensors")
    loaded = load_trained(source, tmp_path / "trained.safetensors")
    assert_same(loaded, model)
    assert (loaded.eval()(torch.randn(2, 3, 32, 32)) >= 0).all()


def test_other_weights_are_refused_by_name_and_left_as_they_are(tmp_path):
    source = GardenNet(10)
    save_trained(fine_tuned(source, "layer4"), tmp_path / "trained.safetensors")
    other = copy.deepcopy(source)
    other.layer1[0].conv1.weight.detach()[0, 0, 0, 0] += 1e-6
    with pytest.raises(ValueError, match="belongs to another source model.*different: layer1.0.conv1.weight$"):
        load_trained(other, tmp_path / "trained.safetensors")
    assert other.fc.out_features == 10


def test_a_stage_that_was_trained_and_frozen_again_is_not_lost_silently(tmp_path):
    source = GardenNet(10)
    model = freeze(fine_tuned(source, "layer4"), -1)
    save_trained(model, tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="different: layer4.0"):
        load_trained(source, tmp_path / "trained.safetensors")


@pytest.mark.parametrize("upto", [-1, 0])
def test_another_architecture_is_refused(upto, tmp_path):
    save_trained(fine_tuned(GardenNet(10), upto), tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="another source model than this ResNet. .*different: bn1.bias"):
        load_trained(build("resnet18"), tmp_path / "trained.safetensors")


def test_models_of_half_precision_can_be_saved_and_another_precision_is_refused(tmp_path):
    source = GardenNet(10).bfloat16()
    model = freeze(swap_head(copy.deepcopy(source), 3), -1)
    save_trained(model, tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="belongs to another source model"):
        load_trained(copy.deepcopy(source).float(), tmp_path / "trained.safetensors")
    assert_same(load_trained(source, tmp_path / "trained.safetensors"), model)


def test_nothing_trainable_means_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="no parameter of this model requires a gradient"):
        save_trained(GardenNet(10).requires_grad_(False), tmp_path / "trained.safetensors")
