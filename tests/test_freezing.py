"""Freezing and parameter groups, in the situations in which hand-made freezing goes wrong."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from zoo import build

from helpers.freezing import freeze, held_modules, parameter_groups
from helpers.sources.gardennet import GardenNet


def small_batch(n=4, size=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, size, size, generator=generator) + 3, torch.arange(n) % 2


def train(model, optimizer=None, steps=2, size=32):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    images, labels = small_batch(size=size)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module, before):
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def trainable_stages(model):
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    "upto, stages",
    [
        (-1, {"fc"}),
        ("head", {"fc"}),
        (1.0, {"fc"}),
        ("layer4", {"layer4", "fc"}),
        (-2, {"layer4", "fc"}),
        (0.5, {"layer1", "layer2", "layer3", "layer4", "fc"}),
        (0, {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}),
    ],
)
def test_what_trains_after_freezing_up_to_a_stage(upto, stages):
    assert trainable_stages(freeze(GardenNet(10), upto)) == stages


@pytest.mark.parametrize("upto", [2, -8, "layer9", None])
def test_an_unknown_stage_is_refused_and_nothing_changes(upto):
    model = freeze(GardenNet(10), "layer4")
    with pytest.raises((ValueError, TypeError), match="or one of the stages conv1, bn1"):
        freeze(model, upto)
    assert trainable_stages(model) == {"layer4", "fc"}


def test_training_mode_alone_does_not_thaw_a_frozen_model():
    """However often train() is called, on the model or on a frozen stage."""
    model = freeze(GardenNet(2), -1)
    before = snapshot(model)
    model.train().train()
    model.layer1.train()
    model.layer2[0].bn1.train()
    model(small_batch()[0])
    assert not changed(model, before)
    assert not any(module.training for module in model.layer2.modules())


@pytest.mark.parametrize("again", ["deepcopy", "saved and loaded", "state_dict"])
def test_a_copy_of_a_frozen_model_is_as_frozen(again, tmp_path):
    model = freeze(GardenNet(2), "layer4")
    if again == "deepcopy":
        twin = copy.deepcopy(model)
    elif again == "saved and loaded":
        torch.save(model, tmp_path / "model.pt")
        twin = torch.load(tmp_path / "model.pt", weights_only=False)
    else:
        twin = freeze(GardenNet(2), "layer4")
        twin.load_state_dict(model.state_dict())
    before = snapshot(twin)
    assert {name.split(".")[0] for name in changed(train(twin), before)} == {"layer4", "fc"}
    assert not changed(model, before)


def test_unfreezing_is_freezing_up_to_an_earlier_stage():
    model = train(freeze(GardenNet(2), -1))
    before = snapshot(model)
    train(freeze(model, 0))
    assert changed(model, before) == before.keys()
    assert not held_modules(model)


def test_thawed_stages_follow_the_mode_of_the_model():
    model = freeze(GardenNet(2).eval(), -1)
    freeze(model, 0)
    assert not any(module.training for module in model.modules())
    model.train()
    freeze(freeze(model, -1), 0)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("name, is_random", [("efficientnet_b0", True), ("alexnet", False)])
def test_dropout_right_before_the_head_stays_random_dropout_in_a_frozen_stage_does_not(name, is_random):
    """The dropout of alexnet comes before its hidden layers, which are frozen."""
    model = freeze(build(name), -1).train()
    images = torch.randn(2, 3, 63, 63)
    assert torch.equal(model(images), model(images)) != is_random


def test_an_old_gradient_does_not_move_a_parameter_that_is_frozen_later():
    """Momentum and weight decay would move it, where zero_grad(set_to_none=False) leaves zeros behind."""
    model = GardenNet(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    train(model, optimizer)
    freeze(model, -1)
    before = snapshot(model)
    images, labels = small_batch()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=False)
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert changed(model, before) == {"fc.weight", "fc.bias"}


def test_no_gradient_is_computed_for_a_frozen_prefix():
    model = freeze(GardenNet(2), "layer4").train()
    seen = []
    model.layer4.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].requires_grad))
    model(small_batch()[0])
    assert seen == [False]


def test_other_hooks_stay_when_a_stage_is_frozen_and_thawed():
    model, calls = GardenNet(2), []
    model.layer1.register_forward_pre_hook(lambda module, inputs: calls.append("mine"))
    freeze(freeze(model, -1), 0)
    model(small_batch()[0])
    assert calls == ["mine"]


def test_batchnorm_without_running_statistics_cannot_be_frozen():
    model = GardenNet(2)
    model.layer2[0].bn1 = nn.BatchNorm2d(64, track_running_stats=False)
    with pytest.raises(ValueError, match=r"'layer2.0.bn1' keeps no running statistics"):
        freeze(model, "layer3")
    assert trainable_stages(freeze(model, "layer2")) == {"layer2", "layer3", "layer4", "fc"}


def test_frozen_auxiliary_heads_do_not_move_either():
    """They run in training mode only, where nothing leads from them to the head."""
    model = freeze(build("googlenet"), -1).train()
    before = snapshot(model)
    model(torch.randn(2, 3, 32, 32))
    assert not changed(model, before)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_the_class_token_of_a_vit_is_frozen_with_the_stages_before_it_is_used():
    model = build("vit_b_32", meta=True)
    assert not freeze(model, "encoder.dropout").class_token.requires_grad
    assert not model.encoder.pos_embedding.requires_grad
    assert freeze(model, 0).class_token.requires_grad


def test_the_rates_fall_from_the_head_to_the_input_by_the_decay():
    groups = parameter_groups(GardenNet(10), lr=1.0, decay=0.5)
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == {
        "conv1": 1 / 64, "bn1": 1 / 32, "layer1": 1 / 16, "layer2": 1 / 8, "layer3": 1 / 4, "layer4": 1 / 2, "fc": 1.0
    }  # fmt: skip


def test_weight_decay_spares_biases_and_normalisation():
    groups = parameter_groups(GardenNet(10), lr=0.1, weight_decay=0.01)
    assert [group["name"] for group in groups][:4] == ["conv1", "bn1/no_decay", "layer1", "layer1/no_decay"]
    for group in groups:
        spared = group["name"].endswith("/no_decay")
        assert group["weight_decay"] == (0.0 if spared else 0.01)
        assert all((parameter.ndim <= 1) == spared for parameter in group["params"])


def test_without_weight_decay_there_is_one_group_a_stage_and_none_decays():
    optimizer = torch.optim.AdamW(parameter_groups(GardenNet(10), lr=0.1))  # whose own default is 0.01
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0] * 7


def test_frozen_parameters_are_in_the_groups_and_train_once_thawed():
    model = freeze(GardenNet(2), -1)
    optimizer = torch.optim.AdamW(parameter_groups(model, lr=0.01))
    before = snapshot(model)
    train(model, optimizer)
    assert changed(model, before) == {"fc.weight", "fc.bias"}
    assert len(optimizer.state) == 2  # nothing is kept for parameters that have never been trained
    train(freeze(model, "layer4"), optimizer)
    assert any(name.startswith("layer4") for name in changed(model, before))


IMPOSSIBLE = [{"lr": -1}, {"lr": float("nan")}, {"lr": 1, "decay": 0}, {"lr": 1, "weight_decay": -0.1}]


@pytest.mark.parametrize("settings", IMPOSSIBLE)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="need lr >= 0, decay > 0, weight_decay >= 0"):
        parameter_groups(GardenNet(10), **settings)
