"""What a step costs: the counts agree with theory where theory is simple, and nothing is changed by looking."""

import pandas
import pytest
import torch
from fits import short, small_task
from torch import nn

from helpers.freezing import freeze
from helpers.sources.gardennet import GardenNet
from helpers.training.costs import count_flops, kept_for_backward, step_costs
from helpers.training.ledger import summary
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST

IMAGES = torch.rand(2, 3, 64, 64)
FORWARD = {row["stage"]: 2 * row["flops"] for row in summary(GardenNet(10), size=64).rows}  # of two images
HEAD = 2 * len(IMAGES) * 256 * 10  # a multiply-add is 2: a product of (10, N) and (N, 256)


def test_forward_pass_costs_the_same_wherever_training_starts():
    for upto in (-1, "layer4", 0):
        assert count_flops(freeze(GardenNet(10), upto), IMAGES)[0] == sum(FORWARD.values())


def test_backward_pass_of_the_head_alone_costs_nothing_before_the_head():
    """It needs the head's weight gradient only: not even that of the features, for nothing before them trains."""
    assert count_flops(freeze(GardenNet(10), -1), IMAGES)[1] == HEAD


def test_full_backward_pass_costs_twice_the_forward_one_but_for_the_gradient_of_the_images():
    assert count_flops(GardenNet(10), IMAGES)[1] == 2 * sum(FORWARD.values()) - FORWARD["conv1"]


def test_backward_pass_from_a_stage_on_costs_twice_its_forward_pass_but_for_the_gradient_of_its_input():
    """The first layers of layer4, its 3 x 3 convolution and its shortcut, get no gradient for their input."""
    entering = 2 * len(IMAGES) * 2 * 2 * 256 * (128 * 9 + 128)
    expected = 2 * (FORWARD["layer4"] + FORWARD["fc"]) - entering
    assert count_flops(freeze(GardenNet(10), "layer4"), IMAGES)[1] == expected


def test_without_anything_to_train_there_is_no_backward_pass():
    assert count_flops(GardenNet(10).requires_grad_(False), IMAGES)[1] == 0


def test_activations_kept_are_those_that_theory_names():
    """A linear layer keeps its input, ReLU its output, which is the next layer's input: counted once. 4 bytes each."""
    model, images = nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)), torch.rand(7, 5)
    assert kept_for_backward(model, images) == 4 * 7 * (5 + 3)
    model[0].requires_grad_(False)
    assert kept_for_backward(model, images) == 4 * 7 * 3, "the last layer's input alone"


def test_frozen_stages_keep_no_activations():
    everything = kept_for_backward(GardenNet(10).train(), IMAGES)
    head = kept_for_backward(freeze(GardenNet(10), -1).train(), IMAGES)
    assert head == 4 * len(IMAGES) * 256, "the features, and nothing before them"
    assert everything > 500 * head


def test_counting_leaves_the_model_as_it_was():
    model = GardenNet(10).train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_flops(model, IMAGES), kept_for_backward(model, IMAGES)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters()) and model.training


@pytest.fixture(scope="module")
def costs():
    recipes = [short(recipe) for recipe in (FEATURE_EXTRACTION, FINE_TUNE_LAST, FINE_TUNE_ALL)]
    return step_costs(recipes, small_task(), batch_size=8, rounds=5)


def test_a_recipe_with_fixed_views_has_a_second_row_with_its_cache(costs):
    names = ["feature extraction", "feature extraction, cached", "fine-tune last", "fine-tune all"]
    assert list(costs.index) == names
    assert costs.trained[names[0]] == costs.trained[names[1]] == 256 * 4 + 4
    assert costs.loc[names[1], "forward MFLOPs"] == pytest.approx(2 * 8 * 256 * 4 / 1e6)


def test_the_less_trains_the_less_a_step_costs(costs):
    order = costs.loc[["feature extraction, cached", "feature extraction", "fine-tune last", "fine-tune all"]]
    for column in ("trained", "activations MB", "gradients + AdamW MB", "backward MFLOPs"):
        assert order[column].is_monotonic_increasing, column
    assert order.ms.iloc[0] < 0.3 * order.ms.iloc[-1], "kept features are an order of magnitude cheaper"
    assert costs.share.max() == 1 and (costs["images/s"] * costs.ms - 8000).abs().max() < 1e-6


def test_gradients_and_adamw_take_twelve_bytes_a_trained_parameter():
    """Held against what torch really holds after a step."""
    model = freeze(GardenNet(10), "layer4")
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    model(IMAGES).sum().backward()
    optimizer.step()
    averages = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.ndim]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert sum(tensor.nbytes for tensor in averages + gradients) == 12 * trained


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="needs recipes with different names"):
        step_costs([FINE_TUNE_ALL, FINE_TUNE_ALL], small_task())
    with pytest.raises(ValueError, match="needs recipes"):
        step_costs([], small_task())
    with pytest.raises(ValueError, match="a batch of 32 images needs as many"):
        step_costs([FINE_TUNE_ALL], small_task())
    for count in (count_flops, kept_for_backward):
        with pytest.raises(ValueError, match="no images"):
            count(GardenNet(10), IMAGES[:0])


def test_the_table_is_a_data_frame_that_rounds(costs):
    assert isinstance(costs.round(1), pandas.DataFrame) and costs.index.name == "recipe"
