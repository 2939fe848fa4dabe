"""BatchNorm four ways, stages transplanted, and small subsets of the parameters: what trains, what moves, what is saved."""

import copy
import sys
from dataclasses import replace

import pytest
import torch
from fits import HEAD_BY_STEPS, fitted, short
from torch import nn
from torchvision.models import VisionTransformer, resnet18, vgg11

from helpers.freezing import freeze, parameter_groups
from helpers.heads import swap_head
from helpers.sources.gardennet import GardenNet
from helpers.stages import cut
from helpers.training.classifier import load_trained, save_trained
from helpers.training.recipes import FINE_TUNE_ALL
from helpers.training.surgery import (
    BATCHNORM,
    added_by,
    merge_adapters,
    reestimate,
    release_batchnorm,
    set_batchnorm,
    train_only,
    transplant,
)

ALL, HEAD = short(FINE_TUNE_ALL, batchnorm="as frozen"), replace(HEAD_BY_STEPS, views=0)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return resnet18(num_classes=4)


def small_net():
    torch.manual_seed(0)
    return GardenNet(3, width=8)


def small_vit():
    torch.manual_seed(0)
    settings = dict(image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=5)
    return swap_head(VisionTransformer(**settings), 3)


def train(model, size=64, steps=2):
    """A few steps with weight decay; returns the images."""
    images = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-2, weight_decay=0.1))
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model.train()(images), torch.arange(len(images)) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return images


def state(model, of=""):
    """A copy of the model's tensors: "running" statistics, "scales" and shifts of BatchNorm layers, or "" for all."""
    layers = {name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    chosen = {"": lambda name: True, "running": lambda name: "running" in name,
              "scales": lambda name: name.rpartition(".")[0] in layers and name.endswith(("weight", "bias"))}[of]  # fmt: skip
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if chosen(name)}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def training(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


# --- BatchNorm ---


@pytest.mark.parametrize(
    "how, upto, statistics_move, scales_move",
    [
        ("live", -1, 40, 0),
        ("live", 0, 40, 40),
        ("frozen", 0, 0, 0),
        ("statistics", 0, 40, 0),
        ("statistics", -1, 40, 0),
        ("re-estimated", 0, 0, 0),
    ],
)
def test_what_moves_is_what_the_setting_says_and_predictions_move_nothing(net, how, upto, statistics_move, scales_move):
    set_batchnorm(freeze(net, upto), how, torch.randn(8, 3, 64, 64))
    running, scales = state(net, "running"), state(net, "scales")
    images = train(net)
    assert len(changed(running, state(net, "running"))) == statistics_move
    assert len(changed(scales, state(net, "scales"))) == scales_move
    before = state(net)
    with torch.no_grad():
        net.eval()(images)
    assert not changed(before, state(net))


def test_released_layers_are_at_rest_again(net):
    release_batchnorm(set_batchnorm(freeze(net, -1), "live"))
    before = state(net, "running")
    net.train()(torch.randn(8, 3, 64, 64))
    assert not changed(before, state(net, "running")), "the freeze of the stage holds them"


def test_reestimated_statistics_are_those_of_the_images_layer_by_layer(net):
    """A layer deep inside is measured on what the layers before it give in the same pass."""
    images = 3 + 2 * torch.randn(40, 3, 64, 64)
    live = copy.deepcopy(net).train()
    reestimate(net, images, batch_size=40)
    assert torch.allclose(net.bn1.running_mean, net.conv1(images).mean((0, 2, 3)), atol=1e-5)
    assert net.bn1.momentum == 0.1 and net.training
    for module in live.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        live(images)
    assert not changed(state(live, "running"), state(net, "running"))


@pytest.mark.parametrize(
    "make, how, message",
    [
        (resnet18, "off", "how='off' must be one of"),
        (resnet18, "re-estimated", "needs the images"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), "live", "has no BatchNorm layers"),
    ],
)
def test_batchnorm_that_cannot_be_set_is_refused(make, how, message):
    with pytest.raises(ValueError, match=message):
        set_batchnorm(make(), how)


@pytest.mark.parametrize("how", BATCHNORM)
def test_a_recipe_says_what_batchnorm_does(how):
    plain, run = fitted(ALL), fitted(replace(ALL, name=how, batchnorm=how))
    same_statistics = not changed(state(plain.model, "running"), state(run.model, "running"))
    assert same_statistics == (how == "live"), "fine-tuning all is live in all stages"
    scales = sum(tensor.numel() for tensor in state(plain.model, "scales").values())
    assert run.trained == plain.trained - (0 if how == "live" else scales)


def test_live_batchnorm_under_a_frozen_backbone_moves_it_and_is_never_cached():
    held, live = fitted(HEAD), fitted(replace(HEAD, name="live", batchnorm="live", views=1))
    assert not live.cached
    assert changed(state(held.model, "running"), state(live.model, "running")) == state(held.model, "running").keys()
    assert not [name for name in changed(state(held.model), state(live.model)) if "conv" in name]


# --- transplanted stages ---


@pytest.mark.parametrize("upto", ["layer2", -1, 0])
def test_a_transplant_copies_the_stages_before_the_cut_point_and_nothing_else(net, upto):
    into = resnet18(num_classes=7)
    own = state(into)
    transplant(net, into, upto)
    copied = {stage.name for stage in cut(into, upto)[0]}
    for name, tensor in into.state_dict().items():
        origin = net.state_dict() if name.split(".")[0] in copied else own
        assert torch.equal(tensor, origin[name]), name


def test_a_transplant_from_another_architecture_is_refused(net):
    with pytest.raises(ValueError, match="not the same architecture"):
        transplant(net, vgg11(num_classes=4), -1)


def test_a_recipe_copies_the_first_stages_alone():
    half = fitted(replace(ALL, name="half", copied="layer3", upto="layer3"))
    whole = fitted(replace(ALL, name="whole", upto="layer3"))
    assert {name.split(".")[0] for name in changed(state(whole.model), state(half.model))} == {"layer3", "layer4", "fc"}
    one, other = (run.model.state_dict()["layer3.0.conv1.weight"] for run in (half, whole))
    assert not torch.allclose(one, other, atol=0.01)


# --- subsets of the parameters ---


@pytest.mark.parametrize("what", ["batchnorm", "bias"])
@pytest.mark.parametrize("build", [small_net, small_vit])
def test_exactly_the_subset_and_the_head_move_in_a_step(build, what):
    model = train_only(freeze(build(), 0), what)
    before = dict(state(model))
    train(model, getattr(model, "image_size", 32), steps=1)
    parameters = {name for name, _ in model.named_parameters()}
    assert changed(before, state(model)) & parameters == training(model)
    rest = {name for name in training(model) if not name.startswith(("fc.", "heads."))}
    assert {name.rpartition(".")[2] for name in rest} <= ({"weight", "bias"} if what == "batchnorm" else {"bias", "in_proj_bias"})
    assert rest and all(before[name].ndim == 1 for name in rest)
    assert added_by(model)["training"] == sum(before[name].numel() for name in training(model))


def test_layernorm_counts_as_normalisation_and_attention_biases_as_biases():
    norm, bias = (training(train_only(freeze(small_vit(), 0), what)) for what in ("batchnorm", "bias"))
    assert "encoder.layers.encoder_layer_0.ln_1.weight" in norm
    assert "encoder.layers.encoder_layer_0.self_attention.in_proj_bias" in bias
    assert "class_token" not in norm | bias


@pytest.mark.parametrize("what", ["batchnorm", "bias", "lora"])
def test_only_what_freeze_left_training_is_chosen_and_freeze_sets_all_anew(what):
    if what == "lora":
        pytest.importorskip("peft")
    model = train_only(freeze(small_vit(), -1), what)
    assert training(model) == {"heads.head.weight", "heads.head.bias"}, "the head alone goes on training"
    train_only(freeze(model, "encoder.layers.encoder_layer_1"), what)
    blocks = {name.split(".")[2] for name in training(model) if name.startswith("encoder.layers.")}
    assert blocks == {"encoder_layer_1"}
    if what != "lora":
        assert training(freeze(model, 0)) == {name for name, _ in model.named_parameters()}


def test_lora_starts_as_no_change_trains_only_adapters_and_head_and_merges_into_ordinary_layers():
    pytest.importorskip("peft")
    model, images = small_vit(), torch.randn(4, 3, 16, 16)
    layers = {name: type(module) for name, module in model.named_modules()}
    with torch.no_grad():
        untouched = model.eval()(images)
        train_only(freeze(model, 0), "lora", rank=2)
        assert torch.equal(model.eval()(images), untouched)
    chosen = training(model)
    assert all(".lora_" in name or name.startswith("heads.") for name in chosen)
    assert training(train_only(freeze(model, 0), "lora")) == chosen, "LoRA twice is LoRA once"
    assert added_by(model)["training"] - added_by(model)["head"] == 2 * 2 * 2 * (32 + 64)  # layers, matrices, rank, sides
    before = state(model)
    train(model, 16)  # the second matrix is zero at first, so the first gets a gradient from the second step on
    assert changed(before, state(model)) == chosen
    with torch.no_grad():
        adapted = model.eval()(images)
        merge_adapters(model)
        assert torch.allclose(model(images), adapted, atol=1e-5) and not torch.allclose(adapted, untouched, atol=1e-3)
    assert {name: type(module) for name, module in model.named_modules()} == layers


def test_what_lora_trained_is_saved_without_the_rest_and_comes_back(tmp_path):
    pytest.importorskip("peft")
    model = train_only(freeze(small_vit(), 0), "lora", rank=2)
    images = train(model, 16)
    save_trained(model, tmp_path / "lora.safetensors")
    again = load_trained(train_only(freeze(small_vit(), 0), "lora", rank=2), tmp_path / "lora.safetensors")
    assert torch.equal(again.eval()(images), model.eval()(images))


def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    "make, what, settings, message",
    [
        (small_net, "adapter", {}, "'adapter' must be one of 'batchnorm', 'bias', 'lora'"),
        (small_net, "lora", {}, "GardenNet has no linear layers before its head"),
        (small_vit, "lora", {"rank": 0}, "rank=0"),
        (plain, "bias", {}, "no biases before its head"),
        (plain, "batchnorm", {}, "no normalisation layers"),
    ],
)
def test_a_subset_that_does_not_exist_is_refused_by_name(make, what, settings, message):
    with pytest.raises(ValueError, match=message):
        train_only(make(), what, **settings)


def test_without_peft_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match="pip install peft"):
        train_only(freeze(small_vit(), 0), "lora")
