"""The learning rate range test: let the rate grow step by step and watch the loss (Smith, 2017)."""

import math

import pandas
import torch

from helpers.freezing import freeze, parameter_groups
from helpers.heads import swap_head
from helpers.images.augmentation import augment
from helpers.images.tasks import Task
from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.devices import seeded
from helpers.training.fitting import source_of
from helpers.training.recipes import Recipe

STOP = 4  # times the lowest loss: beyond it nothing more is learnt from going on


def range_test(
    recipe: Recipe, task: Task, *, low: float = 1e-5, high: float = 1.0, steps: int = 80, seed: int = 0
) -> pandas.DataFrame:
    """Train for `steps` steps while the rate grows from `low` to `high` by a constant factor: a row a step, lr and loss.

    Source, what is frozen, decay, batch size and augmentation are the recipe's. "smooth" is a running average of the
    loss; the test ends early once that is above four times its lowest. The network is thrown away.
    Raises ValueError unless 0 < low < high and steps >= 10.
    Source: Smith, Cyclical learning rates for training neural networks, 2017.
    """
    if not (0 < low < high and steps >= 10):
        raise ValueError(f"need 0 < low < high and steps >= 10, got {low=}, {high=}, {steps=}")
    with seeded(seed):
        backbone = source_of(recipe)
        model = freeze(swap_head(backbone.model, len(task.classes)).train(), recipe.upto)
        optimizer = torch.optim.AdamW(parameter_groups(model, low, recipe.decay, recipe.weight_decay))
        growth, rows, smooth, lowest = (high / low) ** (1 / (steps - 1)), [], 0.0, math.inf
        for step in range(steps):
            images, labels = task.train[torch.randperm(len(task.train))[: recipe.batch_size]]
            images = backbone.normalise(augment(images) if recipe.augment else images)
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            smooth = 0.8 * smooth + 0.2 * loss.item()
            rows.append({"lr": low * growth**step, "loss": loss.item(), "smooth": smooth / (1 - 0.8 ** (step + 1))})
            lowest = min(lowest, rows[-1]["smooth"])
            if not rows[-1]["smooth"] < STOP * lowest:  # not a number, too
                break
            for group in optimizer.param_groups:
                group["lr"] *= growth
    return pandas.DataFrame(rows)


@styled
def plot_range_test(tests: dict[str, pandas.DataFrame]):
    """Loss against learning rate, both as they were and smoothed, a line for each test."""
    figure, ((axis,),) = new_axes(1, 1, (7.5, 3.6))
    for (name, table), colour, dashes in zip(tests.items(), COLOURS, ("-", "--", "-."), strict=False):
        axis.plot(table.lr, table.loss, ".", color=colour, alpha=0.35, markersize=5)
        axis.plot(table.lr, table.smooth, dashes, color=colour, label=name)
    top = max(table.smooth.iloc[0] for table in tests.values())
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss", ylim=(0, 2 * top))
    axis.legend(fontsize=10)
    return figure
