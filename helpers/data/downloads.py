"""Files from the network: announced, resumed after a cut, held against their hash, and never half there.

`fetch` is the only door to the network in this library (clients of iNaturalist and of Hugging Face aside), and
`offline` says whether it may be opened. Why not pooch, a good library for this: it starts anew after every cut.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import requests

from helpers.data import answers
from helpers.data.answers import Again, Gone, Refused
from helpers.data.partfiles import Part, explained, is_page, need_room, read_digest, what_is_wrong
from helpers.notebook.progress import Progress

__all__ = ["Gone", "Offline", "Refused", "fetch", "megabytes", "offline"]

WAITS = (1, 2, 4, 8, 16)  # seconds before the second, third, ... try
LONGEST_WAIT = 120  # seconds; a server that asks for more is asked again by the person, later
ENOUGH = 1_000_000  # bytes: a try that brought so many was worth it, and the count of failed ones begins anew


class Offline(ConnectionError, FileNotFoundError):
    """Something is not on this machine, and must not or cannot be fetched. The message says what, where it would come
    from, where to put it by hand, and what works without a network."""


def offline(flag: bool | None = None) -> bool:
    """Whether nothing may be fetched: `flag`, or the environment variable COURSE_OFFLINE (set to anything but "", "0",
    "false" and "no"). A flag can forbid, but never allow what the variable forbids."""
    return bool(flag) or os.environ.get("COURSE_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


_forbidden = offline  # where an argument has that name


def megabytes(size: float | None) -> str:
    """ "345 MB", "4.8 MB" (of 1,000,000 bytes), "size unknown"."""
    if size is None:
        return "size unknown"
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,.0f} bytes"


def fetch(url: str, file: str | Path, *, what: str, size: float | None = None, digest: str | None = None,
          licence: str = "", instead: str = "", offline: bool | None = None, progress: Progress | None = None,
          session: requests.Session | None = None) -> Path:  # fmt: skip
    """The file at `url`, as the local `file`; if that is there and whole, without any connection. Returns its path.

    what: it in words ("Flowers102: its photographs"). size: bytes; an int is held against what comes, a float is only
    about right, and said. digest: "sha256:HEX", "sha1:HEX" or "md5:HEX", or the first 8 or more digits of it; None
    only where nobody knows it. licence, instead: said in the announcement, and in the message of Offline.

    What, from where, how much and to which folder is printed first, then a line moves. What comes is written to
    FILE.part; after a cut it goes on where it stopped, in this call or, after an interrupt, in the next one. It gets
    its name when length and digest are right, so a file with that name is whole. progress: the caller's line, who has
    announced many small files together: nothing is printed then, and the caller does the steps. session: one of
    requests, to keep a connection open for many.

    Raises Offline without a network, or where it is forbidden; Refused (403, a redirect to where nothing is safe), Gone
    (404, 410), ValueError for wrong bytes, with both digests, OSError where it can't be written. All but ValueError
    keep what has come so far.
    """
    wanted = _Wanted(url, Path(file).expanduser(), what, size, digest, licence, instead)
    answers.check_address(url)
    if digest:
        read_digest(digest)
    if not (fault := wanted.fault()):
        return wanted.file
    if _forbidden(offline):
        raise wanted.offline(fault, "must not be fetched: offline=True or COURSE_OFFLINE forbids it")
    part = Part(wanted.file)
    waiting = f"{what}: another program is fetching it; waiting for that"
    with part.alone(on_waiting=lambda: print(waiting, flush=True)):
        if fault := wanted.fault():
            own = session or requests.Session()
            try:
                _Download(wanted, part, own, progress).run(fault)
            finally:
                if session is None:
                    own.close()
    return wanted.file


@dataclass(frozen=True)
class _Wanted:
    url: str
    file: Path
    what: str
    size: float | None
    digest: str | None
    licence: str
    instead: str

    def fault(self) -> str:
        """Why the file has to be fetched; "" if it is there and whole."""
        if not self.file.exists():
            return "is not on this machine"
        wrong = what_is_wrong(self.file, self.size, self.digest)
        return wrong and f"is on this machine, but {self.file.name} is damaged ({wrong})"

    def offline(self, fault: str, reason: str) -> Offline:
        how_much = "" if self.size is None else f" ({megabytes(self.size)})"
        return Offline(
            f"{self.what}{how_much} {fault}, and {reason}. Wanted: {self.file}, which is {self.url}: download it where there "
            "is a network and put it there." + (f" Or without a network: {self.instead}" if self.instead else "")
        )

    def announcement(self, total: float | None, there: int) -> str:
        licence = f" ({self.licence})" if self.licence else ""
        resumed = f", of which {megabytes(there)} are there already" if there else ""
        place = self.file.parent.absolute()
        return f"Fetching {self.what}{licence} from {urlparse(self.url).hostname}: {megabytes(total)}{resumed}, to {place}"


class _Download:
    """One file on its way, in as many tries as it takes."""

    def __init__(self, wanted: _Wanted, part: Part, session: requests.Session, progress: Progress | None):
        self.wanted, self.part, self.session = wanted, part, session
        self.line, self.own_line = progress, progress is None

    def run(self, fault: str) -> None:
        if fault != "is not on this machine" and self.own_line:
            print(f"{self.wanted.what} {fault}: it is fetched anew", flush=True)
        if self.wanted.size is not None:
            self.announce(self.wanted.size)
        try:
            self.try_again_and_again(fault)
            with explained(self.wanted.file.parent):
                self.part.finish()
        except BaseException:
            kept = self.part.length
            self.say(f"stopped; {megabytes(kept)} are kept, and it goes on from there next time" if kept else "stopped")
            raise
        algorithm = (self.wanted.digest or "").partition(":")[0]
        checked = f"its {algorithm} is right" if algorithm else "no hash of it is known, its length is right"
        self.say(f"fetched, {megabytes(self.wanted.file.stat().st_size)}; {checked}")

    def announce(self, total: float | None) -> None:
        """Once, as soon as it is known how much it is; before a byte of it is kept."""
        if self.line is None:
            print(self.wanted.announcement(total, self.part.length), flush=True)
            self.line = Progress(round(total or 0), f"{self.wanted.what}:", megabytes=True)

    def say(self, text: str) -> None:
        if self.own_line and self.line:
            self.line.done(f"{self.wanted.what}: {text}")

    def try_again_and_again(self, fault: str) -> None:
        failed, furthest, met = 0, self.part.length, False
        while True:
            resumed = self.part.length
            try:
                self.try_once()
                if not (wrong := what_is_wrong(self.part.path, self.wanted.size, self.wanted.digest)):
                    return
                start = self.part.path.read_bytes()[:60]
                self.part.discard()
                if not resumed:
                    raise ValueError(f"{self.wanted.what}: what came from {self.wanted.url} is not what was "
                                     f"expected: {wrong}. It begins with {start!r}, and was not kept.")  # fmt: skip
                again = Again(f"the parts do not fit together ({wrong})", wait=0)
            except Again as error:
                again = error
            if self.part.length >= furthest + ENOUGH:
                failed, furthest = 0, self.part.length
            met = met or again.met
            waits = WAITS if met else WAITS[:1]  # without any answer: probably no network at all
            wait = waits[failed] if failed < len(waits) and again.wait is None else again.wait
            if failed >= len(waits) or wait > LONGEST_WAIT:
                later = f", and asks to come back in {wait / 60:.0f} minutes" if (wait or 0) > LONGEST_WAIT else ""
                raise self.wanted.offline(fault, f"cannot be fetched now: {again}{later}") from again
            failed += 1
            if self.line:
                self.line.step(0, f"{again}: goes on in {wait:.0f} s")
            time.sleep(wait)

    def try_once(self) -> None:
        """One request; returns when the server has sent all that it had to send."""
        wanted, part, about, headers = self.wanted, self.part, self.part.about, {}
        same = about.get("url") == wanted.url and about.get("validator")
        if part.length and (same or wanted.digest):
            headers["Range"] = f"bytes={part.length}-"
            if same:
                headers["If-Range"] = about["validator"]
        with answers.ask(self.session, wanted.url, headers, checkable=bool(wanted.digest)) as response:
            start, total = answers.content_range(response)
            if response.status_code == 416:
                if total and total == part.length and about.get("total") in (None, total):
                    return
                part.discard()
                raise Again("the server has another file than before", wait=0)
            if response.status_code == 206:
                other_length = total and about.get("total") not in (None, total)
                other_state = same and answers.validator(response) not in (None, about["validator"])
                if start != part.length or other_length or other_state:
                    part.discard()
                    raise Again("the server went on elsewhere than asked", wait=0)
                total = total or about.get("total")
            else:
                start, total = 0, answers.announced_length(response)
            self.receive(response, start, total)

    def check(self, response: requests.Response, total: int | None) -> None:
        """What can be said before anything is written: that it has the right length, and that it can be checked."""
        size, about = self.wanted.size, f"{self.wanted.what}: {self.wanted.url}"
        if total is not None and isinstance(size, int) and total != size:
            raise ValueError(f"{about} has {total:,} bytes, expected were {size:,}. Nothing was fetched.")
        endless = total is None and not getattr(response.raw, "chunked", False) and not isinstance(size, int)
        if not self.wanted.digest and (endless or answers.is_packed(response)):
            why = "does not say how long it is" if endless else "comes compressed"
            raise ValueError(f"{about} {why}, and no hash of it is known: nobody could say whether it is whole. "
                             "Nothing was fetched.")  # fmt: skip

    def receive(self, response: requests.Response, start: int, total: int | None) -> None:
        wanted, part, coming = self.wanted, self.part, answers.pieces(response)
        piece = next(coming, b"")
        if start == 0 and is_page(piece) and wanted.file.suffix not in (".html", ".htm"):
            raise wanted.offline("is not here", f"cannot be fetched now: {urlparse(response.url).hostname} answered with "
                                 "a web page in its place. Does this network want you to log in first?")  # fmt: skip
        self.check(response, total)
        with explained(wanted.file.parent):
            if start == 0:
                part.begin(wanted.url, answers.validator(response), total)
        self.announce(total)
        need_room(wanted.file.parent, (total or 0) - start)
        if self.own_line:
            self.line.total = total or self.line.total
            self.line.go_on_from(start)
        with explained(wanted.file.parent), part.open() as out:
            while piece:
                start += out.write(piece)
                if self.own_line:
                    self.line.step(len(piece))
                too_much = isinstance(wanted.size, int) and start > wanted.size
                piece = b"" if too_much else next(coming, b"")
        if total is not None and part.length < total:
            raise Again(f"{urlparse(response.url).hostname} broke off")
