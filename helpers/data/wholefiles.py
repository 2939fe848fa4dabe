"""Files as wholes: known by what is in them, and written so that none is ever half there."""

import hashlib
import os
from pathlib import Path


def content_hash(data) -> str:
    """The beginning of the sha256 of bytes (32 hexadecimal digits): by it decoded pictures and credits find each other."""
    return hashlib.sha256(data).hexdigest()[:32]


def write_whole(file: Path, text: str) -> None:
    """Write a text file beside its place and rename it: whoever reads it meets the old one or the whole new one."""
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
