"""Lab 1 on photographs and with other source models: the same notebook, with other lines at its top."""

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image
from project import ROOT

from helpers import render

LAB = ROOT / "solutions/lab1_flowers.ipynb"


def run(monkeypatch, **settings) -> dict[str, str]:
    """The lab's outputs, cell by cell, when it is run with these environment variables."""
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(LAB, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(LAB.parent)}}).execute()
    texts = {}
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert not any(output.get("name") == "stderr" for output in outputs), (cell.id, outputs)
        texts[cell.id] = "".join(str(o.get("text") or o["data"].get("text/plain", "")) for o in outputs)
    return texts


def test_lab1_runs_on_photographs_with_imagenet_weights(monkeypatch):
    photographs = os.environ.get("COURSE_PHOTOS")
    if not photographs:
        pytest.skip("COURSE_PHOTOS names no folder of class folders with photographs")
    from torchvision.models import get_model_weights

    weights = get_model_weights("squeezenet1_0")["DEFAULT"]
    import torch

    if not os.path.exists(os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(weights.url))):
        pytest.skip("the ImageNet weights of squeezenet1_0 are not in torch's cache (TORCH_HOME)")
    texts = run(monkeypatch, COURSE_IMAGES=photographs, COURSE_SOURCE="squeezenet1_0", COURSE_BUDGET=0.05)
    assert "the same tensors: True" in texts["agree"]
    assert "the same answers after reloading: True" in texts["save"]
    probed = float(re.search(r"feature extraction\s+([\d.]+)", texts["run"])[1])
    assert probed > 40, f"a probe of ImageNet features names only {probed} % of five kinds of flowers (chance: 20)"


def test_lab1_runs_on_a_folder_of_ones_own_with_the_embedded_source(monkeypatch, tmp_path):
    for label, name in enumerate(["American", "European", "Lawrence's"]):
        (tmp_path / name).mkdir()
        images = render("goldfinches", [label] * 36, range(36), size=80)[0]
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{number}.png")
    texts = run(monkeypatch, COURSE_IMAGES=tmp_path, COURSE_BUDGET=0.05)
    assert "the same tensors: True" in texts["agree"]
    assert "the same answers after reloading: True" in texts["save"]
    assert re.search(r"(American|European|Lawrence's)\s+[\d.]+%", texts["new"])
