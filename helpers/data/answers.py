"""A question to a server, and what its answer means: here it is, come back later, never, or gone."""

import re
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlparse

import requests
import urllib3

CONNECT = 10  # seconds to wait for a connection
PATIENCE = 30  # seconds to wait for the next bytes, and within which SLOWEST bytes a second must come
SLOWEST = 1000  # bytes a second: less counts as a cut
REDIRECTS = 10  # one after the other
PIECE = 1 << 18  # bytes read at a time, at most
HEADERS = {"User-Agent": "transfer-learning-course", "Accept-Encoding": "identity"}


class Refused(ConnectionError):
    """The server, or something on the way to it, answered, and will not give the file (403, for example)."""


class Gone(FileNotFoundError):
    """The server answered that there is no such file (any more): 404 or 410."""


class Again(Exception):
    """It did not work, but may another time. wait: seconds that the server asked for; met: whether it answered at all."""

    def __init__(self, reason: str, wait: float | None = None, met: bool = True):
        super().__init__(reason)
        self.wait, self.met = wait, met


def check_address(url: str) -> None:
    if urlparse(url).scheme not in ("http", "https") or not urlparse(url).hostname:
        raise ValueError(f"{url!r} is no address of a file on the web: it must begin with https:// (or http://)")


def ask(session: requests.Session, url: str, headers: dict[str, str], checkable: bool) -> requests.Response:
    """The answer 200, 206 or 416 to a GET, its body not yet read. Redirects are followed, but only to http(s), and from
    https to http only if what comes is `checkable`. Raises Refused, Gone and Again for all other answers, and none."""
    first = url
    for _ in range(REDIRECTS):
        response = _get(session, url, HEADERS | headers)
        if not (response.is_redirect or response.is_permanent_redirect):
            break
        response.close()
        url, before = urljoin(url, response.headers["Location"]), url
        try:
            check_address(url)
        except ValueError as error:
            raise Refused(f"{before} leads to {url!r}, which is no file on the web, and is not followed") from error
        if before.startswith("https:") and url.startswith("http:") and not checkable:
            raise Refused(f"{before} leads to {url}, where anybody on the way could change what comes: it is not followed")
    else:
        raise Refused(f"{first} leads from one address to the next, and nowhere ({REDIRECTS} redirects)")
    if response.status_code in (200, 206, 416):
        return response
    response.close()
    raise _meaning(response)


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    host = urlparse(url).hostname
    try:
        return session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=(CONNECT, PATIENCE))
    except requests.exceptions.SSLError as error:
        raise Refused(f"the certificate of {host} is not accepted: is the clock right, is there a login page?") from error
    except requests.exceptions.ConnectTimeout as error:
        raise Again(f"no connection to {host} within {CONNECT} s", met=False) from error
    except requests.exceptions.Timeout as error:
        raise Again(f"{host} gave no answer within {PATIENCE} s") from error
    except requests.exceptions.ConnectionError as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError)):
            raise Again(f"no connection to {host}", met=False) from error
        raise Again(f"{host} broke off the connection") from error


def _meaning(response: requests.Response) -> Exception:
    status, host = response.status_code, urlparse(response.url).hostname
    if status in (404, 410):
        return Gone(f"{response.url} is gone: {host} answered {status}")
    if status in (408, 425, 429) or status >= 500:
        busy = "too many requests" if status == 429 else "busy or broken"
        return Again(f"{host} answered {status}, {busy}", wait=_asked_to_wait(response.headers.get("Retry-After", "")))
    return Refused(f"{host} refused to give {response.url}: it answered {status} {response.reason or ''}".rstrip())


def _asked_to_wait(text: str) -> float | None:
    """Seconds, of a Retry-After in seconds or as a date; None if it says nothing."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def validator(response: requests.Response) -> str | None:
    """What If-Range needs to ask for more of the very same file: a strong ETag, else the date of change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """Where the body of a 206 begins in the file, and how long the whole is: "bytes 5-9/10" -> (5, 10)."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    return tuple(int(n) if n and n.isdigit() else None for n in found.groups()) if found else (None, None)


def is_packed(response: requests.Response) -> bool:
    """Whether the body is compressed for the way, though nobody asked for that; its bytes are then not the file's."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


def announced_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def pieces(response: requests.Response):
    """The body as it comes, in pieces of at most PIECE bytes. Raises Again when it breaks off, or is all too slow."""
    host = urlparse(response.url).hostname
    read = getattr(response.raw, "read1", response.raw.read)  # read1 gives what is there, however little
    since, came = time.monotonic(), 0
    while True:
        try:
            piece = read(PIECE, decode_content=False)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise Again(f"{host} sent nothing for {PATIENCE} s") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Again(f"{host} broke off") from error
        if not piece:
            return
        yield piece
        came, passed = came + len(piece), time.monotonic() - since
        if passed > PATIENCE:
            if came < SLOWEST * passed:
                raise Again(f"{host} sent less than {SLOWEST} bytes a second")
            since, came = time.monotonic(), 0
