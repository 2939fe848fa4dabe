"""The plain training loop, for what is trained outside of `fit`."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LRScheduler

from helpers.training.devices import seeded


def training_steps(
    batches: Iterable, loss_of: Callable, optimizer: torch.optim.Optimizer, schedule: LRScheduler | None = None
) -> Iterator[torch.Tensor]:
    """Train on each batch; yields its loss when the gradients are there and before the weights change.

    The body of a loop over it can therefore read or clip gradients; `break` or an exception leaves out the update.

    loss_of   maps a batch to its loss, a tensor with one element
    schedule  a learning rate scheduler that is stepped once per batch
    Modes and devices stay as they are.
    """
    for batch in batches:
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        yield loss.detach()
        optimizer.step()
        if schedule:
            schedule.step()


def take_steps(
    batches: Iterable, loss_of: Callable, optimizer: torch.optim.Optimizer, schedule: LRScheduler | None = None
) -> list[float]:
    """Train on each batch, as `training_steps` does, and return the losses."""
    return [loss.item() for loss in training_steps(batches, loss_of, optimizer, schedule)]


def fit_head(features: torch.Tensor, labels: torch.Tensor, classes: int, seed: int = 0, steps: int = 200) -> nn.Linear:
    """A linear layer fitted to features float32 (N, D) and labels int64 (N,): `steps` of AdamW on all of them at once.

    It is returned with requires_grad=False. torch's own random numbers are left as they were.
    """
    with seeded(seed):
        head = nn.Linear(features.shape[1], classes)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.05)
    take_steps(range(steps), lambda _: F.cross_entropy(head(features), labels), optimizer)
    return head.requires_grad_(False)
