"""Image files -> pixels, decoded once and kept in a memory-mapped cache.

The cache is two files a folder and size: NAME.npy has the pixels, NAME.json what they are. NAME is a hash of every image's
path, length and time of change, so after any change another one is made. Both are written elsewhere and renamed, the JSON
last: an interrupted run leaves nothing that looks whole, and if two run at once the later replaces equal by equal.
Deleting the cache folder is always safe.
"""

import io
import json
import os
import shutil
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import torch

from helpers.data.files import cache_folder, content_hash
from helpers.images.decoding import picture_size, read_image, readers
from helpers.notebook.progress import Progress

LARGE = 25_000_000  # pixels; of larger pictures, which may take 20 bytes a pixel, one is decoded at a time
_UNFINISHED = "unfinished-"
_VERSION = 4  # of what the cache holds: raise it when the same file would give other pixels


@dataclass(frozen=True)
class Pictures:
    """The images of a folder.

    images: uint8 (M, 3, S, S), a memory map; black where a file can't be decoded.
    files: M paths below the folder. bad: {file: why it can't be decoded}.
    content, pixels: M hashes, of the files' bytes and of the decoded images.
    sizes: M (width, height) in pixels as stored, (0, 0) where it is not known.
    """

    images: torch.Tensor
    files: list[str]
    content: list[str]
    pixels: list[str]
    bad: dict[str, str]
    sizes: list[tuple[int, int]]


def decode_once(folder: Path, files: list[str], size: int, max_pixels: int, cache_dir=None) -> Pictures:
    """Decode the files (paths below `folder`) to (M, 3, size, size), or find them in the cache.

    Prints one line when it decodes. Raises ValueError for a file that can't be read at all, OSError where the
    cache can't be written; what is no image or too large is listed in `bad`.
    """
    place = folder.resolve()
    stats = [(place / file).stat() for file in files]
    about = [[file, stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)]
    key = content_hash(json.dumps([_VERSION, readers(), max_pixels, about]).encode())
    prefix = f"{content_hash(os.fsencode(place))[:12]}-{size}px-"
    cache = cache_folder(cache_dir)
    target = cache / f"{prefix}{key}"
    if (pictures := _load(target)) is not None:
        return pictures
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another run may clean up at the same time
            for left in cache.glob(f"{_UNFINISHED}*"):  # of processes that were killed yesterday or before
                if time.time() - left.stat().st_mtime > 24 * 3600:
                    shutil.rmtree(left, ignore_errors=True)
        _decode_all(place, files, size, max_pixels, target)
    except OSError as error:
        raise OSError(
            f"can't keep decoded images in {cache} ({error}). Set the environment variable COURSE_CACHE "
            "(or cache_dir=...) to a folder with room that you can write to."
        ) from error
    for old in cache.glob(f"{prefix}*.*"):  # of the same folder as it was before it changed
        if old.stem != target.name:
            with suppress(OSError):
                old.unlink()
    if (pictures := _load(target)) is None:
        raise OSError(f"the image cache {target}.npy was changed while it was written; try again")
    return pictures


def _decode_all(place: Path, files: list[str], size: int, max_pixels: int, target: Path) -> None:
    def decode(file):
        try:
            data = io.BytesIO((place / file).read_bytes())
        except OSError as error:
            raise ValueError(f"{place / file} can't be read: {error}") from error
        data.name, content, stored = file, content_hash(data.getbuffer()), picture_size(data)
        data.seek(0)
        try:
            with one_at_a_time if stored[0] * stored[1] > LARGE else nullcontext():
                pixels, why = read_image(data, size, max_pixels=max_pixels).numpy().tobytes(), ""
        except ValueError as error:
            pixels, why = bytes(3 * size * size), str(error)
        return pixels, (content, content_hash(pixels), stored, why)

    rows, one_at_a_time, threads = [], Lock(), ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    progress = Progress(len(files), f"decoding {place.name}:")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as unfinished:
        warnings.filterwarnings("ignore", module="PIL")  # also where helpers.images.decoding's filter was undone
        images, description = Path(unfinished, "images"), Path(unfinished, "description")
        try:
            with open(images, "wb") as out:
                header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), 3, size, size)}
                np.lib.format.write_array_header_1_0(out, header)
                for pixels, row in threads.map(decode, files):
                    out.write(pixels)
                    rows.append(row)
                    progress.step()
        finally:
            threads.shutdown(cancel_futures=True)
        description.write_text(json.dumps({"files": files, "rows": rows}))
        os.replace(images, f"{target}.npy")
        os.replace(description, f"{target}.json")
    progress.done(f"decoded {len(files):,} images of {place.name} at {size} x {size} pixels, and kept them")


def _load(target: Path) -> Pictures | None:
    """What the cache has, or None if it is missing or cut short."""
    try:
        about = json.loads(Path(f"{target}.json").read_text())
        images = np.load(f"{target}.npy", mmap_mode="c")  # copy on write: the file itself stays as it is
        files, (content, pixels, sizes, why) = about["files"], map(list, zip(*about["rows"], strict=True))
        if not len(images) == len(files) == len(content):
            return None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    bad = {file: reason for file, reason in zip(files, why, strict=True) if reason}
    return Pictures(torch.from_numpy(images), files, content, pixels, bad, [*map(tuple, sizes)])
