"""What every source model is handed out as: a network with its preprocessing and its classes."""

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from helpers.data.downloads import Offline
from helpers.heads import mode

USUAL_SIZES = (32, 64, 96, 128, 160, 192, 224, 256, 299, 384)  # pixels a side, of which an error names those that work
FORBIDDEN = "must not be fetched: offline=True or COURSE_OFFLINE forbids it"


@dataclass
class Backbone:
    """A source model and what belongs to it.

    name        "garden" or another source that comes with the course, "efficientnet_lite0", "resnet18", "timm:...", or the
                path of a checkpoint
    model       the network with the head that it had on the source; without auxiliary heads
    classes     the names of the source classes, in the order of the logits; [] if unknown or none (a source that was
                trained without labels, or to regress)
    transforms  PIL image or uint8 (3, H, W) -> float32 (3, S, S), as the source model was evaluated
    mean, std   of the three channels, for pixels from 0 to 1
    size        S, the native width and height in pixels
    weights     "IMAGENET1K_V1", "garden", "efficientnet_lite0", the path of a checkpoint, or None for random ones
    arch        the architecture: load_backbone(arch, weights=None) makes a random network like it ("GardenNet", "resnet18",
                "timm:..."); "" for a network of your own
    """

    name: str
    model: nn.Module
    classes: list[str]
    transforms: Callable
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    weights: str | None
    arch: str = ""

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> float32 (N, 3, H, W) for the model, on the device of the images."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
        mean, std = _constants(tuple(self.mean), tuple(self.std), images.device)
        return (images.float() / 255 - mean) / std


@cache
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor([mean, std], device=device).view(2, 3, 1, 1)  # copied once: a copy in every step makes a GPU wait


def check_size(backbone: Backbone, size: int) -> None:
    """Raises ValueError, before anything is trained, if the network cannot take images of this size; it says which it takes."""
    if (why := _refusal(backbone.model, size)) is None:
        return
    taken = [other for other in sorted({*USUAL_SIZES, backbone.size}) if _refusal(backbone.model, other) is None]
    raise ValueError(
        f"{backbone.name!r} cannot take images of {size} x {size} pixels ({why}). Of the usual sizes it takes "
        f"{', '.join(map(str, taken))}: open_task(..., size={backbone.size}) is what it was trained on"
    )


@torch.no_grad()
def _refusal(model: nn.Module, size: int) -> str | None:
    """Why the model cannot take one image of this size, or None if it can."""
    example = next(model.parameters())
    try:
        with mode(model, training=False):
            model(torch.zeros(1, 3, size, size, device=example.device, dtype=example.dtype))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        return str(error).split("\n")[0][:120] or type(error).__name__
    return None


def missing(package: str, what: str) -> ModuleNotFoundError:
    """The error to raise for a package that is not installed: how to install it, and which sources work without it."""
    return ModuleNotFoundError(
        f"{what} needs the package {package}, which is not installed here: run `pip install {package}`. Or without it: "
        "load_backbone('garden'), which comes with the course, or load_backbone('resnet18'), which is downloaded once",
        name=package,
    )


def not_here(what: str, why: str, by_hand: str) -> Offline:
    """The error for weights that are not on this machine: why they are not fetched, and how to get them by hand."""
    return Offline(
        f"{what} are not on this machine, and {why}. By hand: {by_hand}. Or without a network: load_backbone('garden'), the "
        "source model that comes with the course"
    )


def check_known(name: str | None, known: Collection[str | None], what: str) -> None:
    """Raises ValueError for a name that is not among the known ones; the message suggests similar ones."""
    if name not in known:
        near = difflib.get_close_matches(str(name), map(str, known), n=3) or list(known)[:8]
        raise ValueError(f"unknown {what}: {name!r}. Did you mean {' or '.join(map(repr, near))}?")
