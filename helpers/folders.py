"""A folder of class folders: which images it has, which of them are the same, and how they are divided."""

import hashlib
from collections import Counter
from pathlib import Path

from helpers.decoding import image_extensions
from helpers.imagecache import Pictures


def find_images(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The class folders right inside a folder, {class: its images, "class/name"}; notes on the rest.

    Images in a folder within a class folder belong to that class ("class/from Ana/name"). Names that begin with "." or
    "__" (.DS_Store, .ipynb_checkpoints, __MACOSX) are passed over without a note. Raises ValueError unless there are at
    least two classes, and for folders such as train/ and test/ where classes should be.
    """
    classes, ignored, inner = {}, [], {}
    for entry in _visible(folder):
        images, others = _walk(entry, entry.name) if entry.is_dir() and not entry.is_symlink() else ([], [])
        if images:
            classes[entry.name] = images
            if all(image.count("/") > 1 for image in images):
                inner[entry.name] = {image.split("/")[1] for image in images}
        ignored += others if images else [entry.name]
    _refuse_splits(folder, inner)
    unread = [file for entry in _visible(folder) if entry.is_dir() for file in entry.rglob("*") if _is_unread_heic(file)]
    phone = [f"{len(unread)} pictures are HEIC, which cannot be read here. Export them as JPEG"] if unread else []
    if not classes:
        missing = "no class folders" + (f" with pictures that can be read: {phone[0]}" if phone else "")
        raise ValueError(
            f"{folder} has {missing}. Put the images of each class into a folder of its own, such as "
            f"{folder / 'daisy' / '1.jpg'} and {folder / 'rose' / '2.jpg'}."
        )
    if len(classes) == 1:
        (only,) = classes
        deeper = f" Or did you mean {folder / only}?" if len(inner.get(only, ())) > 1 else ""
        raise ValueError(
            f"{folder} has only one class folder, {only!r}: there is nothing to tell apart. "
            f"Add a folder with the images of another class.{deeper}"
        )
    return classes, phone + ([f"ignored (no image, or in no class folder): {_some(ignored)}"] if ignored else [])


def distinct_images(folder: Path, classes: dict[str, list[str]], pictures: Pictures):
    """The usable images of each class, {class: rows of `pictures.images`}, each once; notes on the rest.

    Two files hold the same picture if their bytes or their decoded pixels are equal. Raises ValueError if one
    picture is in two classes.
    """
    row_of = {file: row for row, file in enumerate(pictures.files)}
    rows, first_seen, repeated, clashes = {}, {}, [], []
    for name, files in classes.items():
        rows[name] = []
        usable = [row_of[file] for file in files if file not in pictures.bad]
        for row in sorted(usable, key=pictures.content.__getitem__):  # so that names do not matter
            other, first = first_seen.setdefault(pictures.pixels[row], (name, row))
            if first == row:
                rows[name].append(row)
            else:
                same = f"{pictures.files[first]} = {pictures.files[row]}"
                (repeated if other == name else clashes).append(same)
    if clashes:
        raise ValueError(f"{folder} has the same picture in two classes: {_some(clashes)}. Keep each where it belongs.")
    return rows, [f"the same picture again, used once: {_some(repeated)}"] if repeated else []


def divide(folder: Path, rows: dict[str, list[int]], content: list[str], per_class, val, test, seed, groups=None):
    """Share out each class at random: {"pool" | "val" | "test": {class: rows}}.

    val, test: a share of each class or a number of images, 0 for none. groups: lists of rows that stay on one side, as near
    as the sizes of the parts allow that; None: each row for itself. Raises ValueError if a class has too few for `per_class`,
    or its groups leave a part empty.
    """
    # A picture's place is drawn from the seed and its own content, whatever it is called and wherever it
    # is; most pictures keep their side even when others are added.
    draw = lambda row: hashlib.sha256(f"{seed} {content[row]}".encode()).digest()
    class_of = {row: name for name, mine in rows.items() for row in mine}
    groups = [[row] for row in class_of] if groups is None else groups
    used = [sorted((row for row in group if row in class_of), key=draw) for group in groups]
    parts, room, fewest = {part: {name: [] for name in rows} for part in ("pool", "val", "test")}, {}, None
    for name, mine in rows.items():
        n_test, n_val = (part if part >= 1 or part == 0 else max(1, round(part * len(mine))) for part in (test, val))
        room["test", name], room["val", name] = n_test, n_val
        left = len(mine) - n_test - n_val
        if fewest is None or left < fewest[0]:
            why = f"class {name!r} has {len(mine)} different images; {n_val} for val and {n_test} for test"
            fewest = left, why
    for group in sorted(filter(None, used), key=lambda group: draw(group[0])):
        needed = Counter(class_of[row] for row in group)
        fits = lambda part, needed=needed: all(room[part, name] >= count / 2 for name, count in needed.items())
        part = next((part for part in ("test", "val") if fits(part)), "pool")
        for row in group:
            parts[part][class_of[row]].append(row)
            if part != "pool":
                room[part, class_of[row]] -= 1
    left, why = fewest
    if left < 1:
        remedy = "none to train on. Add images, or set fewer aside with val=... and test=..."
    elif per_class is not None and left < per_class:
        remedy = f"{left} to train on, not per_class={per_class}. Ask for at most {left}, or add images."
    else:
        wanted = [part for part, size in {"pool": 1, "val": val, "test": test}.items() if size]
        empty = [f"{part} of {name!r}" for part in wanted for name in rows if not parts[part][name]]
        if not empty:
            return parts
        raise ValueError(
            f"too few different pictures in {folder}: with near-duplicates kept together, nothing is left for "
            f"{_some(empty)}. Add pictures of other things and moments."
        )
    raise ValueError(f"too few images in {folder}: {why} leave {remedy}")


def _walk(folder: Path, below: str) -> tuple[list[str], list[str]]:
    """The images in a folder and the folders in it, and what else is there; links to folders are not followed."""
    endings, images, others = image_extensions(), [], []
    for file in _visible(folder):
        name = f"{below}/{file.name}"
        if file.is_dir() and not file.is_symlink():
            inside, odd = _walk(file, name)
            images += inside
            others += odd if inside else [name]
        else:
            is_image = file.suffix.lower() in endings and file.is_file()
            (images if is_image else others).append(name)
    return images, others


def _refuse_splits(folder: Path, inner: dict[str, set[str]]) -> None:
    """Raise ValueError where the classes are one level deeper: in train/ and test/, for example."""
    shared = [name for name in inner if any(inner[name] & inner[other] for other in inner if other != name)]
    if len(shared) > 1:
        names = sorted(set.union(*(inner[name] for name in shared)))
        raise ValueError(
            f"the folders {_some(shared)} in {folder} hold no images, but folders of the same names ({_some(names)}). Are "
            f"those the classes? Give one of the folders, such as {folder / shared[0]}, or put all images of a class into one "
            "folder: the course divides them itself."
        )


def _is_unread_heic(file: Path) -> bool:
    """Whether a file is a phone's HEIC picture, and Pillow has no plugin that reads it."""
    return file.suffix.lower() in (".heic", ".heif") and file.suffix.lower() not in image_extensions()


def _visible(folder: Path) -> list[Path]:
    # by name: paths themselves sort differently on Windows, which would change the order of the classes
    return sorted((f for f in folder.iterdir() if not f.name.startswith((".", "__"))), key=lambda f: f.name)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
