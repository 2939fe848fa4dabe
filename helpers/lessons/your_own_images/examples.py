"""Small folders, pictures and networks that the checks of lab 3 try answers on."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from safetensors import SafetensorError, safe_open
from torch import nn

from helpers.images.decoding import read_image
from helpers.images.twins import SIDE
from helpers.notebook.findings import hints, kind_of

found = hints(Path(__file__).with_name("hints.toml"))
# Of the pictures that `coloured` makes, in the order of their names: all are different.
COLOURS = [(10 * number, 255 - 10 * number, 40) for number in range(18)]


def scene(seed: int, side: int = 96) -> Image.Image:
    """A picture of soft blobs; another seed gives an unrelated one."""
    rng = torch.Generator().manual_seed(seed)
    blobs = nn.functional.interpolate(torch.rand(1, 3, 7, 7, generator=rng), size=(side, side), mode="bicubic")
    return Image.fromarray((blobs[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())


def content(picture: Image.Image, kind: str = "JPEG", **settings) -> bytes:
    """The bytes of a picture's file."""
    out = io.BytesIO()
    picture.save(out, kind, **settings)
    return out.getvalue()


@contextlib.contextmanager
def folder(**files):
    """A temporary folder with these files in it: {"cat/1.jpg": bytes}, with "__" for "/" in the names."""
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            file = Path(place, name.replace("__", "/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        yield Path(place)


def sky_above_ground() -> Image.Image:
    """Bright above, dark below, a bright strip at the left edge that is not in the central square."""
    picture = Image.new("RGB", (120, 80), (20, 60, 20))
    picture.paste((200, 220, 255), (0, 0, 120, 40))
    picture.paste((255, 0, 0), (0, 0, 14, 80))
    return picture


def lying(picture: Image.Image) -> bytes:
    """The file of a phone that was held upright: the picture on its side, and a note in the EXIF data."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return content(picture.transpose(Image.Transpose.ROTATE_90), quality=95, exif=exif)


class Stub:
    """Stands in for a classifier: records the pixels it is given, and answers "sky" for what is bright above."""

    classes, size = ["ground", "sky", "wall"], 32

    def __init__(self):
        self.seen = []

    def predict(self, image) -> dict[str, float]:
        pixels = image if isinstance(image, torch.Tensor) else read_image(image, self.size)
        self.seen.append(pixels)
        above, below = (half.float().mean() for half in pixels.chunk(2, dim=1))
        sky = 0.75 if above > below + 20 else 0.125
        answer = {"ground": 0.75 if below > above + 20 else 0.0625, "sky": sky}
        answer["wall"] = 1 - sum(answer.values())
        return dict(sorted(answer.items(), key=lambda item: -item[1]))


def groups() -> list[list[str]]:
    """Names of 60 files in 48 groups of near-duplicates, most of a single file."""
    sizes = [5, 1, 3, 1, 1, 4, 1, 2, 1, 1, 3, 1] + [1] * 36
    return [[f"{number}-{place}.jpg" for place in range(size)] for number, size in enumerate(sizes)]


def bits(value) -> np.ndarray:
    """A fingerprint as bool (16, 16)."""
    array = np.asarray(value)
    if array.shape not in ((SIDE, SIDE), (SIDE * SIDE,)) or array.dtype != bool:
        raise found("not 16 x 16 bits", f"{kind_of(value)}, shape {array.shape} and dtype {array.dtype}")
    return array.reshape(SIDE, SIDE)


def from_json(text):
    """The value of a text in JSON; None if it is not JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def smaller(picture: Image.Image) -> Image.Image:
    """The picture as a messaging app passes it on: fewer pixels, compressed."""
    return Image.open(io.BytesIO(content(picture.resize((60, 60)), quality=70)))


def read_back(path: Path) -> tuple[dict, dict]:
    """Tensors and metadata of a safetensors file; raises Finding for another kind of file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError:
        raise found("a pickle", f"the file begins with {path.read_bytes()[:4]!r}: it is not a safetensors file") from None


def coloured() -> dict[str, bytes]:
    """18 pictures of three classes in two presses each, every one of a colour of its own."""
    kinds = [(name, press) for name in ("lid", "mug", "nothing") for press in (1, 2)]
    files = [f"{name}__press{press:02}-{number:03}.png" for name, press in kinds for number in (1, 2, 3)]
    pictures = [Image.new("RGB", (8, 6), colour) for colour in COLOURS]
    return {file: content(picture, "PNG") for file, picture in zip(files, pictures, strict=True)}


def colour(picture: Image.Image) -> torch.Tensor:
    """A transform: the colour of a picture, float32 (3,), and a thousand more, which no other transform adds."""
    return torch.tensor(picture.getpixel((3, 3)), dtype=torch.float32) + 1000


def unloaded(loader) -> list[tuple]:
    """What one pass through a loader gives: (colour without the thousand, label) of each picture."""
    found = []
    for images, labels in loader:
        found += zip(map(tuple, (images - 1000).round().int().tolist()), labels.tolist(), strict=True)
    return found
