"""Try the decoder of pictures and the reader of archives on files that a fuzzer makes up, for a bounded time.

    python tools/fuzz.py pictures 600        ten minutes; "archives" is the other one

The fuzzer is atheris, which has to be installed (`pip install atheris`; Linux only). It starts from
the hostile files of the tests, watches which lines of Pillow, zipfile and ours each file reaches, and changes files so that
they reach more. A crash, ten seconds or 2 GB for one file, or an error that does not name the file ends the run, and the file
is kept in build/fuzz.
"""

import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / "build/fuzz"
sys.path += [str(ROOT), str(ROOT / "tests")]

with atheris.instrument_imports(include=["PIL", "zipfile", "tarfile", "helpers.images.decoding", "helpers.images.archives"]):
    from helpers.images.archives import unpack
    from helpers.images.decoding import read_image

from hostile import DAMAGE, corpus  # noqa: E402


def pictures(folder: Path, data: bytes) -> None:
    """A picture of the right shape, or an error that names the file."""
    file = folder / "input.png"
    file.write_bytes(data)
    try:
        assert read_image(file, 8).shape == (3, 8, 8)
    except ValueError as error:
        assert file.name in str(error), error


def archives(folder: Path, data: bytes) -> None:
    """An unpacked folder, or an error that names the archive; nothing is written beside the folder."""
    file, into = folder / "input.zip", folder / "unpacked"
    file.write_bytes(data)
    try:
        unpack(file, into, max_bytes=1_000_000, max_files=200)
    except (ValueError, OSError) as error:
        assert file.name in str(error), error
    shutil.rmtree(into, ignore_errors=True)
    assert [path.name for path in folder.iterdir()] == [file.name]


def seeds(kind: str, folder: Path) -> None:
    """Write what the fuzzer starts from: the tests' hostile pictures, or zips of some of them, whole and damaged."""
    rng, files = random.Random(0), corpus(400)
    for number, (name, data) in enumerate(files.items()):
        path = folder / f"{number:03d}"
        path.write_bytes(data)
        if kind == "archives":
            with zipfile.ZipFile(path, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as packed:
                packed.writestr(f"set/{rng.choice('ab')}/{name}", data[:2000])
            path.write_bytes(DAMAGE[rng.choice([*DAMAGE])](path.read_bytes(), rng))


if __name__ == "__main__":
    kind, seconds = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder, start = Path(place) / "work", Path(place) / "seeds"
        folder.mkdir()
        start.mkdir()
        seeds(kind, start)
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2000", "-max_len=20000", "-seed=1"]
        tried = {"pictures": pictures, "archives": archives}[kind]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={FOUND}/", str(start)], lambda data: tried(folder, data))
        atheris.Fuzz()
