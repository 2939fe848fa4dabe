"""Source models of timm and of the Hugging Face hub, by name, with their own preprocessing and classes.

    load_backbone("timm:resnet18.a1_in1k")      any classifier of timm that can be cut; `timm.list_pretrained()` names them
    load_backbone("hf:microsoft/resnet-18")     one of the Hugging Face hub, of a family in chains.FAMILIES;
                                                "hf:microsoft/resnet-18@COMMIT" is that version for ever

They need timm and transformers: the extra "hubs" of this course, or `pip install timm transformers`. Weights come as
safetensors, which hold no code, and no code comes with them. A network that cannot be cut into stages to the last bit is
refused, not approximated.
"""

import warnings
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from helpers.heads import mode
from helpers.sources.backbones import Backbone
from helpers.stages import split


def load_from_hub(name: str, weights: str | None = "DEFAULT", offline: bool | None = None, files=None) -> Backbone:
    """The source model "timm:..." or "hf:..."; with weights=None a random one of that architecture.

    A random one of timm needs no network; one of Hugging Face needs the two small files that describe it: from the hub,
    from its cache, or as `files` ({name: text}) from a Backbone or a saved Classifier.
    Raises what `load_backbone` raises; ModuleNotFoundError, with what to install, where timm or transformers is missing.
    """
    hub, _, model_name = name.partition(":")
    needed("timm" if hub == "timm" else "transformers")
    if hub == "timm":
        from helpers.sources.timmodels import from_timm

        backbone = from_timm(model_name, weights is not None, offline)
    else:
        from helpers.sources.hfmodels import DESCRIPTION, from_hugging_face
        from helpers.sources.hubfiles import hub_folder

        if files:
            with TemporaryDirectory() as folder:
                for file in DESCRIPTION:
                    Path(folder, file).write_text(files[file], encoding="utf-8")
                backbone = from_hugging_face(model_name, False, Path(folder))
        else:
            repo, _, revision = model_name.partition("@")
            folder = hub_folder(repo, revision or "main", DESCRIPTION, weights is not None, offline)
            backbone = from_hugging_face(model_name, weights is not None, folder)
    backbone.model.train()
    return backbone


def needed(module: str):
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"such models are loaded with {module}, which is not installed here: run `pip install {module}`"
        ) from error


def as_picture(image):
    """As a PIL image in RGB."""
    from PIL import Image

    if isinstance(image, Tensor):
        image = Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    return image.convert("RGB")


@torch.no_grad()
def checked(model: nn.Module, reference, size: int, label: str) -> int:
    """The number of logits, if the model can be cut and its parts do to an image what `reference` does, bitwise.

    Raises ValueError if not.
    """
    try:
        with warnings.catch_warnings(action="ignore"), mode(model, training=False):
            prefix, suffix = split(model, -1)
            image = torch.linspace(-2, 2, 3 * size * size).view(1, 3, size, size)
            logits, wanted = suffix(prefix(image)), reference(image)
            same = isinstance(wanted, Tensor) and torch.equal(logits, wanted)
    except Exception as error:
        raise ValueError(f"{label} cannot be used here: {error}") from error
    if not same or logits.ndim != 2:
        raise ValueError(f"{label} cannot be used here: cut into stages, it does not give the same logits as before")
    return logits.shape[1]
