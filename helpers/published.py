"""The published sets of photographs: fetched once, checked, unpacked, and listed as they are published.

Addresses and digests of Oxford's flowers stand in torchvision's class; those of the hot dogs, and the sizes that nobody
else states, stand here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from helpers.catalog import Card
from helpers.folders import divide, find_images
from helpers.imagecache import Pictures, cache_folder
from helpers.twins import near_groups

# bytes, as TensorFlow Datasets lists them (tensorflow_datasets/url_checksums/oxford_flowers102.txt)
FLOWERS_SIZES = {"102flowers.tgz": 344_862_509, "imagelabels.mat": 502, "setid.mat": 14_989}
# Zhang et al., Dive into Deep Learning, section "Fine-Tuning" (d2l.ai); its size is stated nowhere
HOTDOG_ADDRESS = "http://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip"
HOTDOG_DIGEST = "sha1:fba480ffa8aa7e0febbb511d181409f899b9baa5"


@dataclass(frozen=True)
class Published:
    """A published set of photographs on this machine.

    folder: where it is. parts: {"pool" | "val" | "test": {class: files below the folder}}; only "pool" where it is not
    published in parts. credits: {file: photographer and licence}. notes: what is to be known about it.
    """

    folder: Path
    parts: dict[str, dict[str, list[str]]]
    credits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def load(card: Card, cache_dir=None, offline: bool | None = None, manifest=None) -> Published:
    """The photographs of a card, fetched unless they are in the cache folder, below the task's own name.

    Raises what `downloads.fetch` raises (`Offline` where they are not here and no connection may be used or is there),
    and ValueError where what was unpacked has been changed since.
    """
    folder = cache_folder(cache_dir) / card.name
    if card.name == "goldfinch-photos":
        from helpers.inaturalist import goldfinch_photos

        place, classes, credits, notes = goldfinch_photos(cache_dir=cache_dir, offline=offline, manifest=manifest)
        return Published(place, {"pool": classes}, credits, notes)
    if manifest is not None:
        raise ValueError(f'manifest={manifest!r}: only "goldfinch-photos" has manifests, {card.name!r} is always the same')
    return {"flowers102": _flowers102, "hotdog": _hotdog}[card.name](card, folder, offline)


def _flowers102(card: Card, folder: Path, offline) -> Published:
    from torchvision.datasets import Flowers102

    place = folder / "flowers-102"  # where torchvision's class looks for it
    names = dict(Flowers102._file_dict.values())

    def fetch(name, into, what):
        return _fetch(card, Flowers102._download_url_prefix + name, into / name, f"md5:{names[name]}", what, offline)

    archive, labels, splits = (Flowers102._file_dict[part][0] for part in ("image", "label", "setid"))
    _unpack_once(place, lambda: fetch(archive, folder, "the photographs of flowers102"))
    fetch(labels, place, "the labels of flowers102")
    fetch(splits, place, "the list of the splits of flowers102")
    parts = {}
    for part, split in {"pool": "train", "val": "val", "test": "test"}.items():
        try:
            listed = Flowers102(folder, split, download=False)
        except RuntimeError as error:
            raise ValueError(_changed(place, error)) from error
        members = parts[part] = {name: [] for name in Flowers102.classes}
        for file, label in zip(listed._image_files, listed._labels, strict=True):
            members[Flowers102.classes[label]].append(file.relative_to(folder).as_posix())
    return Published(folder, parts)


def _hotdog(card: Card, folder: Path, offline) -> Published:
    place, name = folder / "unpacked", HOTDOG_ADDRESS.rsplit("/", 1)[1]
    _unpack_once(place, lambda: _fetch(card, HOTDOG_ADDRESS, folder / name, HOTDOG_DIGEST, "the photographs of hotdog", offline))
    parts = {}
    for part, split in {"pool": "train", "test": "test"}.items():
        below = f"unpacked/hotdog/{split}"
        try:
            classes, _ = find_images(folder / below)
        except (OSError, ValueError) as error:
            raise ValueError(_changed(place, error)) from error
        parts[part] = {name: [f"{below}/{file}" for file in files] for name, files in classes.items()}
    return Published(folder, parts)


def _fetch(card: Card, url: str, file: Path, digest: str, what: str, offline) -> Path:
    from helpers.downloads import fetch

    size = FLOWERS_SIZES.get(file.name)
    return fetch(url, file, what=what, size=size, digest=digest, licence=card.licence, instead=card.instead, offline=offline)


def _unpack_once(place: Path, fetch: Callable[[], Path]) -> None:
    """Fetch an archive, unpack it to `place` and delete it, unless `place` is there: it is made in one step, and whole."""
    from helpers.unpacking import unpack

    if not place.is_dir():
        archive = fetch()
        unpack(archive, place, max_bytes=2_000_000_000, max_files=20_000)
        archive.unlink()


def _changed(place: Path, error: Exception) -> str:
    return f"{place} is not as it was unpacked ({error}). Delete this folder and open the task again: it is fetched anew."


def share_out(card: Card, found: Published, pictures: Pictures, per_class, val, test, seed: int, together: bool):
    """What is trained, validated and tested on: {"pool" | "val" | "test": {class: rows}}, per_class, notes.

    Parts that are published stay as they are, or shrink to `val` and `test` (a number of images or a share of each class).
    The others are set aside from the pool by content: with seed 0 where the test images are published, so that validation
    is the same for everybody. `per_class` comes back as it can be had.
    """
    row_of = {file: row for row, file in enumerate(pictures.files)}
    parts = {
        part: {name: [row_of[file] for file in files if file not in pictures.bad] for name, files in classes.items()}
        for part, classes in found.parts.items()
    }
    notes = [*found.notes, *_repeated(pictures, found.parts)]
    official = [part for part in ("val", "test") if part in parts]
    for part, most in (("val", val), ("test", test)):
        if part in official and most is not None:
            before = sum(map(len, parts[part].values()))
            parts[part] = {name: _some_of(rows, most, pictures.content) for name, rows in parts[part].items()}
            after = sum(map(len, parts[part].values()))
            notes.append(f"{part}={most}: {after:,} of the official {before:,} images, drawn by content")
    if len(official) < 2:
        groups = near_groups(pictures) if together else _equal(pictures)
        aside = [0 if part in official else share for part, share in (("val", val or 0.125), ("test", test or 0.25))]
        carved = divide(found.folder, parts["pool"], pictures.content, None, *aside, 0 if official else seed, groups)
        parts = {part: parts[part] if part in official else carved[part] for part in ("pool", "val", "test")}
    elif together:
        notes.append("together=True changes nothing here: the splits are official, near-duplicates were not looked for")
    most = max(map(len, parts["pool"].values()))
    if per_class is not None and per_class > min(map(len, parts["pool"].values())):
        have = sorted({len(rows) for rows in parts["pool"].values()})
        counts = str(have[0]) if len(have) == 1 else f"{have[0]} to {have[-1]}"
        notes.append(f"per_class={per_class}: the training images are {counts} a class, and all of them are taken")
        print(f"{card.name} has {counts} training images a class, not {per_class}: training takes those.")
        per_class = min(per_class, most)
    return parts, per_class, notes


def _some_of(rows: list[int], most: int | float, content: list[str]) -> list[int]:
    count = most if most >= 1 else max(1, round(most * len(rows)))
    drawn = sorted(rows, key=lambda row: hashlib.sha256(f"0 {content[row]}".encode()).digest())[:count]
    return sorted(drawn)


def _equal(pictures: Pictures) -> list[list[int]]:
    """The rows that hold the same picture, group by group."""
    groups = {}
    for row, pixels in enumerate(pictures.pixels):
        groups.setdefault(pixels, []).append(row)
    return [*groups.values()]


def _repeated(pictures: Pictures, parts) -> list[str]:
    """A note on pictures that are published more than once, in one part or several; they are left as they are."""
    groups = [[pictures.files[row] for row in rows] for rows in _equal(pictures)]
    groups = [group for group in groups if len(group) > 1 and group[0] not in pictures.bad]
    if not groups:
        return []
    part_of = {file: part for part, classes in parts.items() for files in classes.values() for file in files}
    across = sum(len({part_of[file] for file in group}) > 1 for group in groups)
    return [
        f"published more than once, and left so: {len(groups)} pictures, such as {' = '.join(groups[0][:3])}; "
        f"{across} of them both among training and test or validation images"
    ]
