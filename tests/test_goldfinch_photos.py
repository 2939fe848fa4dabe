"""Photographs of goldfinches are chosen by licence, species and observer; their manifest brings them back byte for byte."""

import csv
import json
import random
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from finches_standin import Archive, fill_cache

import helpers as h
from helpers.data.downloads import Offline, Refused
from helpers.images import goldfinch_photos
from helpers.images.catalog import CARDS
from helpers.images.drawn.garden import class_names
from helpers.images.goldfinch_photos import LICENCES, PHOTOS, SPECIES, read_manifest, restore, sides_of, write_manifest
from helpers.images.inaturalist import collect
from helpers.images.published import load
from helpers.images.tasks import Files

LAWRENCE = "Spinus lawrencei"


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)


@pytest.fixture(scope="module")
def set_of_8(tmp_path_factory):
    """The manifest of a collected set of 8 photographs a species, its photographs beside it. No test changes it."""
    folder = tmp_path_factory.mktemp("frozen")
    with Archive(9):
        collect(folder, 8)
    return folder / "manifest.json"


@pytest.fixture(scope="module")
def frozen(set_of_8):
    return read_manifest(set_of_8)


@pytest.fixture
def archive():
    with Archive(9) as archive:
        yield archive


@pytest.fixture
def alone(set_of_8, tmp_path):
    """The manifest without its photographs."""
    return shutil.copy(set_of_8, tmp_path / "finches.json")


def of(archive, species):
    return sorted((one for one in archive.observations if one["taxon"]["name"] == species), key=lambda one: one["id"])


def usual(archive, species):
    return [one["photos"][0]["id"] for one in of(archive, species)]


def photos_of(photographs, species):
    return [one.photo for one in photographs if one.species == species]


def fetched(archive):
    return [asked.path for asked in archive.requests if asked.path.startswith("/photos/")]


def opened(manifest, cache, **settings):
    return load(CARDS["goldfinch-photos"], cache, manifest=manifest, **settings)


def credits_in(folder):
    """{file: credit} of its CREDITS.csv."""
    with open(folder / "CREDITS.csv", newline="", encoding="utf-8") as lines:
        head, *rows = csv.reader(lines)
    assert head == ["file", "author", "licence", "link"]
    return {file: ", ".join(credit) for file, *credit in rows}


def files_of(found):
    return sorted(file for classes in found.parts.values() for files in classes.values() for file in files)


# --- choosing ---


def test_each_species_has_its_oldest_photographs_and_is_asked_for_once_by_a_client_that_says_who_it_is(archive, frozen, tmp_path,
                                                                                                      monkeypatch):  # fmt: skip
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    assert collect(tmp_path / "set", 8) == frozen == read_manifest(tmp_path / "set/manifest.json") and len(frozen) == 32
    for species in SPECIES:
        assert photos_of(frozen, species) == usual(archive, species)[:8]
    assert {one.licence for one in frozen} == set(LICENCES) and len({one.login for one in frozen}) == 32
    assert all((tmp_path / "set" / one.file).stat().st_size == one.bytes for one in frozen)
    assert [asked["taxon_name"] for asked in archive.queries] == [*SPECIES]
    assert {(asked["quality_grade"], asked["photo_license"].lower()) for asked in archive.queries} == {("research", "cc0,cc-by")}
    assert len(fetched(archive)) == len(set(fetched(archive))) == 32
    assert all("transfer-learning-course" in asked.headers["User-Agent"] for asked in archive.requests)
    assert not (tmp_path / "home").exists(), "the client keeps files elsewhere"


CHANGES = {  # what is wrong with an observation -> how it comes about
    "no licence": lambda one: one["photos"][0].update(license_code=None),
    "not for business": lambda one: one["photos"][0].update(license_code="cc-by-nc"),
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
    good = {species: usual(archive, species) for species in SPECIES}
    for change, one in zip(CHANGES.values(), [one for name in SPECIES for one in of(archive, name)[:3]], strict=False):
        one["taxon"]["searched"] = [one["taxon"]["name"]]
        change(one)
    photographs = collect(tmp_path, 6)
    for number, species in enumerate(SPECIES):
        changed = len([*CHANGES][3 * number : 3 * number + 3])
        assert photos_of(photographs, species) == good[species][changed : changed + 6]


def test_a_subspecies_counts_and_the_first_free_photograph_is_taken_and_one_of_each_observer(archive, tmp_path):
    first = of(archive, LAWRENCE)[0]
    first["taxon"].update(name="Spinus lawrencei lawrencei", rank="subspecies")
    locked = {"id": 1, "license_code": "cc-by-nc-nd", "url": f"{PHOTOS}/photos/1/square.jpg", "attribution": ""}
    first["photos"].insert(0, locked)
    for species in SPECIES:
        of(archive, species)[0]["user"]["login"] = "busy_bird"
    first["user"]["login"] = "Busy_Bird"
    found = collect(tmp_path, 4)
    assert photos_of(found, LAWRENCE)[0] == first["photos"][1]["id"] and not [path for path in fetched(archive) if "/1/" in path]
    assert [one.species for one in found if one.login.lower() == "busy_bird"] == [LAWRENCE]


def test_too_few_photographs_are_an_error_also_where_the_same_page_comes_again_and_again(archive, tmp_path):
    archive.strict_order = False
    archive.observations = of(archive, LAWRENCE)[:3]
    with pytest.raises(ValueError, match="too few photographs: 3 of Lawrence's"):
        collect(tmp_path, 4)
    assert len(archive.queries) == 2 and not (tmp_path / "manifest.json").exists()


# --- failures on the way ---


def test_a_busy_or_failing_service_is_asked_again_and_what_is_gone_or_no_picture_is_left_out(archive, tmp_path):
    archive.behave("/v1/observations", 429, (429, "0"), 500, 503)
    late, gone, broken = usual(archive, LAWRENCE)[:3]
    archive.behave(f"/photos/{late}/medium.jpg", "cut", 429, 500)
    archive.behave(f"/photos/{gone}/medium.jpg", always=404)
    archive.files[f"/photos/{broken}/medium.jpg"] = b"\xff\xd8 no picture at all"
    photographs = collect(tmp_path, 4)
    assert len(photographs) == 16 and fetched(archive).count(f"/photos/{late}/medium.jpg") == 4
    assert late in photos_of(photographs, LAWRENCE) and not {gone, broken} & {one.photo for one in photographs}


@pytest.mark.parametrize("answer, said", [(429, "errors only"), (500, "errors only"), (403, "answered 403")])
def test_a_service_that_goes_on_failing_is_named_with_what_else_there_is(answer, said, archive, tmp_path):
    archive.behave("/v1/observations", always=answer)
    with pytest.raises(Offline, match=rf'iNaturalist: .*{said}.*open_task\("goldfinches"\)') as caught:
        collect(tmp_path, 4)
    assert "HTTPConnectionPool" not in str(caught.value)


@pytest.mark.parametrize("body", [b'{"results": 7}', b"[1, 2]", b'{"total_results": 1, "results": [[]]}'])
def test_an_answer_of_another_kind_is_an_error(body, archive, tmp_path):
    archive.behave("/v1/observations", always=lambda handler: (200, {"Content-Type": "application/json"}, body))
    with pytest.raises(ValueError, match="no list of observations"):
        collect(tmp_path, 4)


def test_an_interrupted_collection_goes_on_where_it_was(archive, tmp_path, monkeypatch):
    usual = goldfinch_photos.fetch_one

    def interrupted(*args, **known):
        if len(fetched(archive)) == 6:
            raise KeyboardInterrupt
        usual(*args, **known)

    with monkeypatch.context() as patch:
        patch.setattr(goldfinch_photos, "fetch_one", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect(tmp_path, 4)
    assert len(collect(tmp_path, 4)) == 16 and len(fetched(archive)) == len(set(fetched(archive))) == 16


def test_nothing_is_asked_when_that_is_forbidden_or_impossible(archive, tmp_path, monkeypatch):
    with pytest.raises(Offline, match=r"offline=True or COURSE_OFFLINE.*goldfinches"):
        collect(tmp_path / "set", offline=True)
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match="per_species=3"):
        collect(tmp_path / "set", 3)
    monkeypatch.setitem(sys.modules, "pyinaturalist", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyinaturalist"):
        collect(tmp_path / "set", 4)
    assert archive.requests == []


# --- credits ---


def test_the_author_is_whom_the_attribution_names_else_the_observer_in_one_plain_line(archive, tmp_path):
    first, second, third, fourth = of(archive, LAWRENCE)[:4]
    first["photos"][0]["attribution"] = "(c) Ann Lee, some rights reserved (CC BY), uploaded by Bob"
    second["photos"][0]["attribution"], second["user"]["name"] = "no rights reserved, uploaded by Bob", "Bob\u202e\n\tB. "
    third["photos"][0]["attribution"], third["user"]["name"] = "", None
    fourth["photos"][0]["attribution"], fourth["user"]["name"] = None, "x" * 999
    found = collect(tmp_path, 4)[:4]
    assert [one.author for one in found] == ["Ann Lee", "Bob B.", third["user"]["login"], "x" * 200]
    for one, author in zip(found, (f"Ann Lee ({found[0].login})", f"Bob B. ({found[1].login})", found[2].login), strict=False):
        link = f"https://www.inaturalist.org/photos/{one.photo}"
        assert credits_in(tmp_path)[one.file] == f"{author}, {LICENCES[one.licence]}, {link}"


def test_a_filled_cache_opens_offline_with_the_credit_of_every_photograph(tmp_path):
    folder = fill_cache(tmp_path, 8)
    task = h.open_task("goldfinch-photos", 4, files=Files(tmp_path, offline=True))
    assert task.classes == class_names("goldfinches") and task.card.name == "goldfinch-photos"
    for split in (task.train, task.val, task.test, task.pool):
        for file, credit in zip(split.files, split.credits, strict=True):
            assert credit == credits_in(folder)[Path(file).relative_to(folder).as_posix()]


# --- the same set again ---


def test_the_same_set_comes_back_byte_for_byte_and_stays(alone, frozen, set_of_8, archive, tmp_path, capsys):
    found = opened(alone, tmp_path)
    said = capsys.readouterr().out.splitlines()[0]
    assert "32 photographs (" in said and "127.0.0.1" in said and "CC0 or CC BY" in said and str(tmp_path) in said
    assert files_of(found) == sorted(one.file for one in frozen) and len(found.credits) == 32 and found.notes == []
    assert all((found.folder / one.file).read_bytes() == (set_of_8.parent / one.file).read_bytes() for one in frozen)
    assert len(archive.requests) == 32 and not archive.queries
    assert opened(alone, tmp_path, offline=True) == found and len(archive.requests) == 32
    with pytest.raises(Offline, match=r'32 photographs \(.*\) of the set, .*not on this.*open_task\("goldfinches"\)'):
        opened(alone, tmp_path / "elsewhere", offline=True)
    assert files_of(opened(set_of_8, tmp_path / "elsewhere", offline=True)) == files_of(found), "those beside the manifest"


def test_gone_and_changed_photographs_are_named_not_used_and_not_asked_for_again(alone, frozen, archive, tmp_path, capsys):
    sides = sides_of(frozen)
    lost = [one.photo for one in frozen if sides[one.photo] == "pool"][::4][:5]
    for photo, answer in zip(lost, (404, 410, "wrong", 403, 200), strict=True):
        archive.behave(f"/photos/{photo}/medium.jpg", always=answer)
    archive.files[f"/photos/{lost[4]}/medium.jpg"] = archive.files["/photos/1000/medium.jpg"] + b"!"
    found = opened(alone, tmp_path)
    assert len(files_of(found)) == len(found.credits) == 27
    said = f"5 of the 32 photographs are no longer on iNaturalist as they were, and not used: {str(sorted(lost))[1:-1]}."
    assert found.notes[0].startswith(said) and found.notes[0] in capsys.readouterr().out
    assert not {*lost} & {int(file.stem) for file in found.folder.rglob("*.jpg")}
    asked = len(archive.requests)
    assert opened(alone, tmp_path) == found and len(archive.requests) == asked
    task = h.open_task("goldfinch-photos", 2, files=Files(tmp_path, manifest=alone, offline=True))
    assert set(found.notes) <= set(task.notes)


def test_where_every_photograph_is_refused_it_is_the_network_and_nothing_is_noted(alone, archive, tmp_path, monkeypatch):
    for path in archive.files:
        archive.behave(path, always=403)
    for _ in range(2):
        with pytest.raises(Refused, match="refuses every photograph"):
            opened(alone, tmp_path)
    monkeypatch.setattr(goldfinch_photos, "MOST_REFUSED", 5)
    with pytest.raises(Refused, match="refuses every photograph"):
        collect(tmp_path / "new", 8)
    assert len(fetched(archive)) == 10 + 10 + 5 and not (tmp_path / "goldfinch-photos/.lost").exists()


def test_too_many_gone_cannot_be_opened(alone, frozen, archive, tmp_path):
    for one in frozen:
        if one.species == "Spinus tristis" and sides_of(frozen)[one.photo] == "val":
            archive.behave(f"/photos/{one.photo}/medium.jpg", always=404)
    with pytest.raises(ValueError, match="can no longer be opened: nothing is left for val of 'American'.*no longer on iNat"):
        opened(alone, tmp_path)


def test_a_cut_connection_keeps_what_came_and_a_damaged_file_is_fetched_again(alone, frozen, archive, tmp_path):
    late, root = frozen[-1], tmp_path / "goldfinch-photos"
    archive.behave(f"/photos/{late.photo}/medium.jpg", always=500)
    with pytest.raises(Offline):
        opened(alone, tmp_path)
    (root / frozen[0].file).write_bytes(b"damaged")
    archive.behave(f"/photos/{late.photo}/medium.jpg", always=200)
    archive.requests.clear()
    assert restore(frozen, root) == set()
    assert {asked.path.split("/")[2] for asked in archive.requests} == {str(late.photo), str(frozen[0].photo)}


# --- its splits ---


def test_sides_are_fixed_by_the_observers_whatever_the_order_and_the_seed(set_of_8, frozen, tmp_path):
    sides = sides_of(frozen)
    assert sides_of(random.Random(1).sample(frozen, len(frozen))) == sides
    assert sides_of([replace(one, author="Somebody else") for one in frozen]) == sides
    counts = {side: [*sides.values()].count(side) for side in ("pool", "val", "test")}
    assert counts["pool"] >= 20 and 4 >= counts["val"] >= 3 and 8 >= counts["test"] >= 6
    tests = [set(h.open_task("goldfinch-photos", 2, seed, files=Files(tmp_path, manifest=set_of_8, offline=True)).test.files)
             for seed in (0, 1)]  # fmt: skip
    assert tests[0] == tests[1]


def test_near_duplicates_by_two_people_are_on_one_side(frozen):
    sides = sides_of(frozen)
    in_test, in_pool = (next(one for one in frozen if sides[one.photo] == side) for side in ("test", "pool"))
    bits = int(in_test.fingerprint, 16) ^ 0b1011
    near = sides_of([replace(one, fingerprint=f"{bits:064x}") if one is in_pool else one for one in frozen])
    assert near[in_test.photo] == near[in_pool.photo] == "pool"
    assert sum(near[photo] != sides[photo] for photo in near) == 1


# --- a file that others wrote ---


@pytest.mark.parametrize("field, value", [
    ("photo", "../../etc/passwd"), ("photo", 0), ("photo", True), ("licence", "cc-by-nc"), ("licence", ["cc0"]),
    ("species", "../x"), ("ending", "jpg/../x"), ("sha256", "../" + "0" * 40), ("fingerprint", "no"), ("bytes", 10**9),
    ("author", "A\nB"), ("login", "../a"), ("address", "https://evil.example/photos/1000/medium.jpg"),
])  # fmt: skip
def test_a_hostile_manifest_is_refused_before_anything_is_fetched(field, value, alone, archive, tmp_path):
    about = json.loads(alone.read_text(encoding="utf-8"))
    about["photographs"][2][field] = value
    alone.write_text(json.dumps(about), encoding="utf-8")
    why = "is not what a manifest holds" if field == "address" else re.escape(f"has the {field} {str(value)!r}")
    with pytest.raises(ValueError, match=f"finches.json is refused: its photograph 3 {why}.*Nothing was fetched"):
        h.open_task("goldfinch-photos", files=Files(tmp_path, manifest=alone))
    assert archive.requests == [] and not (tmp_path / "goldfinch-photos").exists()


@pytest.mark.parametrize("name", ["photo", "login"])
def test_a_number_or_observer_that_comes_twice_is_refused(name, frozen, tmp_path):
    write_manifest([*frozen[:5], replace(frozen[5], **{name: getattr(frozen[0], name)})], tmp_path / "twice.json")
    with pytest.raises(ValueError, match=f"its photograph 6 has the same {name} as photograph 1"):
        read_manifest(tmp_path / "twice.json")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "goldfinch photographs 2"}', "\udcff", "[" * 99999])
def test_a_damaged_manifest_is_refused(text, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no manifest"):
        read_manifest(tmp_path / "damaged.json")
    (tmp_path / "damaged.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="damaged.json is no intact manifest"):
        read_manifest(tmp_path / "damaged.json")
