"""Published photographs: fetched once, split as they were published, and never without saying so."""

import io
import json
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from origin import Origin
from scipy.io import loadmat
from standins import SIZES, archives, fill_cache, standing_in, zipped
from torchvision.datasets import Flowers102

from helpers.data.downloads import Offline
from helpers.images import augmentation
from helpers.images.splits import Split
from helpers.images.tasks import Files, Task, open_task
from helpers.sources.backbones import load_backbone
from helpers.training.classifier import Classifier
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    place = tmp_path_factory.mktemp("cache")
    for name in SIZES:
        fill_cache(place, name)
    return place


def opened(name, cache, per_class=None, seed=0, offline=True, **settings) -> Task:
    return open_task(name, per_class, seed, **{"size": 16, "files": Files(cache, offline=offline)} | settings)


def ids(split: Split) -> list[int]:
    return [int(Path(file).stem.removeprefix("image_")) for file in split.files]


def repacked(change) -> dict[str, bytes]:
    """The stand-in for the hot dogs, after `change({name: content})`."""
    with zipfile.ZipFile(io.BytesIO(archives("hotdog")["hotdog.zip"])) as packed:
        members = {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}
    change(members)
    return {"hotdog.zip": zipped(members)}


def hotdogs(folder, change, **settings) -> Task:
    files = repacked(change)
    with standing_in(files), Origin(files) as origin, standing_in(files, origin.url("")):
        return opened("hotdog", folder, offline=None, **settings)


# Official splits


def test_flowers102_is_split_and_labelled_as_its_lists_and_torchvision_say_and_names_its_source(cache):
    task, place = opened("flowers102", cache), cache / "flowers102/flowers-102"
    official, labels = loadmat(place / "setid.mat"), loadmat(place / "imagelabels.mat")["labels"][0]
    for part, key in {"pool": "trnid", "val": "valid", "test": "tstid"}.items():
        split = getattr(task, part)
        assert sorted(ids(split)) == sorted(official[key][0].tolist())
        assert [labels[number - 1] - 1 for number in ids(split)] == split.labels.tolist()
    assert task.classes == Flowers102.classes and task.train is task.pool
    for text in (task.describe(), task._repr_html_()):
        assert "Visual Geometry Group, University of Oxford" in text and "licence: not stated" in text
        assert "splits: official: 1,020 for training" in text
    rows = [line.split() for line in task.describe().splitlines()]
    assert ["91", "more", "classes", "182", "91", "182"] in rows and ["together", "204", "102", "204"] in rows
    with standing_in(archives("flowers102")):
        theirs = Flowers102(cache / "flowers102", "test")
    of_file = {str(file): label for file, label in zip(theirs._image_files, theirs._labels, strict=True)}
    assert of_file == dict(zip(task.test.files, task.test.labels.tolist(), strict=True))


def test_hotdog_keeps_its_test_images_and_sets_validation_aside_from_training(cache):
    task = opened("hotdog", cache)
    assert task.classes == ["hotdog", "not-hotdog"]
    assert all("/test/" in file for file in task.test.files) and len(task.test) == 2 * SIZES["hotdog"]["test"]
    rest = [*task.val.files, *task.pool.files]
    assert all("/train/" in file for file in rest) and len(set(rest)) == 2 * SIZES["hotdog"]["train"]
    assert task.val.labels.bincount().tolist() == [2, 2]  # 12.5% of 16


def test_ants_and_bees_are_tested_on_their_folder_val_without_the_picture_that_says_image_not_found(cache):
    task = opened("ants-bees", cache)
    assert task.classes == ["ants", "bees"] and task.test.labels.bincount().tolist() == [6, 6]
    assert all("/val/" in file for file in task.test.files)
    assert len(task.pool) + len(task.val) == 2 * SIZES["ants-bees"]["train"]
    assert not [file for split in (task.pool, task.val) for file in split.files if "imageNotFound" in file or "/val/" in file]


@pytest.mark.parametrize("name", SIZES)
def test_another_seed_draws_other_training_images_and_nothing_else(cache, name):
    first, again, other = (opened(name, cache, 1, seed) for seed in (0, 0, 1))
    assert first.train.files == again.train.files != other.train.files
    for part in ("pool", "val", "test"):
        assert getattr(first, part).files == getattr(other, part).files
    assert set(other.train.files) < set(other.pool.files)


def test_the_validation_images_of_hotdog_depend_on_content_not_on_names(cache, tmp_path):
    def renamed(members):
        for number, name in enumerate(list(members)):
            members[f"{Path(name).parent.as_posix()}/{number}0.png"] = members.pop(name)

    moved = hotdogs(tmp_path, renamed)
    assert sorted(map(bytes, moved.val.pixels.numpy())) == sorted(map(bytes, opened("hotdog", cache).val.pixels.numpy()))


@pytest.mark.parametrize("name, most", [("flowers102", 2), ("hotdog", 14)])
def test_more_labels_than_there_are_take_what_there_is_and_say_so(cache, name, most, capsys):
    task = opened(name, cache, 20)
    assert f"{name} has {most} training images a class, not 20" in capsys.readouterr().out
    assert any(note.startswith("per_class=20") for note in task.notes) and task.per_class == most
    assert sorted(task.train.files) == sorted(task.pool.files) and not set(task.train.files) & {*task.val.files, *task.test.files}


def test_official_splits_can_be_made_smaller_and_are_not_regrouped_and_both_is_said(cache):
    whole, part, share = (opened("flowers102", cache, test=test) for test in (None, 1, 0.5))
    for small in (part, share):
        assert small.test.labels.bincount().tolist() == [1] * 102 and set(small.test.files) < set(whole.test.files)
        assert any("102 of its 204 images" in note for note in small.notes)
    assert opened("flowers102", cache, test=1, seed=5).test.files == part.test.files
    assert opened("flowers102", cache, val=50).val.files == whole.val.files  # it has one a class
    task = opened("flowers102", cache, together=True)
    assert task.test.files == whole.test.files and "together=True changes nothing" in task.notes[-1]
    assert len(opened("hotdog", cache, together=True).val) >= 2


@pytest.mark.parametrize("setting", [{"val": 0}, {"test": -1}, {"val": 1.5}, {"test": True}])
def test_what_is_set_aside_is_a_number_or_a_share(cache, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        opened("flowers102", cache, **setting)


# What is odd in what is published


def test_what_is_published_twice_stays_on_one_side_and_what_cannot_be_decoded_is_refused_or_skipped(tmp_path):
    def odd(members):
        for number in range(16):
            members[f"hotdog/train/hotdog/again{number}.png"] = members[f"hotdog/train/hotdog/{number}.png"]
        members["hotdog/train/not-hotdog/leak.png"] = members["hotdog/test/not-hotdog/0.png"]
        members["hotdog/test/hotdog/3.png"] = b"no picture"

    with pytest.raises(ValueError, match=r'1 of the 61 images.*\n.*test/hotdog/3\.png.*\n.*on_bad="skip"'):
        hotdogs(tmp_path, odd)
    task = opened("hotdog", tmp_path, on_bad="skip")
    assert task.test.labels.bincount().tolist() == [5, 6] and "3.png" in task.notes[-1]
    (note,) = [note for note in task.notes if note.startswith("published more than once")]
    assert "17 pictures" in note and "1 of them" in note
    sides = [{bytes(pixels) for pixels in split.pixels.numpy()} for split in (task.pool, task.val)]
    assert not sides[0] & sides[1] and all(sides)


def test_a_picture_that_was_taken_away_is_noticed_and_a_damaged_list_is_made_anew(cache, tmp_path):
    place = shutil.copytree(cache / "hotdog", tmp_path / "hotdog")
    (place / "listed.json").write_text('{"pool": ')
    assert len(opened("hotdog", tmp_path).test) == 12
    assert set(json.loads((place / "listed.json").read_text())) == {"pool", "test"}
    (place / "unpacked/hotdog/train/hotdog/3.png").unlink()
    with pytest.raises(ValueError, match=r"3\.png.*Delete this folder and open the task again") as caught:
        opened("hotdog", tmp_path, size=8)
    assert str(place) in str(caught.value)


# Fetching


@pytest.mark.parametrize("name", SIZES)
def test_it_is_fetched_once_announced_and_then_needs_no_connection(tmp_path, capsys, name):
    files = archives(name)
    with Origin(files) as origin, standing_in(files, origin.url("")):
        first = opened(name, tmp_path, offline=False)
        said, asked = capsys.readouterr().out, len(origin.requests)
        again = opened(name, tmp_path, 1, offline=False)
        assert len(origin.requests) == asked == len(files) and capsys.readouterr().out == ""
    assert "127.0.0.1" in said and "licence not stated" in said and str(tmp_path / name) in said
    assert torch.equal(first.test.pixels, again.test.pixels)
    assert opened(name, tmp_path, size=8).size == 8  # decoded anew, from what was unpacked
    assert not list(tmp_path.rglob("*.tgz")) + list(tmp_path.rglob("*.zip")), "an archive takes room after it was unpacked"


def test_without_a_network_each_missing_file_is_named_and_one_put_there_by_hand_is_used(tmp_path, monkeypatch, capsys):
    files, place = archives("flowers102"), tmp_path / "flowers102"
    place.mkdir()
    with standing_in(files):
        for file in ("setid.mat", "imagelabels.mat", "102flowers.tgz"):
            with pytest.raises(Offline) as caught:
                opened("flowers102", tmp_path)
            for words in (f"Wanted: {place / '102flowers.tgz'}", "http://127.0.0.1:9/", 'open_task("flowers")'):
                assert words in str(caught.value)
            (place / file).write_bytes(files[file])
        assert len(opened("flowers102", tmp_path).test) == 204
    assert "Fetching" not in capsys.readouterr().out


def test_other_bytes_than_published_are_refused_and_not_unpacked(tmp_path):
    files = archives("hotdog")
    with Origin(files) as origin, standing_in(files, origin.url("")):
        origin.behave("hotdog.zip", always="wrong")
        with pytest.raises(ValueError, match="(?s)sha1.*"):
            opened("hotdog", tmp_path, offline=None)
    assert not (tmp_path / "hotdog/unpacked").exists() and not (tmp_path / "hotdog/listed.json").exists()


def test_an_interrupted_unpacking_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    files, copy = archives("flowers102"), shutil.copyfile
    with Origin(files) as origin, standing_in(files, origin.url("")):
        monkeypatch.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            opened("flowers102", tmp_path, offline=None)
        monkeypatch.setattr(shutil, "copyfile", copy)
        assert len(opened("flowers102", tmp_path, offline=None).test) == 204
        assert Counter(asked.path for asked in origin.requests)["/102flowers.tgz"] == 1


# Without a copy of everything


def test_logits_and_fit_go_without_a_copy_of_all_images_to_the_same_bits(cache, monkeypatch):
    task, copied, pixels = opened("hotdog", cache, 4, size=32), [], Split.pixels
    classifier = Classifier(load_backbone("garden"), task.classes, 32, "garden")
    together = classifier.logits(task.test.pixels, 5)
    monkeypatch.setattr(Split, "pixels", property(lambda split: copied.append(split) or pixels.fget(split)))
    assert torch.equal(classifier.logits(task.test, 5), together)
    assert [len(batch) for batch in task.test.batches(5)] == [5, 5, 2]
    result = fit(replace(FEATURE_EXTRACTION, steps=2, source="garden"), task)
    assert result.n == len(task.test) and not copied, "nor of all training and validation images"


@pytest.mark.parametrize("floating", [False, True])
def test_many_images_are_augmented_a_part_at_a_time_to_the_same_views(monkeypatch, floating):
    images = torch.randint(0, 256, (13, 3, 20, 20), dtype=torch.uint8)
    images = images / 255 if floating else images
    views = []
    for largest in (augmentation.LARGEST, 4 * 3 * 20 * 20, 1):
        monkeypatch.setattr(augmentation, "LARGEST", largest)
        torch.manual_seed(0)
        views.append(augmentation.augment(images))
    for part_at_a_time in views[1:]:  # the last bit may depend on the size of a part, with some builds of PyTorch
        torch.testing.assert_close(part_at_a_time, views[0], atol=2e-6, rtol=0)
