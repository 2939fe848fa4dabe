"""What surrounds an embedded image's subject: a meadow or a studio behind it, daylight and lens over it."""

import math

import torch

from helpers.images.drawn.brush import Canvas, Dice, blend, fractal_noise, hsv, lattice_noise

TURN = 2 * math.pi


def tint(dice: Dice, colour, hue=0.012, saturation=0.08, value=0.07) -> torch.Tensor:
    """A colour (hue, saturation, value) as it varies from one picture to the next: (N, 3, 1, 1)."""
    return hsv(
        colour[0] + dice.normal(hue / 2),
        (colour[1] + dice.normal(saturation / 2)).clamp(0, 1),
        (colour[2] + dice.normal(value / 2)).clamp(0.02, 1),
    )


def meadow(canvas: Canvas, dice: Dice) -> None:
    """A blurred background of sky, leaves, soil or dry grass, with a few blades in front of it."""
    ground = hsv(dice.uniform(0.05, 0.4), dice.uniform(0.15, 0.65), dice.uniform(0.15, 0.6))
    sky = hsv(dice.uniform(0.1, 0.62), dice.uniform(0.0, 0.45), dice.uniform(0.35, 0.95))
    slope = dice.uniform(-0.7, 0.7) * canvas.x + dice.uniform(-1.0, 0.5) * canvas.y
    blur = fractal_noise(dice, canvas.size, octaves=(2, 4, 9))
    canvas.image[:] = blend(ground, sky, (0.5 + 0.5 * slope + 0.55 * blur).clamp(0, 1))
    for _ in range(3):  # out-of-focus leaves and blossoms
        spot = canvas.frame(
            dice.uniform(-1, 1), dice.uniform(-1, 1), dice.uniform(0, TURN), dice.uniform(0.1, 0.4)
        )
        colour = hsv(dice.uniform(0, 1) ** 2 * 0.9, dice.uniform(0.1, 0.8), dice.uniform(0.2, 0.95))
        canvas.paint(
            spot.ellipse(0.0, 0.0, 1.0, dice.uniform(0.25, 1), softness=12.0) * dice.uniform(0.1, 0.6), colour
        )
    for _ in range(3):  # blades
        x, lean = dice.uniform(-1, 1), dice.uniform(-0.7, 0.7)
        blade = canvas.frame().bar(x, 1.1, x + lean, dice.uniform(-0.8, 0.8), dice.uniform(0.03, 0.12), 0.15)
        canvas.paint(
            blade * dice.uniform(0.3, 0.9),
            hsv(dice.uniform(0.15, 0.38), dice.uniform(0.3, 0.7), dice.uniform(0.2, 0.6)),
        )


def studio(canvas: Canvas, dice: Dice) -> None:
    """A background of another world: a wall and a table of plain, often strong colours, a blind's stripes, lamps."""
    wall = hsv(dice.uniform(), dice.chance(0.6) * dice.uniform(0.3, 0.95), dice.uniform(0.05, 0.98))
    table = hsv(dice.uniform(), dice.chance(0.5) * dice.uniform(0.2, 0.9), dice.uniform(0.05, 0.98))
    stripe = dice.chance(0.6) * dice.uniform(0.1, 0.5)
    along = canvas.x + dice.uniform(-0.2, 0.2) * canvas.y
    blind = 0.5 + 0.5 * torch.tanh(4 * torch.sin(along * dice.uniform(8, 26) + dice.uniform(0, TURN)))
    canvas.image[:] = blend(wall, wall * 0.35, stripe * blind)
    edge = canvas.y - dice.uniform(-0.2, 0.9) - dice.uniform(-0.15, 0.15) * canvas.x
    canvas.paint(canvas.frame().inside(-edge, 1.5) * dice.chance(0.7), table)
    for _ in range(2):  # lamps out of focus
        lamp = canvas.frame(dice.uniform(-1, 1), dice.uniform(-1, 1), 0.0, dice.uniform(0.1, 0.5))
        light = hsv(dice.uniform(), dice.uniform(0, 0.5), dice.uniform(0.7, 1))
        canvas.paint(lamp.ellipse(0.0, 0.0, 1.0, 1.0, softness=6.0) * dice.chance(0.5) * dice.uniform(0.2, 0.8), light)


def daylight(canvas: Canvas, dice: Dice) -> None:
    """Light and lens over the finished picture: a light from one side, exposure, colour cast, grain."""
    angle = dice.uniform(0, TURN)
    slope = dice.uniform(0, 0.3)
    gain = dice.uniform(0.7, 1.2) * (
        1 + slope * torch.cos(angle) * canvas.x + slope * torch.sin(angle) * canvas.y
    )
    cast = 1 + dice.normal(0.05, shape=(3, 1, 1))
    grain = dice.uniform(0, 0.025) * lattice_noise(dice, 45, canvas.size)
    contrast = dice.uniform(0.8, 1.1)[:, None]
    canvas.image.mul_(contrast).add_(0.5 - 0.5 * contrast).mul_(cast).mul_(gain[:, None]).add_(grain[:, None])
