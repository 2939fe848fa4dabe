"""Images are decoded once; changed files are noticed, and an interruption leaves no half-written cache."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import imagecache
from helpers.images.decoding import MAX_PIXELS, read_image
from helpers.images.imagecache import cache_folder, decode_once


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        name = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(name)
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def open_(folder, cache, size=8):
    return decode_once(folder, files_of(folder), size, MAX_PIXELS, cache)


def assert_right(pictures, folder, size=8):
    assert pictures.files == files_of(folder)
    expected = torch.stack([read_image(folder / file, size) for file in pictures.files])
    assert torch.equal(pictures.images, expected)


def forbid_decoding(monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr(imagecache, "read_image", forbidden)


def test_images_are_decoded_and_reported_once(folder, cache, monkeypatch, capsys):
    first, other_size = open_(folder, cache), open_(folder, cache, 12)
    assert_right(first, folder)
    assert_right(other_size, folder, 12)
    said = [f"decoded 12 images of photos at {size} x {size} pixels, and kept them" for size in (8, 12)]
    assert capsys.readouterr().out.splitlines() == said
    forbid_decoding(monkeypatch)
    again = open_(folder, cache)
    assert torch.equal(first.images, again.images) and first.files == again.files
    assert (first.content, first.pixels, first.sizes) == (again.content, again.pixels, [(16, 16)] * 12)
    assert capsys.readouterr() == ("", "")
    stored = {path: path.read_bytes() for path in cache.iterdir()}
    again.images.zero_()
    assert stored == {path: path.read_bytes() for path in cache.iterdir()}, "changes in memory stay there"


def red(path):
    Image.new("RGB", (16, 16), "red").save(path)


def touched(path):
    """The same length, other pixels, and only the time tells."""
    other = (path.parent / "2.png").read_bytes()
    assert len(other) == path.stat().st_size
    path.write_bytes(other)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change, file", [(red, "a/0.png"), (red, "a/new.png"), (Path.unlink, "a/0.png"), (touched, "a/0.png")])
def test_a_changed_folder_is_decoded_again_and_its_old_cache_removed(folder, cache, change, file):
    open_(folder, cache)
    change(folder / file)
    assert_right(open_(folder, cache), folder)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("which, damage", [
    ("*.npy", lambda path: path.write_bytes(path.read_bytes()[:-100])), ("*.npy", Path.unlink), ("*.json", Path.unlink),
    ("*.npy", lambda path: np.save(path, np.zeros((11, 3, 8, 8), np.uint8))), ("*.json", lambda path: path.write_text("[]")),
    ("*.npy", lambda path: np.save(path, np.array([{}], object), allow_pickle=True)),
])  # fmt: skip
def test_a_cache_that_is_cut_or_incomplete_is_made_again(folder, cache, which, damage, capsys):
    open_(folder, cache)
    damage(next(cache.glob(which)))
    capsys.readouterr()
    assert_right(open_(folder, cache), folder)
    assert "decoded 12 images" in capsys.readouterr().out


def test_an_interruption_leaves_nothing_and_the_next_run_is_right(folder, cache, monkeypatch):
    calls = []

    def interrupted(*args, **settings):
        calls.append(args)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return read_image(*args, **settings)

    monkeypatch.setattr(imagecache, "read_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_(folder, cache)
    assert list(cache.iterdir()) == []
    monkeypatch.undo()
    assert_right(open_(folder, cache), folder)


def in_another_process(folder, cache, seconds_an_image):
    """Opens the folder in a fork of this process, which is much quicker to start than a new one."""

    def work():
        imagecache.read_image = lambda *args, **settings: time.sleep(seconds_an_image) or read_image(*args, **settings)
        open_(folder, cache)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_killed_process_and_several_at_once_do_no_harm(folder, cache, monkeypatch):
    killed = in_another_process(folder, cache, 60)
    deadline = time.monotonic() + 30
    while not list(cache.glob("unfinished-*/*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    killed.join()
    processes = [in_another_process(folder, cache, 0.02) for _ in range(3)]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    forbid_decoding(monkeypatch)
    found = open_(folder, cache)
    monkeypatch.undo()
    assert_right(found, folder)
    for left in cache.glob("unfinished-*"):  # by the killed process, yesterday
        os.utime(left, (1, 1))
    open_(folder, cache, 12)
    assert not list(cache.glob("unfinished-*"))


def test_where_the_cache_is_kept(tmp_path, monkeypatch, folder):
    monkeypatch.delenv("COURSE_CACHE", raising=False)
    assert "transfer-learning-course" in str(cache_folder())
    assert cache_folder("~/x") == Path.home() / "x"
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "from the environment"))
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    open_(folder, None)
    assert len(list((tmp_path / "from the environment").iterdir())) == 2


def test_what_cannot_be_written_or_read_is_named(folder, cache, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="can't keep decoded images in .*file.*COURSE_CACHE.*cache_dir"):
        open_(folder, tmp_path / "file")

    def forbidden(path):
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(ValueError, match=r"a/0\.png can't be read: not yours"):
        open_(folder, cache)
