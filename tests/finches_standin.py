"""A stand-in for iNaturalist: its lists of observations and its photographs, on this machine, drawn by the course.

    fill_cache(cache)                             # as after a first open_task("goldfinch-photos", files=Files(cache))
    with Archive(per_species=8) as archive:       # within it, collect and restore ask this archive
        archive.observations[3]["photos"][0]["license_code"] = None
"""

import contextlib
import io
import json
import os
from functools import lru_cache
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs, urlparse

import pyinaturalist
import torch
from origin import Origin
from PIL import Image

import helpers as h
from helpers.data import downloads
from helpers.images import goldfinch_photos
from helpers.images.drawn.garden import class_names
from helpers.images.goldfinch_photos import NAME, PHOTOS, SPECIES
from helpers.images.inaturalist import collect

LETTERS = "Åsa Öberg", "Jo 'Finch' O'Neil & Co <b>", "José $x_1$ Núñez", "王小明", "أحمد", "Ann\u202e evil", "", None


class Impatient(pyinaturalist.ClientSession):
    """The real client, which waits for nothing, and treats http as it does https."""

    def __init__(self, **settings):
        super().__init__(**settings | {"per_second": 1000, "per_minute": 9000, "burst": 0.01, "backoff_factor": 0.001})
        self.mount("http://", self.get_adapter("https://"))


def fill_cache(cache: str | Path, per_species: int = 32) -> Path:
    """What a first `open_task("goldfinch-photos")` leaves in a cache folder, through the real loader; returns its folder.

    32 photographs a species are 20 to train on, 4 for validation and 8 for testing.
    """
    folder, forbidden = Path(cache) / NAME, os.environ.pop("COURSE_OFFLINE", None)
    try:
        if not (folder / "manifest.json").is_file():
            with Archive(per_species), contextlib.redirect_stdout(io.StringIO()):
                collect(folder, per_species)
    finally:
        if forbidden is not None:
            os.environ["COURSE_OFFLINE"] = forbidden
    return folder


class Archive(Origin):
    """iNaturalist's v1/observations and its photographs: `per_species` observations of each goldfinch, in mixed order.

    observations   as the service would answer them: change them as you like before it is asked
    queries        what was asked, as {name: value}
    strict_order   whether id_above is kept to (False: the same page comes again and again)
    """

    def __init__(self, per_species: int = 8):
        super().__init__(dict(photographs(per_species)))
        self.observations = observations(per_species)
        self.queries, self.strict_order = [], True
        self.behave("/v1/observations", always=self.answer)

    def __enter__(self):
        super().__enter__()
        self.patches = contextlib.ExitStack()
        for place, name, value in (
            (pyinaturalist, "ClientSession", Impatient), (pyinaturalist.v1.observations, "API_V1", self.url("/v1")),
            (goldfinch_photos, "PHOTOS", self.address), (goldfinch_photos, "PAUSE", 0), (downloads, "WAITS", (0, 0, 0)),
        ):  # fmt: skip
            self.patches.enter_context(mock.patch.object(place, name, value))
        return self

    def __exit__(self, *error):
        self.patches.close()
        super().__exit__(*error)

    def answer(self, handler):
        asked = {name: values[0] for name, values in parse_qs(urlparse(handler.path).query).items()}
        self.queries.append(asked)
        mine = [one for one in self.observations if asked["taxon_name"] in one["taxon"]["searched"]]
        if self.strict_order:
            mine = sorted((one for one in mine if one["id"] > int(asked.get("id_above", 0))), key=lambda one: one["id"])
        page = mine[: int(asked["per_page"])]
        body = {"total_results": len(mine), "page": 1, "per_page": int(asked["per_page"]), "results": page}
        return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()


def observations(per_species: int) -> list[dict]:
    """Research-grade observations, each by another observer, of which every other photograph is CC0."""
    found = []
    for number in range(per_species):
        for kind, species in enumerate(SPECIES):
            photo = 1000 + number * len(SPECIES) + kind
            licence, login = ("cc0", "cc-by")[number % 2], f"observer_{photo}"
            name = LETTERS[number] if number < len(LETTERS) and kind == 0 else f"Observer {photo}"
            who = name or login
            rights = "no rights reserved" if licence == "cc0" else f"(c) {who}, some rights reserved (CC BY)"
            found.append({
                "id": 90_000 + (number * 7919 % 1009) * 10 + kind, "quality_grade": "research", "observed_on": "2019-05-04",
                "taxon": {"id": kind + 1, "name": species, "rank": "species", "searched": [species]},
                "user": {"id": photo, "login": login, "name": name},
                "photos": [{
                    "id": photo, "license_code": licence, "attribution": rights,
                    "url": f"{PHOTOS}/photos/{photo}/square.jpg?1545390493", "original_dimensions": {"width": 99, "height": 72},
                }],
            })  # fmt: skip
    return found


@lru_cache
def photographs(per_species: int, side: int = 72) -> dict[str, bytes]:
    """{path: a JPEG with a goldfinch}, of the photographs in `observations`."""
    found, classes = {}, class_names("goldfinches")
    for kind, name in enumerate(SPECIES.values()):
        numbers = torch.arange(per_species)
        labels = torch.full_like(numbers, classes.index(name))
        drawn = h.render("goldfinches", labels, numbers, split="train", seed=77, size=side)[0]
        for number, pixels in enumerate(drawn):
            wide = Image.new("RGB", (side * 11 // 8, side), tuple(pixels[:, 0, 0].tolist()))
            wide.paste(Image.fromarray(pixels.permute(1, 2, 0).numpy()), (side * 3 // 16, 0))
            out = io.BytesIO()
            wide.save(out, "JPEG", quality=88)
            found[f"/photos/{1000 + number * len(SPECIES) + kind}/medium.jpg"] = out.getvalue()
    return found
