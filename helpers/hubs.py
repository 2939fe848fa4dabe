"""Source models of timm and of the Hugging Face hub, by name, with their own preprocessing and classes.

    load_backbone("timm:resnet18.a1_in1k")      any classifier of timm that can be cut; `timm.list_pretrained()` names them
    load_backbone("hf:microsoft/resnet-18")     one of the Hugging Face hub, of a family in chains.FAMILIES;
                                                "hf:microsoft/resnet-18@COMMIT" is that version for ever

They need timm and transformers: the extra "hubs" of this course, or `pip install timm transformers`. Weights come as safetensors, which hold no code, and no code
comes with them. A network that cannot be cut into stages to the last bit is refused, not approximated.
"""

import difflib
import re
import warnings
from importlib import import_module

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from helpers.backbones import Backbone
from helpers.chains import FAMILIES, Chain
from helpers.checkpoints import fill
from helpers.heads import find_head
from helpers.hubfiles import hub_folder
from helpers.stages import split
from helpers.tracing import mode


def load_from_hub(name: str, weights: str | None = "DEFAULT", offline: bool | None = None) -> Backbone:
    """The source model "timm:..." or "hf:..."; with weights=None a random one of that architecture.

    A random one of timm needs no network; one of Hugging Face needs the two small files that describe it.
    Raises what `load_backbone` raises; ModuleNotFoundError, with what to install, where timm or transformers is missing.
    """
    hub, _, model_name = name.partition(":")
    backbone = {"timm": _from_timm, "hf": _from_hugging_face}[hub](model_name, weights is not None, offline)
    backbone.model.train()
    return backbone


# --- timm ---


def _from_timm(name: str, trained: bool, offline: bool | None) -> Backbone:
    timm = _needed("timm")
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
    outputs = _checked(model, model, config["input_size"][-1], label)
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
        return self.transform(_picture(image))

    def __repr__(self):
        return f"TimmTransforms({self.transform})"


# --- Hugging Face ---


def _from_hugging_face(name: str, trained: bool, offline: bool | None) -> Backbone:
    transformers = _needed("transformers")
    repo, _, revision = name.partition("@")
    label = f"hf:{name}"
    folder = hub_folder(repo, revision or "main", ["config.json", "preprocessor_config.json"], trained, offline)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **local)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{label} is refused: transformers {transformers.__version__} cannot read what describes it, "
                         f"without running code that comes with it ({str(error).splitlines()[0]})") from error  # fmt: skip
    family, architecture = config.model_type, (config.architectures or [""])[0]
    if family not in FAMILIES or not architecture.endswith("ForImageClassification"):
        raise ValueError(
            f"{label} is refused: it is a {architecture or family}. What can be cut into stages to the last bit are "
            f"classifiers of images of the families {', '.join(FAMILIES)}. Many others are in timm: load_backbone('timm:...')"
        )
    make = getattr(transformers, architecture)
    original = _trained(make, folder, config, label) if trained else make(config)
    size = processor_size(processor)
    transforms = HuggingFaceTransforms(processor)
    mean, std = _mean_and_std(processor, transforms, size, label)
    model = Chain(original, family)
    outputs = _checked(model, lambda x: original(pixel_values=x).logits, size, label)
    names = [config.id2label.get(i, "") for i in range(outputs)]
    nameless = all(re.fullmatch(r"LABEL_\d+|", label) for label in names)
    weights = f"{repo}@{folder.name}" if trained else None
    return Backbone(label, model, names if trained and not nameless else [], transforms, mean, std, size, weights)


def _trained(make, folder, config, label: str) -> nn.Module:
    transformers = _needed("transformers")
    logging, bars = transformers.utils.logging, transformers.utils.logging.is_progress_bar_enabled()
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # what it would warn of is looked at below
    logging.disable_progress_bar()
    try:
        model, report = make.from_pretrained(folder, config=config, use_safetensors=True, local_files_only=True,
                                             output_loading_info=True, dtype=torch.float32)  # fmt: skip
    except (RuntimeError, SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{label} is refused: its weights in {folder} do not fit, or are damaged ({error})") from error
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
    unused = re.compile(r"pooler\.|mask_token|position_ids")  # what such a classifier does not run
    wrong = {
        "missing": sorted(report["missing_keys"]),
        "left over": sorted(name for name in report["unexpected_keys"] if not unused.search(name)),
        "of another shape": sorted(map(str, report["mismatched_keys"])),
    }
    if any(wrong.values()):
        counts = "; ".join(f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in wrong.items() if names)
        raise ValueError(f"{label} is refused: its weights do not fit a {make.__name__}: {counts}")
    return fill(model, model.state_dict(), folder, make.__name__)  # in themselves, if they are finite


def processor_size(processor) -> int:
    """The native width and height of the images that it makes."""
    import numpy

    height, width = processor(numpy.zeros((60, 90, 3), "uint8"), return_tensors="pt")["pixel_values"].shape[-2:]
    if height != width:
        raise ValueError(f"this preprocessing makes images of {width} x {height} pixels; only square ones can be used")
    return width


class HuggingFaceTransforms:
    """The preprocessing of transformers: a PIL image or uint8 (3, H, W) -> float32 (3, S, S)."""

    def __init__(self, processor):
        self.processor = processor

    def __call__(self, image) -> Tensor:
        return self.processor(_picture(image), return_tensors="pt")["pixel_values"][0]

    def __repr__(self):
        return f"HuggingFaceTransforms({self.processor})"


def _mean_and_std(processor, transforms, size: int, label: str) -> tuple[tuple, tuple]:
    """What `Backbone.normalise` needs to do the same as the processor does with an image of the native size."""
    normalises = getattr(processor, "do_normalize", None)
    mean, std = (tuple(processor.image_mean), tuple(processor.image_std)) if normalises else ((0.0,) * 3, (1.0,) * 3)
    colour = torch.tensor([200, 120, 40], dtype=torch.uint8).view(3, 1, 1)  # differs by channel
    wanted = transforms(colour.expand(3, size, size))
    made = (colour / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    if not torch.allclose(wanted, made.expand_as(wanted), atol=1e-4):
        raise ValueError(f"{label} is refused: its preprocessing does more to the pixels than to take away a mean and divide "
                         "by a standard deviation (it may exchange red and blue)")  # fmt: skip
    return mean, std


# --- both ---


def _needed(module: str):
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"such models are loaded with {module}, which is not installed here: run `pip install {module}`"
        ) from error


def _picture(image):
    """As a PIL image in RGB."""
    from PIL import Image

    if isinstance(image, Tensor):
        image = Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    return image.convert("RGB")


@torch.no_grad()
def _checked(model: nn.Module, reference, size: int, label: str) -> int:
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
