"""Where training should start: what was measured of it, on photographs and on drawings, as one study and one figure."""

import pandas
from matplotlib.figure import Figure

from helpers.training.charts import plot_map
from helpers.training.study import Study, load_study

TRAINS = {"head": "the head", "layer4": "the last block", "layer2": "the last half", "all": "everything"}  # drawings: photographs
CONDITIONS = ["target", "per_class", "trains"]


def depth_study() -> Study:
    """Photographs and drawn goldfinches and tissue, by the number of labels a class and by what trains.

    Photographs: efficientnet_lite0, a probe and then fine-tuning ("real-depth"), and from scratch (the suite); drawings: the
    laboratory's small network ("depth"), without the probe first, whose "last half" are three of its four blocks.
    """
    real, drawn = load_study("real-depth"), load_study("depth").select(task=["goldfinches", "tissue"])
    scratch = load_study("suite-efficientnet_lite0").select(target="photographs", size=128, recipe="scratch")
    frames = [
        real.runs.assign(target="photographs", trains=real.runs.depth),
        scratch.runs.assign(trains="scratch"),
        drawn.runs.assign(target="drawn " + drawn.runs.task, trains=drawn.runs.depth.replace(TRAINS)),
    ]
    runs = pandas.concat([frame[[*CONDITIONS, "seed", "n", "accuracy"]] for frame in frames], ignore_index=True)
    return Study("Where should training start?", CONDITIONS, runs, [*real.correct, *scratch.correct, *drawn.correct], real.about)


def plot_depths() -> Figure:
    """The map of `depth_study`: what trains against labels a class, a panel a target."""
    figure = plot_map(depth_study(), x="per_class", y="trains", panel="target", ties=True)
    figure.suptitle("Where training should start depends on the labels and on the target\n(test accuracy, %)", fontsize=13)
    return figure
