"""Run the frozen part of a model once and keep its output, standardised for a head that trains alone."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from helpers.heads import find_head, mode
from helpers.images.augmentation import augment
from helpers.images.splits import Split, at_a_time, batches_of
from helpers.sources.backbones import Backbone
from helpers.training.devices import seeded

TINY = 1e-8  # a channel whose variance is below this share of the average counts as constant
LARGEST_CACHE = 2_000_000_000  # bytes; beyond it features are computed again in each step


def fixed_views(split: Split, views: int, seed: int, where: torch.device | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """`views` augmented versions of each image: uint8 (views * N, 3, S, S) and labels int64 (views * N,), on the CPU.

    Computed on the device `where`, by default the CPU. The same for the same seed, on a GPU up to one grey level; torch's own
    random numbers are left as they were.
    """
    pixels = split.pixels
    with seeded(seed):
        images = pixels.new_empty(views, *pixels.shape)  # not a list of views: at 224 pixels they are gigabytes
        for view in images:
            view.copy_(augment(pixels, where=where))
    return images.flatten(0, 1), split.labels.repeat(views)


@torch.no_grad()
def extract(prefix: nn.Module, images: torch.Tensor | Split, backbone: Backbone, batch_size: int = 100) -> torch.Tensor:
    """The prefix's output for uint8 images (N, 3, S, S), or a split of them: float32 (N, ...), computed in evaluation mode.

    It is computed, and stays, on the device on which the prefix is. Of a split, one batch at a time is copied.
    """
    device = next(prefix.parameters()).device
    batches = batches_of(images, at_a_time(images, batch_size, device))
    with mode(prefix, training=False):
        return torch.cat([prefix(backbone.normalise(batch.to(device))) for batch in batches])


def worth_caching(prefix: nn.Module, images: torch.Tensor | Split, count: int, backbone: Backbone) -> bool:
    """Whether the prefix has something to compute, and its output for `count` images like these can be kept."""
    if next(prefix.parameters(), None) is None:
        return False
    return count * extract(prefix, next(batches_of(images, 1)), backbone).nbytes <= LARGEST_CACHE


def lone_head(model: nn.Module) -> nn.Module | None:
    """The head, if it alone trains and is a Linear or 1x1 Conv2d layer, whose input can be standardised; else None."""
    head = model.get_submodule(find_head(model))
    training = {parameter for parameter in model.parameters() if parameter.requires_grad}
    if not training or not training <= set(head.parameters()):
        return None
    if isinstance(head, nn.Conv2d) and (head.kernel_size != (1, 1) or head.padding != (0, 0) or head.groups != 1):
        return None
    return head


@contextmanager
def standardised(model: nn.Module, forward: Callable, batches: Iterable[torch.Tensor]) -> Iterator[None]:
    """Within this context, a head that trains alone (see `lone_head`) gets its input standardised: each channel less its
    mean, over its standard deviation. Where more than the head trains, this changes nothing.

    The moments are those of the head's input while `forward` maps the `batches` to logits, in evaluation mode. The mean
    variance of all channels is added to each channel's own, so that a channel that hardly varies in training is not blown
    up. At the end all this is folded into the head's weight and bias: it is a plain layer again with the same outputs (up to
    rounding). Constant channels get the weight 0. A head without a bias cannot absorb a mean: its input is only scaled.

    Pretrained networks differ in the scale of their features by orders of magnitude, and so would the learning rate that
    suits the head. Source: LeCun et al., Efficient BackProp, 1998, section 4.3.
    """
    if (head := lone_head(model)) is None:
        yield
        return
    with mode(model, training=False):
        mean, scale = _moments(head, forward, batches)
    hook = head.register_forward_pre_hook(lambda _, inputs: _standardise(head, inputs[0], mean, scale))
    try:
        yield
    finally:
        hook.remove()
        _fold(head, mean, scale)


def _standardise(head: nn.Module, x: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    shape = (-1, 1, 1) if isinstance(head, nn.Conv2d) else (-1,)
    mean, scale = (values.to(x.device, x.dtype).view(shape) for values in (mean, scale))
    return (x - mean) * scale


@torch.no_grad()
def _moments(head: nn.Module, forward: Callable, batches: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of each channel that enters the head, and what it is multiplied by: float64 on the CPU."""
    seen = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    count, mean, squares = 0, 0.0, 0.0
    try:
        for batch in batches:
            forward(batch)
            x = seen.pop().float()
            x = (x.movedim(1, -1) if isinstance(head, nn.Conv2d) else x).flatten(0, -2)
            more, own = len(x), x.mean(0)
            own, own_squares = own.cpu().double(), (x - own).square().sum(0).cpu().double()
            squares = squares + own_squares + (own - mean) ** 2 * count * more / (count + more)
            mean = mean + (own - mean) * more / (count + more)
            count += more
    finally:
        hook.remove()
    variance = squares / count
    if head.bias is None:
        mean, variance = torch.zeros_like(mean), variance + mean**2
    scale = torch.where(variance > TINY * variance.mean(), (variance + variance.mean()).rsqrt(), 0.0)
    return mean, scale


@torch.no_grad()
def _fold(head: nn.Module, mean: torch.Tensor, scale: torch.Tensor) -> None:
    weight = head.weight.detach().cpu().double().flatten(1) * scale
    if head.bias is not None:
        head.bias.copy_(head.bias.detach().cpu().double() - weight @ mean)
    head.weight.copy_(weight.view_as(head.weight))
