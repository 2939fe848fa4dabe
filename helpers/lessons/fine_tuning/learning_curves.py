"""Learning curves of a study, and where overfitting starts in them."""

import pandas

from helpers.training.intervals import mean_interval
from helpers.training.study import Study


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
