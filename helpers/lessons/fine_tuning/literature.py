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
    published = tomllib.loads(FILE.read_text(encoding="utf-8"))["published"]
    rows = [row for row in published if row["task"] == task]
    if not rows:
        known = sorted({row["task"] for row in published})
        raise ValueError(f"no published numbers for the task {task!r}; there are some for {', '.join(known)}")
    return pandas.DataFrame(rows)[COLUMNS]
