"""A trained network with what is needed to use it: its classes, image size and preprocessing."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from helpers.heads import swap_head
from helpers.images.decoding import read_image
from helpers.images.splits import Split
from helpers.sources.architectures import image_size, new_model
from helpers.sources.backbones import Backbone, load_backbone
from helpers.training.saving import read_safetensors

_FORMAT = "transfer-learning-course classifier 1"


@dataclass(eq=False)
class Classifier:
    """A network that names images.

    backbone  the network (with the new head) and its preprocessing
    classes   names, in the order of the logits
    size      pixels a side of the images it was trained on
    source    what `load_backbone` builds the architecture from
    """

    backbone: Backbone
    classes: list[str]
    size: int
    source: str

    @property
    def model(self) -> torch.nn.Module:
        """The network itself: normalised images (N, 3, size, size) -> logits (N, classes)."""
        return self.backbone.model

    @torch.no_grad()
    def logits(self, images: torch.Tensor | Split, batch_size: int = 100) -> torch.Tensor:
        """uint8 images (N, 3, size, size), or a split -> float32 logits (N, classes) on the CPU, in evaluation mode.

        Of a split, one batch at a time is copied: 6,149 photographs of 224 pixels are 0.9 GB.
        """
        device = next(self.model.parameters()).device
        training = self.model.training
        self.model.eval()
        batches = images.batches(batch_size) if isinstance(images, Split) else images.split(batch_size)
        parts = [self.model(self.backbone.normalise(batch.to(device))).cpu() for batch in batches]
        self.model.train(training)
        return torch.cat(parts)

    def predict(self, image) -> dict[str, float]:
        """Probability of each class, the likeliest first, for one image: a path, a PIL image or uint8 (3, H, W).

        Raises what `read_image` raises for a file that is not an image, ValueError for another tensor.
        """
        if not isinstance(image, torch.Tensor):
            image = read_image(image, self.size)
        elif image.ndim != 3 or len(image) != 3 or image.dtype != torch.uint8:
            raise ValueError(
                f"predict takes one uint8 image (3, H, W), got {image.dtype} {tuple(image.shape)}; for several use "
                "logits()"
            )
        elif image.shape[1:] != (self.size, self.size):
            image = read_image(Image.fromarray(image.permute(1, 2, 0).cpu().numpy()), self.size)
        probabilities = self.logits(image[None]).softmax(1)[0]
        order = probabilities.argsort(descending=True).tolist()
        return {self.classes[i]: probabilities[i].item() for i in order}

    def save(self, path: str | Path) -> Path:
        """Write weights, classes, size and preprocessing to one safetensors file; returns its path."""
        about = {
            "format": _FORMAT,
            "source": self.source,
            "classes": json.dumps(self.classes),
            "size": str(self.size),
            "mean": json.dumps(list(self.backbone.mean)),
            "std": json.dumps(list(self.backbone.std)),
        }
        tensors = {
            name: tensor.detach().cpu().clone().contiguous()
            for name, tensor in self.model.state_dict().items()
        }
        save_file(tensors, path, about)
        return Path(path)


def architecture(source: str) -> str:
    """The name by which `load_backbone` knows the architecture of a source model, also of one that is a file."""
    if Path(source).suffix != ".safetensors":
        return source
    name = read_safetensors(source)[1]["arch"]
    return {"GardenNet": "garden", "GardenViT": "garden-vit"}.get(name, name)


def _architecture_of(about: dict[str, str], tensors: dict[str, torch.Tensor]) -> Backbone:
    """A random model of the saved one's architecture; without a network, also where it came from one."""
    source, settings = about["source"], image_size(about["source"], tensors)
    backbone = load_backbone(source, weights=None)
    if settings:  # a ViT, perhaps for images of another size than usual
        backbone.model, backbone.size = new_model(source, **settings), settings["image_size"]
    return backbone


def load_classifier(path: str | Path) -> Classifier:
    """Read back what `Classifier.save` wrote; no code in the file is run.

    Raises FileNotFoundError if there is no such file, ValueError if it is not an intact saved classifier.
    """
    tensors, about = read_safetensors(path)
    if about.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by Classifier.save: its metadata lack the format {_FORMAT!r}"
        )
    try:
        classes, size = json.loads(about["classes"]), int(about["size"])
        mean, std = (tuple(json.loads(about[name])) for name in ("mean", "std"))
        backbone = _architecture_of(about, tensors)
        with warnings.catch_warnings(action="ignore"):  # what swap_head has to say was said in training
            swap_head(backbone.model, len(classes))
        backbone.model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is no intact classifier: {error}") from error
    # the order in memory in which it was trained: sums then come out the same to the last bit
    backbone.model.to(memory_format=torch.channels_last).eval()
    backbone.mean, backbone.std = mean, std
    return Classifier(backbone, classes, size, about["source"])
