"""Lab 2: a species that no task holds, maps without gradients, repainted field marks, how sure a network may be."""

import re
from functools import partial

import pytest
import torch
from project import ROOT, cells, number, outcome
from torch.nn import functional as F
from torchvision.models import get_model

import helpers as h
from helpers.images.drawn.finches import GOLDFINCHES
from helpers.images.drawn.garden import COLLECTIONS, SPLITS, STRANGERS, _keys, class_names, field_marks
from helpers.images.tasks import EMBEDDED
from helpers.lessons.goldfinches.calibration import (
    calibration_error,
    confidence,
    fit_temperature,
    known_from_unknown,
    plot_confidence,
    sure,
)
from helpers.lessons.goldfinches.examples import overconfident, source_network
from helpers.lessons.goldfinches.fieldmarks import bird_parts, marks_between, repaint
from helpers.lessons.goldfinches.saliency import class_map, enlarge, plot_class_maps
from helpers.lessons.probes import images

LAB = ROOT / "solutions/lab2_goldfinches.ipynb"
ROWS = "after phase 1", "after phase 2", "phase 1, BatchNorm live"

# The siskin


def test_the_siskin_is_in_no_task_and_is_drawn_as_the_others_are():
    assert STRANGERS == ("siskins",) and not set(STRANGERS) & {*COLLECTIONS, *EMBEDDED}
    assert class_names("siskins") == ["Eurasian siskin"] and "Spinus spinus" in field_marks("siskins")["Eurasian siskin"]
    with pytest.raises(FileNotFoundError, match="no task 'siskins'"):
        h.open_task("siskins")
    with pytest.raises(ValueError, match="labels of 'siskins' run from 0 to 0"):
        h.render("siskins", [1], [0])
    one, targets = h.render("siskins", [0, 0], [4, 5])
    assert torch.equal(one, h.render("siskins", [0, 0, 0], [9, 4, 5])[0][1:]) and set(targets) == {"pose", "size"}
    for other in ({"split": "test"}, {"scene": "studio"}):
        assert not torch.equal(one, h.render("siskins", [0, 0], [4, 5], **other)[0])


def test_the_siskin_shares_no_random_numbers_with_a_task():
    numbers = torch.arange(100)
    keys = [_keys(name, split, 0, 0 * numbers, numbers) for name in (*COLLECTIONS, *STRANGERS) for split in SPLITS]
    assert len(torch.cat(keys).unique()) == 100 * len(keys)


# Field marks


@pytest.mark.parametrize("species", sorted(GOLDFINCHES))
def test_a_repainted_bird_differs_on_the_bird_alone(species):
    same = h.render("goldfinches", [sorted(GOLDFINCHES).index(species)] * 3, range(3), split="test")[0]
    assert torch.equal(repaint(species, range(3)), same)
    where = bird_parts(species, range(3))
    assert torch.equal(sum(part.int() for part in where.values()), torch.ones(3, 64, 64, dtype=torch.int32))
    assert all((part.flatten(1).sum(1) > 10).all() for part in where.values())
    for other in set(GOLDFINCHES) - {species}:
        for mark in marks_between(species, other):
            changed = (repaint(species, range(3), {mark: other}).int() - same.int()).abs().amax(1) > 25
            assert not (changed & where["elsewhere"]).float().mean() > 0.003, (other, mark)


def test_marks_lie_where_their_names_say():
    birds, where = repaint("Lesser", range(6)), bird_parts("Lesser", range(6))
    for mark, part in (("back", "body"), ("head", "head"), ("bill", "head")):
        changed = (repaint("Lesser", range(6), {mark: "American"}).int() - birds.int()).abs().amax(1) > 25
        assert (changed & where[part]).sum() > 0.6 * changed.sum(), mark


@pytest.mark.parametrize(
    "species, marks, message",
    [
        ("Robin", {}, "unknown species 'Robin'; there are American"),
        ("Lesser", {"tail": "American"}, "unknown mark 'tail'; there are body"),
        ("Lesser", {"back": "Robin"}, "unknown species 'Robin'"),
        ("European", {"face": "Lawrence's"}, "face of European and Lawrence's cannot be exchanged"),
    ],
)
def test_marks_that_cannot_be_exchanged_are_refused(species, marks, message):
    with pytest.raises(ValueError, match=message):
        repaint(species, [0], marks)
    with pytest.raises(ValueError, match="'flowers' are no birds"):
        h.render("flowers", [0], [0], plumage=GOLDFINCHES["Lesser"])


# Maps


def test_the_mean_of_a_map_and_the_bias_are_the_logit_on_a_network_frozen_to_the_head():
    model, pictures = h.freeze(source_network(5), -1).train(), images(3, 128)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    maps = class_map(model, pictures, torch.tensor([0, 1, 4]))
    assert maps.shape == (3, 4, 4) and not maps.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    logits = model.eval()(pictures)[torch.arange(3), torch.tensor([0, 1, 4])]
    assert torch.allclose(maps.mean((1, 2)) + model.classifier.bias[[0, 1, 4]], logits, atol=1e-5)
    assert torch.allclose(maps[1], class_map(model, pictures, 1)[1])


def test_maps_of_a_resnet_of_torchvision_and_a_clear_refusal_of_other_networks():
    assert class_map(get_model("resnet18", weights=None), images(1, 64), 3).shape == (1, 2, 2)
    with pytest.raises(ValueError, match="SqueezeNet ends in .* global average pooling"):
        class_map(get_model("squeezenet1_1", weights=None), images(1, 64), 3)
    for label in (5, -1, 0.5):
        with pytest.raises(ValueError, match="must be a class, 0 to 4"):
            class_map(source_network(5), images(1), label)


def test_maps_are_shown_over_their_pictures_warm_for_the_class_and_each_picture_needs_one():
    pictures, maps = torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.randn(2, 2, 2)
    figure = plot_class_maps(pictures, {"evidence": maps}, ["a", "b"])
    assert len(figure.axes) == 4 and enlarge(maps, 32).shape == (2, 32, 32)
    red, _, blue, _ = figure.axes[2].images[1].cmap(1.0)
    assert red > blue
    with pytest.raises(ValueError, match="as many maps as images .2.*evidence"):
        plot_class_maps(pictures, {"evidence": maps[:1]})


# Certainty


def test_the_temperature_of_logits_that_are_three_times_too_large_is_near_three():
    logits, labels = overconfident(4_000, 3.0)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(3, rel=0.1)
    losses = [F.cross_entropy(logits / (temperature * factor), labels) for factor in (0.98, 1, 1.02)]
    assert losses[1] < losses[0] and losses[1] < losses[2]
    assert calibration_error(logits / temperature, labels) < 0.04 < 0.1 < calibration_error(logits, labels)


def test_the_area_counts_pairs_and_the_share_has_the_interval_of_wilson():
    known, unknown = torch.tensor([0.9, 0.8, 0.6]), torch.tensor([0.8, 0.3])
    assert known_from_unknown(known, unknown) == pytest.approx((2 + 1.5 + 1) / 6)
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 0.1], [0.0, 0.0]])
    share, low, high = sure(logits)
    assert share == 0.5 and low == pytest.approx(0.15, abs=0.005) and high == pytest.approx(0.85, abs=0.005)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: sure(torch.zeros(3)), r"expected logits \(N, classes\), got torch.float32 \(3,\)"),
        (lambda: sure(torch.zeros(3, 2), 90), "level=90 must be a probability"),
        (lambda: known_from_unknown(torch.tensor([2.0]), torch.tensor([0.5])), "scores from 0 to 1"),
        (lambda: known_from_unknown(torch.tensor([0.2]), torch.tensor([])), "scores from 0 to 1"),
        (lambda: fit_temperature(torch.zeros(3, 2), torch.zeros(2)), "need as many labels"),
        (lambda: fit_temperature(torch.eye(3), torch.arange(3)), "every prediction is correct"),
    ],
)
def test_bad_input_never_yields_a_number(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_figure_of_confidence_is_drawn_for_groups_of_any_size():
    logits, _ = overconfident(60)
    assert plot_confidence({"known": confidence(logits), "unknown": confidence(logits[:9])}, 0.7).axes


# What the lab's texts say of the shipped study


@pytest.fixture(scope="module")
def grid():
    return h.load_study("goldfinches")


def test_the_depth_decides_with_20_images_and_the_rate_does_not(grid):
    depths = grid.select(per_class=20, lr=0.001).paired("depth", "all")
    assert depths.supported["head"] == "yes" and depths.points["head"] < -10
    rates = grid.select(per_class=20, depth="all").paired("lr", 0.001)
    assert set(rates.supported) == {"no"} and max(-rates.low.min(), rates.high.max()) < 6
    heads = grid.select(per_class=20, depth="head").table("lr")["accuracy %"]
    assert (round(heads.min()), round(heads.max())) == (69, 79)
    five = grid.select(per_class=5, lr=0.001).paired("depth", "all")
    assert five.points["head"] < 0 and five.supported["head"] == "no"


def test_networks_trained_at_a_higher_rate_are_more_often_sure_of_siskins(grid):
    for depth in ("head", "layer2", "all"):
        means = grid.select(per_class=20, depth=depth).values("sure of siskins", "lr")["mean"]
        assert means.is_monotonic_increasing and means.iloc[-1] > means.iloc[0] + 0.15

def test_a_low_rate_makes_less_sure_of_everything_and_does_not_tell_siskins_from_goldfinches_better(grid):
    every = grid.select(per_class=20, depth="all")
    assert every.values("sure of goldfinches", "lr")["mean"].is_monotonic_increasing
    auroc = every.values("auroc", "lr")
    assert auroc["mean"].between(0.85, 0.95).all() and auroc.low.max() < auroc.high.min()
    assert auroc["mean"].iloc[0] < auroc["mean"].max()


def test_validation_images_choose_nearly_as_well_as_the_test_images_would(grid):
    means = grid.runs.groupby(["per_class", "depth", "lr"])[["val", "accuracy"]].mean()
    for count in (5, 20, 50):
        part = means.loc[count]
        assert part.accuracy.max() - part.accuracy[part.val.idxmax()] < 0.01


def test_the_map_of_the_lab_frames_what_validation_chose_and_not_the_best_on_the_test(grid):
    part = grid.select(per_class=50)
    figure = h.plot_map(part, "lr", "depth", "per_class", chosen={50: (0.001, "all")})
    (frame,) = figure.axes[0].patches
    assert (round(frame.get_x() + 0.46), round(frame.get_y() + 0.45)) == (1, 2)
    assert part.table(["lr", "depth"])["accuracy %"].idxmax() != (0.001, "all")


# The program


def test_the_lab_stores_what_its_explanations_say():
    """The answers in the solution's text are about numbers that this notebook really shows."""
    said, value = partial(outcome, LAB), partial(number, LAB)
    first, second, live = (value("program-outcome", rf"\n{row}") for row in ROWS)
    assert first + 10 < second and live + 10 < first
    for losses in re.findall(r"phase \d: (.+)", said("program-run")):
        assert min(losses.split()) == losses.split()[-1]
    assert value("helpers", "yours:") == pytest.approx(second, abs=0.1)
    evidence = {name: [float(each) for each in numbers.split()] for name, numbers in
                re.findall(r"^(\w+) +((?:-?[\d.]+ +){4})", said("parts-table"), re.MULTILINE)}  # fmt: skip
    head, *others = evidence["European"]
    assert head > 1.5 * max(others)
    *bird, elsewhere = evidence["American"]
    assert min(bird) > 3 * elsewhere and max(bird) < 1.5 * min(bird) and said("parts-table").count("no clear winner") == 3
    assert said("cam-agree").count("True") == 2 and "9 of 9 checks passed" in said("tally")


def test_without_a_network_connection_one_message_says_so_and_the_lab_goes_on_with_drawings(monkeypatch, tmp_path, capsys):
    for name, setting in {"COURSE_IMAGES": "goldfinch-photos", "COURSE_OFFLINE": "1", "COURSE_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, setting)
    names = {}
    for cell in cells(LAB, "code"):
        if cell.id in ("choices", "imports", "open"):
            exec(cell.source, names)
    said = capsys.readouterr().out
    assert names["task"] is names["drawings"] and said.count("\n") == 1
    assert "goes on with drawn birds" in said and "By hand: copy the folder" in said
