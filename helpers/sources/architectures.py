"""Randomly initialised networks by the name of their architecture, and what a file of tensors tells about it."""

import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models

from helpers.heads import drop_auxiliary_heads
from helpers.sources.gardennet import GardenNet, GardenViT

OWN = ["GardenNet", "GardenViT"]  # the architectures of the sources that come with the course
TORCHVISION = list_models(module=torchvision.models)


def new_model(arch: str, **settings) -> nn.Module:
    """A random model; settings are those of its class or builder, such as num_classes or a ViT's image_size."""
    if arch in OWN:
        return {"GardenNet": GardenNet, "GardenViT": GardenViT}[arch](**settings)
    if arch in ("googlenet", "inception_v3"):
        # Their weights expect the usual preprocessing; without init_weights they warn about how they initialise.
        settings |= {"transform_input": True, "init_weights": True}
    return drop_auxiliary_heads(get_model(arch, weights=None, **settings))


def image_size(arch: str, state: dict[str, Tensor]) -> dict[str, int]:
    """{"image_size": S} if these are the tensors of a ViT of torchvision (it has one position a patch), else {}."""
    positions = tuple(getattr(state.get("encoder.pos_embedding"), "shape", ()))
    if not arch.startswith("vit_") or len(positions) != 3:
        return {}
    across = round((positions[1] - 1) ** 0.5)  # one position is the class token's
    return {"image_size": across * int(arch.rpartition("_")[2])} if across**2 == positions[1] - 1 else {}


def like(state: dict[str, Tensor]) -> list[str]:
    """The classifiers of torchvision with as many parameters as these tensors have, apart from the number of classes."""
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    sizes = [tensor.numel() for name, tensor in state.items() if tensor.is_floating_point() and not name.endswith(buffers)]
    matrices = [tensor for tensor in state.values() if tensor.ndim >= 2]
    if not matrices:
        return []
    of_head = 1 + matrices[-1][0].numel()  # for one class: its weights and its bias
    wanted = sum(sizes) + (1000 - len(matrices[-1])) * of_head
    return [name for name in TORCHVISION if get_model_weights(name)["DEFAULT"].meta["num_params"] == wanted]
