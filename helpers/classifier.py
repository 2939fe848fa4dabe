"""A trained network with what is needed to use it: its classes, image size and preprocessing."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.backbones import Backbone, load_backbone
from helpers.decoding import read_image
from helpers.heads import swap_head

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
    def logits(self, images: torch.Tensor, batch_size: int = 100) -> torch.Tensor:
        """uint8 images (N, 3, size, size) -> float32 logits (N, classes) on the CPU, in evaluation mode."""
        device = next(self.model.parameters()).device
        training = self.model.training
        self.model.eval()
        parts = [
            self.model(self.backbone.normalise(batch.to(device))).cpu() for batch in images.split(batch_size)
        ]
        self.model.train(training)
        return torch.cat(parts)

    def predict(self, image) -> dict[str, float]:
        """Probability of each class, the likeliest first, for one image: a path, a PIL image or uint8 (3, S, S).

        Raises what `read_image` raises for a file that is not an image.
        """
        if not isinstance(image, torch.Tensor):
            image = read_image(image, self.size)
        elif image.ndim != 3:
            raise ValueError(
                f"predict takes one image (3, S, S), got {tuple(image.shape)}; for several use logits()"
            )
        elif image.shape[1:] != (self.size, self.size):
            image = read_image(Image.fromarray(image.permute(1, 2, 0).numpy()), self.size)
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


def load_classifier(path: str | Path) -> Classifier:
    """Read back what `Classifier.save` wrote; no code in the file is run.

    Raises FileNotFoundError if there is no such file, ValueError if it is not a saved classifier.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        tensors = load_file(path)
    except Exception as error:
        raise ValueError(f"{path} is no intact safetensors file: {error}") from error
    if about.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by Classifier.save: its metadata lack the format {_FORMAT!r}"
        )
    classes = json.loads(about["classes"])
    backbone = load_backbone(about["source"], weights=None)
    swap_head(backbone.model, len(classes))
    backbone.model.load_state_dict(tensors)
    backbone.model.eval()
    backbone.mean, backbone.std = tuple(json.loads(about["mean"])), tuple(json.loads(about["std"]))
    return Classifier(backbone, classes, int(about["size"]), about["source"])
