"""Finding and swapping heads."""

import warnings

import pytest
import torch
from torch import nn
from zoo import build

from helpers.heads import find_head, swap_head
from helpers.sources.gardennet import GardenNet


class HeadFirst(nn.Module):
    """A net whose head is registered before its body."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU())

    def forward(self, x):
        return self.head(self.body(x))


class Wrapper(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


def swap_quietly(model, num_classes, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return swap_head(model, num_classes, **settings)


def test_the_head_is_the_layer_that_runs_last_not_the_one_made_last():
    assert find_head(HeadFirst()) == "head"
    assert swap_head(HeadFirst(), 3)(torch.ones(2, 3, 2, 2)).shape == (2, 3)


def test_the_head_of_a_model_within_a_model_is_found():
    model = Wrapper(Wrapper(GardenNet(10)))
    assert find_head(model) == "net.net.fc"
    assert swap_head(model, 3)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("model", [nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Sequential(), nn.Linear(3, 2)])
def test_a_model_without_an_output_layer_inside_is_refused(model):
    with pytest.raises(ValueError, match="no head: its forward pass runs no Linear or Conv2d layer"):
        swap_head(model, 2)


@pytest.mark.parametrize("num_classes", [0, -1])
def test_fewer_than_one_class_is_refused(num_classes):
    with pytest.raises(ValueError, match=f"num_classes must be at least 1, got {num_classes}"):
        swap_head(GardenNet(10), num_classes)


@pytest.mark.parametrize("num_classes", [True, 2.0, "3", None, ["daisy", "rose"]])
def test_a_number_of_classes_that_is_no_integer_is_refused(num_classes):
    with pytest.raises(TypeError, match="num_classes must be an integer"):
        swap_head(GardenNet(10), num_classes)


def test_a_refused_swap_changes_nothing():
    model = build("squeezenet1_0")
    before = list(model.modules())
    for settings in ({"num_classes": 0}, {"num_classes": 2, "head": "no.such"}, {"num_classes": 2, "head": "features"}):
        with pytest.raises(ValueError):
            swap_head(model, **settings)
    assert list(model.modules()) == before


def test_the_head_can_be_named():
    model = swap_head(HeadFirst(), 3, head="body.1")
    assert model.body[1].out_features == 3 and model.head.out_features == 5


@pytest.mark.parametrize(
    "head, message", [("classifier", "no module 'classifier'"), ("body", "a head is a Linear or Conv2d"), ("", "head")]
)
def test_a_named_head_that_is_none_is_refused(head, message):
    with pytest.raises(ValueError, match=message):
        swap_head(HeadFirst(), 3, head=head)


def test_a_head_without_bias_gets_none():
    assert build("maxvit_t", meta=True).classifier[5].bias is None
    assert swap_head(build("maxvit_t", meta=True), 3).classifier[5].bias is None


def test_a_convolution_as_head_keeps_its_geometry():
    net = nn.Sequential(nn.Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), dilation=1, groups=2, padding_mode="reflect"))
    head = swap_head(net, 2)[0]
    assert (head.kernel_size, head.stride, head.padding, head.groups) == ((3, 1), (2, 2), (1, 0), 2)
    assert head.padding_mode == "reflect" and head.weight.shape == (2, 2, 3, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_new_head_has_the_dtype_and_device_of_the_old(dtype):
    head = swap_head(GardenNet(10).to("meta", dtype), 3).fc
    assert head.weight.dtype == head.bias.dtype == dtype and head.weight.is_meta


def test_the_new_head_trains_even_if_everything_was_frozen_by_hand():
    model = swap_head(GardenNet(10).requires_grad_(False).eval(), 3)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert not model.fc.training


def test_squeezenet_can_give_negative_logits_after_the_swap_and_is_told_to():
    model = build("squeezenet1_0")
    with pytest.warns(UserWarning, match="removed the ReLU behind the head of SqueezeNet"):
        swap_head(model, 200)
    assert (model.eval()(torch.randn(2, 3, 32, 32)) < 0).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swap_head(model, 3)  # no second warning: the ReLU is gone


def test_the_relu_of_another_place_stays_when_it_is_shared_with_the_one_behind_the_head():
    relu = nn.ReLU()
    model = swap_quietly(nn.Sequential(nn.Flatten(), nn.Linear(12, 8), relu, nn.Linear(8, 4), relu), 3)
    assert model[2] is relu and isinstance(model[4], nn.Identity)


@pytest.mark.parametrize("name, size", [("googlenet", 32), ("inception_v3", 75)])
@pytest.mark.parametrize("wrap", [lambda net: net, Wrapper])
def test_training_gives_plain_logits_once_the_auxiliary_heads_are_gone(name, size, wrap):
    model = swap_head(wrap(build(name)), 7).train()
    logits = model(torch.randn(2, 3, size, size))
    assert isinstance(logits, torch.Tensor) and logits.shape == (2, 7)


def test_a_branch_of_ones_own_that_is_called_aux_stays():
    class Net(HeadFirst):
        def __init__(self):
            super().__init__()
            self.aux = nn.Linear(8, 8)

        def forward(self, x):
            return self.head(self.aux(self.body(x)))

    assert swap_head(Net(), 3)(torch.ones(2, 3, 2, 2)).shape == (2, 3)
