"""Compare recipes over seeds: tables with n, seeds and intervals, paired differences, results kept in a file."""

import json
import platform
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas
import torch

from helpers.images.tasks import Task
from helpers.notebook.progress import Progress
from helpers.training.fitting import fit
from helpers.training.intervals import interval
from helpers.training.recipes import Recipe


@dataclass(eq=False)
class Comparison:
    """Recipes on the same task, images and seeds.

    task     what it was measured on, in words
    recipes  {name: settings}
    seeds    of the draws of training images, the new layers and the order of the batches
    correct  {name: bool (seeds, n)}: which test images each run named rightly; the same n images throughout
    runs     a row a run: recipe, seed, accuracy, trained, seconds
    about    where and when it was measured: versions, hardware, date
    """

    task: str
    recipes: dict[str, dict]
    seeds: list[int]
    correct: dict[str, torch.Tensor]
    runs: pandas.DataFrame
    about: dict[str, str]

    @property
    def n(self) -> int:
        """How many test images."""
        return next(iter(self.correct.values())).shape[1]

    @property
    def table(self) -> pandas.DataFrame:
        """A row a recipe: accuracy in % with its 95 % interval, over how many seeds and images, parameters, seconds."""
        rows = {}
        for name, correct in self.correct.items():
            mean, low, high = interval(correct)
            runs = self.runs[self.runs.recipe == name]
            rows[name] = {
                "accuracy %": 100 * mean, "low": 100 * low, "high": 100 * high, "seeds": len(self.seeds), "n": self.n,
                "trained parameters": int(runs.trained.iloc[0]), "seconds": runs.seconds.mean(),
            }  # fmt: skip
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("recipe").round(1)

    def paired(self, baseline: str | None = None) -> pandas.DataFrame:
        """Differences to `baseline` (default: the first recipe) in points, on the same seeds and images.

        "supported" says whether the 95 % interval leaves out zero: only then speak of better or worse. One seed
        supports nothing, because another might have given another difference.
        """
        baseline = baseline or next(iter(self.correct))
        if baseline not in self.correct:
            raise ValueError(
                f"no recipe {baseline!r} in this comparison; there are {', '.join(self.correct)}"
            )
        rows = {}
        for name, correct in self.correct.items():
            if name != baseline:
                mean, low, high = interval(correct.float() - self.correct[baseline].float())
                rows[f"{name} - {baseline}"] = {
                    "points": 100 * mean, "low": 100 * low, "high": 100 * high,
                    "supported": "yes" if len(self.seeds) > 1 and (low > 0 or high < 0) else "no",
                }  # fmt: skip
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("difference").round(1)

    def plot(self):
        """A figure: each run as a point, each recipe's mean with its interval. Returns matplotlib's Figure."""
        from helpers.notebook.figures import plot_comparisons

        return plot_comparisons([self])

    def save(self, path: str | Path) -> Path:
        """Write everything to a JSON file; `load_comparison` reads it back."""
        data = {
            "task": self.task, "recipes": self.recipes, "seeds": self.seeds, "about": self.about,
            "correct": {name: ["".join("01"[int(x)] for x in row) for row in rows] for name, rows in self.correct.items()},
            "runs": self.runs.to_dict("records"),
        }  # fmt: skip
        Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        return f"{self.task}, {len(self.seeds)} seeds, {self.n} test images\n{self.table.to_string()}"


def load_comparison(path: str | Path) -> Comparison:
    """Read what `Comparison.save` wrote. Raises ValueError if the file holds something else."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        data["correct"] = {
            name: torch.tensor([["01".index(c) for c in row] for row in rows], dtype=torch.bool)
            for name, rows in data["correct"].items()
        }
        data["runs"] = pandas.DataFrame(data["runs"], columns=["recipe", "seed", "accuracy", "trained", "seconds"])
        result = Comparison(**data)
        runs = sorted(zip(result.runs.recipe, result.runs.seed, strict=True))
        if runs != sorted((name, seed) for name in result.recipes for seed in result.seeds):
            raise ValueError("its runs are not one a recipe and seed")
        if [(name, tuple(rows.shape)) for name, rows in result.correct.items()] != [
            (name, (len(result.seeds), result.n)) for name in result.recipes
        ]:
            raise ValueError("its answers are not one a recipe, seed and test image")
        return result
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ValueError(f"{path} is no saved comparison, or a damaged one: {error}") from error


def compare(recipes: list[Recipe], task: Task, seeds: int | list[int] = 5) -> Comparison:
    """Fit every recipe once a seed. A seed draws other training images, other new layers, another order of batches.

    All recipes see the same training images of a seed, and all runs are judged on the same test images, so that
    differences are paired. Raises ValueError for no recipes, two of the same name, no seeds or one of them twice,
    and what `fit` raises.
    """
    if not isinstance(recipes, (list, tuple)) or not all(isinstance(recipe, Recipe) for recipe in recipes):
        raise TypeError(f"compare takes a list of recipes, got {recipes!r}")
    names = [recipe.name for recipe in recipes]
    if not recipes or len(set(names)) < len(names):
        raise ValueError(
            f"compare needs recipes with different names, got {names}; use replace(recipe, name=...)"
        )
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"compare needs at least one seed, and each once, got {seeds}")
    progress = Progress(
        len(seeds) * sum(recipe.head_steps + recipe.steps for recipe in recipes), "comparing:"
    )
    rows, correct = [], {name: [] for name in names}
    for seed in seeds:
        drawn = task.draw(seed)
        for recipe in recipes:
            run = fit(recipe, drawn, seed, progress=progress)
            correct[recipe.name].append(run.correct)
            rows.append({"recipe": recipe.name, "seed": seed, "accuracy": run.accuracy, "trained": run.trained,
                         "seconds": round(run.seconds, 3)})  # fmt: skip
    labels = "all" if task.per_class is None else task.per_class
    words = f"{task.name}, {labels} training images a class, {task.size} px"
    result = Comparison(
        words, {recipe.name: asdict(recipe) for recipe in recipes}, seeds,
        {name: torch.stack(runs) for name, runs in correct.items()}, pandas.DataFrame(rows), provenance(),
    )  # fmt: skip
    progress.done(f"{len(rows)} runs on {words}: {result.runs.seconds.sum():.0f} s of training")
    return result


def provenance() -> dict[str, str]:
    """Versions, hardware and date: what a results file says of its origin."""
    from importlib.metadata import version

    hardware = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return {
        "python": platform.python_version(), "torch": version("torch"), "torchvision": version("torchvision"),
        "lightning": version("lightning"), "hardware": f"{platform.machine()}, {hardware}", "date": date.today().isoformat(),
    }  # fmt: skip
