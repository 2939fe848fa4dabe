"""What a phone gives: HEIC, pictures on their side, Live Photos, odd names; and folders of many files."""

import errno
import io
import os
import shutil
import sys
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from photos import inspect, open_small, parts, photos, refused, write_pictures
from PIL import Image
from standins import fill_cache
from test_decoding import assert_quadrants, png, quadrants, stored

import helpers as h
from helpers.data.downloads import Offline
from helpers.images.decoding import picture_size, read_image, readers, shown, why_undecodable
from helpers.images.folders import find_images
from helpers.images.published import image_folder
from helpers.images.tasks import Files

heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra heic")


def as_heic(picture, orientation=1, **settings):
    """The bytes of a HEIC file; with an orientation, as phones write it: in EXIF, and as irot and imir of the format."""
    heif.register_heif_opener()
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture.save(out, "HEIF", exif=exif.tobytes(), quality=90, **settings)
    return out.getvalue()


@pytest.fixture(scope="module")
def heic():
    """A HEIC file of 64 x 64 pixels, stored as it is shown."""
    return as_heic(quadrants())


def without_heif(monkeypatch):
    """As if pillow-heif were not installed."""
    heif.register_heif_opener()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    for ending in (".heic", ".heif", ".hif", ".heics", ".heifs"):
        monkeypatch.delitem(Image.EXTENSION, ending, raising=False)


# HEIC


def test_heic_is_turned_upright_exactly_once_by_its_own_rotation_and_not_by_that_of_exif(heic):
    for orientation in range(1, 9):
        content = as_heic(stored(orientation), orientation)
        assert (b"irot" in content or b"imir" in content) == (orientation > 1)
        assert_quadrants(read_image(io.BytesIO(content), 64), within=14)
    lying = bytearray(heic)
    lying[heic.index(b"\x01\x12\x00\x03\x00\x00\x00\x01\x00") + 9] = 6
    assert_quadrants(read_image(io.BytesIO(lying), 64), within=14)


def test_heic_may_have_10_bits_or_be_a_burst_or_transparent_or_called_jpg(tmp_path, heic, monkeypatch):
    monkeypatch.setattr(heif.options, "SAVE_HDR_TO_12_BIT", False)
    deep = np.asarray(quadrants()).astype(np.uint16) * 257
    heif.from_bytes("RGB;16", (64, 64), deep.tobytes()).save(tmp_path / "deep.heic", quality=95)
    assert heif.open_heif(tmp_path / "deep.heic", convert_hdr_to_8bit=False).info["bit_depth"] == 10
    burst = heif.HeifFile()
    for picture in (Image.new("RGB", (64, 64), "black"), quadrants(), Image.new("RGB", (64, 64), "white")):
        burst.add_from_pillow(picture)
    burst.save(tmp_path / "burst.heic", primary_index=1, quality=90)  # the one that the phone shows
    (tmp_path / "sent.jpg").write_bytes(heic)
    for name in ("deep.heic", "burst.heic", "sent.jpg"):
        assert_quadrants(read_image(tmp_path / name, 64), within=14)
    clear = quadrants().convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.heic")
    assert read_image(tmp_path / "clear.heic", 8).min() > 250


def test_a_cut_heic_is_refused_by_name_and_not_taken_for_one_that_needs_a_package(tmp_path, heic):
    for kept in (0.02, 0.9):
        (tmp_path / "a.heic").write_bytes(heic[: int(kept * len(heic))])
        with pytest.raises(ValueError, match=r"a\.heic: cannot be decoded .* Replace it(?!.*pip install)"):
            read_image(tmp_path / "a.heic", 16)


def test_without_its_package_each_heic_is_named_with_the_command_that_helps_and_read_once_it_is_there(tmp_path, heic):
    photos(tmp_path / "p", a=8, b=8)
    for name in ("a/IMG_1.HEIC", "b/sent.jpg"):
        (tmp_path / "p" / name).write_bytes(heic)
    (tmp_path / "p/a/cut.HEIC").write_bytes(heic[:200])
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_heif(monkeypatch)
        assert "pillow-heif None" in readers()
        with pytest.raises(ValueError, match="3 of the 19 images") as caught:
            open_small(tmp_path / "p")
        for name in ("a/IMG_1.HEIC", "a/cut.HEIC", "b/sent.jpg"):
            (line,) = [line for line in str(caught.value).splitlines() if name in line]
            assert "a HEIC picture" in line and line.endswith("pip install pillow-heif")
        report = inspect(tmp_path / "p")
        assert report.problems.problem.str.contains("pip install pillow-heif").sum() == 3
        assert report.findings[0].startswith("3 HEIC pictures can't be decoded: a/IMG_1.HEIC")
        assert report.findings[0].endswith("pip install pillow-heif")
        with pytest.raises(ValueError, match="pip install pillow-heif"):
            read_image(io.BytesIO(heic), 8)  # an upload
    (tmp_path / "p/a/cut.HEIC").unlink()
    (tmp_path / "p/b/sent.jpg").unlink()
    assert sum(map(len, parts(open_small(tmp_path / "p")).values())) == 17, "in the same session"


def test_files_are_known_by_their_first_bytes():
    heads = {"web page": b"\n <!DOCTYPE HTML>", "AVIF": b"\0\0\0\x1cftypavif", "HEIC": b"\0\0\0\x1cftypheic", "empty": b""}
    assert all(words in why_undecodable(head, [])[0] for words, head in heads.items())
    assert "pip install -U pillow" in why_undecodable(heads["AVIF"], [])[1]
    assert "cut off" in why_undecodable(heads["AVIF"], ["AVIF"])[0]
    assert picture_size(io.BytesIO(b"no picture")) == (0, 0)


# What lies in the folders of a phone


def phone(root, heic):
    """Two classes as a phone's export has them: movies beside pictures, folders by date, what systems leave behind."""
    photos(root, robin=4, wren=9, __MACOSX=2, **{".ipynb_checkpoints": 2})
    photos(root / "robin/2024", seed=1, **{"05": 5})
    for name in ("robin/IMG_1.MOV", "robin/2024/05/IMG_2.mov", "robin/IMG_1.AAE", "wren/._0.png", "wren/Thumbs.db", "list.txt"):
        (root / name).write_bytes(b"\0\0\0\x14ftypqt  ")
    (root / "robin/IMG_1.HEIC").write_bytes(heic)
    for name in ("wren/@eaDir/IMG_9.JPG", "wren/folder.png", "empty"):
        (root / name).mkdir(parents=True)
    shutil.copyfile(root / "wren/0.png", root / "wren/@eaDir/IMG_9.JPG/SYNOPHOTO_THUMB_S.jpg")
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (60, 28, 3), np.uint8)).save(root / "wren/Screenshot_20240517.PNG")
    return root


def test_a_phones_folder_and_its_zip_are_opened_and_what_is_no_picture_is_noted(tmp_path, heic):
    classes, notes = find_images(phone(tmp_path / "birds", heic))
    assert {name: len(files) for name, files in classes.items()} == {"robin": 10, "wren": 10}
    assert "robin/2024/05/3.png" in classes["robin"] and not [file for file in classes["wren"] if "eaDir" in file]
    five = "empty, list.txt, robin/2024/05/IMG_2.mov, robin/IMG_1.AAE, robin/IMG_1.MOV"
    assert notes == [f"ignored, as not an image: 6 entries ({five} and 1 more)"]
    report = inspect(shutil.make_archive(tmp_path / "birds", "zip", tmp_path, "birds"))
    assert report.table.usable.tolist() == [10, 10] and report.problems.empty and "IMG_1.MOV" in report.findings[-1]
    task = open_small(tmp_path / "birds.zip")
    assert task.classes == ["robin", "wren"] and sum(map(len, parts(task).values())) == 20


def test_folders_within_classes_belong_to_them_and_are_named_where_they_might_be_classes(tmp_path):
    for name in ("cat", "dog"):
        photos(tmp_path / "p" / name / "2024", seed=ord(name[0]), **{"05": 4})
    assert find_images(tmp_path / "p")[0].keys() == {"cat", "dog"} and not find_images(tmp_path / "p")[1]
    photos(tmp_path / "q" / "birds", robin=3, wren=3)
    photos(tmp_path / "q", seed=1, cats=6)
    (note,) = open_small(tmp_path / "q").notes
    assert note.startswith("all pictures of 'birds' are in folders within it (robin, wren)")


@pytest.mark.parametrize("names", [("Cats", "cats"), ("H\xe4her", unicodedata.normalize("NFD", "H\xe4her")), ("a", "a ")])
def test_class_folders_that_differ_in_how_they_are_written_are_refused(tmp_path, names):
    photos(tmp_path / "p", **dict(zip(names, (3, 4), strict=True)), other=3)
    if len(os.listdir(tmp_path / "p")) < 3:
        pytest.skip("on this disk they are one folder")
    refused(tmp_path / "p", "3 pictures", "4 pictures", "If they are one class")


def test_pictures_beside_the_class_folders_are_counted(tmp_path):
    photos(tmp_path / "p", a=4, b=4)
    write_pictures(tmp_path / "p", np.random.default_rng(9), 2, "loose")
    assert open_small(tmp_path / "p").notes == ["left out, as they are in no class folder: 2 pictures (loose0.png, loose1.png)"]


def test_links_in_circles_and_to_nowhere_do_no_harm(tmp_path):
    photos(tmp_path / "p", a=4, b=4)
    try:
        (tmp_path / "p/a/round").symlink_to(tmp_path / "p")
        (tmp_path / "p/c").symlink_to(tmp_path / "p/b")
        (tmp_path / "p/a/nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
        (tmp_path / "p/a/itself.jpg").symlink_to(tmp_path / "p/a/itself.jpg")
        (tmp_path / "p/b/another.png").symlink_to(tmp_path / "p/b/0.png")
    except OSError:
        pytest.skip("this system lets nobody make links")
    task = open_small(tmp_path / "p")
    assert task.classes == ["a", "b"] and sum(map(len, parts(task).values())) == 8
    said = " ".join(task.notes)
    assert all(name in said for name in ("a/itself.jpg", "a/nowhere.jpg", "a/round", "c"))
    assert "b/0.png = b/another.png" in said or "b/another.png = b/0.png" in said


def test_a_folder_that_may_not_be_opened_is_named_and_nothing_is_left_out_in_silence(tmp_path, monkeypatch):
    photos(tmp_path / "p/a", secret=3)
    photos(tmp_path / "p", b=4)
    scandir = os.scandir

    def forbidden(folder):  # chmod does not stop an administrator, who may run the tests
        if Path(folder).name == "secret":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", forbidden)
    refused(tmp_path / "p", "secret may not be opened (Permission denied)", error=PermissionError)


def test_names_with_umlauts_emoji_and_line_ends_are_kept_and_shown_on_one_line(tmp_path):
    photos(tmp_path / "p", **{"Häher 🐦": 5, "猫": 5})
    (tmp_path / "p/猫/page.jpg").write_text("<html>")
    names = ["Grüße 👩\u200d🚀.png"]
    if os.name == "posix":
        names += ["two\nlines.png"] + ([os.fsdecode(b"\xff\xe9.png")] if sys.platform == "linux" else [])
    for number, name in enumerate(names):
        shutil.copyfile(tmp_path / f"p/猫/{number}.png", tmp_path / "p/猫" / name)
    report = inspect(tmp_path / "p")
    assert report.table.index.tolist() == ["Häher 🐦", "猫"] and len(report.groups("same")) == len(names)
    for text in (repr(report), report._repr_html_(), str(open_small(tmp_path / "p", on_bad="skip").notes)):
        text.encode()
        assert "two\nlines" not in text
    assert report.sheet() and report.sheet(report.groups()[0])
    assert shown("Grüße 👩\u200d🚀\n\udcff") == "Grüße 👩\u200d🚀\\n\\udcff"


class Unsaid(zipfile.ZipInfo):
    """A file in a zip as macOS and iOS write it: its name in UTF-8, without the flag that says so."""

    def _encodeFilenameFlags(self):
        return self.filename.encode(), self.flag_bits & ~0x800


def test_names_in_zips_of_macos_and_ios_are_read_as_utf8(tmp_path):
    names = unicodedata.normalize("NFD", "Häher"), "Zaunkönig"
    photos(tmp_path / "p", **dict.fromkeys(names, 4))
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as zipped:
        for name in names:
            for number in range(4):
                zipped.writestr(Unsaid(f"{name}/{number}.png"), (tmp_path / "p" / name / f"{number}.png").read_bytes())
    classes, _ = find_images(image_folder(tmp_path / "mac.zip", tmp_path / "cache"))
    assert {unicodedata.normalize("NFC", name) for name in classes} == {"Häher", "Zaunkönig"}


def test_the_name_of_a_task_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill_cache(tmp_path / "cache", "hotdog")
    photos(tmp_path, hotdog=3, flowers=3)
    photos(tmp_path / "hotdog", a=5, b=5)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    files = Files(tmp_path / "cache")
    assert len(h.inspect_images("hotdog", 8, files=files).files) == 32
    for mine in ("./hotdog", Path("hotdog")):
        assert h.inspect_images(mine, 8, files=files).table.index.tolist() == open_small(mine).classes == ["a", "b"]
    with pytest.raises(ValueError, match=r"'flowers' is the name of a task.*write '\./flowers'"):
        image_folder("flowers", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(Offline, match="hotdog"):
        image_folder("hotdog", tmp_path / "cache")


# Large pictures, and many


def test_very_large_panoramas_are_reported_without_warnings(tmp_path, recwarn):
    photos(tmp_path / "p", a=3, b=3)
    for name, height in (("large", 16_000), ("huge", 32_000)):  # Pillow warns of the first and refuses the second
        (tmp_path / f"p/a/{name}.png").write_bytes(png(6000, height, 8, 2, [b""]))
    report = inspect(tmp_path / "p")
    assert not recwarn.list
    assert list(report.problems.file) == ["a/huge.png", "a/large.png"]
    assert report.problems.problem.str.contains("too large").all() and "max_pixels" in report.findings[0]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """600 files in 50 classes."""
    root = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for number in range(600):
        place = root / "p" / f"kind {number % 50:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(place / f"{number}.jpg")
    return root


def test_each_file_is_read_once_and_from_then_on_not_at_all(many, monkeypatch):
    read, real = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or real(path))
    for _ in range(2):
        inspect(many / "p", 16)
    h.open_task(many / "p", 2, size=16, files=Files(many / "cache"))
    assert len([path for path in read if path.suffix == ".jpg"]) == len(set(read)) == 600


def test_table_and_sheet_of_fifty_classes_are_bounded(many):
    report = inspect(many / "p", 16)
    assert len(report.table) == 50
    assert "26 more lie between: see .table" in repr(report)
    assert report._repr_html_().count("<tr") == 26  # with that of headings, and that of those between
    assert report.sheet().get_size_inches()[1] < 30
