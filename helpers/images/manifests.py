"""A list of photographs from iNaturalist, as a file: which they are, whose they are, and how to tell that nothing changed.

The file is JSON with a line a photograph. It holds no picture and no path: where a photograph is fetched from and where
it is kept follow from its number, and a file that says otherwise is refused.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from helpers.data.wholefiles import write_whole

FORMAT = "goldfinch photographs 1"
PHOTOS = "https://inaturalist-open-data.s3.amazonaws.com"  # openly licensed photographs, and no others
PAGES = "https://www.inaturalist.org"
SIZE = "medium"  # at most 500 pixels a side
ENDINGS = ("jpg", "jpeg", "png")
LICENCES = {"cc0": "CC0 1.0", "cc-by": "CC BY 4.0"}  # iNaturalist's code, and what it stands for
SPECIES = {  # scientific name -> class, called as in the embedded task
    "Spinus tristis": "American",
    "Carduelis carduelis": "European",
    "Spinus lawrencei": "Lawrence's",
    "Spinus psaltria": "Lesser",
}
MAX_BYTES = 2_000_000  # of a photograph: one of this size has never that many
_MAX_FILE = 50_000_000
_SHARES = (("test", 0.25), ("val", 0.125))


@dataclass(frozen=True)
class Photograph:
    """One photograph of a manifest.

    species        scientific name. photo, observation: iNaturalist's numbers
    observer       the name of who saw the bird, "" if not given. login: as they are called on iNaturalist
    licence        "cc0" or "cc-by", of this photograph. attribution: iNaturalist's own line about it
    address, page  where the file and where the page about it is
    sha256, bytes  of the file. width, height: pixels
    fingerprint    64 hexadecimal digits that near-duplicates share, but for a few bits (`twins.fingerprint`)
    observed_on    the day on which the bird was seen, "" if not given
    """

    species: str
    photo: int
    observation: int
    observer: str
    login: str
    licence: str
    attribution: str
    address: str
    page: str
    sha256: str
    bytes: int
    width: int
    height: int
    fingerprint: str
    observed_on: str = ""

    @property
    def author(self) -> str:
        """Whom the attribution names, which is not always the observer; else the observer's name or login."""
        named = re.match(r"\(c\) (.{1,200}?),? (?:some|no|all) rights reserved", self.attribution)
        return (named and named[1].strip()) or self.observer or self.login

    @property
    def credit(self) -> str:
        """One line: the number, the author (and the login, where few fonts have the letters), the licence and the page."""
        who = self.author if self.author == self.login or max(self.author) < "\u0590" else f"{self.author} ({self.login})"
        return f"photo {self.photo} by {who}, {LICENCES[self.licence]}, {self.page.removeprefix('https://www.')}"

    @property
    def file(self) -> str:
        """Where it is kept below its folder: "class/number-hash.jpg"."""
        return f"{SPECIES[self.species]}/{self.photo}-{self.sha256[:8]}.{self.address.rsplit('.')[-1].lower()}"


@dataclass(frozen=True)
class Manifest:
    """A frozen set of photographs.

    photographs   in the order of SPECIES, then of their observations. Every one is by another observer
    per_species   how many were asked for at most. collected: the day. query: what iNaturalist was asked
    file          where it was read from or written to
    """

    photographs: tuple[Photograph, ...]
    per_species: int
    collected: str
    query: dict = field(default_factory=dict)
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.photographs)

    @property
    def classes(self) -> dict[str, list[Photograph]]:
        """{class: its photographs}, classes by name."""
        return {name: [one for one in self.photographs if SPECIES[one.species] == name] for name in sorted(SPECIES.values())}

    @cached_property
    def sides(self) -> dict[int, str]:
        """{photo: "pool" | "val" | "test"}: fixed by the observers' logins, whatever the order and the seed.

        A quarter of each class, those whose logins have the smallest hashes, is for testing, the next eighth for validation.
        Near-duplicates on several sides all go to the pool: two people may have uploaded one picture. Photographs that are
        gone keep their place, so that the others keep theirs.
        """
        from helpers.images.twins import groups_of

        sides = {}
        for members in self.classes.values():
            drawn = sorted(members, key=lambda one: hashlib.sha256(one.login.casefold().encode()).digest())
            start = 0
            for side, share in _SHARES:
                stop = start + max(1, round(share * len(drawn)))
                sides |= {one.photo: side for one in drawn[start:stop]}
                start = stop
            sides |= {one.photo: "pool" for one in drawn[start:]}
        prints = [np.frombuffer(bytes.fromhex(one.fingerprint), np.uint8) for one in self.photographs]
        bits = np.unpackbits(np.array(prints, np.uint8).reshape(-1, 32), axis=1).astype(bool)
        for group in groups_of(bits):
            near = [self.photographs[row].photo for row in group]
            if len({sides[photo] for photo in near}) > 1:
                sides |= dict.fromkeys(near, "pool")
        return sides

    def save(self, file: str | Path) -> Path:
        """Write it, a line a photograph; returns the path. The file is written beside and renamed."""
        file = Path(file).expanduser()
        about = {"format": FORMAT, "source": PAGES, "collected": self.collected, "per_species": self.per_species}
        head = [f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in (about | {"query": self.query}).items()]
        lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in self.photographs)
        write_whole(file, "{\n" + "".join(head) + f'"photographs": [\n{lines}\n]\n}}\n')
        return file

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(members)} {name}" for name, members in self.classes.items())
        free = sum(one.licence == "cc0" for one in self.photographs)
        return (
            f"Manifest: {len(self)} photographs of {len(SPECIES)} species ({counts}), {free} CC0 and {len(self) - free} CC BY, "
            f"each by another observer, collected on {self.collected}"
        )


def read_manifest(file: str | Path) -> Manifest:
    """Read a manifest and check every entry.

    Raises FileNotFoundError, or ValueError that names the entry and what is wrong with it: damaged JSON, another address
    than the photograph's own, another licence, a number twice, two photographs by one observer.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no manifest {file.absolute()}. Is the path right?")
    try:
        if file.stat().st_size > _MAX_FILE:
            raise ValueError(f"it has {file.stat().st_size:,} bytes")
        about = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise ValueError(f'it does not say "format": "{FORMAT}"')
        entries, per_species = about["photographs"], about["per_species"]
        if not isinstance(entries, list) or not _number(per_species):
            raise ValueError("its list of photographs is damaged")
        collected, query = about["collected"], about["query"]
        if not _day(collected) or not isinstance(query, dict):
            raise ValueError("its day or its query is damaged")
    except (ValueError, KeyError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{file} is no intact manifest of goldfinch photographs: {why}") from error
    photographs = []
    for number, entry in enumerate(entries, 1):
        wrong = problem(entry)
        if wrong:
            raise ValueError(f"{file} is refused: its photograph {number} {wrong}. Nothing was fetched.")
        photographs.append(Photograph(**entry))
    for what in ("photo", "observation", "login"):
        seen = {}
        for number, one in enumerate(photographs, 1):
            value = str(getattr(one, what)).casefold()
            if value in seen:
                both = f"its photographs {seen[value]} and {number} have the same {what}, {value!r}"
                raise ValueError(f"{file} is refused: {both}. Nothing was fetched.")
            seen[value] = number
    order = list(SPECIES)
    photographs.sort(key=lambda one: (order.index(one.species), one.observation))
    return Manifest(tuple(photographs), per_species, collected, query, file)


def problem(entry) -> str:
    """What is wrong with the entry of a photograph in a manifest; "" if nothing is."""
    names = {part.name for part in fields(Photograph)}
    if not isinstance(entry, dict) or set(entry) != names:
        odd = sorted(map(str, names ^ set(entry)))[:3] if isinstance(entry, dict) else "no entry"
        return f"is not what a manifest holds ({odd})"
    if not isinstance(entry["species"], str) or entry["species"] not in SPECIES:
        return f"is of {str(entry['species'])[:60]!r}, not of {', '.join(SPECIES)}"
    for name in ("photo", "observation", "bytes", "width", "height"):
        if not _number(entry[name]):
            return f"has the {name} {str(entry[name])[:60]!r}, which is no positive number"
    if entry["bytes"] > MAX_BYTES:
        return f"has {entry['bytes']:,} bytes, more than {MAX_BYTES:,}"
    if not isinstance(entry["licence"], str) or entry["licence"] not in LICENCES:
        return f"has the licence {str(entry['licence'])[:60]!r}, not one of {', '.join(LICENCES)}"
    ending = str(entry["address"]).rsplit(".")[-1]
    if ending.lower() not in ENDINGS or entry["address"] != address_of(entry["photo"], ending):
        return f"has the address {str(entry['address'])[:120]!r}, not {address_of(entry['photo'], 'jpg')}"
    if entry["page"] != f"{PAGES}/photos/{entry['photo']}":
        return f"has the page {str(entry['page'])[:120]!r}, not {PAGES}/photos/{entry['photo']}"
    for name in ("sha256", "fingerprint"):
        if not isinstance(entry[name], str) or not re.fullmatch("[0-9a-f]{64}", entry[name]):
            return f"has the {name} {str(entry[name])[:80]!r}, not 64 hexadecimal digits"
    if not isinstance(entry["login"], str) or not re.fullmatch(r"[\w.@+-]{1,100}", entry["login"]):
        return f"has the login {str(entry['login'])[:60]!r}, which is none"
    for name in ("observer", "attribution"):
        if not isinstance(entry[name], str) or entry[name] != clean(entry[name]):
            return f"has the {name} {str(entry[name])[:60]!r}, which is no plain line of text"
    return "" if entry["observed_on"] == "" or _day(entry["observed_on"]) else f"has the day {str(entry['observed_on'])[:60]!r}"


def address_of(photo: int, ending: str) -> str:
    """Where iNaturalist keeps an openly licensed photograph."""
    return f"{PHOTOS}/photos/{photo}/{SIZE}.{ending}"


def clean(text) -> str:
    """A name as one plain line of at most 200 characters: no line breaks, no control or direction characters."""
    text = text if isinstance(text, str) else ""
    return " ".join("".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in text).split())[:200].strip()


def _number(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def _day(value) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value))
