"""A zip or tar of images -> a folder of images, safely: no path leaves it, no links, bounds on size and number.

Nothing that an archive says of itself is trusted. Only names and bytes are taken from it: no links, rights, owners or times.
"""

import gzip
import lzma
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from helpers.data.files import disk_errors, need_room

MAX_BYTES = 8_000_000_000  # of all files together, unpacked
MAX_FILES = 100_000
PIECE = 1 << 20  # bytes held in memory at a time
ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar")
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
            RecursionError)  # fmt: skip


@dataclass(frozen=True)
class _Member:
    """A file in an archive; if not `plain`, a link or a device; if `locked`, it needs a password."""

    name: str
    size: int
    plain: bool
    locked: bool
    source: zipfile.ZipInfo | tarfile.TarInfo

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.name.replace("\\", "/")).parts


def is_archive(path: Path) -> bool:
    return bool(_kind(path)) or zipfile.is_zipfile(path)


def unpack(archive: str | Path, folder: str | Path, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Unpack a zip, .tar or .tar.gz into a new folder, and return it; if the folder is there, it was unpacked before.

    Everything is checked before anything is written, and it is written elsewhere and renamed: an interrupted or refused
    archive leaves nothing behind. What systems put beside the pictures (__MACOSX, .DS_Store) is left out. Raises
    ValueError for names that lead out of the folder, links, devices, passwords, damage, more than `max_files` files or
    `max_bytes` bytes; OSError if there is no room.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir():
        return folder
    with ExitStack() as stack:
        try:
            members, open_member = _opened(archive, stack, max_bytes, max_files)
            members = [member for member in members if not _is_junk(member)]
            _check(archive, members, max_bytes, max_files)
            stack.enter_context(disk_errors(folder.parent))
            folder.parent.mkdir(parents=True, exist_ok=True)
            need_room(folder.parent, sum(member.size for member in members))
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-")), "all")
            place.mkdir()
            for member in members:
                target = place.joinpath(*member.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with _reading(open_member, member.source) as source, open(target, "wb") as out:
                    while piece := _reading(source.read, PIECE):  # never more than `member.size`: both libraries see to that
                        out.write(piece)
        except _DAMAGED as error:
            raise ValueError(f"{archive} is damaged, or packed in an unknown way ({error}). Pack it again.") from error
        try:
            place.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was not faster
                raise
    return folder


def _opened(archive: Path, stack: ExitStack, max_bytes: int, max_files: int):
    """The files in an archive, and the function that opens one of them for reading."""
    kind = _kind(archive)
    if not kind:
        packed = stack.enter_context(_reading(zipfile.ZipFile, archive))
        is_folder = lambda info: info.filename.endswith("/") or (info.filename.endswith("\\") and not info.file_size)
        members = [_in_zip(info) for info in packed.infolist() if not is_folder(info)]  # the backslash: PowerShell 5
        return members, packed.open
    most = max_bytes + 4096 * (max_files + 1)  # each file has headers and is padded
    content = _Bounded(stack.enter_context((gzip.open if kind == "gzip" else open)(archive, "rb")), most)
    packed = stack.enter_context(tarfile.TarFile(fileobj=content))
    members, total = [], 0
    for entries, info in enumerate(packed):
        plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
        if not info.isdir():
            members.append(_Member(info.name, info.size, plain, False, info))
            total += info.size
        if info.size < 0 or entries > 2 * max_files + 1000:
            raise tarfile.ReadError("a header in it makes no sense")
        if len(members) > max_files or total > max_bytes:
            return members, packed.extractfile  # to be refused, without reading on
    if content.last.strip(b"\0") or not content.last:
        raise tarfile.ReadError("it is cut short")  # a tar ends with zeros; tarfile takes any end as one
    while content.read(PIECE):  # to the end, where gzip has a checksum
        pass
    return members, packed.extractfile


def _reading(action, what):
    """`action(what)` on an archive; the libraries meet damage with errors of many kinds, some of which look like the disk's."""
    try:
        return action(what)
    except (OSError, ValueError, IndexError, OverflowError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from error


def _in_zip(info: zipfile.ZipInfo) -> _Member:
    name = info.filename
    if not info.flag_bits & 0x800:  # macOS and iOS write UTF-8 without saying so, and zipfile reads it as cp437
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
    return _Member(name, info.file_size, plain, bool(info.flag_bits & 0x1), info)


class _Bounded:
    """The bytes of a tar as tarfile reads them: never more than `most` in all, nor many at a time."""

    def __init__(self, file, most: int):
        self.file, self.most, self.last = file, most, b""
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE or self.file.tell() > self.most:  # tarfile reads a header at once, however long
            raise tarfile.ReadError("a header in it makes no sense, or it is much longer than its files")
        self.last = self.file.read(size)
        return self.last

    def seek(self, position: int) -> None:
        if not 0 <= position <= self.most:
            raise tarfile.ReadError("a header in it makes no sense")
        self.file.seek(position)


def _kind(path: Path) -> str:
    """What a file seems to be: "gzip" (reading it shows whether there is a tar in it), "tar", or "" for anything else."""
    with open(path, "rb") as file:
        start = file.read(512)
    return "gzip" if start.startswith(b"\x1f\x8b") else "tar" if start[257:262] == b"ustar" else ""


def _is_junk(member: _Member) -> bool:
    return any(part == "__MACOSX" or part.startswith("._") or part == ".DS_Store" for part in member.parts)


def _check(archive: Path, members: list[_Member], max_bytes: int, max_files: int) -> None:
    """Raise ValueError for an archive that must not be unpacked."""
    if len(members) > max_files:
        raise ValueError(f"{archive} holds {len(members):,} files, more than {max_files:,}. Is it the right one?")
    seen = {}
    for member in members:
        name, parts = member.name, member.parts
        outside = name.startswith(("/", "\\")) or ".." in parts or PureWindowsPath(name).drive or "\0" in name
        if outside or not parts:
            raise ValueError(f"{archive} is refused: the file {name!r} in it would be written outside its folder")
        if not member.plain:
            raise ValueError(f"{archive} is refused: {name!r} in it is a link or a device, not a file")
        if member.locked:
            raise ValueError(f"{archive} has a password ({name!r}). Unpack it yourself and give the folder.")
        if seen.setdefault(tuple(part.casefold() for part in parts), name) is not name:
            raise ValueError(f"{archive} is refused: {name!r} and another name in it would be one file on some systems")
    for key, name in seen.items():
        if any(key[:depth] in seen for depth in range(1, len(key))):
            raise ValueError(f"{archive} is refused: {name!r} in it is in a folder that is a file, too")
    total = sum(member.size for member in members)
    if total > max_bytes:
        raise ValueError(f"{archive} would take {total:,} bytes unpacked, more than {max_bytes:,}. Unpack it yourself.")
