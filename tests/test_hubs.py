"""Source models of timm and of the Hugging Face hub: which pass the invariants, what comes with them, what is refused.

The hub is a stand-in on this machine; its client, the libraries and the files are the real ones.
"""

import json
import warnings

import pytest
import torch
from hub_origin import COMMIT, files_of, publish_model
from origin import Origin
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

timm = pytest.importorskip("timm", reason="the extra 'hubs' is not installed")
transformers = pytest.importorskip("transformers", reason="the extra 'hubs' is not installed")

from test_invariants import Witness, assert_equal, freezing_of, tensors_of_stages  # noqa: E402

from helpers import hubs  # noqa: E402
from helpers.backbones import load_backbone  # noqa: E402
from helpers.chains import FAMILIES, Chain  # noqa: E402
from helpers.downloads import Gone, Offline, Refused  # noqa: E402
from helpers.freezing import freeze, parameter_groups  # noqa: E402
from helpers.heads import find_head, swap_head  # noqa: E402
from helpers.ledger import summary  # noqa: E402
from helpers.saliency import class_map  # noqa: E402
from helpers.stages import part, split, stage_names, stages  # noqa: E402

SMALL_VIT = {"img_size": 32, "embed_dim": 24, "depth": 3, "num_heads": 3}
TIMM = {  # family: a small one of it, and what makes it smaller
    "resnet": ("test_resnet", {}),
    "convnext": ("test_convnext", {}),
    "efficientnet": ("test_efficientnet", {}),
    "mobilenetv3": ("mobilenetv3_small_050", {}),
    "regnet": ("regnetx_002", {}),
    "densenet": ("densenet121", {"growth_rate": 8, "block_config": (1, 1, 1, 1)}),
    "mixer": ("mixer_s32_224", {"img_size": 64}),
    "vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "deit": ("deit_tiny_patch16_224", SMALL_VIT),
    "deit3": ("deit3_small_patch16_224", SMALL_VIT),
    "dinov2": ("vit_small_patch14_reg4_dinov2", SMALL_VIT | {"patch_size": 16, "num_classes": 3}),
    "beit": ("beit_base_patch16_224", SMALL_VIT),
    "cait": ("cait_xxs24_224", SMALL_VIT),
    "swin": ("swin_tiny_patch4_window7_224",
             {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2)}),
    "nfnet": ("test_nfnet", {}),
    "byobnet": ("test_byobnet", {}),
    "coatnet": ("test_coatnet", {"img_size": 64}),
    "maxvit": ("test_maxvit", {"img_size": 64}),
}  # fmt: skip

_CNN = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_labels": 3}
_VIT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32,
        "patch_size": 8, "num_labels": 3, "hidden_dropout_prob": 0.1}  # fmt: skip
HUGGING_FACE = {  # family: its class, and what makes it small
    "resnet": ("ResNet", _CNN | {"embedding_size": 8, "layer_type": "basic"}),
    "regnet": ("RegNet", _CNN | {"embedding_size": 8, "groups_width": 8}),
    "convnext": ("ConvNext", _CNN | {"drop_path_rate": 0.1}),
    "convnextv2": ("ConvNextV2", _CNN),
    "vit": ("ViT", _VIT),
    "deit": ("DeiT", _VIT),
    "dinov2": ("Dinov2", _VIT),
    "swin": ("Swin", {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4,
                      "num_labels": 3}),
    "mobilenet_v1": ("MobileNetV1", {"image_size": 32, "depth_multiplier": 0.1, "min_depth": 4, "num_labels": 3}),
    "mobilenet_v2": ("MobileNetV2", {"image_size": 32, "depth_multiplier": 0.1, "min_depth": 4, "num_labels": 3}),
}  # fmt: skip


def original(family: str) -> nn.Module:
    """A random classifier of transformers."""
    name, small = HUGGING_FACE[family]
    config = getattr(transformers, f"{name}Config")(**small)
    return getattr(transformers, f"{name}ForImageClassification")(config)


def build(hub: str, family: str) -> tuple[nn.Module, int]:
    """A random network of a family, and the width of the images that it takes."""
    torch.manual_seed(0)
    if hub == "hf":
        return Chain(original(family), family), 32
    name, small = TIMM[family]
    return timm.create_model(name, **small), small.get("img_size", 32)


ALL = [("timm", family) for family in TIMM] + [("hf", family) for family in HUGGING_FACE]


@pytest.mark.parametrize("hub, family", ALL)
def test_I1_to_I4_hold_for_the_family(hub, family):
    (model, size), (other, _) = build(hub, family), build(hub, family)
    swap_head(model, 5)
    images, labels = torch.randn(3, 3, size, size), torch.tensor([0, 1, 4])
    names = stage_names(model)
    middle = names[len(names) // 2]

    # I4: freezing depends on the place only, and not on when the head is swapped
    model.train()
    frozen = freezing_of(freeze(model, middle))
    freeze(freeze(model, -1), 0)
    assert freezing_of(freeze(model, middle)) == frozen == freezing_of(swap_head(freeze(other.train(), middle), 5))

    # I3: one stage after the other is the model, so a cut anywhere is
    model.eval()
    found = stages(model)
    inputs, value = [None, *(stage.input for stage in found[1:]), None], images
    with torch.no_grad():
        for i, stage in enumerate(found):
            value = part(model, [stage], start=inputs[i], end=inputs[i + 1])(value)
        assert_equal(value, model(images))

    # I2, I3: what the suffix reaches is what trains, with the same gradients (autograd says which)
    model.train()
    torch.manual_seed(1)
    logits = model(images)
    cross_entropy(logits, labels).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    prefix, suffix = split(model, middle)
    model.requires_grad_(True)
    with torch.no_grad():
        features = prefix(images)
    torch.manual_seed(1)
    again = suffix(features)
    cross_entropy(again, labels).backward()
    assert_equal(again, logits)
    reached = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert reached.keys() == {name for name, gradient in gradients.items() if gradient is not None}
    assert 0 < len(reached) < len(list(model.parameters()))
    for name, gradient in reached.items():
        assert_equal(gradient, gradients[name])
    model.zero_grad()

    # I1: frozen means frozen
    freeze(model, middle)
    optimizer = torch.optim.SGD(parameter_groups(model, lr=0.01, weight_decay=0.1), momentum=0.9)
    still = Witness(tensors_of_stages(model, names[: names.index(middle)])
                    | {name: p for name, p in model.named_parameters() if not p.requires_grad})  # fmt: skip
    moving = Witness({name: p for name, p in model.named_parameters() if name in reached})
    for _ in range(2):
        cross_entropy(model.train()(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not still.changed() and moving.changed() == reached.keys()
    assert model(images).isfinite().all()


def test_every_family_of_hugging_face_that_is_accepted_is_tested():
    assert FAMILIES.keys() == HUGGING_FACE.keys()
