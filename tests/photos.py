"""Folders of small pictures for the tests of tasks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import inspect_images
from helpers.images.decoding import MAX_PIXELS
from helpers.images.tasks import Files, open_task


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
