"""Torchvision's weights are fetched like all else, into the folder where torchvision itself looks for them."""

import pickle

import pytest
import requests
import torch
from hostile import Malicious
from origin import Origin, keep, publish
from torchvision.models import SqueezeNet1_1_Weights, get_model

from helpers.data import downloads
from helpers.data.downloads import Offline
from helpers.sources.backbones import load_backbone

WEIGHTS = SqueezeNet1_1_Weights.IMAGENET1K_V1


@pytest.fixture(scope="module")
def state():
    return get_model("squeezenet1_1", weights=None).state_dict()


@pytest.fixture
def origin(monkeypatch, tmp_path):
    """A stand-in for download.pytorch.org, and an empty cache of torch's."""
    monkeypatch.setattr(downloads, "WAITS", (0,) * 5)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    with Origin() as origin:
        yield origin


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "hub" / "checkpoints"


def same(model, state):
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_weights_are_announced_resumed_and_then_found_by_torchvision_itself(origin, cache, state, monkeypatch, capsys):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    origin.behave(f"/models/{name}", "cut")
    backbone = load_backbone("squeezenet1_1")
    assert same(backbone.model, state) and backbone.weights == "IMAGENET1K_V1" and len(backbone.classes) == 1000
    assert [file.name for file in cache.iterdir()] == [name]
    first, last = capsys.readouterr().out.splitlines()
    assert first == (f"Fetching SqueezeNet1_1_Weights.IMAGENET1K_V1, torchvision's weights from 127.0.0.1: 5.0 MB, to {cache}")
    assert last.endswith("fetched, 5.0 MB; its sha256 is right")
    asked = [request.headers.get("Range", "") for request in origin.requests]
    assert len(asked) == 2 and asked[1].startswith("bytes=2")
    assert same(get_model("squeezenet1_1", weights=WEIGHTS), state)  # torchvision's own API, from its own cache
    assert same(load_backbone("squeezenet1_1").model, state)
    assert len(origin.requests) == 2 and capsys.readouterr().out == ""


def test_weights_with_another_hash_than_their_name_says_are_refused_and_not_kept(origin, cache, state, monkeypatch):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    origin.behave(f"/models/{name}", always="wrong")
    with pytest.raises(ValueError, match=f"its sha256 is [0-9a-f]{{8}}, expected was {name[5:13]}"):
        load_backbone("squeezenet1_1")
    assert list(cache.iterdir()) == []


def test_where_fetching_is_forbidden_the_message_names_the_model_that_needs_no_network(origin, cache, state, monkeypatch):
    name = publish(origin, monkeypatch, WEIGHTS, state)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(Offline) as caught:
        load_backbone("squeezenet1_1")
    for words in ("SqueezeNet1_1_Weights.IMAGENET1K_V1", "(5.0 MB)", "COURSE_OFFLINE", str(cache / name),
                  origin.url(f"/models/{name}"), "load_backbone('garden')"):  # fmt: skip
        assert words in str(caught.value)
    assert not origin.requests and not cache.exists()


def test_weights_in_the_cache_need_no_network(origin, cache, state, monkeypatch):
    keep(cache, monkeypatch, WEIGHTS, state)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr(requests.Session, "get", lambda *_, **__: pytest.fail("it asked"))
    assert same(load_backbone("squeezenet1_1").model, state)


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_file_in_the_cache_that_is_cut_short_is_named_and_left_as_it_is(origin, cache, state, monkeypatch, share):
    file = keep(cache, monkeypatch, WEIGHTS, state)
    damaged = file.read_bytes()[: int(share * file.stat().st_size)]
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=f"{file.name} cannot be read .*delete it, to download it anew"):
        load_backbone("squeezenet1_1")
    assert file.read_bytes() == damaged and not origin.requests


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_of_the_cache_does_not_run(origin, cache, state, monkeypatch, tmp_path, save):
    file = keep(cache, monkeypatch, WEIGHTS, state)
    save(state | {"payload": Malicious(tmp_path / "ran")}, file)
    with pytest.raises(ValueError, match="cannot be read .it is damaged, or holds objects that would run code") as caught:
        load_backbone("squeezenet1_1")
    assert not (tmp_path / "ran").exists() and caught.value.__suppress_context__
