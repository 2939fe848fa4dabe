"""FILE.part: what has come of a file so far. It becomes FILE when it is whole and checked, never before.

Beside it lie FILE.part.json (of which file it is a part, so that it is never continued with another one) and
FILE.part.lock (so that two programs do not write it at once). All three are gone when FILE is there.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32}  # hexadecimal digits
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def read_digest(digest: str) -> tuple[str, str]:
    """ "sha256:ab12..." -> ("sha256", "ab12..."); at least the first 8 digits. Raises ValueError."""
    algorithm, _, digits = digest.partition(":")
    digits = digits.removesuffix("..").lower()
    if not re.fullmatch("[0-9a-f]{8,}", digits) or len(digits) > _LENGTHS.get(algorithm, 0):
        raise ValueError(f'digest={digest!r} must be like "sha256:" or "sha1:" or "md5:" and its digits, at least the first 8')
    return algorithm, digits


def what_is_wrong(file: Path, size: float | None, digest: str | None) -> str:
    """Why `file` is not the one with this digest and length; "" if it is, as far as they are known."""
    length = file.stat().st_size
    if isinstance(size, int) and length != size:
        return f"it has {length:,} bytes, expected were {size:,}"
    if digest:
        algorithm, digits = read_digest(digest)
        with open(file, "rb") as content:
            found = hashlib.file_digest(content, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
        if not found.startswith(digits):
            return f"its {algorithm} is {found[: len(digits)]}, expected was {digits}"
    return ""


def is_page(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a web page, such as the login page of a network."""
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


@contextmanager
def explained(folder: Path, needed: int | None = None):
    """What goes wrong with the disk is said with what to do about it: no room, no permission, no folder."""
    elsewhere = "set the environment variable COURSE_CACHE (for torchvision's weights: TORCH_HOME) to a folder"
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            free, wanted = _free(folder), "more" if needed is None else f"{needed:,} bytes"
            message = f"no room in {folder}: needed are {wanted}, free are {free:,} bytes. Make room, or {elsewhere} with room."
        else:
            message = f"can't write to {folder} ({error.strerror or error}): {elsewhere} that you can write to."
        raise type(error)(error.errno, message) from error


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def need_room(folder: Path, needed: int) -> None:
    """Raise OSError, with what to do, where `folder` has no room for so many bytes more."""
    if needed > _free(folder):
        with explained(folder, needed):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Part:
    """The part of `file` that is there: `length` bytes of the file at `about["url"]` in the state `about["validator"]`."""

    def __init__(self, file: Path):
        self.file = file
        self.path, self._about, self._lock = (file.with_name(f"{file.name}.part{end}") for end in ("", ".json", ".lock"))

    @property
    def length(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def about(self) -> dict:
        with suppress(OSError, ValueError):
            about = json.loads(self._about.read_text(encoding="utf-8"))
            if isinstance(about, dict):
                return about
        return {}

    @contextmanager
    def alone(self, on_waiting):
        """Only one program or thread at a time is in here; the others wait, and `on_waiting()` is called in them."""
        with explained(self.file.parent):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_waiting()
                lock.acquire()
        try:
            yield
        finally:
            over = not self.path.exists()
            if over:
                self._forget(self._about, self._lock)
            lock.release()
            if over and os.name == "nt":  # where an open file cannot be deleted
                self._forget(self._lock)

    def begin(self, url: str, validator: str | None, total: int | None) -> None:
        """From now on it is a part of this file; what was there is given up."""
        self.discard()
        self._about.write_text(json.dumps({"url": url, "validator": validator, "total": total}), encoding="utf-8")

    def open(self):
        return open(self.path, "ab")

    def discard(self) -> None:
        self._forget(self.path, self._about)

    def finish(self) -> None:
        """It is whole: the file gets its name."""
        with open(self.path, "rb+") as content:
            os.fsync(content.fileno())
        os.replace(self.path, self.file)

    @staticmethod
    def _forget(*paths: Path) -> None:
        for path in paths:
            with suppress(FileNotFoundError, PermissionError):
                path.unlink()
