"""A new set of goldfinch photographs, chosen from iNaturalist by licence, species and observer.

The client is pyinaturalist (J. Cook and others, pyinaturalist.readthedocs.io).
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers.data.downloads import megabytes
from helpers.images import goldfinch_photos as photos
from helpers.images.decoding import open_image
from helpers.images.goldfinch_photos import LICENCES, NAME, SPECIES, Photograph
from helpers.images.twins import fingerprint

FEWEST = 4  # photographs of a species: two to train on, one to validate and one to test with
_ADDRESS = re.compile(re.escape(f"{photos.PHOTOS}/photos/") + r"(\d+)/\w+\.(jpg|jpeg|png)(?:\?\d*)?")


def collect(folder: str | Path, per_species: int = 100, *, offline: bool | None = None) -> list[Photograph]:
    """Collect photographs of the four goldfinches from iNaturalist into a folder, and freeze the set as its manifest.json.

    Research grade only (others agreed on the species); of each observation the first photograph that is CC0 or CC BY; of each
    observer one photograph in all, so that pictures of one bird cannot be on two sides of a split; oldest observations first,
    so the same archive gives the same set. It asks once a second; if interrupted, it goes on when called again. Raises
    ValueError for a folder that has a manifest, ModuleNotFoundError without pyinaturalist, Offline without a connection.
    """
    folder = Path(folder).expanduser()
    if type(per_species) is not int or not FEWEST <= per_species <= 2000:
        raise ValueError(f"per_species={per_species!r} must be a whole number from {FEWEST} to 2000")
    if (folder / "manifest.json").exists():
        raise ValueError(f"{folder} has a manifest already: open that, with files=Files(manifest=...), or take a new folder")
    what = f"up to {per_species} photographs a species, {megabytes(photos.MAX_BYTES)} each at most, from iNaturalist"
    progress = photos.announced(what, per_species * len(SPECIES), folder, offline)
    chosen, answers = {}, []  # {login: its photograph}
    with _client(folder) as client:
        for species in SPECIES:
            before = len(chosen)
            for one in _usable(species, client, folder):
                if one.login.casefold() in chosen:
                    continue
                if not (folder / one.file).is_file():  # or an interrupted collection has fetched it
                    photos.fetch_one(one, folder, answers)
                with suppress(FileNotFoundError, ValueError):  # not there, too large or no picture
                    data, bits = (folder / one.file).read_bytes(), fingerprint(open_image(folder / one.file))
                    about = {"sha256": hashlib.sha256(data).hexdigest(), "fingerprint": np.packbits(bits).tobytes().hex()}
                    if about["sha256"] not in {other.sha256 for other in chosen.values()}:
                        chosen[one.login.casefold()] = replace(one, bytes=len(data), **about)
                        progress.step(1, species)
                if len(chosen) == before + per_species:
                    break
            if (found := len(chosen) - before) < FEWEST:
                raise ValueError(f"iNaturalist gave too few photographs: {found} of {SPECIES[species]}, and {FEWEST} are needed")
    photographs = list(chosen.values())
    photos.write_credits(photographs, folder)
    photos.write_manifest(photographs, folder / "manifest.json")
    progress.done(f"{NAME}: {len(photographs)} photographs, {megabytes(sum(one.bytes for one in photographs))}, are in {folder}")
    return photographs


def _client(folder: Path):
    """pyinaturalist's session: it keeps to iNaturalist's rate, tries again, and says who asks. Its files are in the folder."""
    try:
        from pyinaturalist import ClientSession
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("to collect photographs of goldfinches, run `pip install pyinaturalist`") from error
    own = folder / ".client"
    own.mkdir(parents=True, exist_ok=True)
    client = ClientSession(cache_file=own / "answers.db", ratelimit_path=str(own / "rate.db"), lock_path=str(own / "rate.lock"),
                           backoff_factor=2, user_agent="transfer-learning-course (photographs of goldfinches)")  # fmt: skip
    client.settings.disabled = True  # no answer is kept: a new set is chosen from the archive as it is
    tries = client.get_adapter("https://").max_retries
    tries.status_forcelist = {*tries.status_forcelist, 429}  # asked too often: the client's own tries leave it out
    return client


def _usable(species: str, client, folder: Path) -> Iterator[Photograph]:
    """The photographs of a species that may be used, one an observation, those of the oldest observations first."""
    import requests
    from pyinaturalist import get_observations
    from pyinaturalist.session import BucketFullException  # as many requests today as iNaturalist likes

    query = {"taxon_name": species, "quality_grade": "research", "photos": True, "photo_license": ["CC0", "CC-BY"]}
    query |= {"order_by": "id", "order": "asc", "per_page": 200, "session": client}
    last, fresh = 0, True
    while fresh:
        try:
            page = get_observations(**query, id_above=last)["results"]
            fresh = [observation for observation in page if observation["id"] > last]
            yield from filter(None, [_first_free(observation, species) for observation in fresh])
            last = max([last, *(observation["id"] for observation in fresh)])
        except (requests.RequestException, BucketFullException) as error:
            answer = getattr(error, "response", None)
            why = "no answer, or errors only" if answer is None else f"it answered {answer.status_code} {answer.reason}"
            raise photos.offline_error("a list of observations", f"iNaturalist: {why}", folder) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"iNaturalist answered with something that is no list of observations ({error!r})") from error


def _first_free(observation: dict, species: str) -> Photograph | None:
    """The first photograph of an observation that may be used; None if there is none. That it was asked for proves nothing."""
    taxon, user = observation.get("taxon") or {}, observation.get("user") or {}
    same = taxon.get("rank") in ("species", "subspecies", "variety", "form") and f"{taxon.get('name')} ".startswith(f"{species} ")
    if not same or observation.get("quality_grade") != "research":
        return None
    for photo in observation.get("photos") or []:
        licence, found = str(photo.get("license_code")).lower(), _ADDRESS.fullmatch(str(photo.get("url")))
        if licence in LICENCES and found and found[1] == str(photo.get("id")):
            named = re.match(r"\(c\) (.{1,200}?),? (?:some|no|all) rights reserved", str(photo.get("attribution")))
            author = photos.plain(named and named[1]) or photos.plain(user.get("name")) or user.get("login")
            with suppress(ValueError):
                return Photograph(species, photo["id"], user.get("login"), author, licence, found[2])
    return None
