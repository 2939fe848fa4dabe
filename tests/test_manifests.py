"""A manifest brings the same photographs back, or says which are missing; one that was tampered with brings none."""

import json
import random
import shutil
from dataclasses import replace

import pytest
from finches_standin import Archive, without_waiting  # noqa: F401

import helpers as h
from helpers.data import downloads
from helpers.images.collecting import collect
from helpers.images.inaturalist import goldfinch_photos, restore
from helpers.images.manifests import SPECIES, Manifest, read_manifest

SIDES = ("pool", "val", "test")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    with Archive(8) as archive:
        return collect(tmp_path_factory.mktemp("frozen"), 8, service=archive.service)


@pytest.fixture
def archive():
    with Archive(8) as archive:
        yield archive


@pytest.fixture
def alone(frozen, tmp_path):
    """The manifest without its photographs."""
    return shutil.copy(frozen.file, tmp_path / "finches.json")


def files_of(parts):
    return sorted(file for classes in parts.values() for files in classes.values() for file in files)


# --- the same set ---


def test_the_same_set_comes_back_byte_for_byte_and_stays(alone, frozen, archive, tmp_path):
    root, parts, credit_of, notes = goldfinch_photos(tmp_path, manifest=alone, service=archive.service)
    assert files_of(parts) == sorted(one.file for one in frozen.photographs) == sorted(credit_of) and notes == []
    assert all((root / one.file).read_bytes() == (frozen.file.parent / one.file).read_bytes() for one in frozen.photographs)
    asked = len(archive.requests)
    assert asked == len(frozen) and not archive.queries
    assert goldfinch_photos(tmp_path, manifest=alone, offline=True)[1] == parts and len(archive.requests) == asked
    task = h.open_task("goldfinch-photos", 2, manifest=alone, cache_dir=tmp_path, offline=True)
    assert sum(map(len, (task.pool, task.val, task.test))) == len(frozen)


def test_what_will_be_fetched_is_said_first(alone, archive, tmp_path, capsys):
    goldfinch_photos(tmp_path, manifest=alone, service=archive.service)
    first = capsys.readouterr().out.splitlines()[0]
    assert "32 photographs (" in first and "127.0.0.1" in first and "CC0 or CC BY" in first and str(tmp_path) in first


def test_photographs_beside_the_manifest_need_no_connection(frozen, tmp_path):
    _, parts, *_ = goldfinch_photos(tmp_path, manifest=frozen.file, offline=True)
    assert len(files_of(parts)) == len(frozen)


def test_offline_says_how_much_is_missing_and_what_else_there_is(alone, tmp_path):
    with pytest.raises(downloads.Offline, match=r'32 photographs \(.*\) of the set are not on.*open_task\("goldfinches"\)'):
        goldfinch_photos(tmp_path, manifest=alone, offline=True)


def test_gone_and_changed_photographs_are_named_not_used_and_not_asked_for_again(alone, frozen, archive, tmp_path, capsys):
    gone, taken_back, other, shorter = [one.photo for one in frozen.photographs if frozen.sides[one.photo] == "pool"][::4][:4]
    archive.behave(f"/photos/{gone}/medium.jpg", always=404)
    archive.behave(f"/photos/{taken_back}/medium.jpg", always=410)
    archive.behave(f"/photos/{other}/medium.jpg", always="wrong")
    archive.files[f"/photos/{shorter}/medium.jpg"] = archive.files["/photos/1000/medium.jpg"] + b"!"
    root, parts, credit_of, notes = goldfinch_photos(tmp_path, manifest=alone, service=archive.service)
    assert len(files_of(parts)) == len(credit_of) == 28
    assert f"2 of the 32 photographs are no longer on iNaturalist: {gone}, {taken_back}." in notes[0]
    assert f"no longer the same there, and not used: {other}, {shorter}." in notes[1]
    assert notes[0] in capsys.readouterr().out
    assert not [file for file in root.rglob("*.jpg") if int(file.stem.split("-")[0]) in (gone, taken_back, other, shorter)]
    asked = len(archive.requests)
    again = goldfinch_photos(tmp_path, manifest=alone, service=archive.service)
    assert again[1:] == (parts, credit_of, notes) and len(archive.requests) == asked
    task = h.open_task("goldfinch-photos", 2, manifest=alone, cache_dir=tmp_path, offline=True)
    assert set(notes) <= set(task.notes)


def test_a_refused_photograph_is_gone_but_where_none_is_given_it_is_the_network(alone, frozen, archive, tmp_path):
    pool = [one.photo for one in frozen.photographs if frozen.sides[one.photo] == "pool"]
    archive.behave(f"/photos/{pool[0]}/medium.jpg", always=403)
    notes = goldfinch_photos(tmp_path / "a", manifest=alone, service=archive.service)[3]
    assert f"no longer on iNaturalist: {pool[0]}." in notes[0]
    for one in frozen.photographs:
        archive.behave(f"/photos/{one.photo}/medium.jpg", always=403)
    assert goldfinch_photos(tmp_path / "a", manifest=alone, service=archive.service)[3] == notes
    archive.requests.clear()
    for _ in range(2):
        with pytest.raises(downloads.Refused, match="403"):
            goldfinch_photos(tmp_path / "b", manifest=alone, service=archive.service)
    assert len(archive.requests) == 20


def test_too_many_gone_cannot_be_opened(alone, frozen, archive, tmp_path):
    for one in frozen.photographs:
        if one.species == "Spinus tristis" and frozen.sides[one.photo] == "val":
            archive.behave(f"/photos/{one.photo}/medium.jpg", always=404)
    with pytest.raises(ValueError, match="can no longer be opened: nothing is left for val of 'American'.*no longer on iNat"):
        goldfinch_photos(tmp_path, manifest=alone, service=archive.service)


def test_a_cut_connection_keeps_what_came_and_a_damaged_file_is_fetched_again(alone, frozen, archive, tmp_path):
    late = frozen.photographs[-1]
    archive.behave(f"/photos/{late.photo}/medium.jpg", always=500)
    with pytest.raises(downloads.Offline):
        goldfinch_photos(tmp_path, manifest=alone, service=archive.service)
    root = tmp_path / "goldfinch-photos"
    (root / frozen.photographs[0].file).write_bytes(b"damaged")
    archive.behave(f"/photos/{late.photo}/medium.jpg", always=200)
    archive.requests.clear()
    assert restore(replace(frozen, file=None), root, service=archive.service) == {}
    assert {asked.path.split("/")[2] for asked in archive.requests} == {str(late.photo), str(frozen.photographs[0].photo)}


# --- its splits ---


def test_sides_are_fixed_by_the_observers_whatever_the_order_and_the_seed(alone, frozen, tmp_path):
    shuffled = random.Random(1).sample(frozen.photographs, len(frozen))
    assert Manifest(tuple(shuffled), 8, frozen.collected).sides == frozen.sides
    other = [replace(one, observer="Somebody else", observation=one.observation + 1) for one in frozen.photographs]
    assert Manifest(tuple(other), 8, frozen.collected).sides == frozen.sides
    counts = {side: [*frozen.sides.values()].count(side) for side in SIDES}
    assert counts["pool"] >= 20 and 4 >= counts["val"] >= 3 and 8 >= counts["test"] >= 6
    tests = [set(h.open_task("goldfinch-photos", 2, seed, manifest=frozen.file, cache_dir=tmp_path, offline=True).test.files)
             for seed in (0, 1)]  # fmt: skip
    assert tests[0] == tests[1]


def test_near_duplicates_by_two_people_are_on_one_side(frozen):
    in_test = next(one for one in frozen.photographs if frozen.sides[one.photo] == "test")
    in_pool = next(one for one in frozen.photographs if frozen.sides[one.photo] == "pool")
    bits = int(in_test.fingerprint, 16) ^ 0b1011
    near = [replace(one, fingerprint=f"{bits:064x}") if one is in_pool else one for one in frozen.photographs]
    sides = Manifest(tuple(near), 8, frozen.collected).sides
    assert sides[in_test.photo] == sides[in_pool.photo] == "pool"
    assert sum(sides[photo] != frozen.sides[photo] for photo in sides) == 1


# --- a file that others wrote ---

DAMAGE = {
    "a path for a number": (dict(photo="../../etc/passwd"), "the photo '../../etc/passwd', which is no positive number"),
    "another host": (dict(address="https://evil.example/photos/1000/medium.jpg"), "the address 'https://evil.example"),
    "a host that looks right": (
        dict(address="https://inaturalist-open-dataXs3.amazonaws.com/photos/1000/medium.jpg"), "the address"),
    "another scheme": (dict(address="file:///etc/passwd.jpg"), "the address 'file:"),
    "another's photograph": (dict(address="https://inaturalist-open-data.s3.amazonaws.com/photos/7/medium.jpg"), "the address"),
    "another size": (dict(address="https://inaturalist-open-data.s3.amazonaws.com/photos/1000/original.jpg"), "the address"),
    "another kind of file": (dict(address="https://inaturalist-open-data.s3.amazonaws.com/photos/1000/medium.py"), "the address"),
    "another page": (dict(page="https://evil.example/photos/1000"), "the page 'https://evil.example"),
    "another licence": (dict(licence="cc-by-nc"), "the licence 'cc-by-nc', not one of cc0, cc-by"),
    "a list as licence": (dict(licence=["cc0"]), "the licence"),
    "another species": (dict(species="../x"), "is of '../x', not of Spinus tristis"),
    "no hash": (dict(sha256="0" * 63 + "/"), "the sha256"),
    "a huge file": (dict(bytes=10**9), "1,000,000,000 bytes, more than"),
    "a true number": (dict(width=True), "the width 'True', which is no positive number"),
    "lines in a name": (dict(observer="A\nB"), "the observer 'A\\nB', which is no plain line"),
    "a path as login": (dict(login="../a"), "the login '../a'"),
    "something more": (dict(run="me"), "is not what a manifest holds"),
    "a day that is none": (dict(observed_on="soon"), "the day 'soon'"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_hostile_manifest_is_refused_before_anything_is_fetched(damage, alone, archive, tmp_path):
    change, why = DAMAGE[damage]
    about = json.loads(alone.read_text(encoding="utf-8"))
    about["photographs"][2].update(change)
    alone.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match="finches.json is refused: its photograph 3 .*Nothing was fetched") as error:
        h.open_task("goldfinch-photos", manifest=alone, cache_dir=tmp_path)
    assert why in str(error.value) and archive.requests == [] and not (tmp_path / "goldfinch-photos").exists()


@pytest.mark.parametrize("what", ["photo", "observation", "login"])
def test_a_number_or_observer_that_comes_twice_is_refused(what, frozen, tmp_path):
    about = json.loads(frozen.file.read_text(encoding="utf-8"))
    first, second = about["photographs"][0], about["photographs"][5]
    again = {"photo": ("photo", "address", "page"), "observation": ("observation",), "login": ("login",)}[what]
    second.update({name: first[name] for name in again})
    (tmp_path / "twice.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match=f"its photographs 1 and 6 have the same {what}"):
        read_manifest(tmp_path / "twice.json")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "other"}', '{"format": "goldfinch photographs 1"}', "\udcff", "[" * 99999]
)
def test_a_damaged_manifest_is_refused(text, tmp_path):
    (tmp_path / "damaged.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="damaged.json is no intact manifest"):
        read_manifest(tmp_path / "damaged.json")


def test_a_manifest_is_json_with_a_line_a_photograph_and_says_what_is_in_it(frozen, tmp_path):
    lines = frozen.file.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith('{"species"') for line in lines) == len(frozen) == 32
    again = read_manifest(frozen.save(tmp_path / "again.json"))
    assert again.photographs == frozen.photographs and (tmp_path / "again.json").read_bytes() == frozen.file.read_bytes()
    assert "32 photographs of 4 species (8 American, 8 European" in repr(frozen) and set(frozen.query["taxon_name"]) == set(
        SPECIES
    )
    with pytest.raises(FileNotFoundError, match="there is no manifest"):
        read_manifest(tmp_path / "none.json")
