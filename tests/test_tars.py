"""A tar of images is unpacked with the same promises as a zip: safely, or not at all."""

import gzip
import io
import os
import stat
import tarfile

import pytest
from hostile import refused
from photos import open_small, parts, photos

from helpers.data import partfiles
from helpers.images.unpacking import image_folder, unpack

PLAIN = {"jpg/1.jpg": b"one" * 500, "jpg/2.jpg": b"two" * 700}


def tar(path, files=PLAIN, extra=(), mode="w:gz", **settings):
    with tarfile.open(path, mode, **settings) as out:
        for name, content in files.items():
            out.addfile(entry(name, size=len(content)), io.BytesIO(content))
        for info in extra:
            out.addfile(info)
    return path


def entry(name, **about):
    info = tarfile.TarInfo(name)
    for field, value in about.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_usual_tar_is_unpacked_with_long_names_and_folders(tmp_path, mode, form):
    deep = "/".join(["folder"] * 12) + "/" + "n" * 90 + ".jpg"
    files = PLAIN | {"./here.jpg": b"", deep: b"deep"} | ({} if form == tarfile.USTAR_FORMAT else {"ä" * 60 + ".jpg": b"umlauts"})
    path = tar(tmp_path / "x.tar", files, [entry("jpg", type=tarfile.DIRTYPE)], mode, format=form)
    place = unpack(path, tmp_path / "out")
    found = {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()}
    assert found == {name.removeprefix("./"): content for name, content in files.items()}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_a_tar_of_class_folders_is_a_task_and_has_its_name(tmp_path, ending):
    folder, path = photos(tmp_path / "birds", wren=9, robin=9), tmp_path / f"my birds.{ending}"
    with tarfile.open(path, "w" if ending == "tar" else "w:gz") as out:
        out.add(folder, ".")
    packed, plain = open_small(path), open_small(folder)
    assert packed.classes == plain.classes and packed.name == "my birds"
    for part, split in parts(plain).items():
        assert (parts(packed)[part].pixels == split.pixels).all()
    assert image_folder(path) == image_folder(path)


OUTSIDE = ["../evil.jpg", "a/../../evil.jpg", "/evil.jpg", "\\evil.jpg", "a\\..\\..\\evil.jpg", "C:/evil.jpg", "C:evil.jpg"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leaves_the_folder(tmp_path, name):
    refused(tar(tmp_path / "x.tgz", PLAIN | {name: b"x"}), "outside its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"])
def test_links_devices_and_unknown_kinds_are_refused(tmp_path, kind):
    extra = entry("jpg/3.jpg", type=kind, linkname="1.jpg", devmajor=1, devminor=3)
    refused(tar(tmp_path / "x.tgz", extra=[extra]), "is a link or a device, not a file")


def test_a_link_and_then_a_file_through_it_is_refused_before_either_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tar(tmp_path / "x.tar", {}, [entry("d", type=tarfile.SYMTYPE, linkname="../elsewhere")], "w")
    with tarfile.open(link, "a") as out:
        out.addfile(entry("d/evil.jpg", size=1), io.BytesIO(b"x"))
    refused(link, "link or a device")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_rights_owners_and_times_in_a_tar_are_not_taken_over(tmp_path):
    bold = entry("run.jpg", mode=0o6777, uid=0, gid=0, uname="root", mtime=1)
    file = unpack(tar(tmp_path / "x.tgz", extra=[bold]), tmp_path / "out") / "run.jpg"
    about, usual = file.stat(), (tmp_path / "x.tgz").stat()
    assert about.st_mtime > 1 and about.st_uid == usual.st_uid
    if os.name == "posix":
        assert stat.S_IMODE(about.st_mode) == stat.S_IMODE(usual.st_mode)


def test_the_same_name_twice_and_a_file_that_is_also_a_folder_are_refused(tmp_path):
    refused(tar(tmp_path / "x.tgz", PLAIN | {"JPG/1.JPG": b"x"}), "one file on some systems")
    refused(tar(tmp_path / "x.tgz", PLAIN | {"jpg": b"x"}), "'jpg' in it is a file, and a folder of other files")


def test_bounds_on_bytes_and_files_hold(tmp_path):
    path = tar(tmp_path / "x.tgz")
    refused(path, "3,600 bytes unpacked, more than 3,599", max_bytes=3599)
    refused(path, "holds 2 files, more than 1", max_files=1)
    assert unpack(path, tmp_path / "out", 3600, 2).is_dir()


def test_a_bomb_is_given_up_long_before_it_is_unpacked(tmp_path, monkeypatch):
    counted, plain = [], gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: counted.append(plain(self, size)) or counted[-1])
    huge = entry("jpg/huge.jpg", size=10**12)
    with gzip.open(tmp_path / "huge.tgz", "wb") as out:
        out.write(huge.tobuf(tarfile.GNU_FORMAT) + bytes(6_000_000))
    refused(tmp_path / "huge.tgz", "would take 1,000,000,000,000 bytes unpacked")
    with gzip.open(tmp_path / "header.tgz", "wb") as out:  # a name of 6 MB
        out.write(entry("x", type=tarfile.GNUTYPE_LONGNAME, size=6_000_000).tobuf(tarfile.GNU_FORMAT) + bytes(6_000_000))
    refused(tmp_path / "header.tgz", "a header in it is senseless")
    with gzip.open(tmp_path / "folders.tgz", "wb") as out:
        out.write(entry("d", type=tarfile.DIRTYPE).tobuf() * 5000)
    refused(tmp_path / "folders.tgz", "senseless", max_files=10)
    with gzip.open(tmp_path / "after.tgz", "wb") as out:  # much behind its end
        out.write(gzip.decompress(tar(tmp_path / "x.tgz").read_bytes()) + bytes(6_000_000))
    refused(tmp_path / "after.tgz", "much longer than its files", max_bytes=10_000, max_files=2)
    assert sum(map(len, counted)) < 2_000_000


def test_negative_sizes_do_not_send_it_round_in_circles(tmp_path):
    for kind in (tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SYMTYPE):
        header = bytearray(entry("jpg/1.jpg", type=kind).tobuf(tarfile.GNU_FORMAT))
        header[124:136] = (-512 % (1 << 96)).to_bytes(12, "big")
        header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
        (tmp_path / "x.tar").write_bytes(bytes(header) * 2 + bytes(1024))
        refused(tmp_path / "x.tar", "is damaged|is a link")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_short_anywhere_is_refused(tmp_path, mode):
    path = tar(tmp_path / "x.tar", mode=mode)
    whole = path.read_bytes() if mode == "w:gz" else path.read_bytes()[: 512 * (1 + 3 + 1 + 3)]  # without the zeros at its end
    for length in (100, 512, 1100, 2048, len(whole) - 1, len(whole) - (mode == "w:gz")):
        (tmp_path / "cut").mkdir(exist_ok=True)
        path = tmp_path / "cut/x.tar"
        path.write_bytes(whole[:length])
        if length >= len(whole) and mode == "w:gz":
            continue
        refused(path, "is damaged|File is not a zip")


def test_flipped_bits_are_found_by_the_checksums_of_headers_and_gzip(tmp_path):
    path = tar(tmp_path / "x.tgz")
    whole = path.read_bytes()
    for place in (len(whole) // 2, len(whole) - 6):  # the content; its checksum
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        refused(path, "is damaged")
    path = tar(tmp_path / "y.tar", mode="w")
    data = bytearray(path.read_bytes())
    data[2048 + 3] ^= 1  # in the second header
    path.write_bytes(data)
    refused(path, "is damaged")


def test_what_only_looks_like_a_tar_is_refused(tmp_path):
    (tmp_path / "x.tgz").write_bytes(gzip.compress(b"no tar" * 500))
    refused(tmp_path / "x.tgz", "is damaged")
    (tmp_path / "y.tgz").write_bytes(b"\x1f\x8b")
    refused(tmp_path / "y.tgz", "is damaged")


def test_too_little_room_is_said_before_with_how_much_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(partfiles, "_free", lambda folder: 3599)
    with pytest.raises(OSError, match="needed are 3,600 bytes, free are 3,599 bytes.*COURSE_CACHE"):
        unpack(tar(tmp_path / "x.tgz"), tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["x.tgz"]


def test_an_interrupted_unpacking_leaves_nothing_and_a_second_one_finds_the_first(tmp_path, monkeypatch):
    path, written = tar(tmp_path / "x.tgz"), []

    def interrupted(*args):
        written.append(args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("helpers.images.unpacking._write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack(path, tmp_path / "out")
    assert written and [file.name for file in tmp_path.iterdir()] == ["x.tgz"]
    place = unpack(path, tmp_path / "out")
    path.unlink()
    assert unpack(path, tmp_path / "out") == place
