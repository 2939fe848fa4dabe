"""Source models of timm: which pass the invariants, what comes with them, what is refused.

The hub is a stand-in on this machine; its client, the library and the files are the real ones.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fits import short, small_task
from hub_origin import publish_model
from origin import Origin
from PIL import Image
from safetensors.torch import save
from torch import nn
from torch.nn.functional import cross_entropy

timm = pytest.importorskip("timm", reason="the extra 'hubs' is not installed")

from test_invariants import Witness, assert_equal, freezing_of, tensors_of_stages  # noqa: E402

from helpers.data.downloads import Offline  # noqa: E402
from helpers.freezing import freeze, parameter_groups  # noqa: E402
from helpers.heads import find_head, swap_head  # noqa: E402
from helpers.sources import from_timm  # noqa: E402
from helpers.sources.backbones import load_backbone  # noqa: E402
from helpers.stages import part, split, stage_names, stages  # noqa: E402
from helpers.training.classifier import load_classifier  # noqa: E402
from helpers.training.fitting import fit  # noqa: E402
from helpers.training.ledger import summary  # noqa: E402
from helpers.training.recipes import FEATURE_EXTRACTION  # noqa: E402

SMALL_VIT = {"img_size": 32, "embed_dim": 24, "depth": 3, "num_heads": 3}
FAMILIES = {  # family: a small one of it, and what makes it smaller
    "resnet": ("test_resnet", {}),
    "convnext": ("test_convnext", {}),
    "efficientnet": ("test_efficientnet", {}),
    "mobilenetv3": ("mobilenetv3_small_050", {}),
    "regnet": ("regnetx_002", {}),
    "densenet": ("densenet121", {"growth_rate": 8, "block_config": (1, 1, 1, 1)}),
    "mixer": (timm.models.mlp_mixer.MlpMixer, {"img_size": 32, "patch_size": 16, "num_blocks": 2, "embed_dim": 16}),
    "vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "deit": ("deit_tiny_patch16_224", SMALL_VIT),
    "deit3": ("deit3_small_patch16_224", SMALL_VIT),
    "dinov2": ("vit_small_patch14_reg4_dinov2", SMALL_VIT | {"patch_size": 16, "num_classes": 3}),
    "beit": ("beit_base_patch16_224", SMALL_VIT),
    "cait": ("cait_xxs24_224", SMALL_VIT),
    "swin": ("swin_tiny_patch4_window7_224",
             {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2)}),
    "nfnet": ("test_nfnet", {}),
    "byobnet": ("test_byobnet", {}),
    "coatnet": ("test_coatnet", {"img_size": 64}),
    "maxvit": ("test_maxvit", {"img_size": 64}),
}  # fmt: skip
TINY = "timm:test_resnet.r160_in1k"


def build(family: str) -> tuple[nn.Module, int]:
    """A random network of a family, and the width of the images that it takes."""
    torch.manual_seed(0)
    name, small = FAMILIES[family]
    if isinstance(name, str) and not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    return (timm.create_model(name, **small) if isinstance(name, str) else name(**small)), small.get("img_size", 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_I1_to_I4_hold_for_the_family(family):
    (model, size), (other, _) = build(family), build(family)
    swap_head(model, 5)
    images, labels = torch.randn(3, 3, size, size), torch.tensor([0, 1, 4])
    names = stage_names(model)
    middle = names[len(names) // 2]

    # I4: freezing depends on the stage only, and not on when the head is swapped
    model.train()
    frozen = freezing_of(freeze(model, middle))
    freeze(freeze(model, -1), 0)
    assert freezing_of(freeze(model, middle)) == frozen == freezing_of(swap_head(freeze(other.train(), middle), 5))

    # I3: one stage after the other is the model, so a cut anywhere is
    model.eval()
    found = stages(model)
    inputs, value = [None, *(stage.input for stage in found[1:]), None], images
    with torch.no_grad():
        for i, stage in enumerate(found):
            value = part(model, [stage], start=inputs[i], end=inputs[i + 1])(value)
        assert_equal(value, model(images))

    # I2, I3: what the suffix reaches is what trains, with the same gradients (autograd says which)
    model.train()
    torch.manual_seed(1)
    logits = model(images)
    cross_entropy(logits, labels).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    prefix, suffix = split(model, middle)
    with torch.no_grad():
        features = prefix(images)  # still frozen: torch.matmul sums in another order where a weight wants a gradient (mixer)
    model.requires_grad_(True)
    torch.manual_seed(1)
    again = suffix(features)
    cross_entropy(again, labels).backward()
    assert_equal(again, logits)
    reached = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert reached.keys() == {name for name, gradient in gradients.items() if gradient is not None}
    assert 0 < len(reached) < len(list(model.parameters()))
    for name, gradient in reached.items():
        assert_equal(gradient, gradients[name])
    model.zero_grad()

    # I1: frozen means frozen
    freeze(model, middle)
    optimizer = torch.optim.SGD(parameter_groups(model, lr=0.01, weight_decay=0.1), momentum=0.9)
    still = Witness(tensors_of_stages(model, names[: names.index(middle)])
                    | {name: p for name, p in model.named_parameters() if not p.requires_grad})  # fmt: skip
    moving = Witness({name: p for name, p in model.named_parameters() if name in reached})
    for _ in range(2):
        cross_entropy(model.train()(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not still.changed() and moving.changed() == reached.keys()
    assert model(images).isfinite().all()


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
        ("timm:deit_tiny_distilled_patch16_224", "cannot be used here: cannot cut VisionTransformerDistilled before its head"),
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
    model = timm.create_model("vit_tiny_patch16_224", **SMALL_VIT, num_classes=0)
    from_timm._add_head(model, "timm:vit_tiny_patch16_224")
    assert find_head(model) == "head" and model.head.out_features == 1 and not model.head.weight.any()


def test_a_missing_library_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match="not installed here: run `pip install timm`"):
        load_backbone("timm:resnet18")


def test_a_source_of_timm_is_fitted_summed_up_saved_and_read_back_without_a_network(hub, tiny, tmp_path):
    publish_model(*hub, "timm/test_resnet.r160_in1k", tiny[1])
    run = fit(replace(short(replace(FEATURE_EXTRACTION, source=TINY)), steps=3), small_task())
    assert len(summary(run.model, 32).rows) == len(stage_names(run.model))
    path = run.classifier.save(tmp_path / "mine.safetensors")
    for file in weights_in(tmp_path / "hub"):
        file.unlink()
    again = load_classifier(path)
    assert torch.equal(again.logits(small_task().test.pixels), run.logits) and again.classes == small_task().classes
