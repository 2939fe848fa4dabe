"""What lab 1's checks try an answer on, and how they look at it."""

from functools import cache
from pathlib import Path

import torch
from torch import nn

from helpers.lessons.probes import network
from helpers.notebook.findings import hints, kind_of, tensor
from helpers.sources.backbones import load_backbone
from helpers.sources.gardennet import GardenNet
from helpers.training.classifier import Classifier
from helpers.training.fitting import Fit

found = hints(Path(__file__).with_name("hints.toml"))


def with_frozen_body(classes: int = 4) -> GardenNet:
    """A small network with everything frozen but the head, as freezing by hand leaves it."""
    model = network(classes).eval().requires_grad_(False)
    model.fc.requires_grad_(True)
    return model


@cache
def source_model():
    return load_backbone("garden")


class Calls:
    """Records in which order a network's loss is differentiated and its optimizer steps."""

    def __init__(self, model, optimizer):
        self.made = []
        model.register_forward_hook(self._listen)
        optimizer.register_step_pre_hook(lambda *_: self.made.append("step"))

    def _listen(self, module, inputs, logits):
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.made.append("backward"))

    def why_stuck(self):
        """The finding about a training step that did not move the head."""
        if "backward" not in self.made:
            return found("no gradients", "the head did not change, and no gradients were computed")
        if "step" not in self.made:
            return found("no step", "there are gradients, but the head did not change: optimizer.step() was never called")
        if self.made.index("step") < self.made.index("backward"):
            return found("steps too early", "the optimizer stepped before there were gradients")
        return found("gradients thrown away", "gradients were computed, but none were left when the optimizer stepped")


class Witness(nn.Module):
    """Classifies four colours and records its inputs and answers. Its BatchNorm has the usual two modes."""

    def __init__(self):
        super().__init__()
        self.norm, self.seen, self.answers = nn.BatchNorm2d(3), [], []

    def forward(self, x):
        self.seen.append(x.detach())
        colour = self.norm(x.float()).mean((2, 3))  # also of raw pixels: the check reports those later
        logits = torch.stack([colour[:, 0], colour[:, 1], colour[:, 2], -colour.sum(1)], 1)
        self.answers.append(logits.detach().argmax(1))
        return logits


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
