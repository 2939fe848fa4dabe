"""Classifiers of Hugging Face's transformers as plain networks: a batch of images in, logits out, one stage after another.

Their own forward passes hand dictionaries around and decide by what they see, which no cut can follow. Here are the same
steps, in the same order and with the same modules, for the families whose stages follow one another; `load_from_hub`
compares the outcome with that of the original before it hands a network out.
"""

import torch
from torch import Tensor, nn


class Chain(nn.Module):
    """The modules of a classifier of transformers under their own names, so that its state_dict stays the same.

    family: one of FAMILIES, as the model's config calls it ("model_type"). images (N, 3, S, S) -> logits (N, classes).
    """

    def __init__(self, model: nn.Module, family: str):
        super().__init__()
        self.family, self.body = family, model.base_model_prefix
        for name, child in model.named_children():
            self.add_module(name, child)

    def forward(self, images: Tensor) -> Tensor:
        return FAMILIES[self.family](self, getattr(self, self.body), images)


def _resnet(whole, body, x):
    x = body.embedder(x)
    for stage in body.encoder.stages:
        x = stage(x)
    return whole.classifier(body.pooler(x))


def _convnext(whole, body, x):
    x = body.embeddings(x)
    for stage in body.encoder.stages:
        x = stage(x)
    return whole.classifier(body.layernorm(x.mean([-2, -1])))


def _vit(whole, body, x):
    x = body.embeddings(x)
    for layer in body.layers:
        x = layer(x)
    return whole.classifier(body.layernorm(x)[:, 0, :])


def _dinov2(whole, body, x):
    x = body.embeddings(x)
    for layer in body.encoder.layer:
        x = layer(x)
    x = body.layernorm(x)
    return whole.classifier(torch.cat([x[:, 0], x[:, 1:].mean(dim=1)], dim=1))


def _swin(whole, body, x):
    x, _ = body.embeddings(x)
    grid = body.embeddings.patch_grid
    for stage in body.encoder.layers:
        x = stage(x, grid)[0]
        if stage.downsample is not None:
            grid = tuple((length + 1) // 2 for length in grid)
    pooled = body.pooler(body.layernorm(x).transpose(1, 2))
    return whole.classifier(torch.flatten(pooled, 1))


def _mobilenet(whole, body, x):
    x = body.conv_stem(x)
    for layer in body.layer:
        x = layer(x)
    if hasattr(body, "conv_1x1"):
        x = body.conv_1x1(x)
    return whole.classifier(whole.dropout(torch.flatten(body.pooler(x), start_dim=1)))


FAMILIES = {
    "resnet": _resnet,
    "regnet": _resnet,
    "convnext": _convnext,
    "convnextv2": _convnext,
    "vit": _vit,
    "deit": _vit,
    "dinov2": _dinov2,
    "swin": _swin,
    "mobilenet_v1": _mobilenet,
    "mobilenet_v2": _mobilenet,
}
