"""What lab 1's checks try an answer on, and how they look at it."""

from pathlib import Path

import torch
from torch import nn

from helpers.lessons.probes import images
from helpers.notebook.findings import hints, kind_of, tensor
from helpers.training.classifier import Classifier
from helpers.training.fitting import Fit

found = hints(Path(__file__).with_name("hints.toml"))


class Network(nn.Module):
    """A small network whose last layers are called as those of efficientnet_lite0. Its BatchNorm has seen images."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.conv_stem, self.bn1 = nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8)
        self.conv_head, self.bn2 = nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12)
        self.classifier = nn.Linear(12, classes)

    def forward(self, x):
        x = self.bn1(self.conv_stem(x)).relu()
        return self.classifier(self.bn2(self.conv_head(x)).relu().mean((2, 3)))


def network(classes: int = 4, trains: tuple[str, ...] = ()) -> Network:
    """The same weights each time, in training mode; with `trains` in evaluation mode, everything else frozen."""
    torch.manual_seed(1)
    model = Network(classes)
    with torch.no_grad():
        model(2 * images(8) + 1)
    if trains:
        model.eval().requires_grad_(False)
        for name in trains:
            model.get_submodule(name).requires_grad_(True)
    return model


def as_logits(made):
    """A function from uint8 images to logits, made from what a contestant returns."""
    made = made.classifier if isinstance(made, Fit) else made
    if isinstance(made, Classifier):
        return made.logits
    if isinstance(made, nn.Module):
        raise found("no preprocessing", f"your function returned {kind_of(made)}, a bare network")
    if not callable(made):
        raise found("no classifier", f"your function returned {kind_of(made)}")
    return lambda images: tensor(torch.no_grad()(made)(images), "the logits").detach()
