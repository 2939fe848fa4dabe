"""Read a checkpoint without running code in it, and put its tensors into a network that they fit; or say what differs."""

import json
import os
import re
from argparse import Namespace
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from helpers.sources.architectures import like

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of googlenet and inception_v3 that only help to train them
# Where training scripts put a state_dict in a larger file, and what they put before the names of its tensors.
_WITHIN = ("state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model", "net", "network", "weights")
_HARMLESS = [  # values that training scripts keep beside the tensors: numbers, settings and paths, which run nothing
    np.dtype, *{type(np.dtype(kind)) for kind in "?bhilqBHILQefdU"}, np.float64(0).__reduce__()[0], Namespace, PosixPath,
]  # fmt: skip
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # before torchvision 0.4, as in CheXNet
_NOT_WEIGHTS = {  # how files begin that are often saved under the name of a checkpoint
    b"version https://git-lfs.github.com/": "a pointer of Git LFS, not the weights themselves: run `git lfs pull`",
    b"<": "a web page (a login, or an error message) instead of the weights: download it again",
    b"\x89HDF": "an HDF5 file, as Keras writes them: only weights of PyTorch can be loaded",
    b"\x1f\x8b": "a compressed file (gzip): unpack it first",
}


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, which cannot hold code.

    Raises FileNotFoundError, and ValueError if the file is damaged.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not an intact safetensors file ({error})") from error


def claims(about: dict[str, str]) -> tuple[list[str], int, tuple[float, ...], tuple[float, ...]]:
    """Classes, pixels a side, mean and std as the metadata of our files give them; ValueError or KeyError where they do not."""
    classes, mean, std = (json.loads(about[name]) for name in ("classes", "mean", "std"))
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"its classes are {classes!r}, and not a list of names")
    if not 1 <= (size := int(about["size"])) <= 10_000:
        raise ValueError(f"its size is {size} pixels a side")
    for name, numbers, least in (("mean", mean, -1000), ("std", std, 0.001)):
        right = isinstance(numbers, list) and all(isinstance(one, (int, float)) and least <= one <= 1000 for one in numbers)
        if not right or len(numbers) != 3:
            raise ValueError(f"its {name} is {numbers!r}, and not one number a colour")
    return classes, size, tuple(mean), tuple(std)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in a file, by name, and the metadata that a safetensors file may have.

    A state_dict within a larger file (of Lightning, of a training script) is found, and what DataParallel, torch.compile
    and the like put before all names is removed. Nothing in the file is run: safetensors can hold no code, and of
    pickles only tensors are accepted.
    Raises FileNotFoundError, and ValueError for any other file; the message says what it seems to be.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
    with open(path, "rb") as file:
        start = file.read(512)
    if what := next((text for begin, text in _NOT_WEIGHTS.items() if start.lstrip().startswith(begin)), ""):
        raise ValueError(f"{path} is refused: it is {what}")
    if path.suffix == ".safetensors" or start[8:9] == b"{":  # whatever its name says
        state, about = read_safetensors(path)
        return _without_prefix(state), about
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # anything may be raised, and torch's own message says how to run the code
        raise ValueError(
            f"{path} is refused: it is damaged, or holds objects that would run code when loaded{_objects(path)}. Only "
            "tensors are accepted: save them alone, torch.save(model.state_dict(), path), in the program that wrote it"
        ) from None
    inner = [content[key] for key in _WITHIN if key in content] if isinstance(content, dict) else []
    for candidate in [content, *inner]:
        if _is_state_dict(candidate):
            return _without_prefix(candidate), {}
    keys = f" with {', '.join(map(str, [*content][:5]))}" if isinstance(content, dict) else ""
    raise ValueError(f"{path} holds a {type(content).__name__}{keys}, not the state_dict of a model")


def fill(model: nn.Module, state: dict[str, Tensor], path: str | Path, arch: str) -> nn.Module:
    """Copy the tensors of `state` into the model, in its own precision; in place, and returns the model.

    Raises ValueError before anything is copied, if a tensor is missing, left over or of another shape, does not hold
    floating-point numbers where the model does, or is not finite; the message says which, and what may help.
    """
    own = model.state_dict()
    given = {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}
    differences = {
        # what BatchNorm counts its batches with is missing in files from before 2018, and nothing needs it
        "missing": [name for name in own if name not in given and not name.endswith(".num_batches_tracked")],
        "left over": [name for name in given if name not in own],
        "of another shape": [f"{name} {tuple(given[name].shape)} where {tuple(own[name].shape)} is expected"
                             for name in own if name in given and own[name].shape != given[name].shape],
    }  # fmt: skip
    if any(differences.values()):
        counts = "; ".join(f"{len(names)} {what}: {few(names)}" for what, names in differences.items() if names)
        hint = f". It has as many parameters as {' or '.join(others)}" if (others := like(given)) else ""
        raise ValueError(f"{path} does not hold the tensors of a {arch}: {counts}{hint}")
    shared = [name for name in own if name in given]
    if odd := [name for name in shared if own[name].is_floating_point() != given[name].is_floating_point()]:
        raise ValueError(f"{path} is refused: {few(odd)} hold numbers of another type than those of a {arch}. If the weights "
                         "are quantised, save the network as it was before")  # fmt: skip
    ready = {name: given[name].to(own[name].dtype) for name in shared}
    if spoilt := [name for name, tensor in ready.items() if tensor.is_floating_point() and not tensor.isfinite().all()]:
        raise ValueError(f"{path} is refused: {few(spoilt)} hold values that are not finite (NaN or infinite). The training "
                         "diverged: take an earlier checkpoint")  # fmt: skip
    with torch.no_grad():
        for name, tensor in ready.items():
            own[name].copy_(tensor)
    return model


def _is_state_dict(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and all(
        isinstance(tensor, Tensor) and isinstance(name, str) for name, tensor in content.items()
    )  # fmt: skip


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what all their names begin with, if it is one of the usual prefixes; old DenseNets by today's names."""
    state = {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    while prefix := next((p for p in _PREFIXES if state and all(name.startswith(p) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _objects(path: Path) -> str:
    """The classes that a pickle asks for, such as " (torchvision.models.resnet.ResNet)"; they are read, not run."""
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        names = sorted(found, key=lambda name: (name.startswith(("torch.", "_", "builtins.", "collections.")), name))
    except Exception:  # a damaged file
        return ""
    return f" ({few(names)})" if names else ""
