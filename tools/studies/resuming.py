"""Long studies that are written after every run and go on where they stopped."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from helpers.training.study import Case, Study, join_studies, load_study, run_study


class Silent:
    """A progress line for one of many runs, which shows nothing."""

    def step(self, count: int = 1) -> None:
        pass

    def done(self, text: str) -> None:
        pass


def go_on(path: Path, command: str, question: str, plans: list[tuple[dict, int]], case: Callable[[dict], Case], *,
          kind: tuple[str, ...], **settings) -> None:  # fmt: skip
    """Run what the file at `path` does not have yet; after each run it is written, and a line says how much is left.

    plans     what is to be run, in this order: (conditions, seed)
    case      makes the case of some conditions
    kind      the conditions by which runs take different times, for the estimate of the time left
    settings  of `run_study`, such as also
    """
    study = load_study(path) if path.exists() else None
    done = set() if study is None else {_key(row, row["seed"], study.conditions) for row in study.runs.to_dict("records")}
    left = [(conditions, seed) for conditions, seed in plans if _key(conditions, seed, list(conditions)) not in done]
    spent = {} if study is None else _spent(study, kind)
    for number, (conditions, seed) in enumerate(left, 1):
        started = time.monotonic()
        one = run_study(question, [case(conditions)], [seed], progress=Silent(), **settings)
        study = one if study is None else join_studies(study, one)
        study.save(path, command)
        spent.setdefault(_kind(conditions, kind), []).append(time.monotonic() - started)
        hours = sum(_expected(spent, _kind(later, kind)) for later, _ in left[number:]) / 3600
        what = ", ".join(map(str, conditions.values()))
        print(f"{number} of {len(left)}, about {hours:.1f} h left: {what}, seed {seed}: {one.runs.accuracy.iloc[0]:.1%}",
              flush=True)  # fmt: skip


def _key(row: dict, seed: int, names: list[str]) -> tuple:
    return (*(row[name] for name in names), seed)


def _kind(conditions: dict, kind: tuple[str, ...]) -> tuple:
    return tuple(conditions[name] for name in kind)


def _spent(study: Study, kind: tuple[str, ...]) -> dict[tuple, list[float]]:
    """Seconds that runs took, as far as they are known: {values of the conditions in `kind`: ...}."""
    spent = {}
    for row in study.runs.to_dict("records"):
        spent.setdefault(_kind(row, kind), []).append(row["seconds"])
    return spent


def _expected(spent: dict, wanted: tuple) -> float:
    """Seconds that a run will take: the median of those of its kind, or of those that share most of it."""
    alike = lambda kind: sum(one == other for one, other in zip(kind, wanted, strict=True))
    most = max(map(alike, spent))
    return median(s for kind, them in spent.items() if alike(kind) == most for s in them)
