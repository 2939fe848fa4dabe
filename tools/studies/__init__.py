"""The studies behind the lectures and labs, for `python tools/measure.py NAME`.

Each module has run(seeds), which measures it and writes helpers/data/study-*.json, and stamps(), the numbers and sentences of
the texts that come from it. The cases that a notebook runs itself are in helpers/lessons.
"""

from importlib import import_module
from pathlib import Path

NAMES = (
    "anatomy", "choosing", "contest", "flowers102", "goldfinches", "imagenet", "labels", "museum", "real", "suite",
    "tuning", "variants",
)  # fmt: skip


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows)])


def studies() -> dict:
    """Every study module by its name; students do not get those of what labs ask them to find out."""
    return {name: import_module(f"studies.{name}") for name in NAMES if (Path(__file__).parent / f"{name}.py").exists()}
