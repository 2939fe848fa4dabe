"""Source models of timm: what comes with them, and what is refused. Their families are in test_invariants.py.

The hub is a stand-in on this machine; its client, the library and the files are the real ones.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from fits import short, small_task
from hub_origin import publish_model
from origin import Origin
from PIL import Image
from safetensors.torch import save
from torch import nn
from zoo import build

from helpers.data.downloads import Offline
from helpers.heads import find_head
from helpers.sources import from_timm
from helpers.sources.backbones import load_backbone
from helpers.stages import stage_names
from helpers.training.classifier import load_classifier
from helpers.training.costs import summary
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION

TINY = "timm:test_resnet.r160_in1k"


# --- weights from the hub ---


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub, and an empty cache: (what is asked, what is served from elsewhere)."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Origin() as origin, Origin() as store:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", origin.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
                            origin.address + "/{repo_id}/resolve/{revision}/{filename}")  # fmt: skip
        yield origin, store


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(4)
    model = timm.create_model("test_resnet.r160_in1k")
    return model, {"model.safetensors": save(model.state_dict(), {"format": "pt"})}


def same(model, state):
    own = model.state_dict()
    return own.keys() == state.keys() and all(torch.equal(tensor, own[name]) for name, tensor in state.items())


def weights_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*.safetensors") if file.exists()]


def test_a_model_of_timm_comes_with_its_classes_and_preprocessing_and_is_kept(hub, tiny):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny[1])
    backbone = load_backbone(TINY)
    assert same(backbone.model, tiny[0].state_dict()) and backbone.model.training
    assert (backbone.name, backbone.arch, backbone.weights, backbone.size) == (TINY, TINY, "test_resnet.r160_in1k", 160)
    assert len(backbone.classes) == 1000 and backbone.classes[11] == "goldfinch, Carduelis carduelis"
    config = timm.data.resolve_data_config(model=tiny[0])
    assert (backbone.mean, backbone.std) == (config["mean"], config["std"])
    picture = Image.effect_mandelbrot((300, 260), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    assert torch.equal(backbone.transforms(picture), timm.data.create_transform(**config)(picture))
    grey = torch.full((3, 200, 200), 99, dtype=torch.uint8)
    assert torch.allclose(backbone.transforms(grey), backbone.normalise(grey[None, :, :160, :160])[0], atol=1e-6)
    asked = hub[0].requests + hub[1].requests
    assert not any("torch/" in request.headers["User-Agent"] for request in asked)  # no telemetry
    assert same(load_backbone(TINY, offline=True).model, tiny[0].state_dict())
    assert len(hub[0].requests + hub[1].requests) == len(asked), "what is in the cache needs no network"


@pytest.mark.parametrize("by", ["argument", "variable", "HF_HUB_OFFLINE", "network"])
def test_what_cannot_or_must_not_be_fetched_is_said_with_what_to_do(by, hub, tiny, monkeypatch):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny[1])
    if by == "variable":
        monkeypatch.setenv("COURSE_OFFLINE", "1")
    elif by == "HF_HUB_OFFLINE":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    elif by == "network":
        hub[0].behave("/timm/test_resnet.r160_in1k/resolve/main/model.safetensors", always=500)
    with pytest.raises(Offline, match="timm/test_resnet.r160_in1k.*hf download.*load_backbone.'garden'"):
        load_backbone(TINY, offline=by == "argument")
    assert by == "network" or not hub[0].requests
    assert load_backbone(TINY, weights=None, offline=True).weights is None  # a random one needs no network


@pytest.mark.parametrize("code, said", [("RepoNotFound", "has no model.safetensors .* or is not public"),
                                        ("EntryNotFound", "has no model.safetensors .weights in other forms may hold code"),
                                        ("GatedRepo", "not open to everybody: accept its terms .*hf auth login")])  # fmt: skip
def test_what_the_hub_does_not_have_or_give_is_said_in_plain_words(code, said, hub, tmp_path):
    status = 403 if code == "GatedRepo" else 404
    answer = lambda _: (status, {"X-Error-Code": code, "Content-Length": "0"}, b"")
    hub[0].behave("/timm/test_resnet.r160_in1k/resolve/main/model.safetensors", always=answer)
    with pytest.raises(ValueError, match=f"timm/test_resnet.r160_in1k.*{said}"):
        load_backbone(TINY)
    assert not weights_in(tmp_path)


def test_weights_that_do_not_fit_the_model_are_refused(hub, tiny):
    state = {name: tensor for name, tensor in tiny[0].state_dict().items() if name != "fc.bias"}
    publish_model(*hub, "timm/test_resnet.r160_in1k", {"model.safetensors": save(state)})
    with pytest.raises(ValueError, match="(?s)weights of timm:test_resnet.r160_in1k do not fit timm's model.*fc.bias"):
        load_backbone(TINY)


@pytest.mark.parametrize(
    "name, said",
    [
        ("timm:resnet19", "has no model 'resnet19'. Did you mean .*'resnet18'"),
        ("timm:resnet18.a1_in", "Did you mean 'resnet18.a1_in1k'"),
        ("timm:deit_tiny_distilled_patch16_224", "cannot be used here: VisionTransformerDistilled has no single head"),
        ("timm:ghostnet_050", "takes other steps in training than in evaluation"),
    ],
)
def test_models_that_are_unknown_or_cannot_be_cut_are_refused(name, said):
    with pytest.raises(ValueError, match=said):
        load_backbone(name, weights=None)


def test_a_model_whose_parts_give_other_logits_is_refused(monkeypatch):
    shifted = lambda *args: (nn.Identity(), lambda image: torch.zeros(1, 1000))
    monkeypatch.setattr(from_timm, "split", shifted)
    with pytest.raises(ValueError, match="cut into stages, it does not give the same logits"):
        load_backbone(TINY, weights=None)


def test_a_network_that_was_trained_without_classes_gets_a_head_of_zeros():
    model = build("timm:vit")
    model.reset_classifier(0)
    from_timm._add_head(model, "timm:vit_tiny_patch16_224")
    assert find_head(model) == "head" and model.head.out_features == 1 and not model.head.weight.any()


def test_a_missing_library_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    for name in ("timm:resnet18", "efficientnet_lite0"):
        with pytest.raises(ModuleNotFoundError, match="not installed here: run `pip install timm`.*load_backbone.'garden'"):
            load_backbone(name)


def test_a_source_of_timm_is_fitted_summed_up_saved_and_read_back_without_a_network(hub, tiny, tmp_path):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny[1])
    run = fit(replace(short(replace(FEATURE_EXTRACTION, source=TINY)), steps=3), small_task())
    assert len(summary(run.model, 32).rows) == len(stage_names(run.model))
    path = run.classifier.save(tmp_path / "mine.safetensors")
    for file in weights_in(tmp_path / "hub"):
        file.unlink()
    again = load_classifier(path)
    assert torch.equal(again.logits(small_task().test.pixels), run.logits) and again.classes == small_task().classes
