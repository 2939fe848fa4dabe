"""Load a source model by name, together with the preprocessing and the classes that it was trained with."""

import difflib
import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights
from torchvision.transforms import v2

from helpers.heads import drop_auxiliary_heads, find_head
from helpers.sources.architectures import OWN, TORCHVISION, fitting, image_size, new_model
from helpers.sources.checkpoints import SUFFIXES, fill, read_checkpoint
from helpers.sources.weightfiles import download

SHIPPED = Path(__file__).parents[1] / "data"  # garden.safetensors, garden-small.safetensors, ... and their SHA256SUMS


@dataclass
class Backbone:
    """A source model and what belongs to it.

    name        "garden" or another source that comes with the course, "resnet18", "timm:...", "hf:...", or the path of a
                checkpoint
    model       the network with the head that it had on the source; without auxiliary heads
    classes     the names of the source classes, in the order of the logits; [] if unknown or none (a source that
                was trained without labels, or to regress)
    transforms  PIL image or uint8 (3, H, W) -> float32 (3, S, S), as the source model was evaluated
    mean, std   of the three channels, for pixels from 0 to 1
    size        S, the native width and height in pixels
    weights     "IMAGENET1K_V1", "garden", "microsoft/resnet-18@COMMIT", the path of a checkpoint, or None for random ones
    files       what describes the architecture where no library knows it by name: {"config.json": its text, ...}
    """

    name: str
    model: nn.Module
    classes: list[str]
    transforms: Callable
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    weights: str | None
    files: dict[str, str] = field(default_factory=dict)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> float32 (N, 3, H, W) for the model, on the device of the images."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
        mean, std = (torch.tensor(x, device=images.device).view(3, 1, 1) for x in (self.mean, self.std))
        return (images.float() / 255 - mean) / std


def load_backbone(
    name: str | Path = "garden", weights: str | None = "DEFAULT", *, arch: str | None = None, offline: bool | None = None
) -> Backbone:
    """Load a source model; like every new torch model, it is in training mode.

    `name` is one of
        "garden"    the course's own source model, which comes with the course, as others like it do:
                    "garden-small", "garden-textures", ... (`shipped_sources()` lists them)
        "resnet18"  any classifier of torchvision, with its ImageNet weights: "DEFAULT" or a name such as
                    "IMAGENET1K_V1" (fetched once, then they are in torchvision's own cache)
        "timm:resnet18.a1_in1k", "hf:microsoft/resnet-18"
                    a classifier of timm or of the Hugging Face hub; see helpers/sources/hubs.py for which of them
        a path      a checkpoint: a state_dict as .safetensors, .pt, .pth, .ckpt or .bin. No code in it is run.
                    `arch` names the architecture, such as "resnet18", where the file does not; its
                    preprocessing is then that of the architecture's default weights
    With weights=None the model is random: the same architecture and preprocessing, nothing learnt.
    With offline=True, or where COURSE_OFFLINE is set, nothing is fetched: what is in the caches is used.

    Raises ValueError for unknown names (and says which are like them) and for files that do not hold such a
    model, FileNotFoundError for files that are absent; downloads.Offline is one, for what cannot or must not be fetched.
    """
    if str(name).startswith(("timm:", "hf:")):
        from helpers.sources.hubs import load_from_hub

        _check(weights, ["DEFAULT", None], f"weights of {name}")
        return load_from_hub(str(name), weights, offline)
    if Path(name).suffix in SUFFIXES or (name not in [*shipped_sources(), *TORCHVISION] and Path(name).is_file()):
        _check(weights, ["DEFAULT", None], f"weights of {name}")
        return _from_file(Path(name), weights, arch)
    if name in shipped_sources():
        return _shipped(name, weights)
    _check(name, [*shipped_sources(), *TORCHVISION], "source model")
    return _from_torchvision(name, weights, offline)


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


def _from_torchvision(name: str, weights: str | None, offline: bool | None = None) -> Backbone:
    known = get_model_weights(name)
    _check(weights, [*known.__members__, None], f"weights of {name!r}")
    chosen = known[weights or "DEFAULT"]
    if weights is None:
        return _with_preset(name, new_model(name), chosen, classes=None, weights=None)
    model = drop_auxiliary_heads(download(name, chosen, offline))
    if not chosen.meta["categories"]:
        _begin_anew(model, f"{name} with the weights {chosen.name}")
    return _with_preset(name, model, chosen, chosen.meta["categories"], chosen.name)


def _with_preset(name, model, source: WeightsEnum, classes, weights, size: int | None = None) -> Backbone:
    """The model with the preprocessing of torchvision's weights `source`; at another size if it is said."""
    preset = source.transforms()
    if size not in (None, *preset.crop_size):
        preset = source.transforms(crop_size=size, resize_size=size)
    mean, std, (size,) = tuple(preset.mean), tuple(preset.std), preset.crop_size
    return Backbone(name, model, list(classes or []), preset, mean, std, size, weights)


def _begin_anew(model: nn.Module, name: str) -> None:
    """Layers without values (NaN) are drawn at random. By its description vgg16's IMAGENET1K_FEATURES has such ones."""
    empty = [path for path, module in model.named_modules() if hasattr(module, "reset_parameters")
             and any(not p.isfinite().all() for p in module.parameters(recurse=False))]  # fmt: skip
    for path in empty:
        model.get_submodule(path).reset_parameters()
    if empty:
        warnings.warn(f"{name} has no values for {', '.join(empty)}: they are random, and have to be trained", stacklevel=4)


def _from_file(path: Path, weights: str | None, arch: str | None = None) -> Backbone:
    state, about = read_checkpoint(path, arch)
    arch = arch or about.get("arch")
    if arch is None:
        fits = fitting(state)
        seems = f"Its tensors are those of a {fits}: say" if fits else "Say"
        raise ValueError(f"{path} does not name its architecture. {seems} load_backbone(path, arch={fits or 'resnet18'!r})")
    if arch in OWN and "mean" not in about:
        raise ValueError(f"{path} lacks the metadata of a {arch}: mean, std, size and, if it has any, classes")
    _check(arch, [*OWN, *TORCHVISION], f"architecture (arch) of {path}")
    classes, origin = json.loads(about.get("classes", "[]")), str(path)
    model = _filled(arch, state, path, None if classes else int(about.get("num_classes", 1)))
    if weights is None:
        outputs = len(model.get_submodule(find_head(model)).weight)
        model, classes, origin = new_model(arch, num_classes=outputs, **image_size(arch, state)), [], None
    if "mean" not in about:
        known = get_model_weights(arch)
        size = image_size(arch, state).get("image_size")
        like = next((entry for entry in known if [size] == entry.transforms().crop_size), known["DEFAULT"])
        return _with_preset(str(path), model, like, classes, origin, size)
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
    model = new_model(arch, **image_size(arch, state))
    head = f"{find_head(model)}.weight"
    if headless and arch in OWN and not any(name.startswith(head.removesuffix("weight")) for name in state):
        model = new_model(arch, num_classes=headless)
        of_head = model.get_submodule(find_head(model)).state_dict(prefix=head.removesuffix("weight"))
        state = state | {name: torch.zeros_like(tensor) for name, tensor in of_head.items()}
    if head in state and state[head].ndim and len(state[head]) != len(model.get_parameter(head)):
        model = new_model(arch, num_classes=len(state[head]), **image_size(arch, state))
    return fill(model, state, path, arch)


def _check(name: str | None, known: list, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(str(name), map(str, known), n=3) or known
        raise ValueError(f"unknown {what}: {name!r}. Did you mean {' or '.join(map(repr, near))}?")
