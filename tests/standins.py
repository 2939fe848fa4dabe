"""Small stand-ins for published sets of photographs, in their real formats: archives that the course's own loaders read.

    fill_cache(cache, "flowers102")          # as after a download: the task then opens without a network
    with standing_in(archives("hotdog"), origin.url("")): ...     # the loader takes these archives for the real ones

The pictures have a colour and a stripe pattern for each class, and noise of their own.
"""

import colorsys
import hashlib
import io
import tarfile
import zipfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from scipy.io import savemat

from helpers.images import published
from helpers.images.catalog import CARDS

SIZES = {  # images a class
    "flowers102": {"train": 2, "val": 1, "test": 2},
    "hotdog": {"train": 16, "test": 6},
    "ants-bees": {"train": 16, "test": 6},
}


def picture(label: int, number: int, kind: str = "JPEG", side: int = 16) -> bytes:
    """A file with a picture that is a little wider than high, or the other way round."""
    rng = np.random.default_rng([label, number])
    colour = 255 * np.array(colorsys.hsv_to_rgb(label * 0.618 % 1, 0.8, 0.8))
    height, width = (side, side + 4) if number % 2 else (side + 6, side)
    stripes = np.sin(np.arange(width) * (0.4 + 0.3 * (label % 5)))[None, :, None]
    pixels = colour * (0.8 + 0.2 * stripes) + rng.normal(0, 20, (height, width, 3))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, kind, quality=90)
    return out.getvalue()


@lru_cache
def archives(name: str, **images) -> dict[str, bytes]:
    """{file name: its content} of a published set. images: how many a class, as in SIZES."""
    return {"flowers102": _flowers102, "hotdog": _hotdog, "ants-bees": _ants_bees}[name](**SIZES[name] | images)


def _flowers102(train: int, val: int, test: int) -> dict[str, bytes]:
    # photographs are numbered class by class, and the splits are drawn from among each class's numbers
    labels = np.repeat(np.arange(1, 103), train + val + test)
    numbers = np.arange(1, len(labels) + 1).reshape(102, -1)
    numbers = np.random.default_rng(0).permuted(numbers, axis=1)
    splits = {"trnid": numbers[:, :train], "valid": numbers[:, train : train + val], "tstid": numbers[:, train + val :]}
    photographs = io.BytesIO()
    with tarfile.open(fileobj=photographs, mode="w:gz", compresslevel=1) as packed:
        folder = tarfile.TarInfo("jpg")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        packed.addfile(folder)
        for number, label in enumerate(labels, 1):
            content = picture(int(label) - 1, number)
            about = tarfile.TarInfo(f"jpg/image_{number:05d}.jpg")
            about.size = len(content)
            packed.addfile(about, io.BytesIO(content))
    of_labels, of_splits = io.BytesIO(), io.BytesIO()
    savemat(of_labels, {"labels": labels[None].astype(np.uint8)})
    savemat(of_splits, {name: ids.reshape(1, -1).astype(np.uint16) for name, ids in splits.items()})
    names = ("102flowers.tgz", "imagelabels.mat", "setid.mat")
    return dict(zip(names, (photographs.getvalue(), of_labels.getvalue(), of_splits.getvalue()), strict=True))


def _hotdog(train: int, test: int) -> dict[str, bytes]:
    return {"hotdog.zip": zipped(_parts("hotdog", ("hotdog", "not-hotdog"), {"train": train, "test": test}))}


def _ants_bees(train: int, test: int) -> dict[str, bytes]:
    members = _parts("hymenoptera_data", ("ants", "bees"), {"train": train, "val": test})
    members["hymenoptera_data/train/ants/imageNotFound.gif"] = picture(5, 0, "GIF")
    return {"hymenoptera_data.zip": zipped(members)}


def _parts(folder: str, classes: tuple, counts: dict[str, int]) -> dict[str, bytes]:
    """{name in the archive: picture} of a folder with so many pictures of each class in each of its parts."""
    return {
        f"{folder}/{split}/{name}/{number}.png": picture(label, 1000 * part + number, "PNG")
        for part, (split, count) in enumerate(counts.items())
        for label, name in enumerate(classes)
        for number in range(count)
    }


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return out.getvalue()


@contextmanager
def standing_in(files: dict[str, bytes], address: str = "http://127.0.0.1:9/"):
    """Within it, the loaders take these archives, below `address`, for the real ones: their sizes and digests are expected."""
    from torchvision.datasets import Flowers102

    md5 = {part: (name, _digest("md5", files.get(name))) for part, (name, _) in Flowers102._file_dict.items()}
    ants_bees = f"sha256:{_digest('sha256', files.get('hymenoptera_data.zip'))}"
    sizes = {name: len(content) for name, content in files.items()}
    with (
        mock.patch.object(Flowers102, "_file_dict", md5),
        mock.patch.object(Flowers102, "_download_url_prefix", address),
        mock.patch.object(published, "FLOWERS_SIZES", published.FLOWERS_SIZES | sizes),
        mock.patch.object(published, "HOTDOG_ADDRESS", f"{address}hotdog.zip"),
        mock.patch.object(published, "ANTS_BEES_ADDRESS", f"{address}hymenoptera_data.zip"),
        mock.patch.object(published, "ANTS_BEES", {"size": sizes.get("hymenoptera_data.zip"), "digest": ants_bees}),
        mock.patch.object(published, "HOTDOG_DIGEST", f"sha1:{_digest('sha1', files.get('hotdog.zip'))}"),
    ):
        yield


def fill_cache(cache, name: str, **images) -> Path:
    """Bring a stand-in into the cache folder `cache`, through the real loader, without a connection; returns its folder.

    The archives are put where the loader says that they may be put by hand. images: how many a class, as in SIZES.
    """
    if name == "goldfinch-photos":
        import finches_standin

        return finches_standin.fill_cache(cache, **images)
    files = archives(name, **images)
    place = Path(cache, name)
    place.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (place / file).write_bytes(content)
    with standing_in(files):
        return published.load(CARDS[name], cache, offline=True).folder


def _digest(algorithm: str, content: bytes | None) -> str:
    return hashlib.new(algorithm, content or b"").hexdigest()
