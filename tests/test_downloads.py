"""What is fetched is announced, resumed and checked; however bad a server is, nothing wrong or half is ever kept."""

import errno
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from origin import WRONG, Origin

from helpers.data import downloads, files
from helpers.data.downloads import Gone, Offline, Refused, fetch

DATA = random.Random(0).randbytes(400_000)
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
HALF = len(DATA) // 2
CALL = "import sys; from helpers.data.downloads import fetch; fetch(sys.argv[1], sys.argv[2], what='A', digest=sys.argv[3])"


@pytest.fixture
def origin(monkeypatch):
    monkeypatch.setattr(downloads, "WAITS", (0,) * 5)
    monkeypatch.setattr(downloads, "PIECE", 1000)
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


def left(tmp_path) -> list[str]:
    """The files in the folder, the lock aside."""
    return sorted(file.name for file in (tmp_path / "cache").iterdir() if file.name != ".fetching.lock")


def ranges(origin) -> list[str | None]:
    return [asked.headers.get("Range") for asked in origin.requests]


def started(origin, tmp_path) -> subprocess.Popen:
    """Another process that fetches the same file."""
    command = [sys.executable, "-c", CALL, origin.url("/a.zip"), tmp_path / "cache/a.zip", SHA256]
    return subprocess.Popen(command, cwd=Path(downloads.__file__).parents[2], stdout=subprocess.PIPE, text=True)


# --- as it should be ---


def test_what_from_where_how_much_and_where_to_is_said_before_and_that_it_is_right_after(get, tmp_path, capfd):
    assert get().read_bytes() == DATA and left(tmp_path) == ["a.zip"]
    said, errors = capfd.readouterr()
    assert said.splitlines() == [
        f"Fetching A: its photographs (CC0) from 127.0.0.1: 0.4 MB, to {tmp_path / 'cache'}",
        "A: its photographs: fetched, 0.4 MB; its sha256 is right",
    ]
    assert errors == ""


def test_a_file_that_is_there_and_whole_costs_no_connection_and_no_words_whatever_its_hash(get, origin, capsys):
    get(quiet=True)
    for algorithm in ("sha256", "sha1", "md5"):
        digest = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"
        assert get(url="https://nobody.invalid/a.zip", digest=digest, forbid=True).read_bytes() == DATA
    assert len(origin.requests) == 1 and capsys.readouterr().out == ""


def test_two_processes_that_want_the_same_file_fetch_it_once(origin, tmp_path):
    origin.behave("/a.zip", lambda handler: time.sleep(0.3) or (503, {"Retry-After": "0"}, b""))
    processes = [started(origin, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0] and len(origin.requests) == 2  # the 503, and the file
    assert sorted("Fetching" in text for text in said) == [False, True]
    assert left(tmp_path) == ["a.zip"] and (tmp_path / "cache/a.zip").read_bytes() == DATA


# --- cuts ---


@pytest.mark.parametrize("how", ["cut", "slow"])
def test_a_download_that_is_cut_or_stands_still_is_resumed_where_it_stopped(get, origin, how, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", (10, 0.5))
    origin.behave("/a.zip", how, "cut")
    assert get().read_bytes() == DATA
    first, second, third = ranges(origin)
    assert first is None and second == f"bytes={HALF}-" and third is not None


def test_an_interrupt_leaves_a_part_and_says_so_and_the_next_call_goes_on(get, origin, tmp_path, monkeypatch, capsys):
    step = downloads.Progress.step

    def interrupted(self, count=1, text=""):
        step(self, count, text)
        if self.count > HALF:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads.Progress, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get()
    assert left(tmp_path) == ["a.zip.part"] and "stopped; 0.2 MB are kept" in capsys.readouterr().out
    there = (tmp_path / "cache/a.zip.part").stat().st_size
    assert get().read_bytes() == DATA and left(tmp_path) == ["a.zip"]
    assert "MB, of which 0.2" in capsys.readouterr().out and ranges(origin) == [None, f"bytes={there}-"]


@pytest.mark.parametrize("then", ["no ranges", "other range", 416])
def test_a_server_that_cannot_resume_is_read_from_the_start(get, origin, then):
    origin.behave("/a.zip", "cut", then)
    assert get().read_bytes() == DATA and len(origin.requests) in (2, 3)


def test_only_what_a_hash_can_tell_is_resumed_and_a_server_that_always_cuts_is_given_up(get, origin, tmp_path):
    new = random.Random(1).randbytes(len(DATA))
    origin.behave("/a.zip", "cut", lambda handler: origin.files.update({"/a.zip": new}) or (503, {}, b""))
    assert get(digest=None).read_bytes() == new and set(ranges(origin)) == {None}
    get(digest=None).unlink()
    origin.behave("/a.zip", always="cut")
    with pytest.raises(Offline, match="cannot be fetched now: 127.0.0.1 broke off.*open_task"):
        get(digest=None)
    assert not (tmp_path / "cache/a.zip").exists()


# --- no network ---


def test_without_a_network_the_message_names_what_where_from_where_to_and_what_works_instead(get, tmp_path):
    with pytest.raises(Offline) as caught:
        get(url="http://127.0.0.1:9/a.zip")
    for words in ("A: its photographs (0.4 MB) is not on this machine", "no connection to 127.0.0.1", "http://127.0.0.1:9/a.zip",
                  str(tmp_path / "cache/a.zip"), "without a network: open_task('a')"):  # fmt: skip
        assert words in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError) and isinstance(caught.value, ConnectionError) and left(tmp_path) == []


def test_where_it_is_forbidden_nothing_is_asked_and_no_folder_is_made(get, origin, tmp_path, monkeypatch):
    for variable, flag in [("1", None), ("1", False), ("yes", True), ("", True), ("0", True)]:
        monkeypatch.setenv("COURSE_OFFLINE", variable)
        with pytest.raises(Offline, match="must not be fetched: offline=True or COURSE_OFFLINE forbids it"):
            get(forbid=flag)
    assert not origin.requests and not (tmp_path / "cache").exists()
    for variable in ("", "0", "false", "No"):
        monkeypatch.setenv("COURSE_OFFLINE", variable)
        get().unlink()


def test_a_login_page_in_place_of_the_file_is_recognised_and_takes_nothing_from_what_is_there(get, origin, tmp_path):
    origin.behave("/a.zip", "cut", "page", "page")
    for _ in range(2):
        with pytest.raises(Offline, match=r"a web page in its place\. Does .* you to log in first\?.*open_task\('a'\)"):
            get()
        assert (tmp_path / "cache/a.zip.part").read_bytes() == DATA[:HALF]
    assert get().read_bytes() == DATA


# --- the disk ---


def test_too_little_room_is_said_before_with_how_much_is_needed_and_free(get, tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 234_567}))
    with pytest.raises(OSError, match="needs 400,000 bytes, and 234,567 are free.*COURSE_CACHE") as caught:
        get(size=None)
    assert caught.value.errno == errno.ENOSPC and left(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_fills_up_and_a_folder_that_cannot_be_written_to_are_named_with_the_remedy(get, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/a.zip.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="no room in .*cache: the disk is full.*COURSE_CACHE"):
        get()
    assert not (tmp_path / "cache/a.zip").exists()
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OSError, match="can't write to .*file .*set COURSE_CACHE to a folder"):
        get(file=tmp_path / "file/a.zip")


# --- wrong bytes ---


def test_wrong_bytes_are_named_with_both_digests_and_not_kept(get, origin, tmp_path):
    with pytest.raises(ValueError, match="has 400,000 bytes, expected 399,999. Nothing was fetched"):
        get(size=len(DATA) - 1)
    origin.requests.clear()
    origin.behave("/a.zip", always="wrong")
    wrong = hashlib.sha256(DATA.translate(WRONG)).hexdigest()
    with pytest.raises(ValueError, match=f"(?s)a.zip.*expected {SHA256}.*got {wrong}"):
        get()
    assert left(tmp_path) == [] and len(origin.requests) == 1


def compressed(handler):
    return 200, {"Content-Encoding": "x-gzip", "Content-Length": str(len(DATA))}, DATA


@pytest.mark.parametrize("how, error", [("longer", Offline), ("no length", ValueError), ("chunked", ValueError),
                                        (compressed, ValueError)])  # fmt: skip
def test_without_a_hash_only_a_file_that_is_sent_as_it_is_with_its_length_is_kept(get, origin, tmp_path, how, error):
    origin.behave("/a.zip", always=how)
    with pytest.raises(error, match="broke off|did not continue|can't be checked"):
        get(size=None, digest=None)
    assert not (tmp_path / "cache/a.zip").exists() and origin.requests[0].headers["Accept-Encoding"] == "identity"
    if how != "longer":
        assert get(size=None).read_bytes() == DATA, "the hash can tell"


def test_a_stream_that_never_ends_stops_at_the_length_that_was_expected(get, origin, tmp_path):
    sent = []

    def endless(handler):
        handler.send_head(200, {"Transfer-Encoding": "chunked"})
        while len(sent) < 10_000:
            handler.wfile.write(b"3e8\r\n%s\r\n" % bytes(1000))
            sent.append(1000)

    origin.behave("/a.zip", endless)
    with pytest.raises(ValueError, match="hash of downloaded file"):
        get(size=300_000)
    assert left(tmp_path) == [] and sum(sent) < 9_000_000


def test_a_damaged_file_is_named_offline_and_fetched_again_online(get):
    get().write_bytes(DATA[:-1] + b"!")
    with pytest.raises(Offline, match="is on this machine, but a.zip is damaged .its sha256 is not"):
        get(forbid=True)
    assert get().read_bytes() == DATA


# --- answers other than the file ---


def test_redirects_are_followed_until_they_go_in_a_circle_and_a_final_answer_is_not_asked_for_again(get, origin, tmp_path):
    origin.behave("/old", ("redirect", "/a.zip"))
    assert get("/old").read_bytes() == DATA
    get().unlink()
    for answer, kind, words in (
        (("redirect", "/a.zip"), Refused, "/a.zip cannot be fetched"), (("redirect", "file:///x"), Refused, "cannot be fetched"),
        (403, Refused, "refused"), (204, Refused, "204"), (404, Gone, "is gone"), (410, Gone, "is gone"),
    ):  # fmt: skip
        origin.behave("/a.zip", always=answer)
        origin.requests.clear()
        with pytest.raises(kind, match=words):
            get()
        assert len(origin.requests) == 1 or "redirect" in str(answer)
    assert left(tmp_path) == []


def test_a_busy_server_is_asked_again_after_the_wait_that_it_asks_for_or_a_growing_one(get, origin, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads, "WAITS", (1, 2, 4))
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: waits.append(seconds) if seconds >= 1 else None)
    origin.behave("/a.zip", (429, "7"), 500, (429, "soon"))
    get().unlink()
    assert waits == [7, 2, 4]
    waits.clear()
    origin.behave("/a.zip", always=503)
    with pytest.raises(Offline, match="answered 503"):
        get()
    assert waits == [1, 2, 4]
    origin.behave("/a.zip", (429, "3600"))
    with pytest.raises(Offline, match="answered 429 Too Many Requests, and asks to come back in 60 minutes"):
        get()
