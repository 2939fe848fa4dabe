"""The embedded images: rendered from code, the same for the same seed, at any size, without network or files.

Four collections: "source", the large general world of `world.py`; "goldfinches" (4 species), "flowers" (10 kinds) and, far
from the source, "tissue" (6 kinds), the small targets. And a stranger, "siskins" (one species), which no task holds.
A picture is a function of (collection, split, seed, class, number) alone, and of the scene behind it.
"""

from numbers import Integral

import torch

from helpers.images.closing import refuse_if_closed
from helpers.images.drawn import world
from helpers.images.drawn.brush import CHUNK, Canvas, Rng, mix
from helpers.images.drawn.finches import GOLDFINCHES, SISKINS, paint_finch
from helpers.images.drawn.flowers import FLOWERS, paint_flower
from helpers.images.drawn.scenery import daylight, meadow, studio
from helpers.images.drawn.tissue import TISSUES, paint_tissue

COLLECTIONS = ("source", "goldfinches", "flowers", "tissue")  # appended to only: the order is in every picture's key
STRANGERS = ("siskins",)  # drawn as the others are, to be shown to networks that have not seen their like
SCENES = ("meadow", "studio")
SPLITS = ("train", "val", "test")


def class_names(collection: str) -> list[str]:
    """The class names of a collection, in the order of their labels."""
    _known(collection, COLLECTIONS + STRANGERS, "collection")
    return world.CLASSES if collection == "source" else sorted(_kinds(collection))


def field_marks(collection: str) -> dict[str, str]:
    """What to look for to name each goldfinch species, kind of flower or tissue."""
    _known(collection, COLLECTIONS[1:] + STRANGERS, "collection")
    return {name: kind.marks for name, kind in sorted(_kinds(collection).items())}


def render(collection: str, labels, numbers, *, split="train", seed: int = 0, size: int = 64, scene="meadow",
           plumage=None):  # fmt: skip
    """Paint pictures.

    collection: "source", "goldfinches", "flowers", "tissue" or "siskins". labels, numbers: int64 (N,), the class and the
    running number of each picture. split: "train", "val" or "test"; pictures of different splits never coincide. size: 16
    to 1024 pixels.
    scene: what is behind birds and flowers, "meadow" or "studio"; the same birds and flowers in either.
    plumage: a `finches.Finch` for birds to wear in the place of their own; all else in the picture stays.

    Returns images uint8 (N, 3, size, size) and targets, a dict of float (N,): "pose" (degrees), "size" (share of the
    width), for flowers "petals" (count); for tissue "size" (radius of a nucleus) and "cells" (count). Raises ValueError
    for an unknown name, a label or a size out of range, and for anything but whole numbers.
    """
    _known(collection, COLLECTIONS + STRANGERS, "collection")
    _known(split, SPLITS, "split")
    _known(scene, SCENES, "scene")
    if scene != "meadow" and collection not in ("goldfinches", "flowers", "siskins"):
        raise ValueError(f"{collection!r} has no scene behind it: leave scene={scene!r} out")
    if plumage is not None and collection not in ("goldfinches", "siskins"):
        raise ValueError(f"{collection!r} are no birds: leave plumage out")
    labels, numbers = torch.as_tensor(labels), torch.as_tensor(numbers)
    for name, values in {"labels": labels, "numbers": numbers, "seed": seed, "size": size}.items():
        _whole(name, values)
    labels, numbers = labels.long(), numbers.long()
    classes = len(class_names(collection))
    if labels.shape != numbers.shape or labels.dim() != 1:
        raise ValueError(f"labels {tuple(labels.shape)} and numbers {tuple(numbers.shape)} must both be (N,)")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"labels of {collection!r} run from 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
    refuse_if_closed()
    images = torch.empty(len(labels), 3, size, size, dtype=torch.uint8)
    targets: dict[str, torch.Tensor] = {}
    groups = world.family(labels) if collection == "source" else labels
    for group in groups.unique().tolist():
        for rows in (groups == group).nonzero().view(-1).split(CHUNK):
            keys = _keys(collection, split, seed, labels[rows], numbers[rows])
            images[rows], known = _paint(collection, group, labels[rows], keys, size, scene, plumage)
            for name, values in known.items():
                targets.setdefault(name, torch.zeros(len(labels)))[rows] = values
    return images, targets


def render_split(collection: str, split: str, per_class: int, seed: int = 0, size: int = 64, scene="meadow"):
    """`per_class` pictures of every class of a split: (images, labels int64 (N,), targets, class names).

    Raises ValueError as `render` does, and for a per_class below 1.
    """
    names = class_names(collection)
    _whole("per_class", per_class)
    if per_class < 1:
        raise ValueError(f"per_class is {per_class}; choose 1 or more pictures of each class")
    labels = torch.arange(len(names)).repeat_interleave(per_class)
    images, targets = render(
        collection, labels, torch.arange(len(labels)) % per_class, split=split, seed=seed, size=size, scene=scene
    )
    return images, labels, targets, names


def _paint(collection, group, labels, keys, size, scene, plumage):
    canvas, rng = Canvas(len(keys), size), Rng(keys)
    if collection == "source":
        targets = world.paint(canvas, rng, group, labels)
    elif collection == "tissue":
        targets = paint_tissue(canvas, rng, TISSUES[class_names(collection)[group]])
    else:
        meadow(canvas, rng)
        if scene == "studio":  # with a generator of its own, so that the subject stays the same
            studio(canvas, Rng(mix(keys + 1)))
        name = class_names(collection)[group]
        painter = paint_flower if collection == "flowers" else paint_finch
        targets = painter(canvas, rng, plumage or _kinds(collection)[name])
    daylight(canvas, rng)
    return canvas.finished(), targets


def _keys(collection, split, seed, labels, numbers):
    place = COLLECTIONS.index(collection) if collection in COLLECTIONS else 1000 + STRANGERS.index(collection)
    salt = place * len(SPLITS) + SPLITS.index(split)
    start = mix(mix(torch.tensor([seed], dtype=torch.int64)) + salt)
    return mix(mix(start + labels) + numbers)


def _kinds(collection):
    return {"goldfinches": GOLDFINCHES, "siskins": SISKINS, "flowers": FLOWERS, "tissue": TISSUES}[collection]


def _known(name, names, what):
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}; there are {', '.join(names)}")


def _whole(name, value):
    """Refuse what would otherwise be cut down to a whole number without a word."""
    if isinstance(value, torch.Tensor):
        fine = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    else:
        fine = isinstance(value, Integral) and not isinstance(value, bool)
    if not fine:
        raise ValueError(f"{name} must be whole numbers, got {value!r}")
