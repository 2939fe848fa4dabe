"""Load a source model by name, together with the preprocessing and the classes that it was trained with."""

import difflib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models
from torchvision.transforms import v2

from helpers.gardennet import GardenNet
from helpers.heads import drop_auxiliary_heads, find_head
from helpers.saving import read_safetensors
from helpers.weightfiles import download

SHIPPED = Path(__file__).parent / "data"  # garden.safetensors, garden-small.safetensors, ... and their SHA256SUMS
OWN = ["GardenNet", "GardenViT"]  # the architectures of the sources that come with the course


@dataclass
class Backbone:
    """A source model and what belongs to it.

    name        "garden" or another source that comes with the course, "resnet18", or the path of a checkpoint
    model       the network with the head that it had on the source; without auxiliary heads
    classes     the names of the source classes, in the order of the logits; [] if unknown or none (a source that
                was trained without labels, or to regress)
    transforms  PIL image or uint8 (3, H, W) -> float32 (3, S, S), as the source model was evaluated
    mean, std   of the three channels, for pixels from 0 to 1
    size        S, the native width and height in pixels
    weights     "IMAGENET1K_V1", "garden", the path of a checkpoint, or None for random ones
    """

    name: str
    model: nn.Module
    classes: list[str]
    transforms: Callable
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    weights: str | None

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> float32 (N, 3, H, W) for the model, on the device of the images."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
        mean, std = (torch.tensor(x, device=images.device).view(3, 1, 1) for x in (self.mean, self.std))
        return (images.float() / 255 - mean) / std


def load_backbone(
    name: str | Path = "garden", weights: str | None = "DEFAULT", *, arch: str | None = None
) -> Backbone:
    """Load a source model; like every new torch model, it is in training mode.

    `name` is one of
        "garden"    the course's own source model, which comes with the course, as others like it do:
                    "garden-small", "garden-textures", ... (`shipped_sources()` lists them)
        "resnet18"  any classifier of torchvision, with its ImageNet weights: "DEFAULT" or a name such as
                    "IMAGENET1K_V1" (torchvision downloads them once, then they are cached)
        a path      a checkpoint: a state_dict as .safetensors, .pt or .pth. No code in it is run.
                    `arch` names the architecture, such as "resnet18", where the file does not; its
                    preprocessing is then that of the architecture's default weights
    With weights=None the model is random: the same architecture and preprocessing, nothing learnt.

    Raises ValueError for unknown names (and says which are like them) and for files that do not hold such a
    model, FileNotFoundError for files that are absent and cannot be downloaded.
    """
    if Path(name).suffix in (".safetensors", ".pt", ".pth"):
        _check(weights, ["DEFAULT", None], f"weights of {name}")
        return _from_file(Path(name), weights, arch)
    if name in shipped_sources():
        return _shipped(name, weights)
    _check(name, [*shipped_sources(), *list_models(module=torchvision.models)], "source model")
    return _from_torchvision(name, weights)


def shipped_sources() -> list[str]:
    """The names of the sources that come with the course: "garden" and its relatives."""
    return sorted({"garden", *digests(SHIPPED / "SHA256SUMS"), *(file.stem for file in SHIPPED.glob("garden*.safetensors"))})


def digests(sums: Path) -> dict[str, str]:
    """What a SHA256SUMS file says of the safetensors files beside it: {name without suffix: sha256}; {} without a file.

    The format is that of coreutils: `sha256sum --check SHA256SUMS` reads it too.
    """
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if wrong := [pair for pair in pairs if len(pair) != 2 or not pair[1].endswith(".safetensors")]:
        raise ValueError(f"{sums} is damaged, at {' '.join(wrong[0])!r}: install the course again")
    return {name.removesuffix(".safetensors"): digest for digest, name in pairs}


def _shipped(name: str, weights: str | None) -> Backbone:
    _check(weights, ["DEFAULT", name, None], f"weights of {name!r}")
    path, sums = SHIPPED / f"{name}.safetensors", SHIPPED / "SHA256SUMS"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the course again, or run `make weights`")
    digest, wanted = hashlib.sha256(path.read_bytes()).hexdigest(), digests(sums).get(name)
    if wanted is None:
        raise ValueError(f"{sums} has no line for {path.name}: install the course again, or run `make weights`")
    if digest != wanted:
        raise ValueError(f"{path} is damaged (its sha256 is {digest}): install the course again")
    return replace(_from_file(path, weights), name=name, weights=weights and name)


def _from_torchvision(name: str, weights: str | None) -> Backbone:
    known = get_model_weights(name)
    _check(weights, [*known.__members__, None], f"weights of {name!r}")
    chosen = known[weights or "DEFAULT"]
    if weights is None:
        return _with_preset(name, _new(name), chosen, classes=None, weights=None)
    model = drop_auxiliary_heads(download(name, chosen))
    return _with_preset(name, model, chosen, chosen.meta["categories"], chosen.name)


def _with_preset(name, model, source: WeightsEnum, classes, weights) -> Backbone:
    """The model with the preprocessing of torchvision's weights `source`."""
    preset = source.transforms()
    mean, std, (size,) = tuple(preset.mean), tuple(preset.std), preset.crop_size
    return Backbone(name, model, list(classes or []), preset, mean, std, size, weights)


def _new(arch: str, **settings) -> nn.Module:
    """A random model."""
    if arch == "GardenNet":
        return GardenNet(**settings)
    if arch == "GardenViT":
        from helpers.gardenvit import GardenViT

        return GardenViT(**settings)
    if arch in ("googlenet", "inception_v3"):
        # With their weights they expect the usual preprocessing; how they initialise, they warn about.
        settings |= {"transform_input": True, "init_weights": True}
    return drop_auxiliary_heads(get_model(arch, weights=None, **settings))


def _from_file(path: Path, weights: str | None, arch: str | None = None) -> Backbone:
    state, about = read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), {})
    arch = arch or about.get("arch")
    if arch is None:
        raise ValueError(f"{path} does not name its architecture: say load_backbone(path, arch='resnet18')")
    if arch in OWN and "mean" not in about:
        raise ValueError(f"{path} lacks the metadata of a {arch}: mean, std, size and, if it has any, classes")
    _check(arch, [*OWN, *list_models(module=torchvision.models)], f"architecture (arch) of {path}")
    classes, origin = json.loads(about.get("classes", "[]")), str(path)
    model = _filled(arch, state, path, None if classes else int(about.get("num_classes", 1)))
    if weights is None:
        outputs = len(model.get_submodule(find_head(model)).weight)
        model, classes, origin = _new(arch, num_classes=outputs), [], None
    if "mean" not in about:
        return _with_preset(str(path), model, get_model_weights(arch)["DEFAULT"], classes, origin)
    mean, std, size = json.loads(about["mean"]), json.loads(about["std"]), int(about["size"])
    transforms = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(size, antialias=True),
            v2.CenterCrop(size),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    return Backbone(str(path), model, classes, transforms, tuple(mean), tuple(std), size, origin)


def _filled(arch: str, state: dict[str, Tensor], path: Path, headless: int | None) -> nn.Module:
    """A model with the tensors of `state`, in its own precision; it has as many classes as the head in there.

    A file without a head gets one of `headless` outputs that are zero until the head is swapped; None: it must have one.
    """
    model = _new(arch)
    head = f"{find_head(model)}.weight"
    if headless and arch in OWN and not any(name.startswith(head.removesuffix("weight")) for name in state):
        model = _new(arch, num_classes=headless)
        of_head = model.get_submodule(find_head(model)).state_dict(prefix=head.removesuffix("weight"))
        state = state | {name: torch.zeros_like(tensor) for name, tensor in of_head.items()}
    if head in state and state[head].ndim and len(state[head]) != len(model.get_parameter(head)):
        model = _new(arch, num_classes=len(state[head]))
    own = model.state_dict()
    auxiliary = ("aux1.", "aux2.", "AuxLogits.")
    given = {name: tensor for name, tensor in state.items() if not name.startswith(auxiliary)}
    differing = {name for name in own.keys() & given.keys() if own[name].shape != given[name].shape}
    differing |= own.keys() ^ given.keys()
    if differing:
        raise ValueError(
            f"{path} does not hold a {arch}: {len(differing)} tensors are missing, left over or of another "
            f"shape, such as {', '.join(sorted(differing)[:5])}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])
    return model


def _read_pickle(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # anything may be raised, and torch's own message says how to run the code
        raise ValueError(
            f"{path} is refused: it is damaged, or holds objects that would run code when loaded. Only a "
            "state_dict is accepted, as written by torch.save(model.state_dict(), path)"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        keys = f" with {', '.join(map(str, [*state][:5]))}" if isinstance(state, dict) else ""
        raise ValueError(f"{path} holds a {type(state).__name__}{keys}, not the state_dict of a model")
    return state


def _check(name: str | None, known: list, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(str(name), map(str, known), n=3) or known
        raise ValueError(f"unknown {what}: {name!r}. Did you mean {' or '.join(map(repr, near))}?")
