"""One function says where to compute; networks borrow the accelerator and come back. Tested without one: moves are recorded."""

import os

import pytest
import torch
from fits import fitted, short, small_task
from project import ROOT
from torch import nn

from helpers.images.splits import at_a_time
from helpers.training import devices, fitting, loop
from helpers.training.devices import borrowed, computes, device, reduced, seeded
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE

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
    monkeypatch.setattr(devices, "computes", lambda where: True)
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


def test_a_gpu_for_which_pytorch_has_no_programs_is_named_and_left_alone(monkeypatch):
    """As builds for CUDA 13 do on GPUs older than Turing: they find the GPU, and every kernel fails."""
    def fails(*_):
        raise RuntimeError("no kernel image is available for execution on the device\nCompile with ...")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: ACCELERATOR)
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    computes.cache_clear()
    assert device() == ACCELERATOR, "one that computes is taken"
    monkeypatch.setattr(devices.F, "conv2d", fails)
    computes.cache_clear()
    with pytest.warns(UserWarning, match=r"finds cpu:0 and cannot compute on it \(no kernel image is available for execution"):
        assert device() == torch.device("cpu")
    computes.cache_clear()


def test_large_images_train_in_bfloat16_where_a_gpu_has_it_and_small_ones_never(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or ampere)
    gpu, ampere = torch.device("cuda"), True
    assert reduced(gpu, 224) and reduced(gpu, 128) and not reduced(gpu, 96) and not reduced(torch.device("cpu"), 224)
    ampere = False  # as a T4, which emulates it
    assert not reduced(gpu, 224) and not devices.has_bfloat16(gpu)


def test_reduced_precision_is_in_the_forward_pass_alone(monkeypatch):
    recipe = short(FINE_TUNE_ALL, augment=False, steps=4)
    exact = fitted(recipe)
    monkeypatch.setattr(loop, "reduced", lambda where, size: True)
    run = fit(recipe, small_task())
    assert {tensor.dtype for tensor in run.model.parameters()} == {run.logits.dtype} == {torch.float32}
    assert not torch.equal(run.logits, exact.logits) and torch.allclose(run.logits, exact.logits, atol=0.2)


def test_pixels_go_to_a_gpu_once_where_they_fit_into_a_quarter_of_its_memory(monkeypatch):
    sent = []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *args: sent.append(args) or self)
    train = small_task().train
    for where, free, goes in ((torch.device("cuda"), 4 * train.pixels.numel(), True), (torch.device("cuda"), 100, False),
                              (torch.device("cpu"), 0, False), (torch.device("mps"), 0, False)):  # fmt: skip
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        images = devices.resident(train, where)
        assert (images is not train) == goes and (not goes or torch.equal(images, train.pixels))
    assert sent == [(torch.device("cuda"),)]
    features = torch.zeros(2, 5)
    assert devices.resident(features, torch.device("cuda")) is features


def test_mps_gets_weights_in_the_usual_order_and_others_with_channels_last(monkeypatch):
    for name, order in (("mps", torch.contiguous_format), ("cuda", torch.channels_last), ("cpu", torch.channels_last)):
        monkeypatch.setattr(devices, "device", lambda name=name: torch.device(name))
        assert devices.layout() == order


def test_a_network_that_the_device_cannot_compute_is_refused_before_training(moves, monkeypatch):
    """As MPS does with adaptive pooling to a size that does not divide."""
    def check(backbone, size):
        assert moves == [ACCELERATOR], "it is tried on the device, not on the CPU"
        raise ValueError("of the usual sizes it takes")

    monkeypatch.setattr(fitting, "check_size", check)
    with pytest.raises(ValueError, match="usual sizes"):
        fit(short(FINE_TUNE_ALL), small_task())


def test_a_fit_names_the_operations_that_pytorch_cannot_repeat(monkeypatch):
    recipe, normalised = short(FINE_TUNE_ALL, augment=False, steps=4), loop.Run._normalised
    assert fitted(recipe).varying == []
    put = lambda images: images.put_(torch.tensor([0]), torch.zeros(1))  # which PyTorch calls so on every device
    monkeypatch.setattr(loop.Run, "_normalised", lambda self, images: put(normalised(self, images)))
    assert fit(recipe, small_task()).varying == ["put_"]


def test_large_images_go_through_a_gpu_in_smaller_batches():
    images = lambda size: torch.empty(1000, 3, 1, 1, dtype=torch.uint8).expand(-1, -1, size, size)
    gpu = torch.device("cuda")
    assert [at_a_time(images(size), 250, gpu) for size in (32, 112, 224, 448)] == [250, 250, 63, 16]


def test_quick_notebooks_are_compared_on_a_cpu_whatever_the_machine_has(request, monkeypatch):
    (settings,) = [plugin for plugin in request.config.pluginmanager.get_plugins()
                   if getattr(plugin, "__file__", None) == str(ROOT / "conftest.py")]  # fmt: skip
    for where, full, kind, expected in (("", "quick", "IPyNbCell", "cpu"), ("cuda", "quick", "IPyNbCell", "cpu"),
                                         ("cuda", "full", "IPyNbCell", "cuda"), ("cuda", "quick", "Function", "cuda"),
                                         ("", "quick", "Function", None)):  # fmt: skip
        monkeypatch.setenv("COURSE_DEVICE", "set by the test before")
        monkeypatch.setenv("COURSE_RUN", full)
        monkeypatch.setattr(settings, "DEVICE", where)
        settings.pytest_runtest_setup(type(kind, (), {})())
        assert os.environ.get("COURSE_DEVICE") == expected
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)


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
