"""The regression targets of the embedded images, pose, size and petals, mean what they say."""

import math

import pytest
import torch
from test_garden import sample

from helpers import render
from helpers.images.drawn.brush import Canvas, Frame, Rng, mix
from helpers.images.drawn.finches import GOLDFINCHES, paint_finch
from helpers.images.drawn.flowers import FLOWERS, paint_flower
from helpers.images.drawn.tissue import LARGEST, SMALLEST

RANGES = {
    "source": {"pose": (-36, 396), "size": (0.27, 1.06)},
    "goldfinches": {"pose": (-10, 50), "size": (0.5, 0.85)},
    "flowers": {"pose": (0, 60), "size": (0.24, 0.85), "petals": (4, 24)},
    "tissue": {"size": (SMALLEST, LARGEST), "cells": (5, 92)},
}
SINGLE = [name for name, kind in FLOWERS.items() if kind.heads == 1]


@pytest.mark.parametrize("collection", RANGES)
def test_targets_fill_their_ranges(collection):
    _, targets = render(collection, *sample(collection, 400), size=16)
    assert targets.keys() == RANGES[collection].keys()
    for name, (low, high) in RANGES[collection].items():
        values, margin = targets[name], 0.1 * (high - low)
        assert values.min() >= low and values.max() <= high
        assert values.min() < low + margin and values.max() > high - margin, f"{name} leaves its range unused"


def painted(painter, kind, count, size=96):
    """Pictures with nothing around the subject, where they hide the background (N, size, size), and the targets."""
    pictures = []
    for background in (0.0, 1.0):
        canvas = Canvas(count, size)
        canvas.image.fill_(background)
        targets = painter(canvas, Rng(mix(torch.arange(count) + 1)), kind)
        pictures.append(canvas.image)
    return pictures[0], (pictures[1] - pictures[0]).abs().amax(1) < 0.1, targets


@pytest.fixture
def no_stems(monkeypatch):
    monkeypatch.setattr(Frame, "bar", lambda frame, *_: torch.zeros_like(frame.u))


def whole(mask):
    """Which masks do not reach the margin of the picture."""
    return ~(mask[:, 0].any(1) | mask[:, -1].any(1) | mask[:, :, 0].any(1) | mask[:, :, -1].any(1))


def moments(mask):
    """Coordinates of the covered pixels about their centre (P, 2), x right and y down, and their covariance."""
    at = mask.nonzero().flip(1).float()
    at = at - at.mean(0)
    return at, at.T @ at / len(at)


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.float(), b.float()]))[0, 1].item()


@pytest.mark.parametrize("kind", SINGLE)
def test_size_and_tilt_of_a_flower_are_those_of_what_is_painted(kind, no_stems):
    """The area grows with the size squared times the cosine of the tilt; that cosine is how flat the outline is."""
    _, mask, targets = painted(paint_flower, FLOWERS[kind], 48)
    inside = whole(mask)
    mask, cosine = mask[inside], torch.cos(targets["pose"][inside] * math.pi / 180)
    assert len(mask) > 24
    assert correlation(mask.sum((1, 2)), targets["size"][inside] ** 2 * cosine) > 0.93
    flatness = torch.stack([torch.linalg.eigvalsh(moments(one)[1]) for one in mask])
    flatness = (flatness[:, 0] / flatness[:, 1]).sqrt()
    if not FLOWERS[kind].uneven:  # a pansy is not round to begin with
        assert (flatness - cosine).abs().mean() < 0.07
    assert correlation(flatness, cosine) > 0.75


@pytest.mark.parametrize("kind", ["cosmos", "daisy", "lily", "poppy", "primrose", "sunflower"])
def test_petals_are_the_number_of_tips_around_the_outline(kind, no_stems):
    """The strongest wave of the outline, seen from above, has as many crests as the flower has petals."""
    _, mask, targets = painted(paint_flower, FLOWERS[kind], 24, size=160)
    counted, told = [], targets["petals"][whole(mask)].tolist()
    for one in mask[whole(mask)]:
        at, covariance = moments(one)
        values, axes = torch.linalg.eigh(covariance)
        at = at @ axes / values.sqrt()  # untilted
        sector = ((torch.atan2(at[:, 1], at[:, 0]) / (2 * math.pi) + 0.5) * 180).long().clamp(max=179)
        outline = torch.zeros(180).scatter_reduce(0, sector, at.norm(dim=1), "amax", include_self=False)
        waves = torch.fft.rfft(outline - outline.mean()).abs()
        waves[:3] = 0  # what is left of the tilt
        counted.append(float(waves[:36].argmax()))
    agree = sum(a == b for a, b in zip(counted, told, strict=True)) / len(told)
    assert len(told) >= 10 and agree >= 0.9, list(zip(counted, told, strict=True))


def test_size_and_pose_of_a_goldfinch_are_those_of_what_is_painted():
    """Of a goldfinch dyed magenta: its area grows with the size squared, its axis turns with the pose."""
    magenta = (0.83, 1.0, 0.9)
    dyed = GOLDFINCHES["American"]._replace(body=magenta, back=magenta, head=magenta)
    picture, _, targets = painted(paint_finch, dyed, 64)
    bird = torch.minimum(picture[:, 0], picture[:, 2]) - picture[:, 1] > 0.12
    inside = whole(bird)
    assert inside.sum() > 40
    assert correlation(bird.sum((1, 2))[inside], targets["size"][inside] ** 2) > 0.85
    axes = torch.stack([torch.linalg.eigh(moments(one)[1])[1][:, 1] for one in bird[inside]])
    raised = torch.atan2(axes[:, 1].abs(), axes[:, 0].abs()) * 180 / math.pi  # either way round
    assert correlation(raised, targets["pose"][inside]) > 0.85
