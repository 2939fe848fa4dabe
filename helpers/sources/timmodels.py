"""Source models of timm: by their name there, with timm's own preprocessing, from safetensors of the Hugging Face hub."""

import difflib

from safetensors import SafetensorError
from torch import Tensor, nn

from helpers.heads import find_head
from helpers.sources.backbones import Backbone
from helpers.sources.hubfiles import hub_folder
from helpers.sources.hubs import as_picture, checked, needed


def from_timm(name: str, trained: bool, offline: bool | None) -> Backbone:
    timm = needed("timm")
    about = timm.get_pretrained_cfg(name, allow_unregistered=False) if _is_known(timm, name) else None
    if about is None:
        near = difflib.get_close_matches(name, [*timm.list_pretrained(), *timm.list_models()], n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See timm.list_pretrained()"
        raise ValueError(f"timm {timm.__version__} has no model {name!r}. {hint}")
    label, settings = f"timm:{name}", {}
    if trained and not about.hf_hub_id:
        raise ValueError(f"{label}: timm offers no weights of it as safetensors; weights=None gives a random one")
    if trained:
        file = hub_folder(about.hf_hub_id, "main", [], True, offline) / "model.safetensors"
        settings = {"pretrained_cfg_overlay": {"file": str(file), "custom_load": False}}
    try:
        model = timm.create_model(name, pretrained=trained, **settings)
    except (RuntimeError, SafetensorError, KeyError) as error:
        raise ValueError(f"{file if trained else label} does not hold timm's {name}: {error}") from error
    classes = _timm_classes(timm, about) if trained else []
    if not model.num_classes:
        _without_classes(model, label)
    config = timm.data.resolve_data_config(model=model)
    transforms = TimmTransforms(timm.data.create_transform(**config))
    outputs = checked(model, model, config["input_size"][-1], label)
    weights = f"{about.architecture}.{about.tag}" if about.tag else name
    return Backbone(label, model, classes if len(classes) == outputs else [], transforms, tuple(config["mean"]),
                    tuple(config["std"]), config["input_size"][-1], weights if trained else None)  # fmt: skip


def _is_known(timm, name: str) -> bool:
    architecture, _, tag = name.partition(".")
    return timm.is_model(architecture) and (not tag or name in timm.list_pretrained(f"{architecture}.*"))


def _timm_classes(timm, about) -> list[str]:
    """The names of an ImageNet's classes, as timm knows them by their number; [] for others."""
    if about.label_names:
        return list(about.label_names)
    subset = timm.data.infer_imagenet_subset({"num_classes": about.num_classes})
    if subset is None:
        return []
    labels = timm.data.ImageNetInfo(subset)
    return [labels.index_to_description(i) for i in range(labels.num_classes())]


def _without_classes(model: nn.Module, label: str) -> None:
    """A head of one output that is zero, for a network that was trained without classes: to be swapped."""
    try:
        model.reset_classifier(1)
        model.get_submodule(find_head(model)).requires_grad_(True).weight.data.zero_()
    except Exception as error:
        raise ValueError(f"{label} cannot be used here: it has no head, and takes none ({error})") from error


class TimmTransforms:
    """timm's preprocessing at evaluation: a PIL image or uint8 (3, H, W) -> float32 (3, S, S)."""

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, image) -> Tensor:
        return self.transform(as_picture(image))

    def __repr__(self):
        return f"TimmTransforms({self.transform})"
