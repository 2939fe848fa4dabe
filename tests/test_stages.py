"""Stages and splits, on models that users bring and in the ways that they call them."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo import build

from helpers.sources.gardennet import GardenNet
from helpers.stages import cut, split, stage_names, stages


class Cifar(nn.Module):
    """The kind of net that beginners write: one pooling layer for all, the head made first, functional ReLU."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(16, 10)
        self.pool = nn.MaxPool2d(2)
        self.conv1 = nn.Conv2d(3, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.hidden = nn.Linear(16 * 6 * 6, 16)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(x.size(0), -1)
        return self.output(F.relu(self.hidden(x)))


class Chain(nn.Module):
    """conv1, conv2 and the head, with a forward pass to choose."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        for name, module in modules.items():
            setattr(self, name, module)
        self.head = nn.Linear(3, 2)
        self.run = forward

    def forward(self, x):
        return self.head(self.run(self, x).mean((2, 3)))


RESNET = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]


@pytest.mark.parametrize(
    "name, number, first, last",
    [
        ("alexnet", 21, "features.0", "classifier.6"),
        ("convnext_tiny", 12, "features.0", "classifier.2"),
        ("densenet121", 13, "features.conv0", "classifier"),
        ("efficientnet_b0", 11, "features.0", "classifier.1"),
        ("googlenet", 18, "conv1", "fc"),
        ("inception_v3", 20, "Conv2d_1a_3x3", "fc"),
        ("maxvit_t", 11, "stem", "classifier.5"),
        ("mnasnet0_5", 18, "layers.0", "classifier.1"),
        ("mobilenet_v3_small", 17, "features.0", "classifier.3"),
        ("regnet_y_400mf", 7, "stem", "fc"),
        ("resnet18", 10, "conv1", "fc"),
        ("shufflenet_v2_x0_5", 7, "conv1", "fc"),
        ("squeezenet1_0", 14, "features.0", "classifier.1"),
        ("swin_t", 13, "features.0", "head"),
        ("vgg11", 28, "features.0", "classifier.6"),
        ("vit_b_16", 16, "conv_proj", "heads.head"),
    ],
)
def test_each_family_has_its_stages_from_the_input_to_the_head(name, number, first, last):
    names = stage_names(build(name, meta=True))
    assert (len(names), names[0], names[-1]) == (number, first, last)


def test_the_garden_model_has_the_stages_of_a_resnet():
    assert stage_names(GardenNet()) == stage_names(build("resnet18", meta=True)) == RESNET


def test_stages_come_in_the_order_of_the_forward_pass_a_layer_used_twice_where_it_is_used_first():
    assert stage_names(Cifar()) == ["conv1", "pool", "conv2", "hidden", "output"]


def test_a_split_between_two_uses_of_a_layer_without_weights_is_right():
    model, images = Cifar().eval(), torch.randn(2, 3, 32, 32)
    for name in stage_names(model):
        prefix, suffix = split(model, name)
        assert torch.equal(suffix(prefix(images)), model(images))


def test_a_model_within_a_model_has_stages_too():
    assert stage_names(nn.Sequential(build("resnet18", meta=True))) == [f"0.{name}" for name in RESNET]


def test_a_list_of_blocks_is_a_stage_a_block():
    net = Chain(lambda self, x: [x := block(x) for block in self.blocks][-1])
    net.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()) for _ in range(3)])
    assert stage_names(net) == ["blocks.0", "blocks.1", "blocks.2", "head"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: x + self.conv2(self.conv1(x)),
        lambda self, x: self.conv1(self.conv2(self.conv1(x))),
        lambda self, x: self.drop(self.conv2(self.drop(self.conv1(x)))),  # frozen before the cut, random after it?
    ],
    ids=["a residual connection", "two uses of the same weights", "two uses of the same dropout"],
)
def test_no_cut_within(forward):
    assert stage_names(Chain(forward, drop=nn.Dropout())) == ["conv1", "head"]


def test_weights_that_are_tied_or_replaced_later_are_seen():
    net = Chain(lambda self, x: self.conv2(self.conv1(x)))
    assert stage_names(net) == ["conv1", "conv2", "head"]
    net.conv2.weight = net.conv1.weight
    assert stage_names(net) == ["conv1", "head"]
    net.conv2 = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    assert stage_names(net) == ["conv1", "conv2", "head"]
    assert set(net.parameters()) == {p for stage in stages(net) for p in stage.parameters}


def test_dropout_right_before_the_head_belongs_to_the_head():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout2d(), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4, 2))
    assert stage_names(layers) == ["0", "1", "2", "5"]
    prefix, suffix = split(layers, -1)
    assert prefix(torch.ones(1, 3, 1, 1)).shape == (1, 4, 1, 1)
    assert any(isinstance(module, nn.Dropout) for module in suffix.modules())


@pytest.mark.parametrize(
    "at, stage", [(-1, "fc"), ("fc", "fc"), ("head", "fc"), (1.0, "fc"), (0.5, "layer1"), ("layer3", "layer3")]
)
def test_the_forms_in_which_a_cut_is_given(at, stage):
    prefix, suffix = split(GardenNet(10), at)
    assert [name for name, _ in prefix.named_children()] == RESNET[: RESNET.index(stage)]
    assert [name for name, _ in suffix.named_children()] == RESNET[RESNET.index(stage) :]


@pytest.mark.parametrize("at", [0, 0.0, "conv1"])
def test_a_cut_at_the_input_leaves_the_prefix_empty(at):
    model, images = GardenNet(10).eval(), torch.randn(2, 3, 32, 32)
    prefix, suffix = split(model, at)
    assert prefix(images) is images
    assert torch.equal(suffix(images), model(images))


VALUES = [1.5, -99, 2, -0.5, float("nan"), "layer5", "layer4.0", "features", ""]
TYPES = [True, False, None, ["layer4"], 1j, b"layer4"]


@pytest.mark.parametrize("at, error", [(at, ValueError) for at in VALUES] + [(at, TypeError) for at in TYPES])
def test_an_unknown_cut_point_is_refused_with_a_list_of_stages(at, error):
    with pytest.raises(error, match="not a cut point.*conv1, bn1, relu, maxpool, layer1, layer2"):
        split(GardenNet(10), at)


def test_the_halves_share_the_parameters_and_statistics_of_the_model():
    model = GardenNet(10)
    prefix, suffix = split(model, "layer3")
    state = {**prefix.state_dict(keep_vars=True), **suffix.state_dict(keep_vars=True)}
    assert state.keys() == model.state_dict().keys()
    assert all(state[name] is tensor for name, tensor in model.state_dict(keep_vars=True).items())


@pytest.mark.parametrize("name, at, size", [("squeezenet1_0", "features.1", 32), ("efficientnet_b0", -1, 32)])
def test_a_suffix_that_begins_in_place_leaves_a_slice_of_kept_features_as_it_is(name, at, size):
    """squeezenet's ReLU and efficientnet's Dropout overwrite their input."""
    model = build(name).train()
    prefix, suffix = split(model, at)
    with torch.no_grad():
        features = prefix(torch.randn(4, 3, size, size))
        before = features.clone()
        suffix(features[:2])
    assert torch.equal(features, before)


def test_splitting_leaves_the_mode_of_each_module_as_it_is():
    model = GardenNet(10).train()
    model.layer1.eval()
    before = {name: module.training for name, module in model.named_modules()}
    split(model, "layer3")
    assert {name: module.training for name, module in model.named_modules()} == before


def test_halves_can_be_copied_and_pickled():
    model, images = GardenNet(10).eval(), torch.randn(2, 3, 32, 32)
    for again in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))):
        prefix, suffix = map(again, split(model, "layer2"))
        assert torch.equal(suffix(prefix(images)), model(images))


def test_functional_dropout_cannot_be_split_and_the_message_says_what_to_do():
    functional = Chain(lambda self, x: F.dropout(self.conv2(self.conv1(x)), training=self.training))
    with pytest.raises(ValueError, match="use nn.Dropout instead of F.dropout"):
        split(functional, -1)


def test_batchnorm_without_running_statistics_cannot_be_in_a_prefix():
    """What a frozen prefix makes of an image must not depend on the rest of its batch."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="'1' keeps no running statistics"):
        split(net, -1)
    split(net, "1")


def test_a_head_that_other_values_bypass_cannot_be_cut_off():
    class Bypass(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 2, 1), nn.Linear(3, 2)

        def forward(self, x):
            return self.conv(x).mean((2, 3)) + self.head(x.mean((2, 3)))

    with pytest.raises(ValueError, match="cannot cut Bypass before its head 'head'"):
        stage_names(Bypass())


def test_a_forward_pass_that_looks_at_values_is_refused():
    with pytest.raises(ValueError, match="cannot follow the forward pass of Chain"):
        stage_names(Chain(lambda self, x: self.conv1(x) if x.sum() > 0 else self.conv2(x)))


def test_lazy_layers_have_to_be_filled_first():
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Linear(8, 2))
    with pytest.raises(ValueError, match="lazy"):
        stage_names(net)
    net(torch.ones(1, 3))
    assert stage_names(net) == ["0", "1", "2"]


def test_something_that_is_not_a_model_is_refused():
    with pytest.raises(TypeError, match="expected a model .torch.nn.Module., got str"):
        stage_names("resnet18")


def test_minus_two_is_the_last_stage_with_parameters_before_the_head():
    resnet, vgg = build("resnet18"), build("vgg11")
    assert [cut(resnet, at)[1][0].name for at in (-1, -2, -3)] == ["fc", "layer4", "layer3"]
    assert cut(vgg, -2)[1][0].name == "classifier.3"  # not the ReLU or the Dropout between the two
