"""Accuracies from the literature, not measured by this course: helpers/data/literature.toml, each with its source and setting."""

import tomllib

import pandas

from helpers.training.study import SHIPPED

FILE = SHIPPED / "literature.toml"
COLUMNS = ["network", "recipe", "percent", "metric", "trained_on", "tested_on", "cite", "source", "address", "setting"]


def reported(task: str = "flowers102") -> pandas.DataFrame:
    """What others report for a task: a row for each number, with its source and how its setting differs from the course's.

    percent: accuracy, %. metric: of all test images alike, or the mean over the classes. trained_on, tested_on: images.
    cite: the source in two words.
    Raises ValueError for a task that is not in the file.
    """
    rows = [row for row in _read()["published"] if row["task"] == task]
    if not rows:
        known = sorted({row["task"] for row in _read()["published"]})
        raise ValueError(f"no published numbers for the task {task!r}; there are some for {', '.join(known)}")
    return pandas.DataFrame(rows)[COLUMNS]


def not_found(task: str = "flowers102") -> list[str]:
    """What was looked for in the literature and not found."""
    return [row["what"] for row in _read()["unknown"] if row["task"] == task]


def as_markdown(task: str = "flowers102") -> str:
    """A table of `reported(task)` for the texts."""
    lines = [
        "| network | recipe | accuracy | trained on, tested on | source | how its setting differs |",
        "|---|---|---|---|---|---|",
    ]
    for row in reported(task).itertuples():
        what = "" if row.metric == "all images alike" else f", {row.metric}"
        lines.append(
            f"| {row.network} | {row.recipe} | {row.percent:g}%{what} | {row.trained_on:,}, {row.tested_on:,} images "
            f"| [{row.source}]({row.address}) | {row.setting} |"
        )
    return "\n".join(lines)


def _read() -> dict:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
