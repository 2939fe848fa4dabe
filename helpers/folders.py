"""A folder of class folders: which images it has, which of them are the same, and how they are divided."""

import hashlib
from pathlib import Path

from helpers.decoding import image_extensions
from helpers.imagecache import Pictures


def find_images(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The class folders right inside a folder, {class: its images, "class/name"}; notes on the rest.

    Names that begin with "." or "__" (.DS_Store, .ipynb_checkpoints, __MACOSX) are passed over without a
    note. Raises ValueError unless there are at least two classes.
    """
    endings, classes, ignored = image_extensions(), {}, []
    for entry in _visible(folder):
        images, others = [], []
        for file in _visible(entry) if entry.is_dir() else []:
            is_image = file.suffix.lower() in endings and file.is_file()
            (images if is_image else others).append(f"{entry.name}/{file.name}")
        if images:
            classes[entry.name] = images
        ignored += others if images else [entry.name]
    if not classes:
        deeper = [f for f in _visible(folder) if f.is_dir() and any(map(Path.is_dir, _visible(f)))]
        raise ValueError(
            f"{folder} has no class folders. Put the images of each class into a folder of its own, such as "
            f"{folder / 'daisy' / '1.jpg'} and {folder / 'rose' / '2.jpg'}."
            + (f" Or did you mean {deeper[0]}?" if deeper else "")
        )
    if len(classes) == 1:
        raise ValueError(
            f"{folder} has only one class folder, {next(iter(classes))!r}: there is nothing to tell apart. "
            "Add a folder with the images of another class."
        )
    return classes, [f"ignored (no image, or in no class folder): {_some(ignored)}"] if ignored else []


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
        raise ValueError(
            f"{folder} has the same picture in two classes: {_some(clashes)}. Keep each where it belongs."
        )
    return rows, [f"the same picture again, used once: {_some(repeated)}"] if repeated else []


def divide(folder: Path, rows: dict[str, list[int]], content: list[str], per_class, val, test, seed):
    """Share out each class at random: {"pool" | "val" | "test": {class: rows}}.

    val, test: a share of each class or a number of images. Raises ValueError if a class has too few for
    `per_class`.
    """
    parts, fewest = {"pool": {}, "val": {}, "test": {}}, None
    for name, mine in rows.items():
        # A picture's place is drawn from the seed and its own content, whatever it is called and wherever it
        # is; most pictures keep their side even when others are added.
        order = sorted(mine, key=lambda row: hashlib.sha256(f"{seed} {content[row]}".encode()).digest())
        n_test, n_val = (part if part >= 1 else max(1, round(part * len(order))) for part in (test, val))
        parts["test"][name] = order[:n_test]
        parts["val"][name] = order[n_test : n_test + n_val]
        parts["pool"][name] = order[n_test + n_val :]
        left = len(order) - n_test - n_val
        if fewest is None or left < fewest[0]:
            why = f"class {name!r} has {len(order)} different images; {n_val} for val and {n_test} for test"
            fewest = left, why
    left, why = fewest
    if left < 1:
        remedy = "none to train on. Add images, or set fewer aside with val=... and test=..."
    elif per_class is not None and left < per_class:
        remedy = f"{left} to train on, not per_class={per_class}. Ask for at most {left}, or add images."
    else:
        return parts
    raise ValueError(f"too few images in {folder}: {why} leave {remedy}")


def _visible(folder: Path) -> list[Path]:
    # by name: paths themselves sort differently on Windows, which would change the order of the classes
    return sorted((f for f in folder.iterdir() if not f.name.startswith((".", "__"))), key=lambda f: f.name)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
