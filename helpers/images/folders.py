"""A folder of class folders: which images it has, which of them are the same, and how they are divided."""

import hashlib
import os
from collections import Counter
from pathlib import Path

from helpers.images.decoding import image_extensions
from helpers.images.heaps import deeper, refuse_names, refuse_splits, refuse_too_few
from helpers.images.imagecache import Pictures
from helpers.images.kinds import PICTURES, is_hidden, shown, some, what_by_name


def find_images(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The class folders right inside a folder, {class: its images, "class/name"}; notes on the rest.

    Images in folders within a class folder, however deep, belong to that class ("class/from Ana/name"). Names that begin
    with "." or "__" and those of systems (.DS_Store, Thumbs.db, __MACOSX) are passed over without a note. Pictures that
    nothing here can read yet (HEIC) are in the list: decoding says of each what it needs. Raises ValueError unless there
    are at least two classes; for two folders whose names differ in capitals alone; and for folders such as train/ and
    test/, or 2024-05/ and 2024-06/, where classes should be; PermissionError for a folder that may not be opened.
    """
    classes, inner, rest, endings = {}, {}, _Rest(), image_extensions() | PICTURES
    for entry in _visible(folder):
        if not _is_folder(entry):
            rest.add(entry, entry.name, endings)
        elif images := _walk(entry, entry.name, endings, rest):
            classes[entry.name] = images
            if all(image.count("/") > 1 for image in images):
                inner[entry.name] = {image.split("/")[1] for image in images}
    refuse_splits(folder, inner)
    refuse_names(folder, classes, inner)
    if len(classes) < 2:
        refuse_too_few(folder, classes, inner, len(rest.loose))
    return classes, [*deeper(inner), *rest.notes()]


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
        raise ValueError(f"{folder} has the same picture in two classes: {some(clashes)}. Keep each where it belongs.")
    return rows, [f"the same picture again, used once: {some(repeated)}"] if repeated else []


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
            f"{some(empty)}. Add pictures of other things and moments."
        )
    raise ValueError(f"too few images in {folder}: {why} leave {remedy}")


class _Rest:
    """What is in a folder besides the images of classes: names below the folder, by kind."""

    def __init__(self):
        self.loose, self.links, self.others, self.known = [], [], [], {}

    def add(self, entry: os.DirEntry, name: str, endings) -> None:
        """Note what is no folder, and no image of a class."""
        if entry.is_symlink() and Path(entry).is_dir():
            self.links.append(name)
        elif _is_image(entry, endings):
            self.loose.append(name)
        elif what := what_by_name(name):
            self.known.setdefault(what, []).append(name)
        else:
            self.others.append(name)

    def notes(self) -> list[str]:
        """A line a kind."""
        lines = []
        if self.loose:
            lines.append(f"left out, as they are in no class folder: {len(self.loose):,} pictures ({some(self.loose, 3)})")
        for what, names in sorted(self.known.items()):
            lines.append(f"passed over: {len(names):,} {what.format('s' if len(names) > 1 else '')}, such as {shown(names[0])}")
        if self.links:
            lines.append(f"links to folders, which are not followed: {some(self.links)}")
        if self.others:
            lines.append(f"ignored (no image, or in no class folder): {some(self.others)}")
        return lines


def _walk(folder: os.DirEntry, below: str, endings, rest: _Rest) -> list[str]:
    """The images in a folder and the folders in it; what else is there is noted in `rest`. Links to folders are not followed."""
    images, mine = [], _Rest()
    mine.known, mine.links = rest.known, rest.links
    for entry in _visible(folder.path):
        name = f"{below}/{entry.name}"
        if _is_folder(entry):
            images += _walk(entry, name, endings, mine)
        elif _is_image(entry, endings):
            images.append(name)
        else:
            mine.add(entry, name, endings)
    rest.others += mine.others if images else [below]  # a folder without images is named, not all that is in it
    return images


def _is_folder(entry: os.DirEntry) -> bool:
    linked = entry.is_symlink() or getattr(entry, "is_junction", lambda: False)()  # links may lead in a circle
    return not linked and entry.is_dir()


def _is_image(entry: os.DirEntry, endings) -> bool:
    return os.path.splitext(entry.name)[1].lower() in endings and os.path.isfile(entry)  # False for a link that leads nowhere


def _visible(folder) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            # by name: paths themselves sort differently on Windows, which would change the order of the classes
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except PermissionError as error:
        raise PermissionError(
            f"the folder {shown(str(folder))} may not be opened ({error.strerror}), so what is in it is not known. Allow "
            "yourself to read it, or move it elsewhere."
        ) from error
