"""The sources that come with the course: trained from code alone, reproducible, intact, and good at their own classes."""

import hashlib

import pytest
import torch
import train_sources as source

from helpers import GardenNet, load_backbone, render
from helpers.images.drawn.garden import class_names
from helpers.sources.shipping import SHIPPED, digests, shipped_sources

NAMES = ["rosette-a", "rosette-b", "solid-a", "material-a"]


@pytest.fixture
def small(monkeypatch):
    """Two images of each of four classes instead of hundreds of thousands, drawn in this process."""
    monkeypatch.setattr(source.garden, "class_names", lambda collection: NAMES)
    monkeypatch.setattr(source, "BATCH", 4)

    def drawn(split, per_class, seed=0, workers=None, *, classes=None, targets=False):
        classes = torch.arange(len(NAMES)) if classes is None else classes
        rows = torch.arange(len(classes)).repeat(per_class)
        images, about = render("source", classes[rows], torch.arange(len(rows)), split=split, seed=seed)
        pose = torch.deg2rad(about["pose"])
        return images, torch.stack([pose.sin(), pose.cos(), about["size"]], 1) if targets else rows

    monkeypatch.setattr(source, "render_source", drawn)


def make(path, *arguments, name="garden"):
    source.main([name, "--per-class", "2", "--epochs", "2", "--out", str(path), *arguments])
    return path.read_bytes()


def test_same_seed_makes_the_same_file_bitwise(small, tmp_path, capsys):
    first = make(tmp_path / "first.safetensors", "--seed", "3")
    torch.rand(5)
    assert make(tmp_path / "again.safetensors", "--seed", "3") == first
    digest = hashlib.sha256(first).hexdigest()
    assert capsys.readouterr().out.count(digest) == 2, "make weights tells the sha256 of what it wrote"
    assert make(tmp_path / "other.safetensors", "--seed", "4") != first


def test_every_small_source_has_the_same_budget():
    small = [plan for plan in source.PLANS.values() if plan.half and plan.learns != "views"]
    budgets = {(plan.per_class * len(plan.labels) // source.BATCH * plan.epochs, plan.epochs) for plan in small}
    assert len(small) == 4 and budgets == {(1496, 8)}
    assert all(abs(plan.per_class * len(plan.labels) - 24_000) < 100 for plan in small)


def test_sources_of_one_family_know_only_its_classes(small, tmp_path, capsys):
    make(tmp_path / "petals.safetensors", name="garden-petals")
    assert load_backbone(tmp_path / "petals.safetensors").classes == ["rosette-a", "rosette-b"]
    for name, family in (("garden-petals", "rosette"), ("garden-textures", "material")):
        assert {known.split("-")[0] for known in load_backbone(name).classes} == {family}
    assert load_backbone("garden-small").classes == load_backbone("garden").classes


def test_regression_source_has_no_classes_and_an_output_for_each_quantity(small, tmp_path, capsys):
    make(tmp_path / "regression.safetensors", name="garden-regression")
    backbone = load_backbone(tmp_path / "regression.safetensors")
    assert backbone.classes == [] and backbone.model.fc.out_features == len(source.REGRESSED) == 3
    assert load_backbone("garden-regression").classes == []


@pytest.mark.parametrize("regress, epochs, least", [(False, 30, 0.75), (True, 40, 0.5)])
def test_training_fits_the_images_it_sees(regress, epochs, least, small, capsys):
    """Eight images: most of them are classified correctly, or most of the variance is explained."""
    images, targets = source.render_source("train", 2, targets=regress)
    net = source.train_source(images, targets, epochs=epochs)
    assert not net.training and source.accuracy(net, images, targets) >= least


def test_shipped_regression_source_knows_the_size_in_held_out_images():
    backbone, labels = load_backbone("garden-regression"), torch.arange(300) * 8 // 3
    images, targets = render("source", labels, torch.arange(300), split="test")
    with torch.no_grad():
        size = backbone.model.eval()(backbone.normalise(images))[:, 2]
    assert torch.corrcoef(torch.stack([size, targets["size"]]))[0, 1] > 0.5


def test_mirrored_image_has_a_mirrored_pose():
    torch.manual_seed(0)
    images = torch.arange(40 * 3 * 4 * 4).view(40, 3, 4, 4).to(torch.uint8)
    targets = torch.rand(40, 3) + 0.5
    seen, values = source._mirrored(images, targets)
    flipped = values[:, 0] < 0
    assert 5 < flipped.sum() < 35
    assert torch.equal(seen[flipped], images[flipped].flip(3)) and torch.equal(seen[~flipped], images[~flipped])
    assert torch.equal(values[:, 1:], targets[:, 1:]) and torch.equal(values[:, 0].abs(), targets[:, 0])


def test_unknown_source_is_refused(capsys):
    for arguments, message in ((["gardn"], "there is no source 'gardn'"), (["all", "--out", "x"], "--out is for one source")):
        with pytest.raises(SystemExit):
            source.main(arguments)
        assert message in capsys.readouterr().err


def test_accuracy_counts_the_images_that_are_classified_correctly():
    class Brightest(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    images = torch.zeros(700, 3, 4, 4, dtype=torch.uint8)
    images[torch.arange(700), torch.arange(700) % 3] = 255
    assert source.accuracy(Brightest(), images, torch.arange(700) % 3) == 1.0
    assert source.accuracy(Brightest(), images, torch.zeros(700, dtype=torch.long)) == pytest.approx(234 / 700)


def test_reporting_after_each_epoch_does_not_change_the_training(small, capsys):
    images, labels = source.render_source("train", 2)
    alone = source.train_source(images, labels, epochs=2)
    seen = []
    watched = source.train_source(
        images, labels, epochs=2, after_epoch=lambda epoch, net: seen.append((epoch, torch.rand(3), net.eval()))
    )
    assert [epoch for epoch, *_ in seen] == [0, 1]
    assert all(torch.equal(a, b) for a, b in zip(alone.state_dict().values(), watched.state_dict().values(), strict=True))


def test_images_drawn_on_many_cores_are_those_of_render(monkeypatch, capsys):
    monkeypatch.setattr(source.garden, "class_names", lambda collection: NAMES)
    monkeypatch.setattr(source, "_PART", 5)
    images, labels = source.render_source("val", 3, seed=2, workers=1)
    assert labels.tolist() == [0, 1, 2, 3] * 3
    numbers = torch.arange(3).repeat_interleave(4)
    monkeypatch.undo()
    assert torch.equal(images, render("source", labels, numbers, split="val", seed=2)[0])


def test_training_that_diverges_stops_and_says_so(small, monkeypatch, capsys):
    monkeypatch.setattr(source, "PEAK_LR", 1e30)
    images, labels = source.render_source("train", 2)
    with pytest.raises(ValueError, match="diverged in epoch .*lower PEAK_LR"):
        source.train_source(images, labels, epochs=20)


@pytest.mark.parametrize("name", shipped_sources())
def test_shipped_file_is_small_and_the_one_that_was_measured(name):
    path = SHIPPED / f"{name}.safetensors"
    assert path.stat().st_size <= 6_000_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digests(SHIPPED / "SHA256SUMS")[name]


def test_saving_a_source_enters_its_digest_and_leaves_those_of_the_others(tmp_path):
    for classes, name in ((2, "garden-b"), (3, "garden-a"), (4, "garden-b")):
        digest = source.save_source(GardenNet(classes), tmp_path / f"{name}.safetensors", [])
        assert digests(tmp_path / "SHA256SUMS")[name] == digest
    assert [*digests(tmp_path / "SHA256SUMS")] == ["garden-a", "garden-b"]
    for line in (tmp_path / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


def test_half_precision_is_half_as_large_and_loads_in_full_precision(tmp_path):
    net = GardenNet(3)
    for half in (False, True):
        source.save_source(net, tmp_path / f"{half}.safetensors", ["a", "b", "c"], half=half)
    assert (tmp_path / "True.safetensors").stat().st_size < 0.55 * (tmp_path / "False.safetensors").stat().st_size
    loaded = load_backbone(tmp_path / "True.safetensors").model.state_dict()
    for name, tensor in net.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.allclose(loaded[name].float(), tensor.float(), atol=1e-3), name


def test_what_cannot_be_saved_is_refused(tmp_path):
    net = GardenNet(3)
    with pytest.raises(ValueError, match="2 class names for a network with 3 outputs"):
        source.save_source(net, tmp_path / "x.safetensors", ["a", "b"])
    net.fc.bias.data[0] = 1e6
    with pytest.raises(ValueError, match="fc.bias cannot be stored in float16"):
        source.save_source(net, tmp_path / "x.safetensors", [], half=True)


def test_shipped_model_classifies_held_out_images_far_better_than_chance():
    """Of 240 images that it never saw, at least half; chance is one in hundreds."""
    backbone = load_backbone("garden")
    assert backbone.classes == class_names("source") and len(backbone.classes) >= 100
    labels = torch.arange(240) * len(backbone.classes) // 240
    images, _ = render("source", labels, torch.arange(240), split="test")
    assert source.accuracy(backbone.model, images, labels) > 0.5
