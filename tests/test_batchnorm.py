"""BatchNorm four ways, in stages that are frozen and in stages that train; and stages transplanted."""

import copy
from dataclasses import replace

import pytest
import torch
from fits import fitted, short
from torch import nn
from torchvision.models import resnet18, vgg11

from helpers.freezing import freeze
from helpers.stages import cut
from helpers.training.batchnorm import BATCHNORM, reestimate, release_batchnorm, set_batchnorm
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, Recipe
from helpers.training.transplanting import transplant

ALL, HEAD = short(FINE_TUNE_ALL), short(FEATURE_EXTRACTION, views=0)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return resnet18(num_classes=4)


def statistics(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if "running" in name}


def scales(model):
    """Scales and shifts of all BatchNorm layers."""
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    return {f"{name}.{key}": tensor.detach().clone() for name, layer in layers for key, tensor in layer.named_parameters()}


def changed(before, after):
    return [name for name in before if not torch.equal(before[name], after[name])]


def train(model, images, steps=2):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        model.train()
        loss = nn.functional.cross_entropy(model(images), torch.arange(len(images)) % 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    "how, upto, statistics_move, scales_move",
    [
        ("live", -1, "all", "none"),
        ("live", 0, "all", "all"),
        ("frozen", 0, "none", "none"),
        ("statistics", 0, "all", "none"),
        ("statistics", -1, "all", "none"),
        ("re-estimated", 0, "none", "none"),
    ],
)
def test_what_moves_is_what_is_said(net, how, upto, statistics_move, scales_move):
    images = torch.randn(8, 3, 64, 64)
    set_batchnorm(freeze(net, upto), how, images)
    before = statistics(net), scales(net)
    train(net, images)
    moved = len(changed(before[0], statistics(net))), len(changed(before[1], scales(net)))
    assert moved == ({"all": 40, "none": 0}[statistics_move], {"all": 40, "none": 0}[scales_move])


@pytest.mark.parametrize("how", ["live", "statistics"])
def test_predictions_leave_live_statistics_alone(net, how):
    set_batchnorm(freeze(net, -1), how)
    train(net, torch.randn(8, 3, 64, 64))
    before = statistics(net)
    with torch.no_grad():
        net.eval()(torch.randn(8, 3, 64, 64))
    assert not changed(before, statistics(net))


def test_released_layers_are_at_rest_again(net):
    freeze(net, -1)
    set_batchnorm(net, "live")
    release_batchnorm(net)
    before = statistics(net)
    net.train()(torch.randn(8, 3, 64, 64))
    assert not changed(before, statistics(net)), "the freeze of the stage holds them"


def test_reestimated_statistics_are_those_of_the_images(net):
    images = 3 + 2 * torch.randn(40, 3, 64, 64)
    reestimate(net, images, batch_size=40)
    seen = net.conv1(images)
    assert torch.allclose(net.bn1.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(net.bn1.running_var, seen.var((0, 2, 3)), rtol=1e-3)
    assert net.bn1.momentum == 0.1 and net.training


def test_reestimating_shifts_the_layers_before_it_feeds_the_later_ones(net):
    """A layer deep inside is measured on what the layers before it give in the same pass."""
    images = 3 + 2 * torch.randn(40, 3, 64, 64)
    live = copy.deepcopy(net).train()
    reestimate(net, images, batch_size=40)
    for module in live.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        live(images)
    assert not changed(statistics(live), statistics(net))


@pytest.mark.parametrize(
    "make, how, message",
    [
        (resnet18, "off", "how='off' must be one of"),
        (resnet18, "re-estimated", "needs the images"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), "live", "has no BatchNorm layers"),
    ],
)
def test_what_cannot_be_done_is_refused(make, how, message):
    with pytest.raises(ValueError, match=message):
        set_batchnorm(make(), how)


@pytest.mark.parametrize("how", BATCHNORM)
def test_a_recipe_says_what_batchnorm_does(how):
    plain, run = fitted(ALL), fitted(replace(ALL, name=how, batchnorm=how))
    same_statistics = not changed(statistics(plain.model), statistics(run.model))
    assert same_statistics == (how == "live"), "fine-tuning all is live in all stages"
    assert run.trained == plain.trained - (0 if how == "live" else sum(v.numel() for v in scales(plain.model).values()))


def test_live_batchnorm_under_a_frozen_backbone_moves_it_and_is_never_cached():
    held, live = fitted(HEAD), fitted(replace(HEAD, name="live", batchnorm="live", views=1))
    assert not live.cached
    assert len(changed(statistics(held.model), statistics(live.model))) == len(statistics(held.model))
    assert not [n for n in changed(held.model.state_dict(), live.model.state_dict()) if "conv" in n]


@pytest.mark.parametrize("upto", ["layer2", -1, 0])
def test_a_transplant_copies_the_stages_before_the_place_and_nothing_else(net, upto):
    into = resnet18(num_classes=7)
    own = copy.deepcopy(into.state_dict())
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
    state, reference = half.model.state_dict(), whole.model.state_dict()
    assert not [name for name in changed(reference, state) if name.split(".")[0] not in ("layer3", "layer4", "fc")]
    assert not torch.allclose(state["layer3.0.conv1.weight"], reference["layer3.0.conv1.weight"], atol=0.01)


def test_gradual_thawing_ends_where_upto_says_and_starts_with_the_head():
    steps = 20
    gradual = fitted(replace(ALL, name="gradual", gradual=True, steps=steps, upto="layer3"))
    at_once = fitted(replace(ALL, name="at once", steps=steps, upto="layer3"))
    assert gradual.trained == at_once.trained
    source = fitted(short(FEATURE_EXTRACTION)).model.state_dict()
    moved = {name.split(".")[0] for name in changed(source, gradual.model.state_dict())}
    assert moved == {"layer3", "layer4", "fc"}


def test_patience_goes_back_to_the_lowest_validation_loss():
    run = fitted(replace(ALL, name="patient", patience=2, schedule="constant", lr=2e-2, steps=40, augment=False))
    lowest = run.history.val_loss.idxmin()
    assert len(run.history) == lowest + 1 + 2 < 10
    logits = run.classifier.logits(run.task.val.pixels)
    loss = nn.functional.cross_entropy(logits, run.task.val.labels).item()
    assert loss == pytest.approx(run.history.val_loss[lowest], rel=1e-3)


def test_a_constant_rate_stays_and_one_cycle_does_not():
    a, b = fitted(ALL), fitted(replace(ALL, name="constant", schedule="constant"))
    assert a.history.train_loss.iloc[-1] != b.history.train_loss.iloc[-1]


def test_pixels_without_normalisation_stay_so_in_the_classifier(tmp_path):
    from helpers import load_classifier

    run = fitted(replace(ALL, name="raw", preprocessing="none"))
    assert run.classifier.backbone.mean == (0.0, 0.0, 0.0) and run.classifier.backbone.std == (1.0, 1.0, 1.0)
    back = load_classifier(run.classifier.save(tmp_path / "raw.safetensors"))
    assert torch.equal(back.logits(run.task.test.pixels), run.logits)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batchnorm": "off"}, "batchnorm='off'.*'live'"),
        ({"schedule": "step"}, "schedule='step'"),
        ({"preprocessing": "imagenet"}, "preprocessing='imagenet'"),
        ({"only": "heads"}, "only='heads'"),
        ({"patience": -1}, "patience=-1"),
        ({"copied": 2}, "copied=2"),
        ({"gradual": True, "upto": -1}, "gradual thaws down"),
        ({"gradual": True, "only": "bias"}, "gradual thaws down"),
        ({"weights": None, "copied": "layer2"}, "nothing to copy from"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe("odd", **changes)


def test_fine_tuning_the_last_stage_leaves_earlier_statistics_alone():
    run, source = fitted(short(FINE_TUNE_LAST)), fitted(short(FEATURE_EXTRACTION)).model
    assert {name.split(".")[0] for name in changed(statistics(source), statistics(run.model))} == {"layer4"}
