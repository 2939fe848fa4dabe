"""What is in a zip or a tar, and its bytes, whatever the archive says of itself. Nothing is written here."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PIECE = 1 << 20  # bytes held in memory at a time
ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar")


class Damaged(ValueError):
    """The archive is cut short, altered, or packed in a way that is not understood."""


@dataclass(frozen=True)
class Member:
    """A file in an archive; or with `plain` False a link or a device; `locked`: it needs a password."""

    name: str
    size: int
    plain: bool
    locked: bool
    source: zipfile.ZipInfo | tarfile.TarInfo


def is_archive(path: Path) -> bool:
    return zipfile.is_zipfile(path) or _is_tar(path)


@contextmanager
def open_archive(path: Path, most_bytes: int, most_files: int):
    """An archive with `members` (folders left out) and `pieces(member)`, to be asked for in the order of the members.

    A tar is read once to the end for its list; reading stops as soon as it has more than `most_files` or `most_bytes`.
    Raises Damaged.
    """
    try:
        with _Tar(path, most_bytes, most_files) if _is_tar(path) else _Zip(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, gzip.BadGzipFile,
            EOFError, NotImplementedError, RecursionError) as error:  # fmt: skip
        raise Damaged(f"{path} is damaged, or packed in an unknown way ({error}). Pack it anew.") from error


class _Zip:
    def __init__(self, path: Path):
        self._zip = zipfile.ZipFile(path)
        self.members = [
            Member(
                _name(info),
                info.file_size,
                plain=stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG),
                locked=bool(info.flag_bits & 0x1),
                source=info,
            )
            for info in self._zip.infolist()
            if not info.is_dir()
        ]

    def pieces(self, member: Member) -> Iterator[bytes]:
        with self._zip.open(member.source) as source:
            while piece := source.read(PIECE):
                yield piece

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._zip.close()


def _name(info: zipfile.ZipInfo) -> str:
    """A file's name in the zip. macOS and iOS write UTF-8 without saying so, which reads as "HaÌˆher" if it is not undone."""
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


class _Tar:
    """Only what is read here is taken from a tar: names, kinds and bytes; no owners, rights or times, and no links."""

    def __init__(self, path: Path, most_bytes: int, most_files: int):
        most = most_bytes + 4096 * (most_files + 1)  # of all bytes: each file has headers and is filled up
        with _Bounded(path, most) as content:
            self.members = list(_list(content, most_bytes, most_files))
        self._content = _Bounded(path, most)

    def pieces(self, member: Member) -> Iterator[bytes]:
        self._content.seek(member.source.offset_data)
        left = member.size
        while left:
            piece = self._content.read(min(left, PIECE))
            if not piece:
                raise EOFError("it is cut short")
            left -= len(piece)
            yield piece

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._content.close()


def _list(content: "_Bounded", most_bytes: int, most_files: int) -> Iterator[Member]:
    entries = files = total = 0
    with tarfile.open(fileobj=content, mode="r:") as tar:
        for info in tar:
            entries += 1
            plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
            if not info.isdir():
                files, total = files + 1, total + info.size
                yield Member(info.name, info.size, plain, locked=False, source=info)
            if info.size < 0 or entries > 2 * most_files + 1000:
                raise EOFError("a header in it is senseless")
            if files > most_files or total > most_bytes:
                return  # whoever asked will say so
    if content.last.strip(b"\0") or not content.last:
        raise EOFError("it is cut short")  # a tar ends with zeros; tarfile takes any end as one
    while content.read(PIECE):  # to the end, where gzip has a checksum
        pass


class _Bounded:
    """The bytes of a tar, unpacked if it is a .tar.gz, for tarfile: never more than `most`, nor many at a time."""

    def __init__(self, path: Path, most: int):
        self._most, self.last = most, b""
        self._file = (gzip.open if _is_gzip(path) else open)(path, "rb")

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE:  # headers are read at once, however long they say they are
            raise EOFError("a header in it is senseless")
        self.last = self._file.read(size)
        if self._file.tell() > self._most:
            raise EOFError("it is much longer than its files")
        return self.last

    def seek(self, position: int) -> None:
        if not 0 <= position <= self._most:
            raise EOFError("a header in it is senseless")
        self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _is_tar(path: Path) -> bool:
    """A tar, or a gzip (what else would be in one is found out when it is read)."""
    if _is_gzip(path):
        return True
    with open(path, "rb") as file:
        return file.read(512)[257:262] == b"ustar"
