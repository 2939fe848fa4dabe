"""Studies: many fits in one table, a row a run, with the conditions under which it ran and its answers."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
import pandas
import torch
from scipy import stats

from helpers.images.tasks import Task
from helpers.notebook.progress import Progress
from helpers.training.fitting import Fit, fit
from helpers.training.intervals import interval
from helpers.training.recipes import Recipe
from helpers.training.results import provenance

SHIPPED = Path(__file__).parents[1] / "data"
_OF_A_RUN = ("seed", "n", "accuracy", "train_accuracy", "trained", "seconds", "correct")


@dataclass(frozen=True, eq=False)
class Case:
    """One cell of a study's design: a recipe on a task, under conditions that tables and figures go by.

    conditions  such as {"task": "flowers", "per_class": 5, "depth": "layer4"}: texts, numbers, True or False
    """

    conditions: dict
    recipe: Recipe
    task: Task


@dataclass(eq=False)
class Study:
    """A question and the runs that answer it.

    question    in words
    conditions  the columns of `runs` that say under which conditions a run ran
    runs        a row a run: the conditions, seed, n (test images), accuracy and train_accuracy (0..1; training images
                as they were augmented, over the last tenth of the steps), trained (parameters), seconds, and what
                else was measured; perhaps history (a list of rows, as in Fit.history)
    correct     bool (n,) a run, in the order of `runs`: which test images were named rightly
    about       where, when and how it was measured
    """

    question: str
    conditions: list[str]
    runs: pandas.DataFrame
    correct: list[torch.Tensor]
    about: dict[str, str]

    def select(self, **conditions) -> "Study":
        """The runs with these values of conditions: select(task="flowers", per_class=[5, 20])."""
        keep = pandas.Series(True, index=self.runs.index)
        for name, values in conditions.items():
            self._known([name])
            values = values if isinstance(values, (list, tuple)) else [values]
            if absent := [value for value in values if value not in set(self.runs[name])]:
                raise ValueError(f"no run with {name}={absent[0]!r}; there are {list(self.runs[name].unique())}")
            keep &= self.runs[name].isin(values)
        if not keep.any():
            raise ValueError(f"no run has all of {conditions}")
        correct = [answers for answers, kept in zip(self.correct, keep, strict=True) if kept]
        return replace(self, runs=self.runs[keep].reset_index(drop=True), correct=correct)

    def table(self, by: str | list[str] | None = None) -> pandas.DataFrame:
        """Test accuracy in % with its 95 % interval over seeds and test images, a row for each value of `by`.

        by: conditions; default: all that vary. Raises ValueError if they leave several runs of one seed in a row.
        """
        rows = {}
        for key, group in self._groups(by):
            mean, low, high = interval(self._answers(group))
            rows[key] = {"accuracy %": 100 * mean, "low": 100 * low, "high": 100 * high, "seeds": len(group),
                         "n": int(group.n.iloc[0])}  # fmt: skip
        return self._frame(rows, self._by(by))

    def values(self, column: str, by: str | list[str] | None = None) -> pandas.DataFrame:
        """Mean of another column with its 95 % interval over the seeds (Student's t), a row for each value of `by`."""
        if column not in self.runs:
            raise ValueError(f"the runs have no column {column!r}; there are {', '.join(self.runs.columns)}")
        rows = {}
        for key, group in self._groups(by):
            values = group[column].astype(float)
            half = stats.t.ppf(0.975, len(values) - 1) * values.sem() if len(values) > 1 else float("nan")
            rows[key] = {"mean": values.mean(), "low": values.mean() - half, "high": values.mean() + half,
                         "seeds": len(values)}  # fmt: skip
        return self._frame(rows, self._by(by))

    def paired(self, of: str, baseline, by: str | list[str] | None = None) -> pandas.DataFrame:
        """Differences in accuracy, in points, between each value of the condition `of` and its value `baseline`.

        On the same seeds and test images, within each value of the other conditions (`by`; default: all that vary).
        "supported" says whether the 95 % interval leaves out zero, over two seeds at least.
        """
        self._known([of])
        if baseline not in set(self.runs[of]):
            raise ValueError(f"no run with {of}={baseline!r}; there are {list(self.runs[of].unique())}")
        by = [name for name in self._by(by) if name != of]
        rows = {}
        for key, group in self._groups([*by, of]):
            *others, value = key if isinstance(key, tuple) else (key,)
            if value == baseline:
                continue
            base = self.runs[self.runs[of] == baseline]
            for name, wanted in zip(by, others, strict=True):
                base = base[base[name] == wanted]
            seeds = sorted(set(group.seed) & set(base.seed))
            if not seeds:
                continue  # this corner of the design has no baseline
            here, there = (self._answers(part[part.seed.isin(seeds)]).float() for part in (group, base))
            mean, low, high = interval(here - there)
            supported = "yes" if len(seeds) > 1 and (low > 0 or high < 0) else "no"
            rows[key] = {"points": 100 * mean, "low": 100 * low, "high": 100 * high, "seeds": len(seeds),
                         "supported": supported}  # fmt: skip
        if not rows:
            raise ValueError(f"nothing to compare with {of}={baseline!r}: no other value shares seeds with it")
        return self._frame(rows, [*by, of])

    def save(self, path: str | Path, command: str = "") -> Path:
        """Write it as JSON, a line a run; command: what to type to measure it again. `load_study` reads it."""
        about = self.about | ({"command": command} if command else {})
        lines = []
        for row, answers in zip(self.runs.to_dict("records"), self.correct, strict=True):
            bits = base64.b64encode(numpy.packbits(answers.numpy())).decode()
            row = {name: _plain(value) for name, value in row.items()}
            lines.append(json.dumps(row | {"correct": bits}, allow_nan=False))
        head = {"question": self.question, "conditions": self.conditions, "about": about}
        text = json.dumps(head, indent=1)[:-2] + ',\n "runs": [\n' + ",\n".join(lines) + "\n]}\n"
        Path(path).write_text(text, encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        seeds = self.runs.seed.nunique()
        return f"{self.question}: {len(self.runs)} runs, {seeds} seeds, conditions {', '.join(self.conditions)}"

    def _by(self, by) -> list[str]:
        if by is None:
            varying = [name for name in self.conditions if self.runs[name].nunique(dropna=False) > 1]
            return varying or self.conditions[:1]
        by = [by] if isinstance(by, str) else list(by)
        self._known(by)
        return by

    def _known(self, names) -> None:
        if unknown := [name for name in names if name not in self.conditions]:
            raise ValueError(f"no condition {unknown[0]!r} in this study; there are {', '.join(self.conditions)}")

    def _groups(self, by):
        by = self._by(by)
        for key, group in self.runs.groupby(by if len(by) > 1 else by[0], sort=False, dropna=False):
            if group.seed.duplicated().any():
                others = [name for name in self.conditions if name not in by and group[name].nunique() > 1]
                raise ValueError(f"several runs of one seed share {dict(zip(by, [key], strict=False))}: also go by, or "
                                 f"select one value of, {' or '.join(others) or 'their conditions'}")  # fmt: skip
            yield key, group.sort_values("seed")

    def _answers(self, group) -> torch.Tensor:
        return torch.stack([self.correct[i] for i in group.index])

    @staticmethod
    def _frame(rows: dict, names: list[str]) -> pandas.DataFrame:
        frame = pandas.DataFrame(list(rows.values())).round(4 if "mean" in next(iter(rows.values())) else 1)
        keys = list(rows)
        if len(names) > 1:
            frame.index = pandas.MultiIndex.from_tuples(keys, names=names)
        else:
            frame.index = pandas.Index([key[0] if isinstance(key, tuple) else key for key in keys], name=names[0])
        return frame


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, list):
        return [{name: _plain(entry) for name, entry in row.items()} for row in value]
    value = value.item() if hasattr(value, "item") else value
    return round(value, 5) if isinstance(value, float) else value


def run_study(question: str, cases: list[Case], seeds: int | list[int] = 3, *,
              also: Callable[[Fit], dict] | None = None, keep_history: bool = False, run=fit) -> Study:  # fmt: skip
    """Fit every case once a seed. A seed draws other training images, other new layers and another order of batches.

    Cases that share a task and a seed share their images, so that differences are paired.
    also: what else to measure of a Fit, {column: number}. run: what trains, called as `fit` is.
    Raises ValueError for no cases, two with the same conditions or not all with the same names, no seeds or one
    twice, and what `fit` raises.
    """
    cases = list(cases)
    names = list(cases[0].conditions) if cases else []
    if not names or any(list(case.conditions) != names for case in cases):
        raise ValueError("a study needs cases, all with the same conditions in the same order")
    if taken := set(names) & {*_OF_A_RUN, "history"}:
        raise ValueError(f"call the condition {taken.pop()!r} something else: a study has a column of that name")
    keys = [tuple(case.conditions.values()) for case in cases]
    if len(set(keys)) < len(keys):
        raise ValueError(f"two cases have the same conditions: {next(key for key in keys if keys.count(key) > 1)}")
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"a study needs at least one seed, and each once, got {seeds}")
    steps = sum(case.recipe.head_steps + case.recipe.steps for case in cases)
    progress = Progress(len(seeds) * steps, f"{question}:")
    rows, correct = [], []
    for seed in seeds:
        drawn = {}
        for case in cases:
            task = drawn.setdefault(id(case.task), case.task.draw(seed))
            result = run(case.recipe, task, seed, progress=progress)
            row = case.conditions | {
                "seed": seed, "n": result.n, "accuracy": result.accuracy,
                "train_accuracy": result.history.train_accuracy.iloc[-1], "trained": result.trained,
                "seconds": round(result.seconds, 3),
            }  # fmt: skip
            if also:
                row |= {name: float(value) for name, value in also(result).items()}
            if keep_history:
                row["history"] = result.history.round(4).to_dict("records")
            rows.append(row)
            correct.append(result.correct)
    progress.done(f"{question}: {len(rows)} runs, {len(seeds)} seeds, {sum(row['seconds'] for row in rows):.0f} s of training")
    about = {"seeds": ", ".join(map(str, seeds))} | provenance()
    return Study(question, names, pandas.DataFrame(rows), correct, about)


def join_studies(*studies: Study) -> Study:
    """Studies of the same question and conditions in one. Raises ValueError if they differ or share a run."""
    first = studies[0]
    if any(study.question != first.question or study.conditions != first.conditions for study in studies):
        raise ValueError("only studies of the same question, with the same conditions, can be joined")
    runs = pandas.concat([study.runs for study in studies], ignore_index=True)
    if runs.duplicated([*first.conditions, "seed"]).any():
        raise ValueError("the studies to be joined have a run in common")
    seeds = ", ".join(str(seed) for seed in sorted(runs.seed.unique()))
    return Study(first.question, first.conditions, runs, sum((study.correct for study in studies), []),
                 first.about | {"seeds": seeds})  # fmt: skip


def load_study(name: str | Path) -> Study:
    """A study that comes with the course, by name ("depth" is helpers/data/study-depth.json), or a saved one by path.

    Raises FileNotFoundError if there is none, ValueError if the file holds something else or is damaged.
    """
    path = Path(name) if Path(name).suffix == ".json" else SHIPPED / f"study-{name}.json"
    if not path.exists():
        known = sorted(file.stem.removeprefix("study-") for file in SHIPPED.glob("study-*.json"))
        raise FileNotFoundError(f"there is no study {str(name)!r}; the course has {', '.join(known)}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        correct = [_bits(row.pop("correct"), row["n"]) for row in data["runs"]]
        runs = pandas.DataFrame(data["runs"])
        study = Study(data["question"], data["conditions"], runs, correct, data["about"])
        for answers, accuracy in zip(correct, runs.accuracy, strict=True):
            if abs(answers.double().mean().item() - accuracy) > 1e-4:
                raise ValueError("accuracies and answers disagree")
        if runs.duplicated([*study.conditions, "seed"]).any():
            raise ValueError("it holds a run twice")
        return study
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no saved study, or a damaged one: {error}") from error


def _bits(text: str, n: int) -> torch.Tensor:
    bits = numpy.unpackbits(numpy.frombuffer(base64.b64decode(text, validate=True), dtype=numpy.uint8))
    if not n <= len(bits) < n + 8:
        raise ValueError(f"it holds {len(bits)} answers where there are {n} test images")
    return torch.from_numpy(bits[:n].copy()).bool()
