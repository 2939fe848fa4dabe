"""Every torchvision classifier, families of timm, and the ImageNet network that is installed with the course; quickly: small
images, cheap weights, only the shapes of giants.
"""

import warnings
from contextlib import contextmanager
from unittest import mock

import pytest
import timm
import torch
import torchvision
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode
from torchvision.models import get_model, get_model_weights, list_models

from helpers.freezing import parameter_groups
from helpers.sources.backbones import load_backbone
from helpers.sources.from_package import EFFICIENTNET

NAMES = list_models(module=torchvision.models)
GIANTS = {
    "convnext_large": "198 M parameters",
    "efficientnet_v2_l": "118 M parameters in 1409 modules",
    "regnet_y_128gf": "645 M parameters",
    "vit_h_14": "633 M parameters",
    "vit_l_16": "304 M parameters",
    "vit_l_32": "306 M parameters",
}
SMALL_VIT = {"img_size": 32, "embed_dim": 24, "depth": 3, "num_heads": 3}
TIMM = {  # family: a small one of it, and what makes it smaller
    "timm:resnet": ("test_resnet", {}),
    "timm:convnext": ("test_convnext", {}),
    "timm:efficientnet": ("test_efficientnet", {}),
    "timm:mobilenetv3": ("mobilenetv3_small_050", {}),
    "timm:regnet": ("regnetx_002", {}),
    "timm:densenet": ("densenet121", {"growth_rate": 8, "block_config": (1, 1, 1, 1)}),
    "timm:mixer": ("MlpMixer", {"img_size": 32, "patch_size": 16, "num_blocks": 2, "embed_dim": 16}),
    "timm:vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "timm:deit": ("deit_tiny_patch16_224", SMALL_VIT),
    "timm:deit3": ("deit3_small_patch16_224", SMALL_VIT),
    "timm:dinov2": ("vit_small_patch14_reg4_dinov2", SMALL_VIT | {"patch_size": 16, "num_classes": 3}),
    "timm:beit": ("beit_base_patch16_224", SMALL_VIT),
    "timm:cait": ("cait_xxs24_224", SMALL_VIT),
    "timm:swin": ("swin_tiny_patch4_window7_224",
                  {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2)}),
    "timm:nfnet": ("test_nfnet", {}),
    "timm:byobnet": ("test_byobnet", {}),
    "timm:coatnet": ("test_coatnet", {"img_size": 64}),
    "timm:maxvit": ("test_maxvit", {"img_size": 64}),
}  # fmt: skip
NOISE = torch.rand(1_000_003, generator=torch.Generator().manual_seed(0)) * 2 - 1


def smallest_size(name: str) -> int:
    """The width and height of the images that `name` is tested on."""
    if name in TIMM:
        return TIMM[name][1].get("img_size", 32)
    if name == EFFICIENTNET:
        return 32
    if name.startswith("vit"):
        return 2 * int(name[-2:])  # build() makes it for 2 x 2 patches
    if name.startswith("swin"):
        return 64
    return max(32, *get_model_weights(name).DEFAULT.meta["min_size"])


def build(name: str, meta: bool = False, **settings) -> nn.Module:
    """A model with cheap random weights (the same at each call), or on the meta device: shapes without values.

    Those of timm are small and real, and the network that is installed with the course has its own weights.
    """
    if name in TIMM:
        return _of_timm(*TIMM[name])
    if name == EFFICIENTNET:
        return load_backbone(name).model
    if name.startswith("vit"):
        settings["image_size"] = smallest_size(name)
    if meta:
        with shapes_only():
            return get_model(name, weights=None, **settings)
    with without_initialising():
        model = get_model(name, weights=None, **settings)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            _fill(parameter, centre=float(parameter.ndim < 2 and key.endswith("weight")))
    return model


def _of_timm(name: str, settings: dict) -> nn.Module:
    if not hasattr(timm.models, name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(timm.models, name)(**settings)


@contextmanager
def without_initialising():
    """Parameters that are made in here keep the values that the memory has: no time goes into random numbers."""
    keep = lambda *args, **kwargs: (*args, *kwargs.values())[0]
    initialisers = {name: keep for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")}
    with warnings.catch_warnings(), mock.patch.multiple(nn.init, **initialisers):
        warnings.simplefilter("ignore")  # googlenet and inception_v3 announce another initialisation
        yield


@contextmanager
def shapes_only():
    """Networks that are made in here have parameters without values, on the meta device."""
    with without_initialising(), _ParametersOnMeta():
        yield


def same(model: nn.Module, other: nn.Module | dict[str, torch.Tensor]) -> bool:
    """Whether two models, or a model and a state_dict, hold the same tensors bitwise."""
    one, other = model.state_dict(), other if isinstance(other, dict) else other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def batch(size: int, meta: bool = False, n: int = 4, classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 3, size, size) and labels (n,)."""
    generator = torch.Generator().manual_seed(size)
    images = torch.randn(n, 3, size, size, generator=generator)
    labels = torch.arange(n) % classes
    return (images.to("meta"), labels.to("meta")) if meta else (images, labels)


class Learner(LightningModule):
    """Trains a model under Lightning as its users do: AdamW, one-cycle learning rates, dropout that differs by step."""

    def __init__(self, model: nn.Module, groups: list[dict] | None = None):
        super().__init__()
        self.model = model
        self.groups = groups

    def training_step(self, batch, index):
        torch.manual_seed(self.global_step)
        images, labels = batch
        return cross_entropy(self.model(images), labels)

    def validation_step(self, batch, index):
        images, labels = batch
        self.log("loss", cross_entropy(self.model(images), labels))

    def configure_optimizers(self):
        groups = parameter_groups(self.model, lr=1e-3, weight_decay=0.1) if self.groups is None else self.groups
        optimizer = torch.optim.AdamW(groups)
        rates = [group["lr"] for group in optimizer.param_groups]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=8)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def quiet_trainer(**settings) -> Trainer:
    """A Trainer on the CPU that writes no files and prints nothing."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **{**quiet, **settings})


class _ParametersOnMeta(TorchFunctionMode):
    """Make parameters without memory; index tables, which are computed, stay real."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def _fill(parameter: torch.Tensor, centre: float) -> None:
    """Noise of a size that keeps activations about the same from layer to layer."""
    flat = parameter.view(-1)
    fan_in = max(1, parameter.numel() // len(parameter)) if parameter.ndim > 1 else 100
    for start in range(0, len(flat), len(NOISE)):
        piece = flat[start : start + len(NOISE)]
        torch.mul(NOISE[: len(piece)], (6 / fan_in) ** 0.5, out=piece)
    if centre:
        flat.add_(centre)
