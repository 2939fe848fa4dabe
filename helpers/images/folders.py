"""A folder of class folders: which images it has, which of them are the same, and how they are divided."""

import csv
import hashlib
import os
import unicodedata
import warnings
from collections import Counter
from pathlib import Path

from helpers.images.decoding import PICTURES, image_extensions, shown, some
from helpers.images.imagecache import Pictures

CREDITS = "CREDITS.csv"  # in a folder of photographs: whose they are
_OTHERS = {  # endings, and what they are
    ".dcm .dicom": "medical pictures, DICOM: export them as PNG with your viewer, or with the package pydicom",
    ".nef .cr2 .cr3 .arw .dng .raf .orf .rw2": "raw files of a camera: export them as JPEG or PNG",
    ".mp4 .mov .avi .mkv .webm": "films: save single pictures of them, and keep those of one film on one side of the split",
    ".svg .pdf .psd": "documents: export them as PNG",
    ".csv .tsv .xlsx": "a table: if it names the class of each picture, save it as CSV with the columns path and label, and "
                       "give open_task that",
}  # fmt: skip
_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information")
_PARTS = {"train": "pool", "training": "pool", "val": "val", "valid": "val", "validation": "val", "test": "test",
          "testing": "test"}  # fmt: skip


def find_images(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The class folders right inside a folder, {class: its images, "class/name"}; notes on what was left out.

    Images in folders within a class folder, however deep, belong to that class ("class/from Ana/name"). Hidden names and
    those of systems (.DS_Store, Thumbs.db, __MACOSX) are passed over; links to folders are not followed. HEIC and AVIF files
    are in the list even if nothing here can read them: decoding says of each what it needs.
    Raises ValueError unless there are at least two classes; for two folders whose names differ only in how they are
    written; and for train/ and test/ in the place of classes. PermissionError for a folder that may not be opened.
    """
    images, others = _walk(folder, "", image_extensions() | PICTURES)
    classes, loose = {}, [name for name in images if "/" not in name]
    for name in images:
        if "/" in name:
            classes.setdefault(name.split("/")[0], []).append(name)
    others = [name for name in others if name != CREDITS]
    _refuse(folder, classes, len(loose))
    notes = [f"left out, as they are in no class folder: {_pictures(len(loose))} ({some(loose, 3)})"] if loose else []
    for name, images in classes.items():
        inner = sorted({image.split("/")[1] for image in images if image.count("/") > 1})
        if len(inner) > 1 and all(image.count("/") > 1 for image in images):
            notes.append(f"all pictures of {name!r} are in folders within it ({some(inner, 3)}) and count as {name!r}")
    if others:
        notes.append(f"ignored, as not an image: {len(others):,} {'entry' if len(others) == 1 else 'entries'} ({some(others)})")
    return classes, notes


def find_parts(folder: Path) -> tuple[dict[str, dict[str, list[str]]], list[str]] | None:
    """The parts of a folder that is divided already, {"pool" | "val" | "test": {class: images, "train/class/name"}}, and notes.

    That is a folder with train/ and val/ or test/ in it (or training, valid, validation, testing) and no other folder; each of
    them has class folders. Without a test/, val/ is the test. A part whose pictures are in no class folders, as the test sets
    of contests are, has no labels and is left out. None for any other folder.
    Raises ValueError where the parts do not have the same classes, and as `find_images` does for each of them.
    """
    inside = [entry.name for entry in _entries(folder) if entry.is_dir()]
    parts = {_PARTS.get(name.lower()): name for name in inside}
    if "pool" not in parts or None in parts or not 1 < len(parts) == len(inside):
        return None
    found, notes = {}, []
    for part, name in parts.items():
        if part != "pool" and not any(entry.is_dir() for entry in _entries(folder / name)):
            notes.append(f"left out, as nothing says what is in which picture: the folder {name!r}, which has no class folders")
            continue
        classes, more = find_images(folder / name)
        found[part] = {label: [f"{name}/{file}" for file in files] for label, files in classes.items()}
        notes += [f"{name}: {note}" for note in more]
    trained = found["pool"].keys()
    for part, classes in found.items():
        if classes.keys() != trained:
            differences = {parts[part]: classes.keys() - trained, parts["pool"]: trained - classes.keys()}
            only = [f"{some(sorted(names))} only in {where!r}" for where, names in differences.items() if names]
            raise ValueError(f"the parts of {folder} do not have the same classes: {' and '.join(only)}. Each needs all of them.")
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
        notes.append(f"the test is the folder {parts['val']!r}, as it is; validation is set aside from {parts['pool']!r}")
    return found, notes


def read_labels(table: Path) -> dict[str, list[str]]:
    """The classes in a CSV with the columns path and label, {label: paths}; paths count from the folder that it is in.

    Raises ValueError for other columns, for rows that lack something, whose picture is not there, or that contradict one
    another, each named; and if there are not two labels.
    """
    import pandas

    try:
        with open(table, encoding="utf-8-sig") as lines:
            mark = max(",;\t", key=lines.readline().count)
        with warnings.catch_warnings(action="error"):  # of a row with more cells than the first line has
            rows = pandas.read_csv(table, sep=mark, index_col=False, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, Warning) as error:
        raise ValueError(f"{table} is no CSV in UTF-8: {error}") from error
    if not {"path", "label"} <= set(rows):
        raise ValueError(f"{table} needs the columns path and label, and has {some(rows)}. Rename them in its first line.")
    rows = rows[["path", "label"]].fillna("").apply(lambda column: column.str.strip()).drop_duplicates()
    rows.path = rows.path.str.replace("\\", "/")
    for what, bad in {
        "no path or no label": (rows == "").any(axis=1),
        f"no picture there (paths count from {table.parent} and have an ending)": ~rows.path.map(
            lambda path: os.path.isfile(table.parent / path)),
        "different labels for one picture": rows.groupby("path").label.transform("nunique") > 1,
        "a label that is written in two ways": rows.groupby(rows.label.map(_spelling)).label.transform("nunique") > 1,
    }.items():  # fmt: skip
        if bad.any():
            listed = some(f"{path or '(none)'}: {label or '(none)'}" for path, label in rows[bad].itertuples(index=False))
            raise ValueError(f"{bad.sum():,} of the {len(rows):,} rows of {table} have {what}. They are {listed}.")
    if rows.label.nunique() < 2:
        raise ValueError(f"{table} has {rows.label.nunique()} labels in {len(rows):,} rows: there is nothing to tell apart.")
    return {label: paths.tolist() for label, paths in rows.groupby("label").path}


def _spelling(name: str) -> str:
    """What names have in common that differ only in how they are written ("Cat", "cat")."""
    return unicodedata.normalize("NFC", name).casefold().strip()


def distinct_images(folder: Path, classes: dict[str, list[str]], pictures: Pictures):
    """The usable images of each class, {class: rows of `pictures.images`}, each once; notes on repeated ones.

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
        held = {name: {pictures.pixels[row_of[file]] for file in files if file in row_of} for name, files in classes.items()}
        inside = [name for name in held if held[name] <= set().union(*(held[other] for other in held if other != name))]
        copy = max(inside, key=lambda name: len(held[name]), default=None)
        remedy = "Keep each where it belongs." if copy is None else (
            f"All that is in {copy!r} is in other classes, too: if it is a copy of them, remove it")  # fmt: skip
        raise ValueError(f"{folder} has the same picture in two classes: {some(clashes)}. {remedy}")
    return rows, [f"the same picture again, used once: {some(repeated)}"] if repeated else []


def divide(folder: Path, rows: dict[str, list[int]], content: list[str], per_class, val, test, seed, groups=None):
    """Divide each class at random: {"pool" | "val" | "test": {class: rows}}.

    val, test: a share of each class or a number of images, 0 for none. groups: lists of rows that stay on one side, as near
    as the sizes of the parts allow; None: each row by itself. Raises ValueError if a class has too few images for
    `per_class`, or its groups leave a part empty.
    """
    # A picture's side follows from the seed and its own content, whatever its name and place; most pictures
    # keep their side even when others are added.
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
            fewest = left, f"class {name!r} has {len(mine)} different images; {n_val} for val and {n_test} for test"
    for group in sorted(filter(None, used), key=lambda group: draw(group[0])):
        needed = Counter(class_of[row] for row in group)
        fits = lambda part, needed=needed: all(room[part, name] >= count / 2 for name, count in needed.items())
        part = next((part for part in ("test", "val") if fits(part)), "pool")
        for row in group:
            parts[part][class_of[row]].append(row)
            if part != "pool":
                room[part, class_of[row]] -= 1
    left, why = fewest
    if left < 1 or (per_class is not None and left < per_class):
        remedy = f"{left} to train on, not per_class={per_class}. Ask for at most {left}, or add images."
        if left < 1:
            remedy = "none to train on. Add images, or set fewer aside with val=... and test=..."
        raise ValueError(f"too few images in {folder}: {why} leave {remedy}")
    wanted = [part for part, size in {"pool": 1, "val": val, "test": test}.items() if size]
    if empty := [f"{part} of {name!r}" for part in wanted for name in rows if not parts[part][name]]:
        raise ValueError(
            f"too few different pictures in {folder}: with what belongs together on one side, nothing is left for "
            f"{some(empty)}. Add pictures of other things and moments."
        )
    return parts


def read_credits(folder: Path) -> dict[str, str]:
    """Whose photographs lie in a folder, {file: "author, licence, link"}, from its CREDITS.csv; {} if it has none.

    Raises ValueError for a file that does not begin with the names of its columns: file,author,licence,link.
    """
    if not (folder / CREDITS).is_file():
        return {}
    with open(folder / CREDITS, encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        if not {"file", "author"} <= set(table.fieldnames or ()):
            raise ValueError(f"{folder / CREDITS} must begin with the names of its columns: file,author,licence,link")
        lines = lambda row: (" ".join((row.get(name) or "").split()) for name in ("author", "licence", "link"))
        return {row["file"]: ", ".join(filter(None, lines(row))) for row in table}


def _refuse(folder: Path, classes: dict[str, list[str]], loose: int) -> None:
    """Raise ValueError for what is no folder of class folders; loose: how many pictures are in no class folder."""
    names = {name.lower(): name for name in classes}
    kinds = {_PARTS[name] for name in names.keys() & _PARTS.keys()}
    if "pool" in kinds and len(kinds) > 1:
        raise ValueError(
            f"the folders {some(classes)} in {folder} look like the parts of a split, not like classes. Give one of them, such "
            f"as {folder / next(iter(classes))}, or put all images of a class into one folder: the course divides them itself."
        )
    for name in classes:
        if len(same := [other for other in classes if _spelling(other) == _spelling(name)]) > 1:
            counts = " and ".join(f"{name!r} ({_pictures(len(classes[name]))})" for name in same)
            raise ValueError(
                f"{folder} has folders whose names differ only in how they are written: {counts}. If they are one class, "
                "put their images into one folder; if not, give them different names."
            )
    how = f"Put the images of each class into a folder of its own, such as {folder / 'daisy'} and {folder / 'rose'}."
    if not classes:
        found = f": {_pictures(loose)} side by side, and nothing says what is in which" if loose else " with pictures in them"
        raise ValueError(f"{folder} has no class folders{found}.{_other_kinds(folder)} {how}")
    if len(classes) == 1:
        ((only, images),) = classes.items()
        deeper = f" Or did you mean {folder / only}?" if any(image.count("/") > 1 for image in images) else ""
        beside = f" and {_pictures(loose)} beside it" if loose else ""
        raise ValueError(
            f"{folder} has only one class folder, {only!r}, with {_pictures(len(images))} in it{beside}: there is nothing to "
            f"tell apart. Add a folder with the images of another class.{deeper} {how}"
        )


def _other_kinds(folder: Path) -> str:
    """What is in a folder that has no pictures, and what to do with it: "" if nothing of it is known."""
    names = [name.lower() for _, _, files in os.walk(folder) for name in files if not is_hidden(name)]
    endings = {os.path.splitext(name)[1] for name in names}
    told = [f" It holds {what} ({', '.join(sorted(endings & set(those.split())))})." for those, what in _OTHERS.items()
            if endings & set(those.split())]  # fmt: skip
    return "".join(told)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name belongs to the system (".DS_Store", "__MACOSX", "Thumbs.db"), not to a person."""
    return name.startswith((".", "__")) or name.lower() in _SYSTEM


def _entries(folder) -> list[os.DirEntry]:
    """What is right inside a folder and not hidden. Raises PermissionError, with a remedy, if it may not be opened."""
    try:
        with os.scandir(folder) as found:
            # by name: paths themselves sort differently on Windows, which would change the order of the classes
            return sorted((entry for entry in found if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except PermissionError as error:
        raise PermissionError(
            f"the folder {shown(str(folder))} may not be opened ({error.strerror}). Allow yourself to read it, or move it."
        ) from error


def _walk(folder, below: str, endings) -> tuple[list[str], list[str]]:
    """The images in a folder and in the folders within it, and what else is there; a folder without images counts as one."""
    images, others = [], []
    for entry in _entries(folder):
        name = below + entry.name
        linked = entry.is_symlink() or getattr(entry, "is_junction", lambda: False)()  # links to folders may lead in a circle
        if not linked and entry.is_dir():
            deeper, rest = _walk(entry.path, f"{name}/", endings)
            images += deeper
            others += rest if deeper else [name]
        elif os.path.splitext(name)[1].lower() in endings and os.path.isfile(entry):  # False for a link that leads nowhere
            images.append(name)
        else:
            others.append(name)
    return images, others


def _pictures(count: int) -> str:
    return f"{count:,} picture" + "s" * (count != 1)
