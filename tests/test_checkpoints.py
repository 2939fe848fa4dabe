"""Checkpoints of your own: what is loaded as it is, and what is refused, with what would help."""

import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import FORMS, Malicious
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model
from zoo import same, shapes_only

from helpers.heads import swap_head
from helpers.sources.architectures import image_size, like
from helpers.sources.backbones import load_backbone
from helpers.sources.checkpoints import fill
from helpers.sources.gardennet import GardenNet

SMALL = "shufflenet_v2_x0_5"  # 1.4 million parameters, with BatchNorm
ABOUT = {"arch": "GardenNet", "classes": '["a", "b", "c"]', "size": "64", "mean": "[0.5, 0.4, 0.3]", "std": "[0.2, 0.25, 0.3]"}


@pytest.fixture(scope="module")
def trained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = swap_head(get_model(SMALL, weights=None), 3)
        with torch.no_grad():
            for buffer in model.buffers():
                buffer.add_(1)
        return model


@pytest.fixture
def write(trained, tmp_path):
    """write(content) -> the path of a file of torch.save; content: what to make of the trained state_dict."""

    def write(content=lambda state: state, name="mine.pt"):
        torch.save(content(dict(trained.state_dict())), tmp_path / name)
        return tmp_path / name

    return write


def refusal(path, arch=SMALL):
    with pytest.raises(ValueError) as caught:
        load_backbone(path, arch=arch)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- what is loaded ---


def test_a_checkpoint_with_metadata_brings_its_classes_and_preprocessing(tmp_path):
    model, path = GardenNet(3), tmp_path / "garden.safetensors"
    save_file(model.state_dict(), path, ABOUT)
    backbone = load_backbone(path)
    assert same(backbone.model, model) and backbone.model.training
    assert (backbone.classes, backbone.size, backbone.arch) == (["a", "b", "c"], 64, "GardenNet")
    assert backbone.weights == backbone.name == str(path)
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(backbone.transforms(image), backbone.normalise(image[None])[0], atol=1e-6)
    white = backbone.transforms(Image.new("RGB", (90, 70), "white"))
    assert white.shape == (3, 64, 64) and torch.allclose(white[:, 0, 0], torch.tensor([2.5, 2.4, 7 / 3]))


@pytest.mark.parametrize("name", ["mine.pt", "mine.safetensors", "misnamed.pt"])
def test_a_state_dict_with_a_head_for_other_classes_is_loaded_by_architecture(name, trained, tmp_path):
    (torch.save if name == "mine.pt" else save_file)(trained.state_dict(), tmp_path / name)
    backbone = load_backbone(str(tmp_path / name), arch=SMALL)
    assert same(backbone.model, trained)
    assert (backbone.classes, backbone.size, backbone.arch) == ([], 224, SMALL)


def prefixed(prefix):
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        prefixed("_orig_mod.module."),
        lambda state: {"model": prefixed("module.")(state), "optimizer": {}},
        lambda state: {"model": {name: tensor * 0 for name, tensor in state.items()}, "model_ema": state},
        lambda state: {"epoch": 1, "pytorch-lightning_version": "2.6.0", "state_dict": prefixed("model.")(state)},
    ],
    ids=["torch.compile and DataParallel", "training, parallel", "with averaged weights", "Lightning"],
)
def test_a_state_dict_is_found_where_training_scripts_put_it(content, write, trained):
    assert same(load_backbone(write(content, "epoch=1.ckpt"), arch=SMALL).model, trained)


def test_a_network_that_was_saved_without_its_head_gets_one_of_zeros(write, trained):
    headless = write(lambda state: prefixed("encoder.")({n: t for n, t in state.items() if not n.startswith("fc.")}))
    with pytest.warns(UserWarning, match="holds no head: .* swap_head before you train it"):
        model = load_backbone(headless, arch=SMALL).model
    assert not model.fc.weight.any() and not model.fc.bias.any() and len(model.fc.bias) == 1
    model.fc = trained.fc
    assert same(model, trained)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_are_loaded_in_the_models_own_also_without_counts_of_batches(dtype, write, trained):
    """BatchNorm has counted its batches only since 2018."""
    to = lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor
    old = lambda state: {name: to(tensor) for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    state = load_backbone(write(old), arch=SMALL).model.state_dict()
    for name, expected in trained.state_dict().items():
        if expected.is_floating_point():
            assert state[name].dtype == expected.dtype and torch.equal(state[name], to(expected).to(expected.dtype))


def test_a_checkpoint_of_a_googlenet_is_loaded_without_its_auxiliary_heads(tmp_path):
    torch.save(get_model("googlenet", weights=None, init_weights=False).state_dict(), tmp_path / "mine.pt")
    assert load_backbone(tmp_path / "mine.pt", arch="googlenet").model.aux1 is None


def test_the_tensors_of_a_vit_tell_the_size_of_its_images():
    with shapes_only():
        large = get_model("vit_l_16", weights=None, image_size=512).state_dict()
    assert image_size("vit_l_16", large) == {"image_size": 512} and image_size("resnet18", large) == {}


# --- what is refused ---


def test_what_is_missing_left_over_and_of_another_shape_is_named_separately(write):
    def change(state):
        kept = {name: tensor for name, tensor in state.items() if not name.startswith("stage2.0.")}
        return kept | {"extra.weight": torch.ones(2, 3), "conv1.0.weight": torch.ones(24, 1, 3, 3)}

    message = refusal(write(change))
    assert f"does not hold the tensors of a {SMALL}: 25 missing: stage2.0.branch1.0.weight, " in message
    assert "and 22 more; 1 left over: extra.weight; 1 of another shape: conv1.0.weight (24, 1, 3, 3) where " in message


def test_the_architecture_is_guessed_from_the_number_of_parameters(write):
    assert f"as many parameters as {SMALL}" in refusal(write(), "shufflenet_v2_x1_0")
    with pytest.raises(ValueError, match=f"does not name its architecture .*{SMALL}.* load_backbone.path, arch='{SMALL}'"):
        load_backbone(write())
    with shapes_only():
        assert like(get_model("vit_b_32", weights=None, num_classes=7).state_dict()) == ["vit_b_32"]
    assert like({"bias": torch.ones(3)}) == []


def test_weights_that_do_not_fit_leave_the_model_as_it_was(trained):
    state = {name: tensor + 1 for name, tensor in trained.state_dict().items()}
    model = swap_head(get_model(SMALL, weights=None), 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spoilt = torch.full_like(state["conv5.0.weight"], float("nan"))
    for wrong in ({"conv5.0.weight": torch.ones(1)}, {"conv5.0.weight": spoilt}, {"more": torch.ones(1)}):
        with pytest.raises(ValueError):
            fill(model, state | wrong, "mine.pt", SMALL)
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_values_that_cannot_be_weights_are_refused(write):
    for value, said in ((float("inf"), "not finite .*diverged"), (1, "numbers of another type .*quantised")):
        message = refusal(write(lambda state, value=value: state | {"conv5.0.weight": torch.full((1024, 192, 1, 1), value)}))
        assert re.search(f"conv5.0.weight hold .*{said}", message)


@pytest.mark.parametrize("how", FORMS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_does_not_run(how, tmp_path):
    how({"fc.weight": torch.ones(2, 2), "payload": Malicious(tmp_path / "ran")}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="model.pt is refused: .*would run code when loaded") as caught:
        load_backbone(tmp_path / "model.pt", arch=SMALL)
    assert not (tmp_path / "ran").exists()
    assert caught.value.__suppress_context__  # torch's own message explains how to load it anyway


def test_a_whole_pickled_model_is_refused_by_the_name_of_its_class_and_so_is_what_is_no_state_dict(write):
    message = refusal(write(lambda state: get_model("squeezenet1_1", weights=None)))
    assert "would run code when loaded (torchvision.models.squeezenet.Fire" in message
    assert "save them alone, torch.save(model.state_dict(), path)" in message
    for content in ({"epoch": 3, "state_dict": {}}, torch.ones(3)):
        assert "not the state_dict of a model" in refusal(write(lambda state, content=content: content))


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", ""),
        (b"PK\x03\x04 half a zip file", ""),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 9\n", "a pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>please log in</html>", "a web page .*download it again"),
        (b"\x89HDF\r\n\x1a\n...", "an HDF5 file, as Keras"),
        (b"\x1f\x8b\x08...", "a compressed file .gzip.: unpack"),
    ],
    ids=["empty", "half a zip", "lfs", "html", "hdf5", "gzip"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_not_a_checkpoint_is_named_for_what_it_is(content, said, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    assert re.search(f"is refused: it is ({said or 'damaged'})|not an intact safetensors file", refusal(path))
    assert not said or re.search(said, refusal(path))


def test_a_checkpoint_without_architecture_metadata_or_tensors_says_what_is_missing(tmp_path):
    path, state = tmp_path / "mine.pt", GardenNet(2).state_dict()
    torch.save(state, path)
    with pytest.raises(ValueError, match="does not name its architecture. Say load_backbone.path, arch="):
        load_backbone(path)
    assert "lacks the metadata of a GardenNet" in refusal(path, "GardenNet")
    assert re.search("unknown architecture .*'resnet_18'. Did you mean 'resnet18'", refusal(path, "resnet_18"))
    del state["conv1.weight"]
    save_file(state, tmp_path / "mine.safetensors", ABOUT)
    assert "1 missing: conv1.weight" in refusal(tmp_path / "mine.safetensors", None)
    with pytest.raises(FileNotFoundError, match="there is no file .*absent.pt"):
        load_backbone(tmp_path / "absent.pt", arch="resnet18")


def test_settings_numbers_and_paths_beside_the_tensors_are_no_reason_to_refuse(write, trained):
    beside = {"args": Namespace(lr=0.1, folder=Path("x")), "best": np.float64(0.9), "epoch": np.int64(3)}
    assert same(load_backbone(write(lambda state: {"state_dict": state, **beside}), arch=SMALL).model, trained)


def test_a_foreign_head_is_left_out_with_a_warning_and_the_body_is_read(write, trained):
    def self_supervised(state):
        body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
        projection = {"fc.0.weight": torch.zeros(9, 1024), "fc.2.weight": torch.zeros(5, 9)}
        return {f"module.encoder_q.{name}": tensor for name, tensor in (body | projection).items()}

    with pytest.warns(UserWarning, match="holds no head"), \
            pytest.warns(UserWarning, match="has another head than .*fc.0.weight, fc.2.weight are left out"):
        model = load_backbone(write(self_supervised), arch=SMALL).model
    own = trained.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items() if "fc." not in name)
    lacking = lambda state: {name: tensor for name, tensor in self_supervised(state).items() if "conv5" not in name}
    assert "missing: conv5.0.weight" in refusal(write(lacking)), "a body has to be whole"


def test_a_densenet_of_old_times_is_read_by_todays_names_and_out_of_a_larger_network(tmp_path):
    state = get_model("densenet121", weights=None).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): tensor for name, tensor in state.items()}
    assert old.keys() != state.keys()
    torch.save({f"module.densenet121.{name}": tensor for name, tensor in old.items()}, tmp_path / "chexnet.pth")
    read = load_backbone(tmp_path / "chexnet.pth", arch="densenet121").model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.items())
