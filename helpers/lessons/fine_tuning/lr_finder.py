"""A learning rate finder: increase the rate step by step and watch the loss (the range test of Smith, 2017)."""

import math

import pandas
import torch

from helpers.freezing import parameter_groups
from helpers.heads import swap_head
from helpers.images.augmentation import augment
from helpers.images.tasks import Task
from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.devices import device, seeded
from helpers.training.fitting import for_task, prepare, source_of
from helpers.training.recipes import Recipe
from helpers.training.steps import training_steps

STOP = 4  # the test ends when the smoothed loss exceeds this many times its lowest value


def range_test(
    recipe: Recipe, task: Task, *, low: float = 1e-5, high: float = 1.0, steps: int = 80, seed: int = 0
) -> pandas.DataFrame:
    """Train for `steps` steps while the learning rate grows from `low` to `high` by a constant factor.

    Source model, frozen stages, decay, batch size and augmentation are the recipe's. Returns a row per step: lr, loss and
    smooth, a running average of the loss. The test ends early once that exceeds four times its lowest value. The network
    is thrown away.
    Raises ValueError unless 0 < low < high and steps >= 10.
    Source: Smith, Cyclical learning rates for training neural networks, 2017.
    """
    if not (0 < low < high and steps >= 10):
        raise ValueError(f"need 0 < low < high and steps >= 10, got {low=}, {high=}, {steps=}")
    with seeded(seed):
        recipe = for_task(recipe, task)
        backbone = source_of(recipe)
        model = prepare(swap_head(backbone.model, len(task.classes)).to(device()), recipe, task, backbone)

        def loss_of_a_batch(_):
            images, labels = task.train[torch.randperm(len(task.train))[: recipe.batch_size]]
            images, labels = images.to(device()), labels.to(device())
            images = backbone.normalise(augment(images) if recipe.augment else images)
            return torch.nn.functional.cross_entropy(model(images), labels)

        optimizer = torch.optim.AdamW(parameter_groups(model, low, recipe.decay, recipe.weight_decay))
        growth, rows, smooth, lowest = (high / low) ** (1 / (steps - 1)), [], 0.0, math.inf
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, growth)
        for step, loss in enumerate(training_steps(range(steps), loss_of_a_batch, optimizer, schedule)):
            smooth = 0.8 * smooth + 0.2 * loss.item()
            rows.append({"lr": low * growth**step, "loss": loss.item(), "smooth": smooth / (1 - 0.8 ** (step + 1))})
            lowest = min(lowest, rows[-1]["smooth"])
            if not rows[-1]["smooth"] < STOP * lowest:  # NaN stops it, too
                break
    return pandas.DataFrame(rows)


@styled
def plot_range_test(tests: dict[str, pandas.DataFrame]):
    """Training loss against learning rate, as points and smoothed, a line for each test."""
    figure, ((axis,),) = new_axes(1, 1, (7.5, 3.6))
    for (name, table), colour, dashes in zip(tests.items(), COLOURS, ("-", "--", "-."), strict=False):
        axis.plot(table.lr, table.loss, ".", color=colour, alpha=0.35, markersize=5)
        axis.plot(table.lr, table.smooth, dashes, color=colour, label=name)
    top = max(table.smooth.iloc[0] for table in tests.values())
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss", ylim=(0, 2 * top))
    axis.legend(fontsize=10)
    return figure
