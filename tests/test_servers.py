"""However bad a server is, or whatever sits before it: nothing wrong is kept, and the message says what it was."""

# ruff: noqa: F811 (a fixture has the name of the argument that it fills)

import hashlib

import pytest
import requests
from fetching import DATA, HALF, SHA256, get, left, origin, ranges  # noqa: F401 (fixtures)
from origin import WRONG

from helpers.data import answers, downloads
from helpers.data.downloads import Gone, Offline, Refused

# --- wrong bytes ---


def test_wrong_bytes_are_named_with_both_digests_and_not_kept(get, origin, tmp_path):
    origin.behave("/a.zip", always="wrong")
    wrong = hashlib.sha256(DATA.translate(WRONG)).hexdigest()
    with pytest.raises(ValueError, match=f"its sha256 is {wrong}, expected was {SHA256[7:]}"):
        get()
    assert left(tmp_path) == [] and len(origin.requests) == 1


def test_wrong_bytes_after_a_resumption_are_fetched_once_more_from_the_start(get, origin, tmp_path):
    origin.behave("/a.zip", "cut", "wrong")
    assert get().read_bytes() == DATA and ranges(origin) == [None, f"bytes={HALF}-", None]


def test_another_length_than_expected_is_refused_before_anything_is_written(get, origin, tmp_path):
    with pytest.raises(ValueError, match="has 400,000 bytes, expected were 399,999. Nothing was fetched"):
        get(size=len(DATA) - 1)
    assert left(tmp_path) == []
    assert get(size=4.1e5).is_file()  # a float is only about right


def test_a_server_that_promises_more_than_it_sends_is_no_whole_file(get, origin, tmp_path):
    origin.behave("/a.zip", always="longer")
    with pytest.raises(Offline, match="broke off|another file than before"):
        get(size=None, digest=None)
    assert not (tmp_path / "cache/a.zip").exists()


def test_a_server_that_promises_less_than_it_has_is_found_out_by_the_hash(get, origin, tmp_path):
    origin.behave("/a.zip", always="shorter")
    with pytest.raises(ValueError, match="expected was"):
        get(size=None)
    assert left(tmp_path) == []


def test_without_a_length_a_file_is_whole_if_its_hash_or_its_own_end_says_so(get, origin, tmp_path):
    origin.behave("/a.zip", "no length", "chunked", "no length")
    get(size=None).unlink()
    get(size=None, digest=None).unlink()
    with pytest.raises(ValueError, match="nobody could say whether it is whole"):
        get(size=None, digest=None)
    assert left(tmp_path) == []


def test_what_comes_compressed_unasked_is_taken_only_where_a_hash_can_tell(get, origin, tmp_path):
    origin.behave("/a.zip", always=lambda handler: (200, {"Content-Encoding": "gzip", "Content-Length": str(len(DATA))}, DATA))
    with pytest.raises(ValueError, match="comes compressed, and no hash of it is known"):
        get(digest=None)
    assert left(tmp_path) == [] and get().read_bytes() == DATA
    assert origin.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_stream_that_never_ends_stops_at_the_length_that_was_expected(get, origin, tmp_path):
    sent = []

    def endless(handler):
        handler._head(200, {"Transfer-Encoding": "chunked"})
        while len(sent) < 10_000:
            handler.wfile.write(b"3e8\r\n%s\r\n" % bytes(1000))
            sent.append(1000)

    origin.behave("/a.zip", endless)
    with pytest.raises(ValueError, match="bytes, expected were 300,000"):
        get(size=300_000)
    assert left(tmp_path) == [] and sum(sent) < 9_000_000


def test_a_login_page_in_place_of_the_file_is_said_to_be_one(get, origin, tmp_path):
    origin.behave("/a.zip", "page", "cut", "page")
    with pytest.raises(Offline, match=r"a web page in its place\. Does .* you to log in first\?.*open_task\('a'\)"):
        get()
    assert left(tmp_path) == []
    with pytest.raises(Offline, match="web page"):  # and it takes nothing from what is there
        get()
    assert (tmp_path / "cache/a.zip.part").read_bytes() == DATA[:HALF]
    assert get().read_bytes() == DATA


def test_a_damaged_file_is_named_and_fetched_anew_or_named_offline(get, tmp_path, capsys):
    get().write_bytes(DATA[:-1] + b"!")
    with pytest.raises(Offline, match="is on this machine, but a.zip is damaged .its sha256 is"):
        get(offline=True)
    get().write_bytes(DATA[:-1])
    capsys.readouterr()
    assert get().read_bytes() == DATA
    assert "a.zip is damaged (it has 399,999 bytes, expected were 400,000): it is fetched anew" in capsys.readouterr().out


# --- answers other than the file ---


def test_redirects_are_followed(get, origin):
    origin.behave("/old", ("redirect", "/older"))
    origin.behave("/older", ("redirect", "/a.zip"))
    assert get("/old").read_bytes() == DATA
    assert [asked.path for asked in origin.requests] == ["/old", "/older", "/a.zip"]


def test_redirects_in_a_circle_end(get, origin, tmp_path):
    origin.behave("/a.zip", always=("redirect", "/a.zip"))
    with pytest.raises(Refused, match="leads from one address to the next, and nowhere"):
        get()
    assert len(origin.requests) == 10 and left(tmp_path) == []


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://example.org/a.zip", "data:,x"])
def test_redirects_off_the_web_are_not_followed(get, origin, to):
    origin.behave("/a.zip", ("redirect", to))
    with pytest.raises(Refused, match="which is no file on the web, and is not followed"):
        get()


def test_redirects_from_https_to_http_are_followed_only_where_a_hash_can_tell(get, origin):
    class AsIfEncrypted(requests.adapters.HTTPAdapter):
        def send(self, request, **settings):
            request.url = request.url.replace("https://secure.example", origin.address)
            return super().send(request, **settings)

    session = requests.Session()
    session.trust_env = False  # no proxy
    session.mount("https://secure.example/", AsIfEncrypted())
    origin.behave("/s.zip", always=("redirect", "/a.zip"))
    with pytest.raises(Refused, match="where anybody on the way could change what comes"):
        get(url="https://secure.example/s.zip", digest=None, session=session)
    assert get(url="https://secure.example/s.zip", session=session).read_bytes() == DATA


@pytest.mark.parametrize("status, kind, words", [(403, Refused, "refused to give"), (401, Refused, "401"), (204, Refused, "204"),
                                                 (404, Gone, "is gone"), (410, Gone, "answered 410")])  # fmt: skip
def test_a_final_answer_is_not_asked_for_again(get, origin, tmp_path, status, kind, words):
    origin.behave("/a.zip", always=status)
    with pytest.raises(kind, match=words):
        get()
    assert len(origin.requests) == 1 and left(tmp_path) == []


def test_too_many_requests_are_followed_by_the_wait_that_the_server_asks_for(get, origin, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    later = "Fri, 01 Jan 2100 00:00:30 GMT"
    monkeypatch.setattr(answers.time, "time", lambda: 4102444800.0)  # the beginning of 2100
    origin.behave("/a.zip", (429, "7"), (429, later), (503, "0"), (429, "soon"))
    assert get().is_file()
    assert [wait for wait in waits if wait != 0.01] == [7, 30, 0, 0]


def test_a_server_that_asks_for_a_long_wait_is_left_alone(get, origin):
    origin.behave("/a.zip", (429, "3600"))
    with pytest.raises(Offline, match="answered 429, too many requests, and asks to come back in 60 minutes"):
        get()
    assert len(origin.requests) == 1


def test_an_error_of_the_server_passes_or_is_given_up(get, origin, tmp_path):
    origin.behave("/a.zip", 500, 502, 503)
    get().unlink()
    origin.requests.clear()
    origin.behave("/a.zip", always=500)
    with pytest.raises(Offline, match="answered 500"):
        get()
    assert len(origin.requests) == 1 + len(downloads.WAITS) and left(tmp_path) == []


def test_waits_grow_between_tries(get, origin, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads, "WAITS", (1, 2, 4))
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    origin.behave("/a.zip", always=500)
    with pytest.raises(Offline):
        get()
    assert [wait for wait in waits if wait >= 1] == [1, 2, 4]
