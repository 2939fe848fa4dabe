"""What training does to each stage: the gradients that reach it, and how far its weights and features move."""

import copy
from contextlib import ExitStack

import pandas
import torch
from torch import nn
from torch.nn import functional as F

from helpers.heads import mode
from helpers.stages import Stage, stages


def gradient_norms(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> pandas.Series:
    """The norm of the gradient of the cross-entropy of one batch, for each stage that has parameters.

    images: normalised float32 (N, 3, H, W); labels: int64 (N,). The model, its gradients and its running statistics
    are left alone: a copy is asked. Frozen stages have 0. Raises ValueError if nothing trains.
    """
    trial = copy.deepcopy(model)
    trial.zero_grad()
    _loss(trial, images, labels).backward()
    return pandas.Series(_norms(stages(trial)), name="gradient norm")


def weights_moved(model: nn.Module, source: nn.Module) -> pandas.Series:
    """How far the weights of each stage before the head are from the source's: |w - w0| / |w0|, with 0 for the same.

    Raises ValueError if the two do not have the same stages and shapes.
    """
    moved = {}
    for stages_of_both in zip(*_bodies(model, source), strict=True):
        new, old = (torch.cat([parameter.detach().flatten() for parameter in stage.parameters]) for stage in stages_of_both)
        moved[stages_of_both[0].name] = ((new - old).norm() / old.norm().clamp(min=1e-12)).item()
    return pandas.Series(moved, name="weights moved")


@torch.no_grad()
def features_moved(model: nn.Module, source: nn.Module, images: torch.Tensor, batch_size: int = 250) -> pandas.Series:
    """How far the features after each stage before the head are from the source model's, for the same images.

    |f - f0| / |f0|, the mean over the images: 0 means unchanged, 1 that they moved as far as they are long. Both networks
    are evaluated in evaluation mode and get their modes back. images: normalised float32 (N, 3, H, W).
    Raises ValueError if the two do not have the same stages, or there are no images.
    """
    if len(images) == 0:
        raise ValueError("features_moved needs at least one image")
    parts = _bodies(model, source)
    total = {stage.name: 0.0 for stage in parts[0]}
    for batch in images.split(batch_size):
        new, old = (_handed_on(net, part, batch) for net, part in zip((model, source), parts, strict=True))
        for name in total:
            a, b = new[name].flatten(1), old[name].flatten(1)
            total[name] += ((a - b).norm(dim=1) / b.norm(dim=1).clamp(min=1e-12)).sum().item()
    return pandas.Series({name: value / len(images) for name, value in total.items()}, name="features moved")


def _loss(model, images, labels):
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("no parameter of this model trains: freeze(model, 0) unfreezes all of it")
    return F.cross_entropy(model(images), labels)


def _norms(parts: list[Stage]) -> dict[str, float]:
    return {
        stage.name: sum((p.grad.norm() ** 2).item() for p in stage.parameters if p.grad is not None) ** 0.5
        for stage in parts
        if stage.parameters
    }


def _bodies(model: nn.Module, source: nn.Module) -> tuple[list[Stage], list[Stage]]:
    """The stages with parameters before the head, of both."""
    bodies = [[stage for stage in stages(net)[:-1] if stage.parameters] for net in (model, source)]
    shapes = [[(stage.name, [p.shape for p in stage.parameters]) for stage in body] for body in bodies]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"cannot compare a {type(model).__name__} with a {type(source).__name__}: their stages before the head differ"
        )
    return bodies[0], bodies[1]


def _handed_on(model: nn.Module, body: list[Stage], images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The input of the next stage that has parameters, for each stage of the body: after pooling or activation, if any."""
    followers = [stage.name for stage in body[1:]] + [stages(model)[-1].name]
    taken: dict[str, torch.Tensor] = {}
    with mode(model, training=False), ExitStack() as hooks:
        for stage, after in zip(body, followers, strict=True):

            def keep(module, inputs, name=stage.name):
                taken[name] = inputs[0].detach().clone()  # the next stage may work in place

            hooks.enter_context(model.get_submodule(after).register_forward_pre_hook(keep))
        model(images)
    return taken
