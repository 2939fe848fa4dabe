"""The small networks on which lab 4's checks try answers, and what they compare."""

from pathlib import Path

import torch
from torch import nn
from torchvision.transforms import v2

from helpers.lessons.probes import images, logits_of, lost, recognise, same, some
from helpers.notebook.findings import a_model, hints, number, tensor
from helpers.sources.backbones import Backbone
from helpers.sources.gardennet import GardenNet

found = hints(Path(__file__).with_name("hints.toml"))
TRAINED = ("layer4.", "fc.")  # what trains in two of the rooms


def network(classes: int = 4) -> GardenNet:
    """A small network whose BatchNorm has seen images and whose head tells them apart, in training mode."""
    torch.manual_seed(0)
    model = GardenNet(classes, width=8)
    with torch.no_grad():
        for _ in range(3):
            model(pictures(16))
        weight = model.fc.weight
        weight.copy_(20 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))
    return model


class NormAct(nn.BatchNorm2d):
    """A BatchNorm of a class of its own, as timm has them."""


def fine_tuned() -> GardenNet:
    """`network` with dropout in layer4 and two classes of BatchNorm; layer4 and the head have requires_grad."""
    model = network()
    model.layer4.append(nn.Dropout(0.5))
    model.layer2[0].bn1.__class__ = NormAct
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(TRAINED)
    return model


def layers_of(model: nn.Module, kind: type) -> set[str]:
    """The names of the modules of a class."""
    return {name for name, module in model.named_modules() if isinstance(module, kind)}


def pictures(count: int) -> torch.Tensor:
    """float32 (count, 3, 32, 32), each with a brightness of its own: batches of them differ in their statistics."""
    return images(count) * torch.linspace(0.3, 3, count).view(-1, 1, 1, 1) + torch.linspace(-2, 2, count).view(-1, 1, 1, 1)


def new_layer(result, old: nn.Module, classes: int) -> nn.Module:
    """The network that an answer returned, if it has a new head on the old backbone."""
    model = a_model(result)
    logits_of(model, classes)
    if not isinstance(getattr(model, "fc", None), nn.Module):
        stacked = any(same(value, old.fc.weight) for value in model.state_dict().values())
        raise found("old head inside" if stacked else "no fc", f"the network is a {type(model).__name__} without a layer fc")
    if differing := lost(model, old.state_dict()):
        raise found("backbone lost", f"not as before: {some(differing)}")
    if any(len(parameter) == len(old.fc.weight) and parameter.ndim < 3 for parameter in model.fc.parameters()):
        raise found("old head inside", f"a layer with the {len(old.fc.weight)} old outputs is still in the head")
    rows = [value for value in model.fc.parameters() if value.ndim == 2 and value.shape[1] == old.fc.weight.shape[1]]
    if rows and torch.isin(rows[0][0], old.fc.weight).all():
        raise found("old rows kept", "the new head's weights are weights of the old head")
    return model


def answered(sizes, hits) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches (logits, labels) of these sizes for four classes, with this many correct answers each."""
    batches = []
    for size, right in zip(sizes, hits, strict=True):
        logits = torch.randn(size, 4, generator=torch.Generator().manual_seed(size))
        labels = logits.argmax(1)
        labels[right:] = (labels[right:] + 1) % 4
        batches.append((logits, labels))
    return batches


def three_backbones() -> tuple[dict[str, Backbone], torch.Tensor]:
    """Backbones that differ in their mean and std, and pixels for them. Two have names that the lab uses, to find answers
    that recognise a variant by its name."""
    pixels = torch.randint(256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    common = {"classes": [], "size": 32, "weights": None}
    statistics = {
        "garden-small": ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)),
        "garden-petals": ((0.3, 0.45, 0.6), (0.3, 0.2, 0.25)),
        "another": ((0.1, 0.2, 0.3), (0.4, 0.3, 0.2)),
    }
    made = {}
    for name, (mean, std) in statistics.items():
        transforms = v2.Compose([v2.Resize(32), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
        made[name] = Backbone(name, nn.Identity(), transforms=transforms, mean=mean, std=std, **common)
    return made, pixels


def compare_inputs(backbones: dict[str, Backbone], pixels, inputs: dict, few: dict) -> None:
    """Raise a Finding for a variant whose inputs are not the pixels, normalised for it; few: those of two images."""
    for name, backbone in backbones.items():
        wanted, got = backbone.normalise(pixels), tensor(inputs[name], f"the images for {name!r}")
        others = [other.normalise(pixels) for other in backbones.values()]
        if _close(got, wanted):
            continue
        if any(_close(got, raw) for raw in (pixels, pixels.float() / 255)):
            raise found("raw pixels", f"{name!r} gets pixels as they are, from {got.min():.0f} to {got.max():.0f}")
        if got.shape == wanted.shape and not _close(got[:2], few[name]):
            raise found("the batch's own statistics", f"for {name!r} a picture looks different when fewer are in its batch")
        if any(_close(got, other) for other in others) or _close(_standard(got), _standard(wanted)):
            raise found("another's statistics", f"{name!r} gets images that were normalised for another network")
        raise found("other images", f"{name!r} gets a different picture: {tuple(got.shape)}, perhaps cropped or turned")


def _standard(x) -> torch.Tensor:
    """Each channel with mean 0 and std 1: the same for all ways to normalise the same pixels."""
    x = x.float()
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True) if x.ndim == 4 else x


def _close(a, b) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-4)


def compare_rates(rates: torch.Tensor, own: torch.Tensor) -> None:
    """Raise a Finding if the learning rates (steps, groups) do not rise to each group's own (groups,) and fall again."""
    peaks = rates.max(0).values
    given, shown = (", ".join(f"{rate:.2g}" for rate in values.tolist()) for values in (own, peaks))
    if (peaks / peaks[0] - 1).abs().max() < 1e-3:
        raise found("rates overwritten", f"the groups were given {given}; their highest learning rates are {shown}")
    if torch.allclose(rates, rates[0], rtol=1e-4):
        raise found("no cycle", f"the learning rates stay at {shown} for all {len(rates)} steps")
    if not torch.allclose(peaks, own, rtol=0.05):
        swapped = torch.allclose(peaks.sort().values, own.sort().values, rtol=0.05)
        kind = "rates swapped" if swapped else "another peak"
        raise found(kind, f"the groups were given {given}; their highest learning rates are {shown}")
    first, last = (f"{(rates[step] / own).max():.0%}" for step in (0, -1))
    if (rates[0] > 0.5 * own).any():
        raise found("no cycle", f"the first step already uses {first} of a group's own learning rate")
    if (rates[-1] > 0.1 * own).any():
        raise found("does not come down", f"the last step still uses {last} of a group's own learning rate")


def compare_pooled(share: float, sizes, hits) -> None:
    """Raise a Finding if `share` is not that of sum(hits) of sum(sizes) images, in batches of these sizes."""
    right, count, each = sum(hits), sum(sizes), list(zip(hits, sizes, strict=True))
    full = [(good, size) for good, size in each if size == max(sizes)]
    seen = f"{share:.4f} for {right} correct answers of {count}, in batches of {', '.join(map(str, sizes))}"
    mistakes = [
        ("mean of batch accuracies", sum(good / size for good, size in each) / len(each)),
        ("images left out", sum(good for good, _ in full) / sum(size for _, size in full)),
        ("wrong divisor", right / (len(each) * max(sizes))),
        ("wrong divisor", right / len(each)),
    ]
    recognise(found, share, mistakes, seen)
    if abs(number(share, "the accuracy", 0, 1) - right / count) > 1e-5:
        raise found("another share", seen)


def compare_share(share: float, right: torch.Tensor) -> None:
    """Raise a Finding if `share` is not the share of correct answers, bool (N,)."""
    right = right.double()
    wanted = right.mean().item()
    if abs(share - wanted) < 1e-5:
        return
    seen = f"{share:.4f} is returned, {wanted:.4f} of the {len(right)} test images are classified correctly"
    means = [torch.stack([batch.mean() for batch in right.split(size)]).mean() for size in (16, 32, 50, 64)]
    recognise(found, share, [("mean of batch accuracies", mean) for mean in means], seen, atol=1e-5)
    raise found("another accuracy", seen)
