"""Popular pretrained models: a table from torchvision's metadata, and a figure of what accuracy costs."""

import tomllib

import pandas
import torchvision
from matplotlib.transforms import Bbox
from torchvision.models import get_model_weights, list_models

from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.study import SHIPPED

PAPERS = tomllib.loads((SHIPPED / "papers.toml").read_text(encoding="utf-8"))  # by the beginning of a model's name
UNSTATED = "not stated"  # torchvision's README: the weights may have licences of their own, derived from the dataset
GROUPS = {  # a colour and a marker each in the figure
    "ResNet": "o", "EfficientNet": "s", "VGG": "D", "MobileNet": "^", "ViT": "v", "ConvNeXt": "P", "others": ".",
}  # fmt: skip
NAMED = ("vgg16", "alexnet", "squeezenet1_0", "vit_h_14", "vit_b_16", "resnet18", "resnet50", "mobilenet_v3_small",
         "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "efficientnet_v2_l", "densenet121", "googlenet",
         "regnet_y_128gf", "shufflenet_v2_x0_5")  # fmt: skip

OFFSETS = ((8, 0, "left"), (-8, 0, "right"), (0, -12, "center"), (0, 12, "center"), (6, -10, "left"), (-6, 10, "right"),
           (-6, -10, "right"), (6, 10, "left"), (-10, 18, "right"), (10, -18, "left"))  # points from a point to its name


def pretrained_models() -> pandas.DataFrame:
    """A row a classifier of torchvision with weights, from torchvision's metadata, without downloading anything.

    Columns: family, year and paper of the architecture (from this file); weights (the default
    ones, trained or fine-tuned on ImageNet-1k), parameters (millions), GFLOPs (billions of multiply-adds for one image
    at its native size), MB (the file), accuracy % (top-1 on ImageNet-1k's validation images, as torchvision measured
    it), pixels (native width and height), licence (of the weights; "not stated" where the metadata say nothing), recipe
    (how they were trained).
    """
    rows = {}
    for name in list_models(module=torchvision.models):
        weights = get_model_weights(name)["DEFAULT"]
        meta, preset = weights.meta, weights.transforms()
        about = PAPERS[max((start for start in PAPERS if name.startswith(start)), key=len)]
        rows[name] = {
            "family": about["family"], "year": about["year"], "weights": weights.name, "parameters": meta["num_params"] / 1e6,
            "GFLOPs": meta["_ops"], "MB": meta["_file_size"], "accuracy %": meta["_metrics"]["ImageNet-1K"]["acc@1"],
            "pixels": preset.crop_size[0], "licence": meta.get("license", UNSTATED), "recipe": meta["recipe"],
            "paper": about["paper"],
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
    models = models.sort_values(["GFLOPs", "accuracy %"], ascending=[True, False])
    return list(models.index[models["accuracy %"] > models["accuracy %"].cummax().shift(fill_value=0)])


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


def _name_points(axis, all_models: pandas.DataFrame, names) -> None:
    """Write names next to their points, where they cover nothing."""
    positions = axis.transData.transform(all_models[["GFLOPs", "accuracy %"]].to_numpy(float))
    taken = [axis.get_legend().get_window_extent(), *(Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in positions)]
    frame = axis.get_window_extent()
    for name in names:
        point = tuple(all_models.loc[name, ["GFLOPs", "accuracy %"]])
        for dx, dy, side in OFFSETS:
            text = axis.annotate(name, point, (dx, dy), textcoords="offset points", ha=side, va="center", fontsize=10)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken) and frame.contains(*box.min) and frame.contains(*box.max):
                taken.append(box)
                break
            text.remove()
