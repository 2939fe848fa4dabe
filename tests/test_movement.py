"""How far a network moves, stage by stage, and the range test: compared with a few lines by hand."""

import copy

import pytest
import torch
from torch import nn

from helpers.freezing import freeze
from helpers.images.tasks import open_task
from helpers.lessons.fine_tuning.lr_finder import plot_range_test, range_test
from helpers.lessons.fine_tuning.movement import features_moved, gradient_norms, weights_moved
from helpers.sources.gardennet import GardenNet
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL
from helpers.training.steps import take_steps, training_steps

STAGES = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]


def small_net(seed=0, classes=3):
    torch.manual_seed(seed)
    return GardenNet(classes, width=8)


def batch(n=6):
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 3


def test_gradient_norms_are_those_of_backward_and_leave_the_model_alone():
    model, (images, labels) = small_net().train(), batch()
    before = copy.deepcopy(model.state_dict())
    norms = gradient_norms(model, images, labels)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    nn.functional.cross_entropy(model(images), labels).backward()
    for stage in [*STAGES, "fc"]:
        parameters = model.get_submodule(stage).parameters()
        by_hand = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item()
        assert norms[stage] == pytest.approx(by_hand, rel=1e-5)


def test_frozen_stages_get_no_gradient_and_do_not_move():
    model, (images, labels) = freeze(small_net(), "layer4").train(), batch()
    source, optimizer = copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=1e-2)
    norms = gradient_norms(model, images, labels)
    assert (norms[STAGES[:-1]] == 0).all() and (norms[["layer4", "fc"]] > 0).all()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    weights, features = weights_moved(model, source), features_moved(model, source, images)
    assert list(weights.index) == list(features.index) == STAGES
    assert (weights[:-1] == 0).all() and (features[:-1] == 0).all() and weights["layer4"] > 0 and features["layer4"] > 0


def test_distances_are_relative_and_heads_do_not_count():
    source, (images, _) = small_net().eval(), batch()
    model = copy.deepcopy(source)
    model.fc = nn.Linear(model.fc.in_features, 7)
    assert (weights_moved(model, source) == 0).all() and (features_moved(model, source, images) == 0).all()
    with torch.no_grad():
        model.conv1.weight *= 3
    assert weights_moved(model, source)["conv1"] == pytest.approx(2, rel=1e-5)
    assert features_moved(model, source, images)["conv1"] == pytest.approx(2, rel=1e-5)
    split_up = features_moved(model, source, images, batch_size=4)
    assert split_up.to_numpy() == pytest.approx(features_moved(model, source, images).to_numpy(), rel=1e-5)
    assert not model.training


def test_features_are_taken_as_the_next_stage_gets_them():
    source, (images, _) = small_net().eval(), batch()
    model = copy.deepcopy(source).train()
    with torch.no_grad():
        model.bn1.bias -= 100  # behind it comes a ReLU: nothing is left
    assert features_moved(model, source, images)["bn1"] == pytest.approx(1)
    assert model.training  # as it was


MODEL, (IMAGES, LABELS) = small_net(), batch()


@pytest.mark.parametrize("call, message", [
    (lambda: gradient_norms(small_net().requires_grad_(False), IMAGES, LABELS), "no parameter of this model trains"),
    (lambda: weights_moved(MODEL, GardenNet(3, width=4)), "stages before the head differ"),
    (lambda: features_moved(MODEL, MODEL, IMAGES[:0]), "at least one image"),
    (lambda: range_test(FINE_TUNE_ALL, None, low=1.0, high=0.1), "0 < low < high"),
])  # fmt: skip
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_rate_of_a_range_test_grows_by_a_constant_factor_and_the_test_repeats_itself():
    task = open_task("goldfinches", per_class=2, val=1, test=1)
    table = range_test(FEATURE_EXTRACTION, task, low=1e-4, high=1e-1, steps=10)
    assert table.lr.iloc[0] == pytest.approx(1e-4)
    ratios = table.lr.iloc[1:].to_numpy() / table.lr.iloc[:-1].to_numpy()
    assert ratios == pytest.approx(1000 ** (1 / 9))
    assert table.smooth.iloc[0] == pytest.approx(table.loss.iloc[0])
    assert table.equals(range_test(FEATURE_EXTRACTION, task, low=1e-4, high=1e-1, steps=10))
    wild = range_test(FEATURE_EXTRACTION, task, low=1e-2, high=1e6, steps=30)
    assert len(wild) < 30  # it stops where the loss has gone up
    assert len(plot_range_test({"head": table}).axes) == 1


def test_a_training_loop_that_is_left_early_leaves_out_the_update():
    weight = torch.tensor([2.0], requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.25)
    for loss in training_steps(range(3), lambda _: (weight**2).sum(), optimizer):
        assert weight.grad == 2 * weight  # the gradients of this step, before the update
        if loss < 1:
            break
    assert weight.item() == 0.5, "the update after the last loss would have made it 0.25"
    assert take_steps([1.0, 3.0], lambda target: (weight - target).square().sum(), optimizer) == [0.25, 5.0625]
