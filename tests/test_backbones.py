"""Source models: where they come from, what comes with them, and what is refused."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, get_model
from torchvision.models import SqueezeNet1_0_Weights as SqueezeNetWeights

from helpers.sources import shipping
from helpers.sources.backbones import load_backbone
from helpers.sources.gardennet import GardenNet
from helpers.stages import stage_names

HAS_SQUEEZENET = any(Path(torch.hub.get_dir(), "checkpoints").glob("squeezenet1_0-*.pth"))
needs_squeezenet = pytest.mark.skipif(
    not HAS_SQUEEZENET, reason="the weights of squeezenet1_0 are not in the torch cache (TORCH_HOME)"
)


def garden_file(path, classes=3):
    """A checkpoint such as the one that comes with the course; returns the model in it."""
    model = GardenNet(classes)
    about = {
        "arch": "GardenNet",
        "num_classes": str(classes),
        "classes": json.dumps([f"kind {i}" for i in range(classes)]),
        "mean": json.dumps([0.5, 0.4, 0.3]),
        "std": json.dumps([0.2, 0.25, 0.3]),
        "size": "64",
    }
    save_file(model.state_dict(), path, about)
    return model


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(a, b):
    return all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


# --- torchvision's models ---


@pytest.mark.parametrize("name, size", [("googlenet", 64), ("inception_v3", 75)])
def test_auxiliary_heads_are_gone(name, size):
    backbone = load_backbone(name, weights=None)
    assert backbone.model.train()(torch.randn(2, 3, size, size)).shape == (2, 1000)


def test_random_weights_come_with_the_preprocessing_of_the_architecture_but_no_classes():
    backbone = load_backbone("efficientnet_v2_s", weights=None)
    assert (backbone.size, backbone.classes, backbone.weights) == (384, [], None)
    one, other = (load_backbone("squeezenet1_1", weights=None).model for _ in range(2))
    assert not same(one, other)


@pytest.mark.parametrize(
    "name, near", [("resnet19", "resnet18"), ("ResNet50", "resnet50"), ("gardn", "garden"), ("GardenNet", "garden")]
)
def test_an_unknown_name_is_refused_with_names_like_it(name, near):
    with pytest.raises(ValueError, match=f"unknown source model: '{name}'. Did you mean .*'{near}'"):
        load_backbone(name)


@pytest.mark.parametrize("name", ["fcn_resnet50", "raft_small", "r3d_18"])
def test_models_that_do_not_classify_images_are_refused(name):
    with pytest.raises(ValueError, match="unknown source model"):
        load_backbone(name)


def test_unknown_weights_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="unknown weights of 'resnet50': 'imagenet'.*'IMAGENET1K_V2'"):
        load_backbone("resnet50", "imagenet")


@pytest.mark.parametrize("name", ["garden", "garden-vit", "squeezenet1_1"])
def test_the_architecture_of_a_source_makes_a_random_network_like_it(name):
    backbone = load_backbone(name, None)
    again = load_backbone(backbone.arch, weights=None)
    assert (again.arch, again.weights, again.classes, again.size) == (backbone.arch, None, [], backbone.size)
    assert (again.mean, again.std, repr(again.transforms)) == (backbone.mean, backbone.std, repr(backbone.transforms))
    assert type(again.model) is type(backbone.model)
    assert stage_names(again.model) == stage_names(backbone.model)


# --- preprocessing ---


def test_normalise_does_what_the_transforms_do_to_an_image_of_the_native_size():
    backbone = load_backbone("resnet18", weights=None)
    image = torch.randint(0, 256, (3, 224, 224), dtype=torch.uint8)
    preset = ResNet18_Weights.DEFAULT.transforms(resize_size=224)
    assert torch.allclose(backbone.normalise(image[None])[0], preset(image), atol=1e-6)


@pytest.mark.parametrize("shape, dtype", [((2, 3, 8, 8), torch.float32), ((3, 8, 8), None), ((2, 1, 8, 8), None)])
def test_normalise_refuses_what_are_no_uint8_images(shape, dtype):
    images = torch.zeros(shape, dtype=dtype or torch.uint8)
    with pytest.raises(ValueError, match="expected uint8 images .N, 3, H, W., got"):
        load_backbone("squeezenet1_1", weights=None).normalise(images)


@needs_squeezenet
def test_the_real_weights_of_squeezenet_recognise_what_they_did_before():
    backbone = load_backbone("squeezenet1_0")
    assert backbone.weights == "IMAGENET1K_V1" and backbone.size == 224
    reference = get_model("squeezenet1_0", weights=SqueezeNetWeights.IMAGENET1K_V1).eval()
    image = Image.effect_mandelbrot((300, 260), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    with torch.no_grad():
        logits = backbone.model.eval()(backbone.transforms(image)[None])
        assert torch.equal(logits, reference(SqueezeNetWeights.IMAGENET1K_V1.transforms()(image)[None]))


@needs_squeezenet
@pytest.mark.skipif("COURSE_PHOTOS" not in os.environ, reason="COURSE_PHOTOS names no folder of photographs")
def test_the_real_weights_of_squeezenet_see_daisies_on_photographs_of_daisies():
    files = sorted(Path(os.environ["COURSE_PHOTOS"], "daisy").glob("*"))[:32]
    if len(files) < 32:
        pytest.skip("COURSE_PHOTOS has no 32 photographs of daisies")
    backbone = load_backbone("squeezenet1_0")
    images = torch.stack([backbone.transforms(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        guesses = backbone.model.eval()(images).argmax(1)
    assert (guesses == backbone.classes.index("daisy")).float().mean() > 0.5


# --- the course's own source model ---


@pytest.fixture
def garden(monkeypatch, tmp_path):
    """Another file in place of the one that comes with the course: its path, and the model in it."""
    path = tmp_path / "garden.safetensors"
    model = garden_file(path)
    (tmp_path / "SHA256SUMS").write_text(f"{sha256(path)}  {path.name}\n")
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path)
    return path, model


def test_the_garden_model_is_the_default(garden):
    backbone = load_backbone()
    assert (backbone.name, backbone.weights, len(backbone.classes)) == ("garden", "garden", 3)
    assert same(backbone.model, garden[1])


def test_the_file_that_comes_with_the_course_is_the_one_that_was_meant():
    backbone = load_backbone("garden")
    assert backbone.size == 64 and len(backbone.classes) == backbone.model.fc.out_features >= 100


@pytest.mark.parametrize("as_path", [False, True])
def test_a_random_garden_model_has_the_same_shape_and_preprocessing(garden, as_path):
    path, model = garden
    backbone = load_backbone(path if as_path else "garden", weights=None)
    assert (backbone.name, backbone.weights, backbone.classes) == (str(path) if as_path else "garden", None, [])
    assert backbone.mean == (0.5, 0.4, 0.3) and backbone.model.fc.weight.shape == model.fc.weight.shape
    assert not same(backbone.model, model)


def test_a_garden_file_that_is_not_the_shipped_one_is_refused_and_so_is_none(garden):
    path, _ = garden
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ValueError, match="garden.safetensors is damaged"):
        load_backbone("garden")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="garden.safetensors is missing"):
        load_backbone("garden")


def test_the_garden_model_has_no_other_weights():
    with pytest.raises(ValueError, match="unknown weights of 'garden': 'IMAGENET1K_V1'"):
        load_backbone("garden", "IMAGENET1K_V1")


def enter(path):
    """The file's line in SHA256SUMS, alone."""
    (path.parent / "SHA256SUMS").write_text(f"{sha256(path)}  {path.name}\n")


def test_every_file_that_comes_with_the_course_is_a_source_by_its_name(garden):
    path, _ = garden
    other = path.with_name("garden-other.safetensors")
    model = garden_file(other, classes=5)
    (path.parent / "SHA256SUMS").write_text("".join(f"{sha256(file)}  {file.name}\n" for file in (path, other)))
    assert shipping.shipped_sources() == ["garden", "garden-other"]
    backbone = load_backbone("garden-other")
    assert same(backbone.model, model)
    assert (backbone.name, backbone.weights, len(backbone.classes)) == ("garden-other",) * 2 + (5,)
    assert load_backbone("garden-other", weights=None).weights is None
    with pytest.raises(ValueError, match="unknown weights of 'garden-other': 'garden'"):
        load_backbone("garden-other", "garden")
    with pytest.raises(ValueError, match="unknown source model: 'garden-othr'. Did you mean 'garden-other'"):
        load_backbone("garden-othr")


def test_a_shipped_file_without_its_digest_or_with_a_damaged_list_of_them_is_refused(garden):
    path, _ = garden
    path.with_name("garden-new.safetensors").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="SHA256SUMS has no line for garden-new.safetensors"):
        load_backbone("garden-new")
    path.with_name("SHA256SUMS").write_text("<html>\n")
    with pytest.raises(ValueError, match="SHA256SUMS is damaged, at '<html>'"):
        load_backbone("garden")


def test_a_source_without_classes_has_a_head_that_says_so(garden):
    path, _ = garden
    state = GardenNet(3).state_dict()
    about = {"arch": "GardenNet", "mean": "[0.5, 0.5, 0.5]", "std": "[0.2, 0.2, 0.2]", "size": "64", "num_classes": "3"}
    save_file(state, path, about)  # trained to regress, say
    enter(path)
    backbone = load_backbone("garden")
    assert backbone.classes == [] and torch.equal(backbone.model.fc.weight, state["fc.weight"])
    save_file({name: tensor for name, tensor in state.items() if not name.startswith("fc.")}, path, about)
    enter(path)
    backbone = load_backbone("garden")
    assert backbone.classes == [] and backbone.model.fc.out_features == 3 and not backbone.model.fc.weight.any()
    assert torch.equal(backbone.model.conv1.weight, state["conv1.weight"])
