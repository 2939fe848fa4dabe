"""Save only what was trained of a model, and put it back onto a fresh source model."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from helpers.freezing import held_modules
from helpers.heads import find_head, swap_head
from helpers.sources.checkpoints import read_safetensors

FORMAT = "transfer-learning-course trained 1"


def save_trained(model: nn.Module, path: str | Path) -> None:
    """Write what was trained, as safetensors: kilobytes for the head of a resnet18, which takes 45 MB.

    Trained are the parameters that require a gradient, and the buffers (running statistics) of modules that
    `freeze` does not hold. Of the frozen tensors the file keeps fingerprints, to tell the source model from
    others.
    Raises ValueError if no parameter requires a gradient.
    """
    state = model.state_dict()
    trained = _trained(model)
    about = {
        "format": FORMAT,
        "head": find_head(model),
        "modules": json.dumps(_modules(model)),
        "frozen": json.dumps({name: _fingerprint(state[name]) for name in sorted(state.keys() - trained)}),
    }
    save_file({name: state[name].cpu().clone().contiguous() for name in sorted(trained)}, path, about)


def load_trained(model: nn.Module, path: str | Path) -> nn.Module:
    """Put what save_trained wrote onto a fresh copy of the source model; in place, and returns the model.

    The head is swapped if the saved one is for other classes. Every tensor then equals that of the saved
    model.
    Raises FileNotFoundError if there is no such file, and ValueError if it is not from save_trained or
    belongs to another source model; the message names the tensors that differ.
    """
    tensors, about = read_safetensors(path)
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} is not from save_trained: its metadata do not say '{FORMAT}'")
    head, modules, frozen = about["head"], json.loads(about["modules"]), json.loads(about["frozen"])
    state = model.state_dict()
    differing = {name for name in frozen if name not in state or _fingerprint(state[name]) != frozen[name]}
    differing |= {name for name in _misfits(tensors, state) if not name.startswith(f"{head}.")}
    _refuse(path, model, differing)  # before anything changes
    weight = tensors.get(f"{head}.weight")
    if weight is not None and (_modules(model) != modules or _misfits({f"{head}.weight": weight}, state)):
        swap_head(model, len(weight), head=head)
        state = model.state_dict()
    unknown = state.keys() - tensors.keys() - frozen.keys()
    others = {name for name, _ in modules.items() ^ _modules(model).items()}
    _refuse(path, model, unknown | others | _misfits(tensors, state))
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)
    return model


def _trained(model: nn.Module) -> set[str]:
    parameters = {name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}
    if not parameters:
        raise ValueError("no parameter of this model requires a gradient: freeze it as it was trained")
    held = held_modules(model)
    buffers = {name for name, _ in model.named_buffers() if _owner(model, name) not in held}
    return parameters | (buffers & model.state_dict().keys())


def _owner(model: nn.Module, name: str) -> nn.Module:
    return model.get_submodule(name.rpartition(".")[0])


def _modules(model: nn.Module) -> dict[str, str]:
    return {name: type(module).__name__ for name, module in model.named_modules()}


def _fingerprint(tensor: Tensor) -> str:
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(raw).hexdigest()[:16]}"


def _misfits(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> set[str]:
    """The names of tensors that have no counterpart of the same shape and type in `state`."""
    kind = lambda tensor: tensor is not None and (tensor.shape, tensor.dtype)
    return {name for name, tensor in tensors.items() if kind(state.get(name)) != kind(tensor)}


def _refuse(path: str | Path, model: nn.Module, differing: set[str]) -> None:
    if differing:
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise ValueError(
            f"{path} belongs to another source model than this {type(model).__name__}. Missing or different: "
            f"{', '.join(sorted(differing)[:5])}{more}"
        )
