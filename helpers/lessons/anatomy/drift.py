"""How far the BatchNorm of a "frozen" backbone drifts, and what linear regression finds in features."""

import copy
import time

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.freezing import freeze
from helpers.lessons.studies import study_of
from helpers.sources.backbones import load_backbone
from helpers.stages import split
from helpers.training.features import extract
from helpers.training.steps import fit_head
from helpers.training.study import Study


def batchnorm_drift(known, seen, steps=(0, 2, 5, 10, 20, 50), seeds: int = 3, *, frozen: str = "requires_grad") -> Study:
    """A Study of a head whose "frozen" backbone is in training mode: no parameter changes, its BatchNorm statistics do.

    A head is fitted to the features of the task `known`. Then the backbone sees batches of 32 training images of the
    task `seen`, forward only and with requires_grad=False everywhere, before the test images of `known` are classified.
    frozen: "requires_grad" alone, or "h.freeze". Conditions: known, seen, frozen, steps. Further columns: features and
    statistics, how far the test features and the running means and standard deviations have moved (in % of their length
    before); refitted, the accuracy in % of a newly fitted head.
    """
    backbone, rows = load_backbone("garden"), []
    for seed in range(seeds):
        started = time.perf_counter()
        model = copy.deepcopy(backbone.model)
        model.requires_grad_(False) if frozen == "requires_grad" else freeze(model, -1).requires_grad_(False)
        here, there = known.draw(seed), seen.draw(seed)
        prefix, images = split(model, -1)[0], there.train.pixels
        head = fit_head(extract(prefix, here.train.pixels, backbone), here.train.labels, len(here.classes), seed)
        rng, step, before = torch.Generator().manual_seed(seed), 0, None
        for stop in steps:
            model.train()
            with torch.no_grad():
                for _ in range(step, stop):  # continues where the last stretch ended
                    model(backbone.normalise(images[torch.randperm(len(images), generator=rng)[:32]]))
            step = stop
            features, statistics = extract(prefix.eval(), here.test.pixels, backbone), _statistics(model)
            before = before or (features, statistics)
            refitted = fit_head(extract(prefix, here.train.pixels, backbone), here.train.labels, len(here.classes), seed)
            also = {"features": _moved(features, before[0]), "statistics": _moved(statistics, before[1]),
                    "refitted": 100 * (refitted(features).argmax(1) == here.test.labels).double().mean().item()}  # fmt: skip
            rows.append({"known": known.name, "seen": seen.name, "frozen": frozen, "steps": stop, "seed": seed,
                         "correct": head(features).argmax(1) == here.test.labels, "also": also,
                         "seconds": round(time.perf_counter() - started, 3)})  # fmt: skip
    return study_of("a frozen backbone in training mode", rows)


def _statistics(model: nn.Module) -> torch.Tensor:
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return torch.cat([x for layer in layers for x in (layer.running_mean, layer.running_var.sqrt())])


def _moved(now: torch.Tensor, before: torch.Tensor) -> float:
    return 100 * ((now - before).norm() / before.norm()).item()


def explained(features: torch.Tensor, values: torch.Tensor, test_features: torch.Tensor, test_values: torch.Tensor,
              penalty: float = 10.0) -> float:  # fmt: skip
    """R2 on test images of a linear (ridge) regression from features float32 (N, D) to values float (N,)."""
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    x, test = ((f - mean) / spread for f in (features, test_features))
    middle = values.mean()
    weights = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ (values - middle))
    errors = test @ weights + middle - test_values
    return 1 - (errors.square().sum() / (test_values - test_values.mean()).square().sum()).item()
