"""What a file is: by its name, as phones and computers give it, and by its first bytes, which do not lie."""

import re
from pathlib import PurePath

HEIC = frozenset({".heic", ".heif", ".hif"})
PICTURES = HEIC | {".avif"}  # endings that count as pictures, also where nothing is installed that reads them
NEEDED = "pip install pillow-heif"

_WHAT = {  # endings of what lies beside pictures -> what it is
    "movie{}": (".mov", ".mp4", ".m4v", ".3gp", ".avi", ".mkv", ".webm", ".mts"),
    "note{} on how a picture was edited": (".aae", ".xmp", ".thm", ".pp3"),
    "raw picture{}, which would have to be exported as JPEG": (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
    "picture{} of a kind that cannot be read here": (".jxl", ".svg", ".psd", ".eps", ".ai", ".xcf"),
    "packed folder{} (unpack what belongs to it)": (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"),
}
_WHAT = {ending: what for what, endings in _WHAT.items() for ending in endings}
_SYSTEM = frozenset(  # what systems put beside pictures, in small letters; so do names that begin with "." or "__"
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found")
)
_SCREENSHOT = re.compile(
    r"screen[-_ ]?(shot|capture)|bildschirmfoto|capture[-_ ]d.?[ée]cran|captura de pantalla|schermafbeelding|schermata"
    r"|skärmavbild|スクリーンショット|屏幕截图|截屏|скриншот|снимок экрана",
    re.IGNORECASE,
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_REPLACE = "Replace it or take it away."


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is a system's own (".DS_Store", "__MACOSX", "Thumbs.db"), not a person's."""
    return name.startswith((".", "__")) or name.lower() in _SYSTEM


def what_by_name(name: str) -> str:
    """What a file beside the pictures is, by its ending: "movie{}", "{}" for an s; "" where it says nothing."""
    return _WHAT.get(PurePath(name).suffix.lower(), "")


def is_screenshot(name: str) -> bool:
    """Whether a file is named as systems name screenshots, in some of their languages."""
    return bool(_SCREENSHOT.search(name))


def known_by_its_bytes(head: bytes, formats) -> tuple[str, str]:
    """Why a file with this beginning (its first 64 bytes) cannot be decoded, and what to do.

    formats: what Pillow reads here; "HEIF" and "AVIF" may be among it.
    """
    start, brand = head.lstrip().lower(), head[8:12] if head[4:8] == b"ftyp" else b""
    if not head:
        return "the file is empty", _REPLACE
    if brand in _HEIF_BRANDS and "HEIF" not in formats:
        return "a HEIC picture, as iPhones take them", f"To read such pictures: {NEEDED}"
    if brand in _AVIF_BRANDS and "AVIF" not in formats:
        return "an AVIF picture, which this Pillow was built without", "To read such pictures: pip install -U pillow"
    if brand in (*_HEIF_BRANDS, *_AVIF_BRANDS):
        return f"{'an AVIF' if brand in _AVIF_BRANDS else 'a HEIC'} picture that is cut off or damaged", _REPLACE
    kinds = {
        "a web page": start.startswith((b"<!doctype html", b"<html")),
        "a PDF": start.startswith(b"%pdf"),
        "a zip": head.startswith(b"PK\3\4"),
        "a movie": head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or head.startswith(b"\x1a\x45\xdf\xa3"),
        "JPEG XL": head.startswith((b"\xff\n", b"\0\0\0\x0cJXL ")),
        "nothing but zeros": not head.strip(b"\0"),
    }
    for what, so in kinds.items():
        if so:
            return f"not an image, or of an unknown kind: it begins like {what}", _REPLACE
    return "not an image, or of an unknown kind", _REPLACE


def shown(name: str) -> str:
    """A file's name for people, on one line: line ends and bytes that are no text as escapes, everything else as it is."""
    return "".join(
        letter if letter.isprintable() or letter in "\u200d" else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in name
    )


def some(names, most: int = 5) -> str:
    """The first names, as they are shown, and how many more there are."""
    names = list(names)
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most:,} more" if len(names) > most else "")
