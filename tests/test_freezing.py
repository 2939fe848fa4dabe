"""Freezing and parameter groups, in the situations in which hand-made freezing goes wrong."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout
from zoo import build

from helpers.freezing import freeze, held_modules, parameter_groups
from helpers.sources.gardennet import GardenNet
from helpers.stages import split, stages


def small_batch():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 3, torch.arange(4) % 2


def train(model, optimizer=None, steps=2, set_to_none=True):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    images, labels = small_batch()
    for _ in range(steps):
        model.train()
        optimizer.zero_grad(set_to_none)
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module, before):
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def trainable_stages(model):
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("upto, number", [(-1, 1), ("layer4", 2), (-2, 2), (-6, 7), (0.5, 5), (0, 7)])
def test_what_trains_after_freezing_up_to_a_stage(upto, number):
    stages = ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    assert trainable_stages(freeze(GardenNet(10), upto)) == set(stages[:number])


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


def test_unfreezing_is_freezing_up_to_an_earlier_stage_and_leaves_your_own_hooks():
    model, calls = GardenNet(2), []
    model.layer1.register_forward_pre_hook(lambda module, inputs: calls.append("mine"))
    train(freeze(model, -1), steps=1)
    before = snapshot(model)
    train(freeze(model, 0), steps=1)
    assert changed(model, before) == before.keys()
    assert not held_modules(model) and calls == ["mine", "mine"]


@pytest.mark.parametrize("training", [True, False])
def test_thawed_stages_follow_the_mode_of_the_model(training):
    model = freeze(GardenNet(2).train(training), -1)
    assert not any(module.training for module in model.layer1.modules())
    freeze(model, 0)
    assert {module.training for module in model.modules()} == {training}


@pytest.mark.parametrize("name, is_random", [("efficientnet_b0", True), ("alexnet", False)])
def test_dropout_right_before_the_head_stays_random_dropout_in_a_frozen_stage_does_not(name, is_random):
    """The dropout of alexnet comes before its hidden layers, which are frozen."""
    model = freeze(build(name), -1).train()
    images = torch.randn(2, 3, 63, 63)
    assert torch.equal(model(images), model(images)) != is_random


@pytest.mark.parametrize("always", [False, True], ids=["while it trains", "always"])
def test_dropout_that_is_a_function_is_refused_in_a_frozen_part_and_fine_right_before_the_head(always):
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 4)

        def forward(self, x):
            x = self.second(dropout(self.first(x), training=always or self.training))
            return self.fc(dropout(x.mean((2, 3)), training=self.training))

    model = Dropping()
    with pytest.raises(ValueError, match="calls dropout as a function, before 'second'.*Use nn.Dropout"):
        freeze(model, -1)
    assert all(parameter.requires_grad for parameter in model.parameters())
    freeze(model, "second" if always else 0)  # the dropout is not before the cut, or right before it


def test_an_old_gradient_does_not_move_a_parameter_that_is_frozen_later():
    """Momentum and weight decay would move it, where zero_grad(set_to_none=False) leaves zeros behind."""
    model = GardenNet(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    train(model, optimizer)
    freeze(model, -1)
    before = snapshot(model)
    train(model, optimizer, set_to_none=False)
    assert changed(model, before) == {"fc.weight", "fc.bias"}


def test_no_gradient_is_computed_for_a_frozen_prefix():
    model = freeze(GardenNet(2), "layer4").train()
    seen = []
    model.layer4.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].requires_grad))
    model(small_batch()[0])
    assert seen == [False]


@pytest.mark.parametrize("use", [freeze, split])
def test_batchnorm_without_running_statistics_cannot_be_frozen_or_in_a_prefix(use):
    """What a frozen prefix makes of an image must not depend on the rest of its batch."""
    model = GardenNet(2)
    model.layer2[0].bn1 = nn.BatchNorm2d(64, track_running_stats=False)
    with pytest.raises(ValueError, match=r"'layer2.0.bn1' keeps no running statistics"):
        use(model, "layer3")
    use(model, "layer2")


def test_frozen_auxiliary_heads_do_not_move_either():
    """They run in training mode only, where nothing leads from them to the head."""
    model = freeze(build("googlenet"), -1).train()
    before = snapshot(model)
    model(small_batch()[0])
    assert not changed(model, before)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_the_rates_fall_from_the_head_to_the_input_by_the_decay():
    groups = parameter_groups(GardenNet(10), lr=1.0, decay=0.5, head_times=3)
    rates = {group["name"]: group["lr"] for group in groups}
    stages = ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    assert rates == {stage: 0.5**i for i, stage in enumerate(stages)} | {"fc": 3.0}
    for rate in (0.0, 0.1):  # without a decay, all the same
        assert [group["lr"] for group in parameter_groups(GardenNet(10), rate)] == [rate] * 7


def test_weight_decay_spares_biases_and_normalisation_and_is_0_by_default():
    groups = parameter_groups(GardenNet(10), lr=0.1, weight_decay=0.01)
    assert [group["name"] for group in groups][:4] == ["conv1", "bn1/no_decay", "layer1", "layer1/no_decay"]
    for group in groups:
        spared = group["name"].endswith("/no_decay")
        assert group["weight_decay"] == (0.0 if spared else 0.01)
        assert all((parameter.ndim <= 1) == spared for parameter in group["params"])
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


@pytest.mark.parametrize("settings", [{"lr": -1}, {"lr": float("nan")}, {"lr": 1, "decay": 0}, {"lr": 1, "weight_decay": -0.1},
                                      {"lr": 1, "head_times": 0}])  # fmt: skip
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="need lr >= 0, decay > 0, weight_decay >= 0"):
        parameter_groups(GardenNet(10), **settings)


@pytest.mark.parametrize("name, first", [
    ("densenet121", "features.denseblock4"), ("vit_b_32", "encoder.layers.encoder_layer_11"), ("convnext_tiny", "features.7"),
    ("swin_t", "features.7"), ("resnet18", "layer4"),
])  # fmt: skip
def test_the_last_stage_before_the_head_is_one_with_weights_not_its_normalisation(name, first):
    model = freeze(build(name, meta=True), -2)
    training = [stage.name for stage in stages(model) if any(parameter.requires_grad for parameter in stage.parameters)]
    assert training[0].startswith(first) and len(training) >= 2
