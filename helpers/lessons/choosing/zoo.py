"""Popular pretrained models: a table from torchvision's metadata, and a figure of what accuracy costs."""

import pandas
import torchvision
from matplotlib.transforms import Bbox
from torchvision.models import get_model_weights, list_models

from helpers.notebook.figures import COLOURS, new_axes, styled

PAPERS = {  # by the beginning of a model's name, the longest that fits: (year, family, paper)
    "alexnet": (2012, "AlexNet", "Krizhevsky et al., ImageNet classification with deep convolutional neural networks"),
    "vgg": (2014, "VGG", "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition"),
    "googlenet": (2014, "Inception", "Szegedy et al., Going deeper with convolutions"),
    "inception_v3": (2015, "Inception", "Szegedy et al., Rethinking the Inception architecture for computer vision"),
    "resnet": (2015, "ResNet", "He et al., Deep residual learning for image recognition"),
    "squeezenet": (2016, "SqueezeNet", "Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters"),
    "wide_resnet": (2016, "ResNet", "Zagoruyko and Komodakis, Wide residual networks"),
    "densenet": (2016, "DenseNet", "Huang et al., Densely connected convolutional networks"),
    "resnext": (2016, "ResNet", "Xie et al., Aggregated residual transformations for deep neural networks"),
    "mobilenet_v2": (2018, "MobileNet", "Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks"),
    "shufflenet_v2": (2018, "ShuffleNet", "Ma et al., ShuffleNet V2: practical guidelines for efficient CNN design"),
    "mnasnet": (2018, "MNASNet", "Tan et al., MnasNet: platform-aware neural architecture search for mobile"),
    "mobilenet_v3": (2019, "MobileNet", "Howard et al., Searching for MobileNetV3"),
    "efficientnet": (2019, "EfficientNet", "Tan and Le, EfficientNet: rethinking model scaling for CNNs"),
    "regnet": (2020, "RegNet", "Radosavovic et al., Designing network design spaces"),
    "vit": (2020, "ViT", "Dosovitskiy et al., An image is worth 16x16 words"),
    "efficientnet_v2": (2021, "EfficientNet", "Tan and Le, EfficientNetV2: smaller models and faster training"),
    "swin": (2021, "Swin", "Liu et al., Swin Transformer: hierarchical vision Transformer using shifted windows"),
    "swin_v2": (2021, "Swin", "Liu et al., Swin Transformer V2: scaling up capacity and resolution"),
    "convnext": (2022, "ConvNeXt", "Liu et al., A ConvNet for the 2020s"),
    "maxvit": (2022, "MaxViT", "Tu et al., MaxViT: multi-axis vision Transformer"),
}
UNSTATED = "not stated"  # torchvision's README: the weights may have licences of their own, derived from the dataset
GROUPS = {  # a colour and a marker each in the figure
    "ResNet": "o", "EfficientNet": "s", "VGG": "D", "MobileNet": "^", "ViT": "v", "ConvNeXt": "P", "others": ".",
}  # fmt: skip
NAMED = ("vgg16", "alexnet", "squeezenet1_0", "vit_h_14", "vit_b_16", "resnet18", "resnet50", "mobilenet_v3_small",
         "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "efficientnet_v2_l", "densenet121", "googlenet",
         "regnet_y_128gf", "shufflenet_v2_x0_5")  # fmt: skip

OFFSETS = ((8, 0, "left"), (-8, 0, "right"), (0, -12, "center"), (0, 12, "center"), (6, -10, "left"), (-6, 10, "right"),
           (-6, -10, "right"), (6, 10, "left"), (-10, 18, "right"), (10, -18, "left"))  # points from a point to its name


def pretrained_models(names=None) -> pandas.DataFrame:
    """A row a classifier of torchvision with weights, from torchvision's metadata, without downloading anything.

    names: which, default all. Columns: family, year and paper of the architecture (from this file); weights (the default
    ones, trained or fine-tuned on ImageNet-1k), parameters (millions), GFLOPs (billions of multiply-adds for one image
    at its native size), MB (the file), accuracy % (top-1 on ImageNet-1k's validation images, as torchvision measured
    it), pixels (native width and height), licence (of the weights; "not stated" where the metadata say nothing), recipe
    (how they were trained). Raises ValueError for a name that torchvision does not have.
    """
    known = list_models(module=torchvision.models)
    if unknown := [name for name in names or () if name not in known]:
        raise ValueError(f"torchvision has no classifier {unknown[0]!r}; list_models(module=torchvision.models) lists them")
    rows = {}
    for name in names or known:
        weights = get_model_weights(name)["DEFAULT"]
        meta, preset = weights.meta, weights.transforms()
        year, family, paper = PAPERS[max((start for start in PAPERS if name.startswith(start)), key=len)]
        rows[name] = {
            "family": family, "year": year, "weights": weights.name, "parameters": meta["num_params"] / 1e6,
            "GFLOPs": meta["_ops"], "MB": meta["_file_size"], "accuracy %": meta["_metrics"]["ImageNet-1K"]["acc@1"],
            "pixels": preset.crop_size[0], "licence": meta.get("license", UNSTATED), "recipe": meta["recipe"],
            "paper": paper,
        }  # fmt: skip
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("model").round({"parameters": 1, "MB": 0})


def best_within(models: pandas.DataFrame, gflops: float = float("inf"), megabytes: float = float("inf")) -> pandas.DataFrame:
    """The models of a table that cost no more than this, the most accurate first."""
    fits = models[(models["GFLOPs"] <= gflops) & (models["MB"] <= megabytes)]
    if fits.empty:
        raise ValueError(f"no model costs at most {gflops} GFLOPs and {megabytes} MB; the least are "
                         f"{models['GFLOPs'].min()} GFLOPs and {models['MB'].min():.0f} MB")  # fmt: skip
    return fits.sort_values("accuracy %", ascending=False)


def best_for_cost(models: pandas.DataFrame) -> list[str]:
    """The Pareto front: models that no other beats in both GFLOPs and accuracy, the cheapest first."""
    best, kept = -1.0, []
    for name, row in models.sort_values(["GFLOPs", "accuracy %"], ascending=[True, False]).iterrows():
        if row["accuracy %"] > best:
            best, kept = row["accuracy %"], [*kept, name]
    return kept


@styled
def plot_models(models: pandas.DataFrame):
    """ImageNet accuracy against GFLOPs (logarithmic), a point a model; a line joins those that no other beats on both.

    Names are written where they cover no point and no other name.
    """
    figure, ((axis,),) = new_axes(1, 1, (10.5, 6.2))
    groups = models.family.where(models.family.isin(GROUPS), "others")
    for (group, marker), colour in zip(GROUPS.items(), COLOURS, strict=True):
        part = models[groups == group]
        axis.plot(part["GFLOPs"], part["accuracy %"], marker, color=colour, label=group, markersize=8, alpha=0.85)
    frontier = models.loc[best_for_cost(models)]
    axis.plot(frontier["GFLOPs"], frontier["accuracy %"], color="0.55", linewidth=1.2, zorder=0, label="none better\nand cheaper")
    axis.set(xscale="log", xlabel="billions of multiply-adds for one image", ylabel="ImageNet top-1 accuracy, %")
    axis.set_xlim(models["GFLOPs"].min() / 1.5, models["GFLOPs"].max() * 2.5)
    axis.legend(loc="lower right", fontsize=10)
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")
    _name_points(axis, models, [name for name in NAMED if name in models.index])
    return figure


def _name_points(axis, all_models: pandas.DataFrame, names) -> list:
    """Write names next to their points, where they cover nothing; returns the annotations."""
    positions = axis.transData.transform(all_models[["GFLOPs", "accuracy %"]].to_numpy(float))
    taken = [axis.get_legend().get_window_extent(), *(Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in positions)]
    frame, written = axis.get_window_extent(), []
    for name in names:
        point = tuple(all_models.loc[name, ["GFLOPs", "accuracy %"]])
        for dx, dy, side in OFFSETS:
            text = axis.annotate(name, point, (dx, dy), textcoords="offset points", ha=side, va="center", fontsize=10)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken) and frame.contains(*box.min) and frame.contains(*box.max):
                taken.append(box)
                written.append(text)
                break
            text.remove()
    return written
