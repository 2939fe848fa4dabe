"""Every torchvision classifier with every weight set it offers; and checkpoints that are refused, with what would help."""

import gzip
import re
import warnings
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from origin import Origin, publish
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from helpers.data import downloads
from helpers.heads import swap_head
from helpers.sources import backbones, weightfiles
from helpers.sources.architectures import TORCHVISION, _Shapes, fitting, image_size
from helpers.sources.backbones import load_backbone
from helpers.sources.checkpoints import fill
from helpers.training import classifier

ENTRIES = [entry for name in TORCHVISION for entry in get_model_weights(name)]
SMALL = "shufflenet_v2_x0_5"  # 1.4 million parameters, with BatchNorm


# --- every entry ---


def test_there_is_a_weight_set_for_every_classifier():
    assert len(TORCHVISION) >= 80 and len(ENTRIES) >= 110


@pytest.fixture
def wanted(monkeypatch, tmp_path):
    """load_backbone on models without values; returns what it would have fetched."""
    calls = []
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "fetch", lambda url, file, **about: calls.append({"url": url, "file": file, **about}))
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *args, **kwargs: {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *args, **kwargs: None)
    monkeypatch.setattr(backbones, "_begin_anew", lambda *args: None)  # it looks at values
    monkeypatch.setattr(weightfiles, "get_model", built)
    return calls


_BUILT = {}


def built(name, weights):
    """As torchvision builds it for its weights; of each kind once (a ViT depends on them, all others have 1,000 classes)."""
    kind = weights if name.startswith("vit") else None
    if (name, kind) not in _BUILT:
        with _Shapes():
            _BUILT[name, kind] = get_model(name, weights=weights)
    return _BUILT[name, kind]


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_weight_set_comes_with_its_own_preprocessing_classes_address_and_hash(name, wanted, tmp_path):
    for entry in get_model_weights(name):
        backbone, preset = load_backbone(name, entry.name), entry.transforms()
        assert (backbone.name, backbone.weights, backbone.classes) == (name, entry.name, entry.meta["categories"] or [])
        for what in ("crop_size", "resize_size", "interpolation", "antialias", "mean", "std"):
            assert getattr(backbone.transforms, what) == getattr(preset, what)
        assert [backbone.size] == preset.crop_size and getattr(backbone.model, "image_size", backbone.size) == backbone.size
        assert (backbone.mean, backbone.std) == (tuple(preset.mean), tuple(preset.std))
        head = [m for m in backbone.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
        assert len(head.weight) == 1000 and len(set(backbone.classes)) == (0 if entry.name == "IMAGENET1K_FEATURES" else 1000)

        call = wanted.pop()
        address = urlparse(call["url"])
        assert not wanted and (address.scheme, address.hostname) == ("https", "download.pytorch.org")
        assert call["file"] == tmp_path / "hub" / "checkpoints" / Path(address.path).name
        digits = call["digest"].removeprefix("sha256:")
        assert re.fullmatch("[0-9a-f]{8,}", digits) and digits in call["url"]
        parameters = sum(p.numel() for p in backbone.model.parameters())
        assert call["size"] > 1.9 * parameters and str(entry) in call["what"]  # some files are in half precision


@pytest.mark.parametrize("entry", {str(e.transforms()): e for e in ENTRIES}.values(), ids=str)
def test_normalise_does_what_the_preset_does_with_an_image_of_its_size(entry):
    """Also at 384 pixels and with bicubic interpolation, as for the weights from SWAG: there is nothing to resize."""
    backbone = backbones._with_preset("any", nn.Identity(), entry, [], entry.name)
    preset, size = entry.transforms(), backbone.size
    if preset.resize_size != [size]:  # it would enlarge the image first, and then cut its margin off
        preset = entry.transforms(resize_size=size)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)
    assert torch.allclose(backbone.normalise(image[None])[0], preset(image), atol=1e-6)


def test_layers_that_a_weight_set_has_no_values_for_begin_at_random_and_that_is_said():
    """As vgg16's IMAGENET1K_FEATURES, whose classifier was never converted."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    kept = model[0].weight.detach().clone()
    nn.init.constant_(model[1].weight, float("nan"))
    with pytest.warns(UserWarning, match="vgg16 has no values for 1: they are random, and have to be trained"):
        backbones._begin_anew(model, "vgg16")
    assert model[1].weight.isfinite().all() and torch.equal(model[0].weight, kept)


@pytest.mark.parametrize("name", ["squeezenet1_1"])
def test_weights_are_fetched_announced_loaded_and_then_there_without_a_network(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry, trained = get_model_weights(name).DEFAULT, get_model(name, weights=None)
    with Origin() as origin:
        file = publish(origin, monkeypatch, entry, trained.state_dict())
        backbone = load_backbone(name)
        assert same(backbone.model, trained) and (tmp_path / "hub/checkpoints" / file).is_file()
        said = capsys.readouterr().out
        assert f"{entry}" in said and "127.0.0.1" in said and "MB" in said and str(tmp_path) in said
        assert len(origin.requests) == 1
        assert same(load_backbone(name, offline=True).model, trained) and len(origin.requests) == 1


def test_offline_weights_that_are_not_there_are_not_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with Origin() as origin:
        publish(origin, monkeypatch, get_model_weights(SMALL).DEFAULT, {})
        for forbid in ({"offline": True}, {}):
            if not forbid:
                monkeypatch.setenv("COURSE_OFFLINE", "1")
            with pytest.raises(downloads.Offline, match="must not be fetched.*load_backbone.'garden'"):
                load_backbone(SMALL, **forbid)
        assert not origin.requests and load_backbone(SMALL, weights=None, offline=True).weights is None


def test_the_cached_file_of_torchvision_is_a_checkpoint_like_any_other():
    file = next(iter(Path(torch.hub.get_dir(), "checkpoints").glob("squeezenet1_0-*.pth")), None)
    if file is None:
        pytest.skip("the weights of squeezenet1_0 are not in the torch cache (TORCH_HOME)")
    by_path, by_name = load_backbone(file, arch="squeezenet1_0"), load_backbone("squeezenet1_0", "IMAGENET1K_V1", offline=True)
    assert same(by_path.model, by_name.model) and by_path.weights == str(file)


# --- checkpoints of one's own ---


def same(a, b):
    return all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


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


def test_what_is_missing_left_over_and_of_another_shape_is_said_apart_with_shapes(write):
    def change(state):
        for name in [name for name in state if name.startswith("stage2.0.")]:
            del state[name]
        return state | {"extra.weight": torch.ones(2, 3), "conv1.0.weight": torch.ones(24, 1, 3, 3)}

    message = refusal(write(change))
    assert "does not hold a shufflenet_v2_x0_5: 25 tensors are missing: stage2.0.branch1.0.weight (24, 1, 3, 3), " in message
    assert "and 22 more; 1 tensor is left over: extra.weight (2, 3); " in message
    assert "1 tensor is of another shape: conv1.0.weight (24, 1, 3, 3) where (24, 3, 3, 3) is wanted" in message


def test_weights_that_do_not_fit_leave_the_model_as_it_was(trained):
    state = {name: tensor + 1 for name, tensor in trained.state_dict().items()}
    model = swap_head(get_model(SMALL, weights=None), 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spoilt = state["conv5.0.weight"].clone()
    spoilt[0, 0] = float("nan")
    for wrong in ({"conv5.0.weight": torch.ones(1)}, {"conv5.0.weight": spoilt}, {"more": torch.ones(1)}):
        with pytest.raises(ValueError):
            fill(model, state | wrong, "mine.pt", SMALL)
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def prefixed(prefix):
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "content, said",
    [
        (prefixed("module."), "'module.' .of DataParallel"),
        (prefixed("_orig_mod."), "'_orig_mod.' .of torch.compile"),
        (prefixed("module.encoder."), "'module.encoder.' .of DataParallel"),
        (lambda state: prefixed("net.")({n: t for n, t in state.items() if n[:3] != "fc."}), "'net.' .* without its head"),
        (lambda state: {"epoch": 3, "state_dict": state}, "holds a dict with epoch, state_dict.* under 'state_dict'"),
        (lambda state: {"model": prefixed("module.")(state), "optimizer": {}}, "under 'model', .*'module.'"),
        (lambda state: {"epoch": 1, "pytorch-lightning_version": "2.6.0", "state_dict": prefixed("model.")(state)},
         "a checkpoint of Lightning.*'model.' is taken off"),
    ],
)  # fmt: skip
def test_the_cure_that_a_refusal_prints_works(content, said, write, trained):
    message = refusal(write(content, "epoch=1.ckpt"))
    assert re.search(said, message.replace("\n", " ")), message
    *lines, last = [line.strip() for line in message.splitlines() if line.startswith("    ")]
    scope = {"load_backbone": load_backbone}
    exec("\n".join(lines), scope)
    model = eval(last, scope).model
    if "without its head" in said:
        assert not model.fc.weight.any() and not model.fc.bias.any() and len(model.fc.bias) == 1000
        model.fc = trained.fc
    assert same(model, trained)


def test_a_checkpoint_of_another_width_says_which_architecture_it_is_of(write):
    path = write()
    assert f"Its tensors are those of a {SMALL}: say arch={SMALL!r}" in refusal(path, "shufflenet_v2_x1_0")
    assert "Its tensors are those of a shufflenet_v2_x0_5" in refusal(write(), "resnet18")
    with pytest.raises(ValueError, match="name its architecture. Its tensors are those of a shufflenet_v2_x0_5: say"):
        load_backbone(write())


def test_an_architecture_is_recognised_by_its_tensors():
    for name in ("wide_resnet50_2", "vgg13_bn", "swin_v2_t", "googlenet"):
        with _Shapes(), warnings.catch_warnings(action="ignore"):
            assert fitting(get_model(name, weights=None, num_classes=7).state_dict(), near=name) == name
    with _Shapes():
        large = get_model("vit_l_16", weights=None, image_size=512).state_dict()
    assert fitting(large, near="vit_b_16") == "vit_l_16" and image_size("vit_l_16", large) == {"image_size": 512}


def test_a_saved_vit_for_larger_images_is_read_back_as_one():
    """As with the weights from SWAG: 384 pixels, where the architecture alone says 224."""
    with _Shapes():
        tensors = get_model("vit_b_16", weights=None, image_size=384).state_dict()
        backbone = classifier._architecture_of({"source": "vit_b_16"}, tensors)
    assert backbone.size == backbone.model.image_size == 384
    assert backbone.model.encoder.pos_embedding.shape == tensors["encoder.pos_embedding"].shape


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_loaded_in_the_models_own(dtype, write, trained):
    to = lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor
    model = load_backbone(write(lambda state: {name: to(t) for name, t in state.items()}), arch=SMALL).model
    for name, tensor in model.state_dict().items():
        expected = trained.state_dict()[name]
        assert tensor.dtype == expected.dtype and torch.equal(tensor, to(expected).to(expected.dtype))


def test_a_checkpoint_from_before_batches_were_counted_is_loaded(write, trained):
    old = lambda state: {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    model = load_backbone(write(old), arch=SMALL).model
    assert same(nn.ParameterList(model.parameters()), nn.ParameterList(trained.parameters()))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(value, write):
    message = refusal(write(lambda state: state | {"conv5.0.weight": torch.full_like(state["conv5.0.weight"], value)}))
    assert "values that are no number (NaN) or infinite, in conv5.0.weight. " in message and "diverged" in message


def test_quantised_weights_are_refused(write):
    message = refusal(write(lambda state: state | {"fc.weight": torch.ones_like(state["fc.weight"], dtype=torch.int8)}))
    assert "fc.weight (3, 1024) torch.int8" in message and "quantised" in message


def test_a_whole_pickled_model_is_refused_by_the_name_of_its_class(write):
    message = refusal(write(lambda state: get_model("squeezenet1_1", weights=None)))
    assert "would run code when loaded (torchvision.models.squeezenet.Fire, torchvision.models.squeezenet.SqueezeNet" in message
    assert "Only a state_dict is accepted" in message


def test_a_torchscript_program_is_refused(tmp_path):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "program.pt")
    assert "TorchScript" in refusal(tmp_path / "program.pt")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 9\n", "a pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>please log in</html>", "a web page .*download it again"),
        (b"\x89HDF\r\n\x1a\n...", "an HDF5 file, as Keras"),
        (gzip.compress(b"weights"), "a compressed file .gzip.: unpack"),
    ],
    ids=["empty", "lfs", "html", "hdf5", "gzip"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_told_for_what_it_is(content, said, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    assert re.search(f"is refused: it is {said}", refusal(path))


def test_a_zip_with_weights_in_it_and_a_wrong_suffix_are_told(write, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("model/weights.pth", b"...")
    assert "a zip archive with model/weights.pth: unpack it" in refusal(tmp_path / "model.pth")
    assert "rename it to end in .pt" in refusal(write(name="mine.safetensors"))
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "other.pt")
    assert "rename it to end in .safetensors" in refusal(tmp_path / "other.pt")
