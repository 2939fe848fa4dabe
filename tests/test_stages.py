"""Stages and splits, on models that users bring and in the ways that they call them."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo import build

from helpers.freezing import freeze
from helpers.sources.gardennet import GardenNet
from helpers.stages import cut, split, stage_names, stages


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
        ("densenet121", 13, "features.conv0", "classifier"),
        ("inception_v3", 20, "Conv2d_1a_3x3", "fc"),
        ("mobilenet_v3_small", 17, "features.0", "classifier.3"),
        ("squeezenet1_0", 14, "features.0", "classifier.1"),
        ("swin_t", 13, "features.0", "head"),
        ("vgg11", 28, "features.0", "classifier.6"),
        ("vit_b_16", 16, "conv_proj", "heads.head"),
        ("efficientnet_lite0", 13, "conv_stem", "classifier"),
    ],
)
def test_each_family_has_its_stages_from_the_input_to_the_head(name, number, first, last):
    names = stage_names(build(name, meta=True))
    assert (len(names), names[0], names[-1]) == (number, first, last)


def test_the_garden_model_has_the_stages_of_a_resnet_and_so_has_a_resnet_within_a_model():
    assert stage_names(GardenNet()) == stage_names(build("resnet18", meta=True)) == RESNET
    assert stage_names(nn.Sequential(build("resnet18", meta=True))) == [f"0.{name}" for name in RESNET]


def test_a_group_of_blocks_of_an_efficientnet_of_timm_is_a_stage_though_a_wide_layer_follows_them():
    groups = [f"blocks.{i}" for i in range(7)]
    assert stage_names(build("efficientnet_lite0"))[1:-3] == ["bn1", *groups, "conv_head"]


def test_stages_come_in_the_order_of_the_forward_pass_a_layer_used_twice_where_it_is_used_first():
    """The kind of net that beginners write: one pooling layer for all, functional ReLU, modules made in any order."""
    forward = lambda self, x: self.last(self.pool(F.relu(self.conv2(self.pool(F.relu(self.conv1(x)))))))
    model, images = Chain(forward, last=nn.Conv2d(3, 3, 1), pool=nn.MaxPool2d(2)).eval(), torch.randn(2, 3, 8, 8)
    assert stage_names(model) == ["conv1", "pool", "conv2", "last", "head"]
    for name in stage_names(model):
        prefix, suffix = split(model, name)
        assert torch.equal(suffix(prefix(images)), model(images))


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


FORMS = {-1: "fc", "fc": "fc", "head": "fc", 1.0: "fc", -2: "layer4", "layer3": "layer3", 0.5: "layer1", 0: "conv1"}


@pytest.mark.parametrize("at, stage", FORMS.items())
def test_the_forms_in_which_a_cut_is_given(at, stage):
    model, images = GardenNet(10).eval(), torch.randn(2, 3, 32, 32)
    prefix, suffix = split(model, at)
    assert [name for name, _ in prefix.named_children()] == RESNET[: RESNET.index(stage)]
    assert [name for name, _ in suffix.named_children()] == RESNET[RESNET.index(stage) :]
    assert torch.equal(suffix(prefix(images)), model(images))


VALUES, TYPES = [1.5, -99, 2, -0.5, float("nan"), "layer5", "layer4.0", ""], [True, None, ["layer4"], b"layer4"]


@pytest.mark.parametrize("at, error", [(at, ValueError) for at in VALUES] + [(at, TypeError) for at in TYPES])
def test_an_unknown_cut_point_is_refused_with_a_list_of_stages_and_nothing_changes(at, error):
    model = freeze(GardenNet(10), "layer4")
    for function in (split, freeze):
        with pytest.raises(error, match="not a cut point.*conv1, bn1, relu, maxpool, layer1, layer2"):
            function(model, at)
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad} == {"layer4", "fc"}


def test_the_halves_share_the_tensors_of_the_model_can_be_copied_and_leave_its_mode_as_it_is():
    model, images = GardenNet(10).eval(), torch.randn(2, 3, 32, 32)
    model.layer1.train()
    before = {name: module.training for name, module in model.named_modules()}
    prefix, suffix = split(model, "layer3")
    assert {name: module.training for name, module in model.named_modules()} == before
    state = {**prefix.state_dict(keep_vars=True), **suffix.state_dict(keep_vars=True)}
    assert state.keys() == model.state_dict().keys()
    assert all(state[name] is tensor for name, tensor in model.state_dict(keep_vars=True).items())
    model.eval()
    for again in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))):
        assert torch.equal(again(suffix)(again(prefix)(images)), model(images))


@pytest.mark.parametrize("name, at", [("squeezenet1_0", "features.1"), ("efficientnet_b0", -1)])
def test_a_suffix_that_begins_in_place_leaves_a_slice_of_kept_features_as_it_is(name, at):
    """squeezenet's ReLU and efficientnet's Dropout overwrite their input."""
    prefix, suffix = split(build(name).train(), at)
    with torch.no_grad():
        features = prefix(torch.randn(4, 3, 32, 32))
        before = features.clone()
        suffix(features[:2])
    assert torch.equal(features, before)


def test_a_head_that_other_values_bypass_cannot_be_cut_off():
    class Bypass(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 2, 1), nn.Linear(3, 2)

        def forward(self, x):
            return self.conv(x).mean((2, 3)) + self.head(x.mean((2, 3)))

    with pytest.raises(ValueError, match="no single head: .* is 'head', and behind .* joins it with 'mean'"):
        stage_names(Bypass())


def test_a_model_that_cannot_be_followed_is_refused():
    with pytest.raises(TypeError, match="expected a model .torch.nn.Module., got str"):
        stage_names("resnet18")
    with pytest.raises(ValueError, match="cannot follow the forward pass of Chain.* that depend on the tensor$"):
        stage_names(Chain(lambda self, x: self.conv1(x) if x.sum() > 0 else self.conv2(x)))
    with pytest.raises(ValueError, match="lazy layers, which are still empty: run one batch"):
        stage_names(nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Linear(8, 2)))
    functional = Chain(lambda self, x: F.dropout(self.conv2(self.conv1(x)), training=self.training))
    with pytest.raises(ValueError, match="use nn.Dropout instead of F.dropout"):
        split(functional, -1)


def test_minus_two_is_the_last_stage_with_parameters_before_the_head():
    """Not the ReLU or the Dropout between the two."""
    assert cut(build("vgg11", meta=True), -2)[1][0].name == "classifier.3"


def test_what_the_forward_pass_never_uses_belongs_to_the_first_stage():
    model = Chain(lambda model, x: model.conv2(model.conv1(x)), spare=nn.Linear(4, 4))
    model.scale = nn.Parameter(torch.ones(5))
    first, *others = stages(model)
    assert model.spare in first.modules and any(p is model.scale for p in first.parameters)
    assert not any(model.spare in stage.modules or any(p is model.scale for p in stage.parameters) for stage in others)


def test_zero_cuts_before_everything_also_where_the_first_stage_has_no_weights():
    model = nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    before, after = cut(model, 0)
    assert not before and [stage.name for stage in after] == ["0", "1", "2"]
    assert [stage.name for stage in cut(model, -2)[0]] == ["0"]
