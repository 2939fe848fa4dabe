"""The published sets of photographs: fetched once, checked, unpacked, and listed as they are published.

Addresses and digests of Oxford's flowers stand in torchvision's class; those of the hot dogs, and the sizes that nobody
else states, stand here.
"""

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from helpers.data.downloads import fetch
from helpers.data.files import cache_folder, content_hash, write_whole
from helpers.images.archives import ENDINGS, is_archive, unpack
from helpers.images.catalog import CARDS, Card
from helpers.images.decoding import PICTURES, image_extensions
from helpers.images.folders import divide, find_parts, is_hidden
from helpers.images.goldfinch_photos import open_set
from helpers.images.imagecache import Pictures
from helpers.images.inaturalist import collect
from helpers.images.twins import kept_together

# bytes, as TensorFlow Datasets lists them (tensorflow_datasets/url_checksums/oxford_flowers102.txt)
FLOWERS_SIZES = {"102flowers.tgz": 344_862_509, "imagelabels.mat": 502, "setid.mat": 14_989}
# Zhang et al., Dive into Deep Learning, section "Fine-Tuning" (d2l.ai); its size is stated nowhere
HOTDOG_ADDRESS = "http://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip"
HOTDOG_DIGEST = "sha1:fba480ffa8aa7e0febbb511d181409f899b9baa5"
# The PyTorch tutorial "Transfer Learning for Computer Vision"; size and digest as the library rktorch states them
ANTS_BEES_ADDRESS = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
ANTS_BEES = {"size": 47_286_322, "digest": "sha256:fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"}
NO_ANT = "imageNotFound.gif"  # what lies in its folder of ants beside the photographs


@dataclass(frozen=True)
class Published:
    """A set of photographs on this machine that is divided already.

    folder: where it is. parts: {"pool" | "val" | "test": {class: files below the folder}}; only "pool" where it is not
    published in parts. credits: {file: "author, licence, link"}. notes: what else to know about it.
    """

    folder: Path
    parts: dict[str, dict[str, list[str]]]
    credits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """Of all parts and classes, below the folder."""
        return [file for classes in self.parts.values() for its in classes.values() for file in its]


def load(card: Card, cache_dir=None, offline: bool | None = None, manifest=None) -> Published:
    """The photographs of a card, fetched unless they are in the cache folder, below the task's own name.

    Once they are fetched, checked and unpacked, a list of them is kept beside them, and nothing else is needed after that.
    manifest: for goldfinch photographs, the file that lists a set. Raises what `downloads.fetch` raises (`Offline` if they
    are not here, and there is no network or it must not be used), and ValueError if what was unpacked has been changed.
    """
    folder = cache_folder(cache_dir) / card.name
    if card.name == "goldfinch-photos":
        if manifest is None and not (folder / "manifest.json").is_file():
            collect(folder, offline=offline)
        return Published(folder, *open_set(Path(manifest or folder / "manifest.json").expanduser(), folder, offline))
    listed = folder / "listed.json"
    with suppress(OSError, ValueError):
        return Published(folder, json.loads(listed.read_text(encoding="utf-8")))
    parts = {"ants-bees": _ants_bees, "flowers102": _flowers102, "hotdog": _hotdog}[card.name](card, folder, offline)
    write_whole(listed, json.dumps(parts))
    for archive in (*folder.glob("*.tgz"), *folder.glob("*.zip")):  # unpacked by now
        with suppress(OSError):  # another program is reading it
            archive.unlink()
    return Published(folder, parts)


def class_folders(card: Card, cache_dir=None, offline: bool | None = None) -> Path:
    """The folder with the class folders that a published set trains on, fetched unless it is here. Raises as `load` does,
    and ValueError where the set is not published as class folders, or is drawn by the course itself."""
    if not card.embedded:
        found = load(card, cache_dir, offline)
        pool = found.parts["pool"]
        places = {Path(file).parent.parent for name, files in pool.items() for file in files if Path(file).parent.name == name}
        if len(places) == 1:
            return found.folder / places.pop()
    raise ValueError(
        f"{card.name!r} is the name of a task, and that is no folder of class folders: use open_task({card.name!r}). For a "
        f"folder of that name write './{card.name}'."
    )


def image_folder(path: str | Path, cache_dir=None) -> Path:
    """The folder of class folders at `path`: a folder as it is, a zip or tar unpacked into the cache folder.

    A folder that holds one other folder and no pictures, as zips often do, is stepped into. The name of a published task
    ("hotdog") stands for the class folders of its training part, also where a folder has that name: that is "./hotdog".
    Raises FileNotFoundError, ValueError for other files, OSError if there is no room; for a published task what its
    download raises.
    """
    place = Path(path).expanduser()
    if isinstance(path, str) and path in CARDS:
        if place.is_dir():
            print(f"{path!r} is the task of this name, not the folder that is here: for the folder write './{path}'")
        place = class_folders(CARDS[path], cache_dir)
    if place.is_file():
        if not is_archive(place):
            raise ValueError(f"{place} is neither a folder nor a zip (or tar). Give a folder of class folders, or a zip of one.")
        about = place.stat()
        now = f"{about.st_size} {about.st_mtime_ns}"
        of_path, of_state = (content_hash(text.encode())[:12] for text in (str(place.resolve()), now))
        unpacked = cache_folder(cache_dir) / "unpacked"
        name = next((place.name[: -len(end)] for end in ENDINGS if place.name.lower().endswith(end)), place.stem)
        place = unpack(place, unpacked / f"{of_path}-{of_state}" / (name or "images"))
        for old in unpacked.glob(f"{of_path}-*"):  # of the same archive before it changed
            if old != place.parent:
                shutil.rmtree(old, ignore_errors=True)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder and no zip {place.absolute()}. Is the path right, and quoted?")
    endings = image_extensions() | PICTURES
    for _ in range(5):
        inside = [entry for entry in place.iterdir() if not is_hidden(entry.name)]
        folders = [entry for entry in inside if entry.is_dir()]
        if len(folders) != 1 or folders[0].is_symlink() or any(entry.suffix.lower() in endings for entry in inside):
            break
        if not any(entry.is_dir() for entry in folders[0].iterdir()):
            break  # a class folder
        place = folders[0]
    return place


def changed(folder: Path, error: Exception) -> ValueError:
    """What to raise when `folder` lacks what was unpacked to it."""
    return ValueError(
        f"{folder} is not as it was unpacked ({error}). Delete this folder and open the task again: it is fetched again."
    )


def _flowers102(card: Card, folder: Path, offline) -> dict[str, dict[str, list[str]]]:
    from torchvision.datasets import Flowers102

    place = folder / "flowers-102"  # where torchvision's class looks for it

    def fetched(part, what):
        name, md5 = Flowers102._file_dict[part]
        about = {"size": FLOWERS_SIZES[name], "digest": f"md5:{md5}"}
        return _fetch(card, Flowers102._download_url_prefix + name, folder, what, offline, **about)

    if not place.is_dir():
        unpack(fetched("image", "the archive of its photographs"), place)
    for part, what in {"label": "its labels", "setid": "which photograph is in which split"}.items():
        file = fetched(part, what)
        shutil.copyfile(file, place / file.name)
    parts = {}
    for part, split in {"pool": "train", "val": "val", "test": "test"}.items():
        try:
            listed = Flowers102(folder, split, download=False)
        except RuntimeError as error:
            raise changed(folder, error) from error
        members = parts[part] = {name: [] for name in Flowers102.classes}
        for file, label in zip(listed._image_files, listed._labels, strict=True):
            members[Flowers102.classes[label]].append(file.relative_to(folder).as_posix())
    return parts


def _hotdog(card: Card, folder: Path, offline) -> dict[str, dict[str, list[str]]]:
    return _divided(card, folder, offline, HOTDOG_ADDRESS, digest=HOTDOG_DIGEST)


def _ants_bees(card: Card, folder: Path, offline) -> dict[str, dict[str, list[str]]]:
    parts = _divided(card, folder, offline, ANTS_BEES_ADDRESS, **ANTS_BEES)
    return {part: {name: [file for file in files if not file.endswith(NO_ANT)] for name, files in classes.items()}
            for part, classes in parts.items()}  # fmt: skip


def _divided(card: Card, folder: Path, offline, address: str, **about) -> dict[str, dict[str, list[str]]]:
    """The parts of an archive that holds one folder, with train/ and test/ or val/ in it."""
    place = folder / "unpacked"
    if not place.is_dir():
        unpack(_fetch(card, address, folder, "the archive of its photographs", offline, **about), place)
    try:
        inside = image_folder(place)
        if (found := find_parts(inside)) is None:
            raise ValueError(f"{inside} does not hold the parts of a split")
    except (OSError, ValueError) as error:
        raise changed(folder, error) from error
    below = inside.relative_to(folder).as_posix()
    return {part: {name: [f"{below}/{file}" for file in files] for name, files in classes.items()}
            for part, classes in found[0].items()}  # fmt: skip


def _fetch(card: Card, url: str, folder: Path, what: str, offline, **about) -> Path:
    file = folder / url.rsplit("/", 1)[1]
    return fetch(url, file, what=f"{card.name}: {what}", licence=f"licence {card.licence}", instead=card.instead, forbid=offline,
                 **about)  # fmt: skip


def share_out(name: str, found: Published, pictures: Pictures, per_class, val, test, seed: int, together):
    """What is trained, validated and tested on: {"pool" | "val" | "test": {class: rows}}, per_class, notes.

    Parts that are published stay as they are, or shrink to `val` and `test` (a number of images or a share of each class).
    The others are set aside from the pool by content: with seed 0 if the test images are published, so that validation is
    the same for everybody. `per_class` comes back smaller if there are not as many training images.
    """
    row_of = {file: row for row, file in enumerate(pictures.files) if file not in pictures.bad}
    parts = {part: {name: [row_of[file] for file in files if file in row_of] for name, files in classes.items()}
             for part, classes in found.parts.items()}  # fmt: skip
    notes, official = [*found.notes, *_repeated(pictures, found.parts)], [part for part in ("val", "test") if part in parts]
    for part, most in (("val", val), ("test", test)):
        if part in official and most is not None:
            before = sum(map(len, parts[part].values()))
            parts[part] = {name: _some_of(rows, most, pictures.content) for name, rows in parts[part].items()}
            after = sum(map(len, parts[part].values()))
            notes.append(f"{part}={most}: {after:,} of its {before:,} images, drawn by content: compare with such results only")
    if len(official) < 2:
        groups = kept_together(pictures, together) if together else _equal(pictures)
        aside = [0 if part in official else share for part, share in (("val", val or 0.125), ("test", test or 0.25))]
        carved = divide(found.folder, parts["pool"], pictures.content, None, *aside, 0 if official else seed, groups)
        parts = {part: parts[part] if part in official else carved[part] for part in ("pool", "val", "test")}
    elif together:
        notes.append("together=True changes nothing here: the splits are official, near-duplicates were not looked for")
    have = sorted({len(rows) for rows in parts["pool"].values()})
    if per_class is not None and per_class > have[0]:
        counts = str(have[0]) if len(have) == 1 else f"{have[0]} to {have[-1]}"
        notes.append(f"per_class={per_class}: there are only {counts} training images a class; all of them are used")
        print(f"{name} has {counts} training images a class, not {per_class}: all of them are used.")
        per_class = min(per_class, have[-1])
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
    groups = [[pictures.files[row] for row in rows] for rows in _equal(pictures) if len(rows) > 1]
    if not (groups := [group for group in groups if group[0] not in pictures.bad]):
        return []
    part_of = {file: part for part, classes in parts.items() for files in classes.values() for file in files}
    across = sum(len({part_of[file] for file in group}) > 1 for group in groups)
    return [
        f"published more than once, and left as they are: {len(groups)} pictures, such as {' = '.join(groups[0][:3])}; "
        f"{across} of them both among training and test or validation images"
    ]
