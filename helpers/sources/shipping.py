"""The sources that come with the course: read them, and write a network as one of them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import nn

from helpers.heads import find_head
from helpers.sources.architectures import new_model
from helpers.sources.base import Backbone, check_known
from helpers.sources.from_file import evaluation, load_file

SHIPPED = Path(__file__).parents[1] / "data"  # garden.safetensors, garden-small.safetensors, ... and their SHA256SUMS
MEAN, STD, SIZE = (0.42, 0.42, 0.42), (0.27, 0.27, 0.27), 64  # how the course's own sources see pixels from 0 to 1


def load_shipped(name: str, weights: str | None = "DEFAULT") -> Backbone:
    """A source that comes with the course; its file is checked against its digest first."""
    check_known(weights, ["DEFAULT", name, None], f"weights of {name!r}")
    path, sums = SHIPPED / f"{name}.safetensors", SHIPPED / "SHA256SUMS"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the course again, or run `make weights`")
    digest, expected = hashlib.sha256(path.read_bytes()).hexdigest(), digests(sums).get(name)
    if expected is None:
        raise ValueError(f"{sums} has no line for {path.name}: install the course again, or run `make weights`")
    if digest != expected:
        raise ValueError(f"{path} is damaged (its sha256 is {digest}): install the course again")
    return replace(load_file(path, weights), name=name, weights=weights and name)


def load_random(arch: str) -> Backbone:
    """A random network of the course's own architectures, "GardenNet" or "GardenViT", with their preprocessing."""
    return Backbone(arch, new_model(arch), [], evaluation(MEAN, STD, SIZE), MEAN, STD, SIZE, None, arch)


def shipped_sources() -> list[str]:
    """The names of the sources that come with the course: "garden" and its relatives."""
    return sorted({"garden", *digests(SHIPPED / "SHA256SUMS"), *(file.stem for file in SHIPPED.glob("garden*.safetensors"))})


def digests(sums: Path) -> dict[str, str]:
    """The entries of a SHA256SUMS file for the safetensors files beside it: {name without suffix: sha256}; {} without a file.

    The format is that of coreutils: `sha256sum --check SHA256SUMS` reads it too.
    """
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if wrong := [pair for pair in pairs if len(pair) != 2 or not pair[1].endswith(".safetensors")]:
        raise ValueError(f"{sums} is damaged, at {' '.join(wrong[0])!r}: install the course again")
    return {name.removesuffix(".safetensors"): digest for digest, name in pairs}


def save_source(
    net: nn.Module, path: Path, classes: list[str], *, half: bool = False, about: dict[str, str] | None = None
) -> str:
    """Write the network as load_backbone reads it, and its line in SHA256SUMS beside it; returns the file's sha256.

    classes: the names of the logits, [] for a source that was trained without labels.
    half: store in float16, half as large (loaded, it is float32 again). about: further metadata, texts.
    """
    classes = list(classes)
    outputs = len(net.get_submodule(find_head(net)).weight)
    if classes and len(classes) != outputs:
        raise ValueError(f"{len(classes)} class names for a network with {outputs} outputs")
    about = {
        "arch": type(net).__name__, "num_classes": str(outputs), "classes": json.dumps(classes), "mean": json.dumps(MEAN),
        "std": json.dumps(STD), "size": str(SIZE), **(about or {}),
    }  # fmt: skip
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        if too_large := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ValueError(f"{', '.join(too_large)} cannot be stored in float16: store in full")
    file = _sorted(save(tensors, about))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file)
    sums = path.parent / "SHA256SUMS"
    lines = digests(sums) | {path.stem: hashlib.sha256(file).hexdigest()}
    sums.write_text("".join(f"{digest}  {name}.safetensors\n" for name, digest in sorted(lines.items())), encoding="utf-8")
    return lines[path.stem]


def _sorted(file: bytes) -> bytes:
    """The file with its header in alphabetical order: safetensors shuffles it, so that no two files would be the same."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]
