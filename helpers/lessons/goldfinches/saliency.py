"""Where a network looks: class activation maps, which need no gradients and so work on frozen networks, too."""

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from helpers.heads import find_head, mode
from helpers.notebook.figures import new_axes, styled
from helpers.stages import split, stage_names

POOLINGS = (nn.AdaptiveAvgPool2d,)
RESHAPINGS = (nn.Flatten, nn.Identity)


@torch.no_grad()
def class_map(model: nn.Module, images: torch.Tensor, label: int | torch.Tensor) -> torch.Tensor:
    """The evidence for a class at each position of the last feature maps: float32 (N, h, w).

    model: a network whose head is one linear layer after global average pooling, such as GardenNet, ResNets, RegNets and
    EfficientNets. images: normalised, (N, 3, H, W). label: the class, or one for each image, int64 (N,).
    The mean of a map, plus the head's bias, is the class's logit. The model stays as it was.

    Source: Zhou et al., Learning deep features for discriminative localization, 2016.
    Raises ValueError for a model of another kind, and for an invalid label.
    """
    names, head = stage_names(model), model.get_submodule(find_head(model))
    while len(names) > 2 and isinstance(model.get_submodule(names[-2]), RESHAPINGS):
        del names[-2]
    pooling = model.get_submodule(names[-2]) if len(names) > 1 else None
    if not isinstance(head, nn.Linear) or not _averages(pooling):
        raise ValueError(
            f"{type(model).__name__} ends in {' and '.join(names[-2:])}: a class activation map needs global average pooling "
            "(AdaptiveAvgPool2d(1)) and then one linear layer"
        )
    labels = torch.as_tensor(label).expand(len(images))
    if labels.is_floating_point() or len(images) and not 0 <= int(labels.min()) <= int(labels.max()) < head.out_features:
        raise ValueError(f"label={label!r} must be a class, 0 to {head.out_features - 1}")
    with mode(model, training=False):
        features = split(model, names[-2])[0](images)
    if labels.unique().numel() == 1:
        return torch.einsum("k,nkhw->nhw", head.weight[labels[0]], features)
    return torch.einsum("nk,nkhw->nhw", head.weight[labels], features)


def _averages(module: nn.Module | None) -> bool:
    """Whether it is global average pooling, perhaps wrapped together with a Flatten, as in timm."""
    inner = [part for part in module.modules() if not any(part.children())] if module else []
    steps = [part for part in inner if not isinstance(part, RESHAPINGS)]
    return len(steps) == 1 and isinstance(steps[0], POOLINGS) and steps[0].output_size in (1, (1, 1))


def enlarge(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Maps (N, h, w) as large as the pictures, (N, size, size), by bilinear interpolation."""
    return F.interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]


@styled
def plot_class_maps(images: torch.Tensor, maps: dict[str, torch.Tensor], titles=None) -> Figure:
    """A column for each picture: the picture, and below it a row for each kind of map, laid over it.

    images: uint8 (N, 3, S, S). maps: {name: (N, h, w)}; evidence for the class is red, against it blue, smoothed, and
    scaled to each picture's strongest value. Raises ValueError unless each kind has N maps.
    """
    wrong = [name for name, values in maps.items() if len(values) != len(images)]
    if wrong or not len(images):
        raise ValueError(f"give as many maps as images ({len(images)}), one at least; wrong: {', '.join(wrong) or 'images'}")
    size = images.shape[-1]
    figure, axes = new_axes(1 + len(maps), len(images), (1.7 * len(images) + 1.2, 1.7 * (1 + len(maps)) + 0.3))
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    for i, image in enumerate(images):
        axes[0][i].imshow(image.permute(1, 2, 0).numpy())
        axes[0][i].set_title(titles[i] if titles else "", fontsize=10)
    for row, (name, values) in zip(axes[1:], maps.items(), strict=True):
        for i, (axis, image) in enumerate(zip(row, images, strict=True)):
            reach = values[i].abs().max().item() or 1.0
            axis.imshow(image.float().mean(0).numpy(), cmap="gray", vmin=0, vmax=255, extent=(0, size, size, 0))
            axis.imshow(values[i].numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.5, extent=(0, size, size, 0),
                        interpolation="bicubic")  # fmt: skip
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return figure
