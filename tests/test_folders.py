"""What a folder may hold, and what is refused with a remedy."""

import shutil

import numpy as np
import pytest
from photos import contents, open_small, parts, photos, refused, write_pictures
from PIL import Image

from helpers.images.tasks import EMBEDDED


def test_duplicates_are_used_once_and_reported(tmp_path):
    photos(tmp_path / "p", a=10, b=10)
    shutil.copyfile(tmp_path / "p/a/3.png", tmp_path / "p/a/same bytes.png")
    Image.open(tmp_path / "p/b/4.png").save(tmp_path / "p/b/same pixels.bmp")
    task = open_small(tmp_path / "p")
    assert [int((split.labels == 0).sum()) for split in parts(task).values()] == [7, 1, 2]
    assert sum(map(len, parts(task).values())) == 20
    (note,) = task.notes
    for file in ("a/3.png", "a/same bytes.png", "b/4.png", "b/same pixels.bmp"):
        assert file in note


def test_which_duplicate_is_kept_does_not_depend_on_names(tmp_path):
    for place, first, second in (("here", "a", "z"), ("there", "z", "a")):
        photos(tmp_path / place, a=8, b=8)
        for file in list((tmp_path / place / "a").iterdir()):
            Image.open(file).save(file.with_name(f"{first}{file.stem}.bmp"))
            file.rename(file.with_name(f"{second}{file.stem}.png"))
    here, there = open_small(tmp_path / "here"), open_small(tmp_path / "there")
    assert contents(here.pool) == contents(there.pool) and contents(here.test) == contents(there.test)


def test_kinds_of_images_can_be_mixed_and_endings_may_be_capitals(tmp_path):
    photos(tmp_path / "p", a=4, b=4)
    Image.new("CMYK", (20, 30), (0, 200, 0, 0)).save(tmp_path / "p/a/print.JPG")
    Image.fromarray(np.full((9, 9), 30_000, np.uint16)).save(tmp_path / "p/a/deep.Tiff")
    Image.new("RGBA", (5, 70), (9, 9, 9, 0)).save(tmp_path / "p/b/clear.webp", lossless=True)
    task = open_small(tmp_path / "p")
    assert sum(map(len, parts(task).values())) == 11 and not task.notes


def test_undecodable_files_are_all_listed_up_to_a_length_and_skipped_on_request_only(tmp_path):
    photos(tmp_path / "p", a=10, b=10)
    (tmp_path / "p/a/empty.jpg").touch()
    (tmp_path / "p/b/page.png").write_text("<html>")
    (tmp_path / "p/b/cut.png").write_bytes((tmp_path / "p/b/0.png").read_bytes()[:100])
    for _ in range(2):  # decoded, and from the cache
        listed = "a/empty.jpg: cannot", "b/page.png: cannot", "b/cut.png: cannot", 'on_bad="skip"'
        refused(tmp_path / "p", "3 of the 23 images in", "p can't be used", *listed)
        task = open_small(tmp_path / "p", on_bad="skip")
        assert sum(map(len, parts(task).values())) == 20
        assert [note.split(":")[0] for note in task.notes] == ["skipped a/empty.jpg", "skipped b/cut.png", "skipped b/page.png"]
    for number in range(22):
        (tmp_path / f"p/a/bad{number}.jpg").touch()
    with pytest.raises(ValueError, match="25 of the 45 .*\n(.*\n){10}  and 15 more\n"):
        open_small(tmp_path / "p")
    task = open_small(tmp_path / "p", on_bad="skip")
    assert len(task.notes) == 25 and "bad21" in "".join(task.notes)
    assert task.describe().count("skipped") == 10 and "and 15 more in notes" in task._repr_html_()


def test_an_image_above_the_pixel_bound_is_refused_and_can_be_allowed(tmp_path):
    photos(tmp_path / "p", a=5, b=5)
    Image.new("RGB", (40, 40)).save(tmp_path / "p/a/large.png")
    refused(tmp_path / "p", "a/large.png: too large: 40 x 40 is more than max_pixels=1,599", max_pixels=1599)
    assert sum(map(len, parts(open_small(tmp_path / "p", max_pixels=1600)).values())) == 11


def test_a_wrong_path_is_named_with_what_could_be_meant(tmp_path):
    names = (*EMBEDDED, "or a folder of class folders", "does not exist")
    refused(tmp_path / "gone", str(tmp_path / "gone"), *names, error=FileNotFoundError)
    refused("goldfinch", "'goldfinch'", "Did you mean 'goldfinches'?", *names, error=FileNotFoundError)
    (tmp_path / "photos.zip").touch()
    refused(tmp_path / "photos.zip", str(tmp_path / "photos.zip"), "neither a folder nor a zip")


def test_what_is_no_folder_of_class_folders_is_refused(tmp_path):
    write_pictures(tmp_path / "flat", np.random.default_rng(0), 3)
    refused(tmp_path / "flat", str(tmp_path / "flat"), "has no class folders: 3 pictures", "into a folder of its own")
    (tmp_path / "nothing").mkdir()
    refused(tmp_path / "nothing", "has no class folders")
    photos(tmp_path / "deep/train", a=5, b=5)
    (tmp_path / "deep/readme.txt").touch()
    task = open_small(tmp_path / "deep", 1)
    assert task.classes == ["a", "b"] and task.notes[0] == f"the classes are the folders in {tmp_path / 'deep/train'}"
    photos(tmp_path / "deep", a=1)
    (tmp_path / "deep/a").rename(tmp_path / "deep/train/a/Ana")
    photos(tmp_path / "deep/test", a=3, b=3)
    photos(tmp_path / "deep/more", a=3, b=3)
    refused(tmp_path / "deep", "more, test, train", "look like the parts of a split")
    Image.open(tmp_path / "deep/train/a/3.png").save(tmp_path / "deep/train/b/other name.bmp")
    refused(tmp_path / "deep/train", "a/3.png", "b/other name.bmp", "in two classes", "where it belongs")


def divided(folder, **parts):
    for seed, (name, classes) in enumerate(parts.items()):
        photos(folder / name, seed, **classes)
    return folder


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "Testing"), ("train", "valid", "test")])
def test_a_folder_that_is_divided_into_parts_keeps_them(tmp_path, names):
    folder = divided(tmp_path / "p", **dict(zip(names, ({"a": 9, "b": 7}, {"a": 2, "b": 3}, {"a": 4, "b": 5}), strict=True)))
    for seed in (0, 1):
        task = open_small(folder, 3, seed)
        assert task.classes == ["a", "b"] and len(task.train) == 6
        for split, name, counts in zip(parts(task).values(), names, ([9, 7], [2, 3], [4, 5]), strict=True):
            assert all(f"/p/{name}/" in file for file in split.files) and split.labels.bincount().tolist() == counts


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_two_parts_are_training_and_test_and_validation_is_set_aside_from_training(tmp_path, name):
    task = open_small(divided(tmp_path / "p", train={"a": 16, "b": 24}, **{name: {"a": 4, "b": 4}}))
    assert all(f"/p/{name}/" in file for file in task.test.files) and len(task.test) == 8
    assert all("/p/train/" in file for file in [*task.val.files, *task.pool.files])
    assert task.val.labels.bincount().tolist() == [2, 3] and len(task.pool) == 35
    assert any("validation is set aside from 'train'" in note for note in task.notes) == (name != "test")
    assert open_small(tmp_path / "p", seed=1).val.files == task.val.files, "the same for everybody"


def test_a_test_part_without_labels_is_left_out_and_said(tmp_path):
    folder = divided(tmp_path / "p", train={"a": 16, "b": 16})
    write_pictures(folder / "test", np.random.default_rng(9), 3)
    task = open_small(folder)
    assert all("/train/" in file for split in parts(task).values() for file in split.files)
    assert [len(split) for split in parts(task).values()] == [20, 4, 8]
    assert any("'test', which has no class folders" in note for note in task.notes)


def test_parts_with_other_classes_are_refused(tmp_path):
    folder = divided(tmp_path / "p", train={"a": 5, "b": 5, "c": 5}, val={"a": 2, "b": 2, "d": 2})
    refused(folder, "do not have the same classes: d only in 'val' and c only in 'train'", str(folder))


def test_fewer_images_than_asked_for_says_how_many_are_possible(tmp_path):
    photos(tmp_path / "p", a=30, b=16)
    words = "'b' has 16 different images; 2 for val and 4 for test", "leave 10 to train on", "at most 10"
    refused(tmp_path / "p", str(tmp_path / "p"), *words, per_class=11)
    assert len(open_small(tmp_path / "p", 10).train) == 20


def test_a_class_with_nothing_left_to_train_on_or_of_bad_files_only_is_not_forgotten(tmp_path):
    photos(tmp_path / "p", a=30, b=20)
    photos(tmp_path / "q", a=30, b=2)
    for place, settings in (("q", {}), ("p", {"val": 20}), ("p", {"test": 0.95})):
        refused(tmp_path / place, str(tmp_path / place), "none to train on", "Add images", **settings)
    (tmp_path / "p/c").mkdir()
    (tmp_path / "p/c/bad.jpg").touch()
    refused(tmp_path / "p", "'c' has 0 different images", on_bad="skip")


@pytest.mark.parametrize(
    "settings",
    [{"per_class": 0}, {"per_class": 2.5}, {"per_class": True}, {"seed": -1}, {"size": 4}, {"size": "64"}, {"val": 0},
     {"val": 1.5}, {"test": -0.1}, {"on_bad": "ignore"}],
)  # fmt: skip
def test_settings_out_of_range_are_named(tmp_path, settings):
    ((name, value),) = settings.items()
    refused(photos(tmp_path / "p", a=5, b=5), f"{name}={value!r}", **settings)


def test_credits_that_lie_in_a_folder_go_with_their_photographs(tmp_path):
    photos(tmp_path / "p", a=5, b=5)
    assert open_small(tmp_path / "p").credits == []
    rows = ["file,author,licence,link", *(f"a/{i}.png,Ana {i},CC BY 4.0,example.org/{i}" for i in range(5)), "b/0.png,Bob,CC0,"]
    (tmp_path / "p/CREDITS.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    task = open_small(tmp_path / "p")
    assert len(task.credits) == 6 and "Bob, CC0" in task.credits and "Ana 3, CC BY 4.0, example.org/3" in task.credits
    for split in (task.train, *parts(task).values()):
        for file, credit in zip(split.files, split.credits, strict=True):
            name = file.rsplit("/", 1)[1][0]
            assert credit.startswith(f"Ana {name}") if "/a/" in file else credit == ("Bob, CC0" if name == "0" else "")
    assert not [note for note in task.notes if "CREDITS" in note], "it is no odd file"
    (tmp_path / "p/CREDITS.csv").write_text("Ana,Bob")
    refused(tmp_path / "p", "must begin with the names of its columns: file,author,licence,link")


def test_a_set_that_holds_a_copy_of_itself_is_refused_and_the_copy_is_named(tmp_path):
    photos(tmp_path / "p", a=8, b=8)
    for name in "ab":
        shutil.copytree(tmp_path / "p" / name, tmp_path / "p/cells" / name)
    refused(tmp_path / "p", "All that is in 'cells' is in other classes, too: if it is a copy of them, remove it")


@pytest.mark.parametrize(
    "name, words", [("1.dcm", "DICOM: export them as PNG"), ("1.NEF", "raw files of a camera"), ("train.csv", "open_task that")]
)
def test_what_is_no_picture_is_named_for_what_it_is_where_there_are_none(tmp_path, name, words):
    for folder in ("a", "b"):
        (tmp_path / "p" / folder).mkdir(parents=True)
        (tmp_path / "p" / folder / name).write_bytes(b"x")
    refused(tmp_path / "p", words)


def test_a_table_of_paths_and_labels_is_a_task_like_folders(tmp_path):
    photos(tmp_path, a=8, b=8)
    rows = [f"{name}/{i}.png;class {name}" for name in "ab" for i in range(8)]
    (tmp_path / "labels.csv").write_text("\ufeffpath;label\n" + "\n".join([*rows, rows[0], rows[1].replace("/", "\\")]))
    task, folders = open_small(tmp_path / "labels.csv", 2), open_small(tmp_path, 2)
    assert task.classes == ["class a", "class b"] and task.name == "labels" and contents(task.test) == contents(folders.test)


@pytest.mark.parametrize(
    "text, words",
    [
        ("id,breed\n1,cat", ["needs the columns path and label, and has id, breed. Rename them"]),
        ("path,label\na/0.png,cat\na/1,dog\n", ["1 of the 2 rows of", "no picture there (paths count from", "are a/1: dog."]),
        ("path,label\na/0.png,cat\n,dog\na/1.png\n", ["2 of the 3 rows", "no path or no label", "(none): dog, a/1.png: (none)"]),
        ("path,label\na/0.png,cat\na/0.png,dog\n", ["different labels for one picture. They are a/0.png: cat, a/0.png: dog"]),
        ("path,label\na/0.png,cat\na/1.png,Cat\n", ["2 of the 2 rows", "a label that is written in two ways"]),
        ("path,label\na/0.png,cat\na/1.png,cat\n", ["1 labels in 2 rows: there is nothing to tell apart"]),
        ("", ["is no CSV in UTF-8"]),
        ("path,label\na/\xe9.png,cat\n", ["is no CSV in UTF-8"]),
    ],
)
def test_a_table_that_does_not_say_what_is_in_each_picture_is_refused_with_its_rows(tmp_path, text, words):
    photos(tmp_path, a=3)
    (tmp_path / "labels.csv").write_bytes(text.encode("latin-1"))
    refused(tmp_path / "labels.csv", str(tmp_path / "labels.csv"), *words)
