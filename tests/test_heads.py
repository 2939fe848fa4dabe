"""Finding and swapping heads."""

import copy
import gc
import pickle
import re
import warnings
import weakref

import pytest
import timm
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models import get_model
from zoo import build

from helpers import heads
from helpers.freezing import freeze, parameter_groups
from helpers.heads import find_head, swap_head
from helpers.sources.gardennet import GardenNet
from helpers.stages import split


class HeadFirst(nn.Module):
    """A net whose head is registered before its body."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU())

    def forward(self, x):
        return self.head(self.body(x))


def test_the_head_is_the_layer_that_runs_last_also_if_it_was_made_first_or_in_a_model_within_a_model():
    assert find_head(HeadFirst()) == "head" and find_head(nn.Sequential(nn.Sequential(HeadFirst()))) == "0.0.head"
    assert swap_head(nn.Sequential(HeadFirst()), 3)(torch.ones(2, 3, 2, 2)).shape == (2, 3)


@pytest.mark.parametrize("model", [nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Sequential(), nn.Linear(3, 2)])
def test_a_model_without_an_output_layer_inside_is_refused(model):
    with pytest.raises(ValueError, match="no head: its forward pass runs no Linear or Conv2d layer"):
        swap_head(model, 2)


def headless(name, **settings):
    model = timm.create_model(name, num_classes=0) if "/" not in name else get_model(name.removeprefix("torchvision/"))
    for part, layer in settings.items():
        setattr(model, part, layer)
    return model


HEADLESS = {
    "resnet18, fc = Identity": (lambda: headless("torchvision/resnet18", fc=nn.Identity()), "'layer4.1.bn2' .BatchNorm2d"),
    "squeezenet, classifier empty": (lambda: headless("torchvision/squeezenet1_0", classifier=nn.Sequential()), "joins it with"),
    "mobilenet_v2, classifier empty": (lambda: headless("torchvision/mobilenet_v2", classifier=nn.Sequential()), "BatchNorm2d"),
    "a ViT of timm": (lambda: headless("vit_tiny_patch16_224"), "joins it with"),
    "a ResNet of timm": (lambda: headless("resnet10t"), "BatchNorm2d"),
    "two heads": (lambda: timm.create_model("deit_tiny_distilled_patch16_224"), "joins it with 'head'"),
    "BatchNorm behind the head": (lambda: nn.Sequential(*BODY(), nn.BatchNorm1d(10)), "'4' .BatchNorm1d"),
}


def BODY():
    return [nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)]


@pytest.mark.parametrize("make, what", HEADLESS.values(), ids=HEADLESS)
@pytest.mark.parametrize("use", [lambda model: swap_head(model, 5), lambda model: freeze(model, -1)], ids=["swap", "freeze"])
def test_a_model_without_a_head_or_with_two_is_refused_and_stays_as_it_was(make, what, use):
    model = make()
    before = {name: (module, module.training) for name, module in model.named_modules()}
    with pytest.raises(ValueError, match=f"no single head: .*{what}"):
        use(model)
    assert before == {name: (module, module.training) for name, module in model.named_modules()}
    assert all(parameter.requires_grad for parameter in model.parameters())


class Ends(nn.Module):
    """A network whose forward pass ends in `end`."""

    def __init__(self, end):
        super().__init__()
        self.body, self.end = nn.Sequential(*BODY()), end

    def forward(self, x):
        return self.end(self.body(x))


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.Sigmoid(), nn.ReLU()], ids=repr)
@pytest.mark.parametrize("model", [lambda end: nn.Sequential(*BODY(), end), Ends], ids=["in a Sequential", "an attribute"])
def test_what_would_spoil_the_logits_leaves_with_the_old_head(model, end):
    with pytest.warns(UserWarning, match=f"removed the {type(end).__name__} after the head"):
        logits = swap_head(model(end), 50)(torch.randn(8, 3, 9, 9))
    assert (logits < 0).any() and not torch.allclose(logits.sum(1), torch.ones(8))


@pytest.mark.parametrize("end", [torch.sigmoid, lambda x: x.softmax(1), lambda x: nn.functional.softmax(x, 1)])
def test_a_softmax_that_is_a_function_cannot_be_taken_out_and_is_refused_before_anything_changes(end):
    model = Ends(end)
    old = model.body[3]
    with pytest.raises(ValueError, match="applies '(softmax|sigmoid)' to the output of its head.*let forward"):
        swap_head(model, 5)
    assert model.body[3] is old


@pytest.mark.parametrize("end", [nn.LogSoftmax(1), lambda x: x / x.norm(dim=1, keepdim=True), lambda x: x.view(x.size(0), -1)])
def test_what_does_no_harm_behind_a_head_stays(end):
    assert swap_head(Ends(end), 5).end is end
    for forward in (lambda self, x: self.body(x).view(x.shape[0], -1), lambda self, x, times=2.0: self.body(x) * times):
        kind = type("Other", (Ends,), {"forward": forward})
        assert find_head(kind(end)) == "body.3", "neither a shape nor an argument with a default joins values"


WRAPPED = {"DataParallel": (nn.DataParallel, "model.module"), "compiled": (torch.compile, "model._orig_mod"),
           "an average of weights": (AveragedModel, "model.module")}  # fmt: skip


@pytest.mark.parametrize("wrap, inner", WRAPPED.values(), ids=WRAPPED)
def test_a_model_that_is_wrapped_up_is_refused_with_what_to_pass_instead(wrap, inner):
    with pytest.raises(ValueError, match=f"Does it only wrap a network. Then pass that: {inner}"):
        freeze(wrap(GardenNet(10)), -1)
    forward = {"__module__": "transformers.vit", "forward": lambda self, x: self.end(x) if x.sum() > 0 else x}
    with pytest.raises(ValueError, match="cannot follow the forward pass of ViT.*timm has such networks"):
        find_head(type("ViT", (Ends,), forward)(nn.Linear(10, 5)))


@pytest.mark.parametrize("num_classes, error", [(0, ValueError), (True, TypeError), (2.0, TypeError), (["daisy"], TypeError)])
def test_an_impossible_number_of_classes_is_refused_and_nothing_changes(num_classes, error):
    model = GardenNet(10)
    with pytest.raises(error, match=f"num_classes must be .* got {re.escape(repr(num_classes))}"):
        swap_head(model, num_classes)
    assert model.fc.out_features == 10


def test_the_head_can_be_named():
    model = swap_head(HeadFirst(), 3, head="body.1")
    assert model.body[1].out_features == 3 and model.head.out_features == 5


@pytest.mark.parametrize("head", ["classifier", "body", ""])
def test_a_named_head_that_does_not_exist_is_refused_and_nothing_changes(head):
    model = HeadFirst()
    before = list(model.modules())
    with pytest.raises(ValueError, match=f"HeadFirst has no Linear or Conv2d layer named '{head}'"):
        swap_head(model, 3, head=head)
    assert list(model.modules()) == before


def test_a_convolution_as_head_keeps_its_geometry():
    net = nn.Sequential(nn.Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), dilation=1, groups=2, padding_mode="reflect"))
    head = swap_head(net, 2)[0]
    assert (head.kernel_size, head.stride, head.padding, head.groups) == ((3, 1), (2, 2), (1, 0), 2)
    assert head.padding_mode == "reflect" and head.weight.shape == (2, 2, 3, 1)


def test_the_new_head_has_the_dtype_and_device_of_the_old_and_no_bias_if_that_has_none():
    head = swap_head(GardenNet(10).to("meta", torch.bfloat16), 3).fc
    assert head.weight.dtype == head.bias.dtype == torch.bfloat16 and head.weight.is_meta
    assert swap_head(build("maxvit_t", meta=True), 3).classifier[5].bias is None


def test_the_new_head_trains_even_if_everything_was_frozen_by_hand():
    model = swap_head(GardenNet(10).requires_grad_(False).eval(), 3)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert not model.fc.training


def test_squeezenet_can_give_negative_logits_after_the_swap_and_a_warning_tells_you():
    model = build("squeezenet1_0")
    with pytest.warns(UserWarning, match="removed the ReLU after the head of SqueezeNet"):
        swap_head(model, 200)
    assert (model.eval()(torch.randn(2, 3, 32, 32)) < 0).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swap_head(model, 3)  # no second warning: the ReLU is gone


def test_a_relu_that_is_also_used_elsewhere_stays_there():
    relu = nn.ReLU()
    with pytest.warns(UserWarning, match="removed the ReLU"):
        model = swap_head(nn.Sequential(nn.Flatten(), nn.Linear(12, 8), relu, nn.Linear(8, 4), relu), 3)
    assert model[2] is relu and isinstance(model[4], nn.Identity)


@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential])
def test_training_gives_plain_logits_once_the_auxiliary_heads_are_gone(wrap):
    """test_backbones.py has inception_v3, too."""
    model = swap_head(wrap(build("googlenet")), 7)
    logits = model.train()(torch.randn(2, 3, 32, 32))
    assert heads.drop_auxiliary_heads(model) is model
    assert isinstance(logits, torch.Tensor) and logits.shape == (2, 7)


# --- a model is traced once ---


@pytest.fixture
def traced(monkeypatch):
    """The models that were traced, in order."""
    found, original = [], heads._Tracer.trace
    monkeypatch.setattr(heads._Tracer, "trace", lambda self, model: found.append(model) or original(self, model))
    return found


class Flagged(HeadFirst):
    """Its forward pass depends on an attribute, a list and a method that can be replaced."""

    def __init__(self):
        super().__init__()
        self.twice, self.extra = False, []
        self.more = nn.ModuleList([nn.Linear(8, 8)])
        self.last = lambda x: x

    def forward(self, x):
        for layer in [self.body, *self.more, *self.extra]:
            x = layer(x)
        return self.head(self.last(self.more[0](x) if self.twice else x))


def steps(model):
    return [step.format_node() for step in heads.trace(model, ["more"]).nodes]


def test_freezing_splitting_and_grouping_trace_a_model_once_in_each_mode_and_again_if_its_head_becomes_a_block(traced):
    """As low-rank adaptation makes it one: the new head is within the block."""
    model = swap_head(GardenNet(10), 3)
    before = len(traced)
    for upto in ("layer3", -1, 0):
        freeze(model, upto)
        split(model, upto)
        parameter_groups(model, lr=0.1)
        find_head(model)
    assert len(traced) - before == 2
    freeze(copy.deepcopy(model), -1)
    assert len(traced) - before == 4  # a copy is another model
    model.fc = nn.Sequential(nn.Dropout(), model.fc)
    assert find_head(model) == "fc.1"
    model.fc[1] = nn.Sequential(nn.Linear(256, 4), nn.Linear(4, 3))
    assert find_head(model) == "fc.1.1"


CHANGES = {
    "a flag": lambda model: setattr(model, "twice", True),
    "a list": lambda model: model.extra.append(torch.relu),
    "another block": lambda model: model.more.append(nn.Linear(8, 8)),
    "the forward pass of its class": lambda model: setattr(type(model), "forward", HeadFirst.forward),
    "a function": lambda model: setattr(model, "last", torch.sigmoid),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_remembered_of_a_model_that_changes_is_not_used(change, monkeypatch, traced):
    monkeypatch.setattr(Flagged, "forward", Flagged.forward)  # to be restored
    model = Flagged()
    before = steps(model)
    assert steps(model) == before and len(traced) == 1
    change(model)
    found = steps(model)
    assert found == steps(copy.deepcopy(model)) != before


def test_what_is_remembered_keeps_no_model_alive():
    model = Flagged()
    model.body.register_forward_hook(lambda *args, model=model: None)  # a cycle, as hooks make them
    freeze(model, -1)
    split(model, "body")
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_traced_model_is_copied_pickled_and_compiled_without_what_is_remembered():
    model, images = GardenNet(10), torch.zeros(2, 3, 32, 32)
    untouched = pickle.dumps(model)
    freeze(model, 0)
    assert pickle.dumps(model) == untouched
    assert find_head(copy.deepcopy(model)) == find_head(pickle.loads(untouched)) == "fc"
    compiled = torch.compile(model.eval(), backend="eager")
    assert torch.equal(compiled(images), model(images))
    assert find_head(model) == "fc" and split(model, -1)[0](images).shape == (2, 256)
