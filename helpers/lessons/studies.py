"""What lectures and labs share about studies: predictions as a Study, and results in words."""

import pandas

from helpers.training.devices import provenance
from helpers.training.study import Study


def percent(row) -> str:
    """A row of `Study.table` in words: "88% (84 to 90)"."""
    return f"{row['accuracy %']:.0f}% ({row['low']:.0f} to {row['high']:.0f})"


def points(row, digits: int = 0) -> str:
    """A row of `Study.paired` in words: "+9 points (+4 to +13)"."""
    value, low, high = (f"{row[name]:+.{digits}f}" for name in ("points", "low", "high"))
    return f"{value} points ({low} to {high})"


def study_of(question: str, rows: list[dict]) -> Study:
    """A Study of predictions that were not made by `fit`, with the usual tables, seeds and intervals.

    rows: each a dict of conditions, "seed", "correct" (bool (n,): which test images were classified correctly), and
    further columns under "also" (a dict of numbers). Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("a study needs at least one row of answers")
    conditions = [name for name in rows[0] if name not in ("seed", "correct", "also", "seconds")]
    runs = [
        {**{name: row[name] for name in conditions}, "seed": row["seed"], "n": len(row["correct"]),
         "accuracy": row["correct"].double().mean().item(), "seconds": row.get("seconds", 0.0), **row.get("also", {})}
        for row in rows
    ]  # fmt: skip
    about = {"seeds": ", ".join(map(str, sorted({row["seed"] for row in rows})))} | provenance()
    return Study(question, conditions, pandas.DataFrame(runs), [row["correct"] for row in rows], about)
