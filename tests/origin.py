"""A stand-in for the servers that files come from: on this machine only, and as good or bad as a test wants it.

    with Origin({"/a.zip": b"..."}) as origin:
        origin.behave("/a.zip", "cut", 503)          # the first answer breaks off, the second is 503, then all is well
        fetch(origin.url("/a.zip"), ...)
        assert [asked.headers.get("Range") for asked in origin.requests] == [None, "bytes=1000-", "bytes=1000-"]

It answers GET and HEAD, sends Content-Length, ETag and Last-Modified, and understands Range, as S3 and download.pytorch.org
do. `origin.files` may be changed while it runs: another content gets another ETag.
"""

import hashlib
import sys
import threading
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WRONG = bytes(byte ^ 0x55 for byte in range(256))  # of each byte, what comes instead when a server is wrong
PAGE = b"\n<!DOCTYPE html><html><title>Campus network: please log in</title></html>"


@dataclass(frozen=True)
class Asked:
    """A request that came: path with its query; headers by name, as {name: value} whatever their case."""

    path: str
    headers: dict


class Origin:
    """Serves `files` ({path: bytes}) on 127.0.0.1, in a thread of its own, until the with-block ends.

    A path's behaviours, each used once, in the order in which they were given (`always` never ends):
        200               as it should be
        403, 404, 500 ..  an answer with this status and no file; (429, "120"): with that Retry-After
        ("redirect", to)  302 to an address or path; a path that leads to itself is a loop
        "cut"             half of what was asked for, then the connection is closed
        "slow"            half of it, then nothing for as long as anybody waits
        "wrong"           other bytes of the same length
        "page"            a login page with status 200, as captive portals send it
        "no ranges"       all of it, whatever range was asked for
        "other range"     206, but beginning elsewhere than asked
        "longer"          a Content-Length that is 100 bytes more than the file has
        "no length"       no Content-Length: it ends when the connection closes
        "chunked"         no Content-Length, sent in chunks
        a function        handler -> None, answers by itself, or (status, headers, body)
    """

    def __init__(self, files: dict[str, bytes] | None = None):
        self.files = {_rooted(path): content for path, content in (files or {}).items()}
        self.requests: list[Asked] = []
        self._behaviours: dict[str, list] = {}
        self._always: dict[str, object] = {}
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"origin": self}))

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def url(self, path: str) -> str:
        return self.address + _rooted(path)

    def behave(self, path: str, *behaviours, always=None) -> None:
        """The next answers for `path`: each of `behaviours`; then `always`, if given."""
        self._behaviours.setdefault(_rooted(path), []).extend(behaviours)
        if always is not None:
            self._always[_rooted(path)] = always

    def next(self, path: str):
        waiting = self._behaviours.get(path)
        return waiting.pop(0) if waiting else self._always.get(path, 200)


def publish(origin: Origin, monkeypatch, weights, state: dict) -> str:
    """Torchvision's `weights` (ResNet18_Weights.DEFAULT) now come from `origin`, with the tensors of `state` in them.

    The file is named as torchvision names them: with the beginning of its sha256. Returns that name.
    """
    import io

    import torch

    content = io.BytesIO()
    torch.save(state, content)
    name = f"tiny-{hashlib.sha256(content.getvalue()).hexdigest()[:8]}.pth"
    origin.files[f"/models/{name}"] = content.getvalue()
    monkeypatch.setattr(weights.value, "url", origin.url(f"/models/{name}"))
    return name


def keep(folder: Path, monkeypatch, weights, state: dict) -> Path:
    """As after a download: `folder` (torch's checkpoints) holds the tensors of `state` as those of `weights`."""
    origin = Origin()
    name = publish(origin, monkeypatch, weights, state)
    origin._server.server_close()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(origin.files[f"/models/{name}"])
    return folder / name


def _rooted(path: str) -> str:
    return "/" + path.lstrip("/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the client has gone: part of many a test
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: Origin

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        self.origin.requests.append(Asked(self.path, {name.title(): value for name, value in self.headers.items()}))
        try:
            self.answer(self.origin.next(path), path)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the client has gone

    do_HEAD = do_GET

    def answer(self, how, path):
        if callable(how):
            if answer := how(self):
                self.send(*answer)
        elif isinstance(how, tuple) and how[0] == "redirect":
            self.send(302, {"Location": how[1] if ":" in how[1] else self.origin.url(how[1])})
        elif isinstance(how, tuple):
            self.send(how[0], {"Retry-After": how[1]})
        elif isinstance(how, int) and how != 200:
            self.send(how)
        elif how == "page":
            self.send(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE)
        elif path not in self.origin.files:
            self.send(404)
        else:
            self.send_file(how, self.origin.files[path])

    def send_file(self, how, content):
        whole, status, start = len(content), 200, 0
        tag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        headers = {"ETag": f'"{tag}"', "Last-Modified": formatdate(0, usegmt=True)}
        if how == "wrong":
            content = content.translate(WRONG)
        wanted = self.headers.get("Range")
        if wanted and how != "no ranges":
            start, status = int(wanted.removeprefix("bytes=").partition("-")[0]), 206
            if start >= whole:
                self.send(416, {"Content-Range": f"bytes */{whole}"})
                return
            start -= 10 * (how == "other range")
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        body = content[start:]
        half = len(body) // 2
        if how == "chunked":
            body = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 999]), body[i : i + 999]) for i in range(0, len(body), 999))
            headers["Transfer-Encoding"], body = "chunked", body + b"0\r\n\r\n"
        elif how == "no length":
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body) + 100 * (how == "longer"))
        self.send_head(status, headers)
        if self.command == "GET":
            stops = how in ("cut", "slow")
            self.wfile.write(body[:half] if stops else body)
            self.wfile.flush()
            self.close_connection = stops or how in ("longer", "no length")
            if how == "slow":
                self.origin.closing.wait()

    def send(self, status: int, headers: dict | None = None, body: bytes = b"") -> None:
        """One answer with all that belongs to it."""
        self.send_head(status, {"Content-Length": str(len(body))} | (headers or {}))
        if self.command == "GET":
            self.wfile.write(body)

    def send_head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
