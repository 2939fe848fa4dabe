"""Images are decoded once; changed files are noticed, and an interruption leaves no half-written cache."""

import multiprocessing
import os
import shutil
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


def test_images_are_decoded_once_and_that_is_said_once(folder, cache, monkeypatch, capsys):
    first = open_(folder, cache)
    assert_right(first, folder)
    assert capsys.readouterr() == ("decoded 12 images of photos at 8 x 8 pixels, and kept them\n", "")
    forbid_decoding(monkeypatch)
    again = open_(folder, cache)
    assert torch.equal(first.images, again.images)
    assert (first.files, first.content, first.pixels) == (again.files, again.content, again.pixels)
    assert capsys.readouterr() == ("", "")
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]


def test_equal_bytes_and_equal_pixels_have_equal_hashes(folder, cache):
    shutil.copyfile(folder / "a/0.png", folder / "a/bytes.png")
    Image.open(folder / "a/0.png").save(folder / "a/pixels.png", compress_level=0)
    found = open_(folder, cache)
    first, same_bytes, same_pixels = (found.files.index(f"a/{name}.png") for name in ("0", "bytes", "pixels"))
    assert found.content[first] == found.content[same_bytes] != found.content[same_pixels]
    assert found.pixels[first] == found.pixels[same_bytes] == found.pixels[same_pixels]
    assert len(set(found.pixels)) == 12


def test_sizes_are_kept_side_by_side(folder, cache, monkeypatch):
    small, large = open_(folder, cache, 8), open_(folder, cache, 12)
    assert small.images.shape == (12, 3, 8, 8) and large.images.shape == (12, 3, 12, 12)
    forbid_decoding(monkeypatch)
    assert torch.equal(open_(folder, cache, 8).images, small.images)


@pytest.mark.parametrize("change", ["content", "added", "removed", "touched"])
def test_a_changed_folder_is_decoded_again_and_its_old_cache_removed(folder, cache, change):
    open_(folder, cache)
    if change == "content":
        Image.new("RGB", (16, 16), "red").save(folder / "a/0.png")
    elif change == "added":
        Image.new("RGB", (16, 16), "red").save(folder / "a/new.png")
    elif change == "removed":
        (folder / "a/0.png").unlink()
    else:  # the same length, other pixels, and only the time tells
        other = (folder / "a/2.png").read_bytes()
        assert len(other) == (folder / "a/0.png").stat().st_size
        (folder / "a/0.png").write_bytes(other)
        os.utime(folder / "a/0.png", ns=(1, 1))
    assert_right(open_(folder, cache), folder)
    assert len(list(cache.iterdir())) == 2


def test_a_copy_of_the_folder_has_a_cache_of_its_own(folder, cache, tmp_path):
    first = open_(folder, cache)
    copy = shutil.copytree(folder, tmp_path / "copy")
    os.replace(copy / "a/0.png", copy / "a/spare")
    os.replace(copy / "a/2.png", copy / "a/0.png")
    os.replace(copy / "a/spare", copy / "a/2.png")
    for file in files_of(copy):  # names, lengths and times are those of the first folder: only the place differs
        about = (folder / file).stat()
        assert about.st_size == (copy / file).stat().st_size
        os.utime(copy / file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert_right(open_(copy, cache), copy)
    assert_right(first, folder)


@pytest.mark.parametrize(
    "which, damage",
    [
        ("*.npy", lambda path: path.write_bytes(path.read_bytes()[:-100])),
        ("*.npy", Path.unlink),
        ("*.npy", lambda path: path.write_bytes(b"")),
        ("*.npy", lambda path: np.save(path, np.zeros((11, 3, 8, 8), np.uint8))),
        ("*.npy", lambda path: np.save(path, np.array([{}], object), allow_pickle=True)),
        ("*.json", lambda path: path.write_bytes(path.read_bytes()[:-100])),
        ("*.json", Path.unlink),
        ("*.json", lambda path: path.write_text("[]")),
        ("*.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    ],
)
def test_a_cache_that_is_cut_or_incomplete_is_made_again(folder, cache, which, damage, capsys):
    open_(folder, cache)
    damage(next(cache.glob(which)))
    capsys.readouterr()
    assert_right(open_(folder, cache), folder)
    assert "decoded 12 images" in capsys.readouterr().out


def test_changing_the_images_in_memory_leaves_the_file(folder, cache):
    pictures = open_(folder, cache)
    stored = next(cache.glob("*.npy")).read_bytes()
    pictures.images.zero_()
    assert next(cache.glob("*.npy")).read_bytes() == stored


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_nothing_and_the_next_run_is_right(folder, cache, monkeypatch, interruption):
    calls = []

    def interrupted(*args, **settings):
        calls.append(args)
        if len(calls) == 5:
            raise interruption
        return read_image(*args, **settings)

    monkeypatch.setattr(imagecache, "read_image", interrupted)
    with pytest.raises(interruption):
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
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "from the environment"))
    assert cache_folder() == tmp_path / "from the environment"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    assert cache_folder("~/x") == Path.home() / "x"
    open_(folder, None)
    assert len(list((tmp_path / "from the environment").iterdir())) == 2


def test_a_cache_that_cannot_be_written_says_what_to_do(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="can't keep decoded images in .*file.*COURSE_CACHE.*cache_dir"):
        open_(folder, tmp_path / "file")


def test_a_file_that_vanishes_meanwhile_is_named(folder, cache, monkeypatch):
    files = [*files_of(folder), "a/gone.png"]
    monkeypatch.setattr(imagecache, "_length_and_time", lambda path: (1, 1))
    with pytest.raises(ValueError, match=r"a/gone\.png can't be read"):
        decode_once(folder, files, 8, MAX_PIXELS, cache)
