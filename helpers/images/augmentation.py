"""Augmentation of a whole batch at once, with parameters of its own for each image.

torchvision's v2 transforms draw one set of parameters per call, so a batch needs a loop over its images. Here
the same three steps (random resized crop, horizontal flip, colour jitter) are one resampling and one matrix
product a batch: faster than the loop on a CPU at this course's sizes, and a handful of kernels on a GPU.
Tests compare both steps with torchvision's.
"""

from functools import cache

import torch
from torch.nn.functional import grid_sample

LARGEST = 30_000_000  # values that are floating point at once: 120 MB, several times over
GREY = (0.2989, 0.587, 0.114)  # ITU-R BT.601 luma, as in torchvision and Pillow


def augment(images, *, scale=(0.5, 1.0), flip=0.5, jitter=0.2, chosen=None, where=None) -> torch.Tensor:
    """Random views of a batch (N, 3, H, W): same shape, dtype and device; `images` itself is left alone.

    images: uint8, or floating point in 0..1, so before it is normalised.
    scale: the share of the area that a crop keeps, from .. to; its aspect ratio varies by up to 4:3.
    flip: how often left and right are swapped (0..1). A pose to be predicted would need swapping too: use 0.
    jitter: brightness, contrast and saturation each change by a factor within 1 - jitter .. 1 + jitter.
    chosen: what `choose` has drawn, float32 (8, N); by default drawn here. where: the device to compute on, a part at a time.
    All randomness is torch's global CPU generator's: `torch.manual_seed` fixes it, alike on every device.
    Raises ValueError or TypeError for images of another shape, type or range, and settings out of range.
    """
    _check(images, scale, flip, jitter)
    count, top, device = len(images), 1.0 if images.is_floating_point() else 255.0, where or images.device
    chosen = (choose(count, scale, flip, jitter) if chosen is None else chosen).to(device, non_blocking=device.type == "cuda")

    views = torch.empty_like(images, memory_format=torch.contiguous_format)
    step = max(1, LARGEST * count // max(1, images.numel()))
    for rows in (slice(start, start + step) for start in range(0, count, step)):
        corner, size, mirror, factors = chosen[:, rows].split((2, 2, 1, 3))
        pixels = resample(images[rows].to(device).float(), corner, size, mirror[0] > 0)
        pixels = recolour(pixels, *factors).clamp_(0, top)
        views[rows] = (pixels if images.is_floating_point() else pixels.round_()).to(images.dtype)
    return views


def choose(count: int, scale=(0.5, 1.0), flip=0.5, jitter=0.2) -> torch.Tensor:
    """What `augment` draws for that many images: float32 (8, count), rows for corner, size, mirror and the factors of colour."""
    area = torch.empty(count).uniform_(*scale)
    ratio = torch.empty(count).uniform_(-1, 1).mul(torch.log(torch.tensor(4 / 3))).exp()
    ratio = torch.minimum(torch.maximum(ratio, area), 1 / area)  # so that both sides fit into the picture
    size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()])  # width and height, as shares
    corner = torch.rand(2, count) * (1 - size)  # left and top, as shares
    mirror = torch.rand(1, count) < flip
    factors = torch.empty(3, count).uniform_(1 - jitter, 1 + jitter)
    return torch.cat([corner, size, mirror, factors])


def resample(images, corner, size, mirror) -> torch.Tensor:
    """Cut one box out of each image of float (N, 3, H, W) and enlarge it to (H, W), bilinearly.

    corner, size: (2, N), x then y, as shares of the sides. mirror: bool (N,). Boxes are only ever enlarged:
    it needs no antialiasing.
    """
    count, _, height, width = images.shape
    where = images.new_empty(count, height, width, 2)  # in grid_sample's units: -1 and 1 are the outer edges
    for axis, steps in enumerate((width, height)):
        middle = (torch.arange(steps, device=images.device) * 2 + 1) / steps - 1  # of each pixel
        stretch = torch.where(mirror, -size[0], size[0]) if axis == 0 else size[1]
        line = stretch[:, None] * middle + (2 * corner[axis] + size[axis] - 1)[:, None]
        where[..., axis] = line[:, None, :] if axis == 0 else line[:, :, None]
    if images.device.type == "mps":  # lacks padding_mode="border" in some versions of torch
        return sample_within(images, where)
    return grid_sample(images, where, mode="bilinear", padding_mode="border", align_corners=False)


def sample_within(images, where) -> torch.Tensor:
    """As grid_sample with padding_mode="border", to rounding: no place (N, H, W, 2) is beyond the outer pixels' middles."""
    sides = where.new_tensor(images.shape[:1:-1])
    where = torch.minimum(torch.maximum(where, 1 / sides - 1), 1 - 1 / sides)
    return grid_sample(images, where, mode="bilinear", padding_mode="zeros", align_corners=False)


def recolour(images, brightness, contrast, saturation) -> torch.Tensor:
    """Adjust brightness, then contrast, then saturation of float (N, 3, H, W) by factors (N,).

    They blend an image with black, with its mean grey and with its own grey version: together a 3x3 matrix
    and an offset per image. Nothing is clamped.
    """
    grey = _grey(images.device)
    brightness, contrast, saturation = (f[:, None, None] for f in (brightness, contrast, saturation))
    flat = images.flatten(2)
    mix = saturation * torch.eye(3, device=images.device) + (1 - saturation) * grey
    mean_grey = (flat.mean(2) @ grey)[:, None, None]
    offset = (1 - contrast) * brightness * mean_grey
    return torch.baddbmm(offset.expand(-1, 3, 1), brightness * contrast * mix, flat).view_as(images)


@cache
def _grey(device: torch.device) -> torch.Tensor:
    return torch.tensor(GREY, device=device)  # copied once: a copy in every step makes a GPU wait


def _check(images, scale, flip, jitter) -> None:
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a tensor (N, 3, H, W), not {type(images).__name__}")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be (N, 3, H, W), not {tuple(images.shape)}; one image: images[None]")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(f"images must be uint8 or floating point, not {images.dtype}")
    if images.is_floating_point() and not ((images >= 0) & (images <= 1)).all():
        raise ValueError("floating-point images must lie in 0..1: augment first, then normalise")
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale={scale!r} must be (smallest, largest) share of the area, within 0..1")
    if not 0 <= flip <= 1 or not 0 <= jitter <= 1:
        raise ValueError(f"flip={flip!r} and jitter={jitter!r} must lie in 0..1")
