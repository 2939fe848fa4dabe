"""Write a network as a source of the course: safetensors with its metadata, and its digest in SHA256SUMS."""

import hashlib
import json
from pathlib import Path

from safetensors.torch import save
from torch import nn

from helpers.heads import find_head
from helpers.sources.backbones import digests

MEAN, STD, SIZE = (0.42, 0.42, 0.42), (0.27, 0.27, 0.27), 64  # how the course's own sources see pixels from 0 to 1


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
    """The file with its header in alphabetical order: safetensors shuffles it, and so no two files would be the same."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]
