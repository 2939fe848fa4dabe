"""SimCLR: its loss, its views, and a network trained without labels."""

import math

import pytest
import torch
import train_sources as source
from pytorch_metric_learning.losses import NTXentLoss

from helpers.images.drawn import garden
from helpers.lessons.pretext import tasks as pretext
from helpers.sources.backbones import load_backbone

PICTURES = garden.render("source", torch.arange(8) * 100, torch.zeros(8, dtype=torch.long))[0]


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_nt_xent_and_its_gradient_are_those_of_pytorch_metric_learning(temperature):
    torch.manual_seed(0)
    z = torch.randn(20, 7, dtype=torch.float64, requires_grad=True)
    ours = pretext.nt_xent(*z.chunk(2), temperature)
    theirs = NTXentLoss(temperature)(z, torch.arange(10).repeat(2))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-12)


def test_nt_xent_is_small_when_partners_agree_and_that_of_a_guess_when_views_say_nothing():
    own, same = torch.eye(6), torch.ones(10, 4)
    assert pretext.nt_xent(own, 3 * own, 0.1) < 0.001 < 5 < pretext.nt_xent(own, own.roll(1, 0), 0.1)
    assert pretext.nt_xent(same, same).item() == pytest.approx(math.log(19))


@pytest.mark.parametrize("a, b, temperature, why", [
    ((4, 3), (5, 3), 0.2, "two tensors"),
    ((1, 3), (1, 3), 0.2, "N > 1"),
    ((4,), (4,), 0.2, "two tensors"),
    ((4, 3), (4, 3), 0.0, "temperature=0.0 must be above 0"),
    ((4, 3), (4, 3), float("nan"), "temperature=nan must be above 0"),
])  # fmt: skip
def test_nt_xent_refuses_what_it_cannot_compare(a, b, temperature, why):
    with pytest.raises(ValueError, match=why):
        pretext.nt_xent(torch.rand(a), torch.rand(b), temperature)


def test_views_are_pictures_and_two_of_the_same_picture_differ():
    torch.manual_seed(0)
    one, two = pretext.views(PICTURES), pretext.views(PICTURES)
    assert one.shape == PICTURES.shape and one.dtype == torch.float32
    assert one.min() >= 0 and one.max() <= 1
    assert ((one - two).abs().mean((1, 2, 3)) > 0.02).all()


def test_as_many_views_are_grey_as_the_setting_says(monkeypatch):
    monkeypatch.setattr(pretext, "GREY", 1.0)
    monkeypatch.setattr(pretext, "LIGHT", 0.0)
    x = pretext.views(PICTURES)
    assert torch.allclose(x[:, 0], x[:, 1], atol=1e-5) and torch.allclose(x[:, 0], x[:, 2], atol=1e-5)
    monkeypatch.setattr(pretext, "GREY", 0.0)
    assert (pretext.views(PICTURES).std(1).amax((1, 2)) > 0.02).all()


def test_training_is_the_same_for_the_same_seed_and_leaves_the_random_numbers_alone(capsys):
    train = pretext.train_simclr
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    nets = [train(PICTURES, epochs=2, seed=1), train(PICTURES, epochs=2, seed=2)]
    assert torch.equal(torch.rand(3), expected)
    nets.append(train(PICTURES, epochs=2, seed=1, after_epoch=lambda epoch, task: torch.rand(3)))  # it may use random numbers
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][name], states[2][name]) for name in states[0])
    assert not torch.equal(states[0]["conv1.weight"], states[1]["conv1.weight"])
    assert not nets[0].training


def test_the_loss_falls_below_that_of_a_guess(capsys):
    """Eight pictures: a guess among fifteen other views costs log 15."""
    losses = []
    pretext.train_simclr(PICTURES, epochs=60, after_epoch=lambda epoch, task: losses.append(task.loss))
    assert len(losses) == 60 and sum(losses[-9:]) / 9 < 0.85 * 2.7


def test_training_that_diverges_stops_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(pretext, "PEAK_LR", 1e30)
    with pytest.raises(ValueError, match="diverged in epoch .*lower PEAK_LR"):
        pretext.train_simclr(PICTURES, epochs=20)


@pytest.mark.parametrize("images", [PICTURES[:1], PICTURES.float()])
def test_training_refuses_pictures_that_it_cannot_use(images):
    with pytest.raises(ValueError, match="images must be uint8"):
        pretext.train_simclr(images, epochs=1)


def test_what_main_writes_is_loaded_as_a_backbone_without_classes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(source, "render_source", lambda split, per_class, seed, **_: (PICTURES, None))
    source.main(["garden-simclr-small", "--epochs", "1", "--out", str(tmp_path / "garden-x.safetensors")])
    backbone = load_backbone(tmp_path / "garden-x.safetensors")
    assert backbone.classes == [] and backbone.size == 64 and backbone.mean == source.MEAN
    net = pretext.train_simclr(PICTURES, epochs=1)
    assert torch.equal(backbone.model.conv1.weight, net.conv1.weight.half().float())
    assert "epoch 1 of 1: mean loss" in capsys.readouterr().out


def test_main_refuses_a_source_that_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        source.main(["garden-simclear"])
    assert "there is no source 'garden-simclear'" in capsys.readouterr().err
