"""Take a trained network elsewhere: as ONNX, with its preprocessing inside, its classes beside it, and its answers verified."""

import copy
import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from helpers.training.classifier import Classifier
from helpers.training.devices import quiet

NEEDED = ("onnx", "onnxscript", "onnxruntime")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime reports to Microsoft when it opens a network
_FORMAT = "transfer-learning-course onnx 1"


class WithPreprocessing(nn.Module):
    """A classifier's network that takes pixels as they are: uint8 (N, 3, size, size) -> float32 logits (N, classes)."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.network = classifier.model
        for name in ("mean", "std"):
            values = torch.tensor(getattr(classifier.backbone, name), dtype=torch.float32)
            self.register_buffer(name, values.view(1, 3, 1, 1))

    def forward(self, images):
        return self.network((images.float() / 255 - self.mean) / self.std)


def missing_for_onnx() -> str:
    """"" if the packages for ONNX are installed, else which are not and how to get them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    has = Path(tempfile.gettempdir(), "colab-has.txt")  # the setup cell's list of what Colab has
    keep = f"-c {has} " if "google.colab" in sys.modules else ""
    return f"ONNX needs the packages {', '.join(missing)}: pip install {keep}{' '.join(missing)}" if missing else ""


def export_onnx(classifier: Classifier, path: str | Path, network: nn.Module | None = None) -> Path:
    """Write a classifier as an ONNX file; returns its path.

    Input "images": uint8 (N, 3, size, size), any N; output "logits": float32 (N, classes). Scaling and normalising are inside
    the graph; cropping and resizing to (size, size) are not. The file's metadata say all of this, with the classes.
    network: what is exported, if it is not WithPreprocessing(classifier). Raises ImportError without onnx and onnxscript.
    """
    if missing := missing_for_onnx():
        raise ImportError(missing)
    import onnx

    network = copy.deepcopy(WithPreprocessing(classifier) if network is None else network).cpu().eval()
    example = torch.zeros(2, 3, classifier.size, classifier.size, dtype=torch.uint8)
    aside = io.StringIO()  # what the exporter prints of its progress
    with quiet("torch.onnx", "onnxscript", "torch.export"), redirect_stdout(aside), redirect_stderr(aside):
        program = torch.onnx.export(
            network, (example,), input_names=["images"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), dynamo=True, verbose=False,
        )  # fmt: skip
    model = program.model_proto
    about = {
        "format": _FORMAT,
        "classes": json.dumps(classifier.classes),
        "size": str(classifier.size),
        "input": "uint8 RGB, 0 to 255, (N, 3, size, size): the upright picture's central square, resized with antialiasing",
        "preprocessing in the graph": json.dumps(
            {"divided by": 255, "mean": list(classifier.backbone.mean), "std": list(classifier.backbone.std)}
        ),
        "output": "logits; softmax makes probabilities of them",
        "source": classifier.source,
    }
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    Path(path).write_bytes(model.SerializeToString())
    return Path(path)


class OnnxClassifier:
    """An ONNX file that `export_onnx` wrote, run by onnxruntime on the CPU: no PyTorch takes part in its answers."""

    def __init__(self, path: str | Path):
        """Raises ImportError without onnxruntime, FileNotFoundError, ValueError for another kind of file."""
        if find_spec("onnxruntime") is None:
            raise ImportError(missing_for_onnx())
        import onnxruntime

        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
            about = self.session.get_modelmeta().custom_metadata_map
            self.classes, self.size = json.loads(about["classes"]), int(about["size"])
        except Exception as error:  # onnxruntime raises types of its own
            raise ValueError(f"{path} is not an ONNX file that export_onnx wrote: {error}") from error
        self.about = about

    def logits(self, images: torch.Tensor, batch_size: int = 100) -> torch.Tensor:
        """uint8 (N, 3, size, size) -> float32 (N, classes)."""
        parts = [self.session.run(["logits"], {"images": batch.numpy()})[0] for batch in images.split(batch_size)]
        return torch.cat([torch.from_numpy(part) for part in parts])


@dataclass(frozen=True)
class Agreement:
    """How far two sets of logits of the same images agree."""

    n: int
    same: int
    largest: float
    tolerance: float

    @property
    def agree(self) -> bool:
        """Whether every image gets the same class, and no logit differs by more than the tolerance."""
        return self.same == self.n and self.largest <= self.tolerance

    def __repr__(self) -> str:
        seen = f"{self.same} of {self.n} images get the same class"
        if self.agree:
            return f"they agree: {seen}, no logit differs by more than {self.tolerance:g}"
        return f"THEY DO NOT AGREE: {seen}, logits differ by up to {self.largest:.2g} (allowed: {self.tolerance:g})"


def compare_logits(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-4) -> Agreement:
    """Compare the logits (N, classes) that two programs give for the same images. Raises ValueError for shapes that differ."""
    if one.shape != other.shape or one.ndim != 2 or not len(one):
        raise ValueError(f"cannot compare logits {tuple(one.shape)} with {tuple(other.shape)}: both must be (N, classes)")
    same = int((one.argmax(1) == other.argmax(1)).sum())
    return Agreement(len(one), same, float((one - other).abs().max()), tolerance)
