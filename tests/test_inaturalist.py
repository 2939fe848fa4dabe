"""Photographs of goldfinches are chosen by licence, species and observer, and a frozen set comes back byte for byte."""

import json
import sys
from dataclasses import replace

import pytest
from finches_standin import Archive, fill_cache, without_waiting  # noqa: F401
from pyinaturalist import constants

import helpers as h
from helpers.data import downloads
from helpers.images import collecting
from helpers.images.collecting import collect
from helpers.images.drawn.garden import class_names
from helpers.images.inaturalist import Service, goldfinch_photos, restore
from helpers.images.manifests import LICENCES, PHOTOS, SPECIES, clean, read_manifest

LAWRENCE = "Spinus lawrencei"


@pytest.fixture
def archive():
    with Archive(5) as archive:
        yield archive


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A collected set of 4 photographs a species, which no test changes."""
    folder = tmp_path_factory.mktemp("frozen")
    with Archive(5) as archive:
        return collect(folder, 4, service=archive.service)


def of(archive, species):
    return sorted((one for one in archive.observations if one["taxon"]["name"] == species), key=lambda one: one["id"])


def photos_of(manifest, species):
    return [one.photo for one in manifest.photographs if one.species == species]


def usual(archive, species):
    return [one["photos"][0]["id"] for one in of(archive, species)][:4]


def fetched(archive):
    return [asked.path for asked in archive.requests if asked.path.startswith("/photos/")]


# --- choosing ---


def test_each_species_has_its_oldest_photographs_in_order_and_the_same_again_next_time(archive, frozen, tmp_path):
    again = collect(tmp_path, 4, service=archive.service)
    assert again.photographs == frozen.photographs and len(again) == 16
    assert (tmp_path / "manifest.json").read_bytes() == frozen.file.read_bytes()
    for species in SPECIES:
        assert photos_of(again, species) == usual(archive, species)
        mine = [one.observation for one in again.photographs if one.species == species]
        assert mine == sorted(mine)
    assert {one.licence for one in again.photographs} == set(LICENCES)
    assert len({one.login for one in again.photographs}) == 16
    assert all((tmp_path / one.file).stat().st_size == one.bytes for one in again.photographs)


def test_iNaturalist_is_asked_for_little_by_a_client_that_says_who_it_is(archive, tmp_path, monkeypatch):
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    collect(tmp_path / "set", 4, service=archive.service)
    assert [asked["taxon_name"] for asked in archive.queries] == [LAWRENCE, *(name for name in SPECIES if name != LAWRENCE)]
    for asked in archive.queries:
        assert asked["quality_grade"] == "research" and asked["photo_license"].lower() == "cc0,cc-by"
        assert asked["order_by"] == "id" and asked["order"] == "asc" and int(asked["per_page"]) <= 30
    assert len(fetched(archive)) == len(set(fetched(archive))) == 16
    assert all("transfer-learning-course" in asked.headers["User-Agent"] for asked in archive.requests)
    assert not (tmp_path / "home").exists(), "the client keeps files elsewhere"


def test_the_rate_is_the_one_that_the_client_has_from_iNaturalist():
    usual = Service()
    assert (usual.per_second, usual.per_minute) == (constants.REQUESTS_PER_SECOND, constants.REQUESTS_PER_MINUTE)
    assert (usual.burst, usual.backoff) == (constants.REQUEST_BURST_RATE, constants.RETRY_BACKOFF)
    assert usual.api == constants.API_V1 and usual.pause > 0
    assert f"{usual.photos}/photos" == constants.PHOTO_CC_BASE_URL and min(usual.waits) >= 5


CHANGES = {  # what is wrong with an observation -> how it comes about
    "no licence": lambda one: one["photos"][0].update(license_code=None),
    "for no business": lambda one: one["photos"][0].update(license_code="cc-by-nc"),
    "casual": lambda one: one.update(quality_grade="casual"),
    "another species": lambda one: one["taxon"].update(name="Spinus pinus"),
    "a hybrid": lambda one: one["taxon"].update(name="Spinus tristis × psaltria", rank="hybrid"),
    "a genus": lambda one: one["taxon"].update(name="Spinus", rank="genus"),
    "no photograph": lambda one: one.update(photos=[]),
    "elsewhere": lambda one: one["photos"][0].update(url="https://static.inaturalist.org/photos/1/square.jpg"),
    "another's address": lambda one: one["photos"][0].update(url=f"{PHOTOS}/photos/77/square.jpg"),
    "a path for a number": lambda one: one["photos"][0].update(id="../../1", url=f"{PHOTOS}/photos/../../1/square.jpg"),
    "nobody's": lambda one: one.update(user=None),
}


def test_what_may_not_be_used_is_left_out_and_the_next_taken(archive, tmp_path):
    for change, one in zip(CHANGES.values(), [one for name in SPECIES for one in of(archive, name)[:3]], strict=False):
        one["taxon"]["searched"] = [one["taxon"]["name"]]
        change(one)
    for species in SPECIES:  # enough that are all right
        extra = [json.loads(json.dumps(one)) for one in of(Archive(5), species)[:4]]
        for number, one in enumerate(extra):
            photo = 5000 + 100 * [*SPECIES].index(species) + number
            drawn = archive.files[f"/photos/{one['photos'][0]['id']}/medium.jpg"]
            one["id"] += 900_000
            one["user"]["login"] = f"late_{photo}"
            one["photos"][0].update(id=photo, url=f"{PHOTOS}/photos/{photo}/square.jpeg")
            archive.files[f"/photos/{photo}/medium.jpeg"] = drawn + bytes(9)
        archive.observations += extra
    good = {species: of(Archive(5), species) for species in SPECIES}
    manifest = collect(tmp_path, 4, service=archive.service)
    for number, species in enumerate(SPECIES):
        changed = len([*CHANGES][3 * number : 3 * number + 3])
        kept = [one["photos"][0]["id"] for one in good[species]][changed:]
        assert photos_of(manifest, species)[: len(kept)] == kept[:4]


def test_a_subspecies_counts_and_of_several_photographs_the_first_free_one(archive, tmp_path):
    first = of(archive, LAWRENCE)[0]
    first["taxon"].update(name="Spinus lawrencei lawrencei", rank="subspecies")
    locked = {"id": 1, "license_code": "cc-by-nc-nd", "url": f"{PHOTOS}/photos/1/square.jpg", "attribution": ""}
    first["photos"].insert(0, locked)
    manifest = collect(tmp_path, 4, service=archive.service)
    assert photos_of(manifest, LAWRENCE)[0] == first["photos"][1]["id"]
    assert not [path for path in fetched(archive) if "/1/" in path]


def test_an_observer_of_many_birds_has_one_photograph_in_the_set(archive, tmp_path):
    everywhere = [of(archive, species)[0] for species in SPECIES]
    for one in everywhere:
        one["user"]["login"] = "Busy_Bird" if one["taxon"]["name"] == LAWRENCE else "busy_bird"
    manifest = collect(tmp_path, 4, service=archive.service)
    assert [one.species for one in manifest.photographs if one.login.lower() == "busy_bird"] == [LAWRENCE]


def test_a_page_that_comes_again_and_again_ends(archive, tmp_path):
    archive.strict_order = False
    for species in SPECIES:
        archive.observations += 40 * of(archive, species)[:1]
    manifest = collect(tmp_path, 4, service=archive.service)
    assert len(manifest) == 16 and len(archive.queries) < 20


def test_too_few_photographs_are_an_error(archive, tmp_path):
    archive.observations = [one for one in archive.observations if one not in of(archive, LAWRENCE)[:2]]
    with pytest.raises(ValueError, match="too few photographs: 3 of Lawrence's"):
        collect(tmp_path, 4, service=archive.service)
    assert not (tmp_path / "manifest.json").exists()


# --- failures on the way ---


def test_a_busy_or_failing_service_is_asked_again(archive, tmp_path):
    archive.behave("/v1/observations", 429, (429, "0"), 500, 503)
    photo = f"/photos/{usual(archive, LAWRENCE)[0]}/medium.jpg"
    archive.behave(photo, "cut", 429, 500)
    manifest = collect(tmp_path, 4, service=archive.service)
    assert len(manifest) == 16 and fetched(archive).count(photo) == 4


@pytest.mark.parametrize("answer, said", [(429, "answered 429"), (500, "answers with errors"), (403, "answered 403")])
def test_a_service_that_goes_on_failing_is_named_with_what_else_there_is(answer, said, archive, tmp_path):
    archive.behave("/v1/observations", always=answer)
    with pytest.raises(downloads.Offline, match=rf'iNaturalist {said}.*open_task\("goldfinches"\)') as caught:
        collect(tmp_path, 4, service=archive.service)
    assert "HTTPConnectionPool" not in str(caught.value)


@pytest.mark.parametrize("body", [b'{"results": 7}', b"[1, 2]", b'{"total_results": 1, "results": [[]]}'])
def test_an_answer_of_another_kind_is_an_error(body, archive, tmp_path):
    archive.behave("/v1/observations", always=lambda handler: (200, {"Content-Type": "application/json"}, body))
    with pytest.raises(ValueError, match="no list of observations|too few photographs"):
        collect(tmp_path, 4, service=archive.service)


def test_a_photograph_that_is_gone_or_none_is_left_out_and_the_next_taken(archive, tmp_path):
    gone, broken = usual(archive, LAWRENCE)[:1] + usual(archive, "Spinus tristis")[1:2]
    archive.behave(f"/photos/{gone}/medium.jpg", always=404)
    archive.files[f"/photos/{broken}/medium.jpg"] = b"\xff\xd8 no picture at all"
    manifest = collect(tmp_path, 4, service=archive.service)
    assert len(manifest) == 16 and not {gone, broken} & {one.photo for one in manifest.photographs}


def test_an_interrupted_collection_goes_on_where_it_was(archive, tmp_path, monkeypatch, capsys):
    taken = []

    def take(*args):
        if len(taken) == 6:
            raise KeyboardInterrupt
        taken.append(real(*args))
        return taken[-1]

    real = collecting._take
    monkeypatch.setattr(collecting, "_take", take)
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path, 4, service=archive.service)
    assert "stopped after 6 photographs" in capsys.readouterr().out
    monkeypatch.setattr(collecting, "_take", real)
    assert len(collect(tmp_path, 4, service=archive.service)) == 16
    assert len(fetched(archive)) == len(set(fetched(archive))) == 16
    assert not (tmp_path / "unfinished").exists()


def test_nothing_is_asked_when_that_is_forbidden_or_impossible(archive, tmp_path, monkeypatch):
    with pytest.raises(downloads.Offline, match=r"offline=True or COURSE_OFFLINE.*goldfinches"):
        h.open_task("goldfinch-photos", cache_dir=tmp_path, offline=True)
    monkeypatch.setitem(sys.modules, "pyinaturalist", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyinaturalist"):
        collect(tmp_path / "set", 4, service=archive.service)
    with pytest.raises(ValueError, match="per_species=3"):
        collect(tmp_path / "set", 3, service=archive.service)
    assert archive.requests == []


# --- names ---


@pytest.mark.parametrize(
    "attribution, observer, author",
    [
        ("(c) Ann Lee, some rights reserved (CC BY), uploaded by Bob", "Bob", "Ann Lee"),
        ("no rights reserved, uploaded by Bob", "Bob", "Bob"),
        ("", "", "bob_1"),
    ],
)
def test_the_author_is_whom_the_attribution_names(attribution, observer, author, frozen):
    one = replace(frozen.photographs[0], attribution=attribution, observer=observer, login="bob_1", licence="cc-by")
    assert one.author == author
    assert one.credit == f"photo {one.photo} by {author}, CC BY 4.0, inaturalist.org/photos/{one.photo}"


def test_names_are_one_plain_line(frozen):
    assert clean("Ann\u202e evil\n\tand  more\x00") == "Ann evil and more" and clean(None) == "" and len(clean("x" * 999)) == 200
    foreign = replace(frozen.photographs[0], observer="王小明", attribution="", login="wang_xm")
    assert "by 王小明 (wang_xm), " in foreign.credit


def test_a_filled_cache_opens_offline_with_credits_on_every_image(tmp_path):
    fill_cache(tmp_path, 8)
    task = h.open_task("goldfinch-photos", 4, cache_dir=tmp_path, offline=True)
    assert task.classes == class_names("goldfinches") and task.card.name == "goldfinch-photos"
    for split in (task.train, task.val, task.test, task.pool):
        assert len(split.credits) == len(split) and all(line.startswith("photo ") for line in split.credits)
    assert goldfinch_photos(cache_dir=tmp_path, offline=True)[3] == []
    assert (
        restore(read_manifest(tmp_path / "goldfinch-photos/manifest.json"), tmp_path / "goldfinch-photos", offline=True) == {}
    )
