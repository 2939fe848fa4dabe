"""A folder of one's own: the example, the report on a folder, near-duplicates and the split that keeps them together."""

import itertools
import os
import random
import re
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from photos import inspect, needs_photographs, open_small, parts, photos
from PIL import Image

import helpers as h
from helpers.images.drawn.hotdogs import FOODS, draw_food
from helpers.images.folders import divide
from helpers.images.twins import SIDE, groups_of
from helpers.lessons.your_own_images.snapshots import write_hot_dogs


@pytest.fixture(scope="module")
def hot_dogs(tmp_path_factory):
    return write_hot_dogs(tmp_path_factory.mktemp("own") / "hot_dogs")


@pytest.fixture(scope="module")
def report(hot_dogs):
    return h.inspect_images(hot_dogs, 32)


# The example's folder


def test_hot_dogs_are_the_same_picture_at_any_size_and_in_any_company():
    for kind in FOODS:
        alone, together = draw_food(kind, [5]), draw_food(kind, range(6))[5]
        assert torch.equal(alone[0], together)
        large = torch.nn.functional.avg_pool2d(draw_food(kind, [5], size=128).float(), 2)
        assert (large[0] - together).abs().mean() < 6
    with pytest.raises(ValueError, match="unknown kind 'pizza'"):
        draw_food("pizza", [0])


def test_example_holds_the_trouble_that_the_student_is_to_find(hot_dogs, report):
    assert {"best-hot-dogs.jpg", "download.jpg"} == {Path(file).name for file in report.files.file[report.files.problem != ""]}
    names = {path.name for path in hot_dogs.rglob("*")}
    assert {".DS_Store", "Thumbs.db", "notes.txt", "from Ana"} <= names
    assert len(report.groups("same")) == 2
    assert {".jpg", ".JPG", ".jpeg", ".png", ".webp"} <= {Path(file).suffix for file in report.files.file}
    assert sum(map(len, report.groups())) > 150
    assert not [group for group in report.groups() if len({file.split("/")[0] for file in group}) > 1]


def test_near_duplicates_of_the_example_are_its_scenes(report):
    """Found by what is seen: the names say which files came from one scene (numbers 2000, 2004, ... and the one or two after)."""
    scene = lambda file: (int(re.search(r"_(\d+)", file)[1]) - 2000) // 4
    numbered = [[scene(file) for file in group if re.search(r"(IMG|DSC)_\d", file)] for group in report.groups()]
    assert all(len(set(scenes)) == 1 for scenes in numbered if scenes), "a group holds different scenes"
    seen = [scenes[0] for scenes in numbered if scenes]
    assert len(seen) - len(set(seen)) <= 3, "scenes torn into several groups"


def test_example_is_written_once_and_over_nothing(hot_dogs, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in hot_dogs.rglob("*")}
    assert write_hot_dogs(hot_dogs) == hot_dogs
    assert {path: path.stat().st_mtime_ns for path in hot_dogs.rglob("*")} == before
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="holds something else"):
        write_hot_dogs(tmp_path)


# The report


def test_report_counts_files_usable_ones_and_different_ones(tmp_path):
    photos(tmp_path / "p", a=6, b=3)
    shutil.copyfile(tmp_path / "p/a/0.png", tmp_path / "p/a/copy.png")
    (tmp_path / "p/b/page.jpg").write_text("<html>")
    (tmp_path / "p/b/inner").mkdir()
    shutil.move(tmp_path / "p/b/2.png", tmp_path / "p/b/inner/2.png")
    (tmp_path / "p/readme.md").write_text("x")
    found = inspect(tmp_path / "p")
    assert found.table[["files", "usable", "different"]].values.tolist() == [[7, 7, 6], [4, 3, 3]]
    assert found.table["short side, px"].tolist() == ["9", "9"]
    assert found.groups("same") == [["a/0.png", "a/copy.png"]]
    text = " ".join(found.findings)
    for words in ("b/page.jpg", "7 usable files of 'a', 3 of 'b'", "right for 70%", "a/0.png = a/copy.png", "readme.md"):
        assert words in text, words
    assert "b/page.jpg" in found._repr_html_() and "b/page.jpg" in repr(found) and list(found.problems.file) == ["b/page.jpg"]


def test_a_contact_sheet_has_a_row_a_class_or_the_files_that_are_asked_for(tmp_path):
    photos(tmp_path / "p", a=12, b=3)
    (tmp_path / "p/b/page.jpg").write_text("<html>")
    found = inspect(tmp_path / "p")
    figure = found.sheet()
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["a\n12", "b\n3"]
    assert sum(len(axes.images) for axes in figure.axes) == 6 + 3, "every second of twelve, all of three"
    titles = [axes.get_title() for axes in found.sheet(["b/2.png", "a/0.png"]).axes]
    assert titles == ["2.png", "0.png"]
    with pytest.raises(ValueError, match="no picture to show of b/page.jpg"):
        found.sheet(["b/page.jpg"])


def test_a_near_duplicate_in_two_classes_comes_first_after_broken_files(tmp_path):
    photos(tmp_path / "p", cat=3, dog=3)
    picture = Image.fromarray(draw_food("carrot", [0], size=96)[0].permute(1, 2, 0).numpy())
    picture.save(tmp_path / "p/dog/carrot.png")
    picture.resize((70, 70)).save(tmp_path / "p/cat/again.jpg")
    assert "two classes: cat/again.jpg, dog/carrot.png" in inspect(tmp_path / "p", 32).findings[0]


def test_uneven_classes_are_reported_with_the_number_to_beat_and_what_to_do(tmp_path):
    photos(tmp_path / "p", many=60, some=12, few=3)
    words = " ".join(inspect(tmp_path / "p", 16).findings)
    assert "60 usable files of 'many', 3 of 'few'. Always answering 'many' would be right for 80%: the number to beat" in words
    assert "Fewer than 10 different pictures: few (3)" in words
    shutil.rmtree(tmp_path / "p/few")
    words = " ".join(inspect(tmp_path / "p", 16).findings)
    assert "more pictures of 'some' help most" in words and "per_class=7" in words
    assert len(open_small(tmp_path / "p", 7).train) == 14, "the advice can be followed"


@needs_photographs
def test_real_photographs_of_different_things_are_not_taken_for_twins():
    found = h.inspect_images(os.environ["COURSE_PHOTOS"], 64)
    assert (found.files.problem == "").all()
    assert sum(map(len, found.groups())) < 0.02 * len(found.files)


# Twins


def test_groups_hold_what_is_near_directly_or_through_others():
    prints = np.random.default_rng(1).random((300, SIDE * SIDE)) < 0.5
    chain = [7, 290, 4, 150]
    for link, (row, after) in enumerate(itertools.pairwise(chain)):  # each 30 bits from the one before, 90 from the first
        prints[after] = prints[row]
        prints[after, 40 * link : 40 * link + 30] ^= True
    groups = groups_of(prints)
    assert sorted(chain) in groups and len(groups) == 297 and [group[0] for group in groups] == sorted(g[0] for g in groups)
    assert groups_of(prints[:0]) == []


def test_grouping_thousands_of_pictures_of_one_thing_keeps_no_list_of_all_pairs():
    """2,500 pictures of which each is near each other: three million pairs, which as a list would take 300 MB."""
    rng = np.random.default_rng(0)
    prints = np.repeat(rng.random((1, SIDE * SIDE)) < 0.5, 2500, 0) ^ (rng.random((2500, SIDE * SIDE)) < 0.05)
    tracemalloc.start()
    (group,) = groups_of(prints)
    assert group == list(range(2500)) and tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_pictures_that_show_nothing_tie_no_others_together(tmp_path):
    photos(tmp_path / "p", a=4, b=4)
    for number, colour in enumerate([(0, 0, 0), (0, 0, 0), (1, 0, 0), (255, 255, 255)]):
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"p/a/pocket{number}.png")
    found = inspect(tmp_path / "p")
    assert found.groups() == found.groups("same") == [["a/pocket0.png", "a/pocket1.png"]]


def test_twins_stay_on_one_side_of_the_split_and_the_parts_keep_their_sizes(hot_dogs, report):
    group = {str(hot_dogs / file): number for file, number in zip(report.files.file, report.files.near, strict=True)}
    for seed in range(3):
        sides = {}
        for together in (False, True):
            task = h.open_task(hot_dogs, None, seed, size=32, on_bad="skip", together=together)
            of = {part: {group[file] for file in split.files} for part, split in parts(task).items()}
            sides[together] = of["pool"] & of["test"] | of["pool"] & of["val"] | of["val"] & of["test"]
            assert [len(split) for split in parts(task).values()] == pytest.approx([163, 32, 65], abs=6)
        assert len(sides[False]) > 20 and not sides[True]


def test_without_twins_keeping_them_together_changes_nothing(tmp_path):
    content = [f"{random.Random(row).random()}" for row in range(40)]
    asked = tmp_path, {"a": list(range(25)), "b": list(range(25, 40))}, content, None, 0.125, 0.25, 3
    assert divide(*asked, [[row] for row in reversed(range(40))]) == divide(*asked)


def test_a_folder_of_one_burst_cannot_be_divided_and_says_so(tmp_path):
    with pytest.raises(ValueError, match="what belongs together on one side, nothing is left for"):
        bursts = [[*range(8)], [*range(8, 16)]]
        divide(tmp_path, dict(zip("ab", bursts, strict=True)), list("abcdefghijklmnop"), None, 1, 2, 0, bursts)
