"""Figures can be read by the colour-blind too, and numbers on coloured cells stand out."""

import itertools

import numpy
import pytest
import torch
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from test_charts import grid

from helpers import plot_map
from helpers.notebook import figures as plots
from helpers.notebook.figures import ink
from helpers.training.charts import PALE

# Red, green and blue (linear) as they look to people without the cones for long or for medium wavelengths: Machado,
# Oliveira and Fernandes, A physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15(6), 2009,
# table 1, severity 1.
SEEN = {
    "full sight": numpy.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
# Linear sRGB to CIE XYZ (IEC 61966-2-1), white point D65.
TO_XYZ = numpy.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = TO_XYZ.sum(1)


def linear_rgb(colour):
    coded = numpy.array(to_rgb(colour))
    return numpy.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def cielab(colour, sight="full sight"):
    """A colour in CIELAB 1976, in which equal distances look about equally large."""
    linear = linear_rgb(colour)
    share = TO_XYZ @ numpy.clip(SEEN[sight] @ linear, 0, 1) / WHITE
    x, y, z = numpy.where(share > 216 / 24389, numpy.cbrt(share), (24389 / 27 * share + 16) / 116)
    return numpy.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours, sight):
    """The smallest distance (Delta E 1976) of two of the colours; about 2 is just noticed, side by side."""
    return min(numpy.linalg.norm(cielab(a, sight) - cielab(b, sight)) for a, b in itertools.combinations(colours, 2))


@pytest.mark.parametrize("sight", SEEN)
def test_no_two_colours_of_the_course_look_alike(sight):
    assert nearest(plots.COLOURS, sight) > 15


def test_distances_and_contrasts_are_those_of_the_standards():
    assert contrast("k", "w") == pytest.approx(21) and contrast("#777777", "w") == pytest.approx(4.48, abs=0.01)
    assert cielab("w") == pytest.approx([100, 0, 0], abs=0.01) and cielab("r") == pytest.approx([53.24, 80.09, 67.2], abs=0.05)
    assert nearest(["tab:red", "tab:green"], "full sight") > 100 > 10 > nearest(["tab:red", "tab:green"], "deuteranopia")


def contrast(one, other):
    """Contrast ratio of two colours, from 1 (none) to 21 (black on white); text wants 4.5 (WCAG 2.2, 1.4.3)."""
    low, high = sorted(linear_rgb(colour) @ [0.2126, 0.7152, 0.0722] for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def on_white(colour, alpha):
    """The colour that is seen where a colour covers white with this opacity."""
    return [alpha * part + 1 - alpha for part in colour[:3]]


def test_black_numbers_stand_out_from_every_colour_of_a_map():
    assert min(contrast("k", colormaps["Blues"](PALE * i / 100)) for i in range(101)) > 5
    assert min(contrast("k", on_white(colormaps["RdBu"](i / 100), PALE)) for i in range(101)) > 5
    assert min(contrast("k", colormaps["RdBu"](i / 100)) for i in range(101)) < 2, "on the full colours they would not"


@pytest.mark.parametrize("name", ["Blues", "cividis", "Greys", "RdBu"])
def test_ink_stands_out_from_every_colour(name):
    assert min(contrast(ink(colormaps[name](i / 100)), colormaps[name](i / 100)) for i in range(101)) > 4.5


@pytest.mark.parametrize("baseline", [None, "frozen"])
def test_numbers_of_a_map_stand_out_from_their_cells(baseline):
    (axes,) = plot_map(grid().select(task="near"), "per_class", "recipe", differences_to=baseline).axes
    (image,) = axes.images
    for text in axes.texts:
        column, row = (round(place) for place in text.get_position())
        ground = on_white(image.to_rgba(image.get_array())[row, column], image.get_alpha() or 1)
        assert contrast(text.get_color(), ground) > 5


def test_numbers_of_a_confusion_matrix_stand_out_from_their_cells():
    labels = torch.arange(3).repeat_interleave(100)
    answers = torch.cat([torch.arange(100) < 1, torch.arange(100) < 48, torch.arange(100) < 100]).long()
    (axes,) = plots.plot_confusion(labels, answers, ["a", "b", "c"]).axes
    (image,) = axes.images
    for text in axes.texts:
        column, row = text.get_position()
        assert contrast(text.get_color(), image.to_rgba(image.get_array())[row, column]) > 4.5
