"""The tissue: drawings as under a microscope, six kinds told apart by how their cells lie, how dense, and their shape.

No single object, no background, and stains that say nothing: a target far from everything in the source world.
"""

import math
from typing import NamedTuple

import torch

from helpers.images.drawn.brush import Canvas, Rng, blend, fractal_noise, hsv
from helpers.images.drawn.scenery import TURN

REACH = 1.5  # nuclei are laid out this far from the middle, so that corners are full whatever the turn
SMALLEST, LARGEST = 0.115, 0.16  # radius of a nucleus; the picture is 2 wide
_BLOCK = 4096  # pixels at once: the distances to all nuclei take memory


class Tissue(NamedTuple):
    """What makes a kind. Lengths are in radii of a nucleus."""

    marks: str
    layout: str  # "grid": a hexagonal grid, "groups": a few groups, "rings": rings around a pale middle
    spacing: float = 3.0  # from nucleus to nucleus
    jitter: float = 0.0  # how far nuclei stray from the grid, as a share of the spacing
    slender: float = 1.0  # length over width of a nucleus
    aligned: bool = False  # nuclei lie along a flow


TISSUES = {
    "clustered": Tissue("round nuclei in a few groups, with empty ground between them", "groups"),
    "crowded": Tissue("round nuclei everywhere, touching or overlapping each other", "grid", 2.0, 0.3),
    "glandular": Tissue("round nuclei in rings around a pale middle", "rings"),
    "regular": Tissue("round nuclei at even distances, as on a grid", "grid", 3.0, 0.05),
    "scattered": Tissue("as many round nuclei as in regular tissue, but strewn without order", "grid", 3.0, 0.5),
    "spindle": Tissue("long thin nuclei, side by side along a flow", "grid", 2.7, 0.3, 3.2, True),
}


def paint_tissue(canvas: Canvas, rng: Rng, kind: Tissue) -> dict[str, torch.Tensor]:
    """Paint one section of tissue a picture; say how large its nuclei are (radius; the picture is 2 wide) and how many."""
    radius = rng.uniform(SMALLEST, LARGEST)
    x, y = {"grid": _grid, "groups": _groups, "rings": _rings}[kind.layout](kind, rng, radius)
    if kind.layout == "rings":
        (x, y), (lumen_x, lumen_y, lumen) = x, y
    lean = _flow(rng, x, y) if kind.aligned else rng.uniform(0, TURN / 2, (1, x.shape[-1]))
    slender = kind.slender * rng.uniform(1.0, 1.45, (1, x.shape[-1]))
    size = radius * rng.uniform(0.8, 1.2, (1, x.shape[-1]))
    stain = _stain(rng)
    _ground(canvas, rng, stain)
    if kind.layout == "rings":
        round_ = torch.ones_like(lumen)
        away = _nearest(canvas, lumen_x, lumen_y, round_ * 0, lumen, round_)
        canvas.paint(_inside(canvas, away, lumen.mean(-1, keepdim=True), 2.0) * rng.uniform(0.3, 0.7), stain["pale"])
    away = _nearest(canvas, x, y, lean, size * slender**0.5, slender)
    canvas.paint(_inside(canvas, away - 0.35, radius, 5.0) * rng.uniform(0.2, 0.6), stain["cell"])
    grain = 1 + rng.uniform(0, 0.4) * fractal_noise(rng, canvas.size, (9, 23), 0.8)
    canvas.paint(_inside(canvas, away, radius, 1.0) * rng.uniform(0.6, 1.0), stain["nucleus"] * grain[:, None])
    seen = ((x.abs() < 1) & (y.abs() < 1)).sum((1, 2)).float()
    return {"size": radius.view(-1), "cells": seen}


def _grid(kind, rng, radius):
    """Nuclei near the points of a hexagonal grid, turned and shifted: x, y, each (N, 1, K)."""
    step = kind.spacing * (kind.slender**0.5 if kind.aligned else 1.0)
    most = math.ceil(REACH / (0.866 * step * SMALLEST))
    column, row = torch.meshgrid(torch.arange(-most, most + 1), torch.arange(-most, most + 1), indexing="xy")
    column, row = column + 0.5 * (row % 2), 0.866 * row
    near = column**2 + row**2 <= (REACH / (step * SMALLEST)) ** 2
    column, row = column[near].view(1, 1, -1), row[near].view(1, 1, -1)
    stray = [kind.jitter * rng.uniform(-1, 1, (1, column.shape[-1])) for _ in range(2)]
    u = (column + rng.uniform(-0.5, 0.5) + stray[0]) * step * radius
    v = (row + rng.uniform(-0.5, 0.5) + stray[1]) * step * radius
    return _turned(u, v, rng.uniform(0, TURN))


def _groups(kind, rng, radius):
    """Three groups of nuclei, in which they lie as close as in crowded tissue."""
    groups, members = 3, 11
    turn = rng.uniform(0, TURN)
    angle = turn + TURN / groups * torch.arange(groups).view(1, -1) + rng.uniform(-0.4, 0.4, (1, groups))
    out = rng.uniform(0.5, 0.9, (1, groups))
    place = torch.arange(members).view(1, 1, members)  # a sunflower's seeds fill a disc evenly
    spread = 1.2 * radius[..., None] * (place + 0.4).sqrt()
    seed = 2.4 * place + rng.uniform(0, TURN, (1, groups))[..., None]
    stray = 0.5 * radius[..., None]
    x = (out * angle.cos())[..., None] + spread * seed.cos() + stray * rng.uniform(-1, 1, (1, groups, members))
    y = (out * angle.sin())[..., None] + spread * seed.sin() + stray * rng.uniform(-1, 1, (1, groups, members))
    return x.flatten(2), y.flatten(2)


def _rings(kind, rng, radius):
    """Rings of nuclei: (x, y), each (N, 1, K), and the middles (x, y, radius), each (N, 1, 4)."""
    rings, members = 4, 11
    turn = rng.uniform(0, TURN)
    angle = turn + TURN / rings * torch.arange(rings).view(1, -1) + rng.uniform(-0.25, 0.25, (1, rings))
    out, wide = rng.uniform(0.6, 0.9, (1, rings)), radius * rng.uniform(2.9, 4.0, (1, rings))
    cx, cy = out * angle.cos(), out * angle.sin()
    round_ = TURN * (torch.arange(members) + rng.uniform(-0.2, 0.2, (rings, members))[:, None]) / members
    far = wide[..., None] * rng.uniform(0.9, 1.1, (1, rings, members))
    x, y = cx[..., None] + far * round_.cos(), cy[..., None] + far * round_.sin()
    return (x.flatten(2), y.flatten(2)), (cx, cy, wide * 0.7)


def _turned(u, v, angle):
    return u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()


def _flow(rng, x, y):
    """A direction at each nucleus that turns slowly across the picture."""
    bend = rng.uniform(-0.6, 0.6) * x + rng.uniform(-0.6, 0.6) * y
    return rng.uniform(0, TURN) + bend + rng.normal(0.15, (1, x.shape[-1]))


def _nearest(canvas: Canvas, x, y, lean, length, slender) -> torch.Tensor:
    """How far each pixel is from the nearest nucleus: 0 in its middle, 1 on its rim, (N, size, size).

    A nucleus is an ellipse; its squared distance is a polynomial of a pixel's x and y, so that the distances of all
    pixels to all nuclei are one matrix product.
    """
    c, s = lean.cos(), lean.sin()
    a, b = 1 / length**2, (slender / length) ** 2
    xx, xy, yy = a * c * c + b * s * s, 2 * (a - b) * c * s, a * s * s + b * c * c
    linear_x, linear_y = -(2 * xx * x + xy * y), -(2 * yy * y + xy * x)
    constant = xx * x * x + xy * x * y + yy * y * y
    of_nuclei = torch.cat([xx, xy, yy, linear_x, linear_y, constant], dim=1).transpose(1, 2)  # (N, K, 6)
    px, py = canvas.x.reshape(-1), canvas.y.reshape(-1)
    of_pixels = torch.stack([px * px, px * py, py * py, px, py, torch.ones_like(px)])  # (6, pixels)
    squares = torch.cat([(of_nuclei @ part).amin(1) for part in of_pixels.split(_BLOCK, dim=1)], dim=1)
    return squares.clamp_(min=0).sqrt_().view(len(x), canvas.size, canvas.size)


def _inside(canvas: Canvas, away, radius, softness) -> torch.Tensor:
    return canvas.frame().inside((away - 1) * radius, softness)


def _stain(rng):
    """Colours of ground, cells and nuclei: dark nuclei on a pale ground or, as in fluorescence, the other way round."""
    hue, turn = rng.uniform(), rng.uniform(-0.3, 0.3)
    lit = rng.chance(0.3)  # bright nuclei on a dark ground
    ground = hsv(hue, rng.uniform(0.05, 0.5), lit * rng.uniform(0.08, 0.3) + (1 - lit) * rng.uniform(0.7, 0.95))
    nucleus = hsv((hue + turn) % 1, rng.uniform(0.3, 0.85), lit * rng.uniform(0.65, 1.0) + (1 - lit) * rng.uniform(0.2, 0.5))
    pale = blend(ground, torch.ones(1, 3, 1, 1) * (1 - lit[:, None]), rng.uniform(0.4, 0.9))
    return {"ground": ground, "nucleus": nucleus, "cell": blend(ground, nucleus, rng.uniform(0.2, 0.45)), "pale": pale}


def _ground(canvas, rng, stain):
    """Fibres and clouds between the cells."""
    noise = fractal_noise(rng, canvas.size, (3, 8, 17), 0.8)
    wave = torch.sin((rng.uniform(-1, 1) * canvas.x + rng.uniform(-1, 1) * canvas.y + 0.2 * noise) * rng.uniform(6, 30))
    amount = rng.uniform(0.1, 0.35) * noise + rng.chance(0.5) * rng.uniform(0.03, 0.15) * wave + 0.2
    canvas.image[:] = blend(stain["ground"], stain["cell"], amount.clamp(0, 1))
