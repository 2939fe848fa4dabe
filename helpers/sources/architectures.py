"""Random networks by the name of their architecture, and the architecture that some tensors belong to."""

import re
from functools import cache

import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.models import get_model, list_models

from helpers.heads import drop_auxiliary_heads
from helpers.sources.gardennet import GardenNet, GardenViT

OWN = ["GardenNet", "GardenViT"]  # the architectures of the sources that come with the course
TORCHVISION = list_models(module=torchvision.models)
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of googlenet and inception_v3 that only help to train them


def new_model(arch: str, **settings) -> nn.Module:
    """A random model; settings are those of its class or builder, such as num_classes or a ViT's image_size."""
    if arch == "GardenNet":
        return GardenNet(**settings)
    if arch == "GardenViT":
        return GardenViT(**settings)
    if arch in ("googlenet", "inception_v3"):
        # With their weights they expect the usual preprocessing; how they initialise, they warn about.
        settings |= {"transform_input": True, "init_weights": True}
    return drop_auxiliary_heads(get_model(arch, weights=None, **settings))


def image_size(arch: str, state: dict[str, Tensor]) -> dict[str, int]:
    """{"image_size": S} if these are the tensors of a ViT of torchvision (it has as many positions as patches), else {}."""
    positions = tuple(getattr(state.get("encoder.pos_embedding"), "shape", ()))
    if not arch.startswith("vit_") or len(positions) != 3:
        return {}
    across = round((positions[1] - 1) ** 0.5)  # one position is the class token's
    return {"image_size": across * int(arch.rpartition("_")[2])} if across**2 == positions[1] - 1 else {}


def fitting(state: dict[str, Tensor], near: str = "resnet18") -> str | None:
    """The classifier of torchvision whose tensors these are, for whatever number of classes or without its head; those
    like `near` are tried first. None if there is none."""
    given = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.startswith(AUXILIARY)}
    family = {name: re.match("[a-z]+", name).group() for name in TORCHVISION}
    hopeless = set()
    for arch in sorted(TORCHVISION, key=lambda name: (family[name] != family.get(near), name)):
        if family[arch] in hopeless:
            continue
        own = _shapes(arch, **image_size(arch, state))
        if next(iter(own)) not in given:  # in a family all begin alike
            hopeless.add(family[arch])
        elif own.keys() - given.keys() <= counters(own) | lacking_head(arch, state).keys() and given.keys() <= own.keys():
            differing = [name for name in given if own[name] != given[name]]
            if all(own[name][:1] == (1000,) and own[name][1:] == given[name][1:] for name in differing):
                return arch
    return None


def lacking_head(arch: str, state) -> dict[str, tuple]:
    """{name: shape} of what `state` lacks of such a model's output layer; torchvision's have 1,000 classes."""
    own = _shapes(arch, **image_size(arch, state))
    return {name: shape for name, shape in own.items() if name not in state and shape[0:1] == (1000,)}


@cache
def _shapes(arch: str, **settings) -> dict[str, tuple]:
    """{name: shape} of the tensors of such a model."""
    with _Shapes():
        return {name: tuple(tensor.shape) for name, tensor in new_model(arch, **settings).state_dict().items()}


def counters(names) -> set[str]:
    """Those that BatchNorm only counts its batches with: checkpoints from before 2018 lack them, and nothing needs them."""
    return {name for name in names if name.endswith(".num_batches_tracked")}


class _Shapes(TorchFunctionMode):
    """Networks that are made in here have shapes but no values: no memory, and no time to draw random numbers."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        written = args[0] if args else kwargs.get("tensor")  # as torch.nn.init calls it
        name = getattr(function, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if in_place and isinstance(written, Tensor) and written.is_meta:
            return written
        return function(*args, **kwargs)
