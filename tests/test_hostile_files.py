"""Broken, lying and hostile files: a picture or an error that names the file; no crash, no hang, no more memory than stated."""

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest
from fits import fitted, short
from hostile import LONG, corpus
from photos import open_small, photos

from helpers.images.decoding import read_image
from helpers.notebook.camera import Camera
from helpers.notebook.page import Page
from helpers.training.recipes import FEATURE_EXTRACTION

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pytest undoes the filter of helpers.images.decoding
FILES = corpus(240)
MOST = {"seconds": 10, "megabytes": 400}  # for one file: MAX_PIXELS are 190 MB once decoded
READ = """
import json, sys, time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from helpers.images.decoding import read_image
good, most = [], {"seconds": 0, "megabytes": 0}
for file in sorted(Path(sys.argv[1]).iterdir()):
    memory, started = getrusage(RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        assert read_image(file, 8).shape == (3, 8, 8)
        good.append(file.name)
    except ValueError as error:
        assert file.name in str(error), error
    one = {"seconds": time.monotonic() - started, "megabytes": (getrusage(RUSAGE_SELF).ru_maxrss - memory) / 1000}
    most = {name: max(most[name], one[name]) for name in most}
print(json.dumps([good, most]))
"""


def readable(folder, files):
    """Write the files; which of them `read_image` reads. The others it refuses by name, soon, and without much memory."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    done = subprocess.run([sys.executable, "-c", READ, folder], capture_output=True, text=True, timeout=600, cwd=folder.parent)
    assert done.returncode == 0 and done.stderr == "", f"not a word of Pillow's, and no crash: {done.stderr}"
    good, most = json.loads(done.stdout)
    assert all(most[name] <= MOST[name] for name in MOST), most
    return set(good) & files.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as Windows does not")
@pytest.mark.parametrize("seed", range(40 if LONG else 1))
def test_each_file_is_a_picture_or_an_error_that_names_it_alone_in_a_folder_and_in_a_zip(tmp_path, seed):
    files = corpus(240, seed)
    good = readable(photos(tmp_path / "set", a=16, b=16) / "b", files)
    assert {name for name in files if " whole " in name} <= good and 40 < len(good) < 200
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        for file in sorted((tmp_path / "set").rglob("*.*")):
            packed.write(file, file.relative_to(tmp_path))
    bad = files.keys() - good
    for source in (tmp_path / "set", tmp_path / "set.zip"):
        skipped = [note for note in open_small(source, on_bad="skip").notes if note.startswith("skipped")]
        assert len(skipped) == len(bad) and all(any(name in note for note in skipped) for name in bad)
        with pytest.raises(ValueError, match=f"{len(bad)} of the {len(files) + 32} images in .* can't be used"):
            open_small(source)
    assert not list(tmp_path.rglob("code ran"))


def test_what_is_sent_to_the_camera_or_the_served_page_is_answered_or_refused_in_words(tmp_path):
    classifier = fitted(short(FEATURE_EXTRACTION)).classifier
    camera, page = Camera(["a", "b"], tmp_path), Page(lambda data: classifier.predict(io.BytesIO(data)), "x")
    camera._predict, camera.widget.classes = classifier.predict, classifier.classes
    page.close()
    for name, data in FILES.items():
        status, text, _ = page._said(data)
        said = camera._answer(data)
        assert status == 200 and "shares" in said or status == 422 and "ValueError" in said["trouble"], (name, text)
        camera._heard(None, {"kind": "frame", "label": 0, "press": name}, [memoryview(data)])
    assert {file.read_bytes()[:2] for file in (tmp_path / "a").iterdir()} == {b"\xff\xd8"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among its files")
def test_what_waits_for_a_writer_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe.png: .*not a file"):
        read_image(tmp_path / "pipe.png", 8)
