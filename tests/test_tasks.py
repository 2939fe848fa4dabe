"""A task is split by content, stratified, repeatable, and a value."""

import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photos import contents, needs_photographs, open_small, parts, photos, refused, write_pictures

from helpers.images import tasks as module
from helpers.images.decoding import read_image
from helpers.images.tasks import EMBEDDED, Files, Split, open_task


@pytest.fixture(params=range(6))
def case(request, tmp_path):
    """A folder of random classes, how many pictures each has, and random settings to open it with."""
    rng = np.random.default_rng(request.param)
    counts = {f"class {chr(97 + i)}": int(rng.integers(8, 40)) for i in range(rng.integers(2, 6))}
    settings = {
        "val": [0.125, 0.3, 2][rng.integers(3)],
        "test": [0.25, 0.4, 3][rng.integers(3)],
        "seed": int(rng.integers(1000)),
        "per_class": [1, 2, None][rng.integers(3)],
    }
    return photos(tmp_path / "here", request.param, **counts), counts, settings


def test_every_image_is_in_one_part_and_in_the_class_of_its_folder_and_parts_are_as_large_as_asked(case):
    folder, counts, settings = case
    task = open_small(folder, **settings)
    assert task.classes == sorted(counts)
    everything = [content for part in parts(task).values() for content in contents(part)]
    assert len(everything) == len(set(everything)) == sum(counts.values())
    assert set(contents(task.train)) <= set(contents(task.pool))
    for split in (task.train, *parts(task).values()):
        for pixels, label, file in zip(split.pixels, split.labels, split.files, strict=True):
            assert Path(file).parent == folder / task.classes[label]
            assert torch.equal(pixels, read_image(file, 8))
    for label, name in enumerate(task.classes):
        for part in ("val", "test"):
            asked = settings[part] * (counts[name] if settings[part] < 1 else 1)
            assert abs((parts(task)[part].labels == label).sum() - asked) <= 0.5
        assert (task.train.labels == label).sum() == (settings["per_class"] or (task.pool.labels == label).sum())


def test_the_split_depends_on_seed_and_content_not_on_names_or_place(case, tmp_path):
    folder, counts, settings = case
    task = open_small(folder, **settings)
    rng = np.random.default_rng(0)
    for name in counts:
        there = tmp_path / "elsewhere" / name
        there.mkdir(parents=True)
        for number, file in zip(rng.permutation(counts[name]), sorted((folder / name).iterdir()), strict=True):
            shutil.copyfile(file, there / f"renamed {number}.PNG")
    moved = open_small(tmp_path / "elsewhere", **settings)
    for mine, theirs in zip((task.train, *parts(task).values()), (moved.train, *parts(moved).values()), strict=True):
        assert torch.equal(mine.pixels, theirs.pixels) and torch.equal(mine.labels, theirs.labels)


def test_the_split_is_the_same_at_every_size(tmp_path):
    photos(tmp_path / "p", a=20, b=20)
    small, large = (open_small(tmp_path / "p", 5, size=size) for size in (8, 32))
    assert large.train.pixels.shape == (10, 3, 32, 32)
    assert (small.train.files, small.val.files, small.test.files) == (large.train.files, large.val.files, large.test.files)


def test_a_draw_changes_the_training_images_only(tmp_path):
    photos(tmp_path / "p", a=40, b=40)
    task = open_small(tmp_path / "p", 10, seed=3)
    other, split_anew = task.draw(4), open_small(tmp_path / "p", 10, seed=4)
    assert set(split_anew.test.files) != set(task.test.files), "another seed of open_task divides anew, too"
    assert (other.seed, other.val, other.test, other.pool) == (4, task.val, task.test, task.pool)
    assert set(other.train.files) != set(task.train.files) and set(other.train.files) <= set(task.pool.files)
    assert other.train.labels.bincount().tolist() == [10, 10]
    assert task.draw(3).train.files == task.train.files == other.draw(3).train.files
    draws = [set(open_small(tmp_path / "p", n, seed=3).train.files) for n in (1, 5, 10)]
    assert draws[0] < draws[1] < draws[2] == set(task.train.files), "a smaller draw is part of a larger one"


def test_most_images_keep_their_side_when_others_are_added(tmp_path):
    photos(tmp_path / "p", a=60, b=60)
    before = open_small(tmp_path / "p")
    write_pictures(tmp_path / "p" / "a", np.random.default_rng(99), 3, "new")
    after = open_small(tmp_path / "p")
    assert len(set(before.test.files) & set(after.test.files)) >= len(before.test) - 3


def test_a_split_gives_copies_by_number_slice_tensor_and_mask_and_feeds_a_dataloader(tmp_path):
    split = open_small(photos(tmp_path / "p", a=10, b=10)).pool
    before = split.pixels
    for which in (3, slice(2, 5), slice(None), torch.tensor([4, 4, 0]), split.labels == 1, [1, 2], -1):
        pixels, labels = split[which]
        assert torch.equal(pixels, before[which]) and torch.equal(labels, split.labels[which])
        assert pixels.dtype == torch.uint8 and labels.dtype == torch.int64
        pixels.zero_()
        labels.fill_(7)
    assert torch.equal(split.pixels, before) and split.labels.max() == 1
    with pytest.raises(IndexError):
        split[len(split)]
    assert len(list(split)) == len(split)
    batches = list(torch.utils.data.DataLoader(split, batch_size=4))
    assert torch.equal(torch.cat([pixels for pixels, _ in batches]), split.pixels)
    assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)


def test_tasks_are_frozen_short_to_print_and_can_be_pickled(tmp_path):
    task = open_small(photos(tmp_path / "p", a=10, b=10), 5)
    with pytest.raises(AttributeError):
        task.seed = 1
    assert repr(task) == "Task('p': 2 classes, 8 px, train / val / test 10 / 2 / 4)"
    assert repr(task.train) == "Split(10 images, 8 px)"
    assert torch.equal(pickle.loads(pickle.dumps(task)).test.pixels, task.test.pixels)


def test_describe_and_html_count_the_images_of_each_class(tmp_path):
    photos(tmp_path / "<i>my photos", **{"red & blue": 12, "b": 16})
    (tmp_path / "<i>my photos/why?.txt").touch()
    task = open_small(tmp_path / "<i>my photos", 3)
    rows = [line.split() for line in task.describe().splitlines()]
    assert rows[1] == ["class", "train", "val", "test"] and rows[4] == ["together", "6", "4", "7"]
    assert rows[3] == ["red", "&", "blue", "3", "2", "3"]
    assert "drawn from 17 with seed 0" in task.describe() and "why?.txt" in task.describe()
    html = re.sub(" style=[^>]*", "", task._repr_html_())
    assert "<i>" not in html and "red &amp; blue</th><td>3</td><td>2</td><td>3</td>" in html and "why?.txt" in html
    assert html.count("<tr>") == html.count("</tr>") == 4 and html.count("<th ") == html.count("</th>") == 7


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_tasks_are_disjoint_stratified_and_repeatable(name):
    task = open_task(name, 5, size=32, val=6, test=8)
    count = len(task.classes)
    for split, each in ((task.train, 5), (task.val, 6), (task.test, 8)):
        assert split.labels.bincount().tolist() == [each] * count
    everything = [content for part in parts(task).values() for content in contents(part)]
    assert len(everything) == len(set(everything)) == 114 * count
    before, drawn = task.train.pixels, module._render.cache_info().misses
    again = open_task(name, 7, size=32, val=6, test=8)
    assert module._render.cache_info().misses == drawn, "drawn once"
    assert set(task.train.index.tolist()) < set(again.train.index.tolist()) and task.train.files == [""] * 5 * count
    module._render.cache_clear()
    assert torch.equal(open_task(name, 5, size=32, val=6, test=8).train.pixels, before)
    assert all(len(values) == len(task.train) for values in task.train.targets.values()) and task.train.targets


def test_embedded_tasks_have_no_shares():
    refused("flowers", "val=0.2", val=0.2)


@needs_photographs
def test_real_photographs_open_and_reopen(tmp_path):
    task, again = (open_task(os.environ["COURSE_PHOTOS"], files=Files(tmp_path)) for _ in range(2))
    assert len(task.train) == 20 * len(task.classes) and len(task.classes) >= 2
    assert torch.equal(task.test.pixels, again.test.pixels)
    everything = [content for part in parts(task).values() for content in contents(part)]
    assert len(everything) == len(set(everything))
    assert 40 < task.train.pixels.float().mean() < 215 and isinstance(task.train, Split)
