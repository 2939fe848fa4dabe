"""Training a small subset of the parameters: what trains, what is saved, and that adapters come out again."""

import importlib
import sys

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

import helpers.training.subsets
from helpers.freezing import freeze, parameter_groups
from helpers.heads import swap_head
from helpers.sources.gardennet import GardenNet
from helpers.training.classifier import load_trained, save_trained
from helpers.training.subsets import added_by, merge_adapters, train_only


def small_vit(seed=0):
    torch.manual_seed(seed)
    settings = dict(image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=5)
    return swap_head(VisionTransformer(**settings), 3)


def small_net(seed=0):
    torch.manual_seed(seed)
    return GardenNet(3, width=8)


def training(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def step(model):
    model.train()
    size = getattr(model, "image_size", 32)
    images, labels = torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-2, weight_decay=0.1))
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    return images


def moved(model, before):
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize("what", ["batchnorm", "bias"])
@pytest.mark.parametrize("build", [small_net, small_vit])
def test_exactly_the_subset_and_the_head_move_in_a_step(build, what):
    model = train_only(freeze(build(), 0), what)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    step(model)
    assert moved(model, before) == training(model)
    rest = {name for name in training(model) if not name.startswith(("fc.", "heads."))}
    if what == "bias":
        assert rest and all(name.endswith("bias") for name in rest)
    else:
        assert rest and all(before[name].ndim == 1 for name in rest)
        assert {name.rpartition(".")[2] for name in rest} == {"weight", "bias"}
    assert added_by(model)["training"] == sum(before[name].numel() for name in training(model))


def test_layernorm_counts_as_normalisation_and_attention_biases_as_biases():
    norm, bias = (training(train_only(freeze(small_vit(), 0), what)) for what in ("batchnorm", "bias"))
    assert "encoder.layers.encoder_layer_0.ln_1.weight" in norm
    assert "encoder.layers.encoder_layer_0.self_attention.in_proj_bias" in bias
    assert "class_token" not in norm | bias


@pytest.mark.parametrize("what", ["batchnorm", "bias"])
def test_only_what_freeze_left_training_is_chosen_and_freeze_sets_all_anew(what):
    model = train_only(freeze(small_net(), "layer4"), what)
    assert {name.split(".")[0] for name in training(model)} == {"layer4", "fc"}
    assert training(freeze(model, 0)) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("what", ["batchnorm", "bias", "lora"])
def test_where_the_head_alone_trains_it_stays_so(what):
    if what == "lora":
        pytest.importorskip("peft")
    model = train_only(freeze(small_vit(), -1), what)
    assert training(model) == {"heads.head.weight", "heads.head.bias"}


def test_lora_starts_as_no_change_trains_only_adapters_and_head_and_merges_into_ordinary_layers():
    pytest.importorskip("peft")
    model, images = small_vit(), torch.randn(4, 3, 16, 16)
    layers = {name: type(module) for name, module in model.named_modules()}
    with torch.no_grad():
        untouched = model.eval()(images)
        train_only(freeze(model, 0), "lora", rank=2)
        assert torch.equal(model.eval()(images), untouched)
    assert all(".lora_" in name or name.startswith("heads.") for name in training(model))
    assert added_by(model)["training"] - added_by(model)["head"] == 2 * 2 * 2 * (32 + 64)  # layers, matrices, rank, sides
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    step(model), step(model)  # the second matrix is zero at first, so the first gets a gradient from the second step on
    assert moved(model, before) == training(model)
    with torch.no_grad():
        adapted = model.eval()(images)
        merge_adapters(model)
        assert torch.allclose(model(images), adapted, atol=1e-5) and not torch.allclose(adapted, untouched, atol=1e-3)
    assert {name: type(module) for name, module in model.named_modules()} == layers


def test_lora_from_a_stage_on_leaves_earlier_blocks_without_adapters():
    pytest.importorskip("peft")
    model = train_only(freeze(small_vit(), "encoder.layers.encoder_layer_1"), "lora")
    assert {name.split(".mlp")[0] for name in training(model) if "lora" in name} == {"encoder.layers.encoder_layer_1"}


def test_lora_twice_is_lora_once():
    pytest.importorskip("peft")
    once = train_only(freeze(small_vit(), 0), "lora")
    first = training(once)
    assert training(train_only(freeze(once, 0), "lora")) == first


def test_what_lora_trained_is_saved_without_the_rest_and_comes_back(tmp_path):
    pytest.importorskip("peft")
    model = train_only(freeze(small_vit(), 0), "lora", rank=2)
    images = step(model)
    save_trained(model, tmp_path / "lora.safetensors")
    again = load_trained(train_only(freeze(small_vit(), 0), "lora", rank=2), tmp_path / "lora.safetensors")
    assert torch.equal(again.eval()(images), model.eval()(images))


def test_what_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match="'adapter' must be one of 'batchnorm', 'bias', 'lora'"):
        train_only(small_net(), "adapter")
    with pytest.raises(ValueError, match="GardenNet has no linear layers before its head"):
        train_only(small_net(), "lora")
    with pytest.raises(ValueError, match="rank=0"):
        train_only(small_vit(), "lora", rank=0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="no biases before its head"):
        train_only(plain, "bias")
    with pytest.raises(ValueError, match="no normalisation layers"):
        train_only(plain, "batchnorm")


def test_without_peft_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    importlib.reload(helpers.training.subsets)  # the module itself does without
    with pytest.raises(ImportError, match="pip install peft"):
        train_only(freeze(small_vit(), 0), "lora")
