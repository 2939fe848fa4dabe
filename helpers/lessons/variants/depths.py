"""How deep to fine-tune: a study of depths as a figure that follows two sliders, and in words."""

from matplotlib.figure import Figure

from helpers.lessons.studies import percent
from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.study import Study


@styled
def draw_depth(study: Study, task: str, labels: int) -> tuple[Figure, str]:
    """One target of a study of depths at one number of labels a class, as a figure and in words.

    study   with the conditions task, per_class and depth, of which one is "scratch"
    The chosen number of labels is drawn with its 95% intervals, the others pale; scratch is a band across.
    The text names the best depth, the depths that are indistinguishable from it (the interval of the paired difference
    includes zero), and scratch. Raises ValueError for a target or number of labels that the study lacks.
    """
    part = study.select(task=task, per_class=labels)
    depths = [depth for depth in study.runs.depth.unique() if depth != "scratch"]
    figure, ((axis,),) = new_axes(1, 1, (8.2, 3.9))
    for other in study.select(task=task).runs.per_class.unique():
        if other != labels:
            pale = study.select(task=task, per_class=int(other)).table("depth")["accuracy %"].reindex(depths)
            axis.plot(depths, pale, color="0.75", linewidth=1.5)
            axis.annotate(f"{other} labels", (depths[-1], pale.iloc[-1]), (8, 0), textcoords="offset points", va="center",
                          color="0.45", fontsize=10)  # fmt: skip
    table = part.table("depth")
    alone, rows = table.loc["scratch"], table.reindex(depths)
    axis.axhspan(alone["low"], alone["high"], color=COLOURS[1], alpha=0.15)
    axis.axhline(alone["accuracy %"], color=COLOURS[1], linestyle="--")
    axis.annotate("from scratch", (0, alone["accuracy %"]), (-4, 5), textcoords="offset points", color=COLOURS[1])
    spread = [rows["accuracy %"] - rows["low"], rows["high"] - rows["accuracy %"]]
    axis.errorbar(depths, rows["accuracy %"], yerr=spread, fmt="o-", color=COLOURS[0], capsize=4, markersize=8)
    for i, value in enumerate(rows["accuracy %"]):
        axis.annotate(f"{value:.0f}", (i, value), (10, -4), textcoords="offset points", color=COLOURS[0])
    title = f"{task}, {labels} labels a class, {rows['seeds'].iloc[0]:.0f} seeds, n = {rows['n'].iloc[0]:.0f}"
    axis.set(ylim=(0, 104), xlim=(-0.4, len(depths) - 0.3), title=title)
    axis.set(ylabel="test accuracy, %", xlabel="first stage that trains")
    return figure, describe_depth(study, task, labels)


def describe_depth(study: Study, task: str, labels: int) -> str:
    """What a study of depths shows for a target at a number of labels a class, in two sentences."""
    part = study.select(task=task, per_class=labels)
    table = part.table("depth")
    best = table.drop(index="scratch")["accuracy %"].idxmax()
    gaps = part.paired("depth", best)
    near = [depth for depth in gaps.index if gaps.supported[depth] == "no" and depth != "scratch"]
    alone, gain = table.loc["scratch"], gaps.loc["scratch"]

    ties = f"; indistinguishable from it: {', '.join(near)}" if near else "; every other depth is behind it"
    worth = (
        f"which is behind by {-gain['points']:.0f} points ({-gain['high']:.0f} to {-gain['low']:.0f})"
        if gain["supported"] == "yes" and gain["points"] < 0
        else f"which is ahead by {gain['points']:.0f} points ({gain['low']:.0f} to {gain['high']:.0f})"
        if gain["supported"] == "yes"
        else "which is indistinguishable from it, too"
    )
    return (
        f"{task}, {labels} labels a class: best where training starts at {best}, {percent(table.loc[best])}{ties}. "
        f"From scratch {percent(alone)}, {worth}."
    )
