"""Read a checkpoint without running code in it, and put its tensors into a network that they fit; or say what differs."""

import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from helpers.data.files import is_page
from helpers.sources.architectures import AUXILIARY, OWN, counters, fitting, lacking_head

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "state_dict_ema", "model_ema", "ema", "weights")
_WRITTEN_BY = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}


def read_checkpoint(path: Path, arch: str | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in a file, by name, and the metadata that a .safetensors file may have.

    Nothing in the file is run: safetensors can hold no code, and of pickles only tensors are accepted.
    arch: the architecture that is expected, for the advice in messages.
    Raises FileNotFoundError, and ValueError for whatever else the file is; it says what that seems to be, and what
    to do about it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if what := _something_else(path):
        raise ValueError(f"{path} is refused: it is {what}")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # anything may be raised, and torch's own message says how to run the code
        raise ValueError(
            f"{path} is refused: it is damaged, or holds objects that would run code when loaded{_objects(path)}. Only a "
            "state_dict is accepted, as written by torch.save(model.state_dict(), path)"
        ) from None
    if _is_state_dict(content):
        return dict(content), {}
    keys = f" with {', '.join(map(str, [*content][:5]))}" if isinstance(content, dict) else ""
    message = f"{path} holds a {type(content).__name__}{keys}, not the state_dict of a model"
    for key in _WRAPPERS if isinstance(content, dict) else ():
        if _is_state_dict(content.get(key)) and content[key]:
            lightning = "It is a checkpoint of Lightning. " if "pytorch-lightning_version" in content else ""
            raise ValueError(f"{message}. {lightning}{_advice(path, content[key], arch, key)}")
    raise ValueError(message)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, which cannot hold code.

    Raises FileNotFoundError, and ValueError if the file is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not an intact safetensors file ({error})") from error


def fill(model: nn.Module, state: dict[str, Tensor], path: str | Path, arch: str) -> nn.Module:
    """Copy the tensors of `state` into the model, in its own precision; in place, and returns the model.

    Raises ValueError before anything is copied, if a tensor is missing, left over, of another shape, no floating-point
    numbers where the model has such, or not finite; it says which, and what would help.
    """
    own = model.state_dict()
    given = {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}
    shared = own.keys() & given.keys()
    differences = [
        ("missing", [_shown(name, own[name]) for name in own if name not in given and name not in counters(own)]),
        ("left over", [_shown(name, given[name]) for name in given if name not in own]),
        ("of another shape", [f"{_shown(name, given[name])} where {tuple(own[name].shape)} is wanted"
                              for name in own if name in shared and own[name].shape != given[name].shape]),
    ]  # fmt: skip
    if any(names for _, names in differences):
        counts = "; ".join(f"{_tensors(names)} {what}: {_few(names)}" for what, names in differences if names)
        raise ValueError(f"{path} does not hold a {arch}: {counts}. {_advice(path, given, arch)}".rstrip())
    integer = [_shown(name, given[name]) for name in own if name in shared
               and own[name].is_floating_point() != given[name].is_floating_point()]  # fmt: skip
    if integer:
        raise ValueError(
            f"{path} is refused: its numbers are of another kind than those of a {arch}, in {_few(integer)}. It may be "
            "quantised: save the network as it was before"
        )
    ready = {name: given[name].to(own[name].dtype) for name in own if name in shared}
    spoilt = [name for name, tensor in ready.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if spoilt:
        raise ValueError(
            f"{path} is refused: it holds values that are no number (NaN) or infinite, in {_few(spoilt)}. The training that "
            "wrote it has diverged: take an earlier checkpoint"
        )
    with torch.no_grad():
        for name, tensor in ready.items():
            own[name].copy_(tensor)
    return model


def _is_state_dict(content) -> bool:
    return isinstance(content, dict) and all(isinstance(t, Tensor) and isinstance(n, str) for n, t in content.items())


def _shown(name: str, tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {tensor.dtype}"
    return f"{name} {tuple(tensor.shape)}{kind}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _tensors(names: list[str]) -> str:
    return f"{len(names)} tensor{'s are' if len(names) > 1 else ' is'}"


def _something_else(path: Path) -> str:
    """What a file that is no checkpoint is, and what to do; "" if it may be one. Only its beginning is looked at."""
    with open(path, "rb") as file:
        start = file.read(512)
    of_torch = start.startswith(b"PK") and zipfile.is_zipfile(path)
    names = zipfile.ZipFile(path).namelist() if of_torch else []
    of_torch = any(name.endswith("/data.pkl") or name == "data.pkl" for name in names)
    safetensors = start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    if not start:
        return "empty: download it again"
    if start.startswith(b"version https://git-lfs.github.com/"):
        return "a pointer of Git LFS, not the weights themselves: fetch them with `git lfs pull`, or download the file alone"
    if is_page(start):
        return "a web page (a login, or an error message), saved in place of the weights: download it again"
    if start.startswith(b"\x89HDF"):
        return "an HDF5 file, as Keras writes them: only weights of PyTorch can be loaded"
    if start.startswith(b"\x1f\x8b"):
        return "a compressed file (gzip): unpack it first"
    if names and not of_torch:
        return f"a zip archive with {_few(names)}: unpack it, and give the file of weights in it"
    if any("/code/" in name for name in names):
        return "a TorchScript program, which is code: save the network's state_dict() in its place"
    if of_torch and path.suffix == ".safetensors":
        return "a file of torch.save: rename it to end in .pt"
    if safetensors and path.suffix != ".safetensors":
        return "a safetensors file: rename it to end in .safetensors"
    return ""


def _objects(path: Path) -> str:
    """The classes that a pickle asks for, such as " (torchvision.models.resnet.ResNet)"; they are read, not run."""
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        names = sorted(found, key=lambda name: (name.startswith(("torch.", "_", "builtins.", "collections.")), name))
    except Exception:  # a damaged file
        return ""
    return f" ({_few(names)})" if names else ""


def _advice(path: str | Path, state: dict[str, Tensor], arch: str | None, key: str | None = None) -> str:
    """What would make the tensors fit, if it can be told; "" if not.

    key: where in the file they are. Code in it does what it says: tests run it.
    """
    if arch in OWN:  # they come with the course, and are made by it
        return ""
    for prefix in ("", *_prefixes(state)):
        inner = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        if not (fits := fitting(inner, arch or "resnet18")):
            continue
        head = lacking_head(fits, inner)
        if not (prefix or key or head):
            return f"Its tensors are those of a {fits}: say arch={fits!r}"
        by = next((f" (of {by})" for start, by in _WRITTEN_BY.items() if start in prefix), "")
        begin = f"Its tensors are {f'under {key!r}, ' if key else ''}those of a {fits}"
        begin += f", if {prefix!r}{by} is taken off their names" if prefix else ""
        begin += ", without its head: here it gets one of zeros, to be swapped" if head else ""
        return f"{begin}:\n{_code(path, key, prefix, fits, head)}"
    return f"Its tensors are under {key!r}" if key else ""


def _prefixes(state: dict[str, Tensor]) -> list[str]:
    """What most names begin with: "module.", "module.backbone.", ...; the shortest first."""
    found, names = [], list(state)
    while names:
        starts = [name[: name.index(".") + 1] for name in names if "." in name]
        if not starts:
            break
        most = max(starts, key=starts.count)
        found.append((found[-1] if found else "") + most)
        names = [name.removeprefix(most) for name in names if name.startswith(most)]
    return found[:4]


def _code(path: str | Path, key: str | None, prefix: str, arch: str, head: dict[str, tuple]) -> str:
    path = Path(path)
    safe = path.suffix == ".safetensors"
    read = (f"safetensors.torch.load_file({str(path)!r})" if safe
            else f"torch.load({str(path)!r}, map_location='cpu', weights_only=True)")  # fmt: skip
    taken = (f"{{name.removeprefix({prefix!r}): tensor for name, tensor in state.items() if name.startswith({prefix!r})}}"
             if prefix else "state")  # fmt: skip
    added = "".join(f"    state[{prefix + name!r}] = torch.zeros{shape}\n" for name, shape in head.items())
    plain = str(path.with_name(f"{path.stem}-plain.pt"))
    return (
        f"    import torch{', safetensors.torch' if safe else ''}\n"
        f"    state = {read}{f'[{key!r}]' if key else ''}\n"
        f"{added}"
        f"    torch.save({taken}, {plain!r})\n"
        f"    load_backbone({plain!r}, arch={arch!r})"
    )
