"""The summary: what it counts and what it says."""

import pandas as pd
import pytest
import torch
from torchvision.models import get_model_weights
from zoo import build

from helpers.freezing import freeze
from helpers.sources.gardennet import GardenNet
from helpers.stages import split
from helpers.training.ledger import summary


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "convnext_tiny", "squeezenet1_0", "densenet121"])
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
    assert html.count("<tr>") == 12 and "<td>layer4</td>" in html
    assert list(pd.DataFrame(table.rows)["stage"])[-1] == "fc"


def test_looking_changes_nothing():
    model = freeze(GardenNet(10), "layer3").train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    summary(model, 64)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_images_of_a_size_that_the_model_does_not_take_are_refused():
    with pytest.raises(ValueError, match="VisionTransformer does not take images of 48 x 48 px"):
        summary(build("vit_b_16", meta=True), size=48)
