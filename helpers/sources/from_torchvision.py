"""Source models of torchvision: its weights, fetched and kept by torchvision itself, with its preprocessing and classes."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import urlparse

import torch
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from helpers.data.downloads import Offline, megabytes
from helpers.data.downloads import offline as is_offline
from helpers.heads import drop_auxiliary_heads
from helpers.sources.architectures import new_model
from helpers.sources.base import FORBIDDEN, Backbone, check_known, not_here


def load_torchvision(name: str, weights: str | None = "DEFAULT", offline: bool | None = None) -> Backbone:
    """A classifier of torchvision by its name there; with weights=None a random one."""
    known = get_model_weights(name)
    check_known(weights, [*known.__members__, None], f"weights of {name!r}")
    chosen = known[weights or "DEFAULT"]
    if weights is None:
        return with_preset(name, name, new_model(name), chosen, [], None)
    model = drop_auxiliary_heads(_trained(name, chosen, offline))
    if not chosen.meta["categories"]:
        _fill_gaps(model, f"{name} with the weights {chosen.name}")
    return with_preset(name, name, model, chosen, chosen.meta["categories"] or [], chosen.name)


def with_preset(name: str, arch: str, model: nn.Module, like: WeightsEnum, classes: list[str], weights: str | None,
                size: int | None = None) -> Backbone:  # fmt: skip
    """The model with the preprocessing of torchvision's weights `like`; at another size if you give one."""
    preset = like.transforms()
    if size not in (None, *preset.crop_size):
        preset = like.transforms(crop_size=size, resize_size=size)
    mean, std, (size,) = tuple(preset.mean), tuple(preset.std), preset.crop_size
    return Backbone(name, model, list(classes), preset, mean, std, size, weights, arch)


def _trained(name: str, weights: WeightsEnum, offline: bool | None) -> nn.Module:
    """Torchvision's model with these weights, from its own folder or fetched into it; their hash is checked then."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    is_here = file.is_file()
    if not is_here and is_offline(offline):
        raise _offline(weights, file, FORBIDDEN)
    try:
        with _weights_only():
            return get_model(name, weights=weights)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        if not is_here and not file.is_file():  # the download itself went wrong
            if isinstance(error, RuntimeError):
                raise ValueError(f"{weights} came with wrong bytes, which were not kept: {error}. Try again") from None
            raise _offline(weights, file, f"cannot be fetched now ({error})") from None
        why = "it is damaged, or holds objects that would run code" if isinstance(error, UnpicklingError) else error
        raise ValueError(f"{file} cannot be read ({why}): delete it, to download it again") from None


def _offline(weights: WeightsEnum, file: Path, why: str) -> Offline:
    size = weights.meta.get("_file_size")  # in units of 2**20 bytes
    what = f"{weights}, torchvision's weights ({megabytes(size and size * 2**20)}),"
    return not_here(what, why, f"save {weights.url} as {file}")


@contextmanager
def _weights_only() -> Iterator[None]:
    """Torchvision loads weights as pickles that may run code; with this variable, torch refuses to run any."""
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before


def _fill_gaps(model: nn.Module, name: str) -> None:
    """Initialise layers without values (NaN): by its description, vgg16's IMAGENET1K_FEATURES has such layers."""
    empty = [path for path, module in model.named_modules() if hasattr(module, "reset_parameters")
             and any(not p.isfinite().all() for p in module.parameters(recurse=False))]  # fmt: skip
    for path in empty:
        model.get_submodule(path).reset_parameters()
    if empty:
        warnings.warn(f"{name} has no values for {', '.join(empty)}: they are random, and have to be trained", stacklevel=4)
