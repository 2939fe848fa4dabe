"""What hostile files try."""

import io
import os
import pickle
import random
import struct
import zlib
from pathlib import Path

import torch
from PIL import Image


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


FORMS = [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]  # the ways to put it into a file

LONG = "COURSE_LONG" in os.environ  # `make test-long`: many more files and interruptions
KINDS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "ppm": "PPM", "jp2": "JPEG2000"}


def picture(kind, rng):
    """The bytes of a small picture of noise; some have an EXIF block, an alpha channel or several frames."""
    size = rng.randrange(1, 40), rng.randrange(1, 40)
    image = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
    if rng.random() < 0.3 and kind in ("png", "webp", "tif"):
        image.putalpha(rng.randrange(256))
    exif, more = Image.Exif(), {}
    exif[274] = rng.randrange(12)
    if rng.random() < 0.5 and kind in ("gif", "webp", "tif", "png"):
        more = {"save_all": True, "append_images": [image.rotate(90)]}
    image.save(out := io.BytesIO(), KINDS[kind], **more, **({"exif": exif} if kind in ("jpg", "png", "webp") else {}))
    return out.getvalue()


def _patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


DAMAGE = {  # (bytes, rng) -> bytes
    "whole": lambda data, rng: data,
    "cut": lambda data, rng: data[: rng.randrange(len(data))],
    "flipped": lambda data, rng: _patched(data, at := rng.randrange(len(data)), bytes([data[at] ^ 1 << rng.randrange(8)])),
    "head flipped": lambda data, rng: _patched(data, rng.randrange(min(60, len(data))), rng.randbytes(1)),
    "huge number": lambda data, rng: _patched(data, rng.randrange(min(80, len(data))), b"\xff\xff\xff\x7f"),
    "zeros": lambda data, rng: _patched(data, rng.randrange(len(data)), bytes(rng.randrange(1, 200)))[: len(data)],
    "twice": lambda data, rng: data[: len(data) // 2] + data,
    "late": lambda data, rng: rng.randbytes(rng.randrange(1, 20)) + data,
    "noise": lambda data, rng: data[:12] + rng.randbytes(rng.randrange(300)),
}
LIES = [  # small files that claim much, or are something else
    b"", b"\0" * 3000, b"P6 99999999 99999999 255\n", b"P6 1 99999999999999999999 255\n\0", b"BM" + b"\xff" * 80, b"%!PS\n(x)",
    b"GIF89a" + b"\xff" * 7 + b"," + b"\xff" * 9, b"II*\0\x08\0\0\0" + b"\xff" * 40, b"II*\0\x08\0\0\0\0\0\x08\0\0\0", b"%PDF-1",
    b"<svg onload='alert(1)'/>", b"<!doctype html>", b"MZ" + b"\0" * 60, b"PK\3\4", b"RIFF\xff\xff\xff\xffWEBPVP8X",
]  # fmt: skip
TAGS = ((256, 4), (257, 4), (258, 8), (259, 1), (262, 2), (273, 8), (277, 2048), (278, 4), (279, 48))  # 2,048 samples a pixel
LIES.append(b"II*\0\x08\0\0\0\x09\0" + b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in TAGS) + bytes(4))


def png_with(chunk=b"", width=4, height=4):
    """A PNG with one more chunk, which may claim another size."""
    part = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head, rows = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), zlib.compress(bytes(20))
    more = part(chunk[:4], chunk[4:]) if chunk else b""
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + more + part(b"IDAT", rows) + part(b"IEND", b"")


def corpus(count, seed=0):
    """{name: bytes} of so many broken, lying and whole files with the endings of pictures; the same for a seed."""
    rng = random.Random(seed)
    bomb = zlib.compress(bytes(50_000_000))
    lies = [*LIES, png_with(b"zTXta\0\0" + bomb), png_with(b"iCCPa\0\0" + bomb), png_with(width=60_000, height=60_000),
            png_with(width=0), png_with(width=2**31 - 1, height=1), pickle.dumps(Malicious("code ran"))]  # fmt: skip
    files = {f"lie {i}.{rng.choice([*KINDS])}": data for i, data in enumerate(lies)}
    while len(files) < count:
        kind, harm = rng.choice([*KINDS]), rng.choice([*DAMAGE])
        ending = kind if rng.random() < 0.7 else rng.choice([*KINDS])
        files[f"{len(files)} {harm} {kind}.{ending}"] = DAMAGE[harm](picture(kind, rng), rng)
    return files
