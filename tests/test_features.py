"""Keeping the output of frozen stages changes the time that training takes, and nothing else."""

from dataclasses import replace

import pytest
import torch
from fits import HEAD_BY_STEPS, fitted, short, small_task, write_source

from helpers.freezing import freeze
from helpers.images.tasks import Split
from helpers.sources.backbones import load_backbone
from helpers.training import features
from helpers.training.features import fixed_views
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE

SOLVED = {"lr": None, "augment": False, "views": 0}
CACHED = {
    "a head by steps on fixed views": HEAD_BY_STEPS,
    "feature extraction, no augmentation": short(FEATURE_EXTRACTION),
    "fine-tune last, fixed views": short(FINE_TUNE_LAST, views=2),
    "fine-tune last, no augmentation": short(FINE_TUNE_LAST, augment=False),
    "a stage by name": short(FINE_TUNE_LAST, augment=False, upto="layer3"),
    "only the head's phase": short(PROBE_THEN_FINE_TUNE, augment=False),
}


def assert_agree(recipe):
    """To 1e-4 of the largest logit: convolutions of 6 and of 100 images add up in another order."""
    one, other = fitted(recipe), fitted(recipe, cached=False)
    assert one.cached and not other.cached
    torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4 * other.logits.abs().max().item())
    assert torch.equal(one.logits.argmax(1), other.logits.argmax(1))
    assert one.history.step.equals(other.history.step)
    assert (one.history - other.history).abs().to_numpy().max() < 1e-3
    assert one.trained == other.trained
    for name, tensor in one.model.state_dict().items():
        torch.testing.assert_close(tensor, other.model.state_dict()[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CACHED)
def test_cached_and_uncached_runs_agree(name):
    assert_agree(CACHED[name])


def test_cached_and_uncached_runs_agree_with_dropout_before_the_head(tmp_path):
    """Dropout belongs to the head: it draws the same numbers, anew in each step, whether features are kept or not."""
    source = write_source(tmp_path / "net.safetensors")
    for name in CACHED.keys() - {"a stage by name"}:
        assert_agree(replace(CACHED[name], source=source))


@pytest.mark.parametrize(
    "changes, cached",
    [
        ({"augment": False, "upto": -1}, "-1"),
        ({"augment": False, "upto": "layer3"}, "layer3"),
        ({"augment": True}, ""),  # anew in each step
        ({"augment": False, "upto": 0}, ""),  # nothing is frozen
        ({"augment": False, "upto": "conv1"}, ""),
        ({"augment": False, "upto": 0.01}, ""),
    ],
)
def test_fit_says_before_which_stage_it_kept_features(changes, cached):
    assert fitted(short(FINE_TUNE_LAST, steps=2, **changes)).cached == cached


def test_features_too_large_for_memory_are_not_kept_and_the_result_is_the_same(monkeypatch):
    recipe = CACHED["a head by steps on fixed views"]
    needed = (2 * len(small_task().train) + len(small_task().val)) * 256 * 4  # 256 features of 4 bytes each
    for limit, cached in ((needed, "-1"), (needed - 1, "")):
        monkeypatch.setattr(features, "LARGEST_CACHE", limit)
        run = fit(recipe, small_task())
        assert run.cached == cached
    assert torch.equal(run.logits, fitted(recipe, cached=False).logits)


def test_each_view_keeps_the_label_of_its_image():
    images, labels = torch.zeros(6, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 1, 1, 0, 1, 0])
    images[labels == 0, 0] = images[labels == 1, 2] = 200  # those of class 0 are red, those of class 1 blue
    views, of_views = fixed_views(Split(images, torch.arange(6), labels, [""] * 6), 5, seed=0)
    assert views.shape == (30, 3, 32, 32) and views.dtype == torch.uint8
    red, _, blue = views.float().mean((2, 3)).unbind(1)
    assert torch.equal((blue > red).long(), of_views)


def test_fixed_views_depend_on_the_seed_alone_and_leave_the_random_numbers_of_torch_alone():
    train = small_task().train
    first = fixed_views(train, 3, seed=4)[0]
    torch.rand(10)
    before = torch.get_rng_state()
    assert torch.equal(fixed_views(train, 3, seed=4)[0], first)
    assert not torch.equal(fixed_views(train, 3, seed=5)[0], first)
    assert torch.equal(torch.get_rng_state(), before)
    one, two, _ = first.split(len(train))
    assert (one != two).flatten(1).any(1).all(), "two views of an image are the same"


def uneven(channels=6, count=60):
    """Features of a frozen backbone as they may be: scales that differ by orders of magnitude, and one that never varies."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, channels, 2, 3, generator=generator) * 10.0 ** torch.arange(channels).view(-1, 1, 1)
    x = x + torch.arange(channels).view(-1, 1, 1)
    x[:, -1] = 5.0
    return x


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_a_head_gets_standardised_input_in_training_and_is_a_plain_layer_with_the_same_outputs_afterwards(kind, bias):
    x = uneven()
    if kind == "linear":
        x, head = x[:, :, 0, 0], torch.nn.Linear(6, 3, bias=bias)
    else:
        head = torch.nn.Conv2d(6, 3, 1, bias=bias)
    seen = []
    model = torch.nn.Sequential(torch.nn.Dropout(0.9), head)  # which must not drop while moments are taken
    with torch.no_grad(), features.standardised(model, model, x.split(7)):
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        within = head(x)
        hook.remove()
        flat = seen[0].movedim(1, -1).flatten(0, -2)
        assert 0.5 < flat.square().mean(0).max() <= 1 + 1e-3, "the largest channel was a thousand times larger"
        raw = x.movedim(1, -1).flatten(0, -2).double()
        raw = raw - raw.mean(0) if bias else raw
        power = raw.square().mean(0)
        expected = raw * torch.where(power > 1e-8 * power.mean(), (power + power.mean()).rsqrt(), 0)
        torch.testing.assert_close(flat.double(), expected, rtol=1e-3, atol=1e-4)
    assert not head._forward_pre_hooks
    torch.testing.assert_close(head(x), within, rtol=1e-4, atol=1e-4)
    assert not bias or (head.weight[:, -1] == 0).all(), "a channel that never varied in training says nothing later"
    assert (head.weight[:, 3] != 0).all(), "one that varies a little less does"


def test_standardising_is_for_a_head_that_trains_alone():
    model = load_backbone("garden").model
    assert features.lone_head(freeze(model, -1)) is features.lone_head(freeze(model, "fc")) is model.fc
    assert features.lone_head(freeze(model, "layer4")) is None and features.lone_head(freeze(model, 0)) is None
    assert features.lone_head(model.requires_grad_(False)) is None
    wide = freeze(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3, padding=1)), -1)
    assert features.lone_head(wide) is None, "padding with zeros is no padding with means"


@pytest.mark.parametrize("changes", [{}, {"views": 0}, {"views": 0, "batchnorm": "live"}, {"batchnorm": "re-estimated"}, SOLVED])
def test_a_trained_probe_is_a_plain_network_again(changes):
    run, plain = fitted(replace(HEAD_BY_STEPS, **changes)), load_backbone("garden").model
    assert {name: type(module) for name, module in run.model.named_modules()} == {
        name: type(module) for name, module in plain.named_modules()
    }
    assert not run.model.fc._forward_pre_hooks and run.model.state_dict().keys() == plain.state_dict().keys()
    val = run.classifier.logits(run.task.val.pixels)
    loss = torch.nn.functional.cross_entropy(val, run.task.val.labels).item()
    assert loss == pytest.approx(run.history.val_loss.iloc[-1], rel=1e-3)
