"""What BatchNorm layers do while a network is fine-tuned, in frozen stages too."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.freezing import stay_in_eval

BATCHNORM = ("live", "frozen", "statistics", "re-estimated")


def set_batchnorm(model: nn.Module, how: str, images: torch.Tensor | None = None) -> nn.Module:
    """Treat all BatchNorm layers of a model alike, whether their stages are frozen or not; in place.

    how  "live"          normalise by the batch and go on averaging, in frozen stages too: what a backbone does that
                         only has requires_grad=False and is put into training mode
         "frozen"        normalise by the source's running statistics; scale and shift do not train
         "statistics"    as "live", but scale and shift do not train
         "re-estimated"  as "frozen", after the running statistics were measured anew on `images`, normalised
                         float32 (N, 3, H, W)

    Call it after `freeze`, which sets modes and requires_grad anew. A live layer normalises by the batch only where gradients
    are recorded, so that validation and prediction use its running statistics.
    Raises ValueError for another `how`, "re-estimated" without images, and a model without BatchNorm.
    Source of the four: Ioffe and Szegedy, 2015 (live); Li et al., Revisiting batch normalization, 2016 (re-estimated).
    """
    if how not in BATCHNORM:
        raise ValueError(f"how={how!r} must be one of {', '.join(map(repr, BATCHNORM))}")
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no BatchNorm layers")
    if how == "re-estimated":
        if images is None:
            raise ValueError('"re-estimated" needs the images to measure the statistics on')
        reestimate(model, images)
    release_batchnorm(model)
    for layer in layers:
        if how != "live":
            layer.requires_grad_(False)
        if how in ("frozen", "re-estimated"):
            layer.eval()
        layer.register_forward_pre_hook(stay_in_eval if how in ("frozen", "re-estimated") else follow_the_batch)
    return model


@torch.no_grad()
def reestimate(model: nn.Module, images: torch.Tensor, batch_size: int = 100) -> None:
    """Measure the running statistics of all BatchNorm layers anew: the mean over the batches of `images`."""
    modes = {module: module.training for module in model.modules()}
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    hooks = [layer.register_forward_pre_hook(_train) for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over all batches
    for batch in images.tensor_split(-(-len(images) // batch_size)):
        model(batch)
    for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
        layer.momentum = momentum
        hook.remove()
    for module, training in modes.items():
        module.training = training


def release_batchnorm(model: nn.Module) -> None:
    """Undo what `set_batchnorm` does in training; parameters and statistics keep their values."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            hooks = module._forward_pre_hooks
            for key in [key for key, hook in hooks.items() if hook is follow_the_batch]:
                del hooks[key]


def follow_the_batch(module: nn.Module, inputs) -> None:
    """The hook of live layers: in training mode where gradients are recorded, whatever mode the stage is in."""
    module.train(torch.is_grad_enabled())


def _train(module: nn.Module, inputs) -> None:
    module.train()
