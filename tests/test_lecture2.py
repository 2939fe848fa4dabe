"""Lecture 2: the helpers that take a network apart, and what the notebook claims, compared with what was measured."""

import html
import re
from functools import partial

import project
import pytest
import torch
from PIL import ExifTags, Image
from project import ROOT, cells
from torch import nn
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

import helpers as h
from helpers.lessons.anatomy import batchnorm_drift, explained, fit_head, study_of, take_apart
from helpers.lessons.anatomy.stage_table import receptive_fields

NOTEBOOK = ROOT / "notebooks/02_anatomy_of_a_transfer.ipynb"
APPENDIX = ROOT / "notebooks/appendix/lecture2.ipynb"
outcome = partial(project.outcome, NOTEBOOK)
number = partial(project.number, NOTEBOOK)


def on_meta(name):
    with torch.device("meta"):
        return get_model(name)


def table_after(code):
    """The rows of the table that the cell with this code has stored: [[cell, ...], ...], as texts."""
    (cell,) = [cell for cell in cells(APPENDIX) if cell.cell_type == "code" and code in cell.source]
    (table,) = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
    rows = []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL):
        texts = [html.unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        rows.append((rows[-1][: len(rows[-1]) - len(texts)] if rows else []) + texts)  # what spans several rows
    return rows


@pytest.mark.parametrize("name, known", [
    ("resnet18", {"conv1": 7, "bn1": 11, "layer1": 43, "layer2": 99, "layer3": 211, "layer4": 224}),
    ("vgg16", {"features.0": 3, "features.2": 6, "features.7": 16, "features.14": 44, "features.28": 212}),
    ("vit_b_16", {"conv_proj": 16, "encoder.layers.encoder_layer_0": 224, "heads.head": 224}),
])  # fmt: skip
def test_receptive_fields_are_those_that_kernels_and_strides_give(name, known):
    """By the usual recursion: field += (kernel - 1) * jump, jump *= stride; at most the picture's 224 pixels."""
    table = take_apart(on_meta(name))
    assert table.loc[list(known), "sees"].to_dict() == known


def test_receptive_fields_of_the_source_model_agree_with_a_hole_in_a_picture():
    """A unit sees a pixel if a hole there reaches it: the places that notice one pixel, one pixel's distance apart."""
    model = h.GardenNet(4).eval()
    names = h.stage_names(model)[:-2]
    widths = dict(zip(h.stage_names(model), receptive_fields(model, 64), strict=True))
    pictures = torch.zeros(64, 3, 64, 64)
    pictures[torch.arange(64), :, :, torch.arange(64)] = torch.nan
    for name, out in create_feature_extractor(model, names)(pictures).items():
        assert out[:, 0, out.shape[2] // 2, out.shape[3] // 2].isnan().sum() == widths[name], name


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "vit_b_16", "mobilenet_v3_small", "squeezenet1_0", "densenet121"])
def test_taking_apart_loses_no_parameter(name):
    model = on_meta(name)
    table = take_apart(model)
    assert table["parameters"].sum() == sum(p.numel() for p in model.parameters())
    assert table["share %"].sum() == pytest.approx(100, abs=1)
    assert table["sees"].is_monotonic_increasing
    if name == "vgg16":
        assert table["parameters"]["classifier.0"] == 512 * 7 * 7 * 4096 + 4096
        assert table.loc[["classifier.0", "classifier.3"], "share %"].sum() == pytest.approx(86.4, abs=0.05)


def test_a_picture_of_the_wrong_size_is_refused_by_name():
    with pytest.raises(ValueError, match="VisionTransformer does not take images of 64 x 64 px"):
        take_apart(on_meta("vit_b_16"), size=64)


def test_a_fitted_head_separates_what_is_separable_and_leaves_the_random_numbers_alone():
    features = torch.cat([torch.randn(30, 5) + shift for shift in (-4, 4)])
    labels = torch.arange(2).repeat_interleave(30)
    state = torch.get_rng_state()
    head = fit_head(features, labels, 2, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert (head(features).argmax(1) == labels).all()
    assert torch.equal(head.weight, fit_head(features, labels, 2, seed=1).weight)


def test_r2_is_1_for_a_linear_relation_and_not_above_0_for_noise():
    features, weights = torch.randn(400, 6), torch.arange(1.0, 7)
    values = features @ weights
    assert explained(features[:300], values[:300], features[300:], values[300:], penalty=1e-3) > 0.999
    assert explained(features[:300], torch.randn(300), features[300:], torch.randn(100)) < 0.05


def test_answers_become_a_study_with_intervals_and_none_are_refused():
    answers = [{"way": way, "seed": seed, "correct": torch.rand(50) < share}
               for way, share in (("a", 0.9), ("b", 0.2)) for seed in range(3)]  # fmt: skip
    table = study_of("two ways", answers).table()
    assert (table["low"] < table["accuracy %"]).all() and (table["n"] == 50).all() and (table["seeds"] == 3).all()
    with pytest.raises(ValueError, match="at least one row"):
        study_of("nothing", [])


@pytest.mark.parametrize("frozen", ["requires_grad", "h.freeze"])
def test_a_backbone_without_gradients_drifts_in_training_mode_and_a_frozen_one_does_not(frozen):
    task = h.open_task("goldfinches", 10, size=32, val=2, test=10)
    study = batchnorm_drift(task, task, steps=(0, 4), seeds=1, frozen=frozen)
    before, after = study.runs.to_dict("records")
    assert before["features"] == before["statistics"] == 0
    if frozen == "requires_grad":
        assert after["features"] > 10 and after["statistics"] > 1
    else:
        assert after["features"] == after["statistics"] == 0 and torch.equal(*study.correct)


def test_each_line_of_pytorch_for_people_from_keras_runs():
    (table,) = [cell.source for cell in cells(APPENDIX) if "| in Keras |" in cell.source]
    rows = [line.split("|")[3] for line in table.splitlines() if line.startswith("|")][2:]
    snippets = {snippet for row in rows for snippet in re.findall(r"`([^`]+)`", row)} - {"__init__", "forward"}
    assert len(snippets) >= 10
    for snippet in sorted(snippets):
        space = {"h": h, "nn": nn, "model": get_model("resnet18"), "self": nn.Module(), "x": torch.zeros(2, 3, 64, 64),
                 "create_feature_extractor": create_feature_extractor, "base": nn.Sequential(nn.Conv2d(3, 4, 3))}  # fmt: skip
        space["self"].backbone = space["base"]
        exec(snippet, space)


def test_the_program_and_the_helpers_train_the_same_network_to_the_last_bit():
    assert outcome("same-bits").strip() == "the same weights, to the last bit: True"
    before, after = (number("program-outcome", f"{when} training  ") for when in ("before", "after"))
    assert after > before + 30


def test_the_program_is_followed_on_validation_images_and_sees_the_test_images_once():
    program = {cell.id: cell.source for cell in cells(NOTEBOOK, "code") if cell.id.startswith("program")}
    assert [name for name, code in program.items() if "accuracy(model, test)" in code] == ["program-test"]
    assert len(re.findall(r"step \d+: loss \S+, validation \d+%", outcome("program-training"))) == 4
    validation = number("program-training", "step 40: loss .*validation")
    assert validation > number("program-outcome", "after training  ")  # as the text says


def test_the_program_turns_phone_pictures_upright_and_refuses_parts_with_other_classes(tmp_path):
    code = {cell.id: cell.source for cell in cells(NOTEBOOK, "code")}
    lying, exif = Image.new("RGB", (40, 20)), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for part, names in {"train": "ab", "val": "ab", "test": "abc"}.items():
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            lying.save(tmp_path / part / name / "1.jpg", exif=exif)
    space = {"h": h, "torch": torch, "nn": nn, "folder": tmp_path}
    exec(code["program"], space)
    assert space["upright"](tmp_path / "train/a/1.jpg").size == (20, 40)
    with pytest.raises(AssertionError, match="the class folders differ"):
        exec(code["program-data"], space)
    (tmp_path / "test/c/1.jpg").unlink()
    (tmp_path / "test/c").rmdir()
    exec(code["program-data"], space)
    assert space["train"].loader is space["upright"] and space["test"][0][0].shape == (3, 128, 128)


def test_a_new_layer_is_far_ahead_of_the_translated_old_one_and_ahead_of_the_neighbours():
    assert number("reuse-outcome", "new layer instead") > number("reuse-outcome", "old layer, translated") + 20
    assert abs(number("reuse-outcome", "1,000 old scores") - number("reuse-outcome", "new layer instead")) < 3  # "nearly all"
    rows = [re.search(rf"{row} +(\S+) +(\S+)", outcome("neighbours-table")).groups()
            for row in ("chance", "neighbours by pixels", "neighbours by features", "new layer, untrained network",
                        r"new layer(?!,)")]  # fmt: skip
    for chance, pixels, neighbours, untrained, layer in zip(*[map(float, row) for row in rows], strict=True):
        assert 2 * chance > pixels and 1.5 * max(chance, pixels, untrained) < neighbours < layer


def test_a_backbone_that_sees_other_batches_ruins_the_head_in_use_and_a_frozen_one_stays():
    assert number("drift", "parameters that change") == 0
    assert number("drift", "change of the features") > number("drift", "another image's features") + 5
    assert number("colleague", "after 50 batches of goldfinches") < number("colleague", "before") - 20
    study = h.load_study("real-batchnorm").select(trains="the head").table("batchnorm")
    assert study.loc["live", "high"] < study.loc["at rest", "low"]  # as the figure's text says
    assert number("one-head-photographs", "live") == study.loc["live", "accuracy %"]
    assert outcome("held").strip().endswith("True") and outcome("frozen-tested").strip().endswith("True")


def test_in_training_mode_a_broken_picture_breaks_its_neighbour():
    said = project.outcome(APPENDIX, "hole").splitlines()
    assert said == ["training mode: picture 0 broken True, its neighbour broken True",
                    "evaluation mode: picture 0 broken True, its neighbour broken False"]  # fmt: skip


def test_the_old_layer_is_ahead_on_unions_and_level_on_ten_of_its_classes():
    rows = {row[0]: row[-5:] for row in table_after("contained.paired(")[2:]}
    assert rows["unions of its classes"][-1] == "yes" and float(rows["unions of its classes"][1]) > 0
    assert rows["ten of its classes"][-1] == "no"


def test_the_last_stage_gains_little_over_the_one_before_it():
    rows = [row for row in table_after('by_stage.paired("stage", "layer4")') if "layer3" in row]
    assert len(rows) == 2 and all(row[-1] == "no" for row in rows), rows


def test_early_features_of_the_regression_beat_random_ones():
    rows = {tuple(row[:2]): row[2:] for row in table_after('by_source.paired("source", "none (random network)"')[2:]}
    _, low, *_, supported = rows["layer2", "regression"]
    assert float(low) > 0 and supported == "yes", rows
