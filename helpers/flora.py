"""Flowers and goldfinches: how the two small target datasets are drawn, with the field marks that tell them apart."""

import math
from typing import NamedTuple

import torch

from helpers.brush import Canvas, Dice, Frame, blend, fractal_noise, hsv, lattice_noise

TURN = 2 * math.pi


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
    "cornflower": Flower("blue, 8-11 ragged rays in two rings, violet middle", (8, 11),
                         ((0.62, 0.75, 0.85), (0.66, 0.65, 0.8), (0.9, 0.35, 0.9)), 0.12, 0.7, 0.0, 0.22, 2, 0.27,
                         (0.78, 0.7, 0.4)),
    "cosmos": Flower("eight broad petals with toothed tips, yellow middle", (8, 8),
                     ((0.9, 0.5, 0.9), (0.88, 0.75, 0.75), (0.95, 0.04, 0.96)), 0.25, 0.42, 0.0, 0.08, 1, 0.2),
    "daisy": Flower("16-22 narrow white rays, yellow middle", (16, 22),
                    ((0.12, 0.02, 0.98), (0.95, 0.12, 0.97)), 0.25, 0.75, eye=0.32),
    "forget-me-not": Flower("clusters of small blue flowers, five round petals, yellow eye", (5, 5),
                            ((0.58, 0.5, 0.92), (0.6, 0.35, 0.95), (0.93, 0.25, 0.95)), 0.45, 0.4, eye=0.2,
                            throat=(0.15, 0.1, 1.0), heads=5),
    "lily": Flower("six pointed petals, spotted, long stamens", (6, 6),
                   ((0.07, 0.85, 0.95), (0.93, 0.4, 0.95), (0.14, 0.05, 0.98)), 0.14, 1.15, eye=0.1,
                   eye_colour=(0.25, 0.6, 0.6), throat=(0.2, 0.5, 0.8), spots=1.0, stamens=6),
    "pansy": Flower("five uneven petals, dark blotches, tiny yellow eye", (5, 5),
                    ((0.76, 0.7, 0.6), (0.14, 0.85, 0.95), (0.12, 0.05, 0.95), (0.98, 0.7, 0.6)), 0.62, 0.45,
                    eye=0.1, throat=(0.77, 0.8, 0.22)),
    "poppy": Flower("four or five silky overlapping petals, black middle", (4, 5),
                    ((0.01, 0.9, 0.88), (0.05, 0.88, 0.95), (0.97, 0.55, 0.92)), 0.72, 0.5, eye=0.2,
                    eye_colour=(0.3, 0.4, 0.16), throat=(0.9, 0.7, 0.3), stamens=14),
    "primrose": Flower("five notched petals, star-shaped deep yellow throat", (5, 5),
                       ((0.15, 0.4, 0.97), (0.92, 0.4, 0.9), (0.13, 0.05, 0.98)), 0.35, 0.45, 0.2, eye=0.1,
                       eye_colour=(0.22, 0.6, 0.7), throat=(0.13, 0.95, 0.98)),
    "rose": Flower("many rounded petals, ring within ring, no open middle", (5, 6),
                   ((0.97, 0.85, 0.75), (0.94, 0.4, 0.95), (0.13, 0.35, 0.97), (0.1, 0.05, 0.97)), 0.8, 0.5,
                   whorls=5, eye=0.0),
    "sunflower": Flower("16-24 pointed golden rays in two rings, wide brown disc", (16, 24),
                        ((0.13, 0.95, 0.97), (0.1, 0.95, 0.95), (0.06, 0.85, 0.75)), 0.4, 1.1, whorls=2, eye=0.5,
                        eye_colour=(0.07, 0.7, 0.3)),
}


class Finch(NamedTuple):
    """A species' plumage; colours are hue, saturation, value."""

    marks: str
    body: tuple
    back: tuple
    head: tuple
    cap: tuple | None
    face: tuple | None
    cheek: tuple | None
    breast: tuple | None
    wing_bar: tuple
    bar_width: float
    bill: tuple


BLACK, WHITE = (0.6, 0.1, 0.08), (0.12, 0.05, 0.96)
YELLOW, OLIVE, GREY, BROWN = (0.145, 0.9, 0.95), (0.19, 0.55, 0.45), (0.1, 0.06, 0.58), (0.075, 0.5, 0.55)

GOLDFINCHES = {
    "American": Finch("yellow body AND yellow back, black cap, orange bill, white wing bars (Spinus tristis)",
                      YELLOW, YELLOW, YELLOW, BLACK, None, None, None, WHITE, 0.05, (0.07, 0.8, 0.95)),
    "European": Finch("red face, black-and-white head, broad gold bar on a black wing (Carduelis carduelis)",
                      (0.09, 0.25, 0.85), BROWN, WHITE, BLACK, (0.99, 0.85, 0.75), WHITE, None, YELLOW, 0.17,
                      (0.1, 0.12, 0.9)),
    "Lawrence's": Finch("grey body, black face, yellow breast and yellow wing bars (Spinus lawrencei)",
                        GREY, GREY, GREY, None, BLACK, None, YELLOW, YELLOW, 0.09, (0.05, 0.2, 0.7)),
    "Lesser": Finch("yellow below, OLIVE back, black cap, grey bill, white wing bar (Spinus psaltria)",
                    YELLOW, OLIVE, OLIVE, BLACK, None, None, None, WHITE, 0.07, (0.6, 0.06, 0.4)),
}


def tint(dice: Dice, colour, hue=0.012, saturation=0.08, value=0.07) -> torch.Tensor:
    """A colour (hue, saturation, value) as it varies from one picture to the next: (N, 3, 1, 1)."""
    return hsv(colour[0] + dice.normal(hue / 2), (colour[1] + dice.normal(saturation / 2)).clamp(0, 1),
               (colour[2] + dice.normal(value / 2)).clamp(0.02, 1))


def meadow(canvas: Canvas, dice: Dice) -> None:
    """A blurred background of sky, leaves, soil or dry grass, with a few blades in front of it."""
    ground = hsv(dice.uniform(0.05, 0.4), dice.uniform(0.15, 0.65), dice.uniform(0.15, 0.6))
    sky = hsv(dice.uniform(0.1, 0.62), dice.uniform(0.0, 0.45), dice.uniform(0.35, 0.95))
    slope = dice.uniform(-0.7, 0.7) * canvas.x + dice.uniform(-1.0, 0.5) * canvas.y
    blur = fractal_noise(dice, canvas.size, octaves=(2, 4, 9))
    canvas.image[:] = blend(ground, sky, (0.5 + 0.5 * slope + 0.55 * blur).clamp(0, 1))
    for _ in range(3):  # out-of-focus leaves and blossoms
        spot = canvas.frame(dice.uniform(-1, 1), dice.uniform(-1, 1), dice.uniform(0, TURN), dice.uniform(0.1, 0.4))
        colour = hsv(dice.uniform(0, 1) ** 2 * 0.9, dice.uniform(0.1, 0.8), dice.uniform(0.2, 0.95))
        canvas.paint(spot.ellipse(0.0, 0.0, 1.0, dice.uniform(0.25, 1), softness=12.0) * dice.uniform(0.1, 0.6), colour)
    for _ in range(3):  # blades
        x, lean = dice.uniform(-1, 1), dice.uniform(-0.7, 0.7)
        blade = canvas.frame().bar(x, 1.1, x + lean, dice.uniform(-0.8, 0.8), dice.uniform(0.03, 0.12), 0.15)
        canvas.paint(blade * dice.uniform(0.3, 0.9), hsv(dice.uniform(0.15, 0.38), dice.uniform(0.3, 0.7),
                                                         dice.uniform(0.2, 0.6)))


def daylight(canvas: Canvas, dice: Dice) -> None:
    """Light and lens over the finished picture: a light from one side, exposure, colour cast, grain."""
    angle = dice.uniform(0, TURN)
    slope = dice.uniform(0, 0.3)
    gain = dice.uniform(0.7, 1.2) * (1 + slope * torch.cos(angle) * canvas.x + slope * torch.sin(angle) * canvas.y)
    cast = 1 + dice.normal(0.05, shape=(3, 1, 1))
    grain = dice.uniform(0, 0.025) * lattice_noise(dice, 45, canvas.size)
    contrast = dice.uniform(0.8, 1.1)[:, None]
    canvas.image.mul_(contrast).add_(0.5 - 0.5 * contrast).mul_(cast).mul_(gain[:, None]).add_(grain[:, None])


def petal_ring(canvas, frame: Frame, petals, turn, reach, base, power, notch, ragged, foot, tip, throat=0.35, streak=0.1):
    """One ring of petals. All numbers are floats or (N, 1, 1); foot and tip are colours (N, 3, 1, 1)."""
    radius, angle = frame.polar()
    phase = petals * (angle - turn) / 2
    ridge = torch.cos(phase).abs()
    outline = base + (1 - base) * (ridge + 1e-4) ** power
    outline = outline * (1 - notch * ridge**30 - ragged * (0.5 + 0.5 * torch.cos(7 * phase)) * ridge)
    along = radius / reach
    colour = blend(foot, tip, ((along - throat) / 0.3 + 0.5).clamp(0, 1))
    light = 0.7 + 0.2 * ridge + 0.15 * along.clamp(0, 1) + 0.08 * torch.sin(2 * phase) + streak * torch.cos(10 * phase) * ridge
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
            canvas.paint(canvas.frame(x + 0.05, y + 0.08, lean, size, squash).ellipse(0.0, 0.0, 0.85, 0.85, softness=14.0) * 0.35,
                         torch.zeros(1, 3, 1, 1))
        for whorl in range(kind.whorls):
            reach = 1 - whorl * (0.8 / kind.whorls if kind.whorls > 2 else 0.18)
            shade = 1 - 0.13 * (kind.whorls - 1 - whorl) if kind.whorls > 2 else 0.85 + 0.15 * whorl
            petal_ring(canvas, flower, petals, turn + whorl * (TURN / 2 / petals + (0.3 if kind.whorls > 2 else 0)), reach,
                       (kind.base + shape[:, 0]).clamp(0.08, 0.9), (kind.power + shape[:, 1]).clamp(0.3, 2),
                       kind.notch, kind.ragged, foot * shade, tip * shade, 0.33 + shape[:, 2])
        radius, angle = flower.polar()
        if kind.spots:
            ring = (torch.cos(angle * 18 + turn) * torch.cos(radius * 34) > 0.45).float() * ((radius - 0.42).abs() < 0.2)
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


def paint_finch(canvas: Canvas, dice: Dice, species: Finch) -> dict[str, torch.Tensor]:
    """Paint one goldfinch a picture and say its pose (tilt of the body, degrees) and size (share of width)."""
    size, tilt = dice.uniform(0.5, 0.85), dice.uniform(-10, 50)
    flip = 1 - 2 * dice.chance(0.5)
    x, y = dice.uniform(-0.22, 0.22), dice.uniform(-0.22, 0.22)
    ground = canvas.frame(x, y, 0.0, size)
    ground.u = ground.u * flip
    bird = ground.inner(0.0, 0.0, -tilt * TURN / 360)
    dull = dice.uniform(0.0, 1.0) ** 2  # worn or winter plumage: the yellow fades

    def plumage(colour):
        full = tint(dice, colour, 0.02, 0.15, 0.12)
        return blend(full, hsv(tilt * 0 + 0.1, tilt * 0 + 0.25, tilt * 0 + 0.6) if colour[1] > 0.5 else full, 0.55 * dull)

    bark = hsv(dice.uniform(0.04, 0.12), dice.uniform(0.15, 0.5), dice.uniform(0.2, 0.55))
    slope = dice.uniform(-0.25, 0.25)
    perch = ground.bar(-3.0, 0.62 - 3 * slope, 3.0, 0.62 + 3 * slope, dice.uniform(0.07, 0.2))
    canvas.paint(perch, bark * (0.9 + 0.25 * fractal_noise(dice, canvas.size, (9, 25)))[:, None])
    black = tint(dice, BLACK)
    for foot in (-0.02, 0.14):
        canvas.paint(ground.bar(foot, 0.2, foot + 0.03, 0.6, 0.035), hsv(tilt * 0 + 0.05, tilt * 0 + 0.3, tilt * 0 + 0.4))
    canvas.paint(bird.bar(-0.42, 0.12, -1.05, 0.2, 0.2, 0.75), black)  # tail
    canvas.paint(bird.bar(-0.6, 0.17, -1.0, 0.23, 0.05), plumage(WHITE))
    round_light = (1.12 - 0.32 * (bird.v + 0.1) - 0.1 * bird.u + 0.08 * fractal_noise(dice, canvas.size, (13, 29)))[:, None]
    body = bird.ellipse(0.0, 0.0, 0.6, 0.37, 0.12)
    belly = plumage(species.body)
    canvas.paint(body, belly * round_light)
    if species.breast:
        canvas.paint(body * bird.ellipse(0.3, 0.12, 0.3, 0.24, softness=6.0), plumage(species.breast) * round_light)
    canvas.paint(body * bird.ellipse(-0.12, -0.26, 0.58, 0.25, 0.12, 5.0), plumage(species.back) * round_light)
    vent = plumage(WHITE)
    canvas.paint(body * bird.ellipse(-0.45, 0.24, 0.22, 0.14, softness=7.0), blend(belly, vent, dull * 0 + 0.75) * round_light)
    head = bird.ellipse(0.5, -0.3, 0.27, 0.25)
    canvas.paint(head, plumage(species.head) * round_light)
    if species.breast:
        canvas.paint(head * bird.ellipse(0.5, -0.12, 0.2, 0.08, softness=4.0), plumage(species.breast))
    bill = plumage(species.bill)
    canvas.paint(bird.bar(0.7, -0.27, 0.92, -0.23, 0.14, 0.05), bill)
    if species.cheek:  # black crown that runs down behind a white cheek, red in front
        canvas.paint(head * bird.ellipse(0.4, -0.44, 0.26, 0.16, 0.35), black)
        canvas.paint(head * bird.ellipse(0.31, -0.28, 0.09, 0.2, -0.2), black)
        canvas.paint(head * bird.ellipse(0.72, -0.3, 0.17, 0.2), plumage(species.face))
    elif species.cap:
        canvas.paint(head * bird.ellipse(0.6, -0.48, 0.22, 0.14, 0.3), black)
    elif species.face:
        canvas.paint(head * bird.ellipse(0.72, -0.33, 0.18, 0.2), black)
    canvas.paint(bird.ellipse(0.59, -0.34, 0.045, 0.045), black * 0.5)  # eye and its glint
    canvas.paint(bird.ellipse(0.605, -0.355, 0.016, 0.016), torch.ones(1, 3, 1, 1))
    wing = bird.ellipse(-0.2, -0.04, 0.44, 0.17, -0.12)
    canvas.paint(wing, black * (1 + 0.9 * torch.sin(bird.u * 40 + bird.v * 25))[:, None])
    bar = species.bar_width
    canvas.paint(wing * bird.bar(-0.02, -0.22, -0.12, 0.2, bar * 2), plumage(species.wing_bar))
    canvas.paint(wing * bird.bar(-0.24, 0.08, -0.6, 0.1, bar), plumage(species.wing_bar))
    for _ in range(2):  # a leaf or twig in front, now and then
        leaf = canvas.frame(dice.uniform(-1, 1), dice.uniform(-1, 1), dice.uniform(0, TURN), dice.uniform(0.2, 0.4))
        colour = hsv(dice.uniform(0.1, 0.35), dice.uniform(0.3, 0.75), dice.uniform(0.25, 0.65))
        vein = (1 - 0.25 * torch.exp(-((leaf.v * 25) ** 2)))[:, None]
        canvas.paint(leaf.ellipse(0.0, 0.0, 1.0, 0.33) * dice.chance(0.45), colour * vein)
    return {"pose": tilt.view(-1), "size": size.view(-1)}
