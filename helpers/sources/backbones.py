"""Load a source model by name, together with the preprocessing and the classes that it was trained with."""

import os
from pathlib import Path

from helpers.sources.architectures import OWN, TORCHVISION
from helpers.sources.base import Backbone, check_known
from helpers.sources.checkpoints import SUFFIXES
from helpers.sources.from_file import load_file
from helpers.sources.from_package import EFFICIENTNET, load_efficientnet
from helpers.sources.from_timm import load_timm
from helpers.sources.from_torchvision import load_torchvision
from helpers.sources.shipping import load_random, load_shipped, shipped_sources

__all__ = ["Backbone", "load_backbone", "shipped_sources"]


def load_backbone(
    name: str | Path = "garden", weights: str | None = "DEFAULT", *, arch: str | None = None, offline: bool | None = None
) -> Backbone:
    """Load a source model; like every new torch model, it is in training mode.

    `name` is one of
        "garden"    the course's own source model, which comes with the course, as others like it do: "garden-small",
                    "garden-textures", ... (`shipped_sources()` lists them)
        "efficientnet_lite0"
                    a network trained on ImageNet, which is installed with the course: no network is needed to load it
        "resnet18"  any classifier of torchvision, with its ImageNet weights: "DEFAULT" or a name such as "IMAGENET1K_V1"
                    (fetched once, then they are in torchvision's own cache)
        "timm:resnet18.a1_in1k"
                    a classifier of timm that can be cut into stages (see helpers/sources/from_timm.py)
        a path      a checkpoint: a state_dict as .safetensors, .pt, .pth, .ckpt or .bin. No code in it is run. `arch` names
                    the architecture, such as "resnet18", where the file does not; its preprocessing is then that of the
                    architecture's default weights
    With weights=None the model is random: the same architecture and preprocessing, nothing learnt; `name` may then also be
    the `arch` of a Backbone. With offline=True, or if COURSE_OFFLINE is set, nothing is fetched: the caches are used.

    Raises ValueError for unknown names (and suggests similar ones) and for files that do not hold such a model;
    FileNotFoundError for missing files, among them downloads.Offline for what cannot or must not be fetched;
    ModuleNotFoundError for a missing package, with the command that installs it.
    """
    hub, _, model_name = str(name).partition(":")
    if hub == "timm":
        check_known(weights, ["DEFAULT", None], f"weights of {name}")
        return load_timm(model_name, weights, offline)
    named = [*shipped_sources(), EFFICIENTNET, *TORCHVISION]
    if Path(name).suffix in SUFFIXES or (name not in [*named, *OWN] and os.path.isfile(name)):
        check_known(weights, ["DEFAULT", None], f"weights of {name}")
        return load_file(Path(name), weights, arch)
    if name == EFFICIENTNET:
        return load_efficientnet(weights)
    if name in shipped_sources():
        return load_shipped(name, weights)
    if name in OWN and weights is None:
        return load_random(name)
    check_known(name, named, "source model")
    return load_torchvision(name, weights, offline)
