"""Source models from a checkpoint: its tensors, and the preprocessing and classes that it or its architecture tells."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.transforms import v2

from helpers.heads import find_head
from helpers.sources.architectures import OWN, TORCHVISION, image_size, like, new_model
from helpers.sources.base import Backbone, check_known
from helpers.sources.checkpoints import AUXILIARY, claims, few, fill, read_checkpoint
from helpers.sources.from_torchvision import with_preset


def load_file(path: Path, weights: str | None = "DEFAULT", arch: str | None = None) -> Backbone:
    """The network in a file; with weights=None a random one of the same architecture.

    arch: the architecture, where the file does not name it. A file without a head gets one whose weights are zero.
    """
    state, about = read_checkpoint(path)
    arch = arch or about.get("arch")
    if arch is None:
        seems = like(state) or ["resnet18"]
        hint = f" (it has as many parameters as {' or '.join(seems)})" if like(state) else ""
        raise ValueError(f"{path} does not name its architecture{hint}. Say load_backbone(path, arch={seems[0]!r})")
    if arch in OWN and "mean" not in about:
        raise ValueError(f"{path} lacks the metadata of a {arch}: mean, std, size and, if it has any, classes")
    check_known(arch, [*OWN, *TORCHVISION], f"architecture (arch) of {path}")
    try:
        classes, size, mean, std = claims({"classes": "[]"} | about) if "mean" in about else ([], None, None, None)
        outputs = int(about.get("num_classes", 1))
    except (KeyError, ValueError) as error:
        raise ValueError(f"the metadata of {path} make no sense: {error}") from error
    origin, model = str(path), _filled(arch, state, path, None if classes else outputs)
    if weights is None:
        outputs = len(model.get_submodule(find_head(model)).weight)
        model, classes, origin = new_model(arch, num_classes=outputs, **image_size(arch, state)), [], None
    if "mean" not in about:
        known = get_model_weights(arch)
        size = image_size(arch, state).get("image_size")
        entry = next((entry for entry in known if [size] == entry.transforms().crop_size), known["DEFAULT"])
        return with_preset(str(path), arch, model, entry, classes, origin, size)
    return Backbone(str(path), model, classes, evaluation(mean, std, size), mean, std, size, origin, arch)


def evaluation(mean, std, size: int) -> v2.Compose:
    """The usual preprocessing: PIL image or uint8 (3, H, W) -> float32 (3, size, size)."""
    resize, crop = v2.Resize(size, antialias=True), v2.CenterCrop(size)
    return v2.Compose([v2.PILToTensor(), resize, crop, v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def _filled(arch: str, state: dict[str, Tensor], path: Path, headless: int | None) -> nn.Module:
    """A model with the tensors of `state`, in its own precision; it has as many classes as the head in there.

    A file without a head gets one of `headless` outputs, whose weights are zero until the head is swapped; None: it must
    have one.
    """
    settings = image_size(arch, state)
    model = new_model(arch, **settings)
    head = find_head(model)
    first = {name.partition(".")[0] for name in state}
    if not state.keys() & model.state_dict().keys() and len(first) == 1:  # this network is a part of a larger one, by that name
        state = {name.removeprefix(f"{min(first)}."): tensor for name, tensor in state.items()}
    if headless and f"{head}.weight" not in state:
        model = new_model(arch, num_classes=headless, **settings)
        foreign = [name for name in state if name not in model.state_dict() and not name.startswith(AUXILIARY)]
        body = {name for name in model.state_dict() if not name.startswith(f"{head}.")}
        if foreign and all(name in state or name.endswith(".num_batches_tracked") for name in body):
            warnings.warn(f"{path} has another head than a {arch}: {few(foreign)} are left out", stacklevel=4)
            state = {name: tensor for name, tensor in state.items() if name not in foreign}
        of_head = model.get_submodule(head).state_dict(prefix=f"{head}.")
        fill(model, state | {name: torch.zeros_like(tensor) for name, tensor in of_head.items()}, path, arch)
        if arch not in OWN:
            warnings.warn(f"{path} holds no head: its {arch} gets one of zeros; swap_head before you train it", stacklevel=4)
        return model
    weight = state.get(f"{head}.weight")
    if weight is not None and weight.ndim and len(weight) != len(model.get_parameter(f"{head}.weight")):
        model = new_model(arch, num_classes=len(weight), **settings)
    return fill(model, state, path, arch)
