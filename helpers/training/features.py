"""Run the frozen part of a model once and keep its output."""

import torch
from torch import nn

from helpers.images.augmentation import augment
from helpers.images.tasks import Split
from helpers.sources.backbones import Backbone

LARGEST_CACHE = 2_000_000_000  # bytes; beyond it features are computed anew in each step


def fixed_views(split: Split, views: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`views` augmented versions of each image: uint8 (views * N, 3, S, S) and labels int64 (views * N,).

    The same for the same seed; torch's own random numbers are left as they were.
    """
    pixels = split.pixels
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's alone: augment draws from no other
        images = pixels.new_empty(views, *pixels.shape)  # not a list of views: at 224 pixels they are gigabytes
        for view in images:
            view.copy_(augment(pixels))
    return images.flatten(0, 1), split.labels.repeat(views)


@torch.no_grad()
def extract(prefix: nn.Module, images: torch.Tensor, backbone: Backbone, batch_size: int = 100) -> torch.Tensor:
    """The prefix's output for uint8 images (N, 3, S, S): float32 (N, ...), computed in evaluation mode.

    It is computed, and stays, on the device on which the prefix is.
    """
    device = next(prefix.parameters()).device
    training = prefix.training
    prefix.eval()
    parts = [prefix(backbone.normalise(batch.to(device))) for batch in images.split(batch_size)]
    prefix.train(training)
    return torch.cat(parts)


def worth_caching(prefix: nn.Module, images: torch.Tensor, count: int, backbone: Backbone) -> bool:
    """Whether the prefix has something to compute, and its output for `count` images like these can be kept."""
    if next(prefix.parameters(), None) is None:
        return False
    return count * extract(prefix, images[:1], backbone).nbytes <= LARGEST_CACHE
