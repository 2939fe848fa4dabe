"""What holds for any input, tried on inputs that hypothesis makes up: the right answer, or an error with the name."""

import io
import json
import random
import re
import zipfile

import matplotlib.pyplot as plt
import pytest
import torch
from fits import fitted, short
from hostile import KINDS, LONG, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photos import photos
from safetensors.torch import load_file, save_file

import helpers as h
from helpers.images.archives import unpack
from helpers.images.decoding import read_image
from helpers.images.folders import read_labels
from helpers.sources.checkpoints import read_safetensors
from helpers.training.recipes import FEATURE_EXTRACTION

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
tried = settings(max_examples=3000 if LONG else 60, derandomize=True, deadline=None, database=None,
                 suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4)
scalars = st.none() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(scalars, lambda one: st.lists(one, max_size=4), max_leaves=6)
table_parts = st.sampled_from(["path", "label", "a/0.png", "x", ",", "\n", '"', ";", "\ufeff"])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def edited(data, changes):
    """Bytes in which pieces were replaced, dropped and added."""
    for share, dropped, added in changes:
        at = int(share * len(data))
        data = data[:at] + added + data[at + dropped :]
    return data


@tried
@given(kind=st.sampled_from([*KINDS]), changes=edits)
def test_a_picture_whose_bytes_were_changed_is_read_or_refused_by_name(tmp_path, kind, changes):
    file = tmp_path / f"input.{kind}"
    file.write_bytes(edited(picture(kind, random.Random(kind)), changes))
    try:
        assert read_image(file, 8).shape == (3, 8, 8)
    except ValueError as error:
        assert file.name in str(error)


@tried
@given(changes=edits, names=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=4))
def test_an_archive_with_any_names_and_changed_bytes_is_unpacked_or_refused_by_name(tmp_path, changes, names):
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            out.writestr(f"set/{name}", b"x" * 50)
    for number, data in enumerate((packed.getvalue(), edited(packed.getvalue(), changes))):
        file = tmp_path / f"input{number}.zip"
        file.write_bytes(data)
        into = tmp_path / str(random.random())
        try:
            unpack(file, into, max_bytes=100_000)
        except (ValueError, OSError) as error:
            assert file.name in str(error) or re.search("name too long|can't write", str(error)), error
            assert not into.exists()
    assert {path.parent for path in tmp_path.iterdir()} == {tmp_path}


@tried
@given(text=texts | st.lists(table_parts).map("".join))
def test_any_table_of_labels_is_read_or_refused_by_name(tmp_path, text):
    photos(tmp_path / "set", a=2) if not (tmp_path / "set").exists() else None
    table = tmp_path / "set" / "labels.csv"
    table.write_text(text, encoding="utf-8", newline="")
    try:
        assert all(read_labels(table).values())
    except (ValueError, OSError) as error:
        assert table.name in str(error)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small classifier, saved."""
    file = tmp_path_factory.mktemp("classifier") / "good.safetensors"
    fitted(short(FEATURE_EXTRACTION)).classifier.save(file)
    return file


@tried
@given(changes=edits)
def test_a_saved_classifier_whose_bytes_were_changed_is_opened_or_refused_by_name(tmp_path, saved, changes):
    file = tmp_path / "input.safetensors"
    whole = saved.read_bytes()
    file.write_bytes(edited(whole[:3000], changes) + whole[3000:])  # its header says what is where
    opens_or_names(file)


@tried
@given(field=st.sampled_from(["classes", "size", "mean", "std", "source"]), value=anything)
def test_a_saved_classifier_that_claims_anything_is_opened_or_refused_by_name(tmp_path, saved, field, value):
    file = tmp_path / "input.safetensors"
    about = read_safetensors(saved)[1] | {field: json.dumps(value)}
    save_file(load_file(saved), file, about)
    opens_or_names(file)


def opens_or_names(file):
    """The file is a classifier with an answer for a picture of its size, or is refused by name."""
    try:
        classifier = h.load_classifier(file)
    except ValueError as error:
        assert file.name in str(error)
    else:
        assert classifier.logits(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).isfinite().all()
        assert all(isinstance(name, str) for name in classifier.classes) and 1 <= classifier.size <= 10_000


@tried
@given(names=st.lists(texts, min_size=2, max_size=4, unique=True))
def test_any_names_of_classes_are_drawn_as_they_are(names):
    figure = h.plot_images(torch.zeros(len(names), 3, 8, 8, dtype=torch.uint8), names)
    figure.canvas.draw()
    plt.close(figure)
    assert [axis.get_title() for axis in figure.axes[: len(names)]] == names and not plt.rcParams["text.usetex"]
