"""Whose photographs pictures are: known by what is in them, whatever way they took. `attribution.py` prints it below figures.

Opening photographs that are to be credited makes them known. A picture is recognised by its pixels; turned, mirrored, grey,
lighter, smaller or compressed once more by its fingerprint (`twins.py`); a random view, which may be a small part of it,
because `augment` and `views` pass the credit on. Where no such photograph was opened, nothing is looked for.
"""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from helpers.data.files import content_hash, write_whole

FILE = ".photo-credits.json"  # in a folder of photographs: {the beginning of a file's sha256: its credit}
SIDES = (0.1, 0.9)  # a fingerprint with fewer or more set bits is that of an even ground, which is like any other
ALIKE = 32  # of 256 bits: what a change of light or size changes at most; other pictures differ in about half
_VIEWS = 20_000  # random views remembered, the latest

_known: dict[str, str] = {}  # hash of a photograph's pixels -> its credit
_files: dict[str, str] = {}  # the beginning of a file's sha256 -> its credit
_views: OrderedDict[str, str] = OrderedDict()  # the same of random views
_sheets: dict[str, tuple] = {}  # of each opened set: its pictures and their credits, to be compared by fingerprint
_prints: list = []  # [fingerprints (M, 256), M credits], made when first needed


def keep_credits(folder: Path, photographs: dict[str, str]) -> None:
    """Note the credits of photographs, {sha256: credit}, in the folder that holds them, beside those already there."""
    known = _read(folder)
    wanted = known | {digest[:32]: credit for digest, credit in photographs.items()}
    if wanted != known:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, json.dumps(wanted, ensure_ascii=False, indent=0))


def recognise(pictures, *folders: Path) -> None:
    """Make known which of some decoded pictures (`imagecache.Pictures`) are photographs to be credited.

    folders: where a list of credits may be; a copy of a photograph elsewhere is found by its bytes.
    """
    lists = {content: credit for folder in folders for content, credit in _read(folder).items()}
    rows = [row for row, content in enumerate(pictures.content) if content in lists] if lists else []
    if rows:
        _files.update(lists)
    rows = [row for row in rows if pictures.files[row] not in pictures.bad]
    if rows:
        credits = [lists[pictures.content[row]] for row in rows]
        hashes = [pictures.pixels[row] for row in rows]
        _known.update(zip(hashes, credits, strict=True))
        key = content_hash("".join(hashes).encode())
        if key not in _sheets:
            _sheets[key] = pictures.images, rows, credits
            _prints.clear()


def anything_known() -> bool:
    """Whether photographs that are to be credited have been opened."""
    return bool(_files)


def forget() -> None:
    """As if no photograph had been opened."""
    for store in (_known, _files, _views, _sheets, _prints):
        store.clear()


def follow(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Give each picture of `after` (N, 3, H, W) the credit of the one it was made from in `before`; returns `after`."""
    if _files and before.device.type == "cpu":
        for old, new in zip(before.detach(), after.detach(), strict=True):
            credit = next((found for key in _keys(old) if (found := _known.get(key) or _views.get(key))), "")
            for key in _keys(new) if credit else ():
                _views[key] = credit
                _views.move_to_end(key)
        while len(_views) > _VIEWS:
            _views.popitem(last=False)
    return after


def follow_file(file: Path, after: torch.Tensor) -> torch.Tensor:
    """Give a picture (3, H, W) the credit of the file it was made from; returns the picture."""
    credit = _files.get(content_hash(Path(file).read_bytes())) if _files else None
    if credit:
        _views.update(dict.fromkeys(_keys(after), credit))
    return after


def credit_of(picture) -> str:
    """The credit of one picture, uint8 or 0..1, (3, H, W) or (H, W, 3) or grey (H, W); "" if it needs none."""
    pixels = _as_pixels(picture) if _files else None
    if pixels is None:
        return ""
    turned = [torch.rot90(way, times, (1, 2)) for way in (pixels, pixels.flip(2)) for times in range(4)]
    for one in turned:
        for key in _keys(one):
            if key in _known or key in _views:
                return _known.get(key) or _views[key]
    return _most_alike(turned)


def credit_of_file(content: bytes, picture) -> str:
    """The credit of a whole file with a picture in it, a `PIL.Image`; "" if it needs none."""
    if not _files:
        return ""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.convert("RGB").crop((left, top, left + side, top + side)).resize((64, 64))
    return _files.get(content_hash(content)) or credit_of(np.asarray(square))


def credits_of(pictures) -> list[str]:
    """The credits of several pictures, each once, in the order in which they are shown."""
    return [*dict.fromkeys(filter(None, map(credit_of, pictures)))] if _files else []


def _keys(picture: torch.Tensor) -> list[str]:
    """Hashes of a picture's pixels, as the image cache makes them; of one in 0..1, rounded and cut off to whole numbers."""
    if picture.dtype != torch.uint8:
        picture = picture.float() * 255
        forms = [picture.clamp(0, 255).round().byte(), picture.clamp(0, 255).byte()]
    else:
        forms = [picture]
    return [content_hash(form.contiguous().numpy().tobytes()) for form in forms]


def _as_pixels(picture) -> torch.Tensor | None:
    """A picture as (3, H, W), uint8 or float in 0..1; None for what is none."""
    if isinstance(picture, np.ma.MaskedArray):
        picture = picture.filled(0)
    pixels = picture.detach().cpu() if isinstance(picture, torch.Tensor) else torch.from_numpy(np.array(picture))
    if pixels.ndim == 2:
        pixels = pixels.expand(3, *pixels.shape)
    elif pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.shape[0] not in (3, 4):
        pixels = pixels[..., :3].permute(2, 0, 1)
    if pixels.ndim != 3 or len(pixels) != 3 or min(pixels.shape[1:]) < 8:
        return None
    if pixels.dtype == torch.uint8:
        return pixels
    if not pixels.isfinite().all():
        return None
    pixels = pixels.float()
    return pixels / 255 if pixels.max() > 1 else pixels


def _most_alike(turned: list[torch.Tensor]) -> str:
    """The credit of the opened photograph that a picture, turned in every way, is most like; "" if it is like none."""
    from helpers.images.twins import fingerprints

    if not _sheets:
        return ""
    if not _prints:
        sheets = list(_sheets.values())
        prints = np.concatenate([fingerprints(images[torch.tensor(rows)]) for images, rows, _ in sheets])
        _prints[:] = [prints, [credit for *_, credits in sheets for credit in credits]]
    whole = [one if one.dtype == torch.uint8 else (one * 255).clamp(0, 255).byte() for one in turned]
    mine = [fingerprints(one[None])[0] for one in whole]
    if not SIDES[0] < mine[0].mean() < SIDES[1]:
        return ""
    apart = np.array([(_prints[0] != one).sum(1) for one in mine]).min(0)
    return _prints[1][int(apart.argmin())] if apart.min() <= ALIKE else ""


def _read(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
        return {key: " ".join(credit.split())[:400] for key, credit in known.items() if isinstance(credit, str)}
    except (OSError, ValueError, AttributeError):
        return {}
