"""Lab 3 and what it stands on: a folder is looked at, twins stay together, a network goes elsewhere and answers the same."""

import importlib.util
import io
import json
import os
import random
import re
import shutil
import zipfile
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from photos import open_small, parts, photos
from PIL import Image
from project import ROOT
from test_widgets7 import KNOWN, made  # noqa: F401

import helpers as h
from helpers import exporting, uploading
from helpers.classifier import architecture
from helpers.folders import divide
from helpers.hotdogs import FOODS
from helpers.twins import SIDE, fingerprints, groups_of, near_pairs

LAB = ROOT / "solutions/lab3_your_own_images.ipynb"


@pytest.fixture(scope="module")
def hot_dogs(tmp_path_factory):
    return h.write_hot_dogs(tmp_path_factory.mktemp("own") / "hot_dogs")


@pytest.fixture(scope="module")
def report(hot_dogs):
    return h.inspect_images(hot_dogs, 32)


# The example's folder


def test_hot_dogs_are_the_same_picture_at_any_size_and_in_any_company():
    for kind in FOODS:
        alone, together = h.draw_food(kind, [5]), h.draw_food(kind, range(6))[5]
        assert torch.equal(alone[0], together)
        large = torch.nn.functional.avg_pool2d(h.draw_food(kind, [5], size=128).float(), 2)
        assert (large[0] - together).abs().mean() < 6
    with pytest.raises(ValueError, match="unknown kind 'pizza'"):
        h.draw_food("pizza", [0])


def test_example_holds_the_trouble_that_the_student_is_to_find(hot_dogs, report):
    assert {"best-hot-dogs.jpg", "download.jpg"} == {Path(file).name for file in report.files.file[report.files.problem != ""]}
    names = {path.name for path in hot_dogs.rglob("*")}
    assert {".DS_Store", "Thumbs.db", "notes.txt", "from Ana"} <= names
    assert report.files.turned.sum() == 1 and len(report.groups("same")) == 2
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
    assert h.write_hot_dogs(hot_dogs) == hot_dogs
    assert {path: path.stat().st_mtime_ns for path in hot_dogs.rglob("*")} == before
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="holds something else"):
        h.write_hot_dogs(tmp_path)


# The report


def test_report_counts_files_usable_ones_and_different_ones(tmp_path):
    photos(tmp_path / "p", a=6, b=3)
    shutil.copyfile(tmp_path / "p/a/0.png", tmp_path / "p/a/copy.png")
    (tmp_path / "p/b/page.jpg").write_text("<html>")
    (tmp_path / "p/b/inner").mkdir()
    shutil.move(tmp_path / "p/b/2.png", tmp_path / "p/b/inner/2.png")
    (tmp_path / "p/readme.md").write_text("x")
    found = h.inspect_images(tmp_path / "p", 8, cache_dir=tmp_path / "cache")
    assert found.table[["files", "usable", "different"]].values.tolist() == [[7, 7, 6], [4, 3, 3]]
    assert found.groups("same") == [["a/0.png", "a/copy.png"]]
    text = " ".join(found.findings)
    for words in ("b/page.jpg", "7 usable files of 'a', 3 of 'b'", "right for 70%", "a/0.png = a/copy.png", "readme.md"):
        assert words in text, words
    assert "b/page.jpg" in found._repr_html_() and "b/page.jpg" in repr(found)


def test_a_near_duplicate_in_two_classes_is_said_first_after_broken_files(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "p" / name).mkdir(parents=True)
    for number in range(4):
        picture = Image.fromarray(h.draw_food("carrot", [number], size=96)[0].permute(1, 2, 0).numpy())
        picture.save(tmp_path / "p" / ("cat" if number % 2 else "dog") / f"{number}.png")
        if number == 0:
            picture.resize((70, 70)).save(tmp_path / "p/cat/again.jpg")
    assert "two classes: cat/again.jpg, dog/0.png" in h.inspect_images(tmp_path / "p", 32, cache_dir=tmp_path).findings[0]


def test_a_real_photograph_that_is_there_twice_is_found():
    photographs = os.environ.get("COURSE_PHOTOS")
    if not photographs:
        pytest.skip("COURSE_PHOTOS names no folder of class folders with photographs")
    found = h.inspect_images(photographs, 64)
    assert (found.files.problem == "").all()
    assert sum(map(len, found.groups())) < 0.02 * len(found.files), "photographs of different things are taken for twins"


def test_folders_of_splits_are_not_taken_for_classes(tmp_path):
    for part in ("train", "test"):
        photos(tmp_path / "p" / part, cat=4, dog=4)
    with pytest.raises(ValueError, match=r"test, train.*folders of the same names \(cat, dog\)"):
        open_small(tmp_path / "p")


# Twins


def test_near_pairs_are_those_of_a_comparison_one_by_one_in_any_number():
    prints = np.random.default_rng(0).random((600, SIDE * SIDE)) < 0.5
    for row in range(0, 590, 7):
        prints[row + 5] = prints[row]
        prints[row + 5, : row // 10] ^= True
    slow = [(i, j, int((prints[i] != prints[j]).sum())) for i in range(600) for j in range(i + 1, 600)]
    slow = sorted((pair for pair in slow if pair[2] <= 48), key=lambda pair: (pair[2], *pair[:2]))
    assert near_pairs(prints) == slow and len(slow) > 50
    with pytest.raises(ValueError, match="most=-1"):
        near_pairs(prints, -1)


def test_groups_hold_whoever_is_near_directly_or_through_others():
    assert groups_of([(4, 1, 3), (1, 2, 5)], 6) == [[0], [1, 2, 4], [3], [5]]
    assert groups_of([], 2) == [[0], [1]] and fingerprints(torch.zeros(0, 3, 8, 8, dtype=torch.uint8)).shape == (0, 256)


def test_twins_stay_on_one_side_of_the_split_and_the_parts_keep_their_sizes(hot_dogs, report):
    group = {str(hot_dogs / file): number for file, number in zip(report.files.file, report.files.near, strict=True)}
    for seed in range(3):
        sides = {}
        for together in (False, True):
            task = h.open_task(hot_dogs, None, seed, size=32, on_bad="skip", together=together)
            of = {part: {group[file] for file in split.files} for part, split in parts(task).items()}
            sides[together] = of["pool"] & of["test"] | of["pool"] & of["val"] | of["val"] & of["test"]
            assert [len(split) for split in parts(task).values()] == pytest.approx([163, 32, 65], abs=4)
        assert len(sides[False]) > 20 and not sides[True]


def test_without_twins_keeping_them_together_changes_nothing(tmp_path):
    dice = random.Random(0)
    content = [f"{dice.random()}" for _ in range(40)]
    rows = {"a": list(range(25)), "b": list(range(25, 40))}
    plain = divide(tmp_path, rows, content, None, 0.125, 0.25, 3)
    assert divide(tmp_path, rows, content, None, 0.125, 0.25, 3, [[row] for row in reversed(range(40))]) == plain


def test_a_folder_of_one_burst_cannot_be_divided_and_says_so(tmp_path):
    with pytest.raises(ValueError, match="near-duplicates kept together, nothing is left for"):
        bursts = [[*range(8)], [*range(8, 16)]]
        divide(tmp_path, dict(zip("ab", bursts, strict=True)), list("abcdefghijklmnop"), None, 1, 2, 0, bursts)


# Uploads


def picture_file(kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(out, kind)
    return out.getvalue()


def test_uploads_are_read_from_both_versions_of_ipywidgets():
    seven = {"a.png": {"metadata": {"name": "a.png", "size": 2}, "content": b"xy"}}
    eight = ({"name": "a.png", "type": "image/png", "size": 2, "content": memoryview(b"xy")},)
    assert uploading.uploaded(seven) == uploading.uploaded(eight) == [("a.png", b"xy")]
    assert uploading.uploaded({}) == uploading.uploaded(()) == []


def test_every_upload_gets_an_answer_or_a_message_and_never_a_traceback():
    def refuse(content):
        raise ValueError("not an <image>")

    def blank(content):
        raise NotImplementedError

    said = uploading.reply(lambda content: "red (99%)", "<me>.png", picture_file())
    assert "red (99%)" in said and 'alt="the uploaded picture &lt;me&gt;.png"' in said and "data:image/jpeg;base64," in said
    assert "ValueError: not an &lt;image&gt;" in uploading.reply(refuse, "a", b"x")
    assert "fill in the function" in uploading.reply(blank, "a", b"x")
    assert "returned nothing" in uploading.reply(lambda content: None, "a", b"x")
    assert "empty" in uploading.reply(lambda content: "never asked", "a", b"")


def test_widget_answers_a_file_and_announces_it(made):  # noqa: F811
    known = KNOWN | {"FileUpload": KNOWN["Button"] | {"accept", "data", "error", "metadata", "multiple", "value"}}
    how, button, said = uploading.make_uploader(lambda content: f"{len(content)} bytes").children
    assert not [(name, used - known[name]) for name, used in made if not name.endswith("Style") and used - known[name]]
    assert button.accept == "image/*" and button.description and "Tab" in how.value
    file = {"name": "a.png", "type": "image/png", "size": 9, "last_modified": 0, "content": picture_file()}
    if int(ipywidgets.__version__.split(".")[0]) >= 8:
        import datetime

        button.value = ({**file, "last_modified": datetime.datetime(2025, 1, 1)},)
        assert f"{len(file['content'])} bytes" in said.value and 'role="alert"' in said.value


# Elsewhere


@pytest.mark.parametrize("source", ["garden", "garden-vit"])
def test_onnx_gives_the_same_answers_with_its_preprocessing_inside(source, tmp_path):
    if missing := h.missing_for_onnx():
        pytest.skip(missing)
    backbone = h.load_backbone(source)
    h.swap_head(backbone.model, 3)
    classifier = h.Classifier(backbone, ["wren", "robin", "dunnock"], 64, source)
    images = h.render("goldfinches", [0, 1, 2], [0, 0, 0])[0]
    exported = h.OnnxClassifier(h.export_onnx(classifier, tmp_path / "net.onnx"))
    assert h.compare_logits(classifier.logits(images), exported.logits(images)).agree
    assert exported.logits(images[:1]).shape == (1, 3), "any number of pictures"
    assert (exported.classes, exported.size) == (["wren", "robin", "dunnock"], 64)
    assert json.loads(exported.about["preprocessing in the graph"])["mean"] == list(backbone.mean)
    assert classifier.model.training, "exporting leaves the network as it was"


def test_what_is_missing_for_onnx_is_said_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else importlib.util.find_spec(name))
    assert h.missing_for_onnx() == "ONNX needs the packages onnxruntime: pip install onnxruntime"
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        h.export_onnx(None, tmp_path / "x.onnx")
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        h.OnnxClassifier(tmp_path / "x.onnx")


def test_a_file_of_another_kind_is_no_onnx_classifier(tmp_path):
    if missing := h.missing_for_onnx():
        pytest.skip(missing)
    (tmp_path / "x.onnx").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"x\.onnx is no ONNX file of a classifier"):
        h.OnnxClassifier(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        h.OnnxClassifier(tmp_path / "y.onnx")


def test_logits_that_differ_do_not_agree_and_say_by_how_much():
    one = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert h.compare_logits(one, one + 5e-5).agree
    near = h.compare_logits(one, one + 0.01)
    assert not near.agree and "2 of 2 images get the same class" in repr(near) and "0.01" in repr(near)
    assert "NOT AGREE: 1 of 2" in repr(h.compare_logits(one, torch.tensor([[2.0, 0.0], [1.0, 0.0]])))
    with pytest.raises(ValueError, match=r"\(2, 2\) with \(2, 3\)"):
        h.compare_logits(one, torch.zeros(2, 3))


def test_a_vision_transformer_of_the_course_is_known_by_its_file_too(tmp_path):
    path = shutil.copyfile(ROOT / "helpers/data/garden-vit.safetensors", tmp_path / "mine.safetensors")
    assert architecture(str(path)) == "garden-vit" and architecture("garden-vit") == "garden-vit"
    backbone = h.load_backbone(str(path))
    h.swap_head(backbone.model, 2)
    classifier = h.Classifier(backbone, ["a", "b"], 64, architecture(str(path)))
    again = h.load_classifier(classifier.save(tmp_path / "saved.safetensors"))
    images = h.render("flowers", [0, 1], [0, 1])[0]
    assert h.compare_logits(again.logits(images), classifier.logits(images)).agree


# The lab, on a zip


def zipped_pictures(path) -> Path:
    """Two classes of photographs if COURSE_PHOTOS names some, else of drawn pictures, as a zip with a folder around them."""
    photographs = os.environ.get("COURSE_PHOTOS")
    with zipfile.ZipFile(path, "w") as zipped:
        if photographs:
            for place in sorted(entry for entry in Path(photographs).iterdir() if entry.is_dir())[:2]:
                for file in sorted(place.iterdir())[:40]:
                    zipped.write(file, f"mine/{place.name}/{file.name}")
        else:
            for kind in ("banana", "carrot"):
                for number, image in enumerate(h.draw_food(kind, range(40), size=80)):
                    content = io.BytesIO()
                    Image.fromarray(image.permute(1, 2, 0).numpy()).save(content, "JPEG")
                    zipped.writestr(f"mine/{kind}/{number}.jpg", content.getvalue())
    return path


def test_lab3_runs_on_a_zip_of_ones_own_by_one_line_at_its_top(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_OWN_IMAGES", str(zipped_pictures(tmp_path / "mine.zip")))
    monkeypatch.setenv("COURSE_BUDGET", "0.05")
    monkeypatch.setenv("COURSE_RUN", "quick")
    names = {}
    for cell in nbformat.read(LAB, as_version=4).cells:
        if cell.cell_type == "code" and not cell.source.startswith(("check.", "h.quiz")):
            exec(compile(cell.source, cell.id, "exec"), names)
    said = capsys.readouterr().out
    assert "the same bits: True" in said and "the same answers: True" in said
    assert "0 of " in said and "test pictures have a twin in training" in said
    assert h.missing_for_onnx() or "they agree" in said
    assert names["task"].name == "mine" and not (tmp_path / "hot_dogs").exists()


def test_ten_minute_version_at_the_end_of_the_lab_works_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    zipped_pictures(tmp_path / "birds.zip")
    (code,) = re.findall(r"```python\n(.*?)```", nbformat.read(LAB, as_version=4).cells[-1].source, re.DOTALL)
    if h.missing_for_onnx():
        code = "".join(line for line in code.splitlines(True) if "onnx" not in line)
    exec(compile(code, "the ten minutes", "exec"), {})
    assert h.load_classifier(tmp_path / "birds.safetensors").size == 64
    assert "80 image files in 2 classes" in capsys.readouterr().out
