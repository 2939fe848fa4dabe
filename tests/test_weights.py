"""Every torchvision classifier with every weight set it offers; how weights are fetched, kept, and refused."""

from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from hostile import FORMS, Malicious
from origin import Origin, keep, publish
from torch import nn
from torchvision.models import SqueezeNet1_1_Weights, WeightsEnum, get_model, get_model_weights
from zoo import same, shapes_only

from helpers.data.downloads import Offline
from helpers.sources import from_torchvision
from helpers.sources.architectures import TORCHVISION
from helpers.sources.backbones import load_backbone

ENTRIES = [entry for name in TORCHVISION for entry in get_model_weights(name)]
WEIGHTS = SqueezeNet1_1_Weights.IMAGENET1K_V1


# --- every entry ---


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """load_backbone on models without values; returns what torchvision was asked for."""
    calls, original = [], from_torchvision.get_model
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda weights, *args, **settings: calls.append(weights) or {})
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda *args, **kwargs: None)
    monkeypatch.setattr(from_torchvision, "_fill_gaps", lambda *args: None)  # it looks at values

    def without_values(name, weights):
        with shapes_only():
            return original(name, weights=weights)

    monkeypatch.setattr(from_torchvision, "get_model", without_values)
    return calls


def test_there_are_at_least_80_classifiers_with_110_weight_sets():
    assert len(TORCHVISION) >= 80 and len(ENTRIES) >= 110


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_weight_set_comes_with_its_own_preprocessing_classes_address_and_hash(name, fetched):
    for entry in get_model_weights(name):
        backbone, preset = load_backbone(name, entry.name), entry.transforms()
        assert (backbone.name, backbone.arch, backbone.weights) == (name, name, entry.name)
        assert backbone.classes == (entry.meta["categories"] or [])
        for what in ("crop_size", "resize_size", "interpolation", "antialias", "mean", "std"):
            assert getattr(backbone.transforms, what) == getattr(preset, what)
        assert [backbone.size] == preset.crop_size and getattr(backbone.model, "image_size", backbone.size) == backbone.size
        assert (backbone.mean, backbone.std) == (tuple(preset.mean), tuple(preset.std))
        head = [m for m in backbone.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
        assert len(head.weight) == 1000 and len(set(backbone.classes)) == (0 if entry.name == "IMAGENET1K_FEATURES" else 1000)
        assert fetched.pop() is entry and not fetched
        address = urlparse(entry.url)
        assert (address.scheme, address.hostname) == ("https", "download.pytorch.org")
        assert torch.hub.HASH_REGEX.search(Path(address.path).name), "its name tells the hash that torchvision checks"


@pytest.mark.parametrize("entry", {str(e.transforms()): e for e in ENTRIES}.values(), ids=str)
def test_normalise_does_what_the_preset_does_with_an_image_of_its_size(entry):
    """Also at 384 pixels and with bicubic interpolation, as for the weights from SWAG: there is nothing to resize."""
    backbone = from_torchvision.with_preset("any", "any", nn.Identity(), entry, [], entry.name)
    preset, size = entry.transforms(), backbone.size
    if preset.resize_size != [size]:  # it would enlarge the image first, and then cut its margin off
        preset = entry.transforms(resize_size=size)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)
    assert torch.allclose(backbone.normalise(image[None])[0], preset(image), atol=1e-6)


def test_layers_that_a_weight_set_has_no_values_for_are_initialised_with_a_warning():
    """As vgg16's IMAGENET1K_FEATURES, whose classifier was never converted."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    kept = model[0].weight.detach().clone()
    nn.init.constant_(model[1].weight, float("nan"))
    with pytest.warns(UserWarning, match="vgg16 has no values for 1: they are random, and have to be trained"):
        from_torchvision._fill_gaps(model, "vgg16")
    assert model[1].weight.isfinite().all() and torch.equal(model[0].weight, kept)


# --- fetched by torchvision, into its own folder ---


@pytest.fixture(scope="module")
def state():
    return get_model("squeezenet1_1", weights=None).state_dict()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of torch's: the folder of its checkpoints."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def origin(cache):
    """A stand-in for download.pytorch.org."""
    with Origin() as origin:
        yield origin


def test_weights_are_fetched_once_and_kept_where_torchvision_finds_them(origin, cache, state, monkeypatch, capsys):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    backbone = load_backbone("squeezenet1_1")
    assert same(backbone.model, state) and backbone.model.training and len(backbone.classes) == 1000
    assert origin.url(f"/models/{name}") in capsys.readouterr().out, "it prints what it fetches"
    assert [file.name for file in cache.iterdir()] == [name]
    assert same(get_model("squeezenet1_1", weights=WEIGHTS), state)  # torchvision's own API, from its own cache
    assert same(load_backbone("squeezenet1_1", offline=True).model, state)
    assert len(origin.requests) == 1


FAILURES = {"wrong": "came with wrong bytes, which were not kept", 404: "cannot be fetched now .*404", "cut": "now|wrong"}


@pytest.mark.parametrize("how, said", FAILURES.items())
def test_a_download_that_fails_or_is_cut_short_keeps_nothing_and_the_next_one_works(how, said, origin, cache, state, monkeypatch):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    origin.behave(f"/models/{name}", how)
    with pytest.raises((ValueError, Offline), match=said) as caught:
        load_backbone("squeezenet1_1")
    assert (caught.type is Offline or how != 404) and list(cache.iterdir()) == []
    assert same(load_backbone("squeezenet1_1").model, state)


@pytest.mark.parametrize("by", ["argument", "variable", "network"])
def test_what_cannot_or_must_not_be_fetched_raises_offline_with_what_to_do(by, origin, cache, state, monkeypatch):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    if by == "variable":
        monkeypatch.setenv("COURSE_OFFLINE", "1")
    if by == "network":
        monkeypatch.setattr(WEIGHTS.value, "url", f"http://127.0.0.1:9/models/{name}")
    with pytest.raises(Offline) as caught:
        load_backbone("squeezenet1_1", offline=True if by == "argument" else None)
    for words in ("SqueezeNet1_1_Weights.IMAGENET1K_V1", "(5.0 MB)", WEIGHTS.url, str(cache / name), "load_backbone('garden')",
                  "cannot be fetched now" if by == "network" else "COURSE_OFFLINE"):  # fmt: skip
        assert words in str(caught.value)
    assert not origin.requests and load_backbone("squeezenet1_1", None, offline=True).weights is None


@pytest.mark.parametrize("share", [0, 0.999])
def test_a_damaged_file_in_the_cache_is_named_and_left_as_it_is(share, cache, state, monkeypatch):
    file = keep(cache, monkeypatch, WEIGHTS, state)
    file.write_bytes(damaged := file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ValueError, match=f"{file.name} cannot be read .*delete it, to download it again"):
        load_backbone("squeezenet1_1")
    assert file.read_bytes() == damaged


@pytest.mark.parametrize("save", FORMS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_of_the_cache_does_not_run(save, cache, state, monkeypatch, tmp_path):
    file = keep(cache, monkeypatch, WEIGHTS, state)
    save(state | {"payload": Malicious(tmp_path / "ran")}, file)
    with pytest.raises(ValueError, match="cannot be read .it is damaged, or holds objects that would run code") as caught:
        load_backbone("squeezenet1_1")
    assert not (tmp_path / "ran").exists() and caught.value.__suppress_context__
