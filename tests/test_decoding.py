"""Every kind of image file becomes the same upright RGB picture; what is no picture is refused by name."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, features
from torchvision.transforms import v2

from helpers.images.decoding import image_extensions, open_image, read_image

# Four quadrants; a picture that is mirrored, rotated, or has its channels swapped shows it.
RED, GREEN, BLUE, GREY = (200, 20, 20), (20, 180, 20), (20, 20, 220), (120, 120, 120)
QUADRANTS = np.array([[RED, GREEN], [BLUE, GREY]], np.uint8)


def plain(colours, side=32):
    """A picture with a plain colour (or grey) in each of its four quadrants."""
    return Image.fromarray(np.asarray(colours).repeat(side, 0).repeat(side, 1))


def quadrants(size=64):
    """Top left red, top right green, bottom left blue, bottom right grey."""
    return plain(QUADRANTS, size // 2)


def corners(picture):
    """The middle of each quadrant of a uint8 (3, S, S) picture, as (2, 2, 3)."""
    a, b = picture.shape[-1] // 4, 3 * picture.shape[-1] // 4
    return picture[:, [a, b]][:, :, [a, b]].permute(1, 2, 0).numpy().astype(int)


def assert_quadrants(picture, expected=QUADRANTS, within=3):
    assert picture.dtype == torch.uint8 and picture.shape[0] == 3 and picture.is_contiguous()
    assert np.abs(corners(picture) - np.asarray(expected).astype(int)).max() <= within


def png(width, height, bits, colour_type, rows):
    """A PNG by hand, for what Pillow can read but not write: 16-bit colours, and headers that lie."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


WRITERS = {
    "rgb.png": {},
    "rgb.bmp": {},
    "rgb.ppm": {},
    "rgb.tif": {},
    "rgb.jpg": {"quality": 95, "subsampling": 0},
    "progressive.jpg": {"quality": 95, "subsampling": 0, "progressive": True},
    "lossless.webp": {"lossless": True},
    "rgb.jp2": {},
    **({"rgb.avif": {"quality": 95, "subsampling": "4:4:4"}} if features.check("avif") else {}),
}
UNDO = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE",
        8: "ROTATE_270"}  # fmt: skip
LOSSLESS = {"webp": {"lossless": True}}


def stored(orientation):
    """The quadrants as a camera stores them that is held in this orientation."""
    return quadrants().transpose(Image.Transpose[UNDO[orientation]]) if orientation > 1 else quadrants()


def rgb(levels):
    """Grey levels (2, 2) as colours (2, 2, 3)."""
    return np.asarray(levels)[..., None].repeat(3, -1)


LEVELS, DEEP = np.array([[0, 90], [180, 255]], np.uint8), np.array([[0, 9_000], [30_000, 65_535]], np.uint16)
DARK, WHITE = 255 * (LEVELS > 100).astype(np.uint8), (255, 255, 255)
KINDS = {  # kind of pixels -> a picture with them, the formats that hold them, the colours to read, and how exactly
    "grey": (plain(LEVELS), "png jpg tif pgm", rgb(LEVELS), 3),
    "black and white": (plain(DARK).convert("1"), "png tif pbm", rgb(DARK), 0),
    "16 bits, scaled and not clipped": (plain(DEEP), "png tif pgm", rgb(DEEP / 257), 1),
    "16 bits, the other way round": (plain(DEEP.astype(">u2")), "tif", rgb(DEEP / 257), 1),
    "for print": (quadrants().convert("CMYK"), "jpg tif", QUADRANTS, 6),  # Pillow writes such a JPEG as Adobe does: inverted
    "a palette": (quadrants().quantize(4), "png gif bmp", QUADRANTS, 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_pixels_is_read_as_8_bit_rgb(tmp_path, kind):
    picture, endings, expected, within = KINDS[kind]
    for ending in endings.split():
        picture.save(tmp_path / f"a.{ending}", quality=95, subsampling=0)
        assert kind != "for print" or Image.open(tmp_path / f"a.{ending}").mode == "CMYK"
        assert_quadrants(read_image(tmp_path / f"a.{ending}", 64), expected, within)


def test_transparent_parts_are_white_however_they_are_stored(tmp_path):
    alpha = quadrants()
    alpha.putalpha(plain(np.array([[255, 0], [128, 255]], np.uint8)))
    half = tuple(round(255 + (c - 255) * 128 / 255) for c in BLUE)
    for ending in ("png", "webp", "tif"):
        alpha.save(tmp_path / f"alpha.{ending}", **LOSSLESS.get(ending, {}))
        assert_quadrants(read_image(tmp_path / f"alpha.{ending}", 64), [[RED, WHITE], [half, GREY]])
    palette = quadrants().quantize(4)
    for ending in ("png", "gif"):
        palette.save(tmp_path / f"clear.{ending}", transparency=palette.getpixel((48, 16)))
        assert_quadrants(read_image(tmp_path / f"clear.{ending}", 64), [[RED, WHITE], [BLUE, GREY]])
    Image.merge("LA", [Image.new("L", (8, 8), 50), Image.new("L", (8, 8), 0)]).save(tmp_path / "la.png")
    Image.new("RGB", (8, 8), GREEN).save(tmp_path / "key.png", transparency=GREEN)
    Image.new("L", (8, 8), 7).save(tmp_path / "greykey.png", transparency=7)
    for name in ("la.png", "key.png", "greykey.png"):
        assert (read_image(tmp_path / name, 8) == 255).all(), name


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_keeps_colours_and_orientation(tmp_path, name):
    quadrants().save(tmp_path / name, **WRITERS[name])
    assert_quadrants(read_image(tmp_path / name, 32))
    assert_quadrants(read_image(str(tmp_path / name), 128))
    assert open_image(tmp_path / name).size == (64, 64)


def test_the_file_ending_does_not_matter_nor_whether_the_file_is_open(tmp_path):
    quadrants().save(tmp_path / "really_a_png.jpg", format="PNG")
    assert_quadrants(read_image(tmp_path / "really_a_png.jpg", 32))
    with open(tmp_path / "really_a_png.jpg", "rb") as file:
        assert_quadrants(read_image(file, 32))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored(orientation).save(tmp_path / f"turned.{ending}", exif=exif, quality=95)
    assert_quadrants(read_image(tmp_path / f"turned.{ending}", 64), within=12)
    assert_quadrants(read_image(Image.open(tmp_path / f"turned.{ending}"), 64), within=12)


def test_a_rotated_landscape_is_cropped_as_the_portrait_it_is(tmp_path):
    portrait = Image.new("RGB", (60, 180), GREEN)
    portrait.paste(RED, (0, 0, 60, 60))
    portrait.paste(BLUE, (0, 120, 60, 180))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = portrait.transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "phone.jpg", exif=exif, quality=95, subsampling=0)
    assert open_image(tmp_path / "phone.jpg").size == (60, 180)
    assert_quadrants(read_image(tmp_path / "phone.jpg", 30), [[GREEN, GREEN], [GREEN, GREEN]])


def test_broken_exif_loses_neither_the_picture_nor_its_orientation(tmp_path):
    quadrants().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(range(40)), quality=95, subsampling=0)
    assert_quadrants(read_image(tmp_path / "a.jpg", 32))
    turned = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    malformed = struct.pack(">HHI4s", 0x011A, 2, 4, b"abc\0")  # a resolution that is text
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + turned + malformed + bytes(4)
    stored(6).save(tmp_path / "b.jpg", exif=exif, quality=95, subsampling=0)
    assert_quadrants(read_image(tmp_path / "b.jpg", 32))


@pytest.mark.parametrize("channels, colour_type", [(3, 2), (4, 6)])
def test_16_bit_colour_is_scaled(tmp_path, channels, colour_type):
    deep = np.full((32, 32, channels), 65_535, ">u2")
    deep[..., :3] = QUADRANTS.repeat(16, 0).repeat(16, 1) * np.uint16(257)
    (tmp_path / "deep.png").write_bytes(png(32, 32, 16, colour_type, [row.tobytes() for row in deep]))
    assert_quadrants(read_image(tmp_path / "deep.png", 32), within=1)


@pytest.mark.parametrize("values", [np.float32, np.int32])
def test_pixels_without_an_agreed_range_are_refused(tmp_path, values):
    Image.fromarray(np.zeros((8, 8), values)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: its 32-bit or floating-point .* 8 or 16 bits"):
        read_image(tmp_path / "a.tif", 8)


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path, ending):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("black", "white")]
    quadrants().save(tmp_path / f"a.{ending}", save_all=True, append_images=frames, **LOSSLESS.get(ending, {}))
    assert Image.open(tmp_path / f"a.{ending}").n_frames == 3
    assert_quadrants(read_image(tmp_path / f"a.{ending}", 64))


def test_tiny_and_elongated_pictures(tmp_path):
    Image.new("RGB", (1, 1), BLUE).save(tmp_path / "dot.png")
    assert_quadrants(read_image(tmp_path / "dot.png", 64), [[BLUE, BLUE], [BLUE, BLUE]], within=0)
    strip = Image.new("RGB", (50_000, 1), RED)
    strip.paste(GREEN, (25_000 - 10, 0, 25_000 + 10, 1))
    strip.save(tmp_path / "strip.png")
    assert_quadrants(read_image(tmp_path / "strip.png", 64), [[GREEN, GREEN], [GREEN, GREEN]], within=0)
    assert_quadrants(read_image(strip.transpose(Image.Transpose.ROTATE_90), 8), [[GREEN] * 2] * 2, within=0)
    assert read_image(quadrants(), 1).shape == (3, 1, 1)


def waves(height, width, down, across):
    """A smooth picture, of some waves down and across."""
    product = np.sin(np.linspace(0, down, height))[:, None] * np.cos(np.linspace(0, across, width))[None]
    return Image.fromarray((128 + 120 * np.stack([product, product**2, -product], -1)).astype(np.uint8))


def test_crop_and_antialiased_resizing_are_those_of_torchvision():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    resized = v2.functional.pil_to_tensor(v2.Resize(32)(noise))
    assert torch.equal(read_image(noise, 32), resized)
    assert resized.float().std() < 25  # the noise itself has 74
    wide = waves(301, 452, 4, 6)
    for picture in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        theirs = v2.functional.pil_to_tensor(v2.CenterCrop(50)(v2.Resize(50)(picture))).float()
        assert (read_image(picture, 50).float() - theirs).abs().mean() < 2


def test_a_large_jpeg_read_at_reduced_scale_looks_the_same(tmp_path):
    large = waves(800, 640, 157, 25)  # as fine as 64 pixels can show: 20 waves up and down
    large.save(tmp_path / "large.jpg", quality=92)
    quick, full = read_image(tmp_path / "large.jpg", 64), read_image(open_image(tmp_path / "large.jpg"), 64)
    assert (quick.float() - full.float()).abs().mean() < 1.5  # of 255; reading it at 1/8 would give 3.7
    assert open_image(tmp_path / "large.jpg").size == (640, 800)


def test_a_given_pil_image_is_left_as_it_is(tmp_path):
    quadrants(512).save(tmp_path / "a.jpg")
    given = Image.open(tmp_path / "a.jpg")
    assert_quadrants(read_image(given, 16), within=12)
    assert given.size == (512, 512)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_truncated_files_are_refused_by_name(tmp_path, name, kept):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(tmp_path / name, **WRITERS[name])
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=f"{name}: cannot be decoded .* Replace it"):
        read_image(tmp_path / name, 16)


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>404 not found</html>")
    (tmp_path / "drawing.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    for name in ("page.jpg", "drawing.jpg"):
        with pytest.raises(ValueError, match=f"{name}: cannot be decoded .not an image"):
            read_image(tmp_path / name, 16)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg", 16)
    with pytest.raises(OSError, match=str(tmp_path)):
        read_image(tmp_path, 16)
    with pytest.raises(TypeError, match="ndarray"):
        read_image(np.zeros((8, 8, 3), np.uint8), 16)


@pytest.mark.parametrize("size", [0, 64.0, True, "64"])
def test_a_size_that_is_no_number_of_pixels_is_refused(size):
    with pytest.raises(ValueError, match="size="):
        read_image(quadrants(), size)


def test_too_many_pixels_are_refused_from_the_header_alone(tmp_path, recwarn):
    for name, side in (("bomb.png", 9_000), ("worse.png", 60_000)):  # Pillow itself warns of the first and stops at the second
        (tmp_path / name).write_bytes(png(side, side, 8, 2, [b""]))  # no pixels at all behind the header
        with pytest.raises(ValueError, match=f"{name}: too large.*Shrink it"):
            read_image(tmp_path / name, 16)


def test_the_pixel_bound_can_be_set(tmp_path, monkeypatch):
    quadrants(64).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # Pillow's own bound is raised where more is allowed
    assert read_image(tmp_path / "a.png", 8, max_pixels=64 * 64).shape == (3, 8, 8)
    for source in (tmp_path / "a.png", quadrants(64)):
        with pytest.raises(ValueError, match=r"64 x 64 is more than max_pixels=4,095"):
            read_image(source, 8, max_pixels=64 * 64 - 1)


def test_the_endings_are_those_of_pictures():
    endings = image_extensions()
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp"} <= endings
    assert not {".eps", ".pdf", ".txt", ".mpg", ".h5"} & endings


def test_twelve_bits_kept_in_sixteen_are_refused_with_what_to_multiply_by_and_full_range_is_read(tmp_path):
    grey = np.linspace(0, 4095, 64 * 64).reshape(64, 64)
    for name, factor in (("few", 1), ("all", 16)):
        Image.fromarray((grey * factor).astype(np.uint16)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"few.png: its 16-bit pixels use 0 to 4095 of 65,535 only.*pixels \* 16"):
        read_image(tmp_path / "few.png", 32)
    assert read_image(tmp_path / "all.png", 32).max() > 240


@pytest.mark.parametrize(
    "source, error, words",
    [
        (np.zeros((4, 4, 3), np.uint8), TypeError, "PIL.Image.fromarray.*BGR"),
        ("https://example.org/cat.jpg", FileNotFoundError, "an address; download the picture"),
        (".", IsADirectoryError, "a folder; give the path of one picture"),
    ],
)
def test_what_is_no_file_of_a_picture_is_refused_with_what_to_give_instead(source, error, words):
    with pytest.raises(error, match=words):
        open_image(source)


def test_a_dicom_file_under_the_name_of_a_picture_is_named_for_what_it_is(tmp_path):
    (tmp_path / "x.png").write_bytes(bytes(128) + b"DICM" + bytes(400))
    with pytest.raises(ValueError, match="a medical picture, DICOM.*Export it as PNG"):
        open_image(tmp_path / "x.png")
