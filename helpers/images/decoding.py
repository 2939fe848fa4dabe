"""Any image file -> an upright RGB picture, or an error that says why not.

Files that look alike in a viewer differ inside: turned by an EXIF tag, CMYK, 16 bits a channel, a palette,
transparent, animated. Everything behind this module sees one kind only: 8-bit RGB, the right way up.

HEIC, as iPhones take it, needs the package pillow-heif. Its pictures are turned once, by what the file format itself says
("irot", "imir"); their EXIF orientation repeats that and is ignored, as the format's standard demands (libheif's issue 227).
"""

import importlib
import logging
import os
import stat
import warnings

import numpy as np
import PIL
import torch
from PIL import ExifTags, Image

from helpers.data.files import is_page

MAX_PIXELS = 64_000_000  # up to 1.3 GB while it is decoded; a small file can claim any size in its header
PICTURES = frozenset({".heic", ".heif", ".hif", ".avif"})  # count as pictures also where nothing is installed that reads them
HEIC_NEEDS = "pip install pillow-heif"

# Only formats that are pictures and nothing else: Pillow would also start Ghostscript for an .eps file.
# HEIF counts where the package pillow-heif is installed; formats that this Pillow was built without are left out.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "HEIF", "JPEG2000")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_REPLACE = "Replace it or remove it."

# What Pillow finds odd in a file is no reader's concern: either the picture can be decoded, or the error says why not.
warnings.filterwarnings("ignore", module=r"PIL\.")  # not around each picture: that is not safe in threads
logging.getLogger("PIL").addHandler(logging.NullHandler())

_TURNS = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def image_extensions() -> frozenset[str]:
    """Lower-case file name endings (".jpg", ".png", ...) of the formats that this installation can read."""
    _register_heic()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in _FORMATS)


def readers() -> str:
    """The packages that read pictures, and their versions: with another the same file may give other pixels."""
    return f"Pillow {PIL.__version__}, pillow-heif {_register_heic()}"


def open_image(source, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a picture as an upright 8-bit RGB `PIL.Image` at its full size.

    source: a path, an open binary file or a `PIL.Image` (which is left as it is). EXIF rotation is applied,
    transparent parts are shown on white, 16-bit channels are scaled to 8, of an animation the first frame is
    taken; colour profiles are ignored, as torchvision does.
    Raises FileNotFoundError, or ValueError for what is no picture, is damaged or has more than `max_pixels`
    (read from the header, before anything is decoded). Reading is Pillow's (python-pillow.org).
    """
    return _open(source, max_pixels, None)


def read_image(source, size: int, *, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Read the central square of a picture as a uint8 tensor (3, size, size). Raises as `open_image` does.

    Antialiased and bilinear: torchvision's Resize(size) and CenterCrop(size) to within half a pixel.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size={size!r} is not a number of pixels; give a whole number such as 64")
    return torch.from_numpy(np.array(_open(source, max_pixels, size))).permute(2, 0, 1).contiguous()


def picture_size(source) -> tuple[int, int]:
    """Width and height in pixels as the head of a picture file (a path or an open one) says; (0, 0) if it says nothing."""
    try:
        with Image.open(source, formats=_formats()) as image:
            return image.size
    except Exception:  # decoding it tells why
        return 0, 0


def why_undecodable(head: bytes, formats) -> tuple[str, str]:
    """Why a file that begins with these bytes (132 are enough) cannot be decoded, and what to do about it.

    formats: what Pillow can read here; "HEIF" and "AVIF" may be among them.
    """
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if not head:
        return "the file is empty", _REPLACE
    if head[128:132] == b"DICM":
        return "a medical picture, DICOM", "Export it as PNG with your viewer, or with the package pydicom."
    if brand in _HEIF_BRANDS and "HEIF" not in formats:
        return "a HEIC picture, as iPhones take them", f"To read such pictures: {HEIC_NEEDS}"
    if brand in _AVIF_BRANDS and "AVIF" not in formats:
        return "an AVIF picture, which this Pillow cannot read", "To read such pictures: pip install -U pillow"
    if brand in (*_HEIF_BRANDS, *_AVIF_BRANDS):
        return "a picture that is cut off or damaged", _REPLACE
    return "not an image, or of an unknown kind" + ": it begins like a web page" * is_page(head), _REPLACE


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


def _register_heic() -> str | None:
    """Let Pillow read HEIC if pillow-heif is installed, perhaps only a moment ago; its version, or None."""
    importlib.invalidate_caches()
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return None
    heif.register_heif_opener()
    return heif.__version__


_register_heic()


def _formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _open(source, max_pixels: int, size: int | None) -> Image.Image:
    if isinstance(source, Image.Image):
        return _convert(source, max_pixels, size)
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        how = ": PIL.Image.fromarray(array) makes one, of OpenCV's BGR arrays with array[:, :, ::-1]" * hasattr(source, "shape")
        raise TypeError(f"expected a path, an open file or a PIL image, not {type(source).__name__}{how}")
    if Image.MAX_IMAGE_PIXELS and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own bound would refuse what was allowed here
    name = shown(str(getattr(source, "name", "the image") if hasattr(source, "read") else os.fsdecode(source)))
    try:
        if not hasattr(source, "read") and stat.S_ISFIFO(os.stat(source).st_mode):
            raise _Refused("a pipe, and not a file: reading it would wait for a writer")
        with Image.open(source, formats=_formats()) as image:
            if size and image.width * image.height <= max_pixels:
                # A large JPEG decodes ten times faster at 1/2, 1/4 or 1/8 of its size. Keeping at least four
                # times the size asked for changes the result less than another interpolation would.
                image.draft(None, (4 * size, 4 * size))
            return _convert(image, max_pixels, size)
    except FileNotFoundError as error:
        what = "an address; download the picture, and give the path of its file" if "://" in name else "no such file"
        raise FileNotFoundError(f"{name}: {what}") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{name}: a folder; give the path of one picture in it") from error
    except PermissionError:
        raise  # the system's message names the path and says it all
    except _Refused as error:
        raise ValueError(f"{name}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name}: too large. {error} Shrink it first.") from error
    except Exception as error:  # Pillow's readers raise a dozen different types on damaged files
        why, remedy = error, _REPLACE
        if isinstance(error, Image.UnidentifiedImageError):
            why, remedy = why_undecodable(_head(source), _formats())
        raise ValueError(f"{name}: cannot be decoded ({why}). {remedy}") from error


def _head(source) -> bytes:
    """The first bytes of a file; of one that is open, if it can be gone back to its beginning."""
    try:
        if not hasattr(source, "read"):
            with open(source, "rb") as file:
                return file.read(132)
        source.seek(0)
        return source.read(132)
    except (OSError, ValueError):
        return b"?"


class _Refused(ValueError):
    """A picture that could be decoded, but should not be."""


def _convert(image: Image.Image, max_pixels: int, size: int | None) -> Image.Image:
    if image.width * image.height > max_pixels:
        raise _Refused(
            f"too large: {image.width} x {image.height} is more than max_pixels={max_pixels:,}. "
            "Shrink it, or allow more with max_pixels=..."
        )
    image.load()  # before its orientation is asked for: a TIFF turns itself while loading
    mode, kind, original = image.mode, image.format, image
    try:  # not ImageOps.exif_transpose, which also rewrites the EXIF data and fails where any of it is malformed
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # unreadable EXIF data: the picture as it is stored, as browsers show it
        turn = None
    image = image if turn is None else image.transpose(turn)
    side = min(image.size)
    if size and image.size != (side, side):
        # Cropped before it is resized: a strip of 1 x 50,000 never grows to 64 x 3,200,000.
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        # 16-bit grey: convert("RGB") would clip all above 255 to white
        values = np.asarray(image)
        if values.max() < 4096 and values.min() < values.max():  # 12 bits, as of medical devices: nearly black if taken for 16
            used = f"its 16-bit pixels use {values.min()} to {values.max()} of 65,535 only, and would be nearly black"
            raise _Refused(f"{used}. If that is all the device gives, save pixels * 16, the same for all pictures.")
        image = Image.fromarray((values >> 8).astype(np.uint8))
    elif mode in ("I", "F"):
        raise _Refused("its 32-bit or floating-point pixels have no agreed brightest value. Save it with 8 or 16 bits a channel.")
    if image.has_transparency_data:
        above, image = image if image.mode == "RGBA" else image.convert("RGBA"), Image.new("RGB", image.size, "white")
        image.paste(above, mask=above)
    elif image.mode != "RGB" or (image is original and not size):  # a copy of a large picture is 256 MB
        image = image.convert("RGB")
    return image.resize((size, size), Image.Resampling.BILINEAR) if size else image
