"""Folders of small pictures for the tests of tasks."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import inspect_images, render
from helpers.images.decoding import MAX_PIXELS
from helpers.images.tasks import Files, open_task

needs_photographs = pytest.mark.skipif("COURSE_PHOTOS" not in os.environ, reason="COURSE_PHOTOS names no folder of photographs")
needs_squeezenet = pytest.mark.skipif(
    not any(Path(torch.hub.get_dir(), "checkpoints").glob("squeezenet1_0-*.pth")),
    reason="the weights of squeezenet1_0 are not in the torch cache (TORCH_HOME)",
)


def write_pictures(folder, rng, count, prefix="", side=9):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise = rng.integers(0, 256, (side, side + 1, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{prefix}{number}.png")


def photos(root, seed=0, **counts):
    """A folder of class folders with so many pictures of noise each."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        write_pictures(root / name, rng, count)
    return root


def pictures_of_kinds(kinds: int, each: int) -> dict[str, list[Image.Image]]:
    """Small pictures of a few kinds: photographs if COURSE_PHOTOS names a folder of some, else drawn goldfinches."""
    if named := os.environ.get("COURSE_PHOTOS"):
        folders = sorted(entry for entry in Path(named).iterdir() if entry.is_dir())[:kinds]
        return {folder.name: [thumbnail(file) for file in sorted(folder.iterdir())[:each]] for folder in folders}
    drawn = {f"kind {label}": render("goldfinches", [label] * each, range(each), size=80)[0] for label in range(kinds)}
    return {name: [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images] for name, images in drawn.items()}


def thumbnail(file) -> Image.Image:
    with Image.open(file) as picture:
        picture.thumbnail((160, 160))
        return picture.convert("RGB")


def open_small(folder, per_class=None, seed=0, size=8, max_pixels=MAX_PIXELS, **settings):
    return open_task(folder, per_class, seed, size=size, files=Files(Path(folder).parent / "cache", max_pixels), **settings)


def inspect(folder, size=8):
    return inspect_images(folder, size, files=Files(Path(folder).parent / "cache"))


def contents(split):
    return [pixels.numpy().tobytes() for pixels in split.pixels]


def parts(task):
    return {"pool": task.pool, "val": task.val, "test": task.test}


def refused(name, *words, error=ValueError, **settings):
    with pytest.raises(error) as caught:
        open_small(name, **settings)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
