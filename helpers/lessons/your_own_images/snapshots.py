"""A folder of picture files as people have them: mixed sizes and formats, duplicates, broken files."""

import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from PIL import ExifTags, Image, ImageEnhance

from helpers.images.drawn.hotdogs import draw_food
from helpers.lessons.your_own_images.examples import content

SCENES = {"hot dog": 38, "hamburger": 12, "banana": 8, "baguette": 18, "carrot": 8, "sausage": 22}  # pictures that were "taken"
_DRAWN = 176  # pixels a side, before a picture is cut to a photograph's shape
_HEIGHT = 132


def write_hot_dogs(folder: str | Path = "hot_dogs") -> Path:
    """Write the example folder with `hot dog/` and `not hot dog/`, unless it exists; returns its path.

    Some 270 drawn pictures as JPEG, PNG and WebP, the same each time, with names that phones and messengers give. Some occur
    several times: copied, resized, compressed again, taken again a moment later. Some files are not pictures, one is
    truncated, one is rotated with a note in its EXIF data, some are in a nested folder. The folder appears only when it is
    complete. Raises ValueError for a folder with other content.
    """
    target = Path(folder).expanduser()
    if (target / "hot dog").is_dir() and (target / "not hot dog").is_dir():
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and holds something else: choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as unfinished:
        _write(Path(unfinished) / "all")
        with suppress(OSError):  # another process was faster
            (Path(unfinished) / "all").rename(target)
    if not (target / "hot dog").is_dir():
        raise OSError(f"can't write to {target}: choose a folder that you can write to")
    return target


def _write(folder: Path) -> None:
    rng = random.Random(7)
    scenes = [(kind, number) for kind, count in SCENES.items() for number in range(count)]
    rng.shuffle(scenes)
    drawn = {kind: draw_food(kind, range(count), size=_DRAWN) for kind, count in SCENES.items()}
    firsts = []
    for place, (kind, number) in enumerate(scenes):
        into = folder / ("hot dog" if kind == "hot dog" else "not hot dog")
        into.mkdir(parents=True, exist_ok=True)
        shots = _shots(Image.fromarray(drawn[kind][number].permute(1, 2, 0).numpy()), rng)
        names = {"small": f"IMG_{2000 + 4 * place} (small).jpg", "sent": f"WA-{rng.randrange(10**4):04}.jpg"}
        for way, data in shots.items():
            moment, _, ending = way.partition(".")
            name = names.get(way) or f"IMG_{2000 + 4 * place + int(moment)}.{ending}"
            (into / name).write_bytes(data)
            if name not in names.values() and moment == "0":
                firsts.append(into / name)
    _plant(folder, firsts, rng)


def _shots(square: Image.Image, rng) -> dict[str, bytes]:
    """One scene as files, {how: content}: a photograph "0.jpg" (or another format), and for more than half of the scenes
    further ones: taken again a moment later ("1.jpg", "2.jpg"), resized ("small"), or sent through a messenger ("sent")."""
    ending = rng.choices(["jpg", "JPG", "jpeg", "png", "webp"], [12, 3, 2, 2, 1])[0]
    photo = _cut(square, 0, 0)
    shots = {f"0.{ending}": _content(photo, Image.registered_extensions()[f".{ending.lower()}"], 90)}
    more = rng.choices([(), ("small",), ("sent",), ("1.jpg",), ("1.jpg", "2.jpg", "sent", "small")], [44, 8, 8, 12, 28])[0]
    for how in more:
        if how == "small":
            shots[how] = _content(photo.resize((photo.width * 5 // 8, photo.height * 5 // 8)), "JPEG", 85)
        elif how == "sent":
            shots[how] = _content(photo, "JPEG", 28)
        else:
            moved = _cut(square, rng.randint(-2, 2), rng.randint(-2, 2))
            shots[how] = _content(ImageEnhance.Brightness(moved).enhance(rng.uniform(0.93, 1.07)), "JPEG", 90)
    return shots


def _content(picture: Image.Image, kind: str, quality: int) -> bytes:
    return content(picture, kind, **({} if kind == "PNG" else {"quality": quality}))


def _cut(square: Image.Image, right: int, down: int) -> Image.Image:
    """The shape of a photograph, 4:3, out of a square; moved by so many pixels."""
    left, top = 3 + right, (_DRAWN - _HEIGHT) // 2 + down
    return square.crop((left, top, left + _DRAWN - 6, top + _HEIGHT - 6))


def _plant(folder: Path, shots: list[Path], rng) -> None:
    """What else is in real folders."""
    dogs = [path for path in shots if path.parent.name == "hot dog" and path.suffix == ".jpg"]
    others = [path for path in shots if path.parent.name != "hot dog" and path.suffix == ".jpg"]
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(60))
    (folder / "hot dog/.DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(60))
    (folder / "not hot dog/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(60))
    (folder / "notes.txt").write_text("to do: ask Ana for more bananas\n", encoding="utf-8")
    page = "<!doctype html><title>404</title><p>This picture has moved.</p>\n"
    (folder / "hot dog/best-hot-dogs.jpg").write_text(page, encoding="utf-8")
    shutil.copyfile(dogs[0], dogs[0].with_name(f"{dogs[0].stem} copy.jpg"))
    shutil.copyfile(others[0], others[0].with_name(f"{others[0].stem} (1).jpg"))
    whole = others[1].read_bytes()
    others[1].with_name("download.jpg").write_bytes(whole[: len(whole) * 2 // 5])
    photo = Image.open(dogs[1])
    lying, exif = photo.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees, clockwise, when it is shown
    turned = content(lying, quality=95, exif=exif)
    photo.close()
    dogs[1].write_bytes(turned)
    nested = folder / "hot dog/from Ana"
    nested.mkdir()
    for path in dogs[2:8]:
        path.rename(nested / path.name.replace("IMG", "DSC"))
