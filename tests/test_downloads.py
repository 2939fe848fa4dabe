"""What is fetched is announced, resumed and checked, and nothing half ever looks whole."""

# ruff: noqa: F811 (a fixture has the name of the argument that it fills)

import errno
import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from fetching import DATA, HALF, SHA256, broken_off, get, left, origin, ranges  # noqa: F401 (fixtures)

from helpers.data import answers, downloads, partfiles
from helpers.data.downloads import Gone, Offline

# --- as it should be ---


def test_what_from_where_how_much_and_where_to_is_said_before_and_that_it_is_right_after(get, tmp_path, capsys):
    file = get()
    assert file.read_bytes() == DATA and left(tmp_path) == ["a.zip"]
    assert capsys.readouterr().out.splitlines() == [
        f"Fetching A: its photographs (CC0) from 127.0.0.1: 0.4 MB, to {tmp_path / 'cache'}",
        "A: its photographs: fetched, 0.4 MB; its sha256 is right",
    ]


def test_how_much_is_asked_of_the_server_where_nobody_knows_it_and_said_before_a_byte_is_kept(get, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(partfiles, "_free", lambda folder: 0)
    with pytest.raises(OSError, match="no room"):
        get(size=None)
    assert "from 127.0.0.1: 0.4 MB, to" in capsys.readouterr().out and not (tmp_path / "cache/a.zip.part").exists()


def test_a_file_that_is_there_and_whole_costs_no_connection_and_no_words(get, origin, capsys):
    first = get()
    capsys.readouterr()
    assert get() == first == get(url="https://nobody.invalid/a.zip", offline=True)
    assert len(origin.requests) == 1 and capsys.readouterr().out == ""


def test_the_line_moves_in_megabytes_and_says_how_long(get, origin, monkeypatch):
    lines = []
    monkeypatch.setattr(downloads.Progress, "done", lambda self, text: lines.append(self._line(10.0)))
    monkeypatch.setattr(answers, "PATIENCE", 0.3)
    origin.behave("/a.zip", "slow", always=404)
    with pytest.raises(Gone):
        get()
    assert lines == ["A: its photographs: 0.2/0.4 MB, 10 s left"]


def test_many_small_files_are_announced_by_their_caller(get, origin, capsys):
    line = downloads.Progress(2, "photographs:")
    with requests.Session() as session:
        assert get(progress=line, session=session).read_bytes() == DATA
    assert capsys.readouterr().out == "" and line.count == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_every_usual_hash_is_understood_and_so_is_its_beginning(get, algorithm):
    digits = hashlib.new(algorithm, DATA).hexdigest()
    for digest in (digits, digits[:8], f"{digits[:10]}..", digits.upper()):
        assert get(digest=f"{algorithm}:{digest}").is_file()


@pytest.mark.parametrize("digest", ["sha256:1234567", "sha1:" + "0" * 41, "crc32:12345678", "12345678", "md5:hello world"])
def test_what_is_no_hash_is_refused_before_anything_is_asked(get, origin, digest):
    with pytest.raises(ValueError, match="must be like"):
        get(digest=digest)
    assert not origin.requests


def test_what_is_no_address_on_the_web_is_refused(get, tmp_path):
    for url in ("file:///etc/hostname", "a.zip", "ftp://example.org/a", "https:///a"):
        with pytest.raises(ValueError, match="no address of a file on the web"):
            get(url=url)
    assert not (tmp_path / "cache").exists()


# --- cuts ---


def test_a_cut_download_is_resumed_where_it_stopped(get, origin):
    origin.behave("/a.zip", "cut", "cut")
    assert get().read_bytes() == DATA
    assert ranges(origin) == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
    assert all("If-Range" in asked.headers for asked in origin.requests[1:])


@pytest.mark.parametrize("how", ["slow", "trickle"])
def test_a_download_that_stands_still_or_crawls_is_cut_and_resumed(get, origin, how, monkeypatch):
    monkeypatch.setattr(answers, "PATIENCE", 0.3)
    origin.behave("/a.zip", how)
    assert get().read_bytes() == DATA
    first, second = ranges(origin)
    assert first is None and int(second[6:-1]) >= HALF


def test_a_killed_process_leaves_a_part_that_the_next_call_resumes(get, origin, tmp_path, capsys):
    origin.behave("/a.zip", "slow")
    program = "import sys; from helpers.data.downloads import fetch; fetch(sys.argv[1], sys.argv[2], what='A', digest=sys.argv[3])"
    part = tmp_path / "cache/a.zip.part"
    with subprocess.Popen([sys.executable, "-c", program, origin.url("/a.zip"), tmp_path / "cache/a.zip", SHA256],
                          cwd=Path(downloads.__file__).parents[1], stdout=subprocess.DEVNULL) as process:  # fmt: skip
        until = time.monotonic() + 20
        while not (part.is_file() and part.stat().st_size >= HALF - (1 << 14)) and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
    there = part.stat().st_size
    assert there and not (tmp_path / "cache/a.zip").exists()
    assert get().read_bytes() == DATA and left(tmp_path) == ["a.zip"]
    assert ranges(origin) == [None, f"bytes={there}-"]
    assert "MB are there already, to" in capsys.readouterr().out or there < 100_000


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
    assert [name for name in left(tmp_path) if not name.endswith(".lock")] == ["a.zip.part", "a.zip.part.json"]
    assert "stopped; 0.2" in capsys.readouterr().out
    assert get().read_bytes() == DATA and left(tmp_path) == ["a.zip"]
    assert "MB, of which 0.2" in capsys.readouterr().out and ranges(origin)[1] is not None


def test_a_whole_part_needs_its_name_only(get, origin, tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(partfiles.os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            get()
    assert get().read_bytes() == DATA
    assert ranges(origin) == [None, f"bytes={len(DATA)}-"]  # answered 416: there is no more


def test_a_server_that_cannot_resume_is_read_from_the_start(get, origin):
    origin.behave("/a.zip", "cut", "no ranges")
    assert get().read_bytes() == DATA and len(origin.requests) == 2


def test_a_server_that_always_cuts_and_never_resumes_is_given_up(get, origin, tmp_path):
    origin.files["/a.zip"] = DATA
    origin.behave("/a.zip", always=lambda handler: broken_off(handler))
    with pytest.raises(Offline, match="cannot be fetched now: 127.0.0.1 broke off.*open_task"):
        get()
    assert len(origin.requests) in (6, 7) and not (tmp_path / "cache/a.zip").exists()


def test_a_file_that_changed_between_two_tries_is_not_glued_to_the_old_part(get, origin):
    new = random.Random(1).randbytes(len(DATA))
    for settings in (dict(digest=None), dict(digest=f"sha256:{hashlib.sha256(new).hexdigest()}")):
        origin.files["/a.zip"] = DATA
        origin.behave("/a.zip", "cut", lambda handler: origin.files.update({"/a.zip": new}) or (503, {}, b""))
        assert get(**settings).read_bytes() == new
        get(**settings).unlink()


def test_without_etag_date_or_hash_nothing_is_resumed_because_nobody_could_say_what_it_is(get, origin):
    origin.behave("/a.zip", "no validator cut", always="no validator")
    origin._behaviours["/a.zip"] = [lambda handler: broken_off(handler)]
    assert get(digest=None).read_bytes() == DATA
    assert ranges(origin) == [None, None]


def test_a_part_of_another_address_is_resumed_only_where_the_hash_can_tell(get, origin):
    origin.files["/b.zip"] = DATA
    for digest, second in ((SHA256, f"bytes={HALF}-"), (None, None)):
        origin.requests.clear()
        origin.behave("/a.zip", "cut", 404)
        with pytest.raises(Gone):
            get(digest=digest)
        get("/b.zip", digest=digest).unlink()
        assert ranges(origin)[2:] == [second]


def test_an_answer_that_begins_elsewhere_than_asked_is_not_used(get, origin):
    origin.behave("/a.zip", "cut", "other range")
    assert get().read_bytes() == DATA and ranges(origin) == [None, f"bytes={HALF}-", None]


# --- no network ---


def test_without_a_network_the_message_names_what_where_from_where_to_and_what_works_instead(get, tmp_path):
    with pytest.raises(Offline) as caught:
        get(url="http://127.0.0.1:9/a.zip")
    for words in ("A: its photographs (0.4 MB) is not on this machine", "no connection to 127.0.0.1", "http://127.0.0.1:9/a.zip",
                  str(tmp_path / "cache/a.zip"), "without a network: open_task('a')"):  # fmt: skip
        assert words in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError | ConnectionError) and left(tmp_path) == []


@pytest.mark.parametrize("variable, flag", [("1", None), ("1", False), ("yes", True), ("", True), ("0", True)])
def test_where_it_is_forbidden_nothing_is_asked_and_no_folder_is_made(get, origin, tmp_path, monkeypatch, variable, flag):
    monkeypatch.setenv("COURSE_OFFLINE", variable)
    with pytest.raises(Offline, match="must not be fetched: offline=True or COURSE_OFFLINE forbids it"):
        get(offline=flag)
    assert not origin.requests and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("variable", ["", "0", "false", "No"])
def test_a_variable_that_says_no_forbids_nothing(get, monkeypatch, variable):
    monkeypatch.setenv("COURSE_OFFLINE", variable)
    assert get().is_file()


# --- the disk ---


def test_too_little_room_is_said_before_with_how_much_is_needed_and_free(get, tmp_path, monkeypatch):
    monkeypatch.setattr(partfiles, "_free", lambda folder: 234_567)
    with pytest.raises(OSError, match="needed are 400,000 bytes, free are 234,567 bytes.*COURSE_CACHE") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC and left(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_fills_up_in_the_middle_is_said_to_be_full(get, tmp_path, monkeypatch):
    full = Path("/dev/full")
    monkeypatch.setattr(partfiles.Part, "open", lambda self: full.open("ab"))
    with pytest.raises(OSError, match="no room in .*cache") as caught:
        get()
    assert caught.value.errno == errno.ENOSPC and not (tmp_path / "cache/a.zip").exists()


def test_a_folder_that_cannot_be_written_to_is_named_with_the_remedy(get, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError, match="can't write to .*cache .*set the environment variable COURSE_CACHE"):
        get()
    if os.name == "posix" and os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match="can't write to .*COURSE_CACHE"):
            get(file=tmp_path / "locked/a.zip")


# --- more than one at a time ---


def test_two_processes_that_want_the_same_file_fetch_it_once(origin, tmp_path):
    origin.behave("/a.zip", lambda handler: time.sleep(0.3) or (503, {"Retry-After": "0"}, b""))
    program = "import sys; from helpers.data.downloads import fetch; fetch(sys.argv[1], sys.argv[2], what='A', digest=sys.argv[3])"
    command = [sys.executable, "-c", program, origin.url("/a.zip"), tmp_path / "cache/a.zip", SHA256]
    root = Path(downloads.__file__).parents[1]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0] and len(origin.requests) == 2  # the 503, and the file
    assert sorted("Fetching" in text for text in said) == [False, True]
    assert left(tmp_path) == ["a.zip"] and (tmp_path / "cache/a.zip").read_bytes() == DATA


def test_threads_that_want_the_same_file_wait_for_the_first(get, origin, capsys):
    origin.behave("/a.zip", lambda handler: time.sleep(0.1) or (503, {"Retry-After": "0"}, b""))
    threads = [threading.Thread(target=get) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(origin.requests) == 2 and get().read_bytes() == DATA
    assert capsys.readouterr().out.count("another program is fetching it; waiting for that") == 2
