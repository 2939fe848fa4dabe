"""The small networks on which lab 1's checks try an answer, and what they look at."""

from functools import cache

import torch
from torch import nn

from helpers.lessons.flowers.findings import found
from helpers.lessons.probes import images
from helpers.notebook.checking import tensor
from helpers.sources.backbones import load_backbone
from helpers.sources.gardennet import GardenNet
from helpers.training.classifier import Classifier
from helpers.training.fitting import Fit


def network(classes: int = 7) -> GardenNet:
    """A small network of the source model's kind, which has seen images: its BatchNorm averages are its own."""
    torch.manual_seed(1)
    model = GardenNet(classes, width=8)
    with torch.no_grad():
        model(2 * images(8) + 1)
    return model


def with_frozen_body(classes: int = 4) -> GardenNet:
    """The same with everything frozen but the head, as freezing by hand leaves it."""
    model = network(classes).eval().requires_grad_(False)
    model.fc.requires_grad_(True)
    return model


def changes(model: nn.Module, before: dict) -> list[str]:
    """The names of the tensors that are others than before."""
    return [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]


def kept(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def same(a, b) -> bool:
    return isinstance(a, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)


def rows_in(new: torch.Tensor, old: torch.Tensor) -> bool:
    return any(torch.equal(row, other) for row in new for other in old)


def kind(value) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def listen(calls: list):
    def hook(module, inputs, logits):
        if logits.requires_grad:
            logits.register_hook(lambda gradient: calls.append("backward"))

    return hook


def stuck(calls: list):
    if "backward" not in calls:
        return found("no gradients", "the head did not move, and no gradients were computed")
    if "step" not in calls:
        return found("no step", "there are gradients, but the head did not move: the optimizer was never asked to step")
    if calls.index("step") < calls.index("backward"):
        return found("steps too early", "the optimizer stepped before there were gradients")
    return found("gradients thrown away", "gradients were computed, and none were left when the optimizer stepped")


class Witness(nn.Module):
    """Names four colours; notes what it is shown. Its BatchNorm works in training mode as anywhere."""

    def __init__(self):
        super().__init__()
        self.norm, self.seen, self.answers = nn.BatchNorm2d(3), [], []

    def forward(self, x):
        self.seen.append(x.detach())
        colour = self.norm(x.float()).mean((2, 3))  # raw pixels, too: what is wrong with them is said later
        logits = torch.stack([colour[:, 0], colour[:, 1], colour[:, 2], -colour.sum(1)], 1)
        self.answers.append(logits.detach().argmax(1))
        return logits


@cache
def source_model():
    return load_backbone("garden")


def sized(value) -> bool:
    return isinstance(value, (tuple, list))


def near(a: float, b: float, tolerance: float = 0.01) -> bool:
    return abs(a - b) <= tolerance * abs(b)


def namer(made):
    """A function of uint8 images that gives logits, from what a contestant returns."""
    made = made.classifier if isinstance(made, Fit) else made
    if isinstance(made, Classifier):
        return made.logits
    if isinstance(made, nn.Module):
        raise found("no preprocessing", f"your function returned a {type(made).__name__}, a bare network")
    if not callable(made):
        raise found("no classifier", f"your function returned {kind(made)}")
    return lambda images: tensor(torch.no_grad()(made)(images), "the logits").detach()
