"""Confidence and calibration: how sure a network is, temperature scaling, and telling known images from unknown ones."""

import math

import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc, multiclass_calibration_error

from helpers.notebook.figures import COLOURS, entry, new_axes, styled
from helpers.training.intervals import wilson

BINS = 15  # of the calibration error, as in Guo et al., 2017


def confidence(logits: torch.Tensor) -> torch.Tensor:
    """The largest predicted probability of each image: logits (N, classes) -> (N,), 0..1."""
    return _logits(logits).softmax(1).amax(1)


def sure(logits: torch.Tensor, level: float = 0.9) -> tuple[float, float, float]:
    """The share of images with a confidence above `level`, and its 95% interval (Wilson): all 0..1.

    logits: (N, classes). Raises ValueError for another shape, no images, or a level outside 0..1.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"level={level!r} must be a probability, from 0 to 1")
    share = (confidence(logits) > level).double().mean().item()
    return share, *wilson(share, len(logits))


def known_from_unknown(known: torch.Tensor, unknown: torch.Tensor) -> float:
    """Area under the ROC curve of telling known from unknown images by a score, such as the confidence.

    known, unknown: scores (N,) and (M,), 0..1, higher for an image that the network takes for known. The result is the
    share of pairs, one of each, in which the known image has the higher score: 0.5 is chance, 1.0 is perfect.
    Raises ValueError for scores outside 0..1 (torchmetrics would squeeze them, which can make different scores equal).
    """
    scores = torch.cat([known, unknown]).float()
    if not len(known) or not len(unknown) or not bool(((scores >= 0) & (scores <= 1)).all()):
        raise ValueError("known and unknown must both hold scores from 0 to 1, such as confidences")
    labels = torch.cat([torch.ones(len(known)), torch.zeros(len(unknown))]).long()
    return binary_auroc(scores, labels).item()


def calibration_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Expected calibration error, 0..1: the mean distance between confidence and accuracy over 15 bins of confidence.

    logits (N, classes), labels int64 (N,). Source: Guo et al., On calibration of modern neural networks, 2017.
    """
    logits = _logits(logits)
    return multiclass_calibration_error(logits.softmax(1), labels, logits.shape[1], n_bins=BINS).item()


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature: the number that logits are divided by so that the cross-entropy on these images is lowest.

    logits (N, classes), labels int64 (N,): of *validation* images. Above 1 the network was overconfident.
    Source: Guo et al., 2017. Raises ValueError for another shape, and where no finite temperature is best, as when every
    prediction is correct.
    """
    logits, labels = _logits(logits).double(), torch.as_tensor(labels)
    if labels.shape != logits.shape[:1]:
        raise ValueError(f"logits {tuple(logits.shape)} need as many labels, got {tuple(labels.shape)}")
    if bool((logits.argmax(1) == labels).all()):
        raise ValueError("every prediction is correct, so the best temperature is 0: use more images")
    loss = lambda power: F.cross_entropy(logits / math.exp(power), labels).item()  # has one minimum
    temperature = math.exp(minimize_scalar(loss, bounds=(math.log(1e-3), math.log(1e3)), options={"xatol": 1e-9}).x)
    if not 2e-3 < temperature < 5e2:
        raise ValueError(f"no temperature fits these predictions: the search ended at {temperature:.3g}")
    return temperature


@styled
def plot_confidence(groups: dict[str, torch.Tensor], threshold: float | None = None) -> Figure:
    """For each group of images (name: confidences (N,), 0..1), the share with a confidence above each level, as curves.

    threshold: a vertical line. At 0.9, the curve shows the share of images with a confidence above 0.9.
    """
    figure, ((axis,),) = new_axes(1, 1, (7.2, 3.8))
    for i, (name, values) in enumerate(groups.items()):
        levels, shares = values.sort().values, 100 * (1 - torch.arange(len(values)) / len(values))
        axis.step(levels, shares, where="post", color=COLOURS[i], label=entry(f"{name} (n = {len(values)})"),
                  linestyle=("-", (0, (6, 2)), (0, (2, 1.5)))[i % 3])  # fmt: skip
    if threshold is not None:
        axis.axvline(threshold, color="0.3", linewidth=1.3, linestyle=":")
        axis.annotate("threshold", (threshold, 101), ha="center", va="bottom", fontsize=10, annotation_clip=False)
    axis.set(xlabel="confidence", ylabel="% of the images above it", xlim=(0.25, 1.005), ylim=(0, 101))
    axis.legend(loc="lower left", fontsize=10)
    return figure


def _logits(logits: torch.Tensor) -> torch.Tensor:
    logits = torch.as_tensor(logits)
    if logits.dim() != 2 or not logits.numel() or not logits.is_floating_point():
        raise ValueError(f"expected logits (N, classes), got {logits.dtype} {tuple(logits.shape)}")
    return logits.detach()
