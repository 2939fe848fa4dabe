"""Hot dogs and what could be taken for one, drawn from code: the binary example for those who have no images available.

A picture is a function of (kind, number, seed) alone, at any size; seen from above or a little from the side, on a table.
"""

import math

import torch

from helpers.images.drawn.brush import CHUNK, Canvas, Frame, Rng, blend, fractal_noise, hsv, lattice_noise, mix
from helpers.images.drawn.scenery import TURN, daylight, studio, tint

BREAD, CRUST, CRUMB = (0.095, 0.55, 0.85), (0.075, 0.65, 0.62), (0.12, 0.25, 0.95)
MEAT, MUSTARD, KETCHUP, LEAF = (0.02, 0.68, 0.6), (0.135, 0.9, 0.92), (0.99, 0.88, 0.72), (0.27, 0.65, 0.6)
_SALT = 1_000_003  # apart from the keys of the other embedded images


def draw_food(kind: str, numbers, *, seed: int = 0, size: int = 64) -> torch.Tensor:
    """Paint "hot dog", "hamburger", "banana", "baguette", "carrot", "sausage" or "nothing": uint8 (N, 3, size, size).

    numbers: int64 (N,), which pictures of the kind. Raises ValueError for another kind, or a size out of 16 to 1024.
    """
    if kind not in FOODS:
        raise ValueError(f"unknown kind {kind!r}; there are {', '.join(FOODS)}")
    start = mix(mix(torch.tensor([seed], dtype=torch.int64)) + _SALT + list(FOODS).index(kind))
    keys = mix(start + torch.as_tensor(numbers, dtype=torch.int64))
    return torch.cat([_draw(FOODS[kind], some, size) for some in keys.split(CHUNK)])


def _draw(painter, keys, size) -> torch.Tensor:
    canvas, rng = Canvas(len(keys), size), Rng(keys)
    studio(canvas, rng)
    x, y, scale = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.55, 0.85)
    _plate(canvas, rng, x, y, scale)
    shadow = canvas.frame(x + 0.04, y + 0.07, 0.0, scale)
    canvas.paint(shadow.ellipse(0.0, 0.0, 0.8, 0.6, softness=22.0) * 0.35, torch.zeros(1, 3, 1, 1))
    painter(canvas, rng, canvas.frame(x, y, rng.uniform(0, TURN), scale), canvas.frame(x, y, rng.uniform(-0.2, 0.2), scale))
    daylight(canvas, rng)
    return canvas.finished()


def _plate(canvas, rng, x, y, scale) -> None:
    """A plate below, in most pictures; in the others a napkin."""
    china = hsv(rng.uniform(), rng.uniform(0, 0.25), rng.uniform(0.75, 1.0))
    plate, there = canvas.frame(x, y, 0.0, scale * 1.25), rng.chance(0.6)
    canvas.paint(plate.ellipse(0.0, 0.0, 1.0, 0.93) * there, china)
    canvas.paint(plate.ellipse(0.0, 0.0, 0.74, 0.68, softness=3.0) * there, china * 0.93)
    napkin = canvas.frame(x, y, rng.uniform(0, TURN), scale)
    square = napkin.inside(torch.maximum(napkin.u.abs(), napkin.v.abs()) - 0.9)
    canvas.paint(square * (1 - there) * rng.chance(0.6), hsv(rng.uniform(), rng.uniform(0, 0.7), rng.uniform(0.6, 1.0)))


def _loaf(canvas, rng, frame: Frame, long, thick, crust) -> None:
    """A long piece of bread, lighter along its ridge and browned unevenly."""
    mask = frame.bar(-long, 0.0, long, 0.0, 2 * thick)
    light = 1.12 - 0.5 * (frame.v / thick).abs().clamp(0, 1) ** 3 + 0.1 * fractal_noise(rng, canvas.size, (7, 17))
    canvas.paint(mask, crust * light[:, None])


def _sauce(canvas, rng, frame: Frame, long, colour, there) -> None:
    """A line of sauce that winds along the food."""
    wave = rng.uniform(0.04, 0.09) * torch.sin(frame.u * rng.uniform(9, 17) + rng.uniform(0, TURN))
    ends = frame.inside(frame.u.abs() - long, 2.0)
    canvas.paint(frame.inside((frame.v - wave).abs() - rng.uniform(0.025, 0.05)) * ends * there, colour)


def paint_hot_dog(canvas, rng, frame: Frame, _) -> None:
    """A sausage that looks out of a bun at both ends, with mustard, ketchup, both or none."""
    thick, meat = rng.uniform(0.27, 0.36), tint(rng, MEAT, 0.03, 0.2, 0.2)
    _loaf(canvas, rng, frame, rng.uniform(0.55, 0.66), thick, tint(rng, BREAD, 0.02, 0.25, 0.15))
    canvas.paint(frame.bar(-0.6, 0.0, 0.6, 0.0, 0.36), tint(rng, CRUMB))
    width, long = rng.uniform(0.22, 0.29), rng.uniform(0.68, 0.86)
    bent = Frame(frame.u, frame.v - rng.uniform(-0.12, 0.12) * (frame.u**2 - 0.3), frame.edge, frame.fineness)
    shine = 1.1 - 1.6 * (bent.v / width + 0.12).abs() ** 2 + 0.08 * lattice_noise(rng, 19, canvas.size)
    canvas.paint(bent.bar(-long, 0.0, long, 0.0, width), meat * shine.clamp(0.4, 1.3)[:, None])
    _sauce(canvas, rng, bent, 0.6, tint(rng, MUSTARD), rng.chance(0.6))
    _sauce(canvas, rng, bent, 0.6, tint(rng, KETCHUP), rng.chance(0.4))
    bits = (lattice_noise(rng, 21, canvas.size) > 0.42).float() * frame.bar(-0.5, 0.0, 0.5, 0.0, 0.3)
    canvas.paint(bits * rng.chance(0.3), tint(rng, (0.13, 0.15, 0.95)))


def paint_hamburger(canvas, rng, _, upright: Frame) -> None:
    """Seen from the side, layer upon layer; from above in a third of the pictures."""
    crust, above = tint(rng, BREAD, 0.02, 0.25, 0.15), rng.chance(0.33)
    seen = lambda mask: mask * (1 - above)
    wide = rng.uniform(0.62, 0.75)
    canvas.paint(seen(upright.ellipse(0.0, 0.36, wide, 0.2)), crust * 0.9)
    canvas.paint(seen(upright.bar(-wide, 0.2, wide, 0.2, 0.24)), tint(rng, (0.05, 0.6, 0.3)))
    cheese = upright.inside((upright.u.abs() - 0.66).clamp(min=0) + (upright.v - 0.06 - 0.1 * (6 * upright.u).cos()).abs() - 0.06)
    canvas.paint(seen(cheese) * rng.chance(0.7), tint(rng, MUSTARD))
    rim = 0.05 * torch.sin(upright.u * rng.uniform(14, 22))
    canvas.paint(seen(upright.inside((upright.v + rim).abs() - 0.07) * upright.ellipse(0.0, 0.0, 0.78, 0.5)), tint(rng, LEAF))
    dome = upright.ellipse(0.0, -0.04, wide, 0.5) * upright.inside(upright.v + 0.02)
    top = upright.ellipse(0.0, 0.0, wide, wide * 0.96)
    canvas.paint(top * above, tint(rng, LEAF) * 0.9)
    mask = seen(dome) + upright.ellipse(0.0, 0.0, wide * 0.93, wide * 0.9) * above
    light = 1.1 - 0.35 * (upright.u**2 + (upright.v + 0.2) ** 2) + 0.08 * fractal_noise(rng, canvas.size, (7, 17))
    canvas.paint(mask, crust * light[:, None])
    seeds = (lattice_noise(rng, 25, canvas.size) > 0.48).float() * mask * upright.ellipse(0.0, -0.1, 0.5, 0.4)
    canvas.paint(seeds * rng.chance(0.7), tint(rng, CRUMB))


def paint_banana(canvas, rng, frame: Frame, _) -> None:
    """One banana, or two side by side: a crescent with dark tips, from green to spotted."""
    skin = tint(rng, (0.145, 0.8, 0.92), 0.035, 0.15, 0.12)
    for there, shift in ((rng.chance(0.4), -0.26), (1.0, 0.0)):
        part = frame.inner(0.0, 0.0 + shift)
        radius = ((part.u**2) + (part.v - 0.75) ** 2).sqrt()
        along = torch.atan2(part.u, 0.75 - part.v) / 0.95
        width = 0.21 * (1 - along.abs().clamp(0, 1) ** 4) + 0.03
        body = part.inside((radius - 0.9).abs() - width) * part.inside((along.abs() - 1) * 0.8) * there
        ridge = 1.05 - 0.25 * torch.tanh(9 * (radius - 0.88)) - 0.1 * (radius - 0.9).abs() / 0.2
        canvas.paint(body, skin * ridge[:, None])
        canvas.paint(body * ((along.abs() - 0.86) * 12).clamp(0, 1), tint(rng, (0.09, 0.6, 0.25)))
        spots = (fractal_noise(rng, canvas.size, (13, 29)) > 0.75).float() * body * rng.chance(0.5)
        canvas.paint(spots * 0.7, hsv(*(torch.full((1, 1, 1), c) for c in (0.07, 0.7, 0.3))))


def paint_baguette(canvas, rng, frame: Frame, _) -> None:
    """A stick of bread with cuts across; in half of the pictures a sandwich: slit and filled, but not with a sausage."""
    thick = rng.uniform(0.22, 0.34)
    _loaf(canvas, rng, frame, rng.uniform(0.58, 0.75), thick, tint(rng, CRUST, 0.02, 0.2, 0.2))
    filled = rng.chance(0.5)
    lean = frame.u * math.cos(0.5) + frame.v * math.sin(0.5)
    cuts = (torch.sin(lean * rng.uniform(14, 20) + rng.uniform(0, TURN)) - 0.55).clamp(0, 1) * 2
    canvas.paint(cuts.clamp(0, 1) * frame.bar(-0.6, 0.0, 0.6, 0.0, 1.3 * thick) * (1 - filled), tint(rng, CRUMB) * 0.9)
    ragged = 0.05 * torch.sin(frame.u * rng.uniform(20, 30)) + 0.03 * lattice_noise(rng, 17, canvas.size)
    slit = frame.inside((frame.v + ragged).abs() - rng.uniform(0.1, 0.15)) * frame.inside(frame.u.abs() - 0.62, 2.0) * filled
    canvas.paint(slit, tint(rng, LEAF))
    slices = (torch.sin(frame.u * rng.uniform(12, 16)) > 0.1).float() * frame.inside(frame.v.abs() - 0.07)
    red = rng.chance(0.6)
    canvas.paint(slit * slices, blend(tint(rng, MUSTARD), tint(rng, KETCHUP), red))


def paint_carrot(canvas, rng, frame: Frame, _) -> None:
    """A carrot with rings and its greens, or two; peeled or not."""
    for there, lean, shift in ((rng.chance(0.45), 0.25, 0.3), (1.0, 0.0, 0.0)):
        part = frame.inner(0.0, shift, lean)
        for _ in range(4):
            leaf = part.bar(-0.6, 0.0, -1.05, rng.uniform(-0.35, 0.35), rng.uniform(0.04, 0.09), 0.5)
            canvas.paint(leaf * there * rng.chance(0.8), tint(rng, LEAF, 0.04))
        taper = rng.uniform(0.3, 0.75)
        rings = (torch.sin(part.u * 31 + 3 * torch.sin(part.v * 9)) - 0.8).clamp(0, 1) * 1.2
        light = 1.1 - 1.8 * part.v**2 / 0.1 * 0.2 - rings * 0.6 + 0.06 * fractal_noise(rng, canvas.size, (9, 25))
        colour = tint(rng, (0.065, 0.85, 0.95), 0.025, 0.15, 0.12)
        canvas.paint(part.bar(-0.6, 0.0, 0.75, 0.0, rng.uniform(0.3, 0.42), taper) * there, colour * light[:, None])


def paint_sausage(canvas, rng, frame: Frame, _) -> None:
    """Sausages without bread, one to three side by side, with mustard or without: the hardest to tell from a hot dog."""
    meat, width = tint(rng, MEAT, 0.03, 0.2, 0.2), rng.uniform(0.22, 0.3)
    for there, shift in ((rng.chance(0.3), -0.3), (rng.chance(0.5), 0.3), (1.0, 0.0)):
        bend = rng.uniform(-0.3, 0.3)
        part = Frame(frame.u, frame.v - shift - bend * (frame.u**2 - 0.3), frame.edge, frame.fineness)
        shine = 1.1 - 1.6 * (part.v / width + 0.12).abs() ** 2 + 0.08 * lattice_noise(rng, 19, canvas.size)
        body = part.bar(-0.62, 0.0, 0.62, 0.0, width) * there
        canvas.paint(body, meat * shine.clamp(0.4, 1.3)[:, None])
        grill = (torch.sin(part.u * 22) - 0.75).clamp(0, 1) * 3
        canvas.paint(grill.clamp(0, 1) * body * rng.chance(0.5) * 0.6, meat * 0.35)
    _sauce(canvas, rng, frame, 0.55, tint(rng, MUSTARD), rng.chance(0.5))


def paint_nothing(canvas, rng, *_) -> None:
    """The table alone, with or without a plate."""


FOODS = {
    "hot dog": paint_hot_dog,
    "hamburger": paint_hamburger,
    "banana": paint_banana,
    "baguette": paint_baguette,
    "carrot": paint_carrot,
    "sausage": paint_sausage,
    "nothing": paint_nothing,
}  # appended to only: the order is in every picture's key
