"""Source models of timm: by their name there, with timm's own preprocessing; weights come through huggingface_hub.

    load_backbone("timm:resnet18.a1_in1k")      any classifier of timm that can be cut; timm.list_pretrained() names them

The cache, resuming and hashes are huggingface_hub's. Weights are taken as safetensors, which hold no code. A network that
cannot be cut into stages bitwise is refused.
"""

import difflib
import warnings
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.transforms import v2

from helpers.data.downloads import offline as is_offline
from helpers.heads import find_head, mode
from helpers.sources.base import FORBIDDEN, Backbone, missing, not_here
from helpers.stages import split


def load_timm(name: str, weights: str | None = "DEFAULT", offline: bool | None = None) -> Backbone:
    """The model "resnet18.a1_in1k" of timm; with weights=None a random one, which needs no network.

    Raises what `load_backbone` raises; ModuleNotFoundError, with what to install, if timm is missing.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise missing("timm", f"the source timm:{name}") from error
    about, label = _description(timm, name), f"timm:{name}"
    settings: dict[str, Any] = {}
    if weights:
        if not about.hf_hub_id:
            raise ValueError(f"{label}: timm offers no weights of it as safetensors; weights=None gives a random one")
        file = _weights(about.hf_hub_id, offline)
        settings = {"pretrained": True, "pretrained_cfg_overlay": {"file": file, "custom_load": False}}
    try:
        model = timm.create_model(name, **settings)
    except (RuntimeError, SafetensorError, KeyError) as error:
        raise ValueError(f"the weights of {label} do not fit timm's model, or are damaged: {error}") from error
    if not model.num_classes:
        _add_head(model, label)
    config = timm.data.resolve_data_config(model=model)
    size = config["input_size"][-1]
    outputs = _checked(model, size, label)
    classes = _classes(timm, about) if weights else []
    origin = f"{about.architecture}.{about.tag}" if about.tag else name
    transforms = v2.Compose([v2.ToPILImage(), v2.RGB(), timm.data.create_transform(**config)])
    return Backbone(label, model.train(), classes if len(classes) == outputs else [], transforms, tuple(config["mean"]),
                    tuple(config["std"]), size, origin if weights else None, label)  # fmt: skip


def _description(timm: Any, name: str) -> Any:
    architecture, _, tag = name.partition(".")
    is_known = timm.is_model(architecture) and (not tag or name in timm.list_pretrained(f"{architecture}.*"))
    about = timm.get_pretrained_cfg(name, allow_unregistered=False) if is_known else None
    if about is None:
        near = difflib.get_close_matches(name, [*timm.list_pretrained(), *timm.list_models()], n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See timm.list_pretrained()"
        raise ValueError(f"timm {timm.__version__} has no model {name!r}. {hint}")
    return about


def _weights(repo: str, offline: bool | None) -> str:
    """The path of a model's weights in the cache of huggingface_hub, which fetches them if they are not there yet."""
    from huggingface_hub import constants, errors, hf_hub_download

    constants.HF_HUB_DISABLE_TELEMETRY = True  # the client would tell which libraries it runs with
    file, what, cache = "model.safetensors", f"the weights of {repo}", constants.HF_HUB_CACHE
    by_hand = f"run `hf download {repo} {file}` where there is a network, and copy that folder to {cache}"
    try:
        return hf_hub_download(repo, file, local_files_only=True)
    except errors.LocalEntryNotFoundError:
        if is_offline(offline):
            raise not_here(what, FORBIDDEN, by_hand) from None
    try:
        return hf_hub_download(repo, file)
    except errors.GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{repo}"
        raise ValueError(f"{repo} is not open to everybody: accept its terms at {page}, then run `hf auth login`") from error
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        message = f"{constants.ENDPOINT}/{repo} has no {file} (weights in other forms may hold code), or is not public"
        raise ValueError(message) from error
    except Exception as error:  # the client passes on whatever its HTTP library raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise not_here(what, f"cannot be fetched now ({reason})", by_hand) from error


def _classes(timm: Any, about: Any) -> list[str]:
    """The names of the classes of an ImageNet, as timm knows them by their number; [] for others."""
    if about.label_names:
        return list(about.label_names)
    subset = timm.data.infer_imagenet_subset({"num_classes": about.num_classes})
    if subset is None:
        return []
    labels = timm.data.ImageNetInfo(subset)
    return [labels.index_to_description(i) for i in range(labels.num_classes())]


def _add_head(model: nn.Module, label: str) -> None:
    """A head with one output, of zeros, for a network that was trained without classes: to be swapped."""
    try:
        model.reset_classifier(1)
        model.get_submodule(find_head(model)).requires_grad_(True).weight.data.zero_()
    except Exception as error:
        raise ValueError(f"{label} cannot be used here: it has no head, and takes none ({error})") from error


@torch.no_grad()
def _checked(model: nn.Module, size: int, label: str) -> int:
    """The number of logits, if the model can be cut and its two parts give the same ones, bitwise; else ValueError."""
    try:
        with warnings.catch_warnings(action="ignore"), mode(model, training=False):
            prefix, suffix = split(model, -1)
            image = torch.linspace(-2, 2, 3 * size * size).view(1, 3, size, size)
            logits, expected = suffix(prefix(image)), model(image)
    except Exception as error:
        raise ValueError(f"{label} cannot be used here: {error}") from error
    if not isinstance(expected, Tensor) or not torch.equal(logits, expected) or logits.ndim != 2:
        raise ValueError(f"{label} cannot be used here: cut into stages, it does not give the same logits as before")
    return logits.shape[1]
