"""A zip of images is unpacked safely, or refused with a reason and without a trace."""

import stat
import zipfile

import pytest
from hostile import refused
from photos import open_small, parts, photos

from helpers.images.unpacking import image_folder, unpack


def archive(path, files=None, links=(), method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as zipped:
        for name, content in (files or {}).items():
            zipped.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            zipped.writestr(info, "../../secret")
    return path


def zip_of(folder, path, below=""):
    with zipfile.ZipFile(path, "w") as zipped:
        for file in sorted(folder.rglob("*.png")):
            zipped.write(file, f"{below}{file.relative_to(folder)}")
    return path


def test_a_zip_is_a_task_like_the_folder_that_it_was_made_of(tmp_path):
    folder = photos(tmp_path / "birds", wren=9, robin=9)
    for below in ("", "birds/", "from Ana/birds/"):
        path = zip_of(folder, tmp_path / f"{len(below)}.zip", below)
        zipped, plain = open_small(path), open_small(folder)
        for part, split in parts(plain).items():
            assert (parts(zipped)[part].pixels == split.pixels).all()
        assert zipped.classes == plain.classes


def test_what_systems_put_beside_the_pictures_stays_in_the_zip(tmp_path):
    junk = {"a/.DS_Store": b"x", "__MACOSX/a/._1.png": b"x", "a/._1.png": b"x", "a/1.png": b"picture", "b/": b""}
    place = unpack(archive(tmp_path / "x.zip", junk), tmp_path / "out")
    assert [file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()] == ["a/1.png"]


def test_a_zip_is_unpacked_once_and_anew_when_it_has_changed(tmp_path):
    path = zip_of(photos(tmp_path / "p", a=3, b=3), tmp_path / "p.zip")
    first = image_folder(path, tmp_path / "cache")
    assert image_folder(path, tmp_path / "cache") == first
    zip_of(photos(tmp_path / "p", a=4, b=4), path)
    second = image_folder(path, tmp_path / "cache")
    assert second != first and second.name == first.name == "p" and not first.exists()


OUTSIDE = ["../evil.png", "a/../../evil.png", "/evil.png", "\\evil.png", "a\\..\\..\\evil.png", "C:/evil.png", "C:evil.png"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leaves_the_folder(tmp_path, name):
    path = archive(tmp_path / "x.zip", {"a/1.png": b"x"})
    with zipfile.ZipFile(path, "a") as zipped:
        info = zipfile.ZipInfo("a/2.png")
        info.filename = name  # as it stands in the file: ZipInfo itself would mend a part of them
        zipped.writestr(info, b"x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="outside its folder"):
        unpack(path, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_links_are_refused(tmp_path):
    refused(archive(tmp_path / "x.zip", {"a/1.png": b"x"}, links=["a/link.png"]), "a link or a device")


def test_more_bytes_than_allowed_are_refused_before_they_are_written(tmp_path):
    refused(archive(tmp_path / "x.zip", {"a/1.png": bytes(10_000)}), "10,000 bytes unpacked, more than 9,999", max_bytes=9_999)


def test_a_zip_that_lies_about_its_size_is_refused_too(tmp_path):
    path = archive(tmp_path / "x.zip", {"a/1.png": bytes(50_000)})
    data = path.read_bytes()
    assert data.count((50_000).to_bytes(4, "little")) == 2  # in the file's own header and in the list at the end
    path.write_bytes(data.replace((50_000).to_bytes(4, "little"), (500).to_bytes(4, "little")))
    refused(path, "damaged|larger than it says", max_bytes=1000)


def test_too_many_files_are_refused(tmp_path):
    refused(archive(tmp_path / "x.zip", {f"a/{i}.png": b"" for i in range(11)}), "holds 11 files, more than 10", max_files=10)


def test_names_that_would_be_one_file_on_some_systems_are_refused(tmp_path):
    refused(archive(tmp_path / "x.zip", {"a/1.png": b"x", "A/1.PNG": b"y"}), "one file on some systems")


def test_a_password_is_said_to_be_one(tmp_path):
    path = archive(tmp_path / "x.zip", {"a/1.png": b"x"}, method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    refused(path, "has a password")


def test_a_damaged_zip_is_refused(tmp_path):
    path = archive(tmp_path / "x.zip", {"a/1.png": bytes(range(256)) * 40}, method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    refused(path, "is damaged")


def test_what_is_no_zip_and_what_is_not_there(tmp_path):
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match="neither a folder nor a zip"):
        image_folder(tmp_path / "x.rar")
    with pytest.raises(FileNotFoundError, match="no folder and no zip"):
        image_folder(tmp_path / "gone.zip")
