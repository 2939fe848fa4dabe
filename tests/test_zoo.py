"""The table of pretrained models is torchvision's metadata; names in the figure cover nothing."""

import pytest
import torchvision
from torchvision.models import ResNet18_Weights, get_model, get_model_weights, list_models

from helpers.lessons.choosing.zoo import GROUPS, UNSTATED, best_for_cost, best_within, plot_models, pretrained_models

MODELS = pretrained_models()


def test_every_classifier_of_torchvision_is_in_the_table_with_year_and_paper():
    assert list(MODELS.index) == list_models(module=torchvision.models)
    assert MODELS.paper.str.contains(", ").all() and MODELS.year.between(2012, 2022).all()
    assert MODELS.recipe.str.startswith("https://").all()
    # the longest beginning of a name that fits gives the paper
    assert MODELS.year["efficientnet_b0"] == 2019 and MODELS.year["efficientnet_v2_s"] == 2021
    assert MODELS.year["wide_resnet50_2"] == 2016 and MODELS.family["resnext50_32x4d"] == "ResNet"
    assert MODELS.year["swin_t"] == 2021 and "V2" in MODELS.paper["swin_v2_t"]


def test_numbers_are_those_of_torchvision():
    meta, row = ResNet18_Weights.DEFAULT.meta, MODELS.loc["resnet18"]
    assert row["accuracy %"] == meta["_metrics"]["ImageNet-1K"]["acc@1"] and row["GFLOPs"] == meta["_ops"]
    assert row["parameters"] == round(sum(p.numel() for p in get_model("resnet18", weights=None).parameters()) / 1e6, 1)
    assert row["pixels"] == 224 and row["weights"] == "IMAGENET1K_V1"
    for name, licence in MODELS.licence.items():
        assert licence == get_model_weights(name)["DEFAULT"].meta.get("license", UNSTATED)
    assert (MODELS.licence != UNSTATED).sum() >= 1


def test_no_model_is_cheaper_and_more_accurate_than_one_of_the_best_for_their_cost():
    best = best_for_cost(MODELS)
    for name in MODELS.index:
        beaten = ((MODELS["GFLOPs"] <= MODELS["GFLOPs"][name]) & (MODELS["accuracy %"] > MODELS["accuracy %"][name])).any()
        assert beaten == (name not in best), name


def test_best_within_a_budget_keeps_to_it():
    small = best_within(MODELS, gflops=2, megabytes=50)
    assert (small["GFLOPs"] <= 2).all() and (small["MB"] <= 50).all() and small["accuracy %"].is_monotonic_decreasing
    assert "resnet18" in small.index and "vgg16" not in small.index
    with pytest.raises(ValueError, match="no model costs at most 0.001 GFLOPs"):
        best_within(MODELS, gflops=0.001)


def test_unknown_model_is_refused():
    with pytest.raises(ValueError, match="torchvision has no classifier 'resnet19'"):
        pretrained_models(["resnet19"])


def test_names_in_the_figure_hide_neither_names_nor_points():
    figure = plot_models(MODELS)
    figure.draw_without_rendering()
    axis = figure.axes[0]
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) >= 12 and {"resnet18", "resnet50", "vgg16", "vit_b_16"} <= {text.get_text() for text in axis.texts}
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    places = axis.transData.transform(MODELS[["GFLOPs", "accuracy %"]].to_numpy(float))
    assert not any(box.contains(*place) for box in boxes for place in places)
    assert len(axis.get_legend().get_texts()) == len(GROUPS) + 1
