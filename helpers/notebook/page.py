"""A small web page that shows what a classifier says of a picture file: served on this machine, to its owner alone.

Python's own http.server does it. Its manual warns of using it in production, and nothing here is: it listens on 127.0.0.1,
every address needs a token, a page takes one picture file of up to LIMIT bytes, and it stops with the kernel.
"""

import io
import json
import secrets
import sys
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

from helpers.notebook.widgets import show_widget

LIMIT = 20_000_000  # bytes of an upload
_PAGE = Path(__file__).with_name("page.html")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; img-src blob:; connect-src 'self'"
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_served = []  # the page that is open, if there is one


class Page:
    """A page that is being served: its `address`, with the token in it, and `close()`, after which it leads nowhere."""

    def __init__(self, answer, title: str):
        self.token, self._lock = secrets.token_urlsafe(16), threading.Lock()
        self._answer, self._title = answer, title
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}/{self.token}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(page):  # noqa: N805  # of the class below, `self` is the handler
        class Handler(BaseHTTPRequestHandler):
            timeout = 30  # seconds that a visitor may take to send a picture

            def do_GET(self):
                if self._allowed():
                    nonce = secrets.token_urlsafe(12)
                    text = _PAGE.read_text(encoding="utf-8").replace("NONCE", nonce).replace("TITLE", escape(page._title))
                    self._send(200, text, "text/html", nonce)

            def do_POST(self):
                if not self._allowed():
                    return
                length = self.headers.get("Content-Length", "")
                if length.isdecimal() and int(length) <= LIMIT:
                    self._send(*page._said(self.rfile.read(int(length))))
                else:
                    self.close_connection = True  # the rest is not read
                    self._send(413, f"The file is too large: at most {LIMIT // 1_000_000} MB are taken.")

            def _allowed(self):
                if known := secrets.compare_digest(self.path.encode(), f"/{page.token}/".encode()):
                    return known
                self._send(403, "This page needs its whole address, with the token that the notebook shows.")

            def _send(self, status: int, text: str, kind: str = "text/plain", nonce: str = "") -> None:
                body = text.encode()
                self.send_response(status)
                for name, value in ({"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)),
                                     "Content-Security-Policy": _POLICY.format(nonce=nonce)} | _HEADERS).items():  # fmt: skip
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            log_message = lambda self, *_: None  # the notebook is no log

        return Handler

    def _said(self, content: bytes) -> tuple[int, str, str]:
        """What the page shows for an upload: a status, and JSON (answer, shares) or the reason why there is no answer."""
        try:
            with self._lock:  # one picture at a time goes through the network
                return 200, json.dumps(self._answer(content)), "application/json"
        except NotImplementedError:
            return 501, "Nobody answers yet: fill in the function, run its cell, and serve again.", "text/plain"
        except ValueError as error:
            return 422, f"No answer: {error}", "text/plain"
        except Exception as error:  # of the student's function
            return 500, f"The function raised {type(error).__name__}: {error}", "text/plain"


def serve(predict, answer=None, title: str = "What is this?") -> Page:
    """Serve a page that takes a picture and shows what is said of it; show its link, and return the `Page`.

    predict: open file -> {class: probability}, a bar each. answer: bytes -> the line of text above them; None: the likeliest.
    A page that was served before is closed. On Colab, the page opens through Colab's own door to the machine.
    """

    def both(content: bytes) -> dict:
        if answer is None:
            shares = predict(io.BytesIO(content))
            return {"answer": max(shares, key=shares.get), "shares": shares}
        if (text := answer(content)) is None:
            raise TypeError("it returned nothing. Does it end in `return`?")
        try:
            return {"answer": str(text), "shares": predict(io.BytesIO(content))}
        except ValueError:
            return {"answer": str(text), "shares": {}}

    while _served:
        _served.pop().close()
    page = Page(both, title)
    _served.append(page)
    if "google.colab" in sys.modules:
        import_module("google.colab.output").serve_kernel_port_as_window(page.port, path=f"/{page.token}/")
    else:
        import ipywidgets

        text = "Here is a link to the page, when the notebook runs."
        link = f'<a href="{page.address}" target="_blank" rel="noopener">Open the page</a>: {page.address}'
        note = "It answers on this machine only, while this kernel runs. <code>page.close()</code> stops it."
        show_widget(ipywidgets.HTML(f"<p>{link}<br>{note}</p>"), {"text/html": f"<p><i>{text}</i></p>", "text/plain": text})
    return page
