"""A zip of images -> a folder of images, safely: no path leaves the folder, no links, bounds on size and number."""

import hashlib
import shutil
import stat
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from helpers.imagecache import cache_folder

MAX_BYTES = 8_000_000_000  # of all files together, unpacked
MAX_FILES = 100_000
_PIECE = 1 << 20


def image_folder(path: str | Path, cache_dir=None) -> Path:
    """The folder of class folders at `path`: a folder as it is, a zip unpacked into the cache folder.

    A folder that holds nothing but one other folder, as zips often do, is stepped into. Raises FileNotFoundError,
    ValueError for other files, OSError where there is no room.
    """
    place = Path(path).expanduser()
    if place.is_file():
        if not zipfile.is_zipfile(place):
            raise ValueError(f"{place} is neither a folder nor a zip file. Give a folder of class folders, or a zip of one.")
        about = place.stat()
        of_path, of_state = (_hash(text) for text in (str(place.resolve()), f"{about.st_size} {about.st_mtime_ns}"))
        unpacked = cache_folder(cache_dir) / "unpacked"
        place = unpack(place, unpacked / f"{of_path}-{of_state}" / place.stem)
        for old in unpacked.glob(f"{of_path}-*"):  # of the same zip as it was before it changed
            if old != place.parent:
                shutil.rmtree(old, ignore_errors=True)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder and no zip {place.absolute()}. Is the path right, and quoted?")
    for _ in range(5):
        inside = [entry for entry in place.iterdir() if not entry.name.startswith((".", "__"))]
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink():
            break
        if not any(entry.is_dir() for entry in inside[0].iterdir()):
            break  # a class folder
        place = inside[0]
    return place


def unpack(archive: str | Path, folder: str | Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Unpack a zip into a new folder, and return it; if the folder is there, it was unpacked before.

    Everything is checked before anything is written, and it is written elsewhere and renamed: an interrupted or refused
    zip leaves nothing. Raises ValueError for names that lead out of the folder, links, passwords, damage, more than
    `max_files` files or `max_bytes` bytes, counted as they come out, whatever the zip says of itself.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir():
        return folder
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [info for info in zipped.infolist() if not _left_out(info)]
            _check(archive, members, max_bytes, max_files)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as unfinished:
                place, left = Path(unfinished) / "all", max_bytes
                place.mkdir()
                for info in members:
                    left -= _write(zipped, info, place.joinpath(*_parts(info)), left, archive)
                with suppress(OSError):  # somebody else was faster
                    place.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged, or packed in an unknown way ({error}). Pack it anew.") from error
    if not folder.is_dir():
        raise OSError(f"can't write to {folder}: is there room?")
    return folder


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(info.filename.replace("\\", "/")).parts


def _left_out(info: zipfile.ZipInfo) -> bool:
    """Folders, which are made when needed, and what systems put beside the pictures."""
    return info.is_dir() or any(part == "__MACOSX" or part.startswith("._") or part == ".DS_Store" for part in _parts(info))


def _check(archive: Path, members: list[zipfile.ZipInfo], max_bytes: int, max_files: int) -> None:
    if len(members) > max_files:
        raise ValueError(f"{archive} holds {len(members):,} files, more than {max_files:,}. Is it the right one?")
    seen = {}
    for info in members:
        name, parts = info.filename, _parts(info)
        outside = name.startswith(("/", "\\")) or ".." in parts or PureWindowsPath(name).drive or "\0" in name
        if outside or not parts:
            raise ValueError(f"{archive} is refused: the file {name!r} in it would be written outside its folder")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"{archive} is refused: {name!r} in it is a link or a device, not a file")
        if info.flag_bits & 0x1:
            raise ValueError(f"{archive} has a password ({name!r}). Unpack it yourself and give the folder.")
        same = seen.setdefault(tuple(part.casefold() for part in parts), name)
        if same is not name:
            raise ValueError(f"{archive} is refused: {same!r} and {name!r} in it would be one file on some systems")
    total = sum(info.file_size for info in members)
    if total > max_bytes:
        raise ValueError(f"{archive} would take {total:,} bytes unpacked, more than {max_bytes:,}. Unpack it yourself.")


def _write(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int, archive: Path) -> int:
    """Write one file of at most `left` bytes; returns how many it had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with zipped.open(info) as source, open(target, "wb") as out:
        while piece := source.read(_PIECE):
            written += len(piece)
            if written > left:
                raise ValueError(f"{archive} is refused: unpacked it is larger than it says, and than is allowed")
            out.write(piece)
    return written
