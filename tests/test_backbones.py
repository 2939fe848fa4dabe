"""Source models by name: what comes with them, and what is refused."""

import os
from pathlib import Path

import pytest
import torch
from photos import needs_photographs, needs_squeezenet
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import SqueezeNet1_0_Weights, get_model
from zoo import same

from helpers.sources import shipping
from helpers.sources.backbones import load_backbone
from helpers.sources.checkpoints import read_safetensors
from helpers.sources.gardennet import GardenNet
from helpers.sources.shipping import save_source
from helpers.stages import stage_names

# --- by name ---


@pytest.mark.parametrize("name, size", [("googlenet", 64), ("inception_v3", 75)])
def test_auxiliary_heads_are_gone(name, size):
    backbone = load_backbone(name, weights=None)
    assert backbone.model.train()(torch.randn(2, 3, size, size)).shape == (2, 1000)


@pytest.mark.parametrize("name, size", [("garden", 64), ("garden-vit", 64), ("efficientnet_v2_s", 384),
                                        ("efficientnet_lite0", 224)])  # fmt: skip
def test_the_architecture_of_a_source_makes_a_random_network_like_it(name, size):
    backbone = load_backbone(name, None)
    again = load_backbone(backbone.arch, weights=None)
    assert (again.arch, again.weights, again.classes, again.size) == (backbone.arch, None, [], size)
    assert (again.mean, again.std, repr(again.transforms)) == (backbone.mean, backbone.std, repr(backbone.transforms))
    assert type(again.model) is type(backbone.model) and stage_names(again.model) == stage_names(backbone.model)
    assert not same(again.model, backbone.model)


@pytest.mark.parametrize("name, near", [("ResNet50", "resnet50"), ("GardenNet", "garden"), ("hf:microsoft/resnet-18", ""),
                                        ("fcn_resnet50", ""), ("r3d_18", "")])  # fmt: skip
def test_an_unknown_name_or_another_kind_of_model_is_refused_with_similar_names(name, near):
    with pytest.raises(ValueError, match=f"unknown source model: '{name}'. Did you mean .*'{near}"):
        load_backbone(name)


@pytest.mark.parametrize(
    "name, weights, near",
    [("resnet50", "imagenet", "IMAGENET1K_V2"), ("garden-small", "garden", "garden-small"), ("timm:resnet18", "a1", "DEFAULT"),
     ("efficientnet_lite0", "imagenet", "efficientnet_lite0")],
)
def test_unknown_weights_are_refused_with_those_that_exist(name, weights, near):
    with pytest.raises(ValueError, match=f"unknown weights of '?{name}'?: '{weights}'.*{near}"):
        load_backbone(name, weights)


def test_normalise_refuses_anything_but_a_batch_of_uint8_images():
    backbone = load_backbone("squeezenet1_1", weights=None)
    for wrong in (torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8).byte(), torch.zeros(2, 1, 8, 8).byte()):
        with pytest.raises(ValueError, match="expected uint8 images .N, 3, H, W., got"):
            backbone.normalise(wrong)


@needs_squeezenet
def test_real_weights_give_the_logits_that_torchvision_gives():
    backbone, weights = load_backbone("squeezenet1_0"), SqueezeNet1_0_Weights.IMAGENET1K_V1
    assert backbone.weights == "IMAGENET1K_V1" and backbone.size == 224
    image = Image.effect_mandelbrot((300, 260), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    with torch.no_grad():
        logits = backbone.model.eval()(backbone.transforms(image)[None])
        assert torch.equal(logits, get_model("squeezenet1_0", weights=weights).eval()(weights.transforms()(image)[None]))


@pytest.mark.parametrize("name, least", [pytest.param("squeezenet1_0", 0.5, marks=needs_squeezenet), ("efficientnet_lite0", 0.8)])
@needs_photographs
def test_real_weights_see_daisies_on_photographs_of_daisies(name, least):
    files = sorted(Path(os.environ["COURSE_PHOTOS"], "daisy").glob("*"))[:32]
    if len(files) < 32:
        pytest.skip("COURSE_PHOTOS has no 32 photographs of daisies")
    backbone = load_backbone(name)
    images = torch.stack([backbone.transforms(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        guesses = backbone.model.eval()(images).argmax(1)
    assert (guesses == backbone.classes.index("daisy")).float().mean() > least


# --- the sources that come with the course ---


@pytest.fixture
def garden(monkeypatch, tmp_path):
    """Another file in place of the one that comes with the course: its path, and the model in it."""
    monkeypatch.setattr(shipping, "SHIPPED", tmp_path)
    model, path = GardenNet(3), tmp_path / "garden.safetensors"
    save_source(model, path, ["a", "b", "c"])
    return path, model


def test_every_file_that_comes_with_the_course_is_a_source_by_its_name(garden):
    path, model = garden
    other = GardenNet(5)
    save_source(other, path.with_name("garden-other.safetensors"), [])
    assert shipping.shipped_sources() == ["garden", "garden-other"]
    for name, expected, classes in (("garden", model, ["a", "b", "c"]), ("garden-other", other, [])):
        backbone, random = load_backbone(name), load_backbone(name, weights=None)
        assert same(backbone.model, expected) and backbone.model.training
        assert (backbone.name, backbone.weights, backbone.classes) == (name, name, classes)
        assert (random.name, random.weights, random.classes, random.mean) == (name, None, [], shipping.MEAN)
        assert random.model.fc.weight.shape == expected.fc.weight.shape and not same(random.model, expected)
    assert load_backbone(path, weights=None).name == str(path)
    assert load_backbone().name == "garden"
    with pytest.raises(ValueError, match="unknown source model: 'garden-othr'. Did you mean 'garden-other'"):
        load_backbone("garden-othr")


def test_a_file_that_is_not_the_shipped_one_is_refused(garden):
    path, _ = garden
    path.with_name("garden-new.safetensors").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="SHA256SUMS has no line for garden-new.safetensors"):
        load_backbone("garden-new")
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ValueError, match="garden.safetensors is damaged"):
        load_backbone("garden")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="garden.safetensors is missing"):
        load_backbone("garden")
    path.with_name("SHA256SUMS").write_text("<html>\n")
    with pytest.raises(ValueError, match="SHA256SUMS is damaged, at '<html>'"):
        load_backbone("garden")


def test_a_course_network_without_its_head_gets_one_of_zeros(garden, tmp_path):
    path, model = garden
    about = read_safetensors(path)[1] | {"classes": "[]"}
    headless = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("fc.")}
    save_file(headless, tmp_path / "headless.safetensors", about)
    backbone = load_backbone(tmp_path / "headless.safetensors")
    assert backbone.classes == [] and backbone.model.fc.out_features == 3 and not backbone.model.fc.weight.any()
    assert torch.equal(backbone.model.conv1.weight, model.conv1.weight)
