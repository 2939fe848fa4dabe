"""Lecture 5: is the target already in the source? Measured where COURSE_PHOTOS names photographs with daisies among them."""

import os

from helpers.lessons.choosing.overlap import UNTOUCHED, measure
from helpers.training.intervals import wilson
from helpers.training.study import SHIPPED, load_study


def run(seeds: int) -> None:
    """Measure it, if the photographs are here."""
    folder = os.environ.get("COURSE_PHOTOS")
    if not folder or not os.path.isdir(os.path.join(folder, "daisy")):
        print("overlap: left out, COURSE_PHOTOS names no folder with a folder of daisies")
        return
    measure(folder, min(seeds, 3)).save(SHIPPED / "study-overlap.json", "python tools/measure.py overlap")


def stamps() -> dict[str, str]:
    """The numbers of the lecture's text."""
    found = load_study("overlap")
    head = found.select(images="photographs", how=UNTOUCHED).runs.iloc[0]
    daisies = round(head.accuracy * head.n / head.in_source)
    low, high = wilson(head.in_source, daisies)
    texts = {"05.daisies": f"{100 * head.in_source:.0f}% ({100 * low:.0f} to {100 * high:.0f}, {daisies} photographs)"}
    rows = found.select(images="photographs", how=["probe", "fine-tuned"])
    for column in ("in_source", "others"):
        for (source, how, number), row in rows.values(column, ["source", "how", "per_class"]).iterrows():
            low, high = max(0.0, row["low"]), min(1.0, row["high"])
            texts[f"05.{column}-{source}-{how}-{number}"] = f"{100 * row['mean']:.0f}% ({100 * low:.0f} to {100 * high:.0f})"
    return texts
