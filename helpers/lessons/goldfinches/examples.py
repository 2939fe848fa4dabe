"""Small examples with known answers, on which lab 2's checks try what students write."""

import copy
from types import SimpleNamespace

import pandas
import torch

from helpers.freezing import freeze
from helpers.lessons.probes import images
from helpers.sources.gardennet import GardenNet


class PretendTask:
    """Stands in for a Task: knows only which draw of training images it is."""

    def __init__(self, seed: int = 0):
        self.seed, self.val, self.test = seed, [0] * 200, [0] * 400

    def draw(self, seed):
        return PretendTask(seed)


class PretendFit:
    """Stands in for fit: notes what it is asked for, and answers with numbers of its own for each run."""

    def __init__(self):
        self.calls = []

    def __call__(self, recipe, task, seed=0, **_):
        self.calls.append((recipe.name, task.seed, seed))
        end = 0.5 + 0.01 * len(self.calls)
        history = pandas.DataFrame({"step": [10, 20, 30], "val_accuracy": [0.2, end + 0.2, end], "val_loss": [1.3, 0.2, 0.4]})
        return SimpleNamespace(recipe=recipe, history=history, accuracy=end - 0.25, seed=seed, task=task)


def small_network():
    """A small GardenNet whose BatchNorm has seen images; all but the head is frozen."""
    torch.manual_seed(0)
    model = GardenNet(5, width=8)
    with torch.no_grad():
        model(images(16) * 2 + 1)
        model.fc.bias.copy_(torch.linspace(-1, 1, 5))
    return freeze(model, -1)


@torch.no_grad()
def feature_maps(model: GardenNet, pictures: torch.Tensor, train: bool) -> torch.Tensor:
    """The last feature maps (N, k, h, w) of a copy of the network, all of it in one mode."""
    model = copy.deepcopy(model)
    for module in model.modules():  # train() would leave what is frozen at rest
        module.training = train
    return torch.nn.Sequential(*list(model.children())[:-2])(pictures)


def overconfident(count: int = 300, sharpness: float = 3.0, seed: int = 0):
    """Logits (count, 4) that are too large by `sharpness`, and labels that are drawn with the probabilities before that."""
    dice = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(count, 4, generator=dice)
    labels = torch.multinomial(logits.softmax(1), 1, generator=dice)[:, 0]
    return sharpness * logits, labels
