"""The source world: the large, general collection that the embedded source model is trained on.

Four families of classes, each class with traits of its own, drawn once from its label: "rosettes" (petals and rings),
"solids" (superformula silhouettes with attached parts), "creatures" (body, head, limbs, patches), "materials" (textures
that fill the picture). Pose, number, colour, light, background and clutter vary from picture to picture.
"""

import torch

from helpers.images.drawn.brush import Canvas, Frame, Rng, blend, fractal_noise, hsv, mix
from helpers.images.drawn.scenery import TURN

FAMILIES = {"rosette": 220, "solid": 220, "creature": 220, "material": 140}
CLASSES = [f"{name}-{i:03d}" for name, count in FAMILIES.items() for i in range(count)]
_FIRST = torch.tensor([sum(list(FAMILIES.values())[:i]) for i in range(len(FAMILIES))])
_WORLD = 2026


def family(labels) -> torch.Tensor:
    """Which family each label belongs to: int64 (N,), 0 to 3."""
    return torch.bucketize(labels, _FIRST, right=True) - 1


def paint(canvas: Canvas, rng: Rng, group: int, labels) -> dict[str, torch.Tensor]:
    """Paint one picture of each label, all of the same family; say pose (degrees) and size (share of the width)."""
    trait = Rng(mix(labels * 7919 + _WORLD))
    palette = [_class_colour(trait, rng) for _ in range(4)]
    backdrop(canvas, rng)
    size = rng.uniform(0.5, 1.05)
    turn = rng.normal(0.25) + rng.chance(0.3) * rng.uniform(0, TURN)
    x, y = rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35)
    squash = rng.uniform(0.6, 1.0)
    several = rng.chance(0.2)  # a crowd: the plane is folded into cells, each with the object in it
    crowd = canvas.frame(x, y, turn, 1.0)
    cell = rng.uniform(0.8, 1.2)
    across = crowd.v + _row(crowd.u, cell) * rng.uniform(-0.4, 0.4)
    fold = Frame(_fold(crowd.u, cell), _fold(across, cell), crowd.edge, crowd.fineness)
    u, v = (several * fold.u + (1 - several) * crowd.u), (several * fold.v + (1 - several) * crowd.v)
    size = size * (1 - 0.45 * several)
    mirror = 1 - 2 * rng.chance(0.5)
    frame = Frame(mirror * u / size, v / size / squash, crowd.edge / size, crowd.fineness)
    (_rosette, _solid, _creature, _material)[group](canvas, frame, trait, rng, palette)
    x0, y0, x1, y1 = (rng.uniform(-1.2, 1.2) for _ in range(4))  # something in front, now and then
    twig = canvas.frame().bar(x0, y0, x1, y1, rng.uniform(0.03, 0.15), rng.uniform(0.2, 1))
    canvas.paint(twig * rng.chance(0.2), _any_colour(rng))
    return {"pose": (turn * 360 / TURN).view(-1), "size": size.view(-1)}


def backdrop(canvas: Canvas, rng: Rng) -> None:
    """A background that says nothing about the class: clouds between two colours, stripes, out-of-focus spots."""
    a, b = _surrounding(rng), _surrounding(rng)
    noise = fractal_noise(rng, canvas.size, (2, 5, 11, 23), 0.75)
    slope = rng.uniform(-1, 1) * canvas.x + rng.uniform(-1, 1) * canvas.y
    stripes = torch.sin((rng.uniform(-1, 1) * canvas.x + rng.uniform(-1, 1) * canvas.y + 0.15 * noise) * rng.uniform(4, 30))
    mixed = 0.5 + 0.5 * slope + rng.uniform(0.1, 0.9) * noise + rng.chance(0.3) * rng.uniform(0.1, 0.6) * stripes
    canvas.image[:] = blend(a, b, mixed.clamp(0, 1))
    for _ in range(3):
        spot = canvas.frame(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, TURN), rng.uniform(0.1, 0.6))
        mask = spot.ellipse(0.0, 0.0, 1.0, rng.uniform(0.3, 1), softness=1 + 15 * rng.uniform() ** 2)
        canvas.paint(mask * rng.chance(0.6) * rng.uniform(0.2, 1.0), _surrounding(rng))


def texture(canvas, frame: Frame, trait, rng, a, b) -> torch.Tensor:
    """A class's own pattern between two colours (N, 3, H, W): stripes, rings, spokes, checks, marble or plain."""
    radius, angle = frame.polar()
    along, rings, spokes = trait.normal(), trait.normal(0.7), torch.floor(trait.uniform(-4, 5)).clamp(min=0)
    pitch, swirl = trait.uniform(3, 22), trait.uniform(0, 1) ** 2 * 6
    noise = fractal_noise(rng, canvas.size, (4, 9, 19), 0.7)
    phase = pitch * (along * frame.u + rings * radius) + spokes * angle + swirl * noise + rng.uniform(0, TURN)
    wave = torch.sin(phase)
    crossing = trait.chance(0.4)
    wave = wave * (1 - crossing) + crossing * wave * torch.sin(pitch * (trait.normal() * frame.v + 0.3 * radius))
    sharp = 0.5 + 6 * trait.uniform() ** 2
    grain = trait.uniform(0, 0.5) * noise
    amount = trait.uniform(0.1, 1.0) * (0.5 + 0.5 * torch.tanh(sharp * (wave + trait.uniform(-0.7, 0.7)))) + grain
    return blend(a, b, amount.clamp(0, 1))


def _rosette(canvas, frame, trait, rng, palette):
    """One to three rings of petals around a middle, perhaps on a stem."""
    stem = frame.bar(0.0, 0.0, trait.uniform(-0.3, 0.3), 2.5, 0.12) * trait.chance(0.4)
    canvas.paint(stem, palette[3])
    petals = torch.floor(3 + 20 * trait.uniform() ** 2)
    base, power = trait.uniform(0.08, 0.85), trait.uniform(0.3, 2.2)
    notch, ragged = trait.chance(0.25) * trait.uniform(0.1, 0.4), trait.chance(0.2) * trait.uniform(0.1, 0.3)
    skew, streak, rings = (trait.uniform(-0.5, 0.5) * trait.chance(0.3), trait.uniform(0, 0.3), torch.floor(trait.uniform(1, 4)))
    radius, angle = frame.polar()
    wobble = rng.normal(0.05, shape=(2, 1, 1))
    for ring in range(3):
        reach = 1 - 0.28 * ring
        phase = petals * (angle + skew * radius) / 2 + ring * TURN / 4
        ridge = torch.cos(phase).abs()
        outline = (base + wobble[:, 0]).clamp(0.05, 1) + (1 - base) * (ridge + 1e-4) ** (power + wobble[:, 1]).clamp(min=0.25)
        outline = outline * (1 - notch * ridge**24 - ragged * (0.5 + 0.5 * torch.cos(7 * phase)) * ridge)
        along = radius / reach
        colour = blend(palette[1], palette[0], ((along - 0.35) / 0.3 + 0.5).clamp(0, 1))
        light = 0.68 + 0.25 * ridge + 0.12 * along.clamp(0, 1) + streak * torch.cos(10 * phase) * ridge
        canvas.paint(frame.inside((along - outline) * reach, 1.3) * (rings > ring), colour * light[:, None])
    middle = trait.uniform(0, 0.55) * trait.chance(0.8)
    seeds = 1 + 0.3 * torch.cos(radius * trait.uniform(10, 70)) * torch.cos(angle * 13 + radius * 30)
    canvas.paint(frame.inside(radius - middle) * (middle > 0), palette[2] * seeds[:, None])


def _solid(canvas, frame, trait, rng, palette):
    """A superformula silhouette with a texture, and copies of a small part around or on it."""
    radius, angle = frame.polar()
    corners = torch.floor(trait.uniform(1, 9))
    n1, n2, n3 = 0.3 + 3 * trait.uniform() ** 2, trait.uniform(0.5, 3), trait.uniform(0.5, 3)
    quarter = corners * angle / 4
    sum_ = (torch.cos(quarter).abs() + 1e-3) ** n2 + (torch.sin(quarter).abs() + 1e-3) ** n3
    outline = (sum_ ** (-1 / n1)).clamp(0.25, 1.6) * trait.uniform(0.55, 0.85)
    copies, where = torch.floor(trait.uniform(0, 8)), trait.uniform(0.3, 1.0)
    sector = TURN / copies.clamp(min=1)
    folded = torch.remainder(angle + sector / 2 + trait.uniform(0, TURN), sector) - sector / 2
    part = Frame(radius * torch.cos(folded), radius * torch.sin(folded), frame.edge, frame.fineness)
    parts = part.ellipse(where, 0.0, trait.uniform(0.08, 0.4), trait.uniform(0.06, 0.2)) * (copies > 0)
    front = trait.chance(0.5)
    light = _relief(frame, radius, rng)
    canvas.paint(parts * (1 - front), palette[2] * light)
    canvas.paint(frame.inside(radius - outline, 1.3), texture(canvas, frame, trait, rng, palette[0], palette[1]) * light)
    canvas.paint(parts * front, palette[2] * light)


def _creature(canvas, frame, trait, rng, palette):
    """Ellipses for body, head, limbs and patches, put together the same way in each picture of the class."""
    radius, _ = frame.polar()
    light = _relief(frame, radius, rng)
    length, depth, lift = trait.uniform(0.4, 0.75), trait.uniform(0.2, 0.5), trait.uniform(-0.4, 0.3)
    coat = texture(canvas, frame, trait, rng, palette[0], palette[1])
    for _ in range(2):  # legs, fins or a tail behind the body
        x, y = trait.uniform(-0.5, 0.4), trait.uniform(0, 0.3)
        limb = frame.bar(
            x, y, x + trait.uniform(-0.6, 0.6) + rng.normal(0.06), y + trait.uniform(0.2, 0.8), trait.uniform(0.05, 0.25), 0.4
        )
        canvas.paint(limb * trait.chance(0.75), palette[3] * light)
    tip = -length - trait.uniform(0.1, 0.6), lift + rng.normal(0.08)
    tail = frame.bar(-length * 0.8, 0.0, *tip, trait.uniform(0.08, 0.35), trait.uniform(0.1, 1.8))
    canvas.paint(tail, palette[2] * light)
    body = frame.ellipse(0.0, 0.0, length, depth, 0.1)
    canvas.paint(body, coat * light)
    patch = frame.ellipse(*_draws(trait, (-0.4, 0.4), (-0.3, 0.3), (0.1, 0.4), (0.05, 0.25), (0, 3.0)), 2.0)
    canvas.paint(body * patch * trait.chance(0.8), palette[2] * light)
    hx, hy, hr = length * trait.uniform(0.7, 1.05), -depth * trait.uniform(0.2, 1.2), trait.uniform(0.14, 0.3)
    nod = rng.normal(0.04)
    head = frame.inner(hx, hy + nod, 0.0, hr)
    beak = head.bar(0.6, 0.1, *_draws(trait, (1.0, 2.2), (-0.3, 0.6), (0.2, 0.7)), 0.1)
    canvas.paint(beak, palette[3] * light)
    skull = head.ellipse(0.0, 0.0, 1.0, trait.uniform(0.7, 1))
    same = trait.chance(0.5)[:, None]
    canvas.paint(skull, (same * palette[0] + (1 - same) * palette[2]) * light)
    mask = head.ellipse(*_draws(trait, (-0.6, 0.9), (-0.9, 0.5), (0.3, 0.9), (0.2, 0.6), (0, 3.0)))
    canvas.paint(skull * mask * trait.chance(0.8), palette[3] * light)
    canvas.paint(head.ellipse(0.4, -0.2, 0.16, 0.16), torch.full((1, 3, 1, 1), 0.04))


def _material(canvas, frame, trait, rng, palette):
    """Two textures, one within the other, fill the picture."""
    first = texture(canvas, frame, trait, rng, palette[0], palette[1])
    second = texture(canvas, frame, trait, rng, palette[1], palette[2])
    islands = fractal_noise(rng, canvas.size, (3, 7, 15))
    amount = (0.5 + (islands - trait.uniform(-0.6, 0.9)) * trait.uniform(1, 9)).clamp(0, 1)
    canvas.image[:] = blend(first, second, amount)


def _relief(frame, radius, rng):
    """Light from one side on a rounded body: (N, 1, H, W)."""
    angle = rng.uniform(0, TURN)
    side = torch.cos(angle) * frame.u + torch.sin(angle) * frame.v
    return (1.05 + rng.uniform(0, 0.4) * side - 0.2 * radius).clamp(0.35, 1.5)[:, None]


def _draws(trait, *ranges):
    return [trait.uniform(low, high) for low, high in ranges]


def _class_colour(trait, rng):
    """One of a class's colours, as it varies; 15% of the pictures take any colour: shape must be learnt too."""
    hue, saturation, value = trait.uniform(), trait.uniform(0, 1), trait.uniform(0.1, 1)
    own = hsv(hue + rng.normal(0.03), (saturation + rng.normal(0.1)).clamp(0, 1), (value + rng.normal(0.1)).clamp(0.05, 1))
    odd = rng.chance(0.15)[:, None]
    return own * (1 - odd) + odd * _any_colour(rng)


def _surrounding(rng):
    """Half the time a colour of leaves, earth, wood or sky, half the time any."""
    natural = hsv(rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.9))
    return blend(_any_colour(rng), natural, rng.chance(0.5))


def _any_colour(rng):
    return hsv(rng.uniform(), rng.uniform() ** 1.5, rng.uniform(0.05, 1))


def _fold(x, cell):
    return torch.remainder(x + cell / 2, cell) - cell / 2


def _row(x, cell):
    return torch.floor((x + cell / 2) / cell)
