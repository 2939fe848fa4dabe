"""File names and first bytes: what to pass over in a folder, which endings are pictures, why a file is none."""

HEIC = (".heic", ".heif", ".hif")
PICTURES = frozenset({*HEIC, ".avif"})  # count as pictures also where nothing is installed that reads them
NEEDED = "pip install pillow-heif"
REPLACE = "Replace it or remove it."

_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name belongs to the system (".DS_Store", "__MACOSX", "Thumbs.db"), not to a person."""
    return name.startswith((".", "__")) or name.lower() in _SYSTEM


def why_undecodable(head: bytes, formats) -> tuple[str, str]:
    """Why a file that begins with these bytes (64 are enough) cannot be decoded, and what to do about it.

    formats: what Pillow can read here; "HEIF" and "AVIF" may be among them.
    """
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if not head:
        return "the file is empty", REPLACE
    if brand in _HEIF_BRANDS and "HEIF" not in formats:
        return "a HEIC picture, as iPhones take them", f"To read such pictures: {NEEDED}"
    if brand in _AVIF_BRANDS and "AVIF" not in formats:
        return "an AVIF picture, which this Pillow cannot read", "To read such pictures: pip install -U pillow"
    if brand in (*_HEIF_BRANDS, *_AVIF_BRANDS):
        return "a picture that is cut off or damaged", REPLACE
    page = head.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    return "not an image, or of an unknown kind" + ": it begins like a web page" * page, REPLACE


def shown(name: str) -> str:
    """A file's name on one line: line ends and bytes that are no text as escapes, everything else as it is."""
    return "".join(
        letter if letter.isprintable() or letter == "\u200d" else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in name
    )


def some(names, most: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most:,} more" if len(names) > most else "")
