"""Folders that are no folder of class folders: refused, each with what there is and what to do about it."""

import re
import unicodedata
from pathlib import Path

from helpers.images.kinds import some

# Names that say when and how pictures were taken, not what is in them.
_YEAR = re.compile(r"(19|20)\d\d")
_DAY = re.compile(r"(19|20)\d\d[-_. ]?(0[1-9]|1[0-2])([-_. ]?[0-3]\d)?(\D.*)?")  # 2024-05, 20240517, 2024_05_17 Berlin
_MONTH = re.compile(r"0?[1-9]|1[0-2]|[0-3]\d")
_CAMERA = re.compile(r"\d{3}[A-Z_]{2}[A-Z0-9_]{3}|camera( roll)?|dcim|screenshots?|whatsapp images|downloads?", re.IGNORECASE)
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}


def refuse_too_few(folder: Path, classes: dict[str, list[str]], inner: dict[str, set[str]], loose: int) -> None:
    """Raise ValueError for a folder with one class or none; loose: how many pictures lie in no class folder."""
    if not classes and loose:
        raise ValueError(
            f"{folder} has no class folders: {_pictures(loose)} side by side, and nothing says what is on which. {_sort(folder)}"
        )
    if not classes:
        raise ValueError(
            f"{folder} has no class folders with pictures in them. Put the images of each class into a folder of its own, such "
            f"as {folder / 'daisy' / '1.jpg'} and {folder / 'rose' / '2.jpg'}."
        )
    (only,) = classes
    deeper = f" Or did you mean {folder / only}?" if len(inner.get(only, ())) > 1 else ""
    beside = f" and {_pictures(loose)} beside it" if loose else ""
    raise ValueError(
        f"{folder} has only one class folder, {only!r}, with {_pictures(len(classes[only]))} in it{beside}: there is nothing to "
        f"tell apart. Add a folder with the images of another class.{deeper} If they are a mixed heap, sort them. {_sort(folder)}"
    )


def refuse_splits(folder: Path, inner: dict[str, set[str]]) -> None:
    """Raise ValueError where the classes are one level deeper: in train/ and test/, for example.

    inner: the folders within each class folder that has all its images in such.
    """
    inner = {name: {its for its in names if not _says_when(its)} for name, names in inner.items()}
    shared = [name for name in inner if any(inner[name] & inner[other] for other in inner if other != name)]
    names = sorted(set.union(set(), *(inner[name] for name in shared)))
    if len(shared) > 1 and (len(names) > 1 or _SPLITS & {name.lower() for name in shared}):
        raise ValueError(
            f"the folders {some(shared)} in {folder} hold no images, but folders of the same names ({some(names)}). Are "
            f"those the classes? Give one of the folders, such as {folder / shared[0]}, or put all images of a class into one "
            "folder: the course divides them itself."
        )


def refuse_names(folder: Path, classes: dict[str, list[str]], inner: dict[str, set[str]]) -> None:
    """Raise ValueError for classes that differ in capitals alone, and for folders that a phone has made by date."""
    spelled = {}
    for name in classes:
        spelled.setdefault(unicodedata.normalize("NFC", name).casefold().strip(), []).append(name)
    for same in spelled.values():
        if len(same) > 1:
            counts = " and ".join(f"{name!r} ({_pictures(len(classes[name]))})" for name in same)
            raise ValueError(
                f"{folder} has folders whose names differ only in how they are written: {counts}. If they are one class, "
                "put their images into one folder; if not, give them names that nobody can mistake."
            )
    by_phone = [_DAY.fullmatch(name) or _CAMERA.fullmatch(name) or _is_year(name, inner) for name in classes]
    if classes and all(by_phone):
        count = sum(map(len, classes.values()))
        raise ValueError(
            f"the folders in {folder} ({some(classes)}) say when or how their {_pictures(count)} were taken, not what is on "
            f"them: they are no classes. {_sort(folder)}"
        )


def deeper(inner: dict[str, set[str]]) -> list[str]:
    """Notes on classes whose images all lie in several folders within the class folder, which might be classes themselves."""
    names = {name: sorted(its for its in inside if not _says_when(its)) for name, inside in inner.items()}
    return [
        f"all pictures of {name!r} are in folders within it ({some(inside, 3)}) and count as {name!r}: if those are the classes, "
        "move them one level up"
        for name, inside in names.items()
        if len(inside) > 1
    ]


def _sort(folder: Path) -> str:
    return (
        f"Put the images of each class into a folder of its own, such as {folder / 'daisy'} and {folder / 'rose'}, in a file "
        "manager that shows them large; 20 to 30 pictures a class are enough to begin with. (Of a zip, sort the pictures where "
        "they come from, and pack them again.)"
    )


def _says_when(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_YEAR, _DAY, _MONTH, _CAMERA))


def _is_year(name: str, inner: dict[str, set[str]]) -> bool:
    """Whether this is a year's folder with folders of months or days in it: 2024/05; years alone may be classes, of wine."""
    return bool(_YEAR.fullmatch(name)) and bool(inner.get(name)) and all(map(_says_when, inner[name]))


def _pictures(count: int) -> str:
    return f"{count:,} picture" + ("" if count == 1 else "s")
