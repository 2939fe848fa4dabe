"""A zip or tar of images -> a folder of images, safely: no path leaves it, no links, bounds on size and number."""

import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from helpers.data.partfiles import explained, need_room
from helpers.images.archives import ENDINGS, Member, is_archive, open_archive
from helpers.images.catalog import CARDS
from helpers.images.imagecache import cache_folder
from helpers.images.kinds import is_hidden

MAX_BYTES = 8_000_000_000  # of all files together, unpacked
MAX_FILES = 100_000


def image_folder(path: str | Path, cache_dir=None) -> Path:
    """The folder of class folders at `path`: a folder as it is, a zip or tar unpacked into the cache folder.

    A folder that holds nothing but one other folder, as zips often do, is stepped into. The name of a published task
    ("hotdog") stands for the class folders of its training part, also where a folder is called so: that is "./hotdog".
    Raises FileNotFoundError, ValueError for other files, OSError where there is no room; for a published task what its
    download raises.
    """
    place = Path(path).expanduser()
    if isinstance(path, str) and path in CARDS:
        from helpers.images.published import class_folders

        if place.is_dir():
            print(f"{path!r} is the task of this name, not the folder that is here: for the folder write './{path}'")
        place = class_folders(CARDS[path], cache_dir)
    if place.is_file():
        if not is_archive(place):
            raise ValueError(f"{place} is neither a folder nor a zip (or tar). Give a folder of class folders, or a zip of one.")
        about = place.stat()
        of_path, of_state = (_hash(text) for text in (str(place.resolve()), f"{about.st_size} {about.st_mtime_ns}"))
        unpacked = cache_folder(cache_dir) / "unpacked"
        name = next((place.name[: -len(end)] for end in ENDINGS if place.name.lower().endswith(end)), place.stem)
        place = unpack(place, unpacked / f"{of_path}-{of_state}" / (name or "images"))
        for old in unpacked.glob(f"{of_path}-*"):  # of the same zip as it was before it changed
            if old != place.parent:
                shutil.rmtree(old, ignore_errors=True)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder and no zip {place.absolute()}. Is the path right, and quoted?")
    for _ in range(5):
        inside = [entry for entry in place.iterdir() if not is_hidden(entry.name)]
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink():
            break
        if not any(entry.is_dir() for entry in inside[0].iterdir()):
            break  # a class folder
        place = inside[0]
    return place


def unpack(archive: str | Path, folder: str | Path, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Unpack a zip, .tar or .tar.gz into a new folder, and return it; if the folder is there, it was unpacked before.

    Everything is checked before anything is written, and it is written elsewhere and renamed: an interrupted or refused
    archive leaves nothing. Only plain files are written, with the rights of any new file. Raises ValueError for names
    that lead out of the folder, links, devices, passwords, damage, more than `max_files` files or `max_bytes` bytes,
    counted as they come out, whatever the archive says of itself; OSError where it can't be written.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir():
        return folder
    with open_archive(archive, max_bytes, max_files) as opened:
        members = [member for member in opened.members if not _left_out(member)]
        _check(archive, members, max_bytes, max_files)
        with explained(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
        need_room(folder.parent, sum(member.size for member in members))
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as unfinished:
            place, left = Path(unfinished) / "all", max_bytes
            place.mkdir()
            for member in members:
                left -= _write(opened.pieces(member), place.joinpath(*_parts(member)), left, archive)
            with suppress(OSError):  # somebody else was faster
                place.rename(folder)
    if not folder.is_dir():
        raise OSError(f"can't write to {folder}: is there room?")
    return folder


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parts(member: Member) -> tuple[str, ...]:
    return PurePosixPath(member.name.replace("\\", "/")).parts


def _left_out(member: Member) -> bool:
    """What systems put beside the pictures."""
    return any(part == "__MACOSX" or part.startswith("._") or part == ".DS_Store" for part in _parts(member))


def _check(archive: Path, members: list[Member], max_bytes: int, max_files: int) -> None:
    if len(members) > max_files:
        raise ValueError(f"{archive} holds {len(members):,} files, more than {max_files:,}. Is it the right one?")
    seen, folders = {}, {}
    for member in members:
        name, parts = member.name, _parts(member)
        outside = name.startswith(("/", "\\")) or ".." in parts or PureWindowsPath(name).drive or "\0" in name
        if outside or not parts:
            raise ValueError(f"{archive} is refused: the file {name!r} in it would be written outside its folder")
        if not member.plain:
            raise ValueError(f"{archive} is refused: {name!r} in it is a link or a device, not a file")
        if member.locked:
            raise ValueError(f"{archive} has a password ({name!r}). Unpack it yourself and give the folder.")
        key = tuple(part.casefold() for part in parts)
        same = seen.setdefault(key, name)
        if same is not name:
            raise ValueError(f"{archive} is refused: {same!r} and {name!r} in it would be one file on some systems")
        folders |= {key[:depth]: name for depth in range(1, len(key))}
    if both := seen.keys() & folders:
        name = seen[both.pop()]
        raise ValueError(f"{archive} is refused: {name!r} in it is a file, and a folder of other files")
    total = sum(member.size for member in members)
    if total > max_bytes:
        raise ValueError(f"{archive} would take {total:,} bytes unpacked, more than {max_bytes:,}. Unpack it yourself.")


def _write(pieces, target: Path, left: int, archive: Path) -> int:
    """Write one file of at most `left` bytes; returns how many it had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with open(target, "wb") as out:
        for piece in pieces:
            written += len(piece)
            if written > left:
                raise ValueError(f"{archive} is refused: unpacked it is larger than it says, and than is allowed")
            out.write(piece)
    return written
