"""A zip or tar of images is unpacked safely, or refused with a reason and without a trace."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest
from photos import open_small, parts, photos

from helpers.data import files
from helpers.images import archives
from helpers.images.archives import unpack
from helpers.images.published import image_folder

PLAIN = {"jpg/1.jpg": b"one" * 500, "jpg/2.jpg": b"two" * 700}


def make_zip(path, members=PLAIN, links=(), method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as out:
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method  # as it is: ZipInfo itself would repair some names
            out.writestr(info, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            out.writestr(info, "../../secret")
    return path


def make_tar(path, members=PLAIN, extra=(), mode="w:gz", **settings):
    with tarfile.open(path, mode, **settings) as out:
        for name, content in members.items():
            out.addfile(entry(name, size=len(content)), io.BytesIO(content))
        for info in extra:
            out.addfile(info)
    return path


def entry(name, **about):
    info = tarfile.TarInfo(name)
    for field, value in about.items():
        setattr(info, field, value)
    return info


def refused(path, words, error=ValueError, **settings):
    """An archive is refused with these words and its name, and leaves nothing behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(error, match=words) as caught:
        unpack(path, path.parent / "out", **settings)
    assert str(path if error is ValueError else path.parent) in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before, "something was left behind"


def unpacked(path):
    place = unpack(path, path.parent / "out")
    return {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()}


both = pytest.mark.parametrize("make", [make_zip, make_tar])


# --- as it should be ---


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_usual_tar_is_unpacked_with_long_names_and_folders(tmp_path, form):
    deep = "/".join(["folder"] * 12) + "/" + "n" * 90 + ".jpg"
    members = PLAIN | {"./here.jpg": b"", deep: b"deep"}
    if form != tarfile.USTAR_FORMAT:
        members["ä" * 60 + ".jpg"] = b"umlauts"
    path = make_tar(tmp_path / "x.tar", members, [entry("jpg", type=tarfile.DIRTYPE)], format=form)
    assert unpacked(path) == {name.removeprefix("./"): content for name, content in members.items()}


@pytest.mark.parametrize("ending, below", [("zip", ""), ("zip", "from Ana/birds/"), ("tar", ""), ("tar.gz", "from Ana/birds/")])
def test_an_archive_of_class_folders_is_a_task_and_has_its_name(tmp_path, ending, below):
    folder, path = photos(tmp_path / "birds", wren=9, robin=9), tmp_path / f"my birds.{ending}"
    members = {f"{below}{file.relative_to(folder).as_posix()}": file.read_bytes() for file in sorted(folder.rglob("*.png"))}
    make_zip(path, members) if ending == "zip" else make_tar(path, members, mode="w" if ending == "tar" else "w:gz")
    packed, plain = open_small(path), open_small(folder)
    assert packed.classes == plain.classes and packed.name == ("birds" if below else "my birds")
    for part, split in parts(plain).items():
        assert (parts(packed)[part].pixels == split.pixels).all()


@both
def test_what_systems_put_beside_the_pictures_is_left_out(tmp_path, make):
    junk = {"a/.DS_Store": b"x", "__MACOSX/a/._1.png": b"x", "a/._1.png": b"x", "a/1.png": b"picture"}
    assert unpacked(make(tmp_path / "x", junk)) == {"a/1.png": b"picture"}


def test_a_zip_is_unpacked_once_and_again_when_it_has_changed_and_nothing_else_is_taken_for_one(tmp_path):
    path = make_zip(tmp_path / "p.zip", {"a/1.png": b"1", "b/1.png": b"2"})
    first = image_folder(path, tmp_path / "cache")
    assert image_folder(path, tmp_path / "cache") == first
    make_zip(path, {"a/1.png": b"1", "b/1.png": b"2", "b/2.png": b"3"})
    second = image_folder(path, tmp_path / "cache")
    assert second != first and second.name == first.name == "p" and not first.exists()
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match="neither a folder nor a zip"):
        image_folder(tmp_path / "x.rar")
    with pytest.raises(FileNotFoundError, match="no folder and no zip"):
        image_folder(tmp_path / "gone.zip")


def test_rights_owners_and_times_in_a_tar_are_not_taken_over(tmp_path):
    bold = entry("run.jpg", mode=0o6777, uid=0, gid=0, uname="root", mtime=1)
    file = unpack(make_tar(tmp_path / "x.tgz", extra=[bold]), tmp_path / "out") / "run.jpg"
    about, usual = file.stat(), (tmp_path / "x.tgz").stat()
    assert about.st_mtime > 1 and about.st_uid == usual.st_uid
    if os.name == "posix":
        assert stat.S_IMODE(about.st_mode) == stat.S_IMODE(usual.st_mode)


# --- hostile ---

OUTSIDE = ["a/../../evil.jpg", "/evil.jpg", "\\evil.jpg", "a\\..\\..\\evil.jpg", "C:evil.jpg"]


@both
@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leaves_the_folder(tmp_path, make, name):
    refused(make(tmp_path / "x", PLAIN | {name: b"x"}), "outside its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"Z"])
def test_links_devices_and_unknown_kinds_are_refused(tmp_path, kind):
    extra = entry("jpg/3.jpg", type=kind, linkname="1.jpg", devmajor=1, devminor=3)
    refused(make_tar(tmp_path / "x.tgz", extra=[extra]), "is a link or a device, not a file")


def test_links_in_a_zip_and_a_file_through_a_link_are_refused_before_either_is_written(tmp_path):
    refused(make_zip(tmp_path / "x.zip", links=["a/link.png"]), "a link or a device")
    (tmp_path / "elsewhere").mkdir()
    link = entry("d", type=tarfile.SYMTYPE, linkname="../elsewhere")
    refused(make_tar(tmp_path / "x.tar", {}, [link, entry("d/evil.jpg")], "w"), "link or a device")


@both
def test_names_that_would_be_one_file_are_refused(tmp_path, make):
    refused(make(tmp_path / "x", PLAIN | {"JPG/1.JPG": b"x"}), "one file on some systems")
    refused(make(tmp_path / "x", PLAIN | {"jpg": b"x"}), "in a folder that is a file, too")


@both
def test_bounds_on_bytes_and_files_hold(tmp_path, make):
    path = make(tmp_path / "x")
    refused(path, "3,600 bytes unpacked, more than 3,599", max_bytes=3599)
    refused(path, "holds 2 files, more than 1", max_files=1)
    assert unpack(path, tmp_path / "out", 3600, 2).is_dir()


def test_a_zip_that_lies_about_its_size_is_refused_and_a_password_is_said_to_be_one(tmp_path):
    data = make_zip(tmp_path / "x.zip", {"a/1.png": bytes(50_000)}).read_bytes()
    assert data.count((50_000).to_bytes(4, "little")) == 2  # in the file's own header and in the list at the end
    (tmp_path / "x.zip").write_bytes(data.replace((50_000).to_bytes(4, "little"), (500).to_bytes(4, "little")))
    refused(tmp_path / "x.zip", "damaged", max_bytes=1000)
    data = bytearray(make_zip(tmp_path / "x.zip", method=zipfile.ZIP_STORED).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "has a password")


def test_a_bomb_is_given_up_long_before_it_is_unpacked(tmp_path, monkeypatch):
    counted, plain = [], gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: counted.append(plain(self, size)) or counted[-1])
    huge = entry("jpg/huge.jpg", size=10**12).tobuf(tarfile.GNU_FORMAT) + bytes(6_000_000)
    long_name = entry("x", type=tarfile.GNUTYPE_LONGNAME, size=6_000_000).tobuf(tarfile.GNU_FORMAT) + bytes(6_000_000)
    folders = entry("d", type=tarfile.DIRTYPE).tobuf() * 5000
    much_after_its_end = gzip.decompress(make_tar(tmp_path / "x.tgz").read_bytes()) + bytes(6_000_000)
    for content, words in ((huge, "would take 1,000,000,000,000 bytes"), (long_name, "makes no sense"),
                           (folders, "makes no sense"), (much_after_its_end, "much longer than its files")):  # fmt: skip
        (tmp_path / "bomb.tgz").write_bytes(gzip.compress(content))
        refused(tmp_path / "bomb.tgz", words, max_bytes=10_000, max_files=10)
    assert sum(map(len, counted)) < 2_000_000


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_negative_sizes_do_not_send_it_round_in_circles(tmp_path, kind):
    header = bytearray(entry("jpg/1.jpg", type=kind).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-512 % (1 << 96)).to_bytes(12, "big")
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    (tmp_path / "x.tar").write_bytes(bytes(header) * 2 + bytes(1024))
    refused(tmp_path / "x.tar", "is damaged")


# --- damaged, interrupted ---


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_short_anywhere_is_refused(tmp_path, mode):
    path = make_tar(tmp_path / "x.tar", mode=mode)
    whole = path.read_bytes() if mode == "w:gz" else path.read_bytes()[: 512 * (1 + 3 + 1 + 3)]  # without the zeros at its end
    most = len(whole) - (mode == "w:gz")
    for length in sorted({min(length, most) for length in (2, 100, 512, 1100, 2048, len(whole))}):
        path.write_bytes(whole[:length])
        refused(path, "is damaged|File is not a zip")


@pytest.mark.parametrize("make, places", [
    (make_tar, (-60, -6)),  # in a gzip: the content, its checksum
    (lambda path: make_tar(path, mode="w"), (2048 + 3,)),  # in a second header
    (lambda path: make_zip(path, method=zipfile.ZIP_STORED), (200,)),
])  # fmt: skip
def test_flipped_bits_are_found_by_checksums(tmp_path, make, places):
    path = make(tmp_path / "x")
    whole = path.read_bytes()
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 255
        path.write_bytes(flipped)
        refused(path, "is damaged")


@pytest.mark.parametrize("name, old, new, words", [
    ("x.jpg", None, None, "is damaged"),  # the list of files begins elsewhere: a place before the start of the archive
    ("\u00e9.jpg", "\u00e9".encode(), b"\xc3(", "is damaged"),  # a name that is said to be UTF-8, and is not
    ("x.jpg", b"\x08\x00\x00\x00", b"\x0c\x00\x00\x00", "is damaged"),  # said to be packed by bzip2
    ("", b"", b"", "outside its folder"),
])  # fmt: skip
def test_what_a_fuzzer_found_is_refused_by_name(tmp_path, name, old, new, words):
    path = make_zip(tmp_path / "x.zip", {name: b"one" * 50})
    whole = bytearray(path.read_bytes())
    whole[-6] += old is None
    path.write_bytes(whole if old is None else whole.replace(old, new))
    refused(path, words)


def test_too_little_room_is_said_before_with_how_much_is_needed(tmp_path, monkeypatch):
    path = make_tar(tmp_path / "x.tgz")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 3599}))
    refused(path, "needs 3,600 bytes, and 3,599 are free.*COURSE_CACHE", error=OSError)


@both
def test_an_interrupted_unpacking_leaves_nothing_and_a_second_one_finds_the_first(tmp_path, monkeypatch, make):
    path = make(tmp_path / "x")

    def interrupted(action, what):
        if action.__name__ == "read":
            raise KeyboardInterrupt
        return action(what)

    with monkeypatch.context() as patch:
        patch.setattr(archives, "_reading", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    place = unpack(path, tmp_path / "out")
    path.unlink()
    assert unpack(path, tmp_path / "out") == place


def test_a_zip_made_by_powershell_is_unpacked(tmp_path):
    members = {"birds\\": b"", "birds\\a\\": b"", "birds\\a\\1.jpg": b"one", "birds\\b\\1.jpg": b"two"}
    folder = unpack(make_zip(tmp_path / "p.zip", members), tmp_path / "out")
    assert (folder / "birds/a/1.jpg").read_bytes() == b"one" and (folder / "birds/b/1.jpg").read_bytes() == b"two"
