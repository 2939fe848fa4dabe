"""Source models of the Hugging Face hub: read with transformers, from safetensors, without code of theirs."""

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from helpers.sources.backbones import Backbone
from helpers.sources.chains import FAMILIES, Chain
from helpers.sources.checkpoints import fill
from helpers.sources.hubs import as_picture, checked, needed

DESCRIPTION = ["config.json", "preprocessor_config.json"]  # a model's architecture and preprocessing


def from_hugging_face(name: str, trained: bool, folder: Path) -> Backbone:
    transformers, label = needed("transformers"), f"hf:{name}"
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
    outputs = checked(model, lambda x: original(pixel_values=x).logits, size, label)
    names = [config.id2label.get(i, "") for i in range(outputs)]
    nameless = all(re.fullmatch(r"LABEL_\d+|", label) for label in names)
    weights = f"{name.partition('@')[0]}@{folder.name}" if trained else None
    files = {file: (folder / file).read_text(encoding="utf-8") for file in DESCRIPTION}
    return Backbone(label, model, names if trained and not nameless else [], transforms, mean, std, size, weights, files)


def _trained(make, folder, config, label: str) -> nn.Module:
    transformers = needed("transformers")
    logging, bars = transformers.utils.logging, transformers.utils.logging.is_progress_bar_enabled()
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # what it would warn of is looked at below
    logging.disable_progress_bar()
    try:
        model, report = make.from_pretrained(folder, config=config, use_safetensors=True, local_files_only=True,
                                             output_loading_info=True, dtype=torch.float32,
                                             ignore_mismatched_sizes=True)  # fmt: skip
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
        "of another shape": sorted(
            f"{name} {tuple(given)} where {tuple(own)} is wanted" for name, given, own in report["mismatched_keys"]
        ),
    }
    if any(wrong.values()):
        counts = "; ".join(f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in wrong.items() if names)
        raise ValueError(f"{label} is refused: its weights do not fit a {make.__name__}: {counts}")
    return fill(model, model.state_dict(), label, make.__name__)  # in themselves, if they are finite


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
        return self.processor(as_picture(image), return_tensors="pt")["pixel_values"][0]

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
