"""What surrounds an embedded image's subject: a meadow or a studio behind it, daylight and lens over it."""

import math

import torch

from helpers.images.drawn.brush import Canvas, Rng, blend, fractal_noise, hsv, lattice_noise

TURN = 2 * math.pi


def tint(rng: Rng, colour, hue=0.012, saturation=0.08, value=0.07) -> torch.Tensor:
    """A colour (hue, saturation, value) as it varies from one picture to the next: (N, 3, 1, 1)."""
    return hsv(
        colour[0] + rng.normal(hue / 2),
        (colour[1] + rng.normal(saturation / 2)).clamp(0, 1),
        (colour[2] + rng.normal(value / 2)).clamp(0.02, 1),
    )


def meadow(canvas: Canvas, rng: Rng) -> None:
    """A blurred background of sky, leaves, soil or dry grass, with a few blades in front of it."""
    ground = hsv(rng.uniform(0.05, 0.4), rng.uniform(0.15, 0.65), rng.uniform(0.15, 0.6))
    sky = hsv(rng.uniform(0.1, 0.62), rng.uniform(0.0, 0.45), rng.uniform(0.35, 0.95))
    slope = rng.uniform(-0.7, 0.7) * canvas.x + rng.uniform(-1.0, 0.5) * canvas.y
    blur = fractal_noise(rng, canvas.size, octaves=(2, 4, 9))
    canvas.image[:] = blend(ground, sky, (0.5 + 0.5 * slope + 0.55 * blur).clamp(0, 1))
    for _ in range(3):  # out-of-focus leaves and blossoms
        spot = canvas.frame(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, TURN), rng.uniform(0.1, 0.4))
        colour = hsv(rng.uniform(0, 1) ** 2 * 0.9, rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.95))
        canvas.paint(spot.ellipse(0.0, 0.0, 1.0, rng.uniform(0.25, 1), softness=12.0) * rng.uniform(0.1, 0.6), colour)
    for _ in range(3):  # blades
        x, lean = rng.uniform(-1, 1), rng.uniform(-0.7, 0.7)
        blade = canvas.frame().bar(x, 1.1, x + lean, rng.uniform(-0.8, 0.8), rng.uniform(0.03, 0.12), 0.15)
        canvas.paint(blade * rng.uniform(0.3, 0.9), hsv(rng.uniform(0.15, 0.38), rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.6)))


def studio(canvas: Canvas, rng: Rng) -> None:
    """A background of another world: a wall and a table of plain, often strong colours, a blind's stripes, lamps."""
    wall = hsv(rng.uniform(), rng.chance(0.6) * rng.uniform(0.3, 0.95), rng.uniform(0.05, 0.98))
    table = hsv(rng.uniform(), rng.chance(0.5) * rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.98))
    stripe = rng.chance(0.6) * rng.uniform(0.1, 0.5)
    along = canvas.x + rng.uniform(-0.2, 0.2) * canvas.y
    blind = 0.5 + 0.5 * torch.tanh(4 * torch.sin(along * rng.uniform(8, 26) + rng.uniform(0, TURN)))
    canvas.image[:] = blend(wall, wall * 0.35, stripe * blind)
    edge = canvas.y - rng.uniform(-0.2, 0.9) - rng.uniform(-0.15, 0.15) * canvas.x
    canvas.paint(canvas.frame().inside(-edge, 1.5) * rng.chance(0.7), table)
    for _ in range(2):  # lamps out of focus
        lamp = canvas.frame(rng.uniform(-1, 1), rng.uniform(-1, 1), 0.0, rng.uniform(0.1, 0.5))
        light = hsv(rng.uniform(), rng.uniform(0, 0.5), rng.uniform(0.7, 1))
        canvas.paint(lamp.ellipse(0.0, 0.0, 1.0, 1.0, softness=6.0) * rng.chance(0.5) * rng.uniform(0.2, 0.8), light)


def daylight(canvas: Canvas, rng: Rng) -> None:
    """Light and lens over the finished picture: a light from one side, exposure, colour cast, grain."""
    angle = rng.uniform(0, TURN)
    slope = rng.uniform(0, 0.3)
    gain = rng.uniform(0.7, 1.2) * (1 + slope * torch.cos(angle) * canvas.x + slope * torch.sin(angle) * canvas.y)
    cast = 1 + rng.normal(0.05, shape=(3, 1, 1))
    grain = rng.uniform(0, 0.025) * lattice_noise(rng, 45, canvas.size)
    contrast = rng.uniform(0.8, 1.1)[:, None]
    canvas.image.mul_(contrast).add_(0.5 - 0.5 * contrast).mul_(cast).mul_(gain[:, None]).add_(grain[:, None])
