"""Lecture 4, at full size: ImageNet networks on Flowers102, and what the literature reports."""

import tomllib

import torch

from helpers.lessons.fine_tuning.flowers102 import FILE, LITERATURE, TASK, measure, networks, reported

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
    texts = {"flowers102.literature": "\n\n" + as_markdown() + "\n\n", "flowers102.unknown": "; ".join(not_found())}
    for row in reported(TASK).itertuples():
        texts.setdefault(f"flowers102.{row.network}-{row.recipe.replace(' ', '-')}", f"{row.percent:g}%")
    return texts


def not_found() -> list[str]:
    """What was looked for in the literature and not found."""
    unknown = tomllib.loads(LITERATURE.read_text(encoding="utf-8"))["unknown"]
    return [row["what"] for row in unknown if row["task"] == TASK]


def as_markdown() -> str:
    """A table of what the literature reports, for the texts."""
    lines = [
        "| network | recipe | accuracy | trained on, judged by | source | how its setting differs |",
        "|---|---|---|---|---|---|",
    ]
    for row in reported(TASK).itertuples():
        what = "" if row.metric == "all images alike" else f", {row.metric}"
        lines.append(
            f"| {row.network} | {row.recipe} | {row.percent:g}%{what} | {row.trained_on:,}, {row.tested_on:,} images "
            f"| [{row.source}]({row.address}) | {row.setting} |"
        )
    return "\n".join(lines)
