"""Lecture 1: what the notebook claims, compared with what was measured; its cells for DINOv2 and CLIP, with stand-ins."""

import re
from functools import partial

import project
import pytest
import timm
import torch
from project import ROOT, cells

from helpers.lessons import pretext

NOTEBOOK = ROOT / "notebooks/01_transfer_vs_self_supervised.ipynb"
CELLS = {cell.id: cell for cell in cells(NOTEBOOK)}
number = partial(project.number, NOTEBOOK)


def test_copied_features_are_far_ahead_and_a_solved_pretext_task_is_worth_little():
    assert number("opening-table", "new output layer") > number("opening-table", "from scratch") + 40
    assert number("rotation-outcome", "new goldfinches") > 90 and number("rotation-outcome", "flowers") < 40
    assert number("random-outcome", "random EfficientNet") < 20
    assert re.search(r"step 120: .* probability (0\.9|1\.[01])%", project.outcome(NOTEBOOK, "simclr-training"))  # "one in 100"
    names = ("untrained small network", "rotation, birds", "rotation, flowers", "SimCLR, flowers", "SimCLR, 6 epochs")
    random, *short, longer = (number("worth-table", name) for name in names)
    exec(CELLS["nt-xent"].source, space := {"torch": torch, "F": torch.nn.functional, "a": torch.randn(8, 5)})
    assert torch.allclose(space["nt_xent"](space["a"], 2 - space["a"]), pretext.nt_xent(space["a"], 2 - space["a"]))
    assert max(short) < 30 and random < max(short) < longer / 1.5
    assert number("worth-table", "flowers, it finds") > 85 and abs(number("worth-table", "rotation, flowers") - random) < 4
    assert "22 million weights; an image becomes 384 features" in project.outcome(NOTEBOOK, "fetch")


def test_with_weights_the_cells_for_dinov2_and_clip_print_accuracies(capsys, monkeypatch, tmp_path):
    transformers, create = pytest.importorskip("transformers"), timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **settings: create(name, **settings | {"pretrained": False}))
    words = ["<|startoftext|>", "<|endoftext|>", *(a + end for a in "abcdefghijklmnopqrstuvwxyz-'" for end in ("", "</w>"))]
    tokens = transformers.CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 32}
    text = small | {"vocab_size": len(words), "bos_token_id": 0, "eos_token_id": 1}
    transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=small)).save_pretrained(tmp_path)
    transformers.CLIPProcessor(transformers.CLIPImageProcessor(), tokens).save_pretrained(tmp_path)
    space = {"flowers": None, "flower": torch.zeros(3, 64, 64, dtype=torch.uint8)}
    for cell_id in ("imports", "plain", "worth", "fetch", "dinov2", "zero-shot"):
        source = CELLS[cell_id].source.replace("per_class=5", "per_class=1, val=1, test=2")
        exec(source.replace("openai/clip-vit-base-patch32", str(tmp_path)).replace("fetch = False", "fetch = True"), space)
    assert re.search(r"DINOv2.*: \d+%\nCLIP.*: \d+%\nCLIP, zero-shot: \d+%", capsys.readouterr().out)
    assert space["similarity"].shape == (4, 10) and space["clip"](torch.zeros(1, 3, 224, 224)).shape == (1, 512)
