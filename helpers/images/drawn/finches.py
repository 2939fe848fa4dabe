"""The goldfinches: four species, the marks that tell them apart, and how they are painted; and a siskin, their relative."""

from typing import NamedTuple

import torch

from helpers.images.drawn.brush import Canvas, Rng, blend, fractal_noise, hsv
from helpers.images.drawn.scenery import TURN, tint


class Finch(NamedTuple):
    """A species' plumage; colours are hue, saturation, value."""

    marks: str
    body: tuple
    back: tuple
    head: tuple
    wing_bar: tuple
    bar_width: float
    bill: tuple
    cap: tuple | None = None
    face: tuple | None = None
    cheek: tuple | None = None
    breast: tuple | None = None
    bib: tuple | None = None  # the chin
    streaks: float = 0.0  # how dark the lines along flanks and back are, 0..1


BLACK, WHITE = (0.6, 0.1, 0.08), (0.12, 0.05, 0.96)
YELLOW, OLIVE, GREY, BROWN = (0.145, 0.9, 0.95), (0.19, 0.55, 0.45), (0.1, 0.06, 0.58), (0.075, 0.5, 0.55)

GOLDFINCHES = {
    "American": Finch(
        "yellow body AND yellow back, black cap, orange bill, white wing bars (Spinus tristis)",
        body=YELLOW, back=YELLOW, head=YELLOW, cap=BLACK, wing_bar=WHITE, bar_width=0.05, bill=(0.07, 0.8, 0.95),
    ),
    "European": Finch(
        "red face, black-and-white head, broad gold bar on a black wing (Carduelis carduelis)",
        body=(0.09, 0.25, 0.85), back=BROWN, head=WHITE, cap=BLACK, wing_bar=YELLOW, bar_width=0.17, bill=(0.1, 0.12, 0.9),
        face=(0.99, 0.85, 0.75), cheek=WHITE,
    ),
    "Lawrence's": Finch(
        "grey body, black face, yellow breast and yellow wing bars (Spinus lawrencei)",
        body=GREY, back=GREY, head=GREY, wing_bar=YELLOW, bar_width=0.09, bill=(0.05, 0.2, 0.7), face=BLACK, breast=YELLOW,
    ),
    "Lesser": Finch(
        "yellow below, OLIVE back, black cap, grey bill, white wing bar (Spinus psaltria)",
        body=YELLOW, back=OLIVE, head=OLIVE, cap=BLACK, wing_bar=WHITE, bar_width=0.07, bill=(0.6, 0.06, 0.4),
    ),
}  # fmt: skip

# A relative that no task holds, to be shown to networks that have never seen one.
SISKINS = {
    "Eurasian siskin": Finch(
        "yellow-green with a black cap and chin, dark streaks on flanks and back, yellow wing bars (Spinus spinus)",
        body=(0.16, 0.7, 0.88), back=(0.2, 0.6, 0.5), head=(0.165, 0.75, 0.8), cap=BLACK, wing_bar=YELLOW, bar_width=0.08,
        bill=(0.08, 0.2, 0.55), bib=BLACK, streaks=0.6,
    ),
}  # fmt: skip


def paint_finch(canvas: Canvas, rng: Rng, species: Finch) -> dict[str, torch.Tensor]:
    """Paint one goldfinch a picture and say its pose (tilt of the body, degrees) and size (share of width)."""
    size, tilt = rng.uniform(0.5, 0.85), rng.uniform(-10, 50)
    flip = 1 - 2 * rng.chance(0.5)
    x, y = rng.uniform(-0.22, 0.22), rng.uniform(-0.22, 0.22)
    ground = canvas.frame(x, y, 0.0, size)
    ground.u = ground.u * flip
    bird = ground.inner(0.0, 0.0, -tilt * TURN / 360)
    dull = rng.uniform(0.0, 1.0) ** 2  # worn or winter plumage: the yellow fades

    def plumage(colour):
        full = tint(rng, colour, 0.02, 0.15, 0.12)
        return blend(full, hsv(tilt * 0 + 0.1, tilt * 0 + 0.25, tilt * 0 + 0.6) if colour[1] > 0.5 else full, 0.55 * dull)

    bark = hsv(rng.uniform(0.04, 0.12), rng.uniform(0.15, 0.5), rng.uniform(0.2, 0.55))
    slope = rng.uniform(-0.25, 0.25)
    perch = ground.bar(-3.0, 0.62 - 3 * slope, 3.0, 0.62 + 3 * slope, rng.uniform(0.07, 0.2))
    canvas.paint(perch, bark * (0.9 + 0.25 * fractal_noise(rng, canvas.size, (9, 25)))[:, None])
    black = tint(rng, BLACK)
    for foot in (-0.02, 0.14):
        canvas.paint(ground.bar(foot, 0.2, foot + 0.03, 0.6, 0.035), hsv(tilt * 0 + 0.05, tilt * 0 + 0.3, tilt * 0 + 0.4))
    canvas.paint(bird.bar(-0.42, 0.12, -1.05, 0.2, 0.2, 0.75), black)  # tail
    canvas.paint(bird.bar(-0.6, 0.17, -1.0, 0.23, 0.05), plumage(WHITE))
    round_light = (1.12 - 0.32 * (bird.v + 0.1) - 0.1 * bird.u + 0.08 * fractal_noise(rng, canvas.size, (13, 29)))[:, None]
    body = bird.ellipse(0.0, 0.0, 0.6, 0.37, 0.12)
    belly = plumage(species.body)
    canvas.paint(body, belly * round_light)
    if species.breast:
        canvas.paint(body * bird.ellipse(0.3, 0.12, 0.3, 0.24, softness=6.0), plumage(species.breast) * round_light)
    canvas.paint(body * bird.ellipse(-0.12, -0.26, 0.58, 0.25, 0.12, 5.0), plumage(species.back) * round_light)
    vent = plumage(WHITE)
    canvas.paint(body * bird.ellipse(-0.45, 0.24, 0.22, 0.14, softness=7.0), blend(belly, vent, dull * 0 + 0.75) * round_light)
    if species.streaks:  # neither streaks nor bib use a random number: the pictures of the other species stay the same
        lines = (torch.sin(bird.v * 46 + 2.5 * torch.sin(bird.u * 5)) - 0.1).clamp(0, 1)
        flanks = bird.ellipse(-0.2, 0.14, 0.36, 0.2, 0.12, 4.0) + bird.ellipse(-0.15, -0.26, 0.4, 0.14, 0.12, 4.0)
        canvas.paint(body * flanks.clamp(0, 1) * lines * species.streaks, black)
    head = bird.ellipse(0.5, -0.3, 0.27, 0.25)
    canvas.paint(head, plumage(species.head) * round_light)
    if species.breast:
        canvas.paint(head * bird.ellipse(0.5, -0.12, 0.2, 0.08, softness=4.0), plumage(species.breast))
    if species.bib:
        canvas.paint(head * bird.ellipse(0.66, -0.1, 0.13, 0.1, 0.3), black)
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
        leaf = canvas.frame(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, TURN), rng.uniform(0.2, 0.4))
        colour = hsv(rng.uniform(0.1, 0.35), rng.uniform(0.3, 0.75), rng.uniform(0.25, 0.65))
        vein = (1 - 0.25 * torch.exp(-((leaf.v * 25) ** 2).clamp(max=60)))[:, None]  # denormals are slow
        canvas.paint(leaf.ellipse(0.0, 0.0, 1.0, 0.33) * rng.chance(0.45), colour * vein)
    return {"pose": tilt.view(-1), "size": size.view(-1)}
