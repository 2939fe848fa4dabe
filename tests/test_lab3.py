"""Lab 3: presses stay together, a network goes elsewhere and answers the same, and the lab runs on a zip of one's own."""

import importlib.util
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch
from answers import cells
from photos import pictures_of_kinds
from project import ROOT, outcome

import helpers as h
from helpers.lessons.your_own_images import exporting
from helpers.lessons.your_own_images.exporting import OnnxClassifier, compare_logits, export_onnx, missing_for_onnx
from helpers.lessons.your_own_images.presses import write_presses
from helpers.training.classifier import Classifier

press_of = lambda file: Path(file).as_posix().rsplit("-", 1)[0]
LAB = ROOT / "solutions/lab3_your_own_images.ipynb"
with_onnx = pytest.mark.skipif(missing_for_onnx() != "", reason=missing_for_onnx() or "ONNX is there")


# A folder that bursts are kept together in


def test_pictures_of_one_press_stay_on_one_side_of_the_split_by_a_function_of_their_names(tmp_path):
    folder = write_presses(tmp_path / "pictures", presses=3)
    alone, task = (h.open_task(folder, None, size=32, val=0.25, together=kept) for kept in (False, press_of))
    sides = [set(map(press_of, side.files)) for side in (task.train, task.val, task.test)]
    assert list(map(len, sides)) == [3, 3, 3] and len(set.union(*sides)) == 9
    assert set(map(press_of, alone.test.files)) & set(map(press_of, alone.train.files))
    twins = h.open_task(folder, None, size=32, val=0.25, together=True)
    shared = set(map(press_of, twins.test.files)) & set(map(press_of, twins.train.files))
    assert shared, "fingerprints do not hold a press together: this is why there is a function"
    with pytest.raises(ValueError, match="together='press' must be True, False, or a function"):
        h.open_task(folder, None, size=32, together="press")


def test_prose_of_the_lab_says_what_the_stored_run_has_measured(tmp_path):
    gaps = re.findall(r" (-?\d+\.\d) +(-?\d+\.\d) +(-?\d+\.\d)\s*$", outcome(LAB, "leak-gaps"), re.MULTILINE)
    first, leak, careful = (list(map(float, gap)) for gap in gaps)
    assert outcome(LAB, "press-study").count(" 144.0 ") == 2
    assert abs(first[0] - leak[0]) < 3 and leak[1] > 10 and careful[1] < -10 < 10 < careful[2]
    files = h.inspect_images(write_presses(tmp_path / "pictures"), 128).files
    whole = files.groupby(files.file.map(press_of)).near.nunique() == 1
    assert f"of the {len(whole)} drawn presses, {whole.sum()} stay whole and {(~whole).sum()} are torn" in LAB.read_text()
    pairs = list(map(int, outcome(LAB, "apart").split("pairs")[1].split()))[1:]
    assert pairs[4] == min(pairs) and "82% to 100%" in outcome(LAB, "fit-beat") and "65 of 65" in outcome(LAB, "verify-wrong")


# Elsewhere


@with_onnx
def test_onnx_gives_the_same_answers_with_its_preprocessing_inside(tmp_path):
    """With attention and class token; the convolutional network is exported in the lab, which is run below."""
    source = "garden-vit"
    backbone = h.load_backbone(source)
    h.swap_head(backbone.model, 3)
    classifier = Classifier(backbone, ["wren", "robin", "dunnock"], 64, source)
    images = h.render("goldfinches", [0, 1, 2], [0, 0, 0])[0]
    exported = OnnxClassifier(export_onnx(classifier, tmp_path / "net.onnx"))
    assert compare_logits(classifier.logits(images), exported.logits(images)).agree
    assert exported.logits(images[:1]).shape == (1, 3), "any number of pictures"
    assert (exported.classes, exported.size) == (["wren", "robin", "dunnock"], 64)
    assert json.loads(exported.about["preprocessing in the graph"])["mean"] == list(backbone.mean)
    assert classifier.model.training, "exporting leaves the network as it was"


def test_what_is_missing_for_onnx_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else importlib.util.find_spec(name))
    assert missing_for_onnx() == "ONNX needs the packages onnxruntime: pip install onnxruntime"
    for needs_it in (lambda: export_onnx(None, tmp_path / "x.onnx"), lambda: OnnxClassifier(tmp_path / "x.onnx")):
        with pytest.raises(ImportError, match="pip install onnxruntime"):
            needs_it()


@with_onnx
def test_a_file_of_another_kind_is_no_onnx_classifier(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"x\.onnx is not an ONNX file that export_onnx wrote"):
        OnnxClassifier(tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        OnnxClassifier(tmp_path / "y.onnx")


def test_logits_that_differ_do_not_agree_and_say_by_how_much():
    one = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert compare_logits(one, one + 5e-5).agree
    near = compare_logits(one, one + 0.01)
    assert not near.agree and "2 of 2 images get the same class" in repr(near) and "0.01" in repr(near)
    assert "NOT AGREE: 1 of 2" in repr(compare_logits(one, torch.tensor([[2.0, 0.0], [1.0, 0.0]])))
    with pytest.raises(ValueError, match=r"\(2, 2\) with \(2, 3\)"):
        compare_logits(one, torch.zeros(2, 3))


def test_a_vision_transformer_of_the_course_is_known_by_its_file_too(tmp_path):
    path = shutil.copyfile(ROOT / "helpers/data/garden-vit.safetensors", tmp_path / "mine.safetensors")
    backbone = h.load_backbone(str(path))
    h.swap_head(backbone.model, 2)
    classifier = Classifier(backbone, ["a", "b"], 64, backbone.arch)
    again = h.load_classifier(classifier.save(tmp_path / "saved.safetensors"))
    images = h.render("flowers", [0, 1], [0, 1])[0]
    assert compare_logits(again.logits(images), classifier.logits(images)).agree


# The lab, on a zip


def picture_file(kind, picture) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def zipped_pictures(path) -> Path:
    """Two classes of pictures as a phone sends them: a zip with a folder around them, folders by date, HEIC where it can be
    written, movies and notes of edits beside the pictures."""
    if heic := importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    with zipfile.ZipFile(path, "w") as zipped:
        for name, pictures in pictures_of_kinds(2, 40).items():
            zipped.writestr(f"mine/{name}/.DS_Store", b"Bud1")
            for number, picture in enumerate(pictures):
                place = f"mine/{name}/2024/{1 + number % 12:02}/IMG_{number:04}"
                if number % 10 == 0:
                    zipped.writestr(f"{place}.MOV", b"\0\0\0\x14ftypqt  ")
                    zipped.writestr(f"{place}.AAE", b"<?xml")
                as_heic = heic and number % 10 == 0
                zipped.writestr(f"{place}.{'HEIC' if as_heic else 'JPG'}", picture_file("HEIF" if as_heic else "JPEG", picture))
    return path


def test_lab3_runs_on_a_zip_of_ones_own_by_one_line_at_its_top(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_OWN_IMAGES", str(zipped_pictures(tmp_path / "mine.zip")))
    monkeypatch.setenv("COURSE_BUDGET", "0.05")
    monkeypatch.setenv("COURSE_SOURCE", "garden-small")
    monkeypatch.setenv("COURSE_RUN", "quick")
    names = {}
    for code in cells("lab3_your_own_images"):
        if not code.startswith(("check.", "h.quiz")):
            exec(code, names)
    said = capsys.readouterr().out
    assert "the same bits: True" in said and "the same answers: True" in said
    assert "0 of " in said and "test pictures have a twin in training" in said
    assert missing_for_onnx() or "they agree" in said
    assert names["task"].name == "mine" and not (tmp_path / "hot_dogs").exists()
    assert list(names["report"].table.files) == [40, 40] and (names["report"].files.problem == "").all()
    assert "'mug' has 0 pictures in 0 presses" in said and "goes on with drawn pictures" in said
    assert list(names["runs"]["with a twin"]) == [100, 0, 100, 0] and names["runs"].fresh.between(0, 100).all()
    assert "pictures, of presses of which it saw no picture" in said and not names["page"].close()
    assert ".MOV" in " ".join(names["report"].findings), "what a phone puts beside the pictures is left out with a note"


def test_ten_minute_version_at_the_end_of_the_lab_works_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    zipped_pictures(tmp_path / "birds.zip")
    (code,) = re.findall(r"```python\n(.*?)```", nbformat.read(LAB, as_version=4).cells[-1].source, re.DOTALL)
    if missing_for_onnx():
        code = "".join(line for line in code.splitlines(True) if "onnx" not in line)
    exec(compile(code, "the ten minutes", "exec"), {})
    assert h.load_classifier(tmp_path / "birds.safetensors").size == 224
    assert "80 image files in 2 classes" in capsys.readouterr().out
