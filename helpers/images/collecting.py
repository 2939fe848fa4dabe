"""A new set of goldfinch photographs, chosen from iNaturalist by licence, species and observer."""

import datetime
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import requests

from helpers.data.downloads import Gone, Refused, megabytes
from helpers.data.downloads import offline as is_offline
from helpers.images.credits import keep_credits
from helpers.images.decoding import open_image
from helpers.images.inaturalist import AGENT, ENOUGH_REFUSED, NAME, Service, announced, cannot, get_photo
from helpers.images.manifests import (
    ENDINGS,
    LICENCES,
    MAX_BYTES,
    PAGES,
    PHOTOS,
    SPECIES,
    Manifest,
    Photograph,
    address_of,
    clean,
    problem,
    read_manifest,
)
from helpers.images.twins import fingerprint

_FIRST = "Spinus lawrencei"  # the rarest, so it chooses its observers first
_MOST_PAGES = 100  # a species
_FEWEST = 4  # of a species: two to train on, one to validate and one to test with


def collect(
    folder: str | Path, per_species: int = 100, *, offline: bool | None = None, service: Service | None = None
) -> Manifest:
    """Collect photographs of the four goldfinches from iNaturalist into a folder, and freeze the set as its manifest.json.

    Research grade only (others agreed on the species); of each observation the first photograph that its author gave away
    as CC0 or CC BY; of each observer one photograph in all four species, so that pictures of one bird cannot be on two sides
    of a split. The oldest observations come first, so the same archive gives the same set. It takes its time: one
    question a second, a pause before each photograph. What was interrupted goes on when it is called again.
    Raises ValueError for a folder that has a manifest, ModuleNotFoundError without pyinaturalist, `downloads.Offline`
    without a connection. The client is pyinaturalist (J. Cook and others, pyinaturalist.readthedocs.io).
    """
    if isinstance(per_species, bool) or not isinstance(per_species, int) or not _FEWEST <= per_species <= 2000:
        raise ValueError(f"per_species={per_species!r} must be a whole number from {_FEWEST} to 2000")
    folder, service = Path(folder).expanduser(), service or Service()
    if (folder / "manifest.json").exists():
        raise ValueError(f"{folder} has a manifest already: open it with open_task({NAME!r}, manifest=...), or take a new folder")
    what = f"up to {per_species} photographs a species, 500 pixels a side"
    if is_offline(offline):
        raise cannot(what, "offline=True or COURSE_OFFLINE forbids it", folder)
    client = _client(folder, service)
    progress = announced(f"{what} and {megabytes(MAX_BYTES)} each at most, from iNaturalist", per_species * len(SPECIES), folder)
    chosen = []
    try:
        with client, requests.Session() as session:
            for species in sorted(SPECIES, key=lambda name: name != _FIRST):
                for one in _photographs(species, per_species, {one.login.casefold() for one in chosen}, client, session,
                                        folder, service, progress):  # fmt: skip
                    if one.sha256 not in {other.sha256 for other in chosen}:
                        chosen.append(one)
    except BaseException:
        progress.done(f"{NAME}: stopped after {len(chosen)} photographs; they are kept, and are not fetched again")
        raise
    chosen.sort(key=lambda one: (list(SPECIES).index(one.species), one.observation))
    query = {"api": "v1/observations", "order_by": "id", "order": "asc"} | _query(list(SPECIES))
    manifest = Manifest(tuple(chosen), per_species, datetime.date.today().isoformat(), query)
    few = [f"{len(members)} of {name}" for name, members in manifest.classes.items() if len(members) < _FEWEST]
    if few:
        progress.done(f"{NAME}: too few photographs")
        raise ValueError(f"iNaturalist gave too few photographs: {', '.join(few)}. At least {_FEWEST} of a species are needed.")
    keep_credits(folder, {one.sha256: one.credit for one in chosen})
    manifest.save(folder / "manifest.json")
    shutil.rmtree(folder / "unfinished", ignore_errors=True)
    progress.done(f"{NAME}: {len(manifest)} photographs, {megabytes(sum(one.bytes for one in chosen))}, are in {folder}")
    return read_manifest(folder / "manifest.json")


def _photographs(species, count, logins, client, session, folder, service, progress) -> Iterator[Photograph]:
    """Up to `count` photographs of a species that are on this disk now, by observers who are not in `logins`."""
    taken, refused = set(), 0
    for entry in _entries(species, count, client, service, folder):
        login = entry["login"].casefold()
        if login in logins or entry["photo"] in taken:
            continue
        try:
            one = _take(entry, folder, session, service, progress)
        except Refused:
            one, refused = None, refused + 1
            if refused == ENOUGH_REFUSED and not taken:
                raise
        if one is not None:
            logins.add(login)
            taken.add(one.photo)
            progress.step(1, species)
            yield one
        if len(taken) == count:
            return


def _entries(species: str, count: int, client, service: Service, folder: Path) -> Iterator[dict]:
    """What a manifest says of photographs, but for what only the file can tell, in the order of their observations."""
    from pyinaturalist.paginator import JsonIDRangePaginator
    from pyinaturalist.session import BucketFullException, get

    def ask(url, **query):  # the client waits and tries again by itself, but for a 429 that does not say how long
        for wait in (*service.waits, None):
            try:
                return get(url, **query)
            except requests.HTTPError as error:
                if error.response.status_code != 429 or wait is None:
                    raise
                time.sleep(wait)

    per_page = min(200, max(30, 2 * count))
    pages = JsonIDRangePaginator(ask, f"{service.api}/observations", session=client, per_page=per_page, **_query([species]))
    seen, again = set(), 0
    try:
        for number, observation in enumerate(pages):
            if observation.get("id") in seen:  # a page once more
                again += 1
            else:
                seen.add(observation.get("id"))
                again = 0
                entry = _entry(observation, species)
                if entry is not None:
                    yield entry
            if again >= 2 * per_page or number >= _MOST_PAGES * per_page:
                return
    except (requests.RequestException, BucketFullException) as error:  # the latter: as many today as iNaturalist likes
        raise cannot("a list of observations", _why(error, service), folder) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"iNaturalist answered with something that is no list of observations ({error!r})") from error


def _query(species: list[str]) -> dict:
    """What iNaturalist is asked; every answer is held against it once more."""
    licences = [code.upper() for code in LICENCES]
    return {"taxon_name": species, "quality_grade": "research", "photos": True, "photo_license": licences}


def _entry(observation: dict, species: str) -> dict | None:
    """An observation as an entry of a manifest, with its first photograph that may be used; None if there is none."""
    taxon, user = observation.get("taxon") or {}, observation.get("user") or {}
    name, login = str(taxon.get("name")), user.get("login")
    is_below = name.startswith(f"{species} ") and taxon.get("rank") in ("subspecies", "variety", "form")
    if observation.get("quality_grade") != "research" or not (name == species or is_below):
        return None
    for photo in observation.get("photos") or []:
        number, licence = photo.get("id"), str(photo.get("license_code")).lower()
        found = re.fullmatch(re.escape(f"{PHOTOS}/photos/{number}/") + r"\w+\.(\w+)(\?\d*)?", str(photo.get("url")))
        if licence in LICENCES and found and found[1].lower() in ENDINGS:
            day = str(observation.get("observed_on") or "")[:10]
            entry = {
                "species": species, "photo": number, "observation": observation["id"],
                "observer": clean(user.get("name")), "login": login, "licence": licence,
                "attribution": clean(photo.get("attribution")), "address": address_of(number, found[1]),
                "page": f"{PAGES}/photos/{number}", "observed_on": day if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else "",
            }  # fmt: skip
            unknown = {"sha256": "0" * 64, "fingerprint": "0" * 64, "bytes": 1, "width": 1, "height": 1}
            return None if problem(entry | unknown) else entry
    return None


def _take(entry: dict, folder: Path, session, service: Service, progress) -> Photograph | None:
    """Fetch the photograph of an entry and look at it; None if it is gone, or no picture."""
    ending, place = entry["address"].rsplit(".")[-1].lower(), folder / SPECIES[entry["species"]]
    before = [file for file in place.glob(f"{entry['photo']}-*.{ending}") if is_named_right(file)]  # of an interrupted collection
    file = before[0] if before else folder / "unfinished" / f"{entry['photo']}.{ending}"
    try:
        if not before:
            get_photo(entry["address"], file, f"photo {entry['photo']}", session, service, progress)
        data = file.read_bytes()
        if not 0 < len(data) <= MAX_BYTES:
            raise ValueError(f"{len(data):,} bytes")
        picture = open_image(file)
    except (Gone, ValueError):
        with suppress(OSError):
            file.unlink()
        return None
    bits = np.packbits(fingerprint(picture).ravel()).tobytes().hex()
    digest = hashlib.sha256(data).hexdigest()
    one = Photograph(**entry, sha256=digest, bytes=len(data), width=picture.width, height=picture.height, fingerprint=bits)
    (folder / one.file).parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, folder / one.file)
    return one


def is_named_right(file: Path) -> bool:
    """Whether a file's content is the one in its name, "number-hash"."""
    return hashlib.sha256(file.read_bytes()).hexdigest().startswith(file.stem.split("-")[1])


def _client(folder: Path, service: Service):
    """pyinaturalist's session: it keeps to the rate, tries again, and says who asks; its files are in the folder."""
    try:
        from pyinaturalist import ClientSession
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "goldfinch photographs are collected with pyinaturalist, which is not installed here: run `pip install pyinaturalist`"
        ) from error
    own = folder / ".client"
    own.mkdir(parents=True, exist_ok=True)
    client = ClientSession(
        cache_file=own / "answers.db", ratelimit_path=str(own / "rate.db"), lock_path=str(own / "rate.lock"), user_agent=AGENT,
        per_second=service.per_second, per_minute=service.per_minute, burst=service.burst, backoff_factor=service.backoff,
    )  # fmt: skip
    client.settings.disabled = True  # no answer is kept: a new set is chosen from the archive as it is
    client.mount("http://", client.get_adapter("https://"))
    return client


def _why(error: Exception, service) -> str:
    """What went wrong with a question to iNaturalist, without the innards of a connection."""
    if isinstance(error, requests.HTTPError):
        return f"iNaturalist answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.RetryError):
        return "iNaturalist answers with errors, however often it is asked"
    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return f"there is no connection to {urlparse(service.api).hostname}, or it breaks off"
    return f"iNaturalist does not answer as it should ({error})"
