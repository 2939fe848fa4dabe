"""A trained network with what is needed to use it (classes, size, preprocessing), in a file; or only what was trained of it."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from helpers.freezing import held_modules
from helpers.heads import find_head, swap_head
from helpers.images.decoding import read_image
from helpers.images.splits import Split, at_a_time, batches_of
from helpers.sources.architectures import image_size, new_model
from helpers.sources.backbones import Backbone, load_backbone
from helpers.sources.checkpoints import claims, read_safetensors
from helpers.training.devices import borrowed, layout

CLASSIFIER, TRAINED = "transfer-learning-course classifier 1", "transfer-learning-course trained 1"  # formats of files


@dataclass(eq=False)
class Classifier:
    """A network that classifies images.

    backbone  the network (with the new head) and its preprocessing
    classes   names, in the order of the logits
    size      pixels a side of the images it was trained on
    source    what `load_backbone` builds the architecture from: `Backbone.arch`
    """

    backbone: Backbone
    classes: list[str]
    size: int
    source: str

    @property
    def model(self) -> nn.Module:
        """The network itself: normalised images (N, 3, size, size) -> logits (N, classes)."""
        return self.backbone.model

    def logits(self, images: Tensor | Split, batch_size: int = 100) -> Tensor:
        """uint8 images (N, 3, size, size), or a split -> float32 logits (N, classes) on the CPU, in evaluation mode.

        It computes on the accelerator, if there is one; afterwards the network is back where it was. Of a split, one batch
        at a time is copied: 6,149 photographs of 224 pixels are 0.9 GB.
        """
        with borrowed(self.model) as device:
            batches = batches_of(images, at_a_time(images, batch_size, device))
            return torch.cat([self.model(self.backbone.normalise(batch.to(device))).cpu() for batch in batches])

    def predict(self, image) -> dict[str, float]:
        """Probability of each class, the likeliest first, for one image: a path, a PIL image or uint8 (3, H, W).

        Raises what `read_image` raises for a file that is not an image, ValueError for another tensor.
        """
        if not isinstance(image, Tensor):
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
            "format": CLASSIFIER,
            "source": self.source,
            "classes": json.dumps(self.classes),
            "size": str(self.size),
            "mean": json.dumps(list(self.backbone.mean)),
            "std": json.dumps(list(self.backbone.std)),
        }
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(tensors, path, about)
        return Path(path)

    def serve(self, answer=None):
        """Serve a page of its own on this machine: choose a picture, see a bar for each class. Returns it, for `.close()`.

        answer: a function, the bytes of a file -> the line of text above the bars; None names the likeliest class.
        """
        from helpers.notebook.page import serve

        return serve(self.predict, answer, f"{', '.join(self.classes[:-1])} or {self.classes[-1]}?")


def _architecture_of(about: dict[str, str], tensors: dict[str, Tensor]) -> Backbone:
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
    if about.get("format") != CLASSIFIER:
        raise ValueError(f"{path} was not written by Classifier.save: its metadata lack the format {CLASSIFIER!r}")
    try:
        classes, size, mean, std = claims(about)
        backbone = _architecture_of(about, tensors)
        with warnings.catch_warnings(action="ignore"):  # swap_head gave its warning in training
            swap_head(backbone.model, len(classes))
        backbone.model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not an intact classifier: {error}") from error
    # the order in memory in which it was trained: sums then come out the same to the last bit
    backbone.model.to(memory_format=layout()).eval()
    backbone.mean, backbone.std = mean, std
    return Classifier(backbone, classes, size, about["source"])


def save_trained(model: nn.Module, path: str | Path) -> None:
    """Write what was trained, as safetensors: kilobytes for the head of a resnet18, which takes 45 MB.

    Trained are the parameters that require a gradient, and the buffers (running statistics) of modules that
    `freeze` does not hold. Of the frozen tensors the file keeps fingerprints, to tell the source model from
    others.
    Raises ValueError if no parameter requires a gradient.
    """
    state = model.state_dict()
    trained = trained_tensors(model)
    about = {
        "format": TRAINED,
        "head": find_head(model),
        "modules": json.dumps(_modules(model)),
        "frozen": json.dumps({name: fingerprint(state[name]) for name in sorted(state.keys() - trained)}),
    }
    save_file({name: state[name].cpu().clone().contiguous() for name in sorted(trained)}, path, about)


def load_trained(model: nn.Module, path: str | Path) -> nn.Module:
    """Put what save_trained wrote onto a fresh copy of the source model; in place, and returns the model.

    The head is swapped if the saved one is for other classes. Every tensor then equals that of the saved
    model.
    Raises FileNotFoundError if there is no such file, and ValueError if it is not from save_trained or
    belongs to another source model; the message names the tensors that differ.
    """
    tensors, about = read_safetensors(path)
    if about.get("format") != TRAINED:
        raise ValueError(f"{path} is not from save_trained: its metadata do not say '{TRAINED}'")
    head, modules, frozen = about["head"], json.loads(about["modules"]), json.loads(about["frozen"])
    state = model.state_dict()
    differing = {name for name in frozen if name not in state or fingerprint(state[name]) != frozen[name]}
    differing |= {name for name in _misfits(tensors, state) if not name.startswith(f"{head}.")}
    _refuse(path, model, differing)  # before anything changes
    weight = tensors.get(f"{head}.weight")
    if weight is not None and (_modules(model) != modules or _misfits({f"{head}.weight": weight}, state)):
        swap_head(model, len(weight), head=head)
        state = model.state_dict()
    unknown = state.keys() - tensors.keys() - frozen.keys()
    others = {name for name, _ in modules.items() ^ _modules(model).items()}
    _refuse(path, model, unknown | others | _misfits(tensors, state))
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)
    return model


def trained_tensors(model: nn.Module) -> set[str]:
    """The names of what `save_trained` writes."""
    parameters = {name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}
    if not parameters:
        raise ValueError("no parameter of this model requires a gradient: freeze it as it was trained")
    held = held_modules(model)
    buffers = {name for name, _ in model.named_buffers() if _owner(model, name) not in held}
    return parameters | (buffers & model.state_dict().keys())


def _owner(model: nn.Module, name: str) -> nn.Module:
    return model.get_submodule(name.rpartition(".")[0])


def _modules(model: nn.Module) -> dict[str, str]:
    return {name: type(module).__name__ for name, module in model.named_modules()}


def fingerprint(tensor: Tensor) -> str:
    """Type, shape and a hash of the bytes."""
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(raw).hexdigest()[:16]}"


def _misfits(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> set[str]:
    """The names of tensors that have no counterpart of the same shape and type in `state`."""
    kind = lambda tensor: tensor is not None and (tensor.shape, tensor.dtype)
    return {name for name, tensor in tensors.items() if kind(state.get(name)) != kind(tensor)}


def _refuse(path: str | Path, model: nn.Module, differing: set[str]) -> None:
    if differing:
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise ValueError(
            f"{path} belongs to another source model than this {type(model).__name__}. Missing or different: "
            f"{', '.join(sorted(differing)[:5])}{more}"
        )
