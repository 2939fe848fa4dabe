"""One function says where to compute; networks borrow the accelerator and come back. Tested without one: moves are recorded."""

import pytest
import torch
from fits import short, small_task
from project import ROOT
from torch import nn

from helpers.training import devices, fitting
from helpers.training.devices import borrowed, device, seeded
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE

ACCELERATOR = torch.device("cpu", 0)  # a stand-in that can be told apart from torch.device("cpu"), and computes


@pytest.fixture
def moves(monkeypatch):
    """Every device that a module is moved to, in order; the stand-in is the accelerator."""
    seen, to = [], nn.Module.to

    def record(self, *args, **kwargs):
        where = next((torch.device(arg) for arg in args if isinstance(arg, (str, torch.device))), None)
        if where is not None:
            seen.append(where)
        return to(self, *args, **kwargs)

    for module in (devices, fitting):
        monkeypatch.setattr(module, "device", lambda: ACCELERATOR)
    monkeypatch.setattr(nn.Module, "to", record)
    return seen


def test_course_device_overrides_the_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda"))
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    assert device() == torch.device("cuda")
    for wanted in ("cpu", "cuda:1"):
        monkeypatch.setenv("COURSE_DEVICE", wanted)
        assert device() == torch.device(wanted)


@pytest.mark.parametrize("wanted", ["gpu", "cuda"])
def test_a_device_that_this_machine_lacks_is_an_error_that_says_what_to_do(wanted, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
    monkeypatch.setenv("COURSE_DEVICE", wanted)
    with pytest.raises(ValueError, match=f"COURSE_DEVICE='{wanted}'.*use cpu, or unset it"):
        device()


def test_nothing_else_in_the_course_asks_torch_for_a_device_or_leaves_an_accelerator_reseeded():
    files = (ROOT / "helpers").rglob("*.py")
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    words = "current_accelerator", "cuda.is_available"
    assert [name for name, text in texts.items() if any(word in text for word in words)] == ["helpers/training/devices.py"]
    assert not [name for name, text in texts.items() if "fork_rng(devices=[])" in text]


@pytest.mark.parametrize("recipe", [FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE], ids=lambda recipe: recipe.name)
def test_a_fit_trains_on_the_accelerator_and_returns_everything_on_the_cpu(recipe, moves):
    run = fit(short(recipe), small_task())
    assert ACCELERATOR in moves and moves[-1] == torch.device("cpu")
    assert {tensor.device for tensor in (*run.model.state_dict().values(), run.logits)} == {torch.device("cpu")}
    del moves[:]
    run.classifier.logits(small_task().test.pixels)
    assert moves == [ACCELERATOR, torch.device("cpu")]


def test_a_borrowed_network_comes_back_as_it_was_also_after_an_error(moves):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    model[1].eval()
    with pytest.raises(RuntimeError), borrowed(model) as where:
        assert where == ACCELERATOR and not model.training and not torch.is_grad_enabled()
        assert not torch.backends.cudnn.allow_tf32, "an answer would depend on the kind of GPU"
        raise RuntimeError
    assert moves == [ACCELERATOR, torch.device("cpu")]
    assert model.training and not model[1].training and torch.is_grad_enabled() and torch.backends.cudnn.allow_tf32


def test_seeding_leaves_the_generators_of_all_devices_as_they_were(monkeypatch):
    forked, fork = [], torch.random.fork_rng
    monkeypatch.setattr(torch.random, "fork_rng", lambda *args, **kwargs: forked.append((args, kwargs)) or fork(*args, **kwargs))
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert forked == [((), {})] * 2, "with devices=[] the accelerator's generator would stay reseeded"
