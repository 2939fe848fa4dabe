"""Photographs of four goldfinches from iNaturalist, as a manifest lists them: restored byte for byte, or named as gone.

A manifest holds no address and no path: both follow from a photograph's number, so one that somebody sends you cannot
lead elsewhere. `inaturalist.py` collects a new set.
"""

import datetime
import hashlib
import json
import re
import shutil
import time
import unicodedata
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas

from helpers.data.downloads import Gone, Offline, Refused, fetch, megabytes
from helpers.data.downloads import offline as is_offline
from helpers.data.files import write_whole
from helpers.images.twins import groups_of
from helpers.notebook.progress import Progress

NAME, FORMAT = "goldfinch-photos", "goldfinch photographs 2"
PHOTOS = "https://inaturalist-open-data.s3.amazonaws.com"  # where openly licensed photographs are, and no others
LICENCES = {"cc0": "CC0 1.0", "cc-by": "CC BY 4.0"}  # iNaturalist's code, and what it stands for
SPECIES = {  # scientific name -> class, called as in the embedded task; the rarest is collected first
    "Spinus lawrencei": "Lawrence's",
    "Spinus tristis": "American",
    "Carduelis carduelis": "European",
    "Spinus psaltria": "Lesser",
}
MAX_BYTES = 2_000_000  # of a photograph; at 500 pixels a side none comes near
PAUSE = 0.25  # seconds between two photographs
# Amazon S3 answers 403, not 404, for a file that is gone where nobody may list the files (AWS, GetObject, "Permissions");
# a network that lets nobody through does so too. If the first so many are all refused, it is the network.
MOST_REFUSED = 10
INSTEAD = 'open_task("goldfinches"), which the course draws itself'
_VALID = {  # field of a photograph -> what it may be
    "species": "|".join(SPECIES),
    "photo": r"[1-9]\d{0,14}",
    "login": r"[\w.@+-]{1,100}",
    "author": ".{1,200}",
    "licence": "|".join(LICENCES),
    "ending": "jpe?g|png",
    "sha256": "[0-9a-f]{64}",
    "bytes": r"[1-9]\d{0,5}|1\d{6}",  # less than MAX_BYTES
    "fingerprint": "[0-9a-f]{64}",
}


@dataclass(frozen=True)
class Photograph:
    """A photograph of a manifest: its species, its number on iNaturalist, its observer's login, whom to credit, the licence of
    this very photograph, and its file. fingerprint: see `twins.fingerprint`. Raises ValueError for values that cannot be."""

    species: str
    photo: int
    login: str
    author: str
    licence: str
    ending: str
    sha256: str = "0" * 64
    bytes: int = 1
    fingerprint: str = "0" * 64

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            valid = type(value) is field.type and re.fullmatch(_VALID[field.name], str(value))
            if not valid or (field.name == "author" and value != plain(value)):
                raise ValueError(f"has the {field.name} {str(value)[:60]!r}, which cannot be")

    @property
    def file(self) -> str:
        """Where it is kept, below the folder of the set."""
        return f"{SPECIES[self.species]}/{self.photo}.{self.ending}"

    @property
    def credit(self) -> list[str]:
        """Author, licence and link."""
        author = self.author if self.author == self.login else f"{self.author} ({self.login})"  # few fonts have all letters
        return [author, LICENCES[self.licence], f"https://www.inaturalist.org/photos/{self.photo}"]

    def is_whole(self, file: Path) -> bool:
        """Whether a file is this photograph, to the last byte."""
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == self.sha256


def open_set(manifest: Path, root: Path, offline: bool | None = None):
    """The photographs of a manifest, in the folder `root`: ({"pool" | "val" | "test": {class: files}}, credits, notes).

    credits: {file: "author, licence, link"}. Raises ValueError for a manifest that is refused, or if too many of its
    photographs are gone; Offline.
    """
    wanted, notes = read_manifest(manifest), []
    if lost := restore(wanted, root, beside=manifest.parent, offline=offline):
        listed = ", ".join(map(str, sorted(lost)[:10])) + (", ..." if len(lost) > 10 else "")
        notes.append(
            f"{len(lost)} of the {len(wanted)} photographs are no longer on iNaturalist as they were, and not used: {listed}. "
            f"To ask again, delete {root / '.lost'}."
        )
        print(f"{NAME}: {notes[0]}", flush=True)
    parts = {part: {name: [] for name in sorted(SPECIES.values())} for part in ("pool", "val", "test")}
    sides, here = sides_of(wanted), [one for one in wanted if one.photo not in lost]
    for one in here:
        parts[sides[one.photo]][SPECIES[one.species]].append(one.file)
    if empty := [f"{part} of {name!r}" for part, classes in parts.items() for name, files in classes.items() if not files]:
        raise ValueError(f"{manifest} can no longer be opened: nothing is left for {', '.join(empty)}. {' '.join(notes)}")
    return parts, {one.file: ", ".join(one.credit) for one in here}, notes


def restore(photographs: list[Photograph], folder: Path, *, beside: Path | None = None, offline: bool | None = None) -> set[int]:
    """Fetch what a folder lacks of a set, byte for byte; returns the numbers of those that are not available.

    beside: a folder that may have them already. What is gone (its author took it back, say) or changed is noted in the
    folder, and not asked for again. Raises Offline, and Refused where not one is given; what arrived until then is kept.
    """
    note, wanted, answers = folder / ".lost", [], []
    known = set(note.read_text(encoding="utf-8").split() if note.is_file() else ())  # hashes
    for one in photographs:
        if beside and not one.is_whole(folder / one.file) and one.is_whole(beside / one.file):
            (folder / one.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside / one.file, folder / one.file)
        elif one.sha256 not in known and not one.is_whole(folder / one.file):
            wanted.append(one)
    if wanted:
        size = megabytes(sum(one.bytes for one in wanted))
        what = f"{len(wanted)} photographs ({size}) of the set, from {PHOTOS.split('/')[2]}"
        progress = announced(what, len(wanted), folder, offline)
        for one in wanted:
            fetch_one(one, folder, answers, size=one.bytes, digest=f"sha256:{one.sha256}")
            progress.step()
        # Where others were given, it is not the network that refuses.
        known |= {one.sha256 for one, answer in zip(wanted, answers, strict=True) if answer == "lost" or answer and "" in answers}
        write_whole(note, "\n".join(sorted(known)))
        progress.done(f"{NAME}: {answers.count('')} of {len(wanted)} photographs fetched, every one as it was")
    lost = {one.photo for one in photographs if not one.is_whole(folder / one.file)}
    write_credits([one for one in photographs if one.photo not in lost], folder)
    return lost


def sides_of(photographs: list[Photograph]) -> dict[int, str]:
    """{photo: "pool" | "val" | "test"}: fixed by the observers' logins, whatever the order and the seed.

    A quarter of each class, those whose logins have the smallest hashes, is for testing, the next eighth for validation.
    Near-duplicates on several sides all go to the pool: two people may have uploaded one picture. Photographs that are
    gone keep their place, so that the others keep theirs.
    """
    sides = {}
    for species in SPECIES:
        members = [one for one in photographs if one.species == species]
        members.sort(key=lambda one: hashlib.sha256(one.login.casefold().encode()).digest())
        test, val = (max(1, round(share * len(members))) for share in (0.25, 0.125))
        for row, one in enumerate(members):
            sides[one.photo] = "test" if row < test else "val" if row < test + val else "pool"
    prints = np.frombuffer(b"".join(bytes.fromhex(one.fingerprint) for one in photographs), np.uint8).reshape(-1, 32)
    for group in groups_of(np.unpackbits(prints, axis=1).astype(bool)):
        near = [photographs[row].photo for row in group]
        if len({sides[photo] for photo in near}) > 1:
            sides |= dict.fromkeys(near, "pool")
    return sides


def write_manifest(photographs: list[Photograph], file: Path) -> None:
    """Write a set as JSON, a line a photograph."""
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in photographs)
    day = datetime.date.today().isoformat()
    write_whole(file, f'{{\n"format": "{FORMAT}",\n"collected": "{day}",\n"photographs": [\n{lines}\n]\n}}\n')


def read_manifest(file: str | Path) -> list[Photograph]:
    """Read a manifest and check every entry. Raises FileNotFoundError, or ValueError that names the entry and what is wrong."""
    file = Path(file).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no manifest {file.absolute()}. Is the path right?")
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.get("format") != FORMAT or not isinstance(about.get("photographs"), list):
            raise ValueError(f'it does not say "format": "{FORMAT}", or has no list of photographs')
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ValueError(f"{file} is no intact manifest of goldfinch photographs: {error}") from error
    photographs, seen = [], {}
    for number, entry in enumerate(about["photographs"], 1):
        try:
            if not isinstance(entry, dict) or entry.keys() != _VALID.keys():
                raise ValueError(f"is not what a manifest holds: {', '.join(_VALID)}")
            photographs.append(Photograph(**entry))
            for name in ("photo", "login"):
                if (first := seen.setdefault((name, str(entry[name]).casefold()), number)) != number:
                    raise ValueError(f"has the same {name} as photograph {first}")
        except ValueError as error:
            raise ValueError(f"{file} is refused: its photograph {number} {error}. Nothing was fetched.") from None
    return photographs


def plain(text) -> str:
    """A text as one plain line of at most 200 characters: no line breaks, no control or direction characters."""
    text = text if isinstance(text, str) else ""
    return " ".join("".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in text).split())[:200].strip()


def announced(what: str, count: int, folder: Path, offline: bool | None) -> Progress:
    """Say what is about to be fetched, in one line, and return the line that will move. Raises Offline where it is forbidden."""
    if is_offline(offline):
        raise offline_error(what, "offline=True or COURSE_OFFLINE forbids it", folder)
    print(f"Fetching {NAME}: {what} (CC0 or CC BY), to {folder.absolute()}; if interrupted, it goes on next time", flush=True)
    return Progress(count, f"{NAME}, photographs:")


def offline_error(what: str, why: str, folder: Path) -> Offline:
    return Offline(
        f"{NAME}: {what}, not on this machine, cannot be fetched: {why}. By hand: copy the folder {folder.absolute()} from a "
        f"machine that has it, or open the manifest of such a copy. Or without any photographs: {INSTEAD}."
    )


def fetch_one(one: Photograph, folder: Path, answers: list[str], **known) -> None:
    """Fetch a photograph, at most 500 pixels a side, after a pause; adds "" to `answers`, or "lost" (gone, or other bytes than
    known) or "refused". Raises Refused where all of the first photographs are refused."""
    time.sleep(PAUSE)
    url, what = f"{PHOTOS}/photos/{one.photo}/medium.{one.ending}", f"{NAME}: photograph {one.photo}"
    answers.append("")
    try:
        fetch(url, folder / one.file, what=what, instead=INSTEAD, quiet=True, **known)
    except (Gone, Refused, ValueError) as error:
        answers[-1] = "refused" if isinstance(error, Refused) else "lost"
    if answers == ["refused"] * MOST_REFUSED:
        raise Refused(f"{NAME}: {PHOTOS} refuses every photograph: does this network want you to log in first?")


def write_credits(photographs: list[Photograph], folder: Path) -> None:
    table = pandas.DataFrame([[one.file, *one.credit] for one in photographs], columns=["file", "author", "licence", "link"])
    write_whole(folder / "CREDITS.csv", table.to_csv(index=False, lineterminator="\n"))
