"""What a model and a training step cost: the counts agree with theory where it is simple, and counting changes nothing."""

import pandas
import pytest
import torch
from fits import short, small_task
from torch import nn
from torchvision.models import get_model_weights
from zoo import build

from helpers.freezing import freeze
from helpers.sources.gardennet import GardenNet
from helpers.stages import split
from helpers.training.costs import count_flops, kept_for_backward, step_costs, summary
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST

IMAGES = torch.rand(2, 3, 64, 64)
FORWARD = {row["stage"]: 2 * row["flops"] for row in summary(GardenNet(10), size=64).rows}  # of two images
HEAD = 2 * len(IMAGES) * 256 * 10  # a multiply-add is 2: a product of (10, N) and (N, 256)


# The first layers of layer4, its 3 x 3 convolution and its shortcut, get no gradient for their input if training starts there.
ENTERING_LAYER4 = 2 * len(IMAGES) * 2 * 2 * 256 * (128 * 9 + 128)


@pytest.mark.parametrize(
    "upto, backward",
    [
        (0, 2 * sum(FORWARD.values()) - FORWARD["conv1"]),  # twice the forward pass, less the gradient of the images
        ("layer4", 2 * (FORWARD["layer4"] + FORWARD["fc"]) - ENTERING_LAYER4),
        (-1, HEAD),  # the weight's gradient only: not even that of the features, for nothing before them trains
        (None, 0),
    ],
)
def test_the_forward_pass_always_costs_the_same_and_the_backward_pass_what_theory_says(upto, backward):
    model = GardenNet(10).requires_grad_(False) if upto is None else freeze(GardenNet(10), upto)
    assert count_flops(model, IMAGES) == (sum(FORWARD.values()), backward)


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
    model = freeze(GardenNet(10).train(), "layer3")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    count_flops(model, IMAGES), kept_for_backward(model, IMAGES), summary(model, 64)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [module.training for module in model.modules()] == modes


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
    """As torch really holds them after a step."""
    model = freeze(GardenNet(10), "layer4")
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    model(IMAGES).sum().backward()
    optimizer.step()
    averages = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.ndim]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert sum(tensor.nbytes for tensor in averages + gradients) == 12 * trained


@pytest.mark.parametrize(
    "measure, message",
    [
        (lambda: step_costs([FINE_TUNE_ALL, FINE_TUNE_ALL], small_task()), "needs recipes with different names"),
        (lambda: step_costs([], small_task()), "needs recipes"),
        (lambda: step_costs([FINE_TUNE_ALL], small_task()), "a batch needs 32 training images"),
        (lambda: count_flops(GardenNet(10), IMAGES[:0]), "no images"),
        (lambda: kept_for_backward(GardenNet(10), IMAGES[:0]), "no images"),
        (lambda: summary(build("vit_b_16", meta=True), size=48), "VisionTransformer does not take images of 48 x 48 px"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure, message):
    with pytest.raises(ValueError, match=message):
        measure()


# --- the summary, a row a stage ---


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "convnext_tiny", "squeezenet1_0"])
def test_flops_agree_with_what_torchvision_publishes(name):
    """torchvision counts a multiply-add as one operation, in units of 10^9, to three digits."""
    total = sum(row["flops"] for row in summary(build(name, meta=True), size=224).rows)
    assert total / 2e9 == pytest.approx(get_model_weights(name).DEFAULT.meta["_ops"], abs=6e-4)


def test_parameters_add_up_and_trainable_follows_the_freezing():
    model = freeze(GardenNet(10), "layer4")
    table = {row["stage"]: row for row in summary(model, size=64).rows}
    assert sum(row["parameters"] for row in table.values()) == sum(p.numel() for p in model.parameters())
    assert [name for name, row in table.items() if row["trainable"]] == ["layer4", "fc"]
    assert table["layer3"]["mode"] == "frozen" and table["layer4"]["mode"] == "train"


def test_a_cached_image_costs_what_the_prefix_gives():
    model = GardenNet(10).eval()
    for row in summary(model, size=64).rows[1:]:
        features = split(model, row["stage"])[0](torch.zeros(1, 3, 64, 64))
        assert row["cache_mb"] == features.numel() * 4 / 1e6


def test_it_tells_how_far_down_the_backward_pass_goes():
    model = freeze(GardenNet(10), -1)
    assert "backward reaches: fc" in str(summary(model, 64))
    model.bn1.weight.requires_grad_(True)  # one forgotten parameter costs nearly a full backward pass
    assert "backward reaches: bn1" in str(summary(model, 64))
    model.requires_grad_(False)
    assert "backward reaches: nothing" in str(summary(model, 64))


def test_a_stage_frozen_by_hand_shows_that_it_is_still_in_training_mode():
    model = GardenNet(10).requires_grad_(False).train()
    assert {row["mode"] for row in summary(model, 64).rows} == {"train"}
    assert {row["mode"] for row in summary(model.eval(), 64).rows} == {"eval"}


def test_it_prints_as_text_as_html_and_becomes_a_data_frame():
    table = summary(freeze(GardenNet(10), -1), size=64)
    text, html = str(table), table._repr_html_()
    assert text.splitlines()[0].split() == ["stage", "parameters", "trainable", "mode", "MFLOPs", "cache", "MB"]
    assert len(text.splitlines()) == 1 + 10 + 1 + 2
    assert html.count("<tr>") == 12 and ">layer4</th>" in html
    assert list(pandas.DataFrame(table.rows)["stage"])[-1] == "fc"
