"""Files on this machine: the cache folder, content hashes, atomic writes, and disk errors that say what to do."""

import errno
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import platformdirs

_DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def cache_folder(cache_dir=None) -> Path:
    """The one folder for everything that is fetched, unpacked or decoded: `cache_dir`, else the environment variable
    COURSE_CACHE, else the user's cache folder. You may delete it at any time: it is filled again when needed.
    (Torchvision's weights are in torch.hub's own folder, TORCH_HOME, where other projects find them too.)"""
    chosen = cache_dir or os.environ.get("COURSE_CACHE")
    return Path(chosen or platformdirs.user_cache_dir("transfer-learning-course")).expanduser()


def content_hash(data) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


def write_whole(file: Path, text: str) -> None:
    """Write a text file atomically (to a temporary file, then renamed): a reader sees the old text or the new one, never half."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)


def is_page(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a web page, such as the login page of a network."""
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def need_room(folder: Path, needed: int) -> None:
    """Raise OSError, with what to do about it, if `folder` has no room for this many more bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, _no_room(folder, f"needs {needed:,} bytes, and {free:,} are free"))


@contextmanager
def disk_errors(folder: Path):
    """Errors of the disk while something is written to `folder`, raised again with what to do about them."""
    try:
        yield
    except OSError as error:
        if error.errno is None or str(folder) in str(error.strerror):  # not the disk, or explained already
            raise
        if error.errno in _DISK_FULL:
            message = _no_room(folder, "the disk is full")
        else:
            message = f"can't write to {folder} ({error.strerror}): set COURSE_CACHE to a folder that you can write to."
        raise type(error)(error.errno, message) from error


def _no_room(folder: Path, why: str) -> str:
    return f"no room in {folder}: {why}. Make room, or set the environment variable COURSE_CACHE to a folder on another disk."
