"""Lecture 4, at full size: ImageNet networks on Flowers102, and what the literature reports."""

import torch

from helpers.lessons.fine_tuning.flowers102 import FILE, TASK, measure, networks
from helpers.lessons.fine_tuning.literature import as_markdown, not_found, reported

COMMAND = "python tools/measure.py flowers102"


def run(seeds: int) -> None:
    """Measure it, where there are a GPU and the photographs; else say what is missing. Downloads nothing."""
    if not torch.accelerator.is_available():
        print("flowers102: left out, there is no GPU")
        return
    try:
        study = measure(networks(), seeds, offline=True)
    except (ConnectionError, FileNotFoundError) as error:
        print(f"flowers102: left out. {error}")
        return
    study.save(FILE, COMMAND)


def stamps() -> dict[str, str]:
    """The numbers of the literature for the texts, as literature; ours join them when they have been measured."""
    texts = {"flowers102.literature": "\n\n" + as_markdown(TASK) + "\n\n", "flowers102.unknown": "; ".join(not_found(TASK))}
    for row in reported(TASK).itertuples():
        texts.setdefault(f"flowers102.{row.network}-{row.recipe.replace(' ', '-')}", f"{row.percent:g}%")
    return texts
