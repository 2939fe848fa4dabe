"""Learning curves of a study, and where overfitting starts in them."""

import pandas

from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.intervals import mean_interval
from helpers.training.study import Study

DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.", (0, (1, 2)))


def learning_curves(study: Study, by: list[str]) -> pandas.DataFrame:
    """The runs' histories, averaged over the seeds: a row for each value of `by` and each validation step.

    Raises ValueError for a study without histories, a condition that it does not have, and runs of a group
    with validation steps at other times.
    """
    if "history" not in study.runs:
        raise ValueError("these runs have no history: measure them with run_study(..., keep_history=True)")
    if unknown := [name for name in by if name not in study.conditions]:
        raise ValueError(f"no condition {unknown[0]!r} in this study; there are {', '.join(study.conditions)}")
    tables = []
    for key, group in study.runs.groupby(by, sort=False):
        rows = pandas.concat([pandas.DataFrame(history) for history in group.history])
        if rows.groupby("step").size().nunique() > 1:
            raise ValueError(f"the runs of {dict(zip(by, key, strict=True))} were validated at different steps")
        tables.append(rows.groupby("step").mean().reset_index().assign(**dict(zip(by, key, strict=True))))
    return pandas.concat(tables).set_index([*by, "step"])


def overfitting(study: Study, by: list[str]) -> pandas.DataFrame:
    """Where the mean validation loss is lowest, and how far it has risen by the end: a row for each value of `by`.

    "lowest at": the step. "rises by": the last loss less the lowest, with its 95% interval over the seeds (paired,
    Student's t). "starts to overfit": "yes" if that interval lies above zero, and the lowest is not the last one.
    "gap": training accuracy less validation accuracy at the end, in points.
    """
    curves, rows = learning_curves(study, by), {}
    for key, group in study.runs.groupby(by, sort=False):
        mean = curves.xs(key, level=by)
        best, last = mean.val_loss.idxmin(), mean.index[-1]
        histories = [pandas.DataFrame(history).set_index("step") for history in group.history]
        rise, low, high = mean_interval([history.val_loss[last] - history.val_loss[best] for history in histories])
        gap = 100 * (mean.train_accuracy[last] - mean.val_accuracy[last])
        rows[key] = {"lowest at": best, "of": last, "rises by": rise, "low": low, "high": high, "gap": gap,
                     "starts to overfit": "yes" if best != last and low > 0 else "no"}  # fmt: skip
    table = pandas.DataFrame.from_dict(rows, orient="index").round({"rises by": 3, "low": 3, "high": 3, "gap": 1})
    table.index = pandas.MultiIndex.from_tuples(table.index, names=by)
    return table


@styled
def plot_curves(study: Study, line: str, panel: str, live: Study | None = None):
    """Loss (above) and accuracy (below) against steps, means over the seeds: training thin, validation thick.

    A line for each value of `line`, a column for each of `panel`; `live`: another study, drawn over it as markers of
    its validation curve.
    """
    panels, lines = list(study.runs[panel].unique()), list(study.runs[line].unique())
    figure, axes = new_axes(2, len(panels), (1.8 + 3.5 * len(panels), 6.2), sharex=True, sharey="row")
    for part in (study, live) if live is not None else (study,):
        for (where, what), curve in learning_curves(part, [panel, line]).groupby(level=[0, 1], sort=False):
            if where not in panels or what not in lines:
                continue
            i, curve = lines.index(what), curve.droplevel([0, 1])
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}
            for axis, quantity, factor in zip(axes[:, panels.index(where)], ("loss", "accuracy"), (1, 100), strict=True):
                trained, validated = (factor * curve[f"{name}_{quantity}"] for name in ("train", "val"))
                if part is live:
                    axis.plot(curve.index, validated, "o", mfc="none", color=style["color"], label="_live")
                else:
                    axis.plot(curve.index, trained, linewidth=0.9, label="_training", **style)
                    axis.plot(curve.index, validated, linewidth=2.6, label=str(what), **style)
    for column, value in enumerate(panels):
        axes[0][column].set(title=f"{panel.replace('_', ' ')}: {value}")
        axes[1][column].set(xlabel="step")
    axes[0][0].set(ylabel="cross-entropy", ylim=(0, None))
    axes[1][0].set_ylabel("accuracy, %")
    handles = [handle for handle in axes[0][0].lines if not handle.get_label().startswith("_")]
    handles += axes[0][0].plot([], [], color="0.3", linewidth=2.6, label="validation (thick)")
    handles += axes[0][0].plot([], [], color="0.3", linewidth=0.9, label="training (thin)")
    if live is not None:
        handles += axes[0][0].plot([], [], "o", mfc="none", color="0.3", label="validation, measured here")
    axes[0][-1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=10)
    return figure
