"""Source models: where they come from, what comes with them, and what is refused."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import requests
import torch
from hostile import Malicious
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights, get_model
from torchvision.models import SqueezeNet1_0_Weights as SqueezeNetWeights

from helpers.data import downloads
from helpers.heads import swap_head
from helpers.sources import backbones
from helpers.sources.backbones import load_backbone
from helpers.sources.gardennet import GardenNet

HAS_SQUEEZENET = any(Path(torch.hub.get_dir(), "checkpoints").glob("squeezenet1_0-*.pth"))
needs_squeezenet = pytest.mark.skipif(
    not HAS_SQUEEZENET, reason="the weights of squeezenet1_0 are not in the torch cache (TORCH_HOME)"
)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty torch cache, and a network that does not answer."""

    def fail(*args, **kwargs):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests.Session, "get", fail)
    monkeypatch.setattr(downloads, "WAITS", (0,))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


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


def test_without_network_the_message_says_what_is_wanted_where_it_goes_and_what_works_offline(no_network):
    with pytest.raises(FileNotFoundError) as caught:
        load_backbone("resnet18")
    message = str(caught.value)
    assert "ResNet18_Weights.IMAGENET1K_V1" in message and "cannot be fetched now" in message
    assert str(no_network / "resnet18-f37072fd.pth") in message
    assert ResNet18_Weights.DEFAULT.url in message and "47 MB" in message
    assert "load_backbone('garden')" in message


@pytest.mark.parametrize("content", [b"", b"<html>please log in to the campus network</html>"])
def test_a_damaged_file_in_the_cache_is_named_with_the_remedy(no_network, content):
    no_network.mkdir(parents=True)
    (no_network / "resnet18-f37072fd.pth").write_bytes(content)
    with pytest.raises(ValueError, match="resnet18-f37072fd.pth cannot be read .*delete it"):
        load_backbone("resnet18")


def test_weights_in_the_cache_are_used_without_network(no_network):
    no_network.mkdir(parents=True)
    model = get_model("resnet18", weights=None)
    torch.save(model.state_dict(), no_network / "resnet18-f37072fd.pth")
    backbone = load_backbone("resnet18", "IMAGENET1K_V1")
    assert same(backbone.model, model) and backbone.model.training
    assert (backbone.name, backbone.weights, backbone.size) == ("resnet18", "IMAGENET1K_V1", 224)
    assert len(backbone.classes) == 1000 and backbone.classes[11] == "goldfinch"
    assert backbone.model.fc.out_features == 1000  # the source's own head is still there


@pytest.mark.parametrize("name, size", [("googlenet", 64), ("inception_v3", 75)])
def test_auxiliary_heads_are_gone(name, size):
    backbone = load_backbone(name, weights=None)
    assert backbone.model.train()(torch.randn(2, 3, size, size)).shape == (2, 1000)


def test_random_weights_come_with_the_preprocessing_of_the_architecture_but_no_classes(no_network):
    backbone = load_backbone("efficientnet_v2_s", weights=None)
    assert (backbone.size, backbone.classes, backbone.weights) == (384, [], None)
    one, other = (load_backbone("resnet18", weights=None).model for _ in range(2))
    assert not same(one, other)


@pytest.mark.parametrize("name, near", [("resnet19", "resnet18"), ("ResNet50", "resnet50"), ("gardn", "garden")])
def test_an_unknown_name_is_refused_with_names_like_it(name, near):
    with pytest.raises(ValueError, match=f"unknown source model: '{name}'. Did you mean .*'{near}'"):
        load_backbone(name)


@pytest.mark.parametrize("name", ["fcn_resnet50", "raft_small", "r3d_18"])
def test_models_that_are_no_classifiers_of_images_are_refused(name):
    with pytest.raises(ValueError, match="unknown source model"):
        load_backbone(name)


def test_unknown_weights_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="unknown weights of 'resnet50': 'imagenet'.*'IMAGENET1K_V2'"):
        load_backbone("resnet50", "imagenet")


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


# --- checkpoints ---


def test_a_checkpoint_with_metadata_brings_its_classes_and_preprocessing(tmp_path):
    model = garden_file(tmp_path / "garden.safetensors")
    backbone = load_backbone(tmp_path / "garden.safetensors")
    assert same(backbone.model, model)
    assert backbone.classes == ["kind 0", "kind 1", "kind 2"] and backbone.size == 64
    assert backbone.weights == backbone.name == str(tmp_path / "garden.safetensors")
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(backbone.transforms(image), backbone.normalise(image[None])[0], atol=1e-6)
    white = backbone.transforms(Image.new("RGB", (90, 70), "white"))
    assert white.shape == (3, 64, 64) and torch.allclose(white[:, 0, 0], torch.tensor([2.5, 2.4, 7 / 3]))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_state_dict_with_a_head_for_other_classes_is_loaded_by_architecture(suffix, tmp_path):
    model, path = swap_head(get_model("resnet18", weights=None), 5), tmp_path / f"mine{suffix}"
    save_file(model.state_dict(), path) if suffix == ".safetensors" else torch.save(model.state_dict(), path)
    backbone = load_backbone(str(path), arch="resnet18")
    assert same(backbone.model, model)
    assert (backbone.classes, backbone.size) == ([], 224)


def test_a_checkpoint_of_a_googlenet_is_loaded_with_or_without_auxiliary_heads(tmp_path):
    for aux_logits in (True, False):
        model = get_model("googlenet", weights=None, aux_logits=aux_logits, init_weights=False)
        torch.save(model.state_dict(), tmp_path / "mine.pt")
        assert load_backbone(tmp_path / "mine.pt", arch="googlenet").model.aux1 is None


@pytest.mark.parametrize("how", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_does_not_run(how, tmp_path):
    how({"fc.weight": torch.ones(2, 2), "payload": Malicious(tmp_path / "ran")}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="model.pt is refused: .*would run code when loaded") as caught:
        load_backbone(tmp_path / "model.pt", arch="resnet18")
    assert not (tmp_path / "ran").exists()
    assert caught.value.__suppress_context__  # torch's own message explains how to load it nevertheless


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip file"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_damaged_checkpoint_is_refused(content, suffix, tmp_path):
    (tmp_path / f"model.{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=f"model.{suffix} is (refused: it is (damaged|empty)|no intact safetensors file)"):
        load_backbone(tmp_path / f"model.{suffix}", arch="resnet18")


def test_a_whole_training_checkpoint_or_a_pickled_model_is_not_a_state_dict(tmp_path):
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "epoch.pt")
    with pytest.raises(ValueError, match="holds a dict with epoch, state_dict, not the state_dict of a model"):
        load_backbone(tmp_path / "epoch.pt", arch="resnet18")
    torch.save(GardenNet(2), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="Only a state_dict is accepted"):
        load_backbone(tmp_path / "model.pt", arch="resnet18")


def test_a_checkpoint_of_another_architecture_is_refused_by_tensor(tmp_path):
    torch.save(get_model("resnet34", weights=None).state_dict(), tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="does not hold a resnet18: .* left over: layer1.2.*are those of a resnet34"):
        load_backbone(tmp_path / "mine.pt", arch="resnet18")


def test_a_checkpoint_without_architecture_or_metadata_says_what_is_missing(tmp_path):
    torch.save(GardenNet(2).state_dict(), tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="does not name its architecture. Say load_backbone.path, arch="):
        load_backbone(tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="lacks the metadata of a GardenNet"):
        load_backbone(tmp_path / "mine.pt", arch="GardenNet")
    with pytest.raises(ValueError, match="unknown architecture .*'resnet_18'. Did you mean 'resnet18'"):
        load_backbone(tmp_path / "mine.pt", arch="resnet_18")
    with pytest.raises(FileNotFoundError, match="there is no file .*absent.pt"):
        load_backbone(tmp_path / "absent.pt", arch="resnet18")


# --- the course's own source model ---


@pytest.fixture
def garden(monkeypatch, tmp_path):
    """Another file in place of the one that comes with the course: its path, and the model in it."""
    path = tmp_path / "garden.safetensors"
    model = garden_file(path)
    (tmp_path / "SHA256SUMS").write_text(f"{sha256(path)}  {path.name}\n")
    monkeypatch.setattr(backbones, "SHIPPED", tmp_path)
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
    assert backbones.shipped_sources() == ["garden", "garden-other"]
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
    save_file({name: tensor for name, tensor in state.items() if not name.startswith("conv1")}, path, about)
    enter(path)
    with pytest.raises(ValueError, match="does not hold a GardenNet: 1 tensor is missing: conv1.weight"):
        load_backbone("garden")
