"""Files from the network: announced, resumed after a cut, checked against their hash, and never half there.

pooch keeps and checks the files: one gets its name only when it is whole and its hash is right. What pooch lacks is here,
a downloader that resumes. Photographs are fetched with it; torchvision, timm and huggingface_hub fetch weights themselves.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from filelock import FileLock

from helpers.data.files import disk_errors, is_page, need_room
from helpers.notebook.progress import Progress

WAITS = (1, 2, 4, 8, 16)  # seconds before the second, third, ... try
LONGEST_WAIT = 120  # seconds; if a server asks for more, it is for you to try again later
TIMEOUT = (10, 30)  # seconds to wait for a connection, and for the next bytes
PIECE = 1 << 16  # bytes read at a time
HEADERS = {"User-Agent": "transfer-learning-course", "Accept-Encoding": "identity"}


class Offline(ConnectionError, FileNotFoundError):
    """Something is not on this machine, and must not or cannot be fetched. The message says what, where it would come
    from, where to put it by hand, and what works without a network."""


class Gone(FileNotFoundError):
    """The server answered that there is no such file (any more): 404 or 410."""


class Refused(ConnectionError):
    """The server, or something on the way to it, will not give the file (403, for example)."""


class _Again(Exception):
    """This try failed, another may not. Arguments: the reason, and the seconds to wait if the server asked for some."""


def offline(flag: bool | None = None) -> bool:
    """Whether nothing may be fetched: `flag`, or the environment variable COURSE_OFFLINE (set to anything but "", "0",
    "false" and "no"). A flag can forbid, but never allow what the variable forbids."""
    return bool(flag) or os.environ.get("COURSE_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def megabytes(size: float | None) -> str:
    """ "345 MB", "4.8 MB" (of 1,000,000 bytes), "size unknown"."""
    if size is None:
        return "size unknown"
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,.0f} bytes"


def fetch(url: str, file: str | Path, *, what: str, size: int | None = None, digest: str | None = None, licence: str = "",
          instead: str = "", forbid: bool | None = None, quiet: bool = False) -> Path:  # fmt: skip
    """The file at `url`, kept as the local `file`; no connection is made if that is there and whole. Returns its path.

    what: a name for messages ("flowers102: its labels"). size: bytes, if known. digest: "sha256:HEX", "sha1:HEX" or
    "md5:HEX", None only if no hash is published. licence, instead: for the announcement and the message of Offline.
    forbid: True fetches nothing, as COURSE_OFFLINE does. quiet: print nothing (a caller announced many files together).

    What comes, from where, how much and to which folder is announced before the first byte is kept. After a cut a download
    with a digest resumes, in this call or, after an interrupt, in the next one (FILE.part holds what has arrived).
    Raises Offline without a network, or where it is forbidden; Refused (403, ...), Gone (404, 410), ValueError for wrong
    bytes, which are not kept, and OSError if the disk is full or read-only.
    """
    file = Path(file).expanduser()
    download = _Download(url, file, what, size, digest, licence, instead, quiet)
    if fault := download.fault():
        if offline(forbid):
            raise download.offline(f"{fault}, and must not be fetched: offline=True or COURSE_OFFLINE forbids it")
        with disk_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.parent / ".fetching.lock"):  # one process or thread a folder
                if download.fault():
                    download.run()
    return file


@dataclass
class _Download:
    """One file on its way. To pooch it is the function that downloads."""

    url: str
    file: Path
    what: str
    size: int | None
    digest: str | None
    licence: str
    instead: str
    quiet: bool
    line: Progress | None = None
    answered: bool = False  # whether the server ever did

    def __post_init__(self):
        self.host, self.part = urlparse(self.url).hostname, self.file.with_name(f"{self.file.name}.part")

    @property
    def arrived(self) -> int:
        """How many bytes have arrived that it can resume from: 0 without a digest, which tells whether all belongs together."""
        return self.part.stat().st_size if self.digest and self.part.is_file() else 0

    def fault(self) -> str:
        """Why the file has to be fetched; "" if it is there and whole."""
        import pooch

        if not self.file.exists():
            return "is not on this machine"
        algorithm, _, digits = (self.digest or "").partition(":")
        damaged = digits and pooch.file_hash(str(self.file), algorithm) != digits
        return f"is on this machine, but {self.file.name} is damaged (its {algorithm} is not {digits})" if damaged else ""

    def offline(self, why: str) -> Offline:
        size = "" if self.size is None else f" ({megabytes(self.size)})"
        instead = f" Or without a network: {self.instead}" if self.instead else ""
        by_hand = f"Wanted: {self.file}, which is {self.url}: download it where there is a network and put it there."
        return Offline(f"{self.what}{size} {why}. {by_hand}{instead}")

    def announce(self, total: int | None) -> None:
        if not self.quiet and self.line is None:
            licence = f" ({self.licence})" if self.licence else ""
            there = f", of which {megabytes(self.arrived)} are there already" if self.arrived else ""
            folder = self.file.parent.absolute()
            print(f"Fetching {self.what}{licence} from {self.host}: {megabytes(total)}{there}, to {folder}", flush=True)
            self.line = Progress(total or 0, f"{self.what}:", megabytes=True)

    def run(self) -> None:
        import pooch

        pooch.get_logger().setLevel("WARNING")
        result = "stopped"
        try:
            pooch.retrieve(self.url, self.digest, self.file.name, self.file.parent, downloader=self)
            checked = f"its {self.digest.partition(':')[0]} is right" if self.digest else "no hash of it is published"
            result = f"fetched, {megabytes(self.file.stat().st_size)}; {checked}"
        finally:
            if self.arrived:
                result = f"stopped; {megabytes(self.arrived)} are kept, and it resumes there next time"
            if self.line:
                self.line.done(f"{self.what}: {result}")

    def __call__(self, url: str, output_file: str, pooch) -> None:
        """Download to `output_file`, in as many tries as it takes."""
        failed, furthest = 0, self.arrived
        while True:
            try:
                self.receive()
                break
            except _Again as error:
                reason, asked = (*error.args, None)[:2]
            if self.arrived > furthest:
                failed, furthest = 0, self.arrived
            waits = WAITS if self.answered else WAITS[:1]  # without any answer there is probably no network
            if failed == len(waits) or (asked or 0) > LONGEST_WAIT:
                later = f", and asks to come back in {asked / 60:.0f} minutes" if asked else ""
                raise self.offline(f"is not on this machine, and cannot be fetched now: {reason}{later}")
            wait = waits[failed] if asked is None else asked
            failed += 1
            if self.line:
                self.line.step(0, f"{reason}: tries again in {wait:.0f} s")
            time.sleep(wait)
        os.replace(self.part, output_file)

    def receive(self) -> None:
        """One request; returns when the file has arrived to its end. Raises _Again, and what `fetch` raises."""
        start = self.arrived
        headers = HEADERS | ({"Range": f"bytes={start}-"} if start else {})
        with self.ask(headers) as response:
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if response.status_code == 416 or (response.status_code == 206 and not resumed):
                self.part.unlink(missing_ok=True)
                raise _Again(f"{self.host} did not continue where it was asked to", 0)
            start = start if response.status_code == 206 else 0
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdigit() else None
            pieces = self.pieces(response)
            piece = next(pieces, b"")
            if start == 0 and is_page(piece):
                login = "answered with a web page in its place. Does this network want you to log in first?"
                raise self.offline(f"is not here, and cannot be fetched now: {self.host} {login}")
            self.check(response, total)
            self.announce(total)
            need_room(self.file.parent, (total or 0) - start)
            if self.line:
                self.line.total = total or self.line.total
                self.line.go_on_from(start)
            with open(self.part, "ab" if start else "wb") as out:
                while piece and (self.size is None or start <= self.size):
                    start += out.write(piece)
                    if self.line:
                        self.line.step(len(piece))
                    piece = next(pieces, b"")
            if total is not None and start < total:
                raise _Again(f"{self.host} broke off")

    def ask(self, headers: dict[str, str]):
        """The answer 200, 206 or 416 to a GET, its body not yet read."""
        import requests

        try:
            response = requests.get(self.url, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.exceptions.SSLError as error:
            raise Refused(f"the certificate of {self.host} is invalid: is the clock right, is there a login page?") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Again(f"no connection to {self.host}, or no answer") from error
        except requests.RequestException as error:  # redirects in a circle, or off the web
            raise Refused(f"{self.url} cannot be fetched: {error}") from error
        self.answered, status = True, response.status_code
        if status in (200, 206, 416):
            return response
        response.close()
        if status in (404, 410):
            raise Gone(f"{self.url} is gone: {self.host} answered {status}")
        if status in (408, 425, 429) or status >= 500:
            wait = response.headers.get("Retry-After", "")
            raise _Again(f"{self.host} answered {status} {response.reason}", float(wait) if wait.isdigit() else None)
        raise Refused(f"{self.host} refused to give {self.url}: it answered {status} {response.reason}")

    def check(self, response, total: int | None) -> None:
        """Refuse what has the wrong length, or what nobody could check, before anything is written."""
        if self.size is not None and total not in (None, self.size):
            raise ValueError(f"{self.what}: {self.url} has {total:,} bytes, expected {self.size:,}. Nothing was fetched.")
        exposed = self.url.startswith("https:") and not response.url.startswith("https:")
        if not self.digest and (total is None or exposed or "Content-Encoding" in response.headers):
            why = "is sent without encryption" if exposed else "has no length, or is compressed on the way"
            raise ValueError(f"{self.what}: {self.url} has no published hash and {why}: it can't be checked. It was not fetched.")

    def pieces(self, response):
        """The body as it is sent: servers mark .tgz files as compressed on the way, which they are not."""
        import requests

        try:
            yield from response.raw.stream(PIECE, decode_content=False)
        except requests.exceptions.BaseHTTPError as error:
            raise _Again(f"{self.host} broke off") from error
