"""Photographs of goldfinches from iNaturalist, on this disk: byte for byte those of a manifest, or which of them are gone."""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from helpers.data.downloads import Gone, Offline, Refused, fetch, megabytes
from helpers.data.downloads import offline as is_offline
from helpers.data.partfiles import what_is_wrong
from helpers.images.credits import keep_credits
from helpers.images.imagecache import cache_folder
from helpers.images.manifests import LICENCES, PHOTOS, SPECIES, Manifest, Photograph, read_manifest
from helpers.notebook.progress import Progress

NAME = "goldfinch-photos"
AGENT = "transfer-learning-course (photographs of goldfinches)"  # photographs themselves: see downloads
INSTEAD = 'open_task("goldfinches"), which the course draws itself'
_MISSING = ".missing.json"
# Amazon S3 answers 403, not 404, for a file that is gone where nobody may list the files (AWS, GetObject, "Permissions");
# a network that lets nobody through does so too. So many refused and none given: the latter.
ENOUGH_REFUSED = 10
_PARTS = ("pool", "val", "test")


@dataclass(frozen=True)
class Service:
    """Where iNaturalist is, and how gently it is asked.

    api, photos    where the lists of observations and where the photographs are
    per_second, per_minute, burst, backoff    requests, how many seconds' worth may come at once, and seconds before one is
                   tried again: pyinaturalist's own defaults
    waits          seconds to wait where the service says that it is asked too often, one try after another
    pause          seconds between two photographs
    """

    api: str = "https://api.inaturalist.org/v1"
    photos: str = PHOTOS
    per_second: float = 1
    per_minute: float = 60
    burst: float = 5
    backoff: float = 0.5
    waits: tuple[float, ...] = (10, 30, 60)
    pause: float = 0.25


def goldfinch_photos(cache_dir=None, offline: bool | None = None, manifest=None, service: Service | None = None):
    """The photographs, on this disk: (folder, {"pool" | "val" | "test": {class: files below it}}, {file: credit}, notes).

    manifest: the file of a set; None: the set that is in the cache folder, which is collected once if there is none.
    Raises ValueError for a manifest that is refused, or if too many of its photographs are gone; `downloads.Offline`.
    """
    root = cache_folder(cache_dir) / NAME
    if manifest is None and not (root / "manifest.json").is_file():
        from helpers.images.collecting import collect

        collect(root, offline=offline, service=service)
    wanted = read_manifest(root / "manifest.json" if manifest is None else manifest)
    lost = restore(wanted, root, offline=offline, service=service)
    notes = _notes(wanted, lost, root)
    parts = {part: {name: [] for name in wanted.classes} for part in _PARTS}
    here = [one for one in wanted.photographs if one.file not in lost]
    for one in here:
        parts[wanted.sides[one.photo]][SPECIES[one.species]].append(one.file)
    empty = [f"{part} of {name!r}" for part, classes in parts.items() for name, files in classes.items() if not files]
    if empty:
        raise ValueError(f"{wanted.file} can no longer be opened: nothing is left for {', '.join(empty)}. {' '.join(notes)}")
    for note in notes:
        print(f"{NAME}: {note}", flush=True)
    return root, parts, {one.file: one.credit for one in here}, notes


def restore(
    manifest: Manifest, folder: str | Path, *, offline: bool | None = None, service: Service | None = None
) -> dict[str, str]:
    """Fetch what a folder lacks of a manifest's photographs, byte for byte; returns {file: "gone" or "changed"} of the rest.

    A file counts only if its hash is the manifest's. Photographs beside the manifest are copied. What is gone (its author
    took it back, say) or changed is noted in the folder, and not asked for again. Raises `downloads.Offline`, and `Refused`
    where not one is given; what was fetched until then stays.
    """
    folder, service = Path(folder), service or Service()
    lost, known, wanted = {}, _read_missing(folder), []
    for one in manifest.photographs:
        beside = manifest.file.parent / one.file if manifest.file else None
        if is_whole(folder / one.file, one):
            continue
        if beside and is_whole(beside, one):
            (folder / one.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside, folder / one.file)
        elif one.file in known:
            lost[one.file] = known[one.file]
        else:
            wanted.append(one)
    if wanted:
        about = f"{len(wanted)} photographs ({megabytes(sum(one.bytes for one in wanted))})"
        if is_offline(offline):
            raise cannot(f"{about} of the set are not on this machine", "offline=True or COURSE_OFFLINE forbids it", folder)
        progress = announced(f"{about} from {service.photos.split('/')[2]}", len(wanted), folder)
        refused, given = [], 0
        with requests.Session() as session:
            for one in wanted:
                try:
                    why = _fetch(one, folder, session, service, progress)
                except Refused:
                    refused.append(one)
                    if not given and len(refused) == min(ENOUGH_REFUSED, len(manifest)):
                        raise
                    continue
                if why:
                    lost[one.file] = known[one.file] = why
                    _write_missing(folder, known)
                given += not why
                progress.step()
        lost |= {one.file: "gone" for one in refused}
        if given and refused:  # the rest was given, so it is not the network that refuses
            _write_missing(folder, known | {one.file: "gone" for one in refused})
        progress.done(f"{NAME}: {given} of {len(wanted)} photographs fetched, every one as it was")
    keep_credits(folder, {one.sha256: one.credit for one in manifest.photographs if one.file not in lost})
    return lost


def is_whole(file: Path, one: Photograph) -> bool:
    """Whether a file is that photograph, to the last byte."""
    return file.is_file() and not what_is_wrong(file, one.bytes, f"sha256:{one.sha256}")


def announced(what: str, count: int, folder: Path) -> Progress:
    """Say what is about to be fetched, in one line, and return the line that will move."""
    print(f"Fetching {NAME}: {what} (CC0 or CC BY), to {folder.absolute()}", flush=True)
    return Progress(count, f"{NAME}, photographs:")


def cannot(what: str, why: str, folder: Path) -> Offline:
    """The error that says what is missing, and what can be done without a connection."""
    return Offline(
        f"{NAME}: {what}, and they cannot be fetched: {why}. By hand: copy the folder {folder.absolute()} from a machine "
        f"that has it, or open the manifest of such a copy. Without any photographs: {INSTEAD}."
    )


def get_photo(address: str, file: Path, what: str, session, service: Service, progress, **known) -> Path:
    """Fetch one photograph, after a pause."""
    if service.pause:
        time.sleep(service.pause)
    return fetch(
        address.replace(PHOTOS, service.photos, 1), file, what=what, instead=INSTEAD, progress=progress, session=session, **known
    )


def _fetch(one: Photograph, folder: Path, session, service: Service, progress) -> str:
    """Fetch one photograph of a manifest; "" or why there is none."""
    known = {"size": one.bytes, "digest": f"sha256:{one.sha256}", "licence": LICENCES[one.licence]}
    try:
        get_photo(one.address, folder / one.file, f"photo {one.photo}", session, service, progress, **known)
    except Gone:
        return "gone"
    except ValueError:  # other bytes than those of the manifest
        with suppress(OSError):
            (folder / one.file).unlink()
        return "changed"
    return ""


def _notes(manifest: Manifest, lost: dict[str, str], folder: Path) -> list[str]:
    notes = []
    for why, words in (("gone", "no longer on iNaturalist"), ("changed", "no longer the same there, and not used")):
        photos = [str(one.photo) for one in manifest.photographs if lost.get(one.file) == why]
        if photos:
            some = ", ".join(photos[:10]) + (f" and {len(photos) - 10} more" if len(photos) > 10 else "")
            again = f"To ask again, delete {folder / _MISSING}."
            notes.append(f"{len(photos)} of the {len(manifest)} photographs are {words}: {some}. {again}")
    return notes


def _write_missing(folder: Path, known: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MISSING).write_text(json.dumps(known, indent=0), encoding="utf-8")


def _read_missing(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((folder / _MISSING).read_text(encoding="utf-8"))
        return {file: why for file, why in known.items() if why in ("gone", "changed")}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
