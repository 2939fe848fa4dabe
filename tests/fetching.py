"""What the tests of downloads have in common: a server, a file on it, and a call that fetches it."""

import hashlib
import random

import pytest
from origin import Origin

from helpers.data import answers, downloads
from helpers.data.downloads import fetch

DATA = random.Random(0).randbytes(400_000)
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
HALF = len(DATA) // 2


@pytest.fixture
def origin(monkeypatch):
    monkeypatch.setattr(downloads, "WAITS", (0,) * 5)
    monkeypatch.setattr(downloads, "ENOUGH", 100_000)
    monkeypatch.setattr(answers, "PIECE", 1 << 14)
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    with Origin({"/a.zip": DATA}) as origin:
        yield origin


@pytest.fixture
def get(origin, tmp_path):
    """get(): the file is fetched, unless the arguments say otherwise."""

    def fetch_it(path="/a.zip", **settings):
        about = dict(what="A: its photographs", size=len(DATA), digest=SHA256, licence="CC0", instead="open_task('a')")
        about |= settings
        return fetch(about.pop("url", origin.url(path)), about.pop("file", tmp_path / "cache" / "a.zip"), **about)

    return fetch_it


def broken_off(handler):
    handler.send(200, {"Content-Length": str(len(DATA))}, DATA[: HALF + 100])
    handler.close_connection = True


def left(tmp_path) -> list[str]:
    return sorted(file.name for file in (tmp_path / "cache").iterdir())


def ranges(origin) -> list[str | None]:
    return [asked.headers.get("Range") for asked in origin.requests]
