"""The flowers: ten kinds, the marks that tell them apart, and how they are painted."""

import math
from typing import NamedTuple

import torch

from helpers.brush import Canvas, Dice, Frame, blend, hsv
from helpers.scenery import TURN, tint


class Flower(NamedTuple):
    """What makes a kind: petals (fewest, most), how they are shaped and coloured, and the centre ("eye")."""

    marks: str
    petals: tuple[int, int]
    colours: tuple[tuple[float, float, float], ...]  # hue, saturation, value: one is drawn for each picture
    base: float = 0.2  # where the petals part, as a share of their length
    power: float = 0.7  # below 1 broad, above 1 pointed
    notch: float = 0.0  # how deep the tips are cut in
    ragged: float = 0.0  # toothed tips
    whorls: int = 1
    eye: float = 0.25
    eye_colour: tuple[float, float, float] = (0.13, 0.9, 0.9)
    throat: tuple[float, float, float] | None = None  # colour at the petals' foot
    spots: float = 0.0
    stamens: int = 0
    heads: int = 1  # flower heads in a cluster


FLOWERS = {
    "cornflower": Flower(
        "blue, 8-11 ragged rays in two rings, violet middle",
        (8, 11),
        ((0.62, 0.75, 0.85), (0.66, 0.65, 0.8), (0.9, 0.35, 0.9)),
        0.12,
        0.7,
        0.0,
        0.22,
        2,
        0.27,
        (0.78, 0.7, 0.4),
    ),
    "cosmos": Flower(
        "eight broad petals with toothed tips, yellow middle",
        (8, 8),
        ((0.9, 0.5, 0.9), (0.88, 0.75, 0.75), (0.95, 0.04, 0.96)),
        0.25,
        0.42,
        0.0,
        0.08,
        1,
        0.2,
    ),
    "daisy": Flower(
        "16-22 narrow white rays, yellow middle",
        (16, 22),
        ((0.12, 0.02, 0.98), (0.95, 0.12, 0.97)),
        0.25,
        0.75,
        eye=0.32,
    ),
    "forget-me-not": Flower(
        "clusters of small blue flowers, five round petals, yellow eye",
        (5, 5),
        ((0.58, 0.5, 0.92), (0.6, 0.35, 0.95), (0.93, 0.25, 0.95)),
        0.45,
        0.4,
        eye=0.2,
        throat=(0.15, 0.1, 1.0),
        heads=5,
    ),
    "lily": Flower(
        "six pointed petals, spotted, long stamens",
        (6, 6),
        ((0.07, 0.85, 0.95), (0.93, 0.4, 0.95), (0.14, 0.05, 0.98)),
        0.14,
        1.15,
        eye=0.1,
        eye_colour=(0.25, 0.6, 0.6),
        throat=(0.2, 0.5, 0.8),
        spots=1.0,
        stamens=6,
    ),
    "pansy": Flower(
        "five uneven petals, dark blotches, tiny yellow eye",
        (5, 5),
        ((0.76, 0.7, 0.6), (0.14, 0.85, 0.95), (0.12, 0.05, 0.95), (0.98, 0.7, 0.6)),
        0.62,
        0.45,
        eye=0.1,
        throat=(0.77, 0.8, 0.22),
    ),
    "poppy": Flower(
        "four or five silky overlapping petals, black middle",
        (4, 5),
        ((0.01, 0.9, 0.88), (0.05, 0.88, 0.95), (0.97, 0.55, 0.92)),
        0.72,
        0.5,
        eye=0.2,
        eye_colour=(0.3, 0.4, 0.16),
        throat=(0.9, 0.7, 0.3),
        stamens=14,
    ),
    "primrose": Flower(
        "five notched petals, star-shaped deep yellow throat",
        (5, 5),
        ((0.15, 0.4, 0.97), (0.92, 0.4, 0.9), (0.13, 0.05, 0.98)),
        0.35,
        0.45,
        0.2,
        eye=0.1,
        eye_colour=(0.22, 0.6, 0.7),
        throat=(0.13, 0.95, 0.98),
    ),
    "rose": Flower(
        "many rounded petals, ring within ring, no open middle",
        (5, 6),
        ((0.97, 0.85, 0.75), (0.94, 0.4, 0.95), (0.13, 0.35, 0.97), (0.1, 0.05, 0.97)),
        0.8,
        0.5,
        whorls=5,
        eye=0.0,
    ),
    "sunflower": Flower(
        "16-24 pointed golden rays in two rings, wide brown disc",
        (16, 24),
        ((0.13, 0.95, 0.97), (0.1, 0.95, 0.95), (0.06, 0.85, 0.75)),
        0.4,
        1.1,
        whorls=2,
        eye=0.5,
        eye_colour=(0.07, 0.7, 0.3),
    ),
}


def petal_ring(
    canvas, frame: Frame, petals, turn, reach, base, power, notch, ragged, foot, tip, throat=0.35, streak=0.1
):
    """One ring of petals. All numbers are floats or (N, 1, 1); foot and tip are colours (N, 3, 1, 1)."""
    radius, angle = frame.polar()
    phase = petals * (angle - turn) / 2
    ridge = torch.cos(phase).abs()
    outline = base + (1 - base) * (ridge + 1e-4) ** power
    outline = outline * (1 - notch * ridge**30 - ragged * (0.5 + 0.5 * torch.cos(7 * phase)) * ridge)
    along = radius / reach
    colour = blend(foot, tip, ((along - throat) / 0.3 + 0.5).clamp(0, 1))
    light = (
        0.7
        + 0.2 * ridge
        + 0.15 * along.clamp(0, 1)
        + 0.08 * torch.sin(2 * phase)
        + streak * torch.cos(10 * phase) * ridge
    )
    canvas.paint(frame.inside((along - outline) * reach, 1.2), colour * light[:, None])


def paint_flower(canvas: Canvas, dice: Dice, kind: Flower) -> dict[str, torch.Tensor]:
    """Paint one flower (or cluster) a picture and say its pose (tilt, degrees), size (share of width) and petals."""
    count = len(dice.keys)
    size = dice.uniform(0.45, 0.85) * (0.55 if kind.heads > 1 else 1.0)
    tilt, lean = dice.uniform(0, 60), dice.uniform(0, TURN)
    squash = torch.cos(tilt * TURN / 360)
    petals = torch.floor(dice.uniform(kind.petals[0], kind.petals[1] + 1))
    shape = dice.normal(0.06, shape=(3, 1, 1))
    choice = (dice.uniform() * len(kind.colours)).long().clamp(max=len(kind.colours) - 1)
    tip = torch.zeros(count, 3, 1, 1)
    for i, colour in enumerate(kind.colours):
        tip = tip + (choice == i).float()[:, None] * tint(dice, colour, 0.03, 0.2, 0.15)
    foot = tint(dice, kind.throat) if kind.throat else tip * dice.uniform(0.65, 0.95)[:, None]
    eye_colour = tint(dice, kind.eye_colour)
    x0, y0 = dice.uniform(-0.3, 0.3), dice.uniform(-0.3, 0.3)
    stem = canvas.frame().bar(x0, y0, x0 + dice.uniform(-0.5, 0.5), y0 * 0 + 1.3, dice.uniform(0.05, 0.1))
    canvas.paint(stem, hsv(dice.uniform(0.2, 0.35), dice.uniform(0.4, 0.7), dice.uniform(0.25, 0.5)))
    for head in range(kind.heads):
        x, y = (x0, y0) if head == 0 else (x0 + dice.uniform(-0.75, 0.75), y0 + dice.uniform(-0.75, 0.75))
        flower = canvas.frame(x, y, lean + head, size, squash)
        turn = dice.uniform(0, TURN)
        if head == 0:  # a soft shadow sets the flower off from the background
            canvas.paint(
                canvas.frame(x + 0.05, y + 0.08, lean, size, squash).ellipse(
                    0.0, 0.0, 0.85, 0.85, softness=14.0
                )
                * 0.35,
                torch.zeros(1, 3, 1, 1),
            )
        for whorl in range(kind.whorls):
            full = kind.whorls > 2  # a rose: ring within ring, dark between them
            reach = 1 - whorl * (0.85 / kind.whorls if full else 0.18)
            shade = 0.85 + 0.15 * (1 if full else whorl)
            petal_ring(
                canvas,
                flower,
                petals,
                turn + whorl * (2.4 if full else math.pi / petals),
                reach,
                (kind.base + shape[:, 0]).clamp(0.08, 0.9),
                (kind.power + shape[:, 1]).clamp(0.3, 2),
                kind.notch,
                kind.ragged,
                foot * (0.5 if full else shade),
                tip * shade,
                (0.62 if full else 0.33) + shape[:, 2],
                0.03 if full else 0.1,
            )
        radius, angle = flower.polar()
        if kind.spots:
            ring = (torch.cos(angle * 18 + turn) * torch.cos(radius * 34) > 0.45).float() * (
                (radius - 0.42).abs() < 0.2
            )
            canvas.paint(ring * 0.6, hsv(turn * 0 + 0.02, turn * 0 + 0.7, turn * 0 + 0.35))
        if kind.stamens:
            spokes = torch.cos(kind.stamens * (angle - turn) / 2).abs() * radius
            line = flower.inside(0.028 * radius.clamp(min=0.2) - (spokes - radius).abs(), 1.0)
            line = (1 - line) * (radius < 0.5) * (radius > 0.1)
            canvas.paint(line * 0.7, hsv(turn * 0 + 0.08, turn * 0 + 0.6, turn * 0 + 0.3))
        if kind.eye:
            seeds = 1 + 0.22 * torch.cos(radius * 60) * torch.cos(angle * 13 + radius * 30)
            dome = (1.1 - 0.5 * (radius / kind.eye)).clamp(0.4, 1.2)
            canvas.paint(flower.ellipse(0.0, 0.0, kind.eye, kind.eye), eye_colour * (seeds * dome)[:, None])
    return {"pose": tilt.view(-1), "size": size.view(-1), "petals": petals.view(-1)}
