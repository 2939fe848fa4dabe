"""The flowers: ten kinds, the marks that tell them apart, and how they are painted."""

import math
from typing import NamedTuple

import torch

from helpers.images.drawn.brush import Canvas, Frame, Rng, blend, hsv
from helpers.images.drawn.scenery import TURN, tint

Colour = tuple[float, float, float]  # hue (1.0 is a full turn), saturation, value
WHITE, CREAM, YELLOW, GOLD = (0.12, 0.03, 0.98), (0.13, 0.35, 0.97), (0.15, 0.6, 0.97), (0.13, 0.95, 0.97)
ORANGE, SCARLET, CRIMSON = (0.07, 0.85, 0.95), (0.01, 0.9, 0.88), (0.97, 0.85, 0.75)
PINK, MAGENTA, VIOLET = (0.93, 0.4, 0.95), (0.88, 0.75, 0.75), (0.76, 0.7, 0.6)
BLUE, SKY = (0.63, 0.72, 0.85), (0.58, 0.5, 0.92)


class Flower(NamedTuple):
    """What makes a kind: how many petals (fewest, most), how they are shaped and coloured, and its middle ("eye")."""

    marks: str
    petals: tuple[int, int]
    colours: tuple[Colour, ...]  # one of them for each picture
    base: float = 0.2  # where the petals part, as a share of their length
    power: float = 0.7  # below 1 broad, above 1 narrow
    pointed: float = 0.0  # from round tips, 0, to sharp ones, 1
    notch: float = 0.0  # how deep the tips are cut in
    ragged: float = 0.0  # toothed tips
    streak: float = 0.1  # furrows along the petals
    whorls: int = 1  # rings of petals
    eye: float = 0.25
    eye_colour: Colour = (0.13, 0.9, 0.9)
    throat: Colour | None = None  # the petals' colour at their foot
    spots: bool = False
    stamens: int = 0
    heads: int = 1  # flower heads in a cluster
    full: bool = False  # so many rings of petals that the middle is closed
    uneven: bool = False  # two petals above, two at the sides, one below


FLOWERS = {
    "cornflower": Flower(
        "8-11 ragged rays in two rings, violet middle",
        (8, 11), (BLUE, VIOLET, PINK, WHITE, CRIMSON),
        base=0.12, ragged=0.22, whorls=2, eye=0.27, eye_colour=(0.78, 0.7, 0.4),
    ),
    "cosmos": Flower(
        "eight broad petals with toothed tips, yellow middle",
        (8, 8), (PINK, MAGENTA, WHITE, ORANGE, YELLOW), base=0.25, power=0.42, ragged=0.08, eye=0.2,
    ),
    "daisy": Flower(
        "16-22 narrow rays, yellow middle",
        (16, 22), (WHITE, PINK, CRIMSON, YELLOW), base=0.25, power=0.75, eye=0.32,
    ),
    "forget-me-not": Flower(
        "a cluster of small flowers, five round petals, pale ring and yellow eye",
        (5, 5), (SKY, VIOLET, PINK, WHITE),
        base=0.45, power=0.4, eye=0.2, throat=(0.15, 0.1, 1.0), heads=5,
    ),
    "lily": Flower(
        "six long pointed petals, dark spots, long stamens with brown tips",
        (6, 6), (ORANGE, PINK, WHITE, YELLOW, CRIMSON),
        base=0.13, power=0.62, pointed=0.75, streak=0.03, eye=0.08, eye_colour=(0.25, 0.6, 0.6),
        throat=(0.2, 0.5, 0.8), spots=True, stamens=6,
    ),
    "pansy": Flower(
        "five uneven petals: two above, two at the sides, one wide below; dark blotches around a tiny yellow eye",
        (5, 5), (VIOLET, YELLOW, WHITE, CRIMSON, ORANGE, SKY), eye=0.09, throat=(0.77, 0.8, 0.2), uneven=True,
    ),
    "poppy": Flower(
        "four or five silky overlapping petals, black middle with a crown of stamens",
        (4, 5), (SCARLET, ORANGE, PINK, WHITE, YELLOW),
        base=0.72, power=0.5, eye=0.2, eye_colour=(0.3, 0.4, 0.16), throat=(0.9, 0.7, 0.3), stamens=14,
    ),
    "primrose": Flower(
        "five notched, heart-shaped petals, star-shaped deep yellow throat",
        (5, 5), (YELLOW, PINK, WHITE, VIOLET, CRIMSON, SKY),
        base=0.3, power=0.5, notch=0.17, streak=0.03, eye=0.09, eye_colour=(0.22, 0.6, 0.7), throat=GOLD,
    ),
    "rose": Flower(
        "many rounded petals, ring within ring, no open middle",
        (5, 6), (CRIMSON, PINK, CREAM, WHITE, YELLOW, ORANGE),
        base=0.8, power=0.5, streak=0.02, whorls=5, eye=0.0, full=True,
    ),
    "sunflower": Flower(
        "16-24 pointed rays in two rings, wide brown disc",
        (16, 24), (GOLD, ORANGE, CREAM, CRIMSON),
        base=0.4, power=1.1, whorls=2, eye=0.5, eye_colour=(0.07, 0.7, 0.3),
    ),
}  # fmt: skip


def paint_flower(canvas: Canvas, rng: Rng, kind: Flower) -> dict[str, torch.Tensor]:
    """Paint one flower (or cluster) a picture; say its pose (tilt, degrees), size (share of the width) and petals."""
    size = rng.uniform(0.45, 0.85) * (0.55 if kind.heads > 1 else 1.0)
    tilt, lean = rng.uniform(0, 60), rng.uniform(0, TURN)
    squash = torch.cos(tilt * TURN / 360)
    petals = torch.floor(rng.uniform(kind.petals[0], kind.petals[1] + 1))
    shape = rng.normal(0.06, shape=(3, 1, 1))
    tip = _one_of(rng, kind.colours)
    foot = tint(rng, kind.throat) if kind.throat else tip * rng.uniform(0.65, 0.95)[:, None]
    eye_colour = tint(rng, kind.eye_colour)
    x0, y0 = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
    stem = canvas.frame().bar(x0, y0, x0 + rng.uniform(-0.5, 0.5), y0 * 0 + 1.3, rng.uniform(0.05, 0.1))
    canvas.paint(stem, hsv(rng.uniform(0.2, 0.35), rng.uniform(0.4, 0.7), rng.uniform(0.25, 0.5)))
    shadow = canvas.frame(x0 + 0.05, y0 + 0.08, lean, size, squash)
    canvas.paint(shadow.ellipse(0.0, 0.0, 0.85, 0.85, softness=14.0) * 0.35, torch.zeros(1, 3, 1, 1))
    for head in range(kind.heads):
        x, y = (x0, y0) if head == 0 else (x0 + rng.uniform(-0.75, 0.75), y0 + rng.uniform(-0.75, 0.75))
        flower, turn = canvas.frame(x, y, lean + head, size, squash), rng.uniform(0, TURN)
        if kind.uneven:
            upright = flower.inner(angle=(turn - TURN / 2) * 0.15 - lean)
            _uneven_petals(canvas, upright, foot, tip, _one_of(rng, kind.colours), shape)
        else:
            _rings(canvas, flower, kind, petals, turn, foot, tip, shape)
        _middle(canvas, flower, kind, turn, eye_colour)
    return {"pose": tilt.view(-1), "size": size.view(-1), "petals": petals.view(-1)}


def _one_of(rng, colours):
    """One of the colours for each picture, as it varies: (N, 3, 1, 1). Pale colours stay pale."""
    choice = (rng.uniform() * len(colours)).long().clamp(max=len(colours) - 1)
    return sum(
        (choice == i).float()[:, None] * tint(rng, colour, 0.03, 0.03 + 0.2 * colour[1], 0.13) for i, colour in enumerate(colours)
    )


def _rings(canvas, flower, kind, petals, turn, foot, tip, shape):
    """Rings of petals that are all alike; in a full flower each lies in the shade of the one within."""
    for whorl in range(kind.whorls):
        reach = 1 - whorl * (0.17 if kind.full else 0.18)
        twist = math.pi / petals * (0.85 if kind.full else 1.0)
        shade = 0.85 + 0.15 * (1 if kind.full else whorl)
        if kind.full and whorl:
            canvas.paint(flower.ellipse(0.06, 0.08, 1.05 * reach, 1.05 * reach, softness=7.0) * 0.5, tip * 0.45)
        petal_ring(
            canvas, flower, petals, turn + whorl * twist, reach,
            (kind.base + shape[:, 0]).clamp(0.08, 0.9), (kind.power + shape[:, 1]).clamp(0.3, 2),
            kind, foot * (0.6 if kind.full else shade), tip * shade, (0.55 if kind.full else 0.33) + shape[:, 2],
        )  # fmt: skip


def petal_ring(canvas, frame: Frame, petals, turn, reach, base, power, kind: Flower, foot, tip, throat):
    """One ring of petals.

    petals, turn (radians), reach, base, power: floats or (N, 1, 1). foot, tip: colours (N, 3, 1, 1), which meet at
    throat, a share of the petals' length. notch, pointed, ragged and streak are those of the kind.
    """
    radius, angle = frame.polar()
    phase = petals * (angle - turn) / 2
    ridge = torch.cos(phase).abs()
    crest = ridge if not kind.pointed else ridge + kind.pointed * (1 - torch.sin(phase).abs() - ridge)
    outline = base + (1 - base) * (crest + 1e-4) ** power
    outline = outline * (1 - kind.notch * ridge**30 - kind.ragged * (0.5 + 0.5 * torch.cos(7 * phase)) * ridge)
    along = radius / reach
    colour = blend(foot, tip, ((along - throat) / 0.3 + 0.5).clamp(0, 1))
    light = 0.7 + 0.2 * ridge + 0.15 * along.clamp(0, 1) + 0.08 * torch.sin(2 * phase)
    light = light + kind.streak * torch.cos(10 * phase) * ridge
    canvas.paint(frame.inside((along - outline) * reach, 1.2), colour * light[:, None])


def _uneven_petals(canvas, frame: Frame, foot, tip, upper, shape):
    """A pansy's face, back to front: two petals above, two at the sides, one below; the front three have blotches."""
    radius, angle = frame.polar()
    whiskers = 0.42 + shape[:, 2] + 0.07 * torch.cos(angle * 22)
    face = blend(foot, tip, ((radius - whiskers) / 0.12 + 0.5).clamp(0, 1))
    wide = 1 + shape[:, 0]
    for x, y, a, b, colour in (
        (-0.3, -0.42, 0.5, 0.52, upper), (0.3, -0.4, 0.5, 0.52, upper),
        (-0.48, 0.06, 0.46, 0.42, face), (0.48, 0.06, 0.46, 0.42, face),
        (0.0, 0.46, 0.6, 0.48, face),
    ):  # fmt: skip
        petal = frame.inner(x, y)
        u, v = petal.u / (a * wide), petal.v / b
        out = (u * u + v * v).sqrt()
        canvas.paint(petal.inside((out - 1.06) * 0.5, 5.0) * 0.45, foot * 0.4)  # its shade on those behind
        light = (0.8 + 0.25 * radius.clamp(0, 1) - 0.12 * out**4).clamp(0.3, 1.1)
        canvas.paint(petal.inside((out - 1) * min(a, b)), colour * light[:, None])


def _middle(canvas, flower: Frame, kind: Flower, turn, eye_colour):
    """Spots, stamens and the eye."""
    radius, angle = flower.polar()
    flat = torch.zeros_like(turn)
    if kind.spots:
        dots = torch.cos(angle * 18 + turn) * torch.cos(radius * 34) > 0.45
        canvas.paint((dots & ((radius - 0.42).abs() < 0.2)) * 0.6, hsv(flat + 0.02, flat + 0.7, flat + 0.35))
    if kind.stamens:
        sector = TURN / kind.stamens
        folded = torch.remainder(angle - turn, sector) - sector / 2
        stamen = Frame(radius * torch.cos(folded), radius * torch.sin(folded), flower.edge, flower.fineness)
        canvas.paint(stamen.bar(0.0, 0.0, 0.5, 0.0, 0.03) * 0.8, eye_colour)
        canvas.paint(stamen.ellipse(0.5, 0.0, 0.035, 0.35 / kind.stamens), hsv(flat + 0.05, flat + 0.8, flat + 0.25))
    if kind.eye:
        seeds = 1 + 0.22 * torch.cos(radius * 60) * torch.cos(angle * 13 + radius * 30)
        dome = (1.1 - 0.5 * (radius / kind.eye)).clamp(0.4, 1.2)
        canvas.paint(flower.ellipse(0.0, 0.0, kind.eye, kind.eye), eye_colour * (seeds * dome)[:, None])
