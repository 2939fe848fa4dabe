"""Studies: many fits in one table, a row a run, with the conditions under which it ran and its answers."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy
import pandas
import torch

from helpers.images.tasks import Task
from helpers.notebook.progress import Progress, Silent
from helpers.training.devices import provenance, spread
from helpers.training.fitting import fit, for_task, measured
from helpers.training.intervals import interval, mean_interval, paired_difference
from helpers.training.recipes import Case, Recipe

SHIPPED = Path(__file__).parents[1] / "data"
_OF_A_RUN = ("seed", "n", "accuracy", "train_accuracy", "trained", "seconds", "correct")


@dataclass(eq=False)
class Study:
    """A question and the runs that answer it.

    question    in words
    conditions  the columns of `runs` that say under which conditions a run ran
    runs        a row a run: the conditions, seed, n (test images), accuracy and train_accuracy (0..1; training images
                as they were augmented, over the last tenth of the steps), trained (parameters), seconds, and what
                else was measured; perhaps history (a list of rows, as in Fit.history)
    correct     bool (n,) a run, in the order of `runs`: which test images were classified correctly
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
            _need("condition ", [name], self.conditions)
            values = values if isinstance(values, (list, tuple)) else [values]
            _need(f"run with {name}=", values, self.runs[name].unique())
            keep &= self.runs[name].isin(values)
        if not keep.any():
            raise ValueError(f"no run has all of {conditions}")
        correct = [answers for answers, kept in zip(self.correct, keep, strict=True) if kept]
        return replace(self, runs=self.runs[keep].reset_index(drop=True), correct=correct)

    def table(self, by: str | list[str] | None = None, also: list[str] | tuple = ()) -> pandas.DataFrame:
        """Test accuracy in % with its 95% interval over seeds and test images, a row for each value of `by`.

        by    conditions; default: all that vary. Raises ValueError if they leave several runs of one seed in a row.
        also  columns of the runs whose means are shown, too, such as ["trained", "seconds"]
        """
        _need("column ", also, self.runs.columns)
        rows = {}
        for key, group in self._groups(by):
            mean, low, high = interval(self._answers(group))
            rows[key] = {"accuracy %": 100 * mean, "low": 100 * low, "high": 100 * high, "seeds": len(group),
                         "n": int(group.n.iloc[0]), **group[list(also)].mean()}  # fmt: skip
        return _frame(rows, self._by(by), 1).astype({name: int for name in also if name == "trained"})

    def values(self, column: str, by: str | list[str] | None = None, share: bool = False) -> pandas.DataFrame:
        """Mean of another column and its 95% interval over seeds, a row for each value of `by`. share: stay within 0..1."""
        _need("column ", [column], self.runs.columns)
        rows = {}
        for key, group in self._groups(by):
            mean, low, high = mean_interval(group[column].astype(float), share)
            rows[key] = {"mean": mean, "low": low, "high": high, "seeds": len(group)}
        return _frame(rows, self._by(by), 4)

    def paired(self, of: str | None = None, baseline=None, by: str | list[str] | None = None, *,
               column: str = "accuracy", scale: float = 100) -> pandas.DataFrame:  # fmt: skip
        """Differences between each value of the condition `of` and its value `baseline`, on the same seeds.

        of, baseline  default: the only condition that varies, and its first value
        by            the other conditions, within which runs are compared; default: all that vary
        column        "accuracy": in points, on the same test images, with intervals over seeds and images; or another
                      column of the runs, times `scale`, with intervals over the seeds (Student's t)
        "supported" is "yes" where the 95% interval excludes zero, over two seeds at least: only then speak of better or worse.
        """
        if of is None:
            of, *more = self._by(None)
            if more:
                raise ValueError(f"several conditions vary ({of}, {', '.join(more)}): say which, as in paired({of!r}, ...)")
        _need("condition ", [of], self.conditions)
        _need("column ", [column], self.runs.columns)
        baseline = self.runs[of].iloc[0] if baseline is None else baseline
        _need(f"run with {of}=", [baseline], self.runs[of].unique())
        by = [name for name in self._by(by) if name != of]
        rows = {}
        for key, group in self._groups([*by, of]):
            *others, value = key if isinstance(key, tuple) else (key,)
            if value == baseline:
                continue
            base = self.runs[self.runs[of] == baseline]
            for name, wanted in zip(by, others, strict=True):
                base = base[base[name] == wanted]
            seeds = set(group.seed) & set(base.seed)
            if not seeds:
                continue  # this corner of the design has no baseline
            both = [part[part.seed.isin(seeds)].sort_values("seed") for part in (group, base)]
            if column == "accuracy":
                one, other = (self._answers(part).float() for part in both)
            else:
                one, other = (torch.tensor(part[column].to_numpy(float)) for part in both)
            rows[key] = paired_difference(one, other, scale)
        if not rows:
            raise ValueError(f"nothing to compare with {of}={baseline!r}: no other value shares seeds with it")
        return _frame(rows, [*by, of], 1 if column == "accuracy" else 2)

    def plot(self):
        """A figure of a comparison of recipes, see `plot_comparison`."""
        from helpers.training.charts import plot_comparison

        return plot_comparison(self)

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
        extent = _extent(len(self.runs), self.runs.seed.nunique())
        return f"{self.question} ({extent}; conditions: {', '.join(self.conditions)})"

    def _by(self, by) -> list[str]:
        if by is None:
            varying = [name for name in self.conditions if self.runs[name].nunique(dropna=False) > 1]
            return varying or self.conditions[:1]
        by = [by] if isinstance(by, str) else list(by)
        _need("condition ", by, self.conditions)
        return by

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


def _need(what: str, wanted, known) -> None:
    if absent := [value for value in wanted if value not in set(known)]:
        raise ValueError(f"no {what}{absent[0]!r} in this study; there are {', '.join(map(str, known))}")


def _frame(rows: dict, names: list[str], digits: int) -> pandas.DataFrame:
    keys = list(rows)
    index = pandas.MultiIndex.from_tuples(keys, names=names) if len(names) > 1 else pandas.Index(keys, name=names[0])
    return pandas.DataFrame(list(rows.values()), index=index).round(digits)


def _extent(runs: int, seeds: int) -> str:
    return f"{runs} {'run' if runs == 1 else 'runs'}, {seeds} {'seed' if seeds == 1 else 'seeds'}"


def _plain(value):
    """A value as JSON has it."""
    if isinstance(value, list):
        return [{name: _plain(entry) for name, entry in row.items()} for row in value]
    value = value.item() if hasattr(value, "item") else value
    return round(value, 5) if isinstance(value, float) else value


def run_study(question: str, cases: list[Case], seeds: int | list[int] = 3, *,
              also: Callable | None = None, keep_history: bool = False, run=fit, progress=None,
              checkpoint: str | Path | None = None, executor: Executor | None = None) -> Study:  # fmt: skip
    """Fit every case once a seed. A seed draws other training images, other new layers and another order of batches.

    Cases that share a task and a seed share their images, so that differences are paired.
    also: what else to measure of a Fit, Fit -> {column: number}. run: what trains, called as `fit` is. progress: as in `fit`.
    checkpoint: a folder that keeps finished runs, and checkpoints of the one that is not: the same call goes on from there, also
    with more seeds or cases.
    executor: of concurrent.futures, a pool of processes or a cluster's, which does the fits; by default they are done here, one
    after the other. The numbers are the same; what a lost worker had to do is done again. It pickles `also` and `run`.
    Raises ValueError for no cases, two with the same conditions or other names, no seeds or one twice, and what `fit` raises.
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
    progress = progress or Progress(len(seeds) * steps, f"{question}:")
    line, rows, correct = Silent() if executor else progress, [], []

    def jobs():
        for seed in seeds:
            drawn = {}
            for case in cases:
                task = drawn.setdefault(id(case.task), case.task.draw(seed))
                recipe = for_task(case.recipe, task) if executor else case.recipe  # said here, not by every worker
                yield run, recipe, task, seed, line, also, keep_history, checkpoint

    for (_, case), (row, answers) in zip(product(seeds, cases), spread(executor, measured, jobs()), strict=True):
        rows.append(case.conditions | row)
        correct.append(answers)
        if executor:
            progress.step(case.recipe.head_steps + case.recipe.steps)
    progress.done(f"{question} ({_extent(len(rows), len(seeds))}, {sum(row['seconds'] for row in rows):.0f} s of training)")
    return Study(question, names, pandas.DataFrame(rows), correct, {"seeds": ", ".join(map(str, seeds))} | provenance())


def compare(recipes: list[Recipe], task: Task, seeds: int | list[int] = 5, *, checkpoint: str | Path | None = None,
            executor: Executor | None = None) -> Study:  # fmt: skip
    """Fit every recipe once a seed: a study whose condition is the recipe's name, with the settings in `about`.

    All recipes see the same training images of a seed, and all runs are judged on the same test images: see `Study.paired`.
    checkpoint: a folder in which an interrupted study goes on; executor: who does the fits; both as in `run_study`.
    Raises TypeError for something else than recipes, ValueError for no recipes or two of the same name, and as `run_study`.
    """
    if not isinstance(recipes, (list, tuple)) or not all(isinstance(recipe, Recipe) for recipe in recipes):
        raise TypeError(f"compare takes a list of recipes, got {recipes!r}")
    names = [recipe.name for recipe in recipes]
    if not recipes or len(set(names)) < len(names):
        raise ValueError(f"compare needs recipes with different names, got {names}; use replace(recipe, name=...)")
    labels = "all" if task.per_class is None else task.per_class
    question = f"{task.name}, {labels} training images a class, {task.size} px"
    study = run_study(question, [Case({"recipe": recipe.name}, recipe, task) for recipe in recipes], seeds,
                      checkpoint=checkpoint, executor=executor)  # fmt: skip
    settings = {f"recipe {recipe.name}": ", ".join(f"{k}={v!r}" for k, v in asdict(recipe).items()) for recipe in recipes}
    return replace(study, about=study.about | settings)


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
            raise ValueError("it has a run twice")
        return study
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a saved study, or is damaged: {error}") from error


def _bits(text: str, n: int) -> torch.Tensor:
    bits = numpy.unpackbits(numpy.frombuffer(base64.b64decode(text, validate=True), dtype=numpy.uint8))
    if not n <= len(bits) < n + 8:
        raise ValueError(f"it holds {len(bits)} answers where there are {n} test images")
    return torch.from_numpy(bits[:n].copy()).bool()
