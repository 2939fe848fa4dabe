"""Scores of a source for a target, computed before anything is trained: LogME and a linear probe.

Both look at the features of the target's training images and at their labels; neither sees a validation or test image.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.sources.backbones import Backbone
from helpers.stages import split
from helpers.training.devices import borrowed
from helpers.training.features import extract

GRID = 200  # values of the ratio of the two precisions that are tried, twice


def source_features(backbone: Backbone, images: Tensor) -> Tensor:
    """The input of the source model's head for uint8 images (N, 3, S, S): float32 (N, D), on the CPU.

    Where the head is a convolution whose answers are averaged over all places (SqueezeNet), its input is averaged, too.
    """
    with borrowed(backbone.model):
        features = extract(split(backbone.model, -1)[0], images, backbone).cpu()
    return features.mean((2, 3)) if features.ndim == 4 else features.flatten(1)


def logme(features: Tensor, labels: Tensor) -> float:
    """The log of the maximum evidence of a Bayesian linear model of the labels given the features, per image.

    features (N, D), labels int64 (N,). For each class, its labels (1 or 0) are a linear function of the features with
    normal weights of precision a, plus normal noise of precision b; a and b are those under which the labels are most
    probable. The mean over the classes. Higher is better; only differences between sources on the same images count.
    With F = U S V', the evidence depends on a and b through the ratio t = a / b alone once b is at its best for that
    ratio, so that a search along one line finds the maximum.

    Raises ValueError for features or labels of another shape, features that are not finite, and a single class.
    Source: You et al., LogME: practical assessment of pre-trained models for transfer learning, ICML 2021.
    """
    x, y = _checked(features, labels)
    n = len(x)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    along = (u.T @ y) ** 2  # (r, K): what of the labels lies along each direction of the features
    beside = (y**2).sum(0) - along.sum(0)  # and outside all of them
    top = 2 * math.log10(max(s[0].item(), 1e-12))
    exponents = torch.linspace(top - 12, top + 6, GRID, dtype=torch.float64)[:, None].expand(-1, y.shape[1])
    for _ in range(3):  # ever finer around the best value of each class
        t = 10**exponents[:, None]  # (GRID, 1, K)
        error = (along * t / (t + s[:, None] ** 2)).sum(1) + beside.clamp(min=0)
        volume = torch.log1p(s[:, None] ** 2 / t).sum(1)
        evidence = 0.5 * (torch.log(n / error.clamp(min=1e-12)) - math.log(2 * math.pi) - 1 - volume / n)
        best, at = evidence.max(0)
        step = exponents[1] - exponents[0]
        middle = exponents.gather(0, at[None])
        exponents = middle + step * torch.linspace(-1, 1, GRID, dtype=torch.float64)[:, None]
    return best.mean().item()


def linear_probe(features: Tensor, labels: Tensor) -> float:
    """Leave-one-out accuracy of a linear classifier, 0..1: each image is classified by one that was fitted to all others.

    features (N, D), labels int64 (N,). Ridge regression on standardised features, whose leave-one-out predictions need no
    refitting; the best of four penalties counts. Raises ValueError as `logme` does.
    Source: Hastie et al., The elements of statistical learning, section 7.10 (leave-one-out by the hat matrix).
    """
    x, y = _checked(features, labels)
    x = (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
    values, vectors = torch.linalg.eigh(x @ x.T + 1e-9 * torch.eye(len(x)))
    labels, accuracies = y.argmax(1), []
    for strength in (0.01, 0.1, 1.0, 10.0):
        penalty = strength * values.mean()
        hat = vectors * (values / (values + penalty)) @ vectors.T + 1 / len(x)  # 1 / N: for the mean, which is fitted, too
        own = hat.diagonal()[:, None]
        answers = (hat @ y - own * y) / (1 - own)
        accuracies.append((answers.argmax(1) == labels).double().mean().item())
    return max(accuracies)


def _checked(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features float64 (N, D), and the labels as 0 and 1: float64 (N, K)."""
    if features.ndim != 2 or labels.shape != features.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"features must be (N, D) and labels whole numbers (N,), got {tuple(features.shape)} and {tuple(labels.shape)} "
            f"of {labels.dtype}"
        )
    if not features.isfinite().all():
        raise ValueError("features must be finite: the source model gives NaN or infinity for these images")
    present = labels.unique(return_inverse=True)
    if len(present[0]) < 2 or len(features) < 3:
        raise ValueError(f"a score needs two classes and three images at least, got {len(present[0])} and {len(features)}")
    return features.detach().cpu().double(), F.one_hot(present[1]).cpu().double()
