"""Small examples with known answers, on which lab 2's checks try what students write."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pandas
import torch

from helpers.freezing import freeze
from helpers.lessons.probes import network
from helpers.notebook.findings import hints
from helpers.sources.gardennet import GardenNet

found = hints(Path(__file__).with_name("hints.toml"))


class PretendTask:
    """Stands in for a Task: knows only which draw of training images it is."""

    def __init__(self, seed: int = 0):
        self.seed, self.val, self.test = seed, [0] * 200, [0] * 400

    def draw(self, seed):
        return PretendTask(seed)


class PretendFit:
    """Stands in for fit: records what it is asked for, and answers with different numbers for each run."""

    def __init__(self):
        self.calls = []

    def __call__(self, recipe, task, seed=0, **_):
        self.calls.append((recipe.name, task.seed, seed))
        end = 0.5 + 0.01 * len(self.calls)
        history = pandas.DataFrame({"step": [10, 20, 30], "val_accuracy": [0.2, end + 0.2, end], "val_loss": [1.3, 0.2, 0.4]})
        return SimpleNamespace(recipe=recipe, history=history, accuracy=end - 0.25, seed=seed, task=task)


def small_network() -> GardenNet:
    """A small network for five classes whose biases differ; all but the head is frozen."""
    model = network(5)
    with torch.no_grad():
        model.fc.bias.copy_(torch.linspace(-1, 1, 5))
    return freeze(model, -1)


@torch.no_grad()
def feature_maps(model: GardenNet, pictures: torch.Tensor, train: bool) -> torch.Tensor:
    """The last feature maps (N, k, h, w) of a copy of the network, all of it in one mode."""
    model = copy.deepcopy(model)
    for module in model.modules():  # train() would leave the frozen part in evaluation mode
        module.training = train
    return torch.nn.Sequential(*list(model.children())[:-2])(pictures)


def overconfident(count: int = 300, sharpness: float = 3.0, seed: int = 0):
    """Logits (count, 4) that are too large by `sharpness`, and labels drawn with the probabilities before that."""
    rng = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(count, 4, generator=rng)
    labels = torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]
    return sharpness * logits, labels
