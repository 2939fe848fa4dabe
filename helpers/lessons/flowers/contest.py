"""The contest of lab 1: the best classifier from a few labels in two minutes.

It is judged on pictures that are drawn when the classifier is finished, from a seed that no task uses.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas
import torch
from scipy import stats

from helpers.images.drawn.garden import render_split
from helpers.images.tasks import EMBEDDED, Split, Task
from helpers.training.fitting import Fit, fit, source_for
from helpers.training.intervals import interval
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe
from helpers.training.study import load_study

TASK, PER_CLASS, SIZE = "flowers", 20, 64  # on this the course has measured its recipes, see tools/studies/contest.py
_SEED, _PICTURES = 73_019, 100  # of the held-out pictures: their seed, and how many of each class
_LAST = []  # the score of the last contest in this session
_LOOKS = Counter()  # how many scores there were on the pictures of (task, size)


@lru_cache(maxsize=2)
def held_out(name: str, size: int) -> Split:
    """The pictures of an embedded task on which a contest is judged; no task contains any of them."""
    images, labels, targets, _ = render_split(name, "test", _PICTURES, _SEED, size)
    return Split(images, torch.arange(len(images)), labels, [""] * len(images), targets)


def for_practice(task: Task) -> Task:
    """The task that a contestant gets: copies of its training and validation images, and no others.

    The validation images take the place of the test images, so `fit` works on it and reports validation accuracy. There
    is nothing to draw from but the training images.
    """
    train, val = _copy(task.train), _copy(task.val)
    return replace(task, train=train, val=val, test=_copy(val), pool=train)


def _copy(split: Split) -> Split:
    """The same pictures in storage of their own: the splits of a folder share one tensor, test images and all."""
    targets = {name: values.clone() for name, values in split.targets.items()}
    return Split(split.pixels, torch.arange(len(split)), split.labels.clone(), list(split.files), targets, list(split.credits))


@dataclass(eq=False)
class Score:
    """How one classifier did in a contest, compared with the baselines on the same pictures.

    correct    bool (n,): which pictures it classified correctly
    baselines  {name: bool (seeds, n)}
    seconds    that it took to make
    looks      how many classifiers were scored on these pictures in this session, with this one
    """

    correct: torch.Tensor
    baselines: dict[str, torch.Tensor]
    seconds: float
    looks: int

    @property
    def table(self) -> pandas.DataFrame:
        """Accuracy in % with its 95% interval: one row for the classifier, one for each baseline."""
        rows = {}
        for name, correct in {"yours": self.correct[None], **self.baselines}.items():
            mean, low, high = (100 * value for value in interval(correct))
            rows[name] = {"accuracy %": mean, "low": low, "high": high, "networks": len(correct), "n": correct.shape[1]}
        return pandas.DataFrame.from_dict(rows, orient="index").round(1)

    @property
    def paired(self) -> pandas.DataFrame:
        """Points by which the classifier is ahead of the average network of each baseline, with their 95% interval.

        Both the pictures and the baseline's seeds are samples: their variances add up (Welch's interval). It holds for
        this one network, from these training images.
        """
        rows = {}
        for name, correct in self.baselines.items():
            points, low, high = ahead(self.correct, correct)
            supported = "yes" if low > 0 or high < 0 else "no"
            rows[f"yours - {name}"] = {"points": points, "low": low, "high": high, "supported": supported}
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("difference").round(1)

    def __repr__(self) -> str:
        return f"{self.table.to_string()}\n\n{self.paired.to_string()}"


def ahead(correct: torch.Tensor, baseline: torch.Tensor) -> tuple[float, float, float]:
    """Points, low and high by which bool (n,) is ahead of the mean of bool (seeds, n) on the same n pictures."""
    difference = correct.double() - baseline.double().mean(0)
    seeds, n = baseline.shape
    of_images = difference.var().item() / n
    of_seeds = baseline.double().mean(1).var().item() / seeds if seeds > 1 else 0.0
    variance, mean = of_images + of_seeds, difference.mean().item()
    if not variance:
        return 100 * mean, 100 * mean, 100 * mean
    freedom = variance**2 / (of_images**2 / (n - 1) + (of_seeds**2 / (seeds - 1) if of_seeds else 0.0))
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    return 100 * mean, 100 * (mean - half), 100 * (mean + half)


def pictures(task: Task) -> Split:
    """What a contest on this task is judged on: freshly drawn pictures, or the test images of a folder."""
    return held_out(task.name, task.size) if task.name in EMBEDDED else task.test


def baselines(task: Task, plain: Recipe = FEATURE_EXTRACTION) -> dict[str, torch.Tensor]:
    """Which of `pictures(task)` the course's recipes classify correctly: {name: bool (seeds, n)}.

    For the flowers as lab 1 opens them they come with the course. For another task, or another plain recipe, that recipe
    is trained here on the same training images.
    """
    plain, ours = (replace(recipe, source=recipe.source or source_for(task)) for recipe in (plain, FEATURE_EXTRACTION))
    if (task.name, task.per_class, task.size, task.seed, plain) == (TASK, PER_CLASS, SIZE, 0, ours):
        study = load_study("contest")
        return {name: torch.stack(study.select(recipe=name).correct) for name in study.runs.recipe.unique()}
    return {plain.name: _plain(task, plain).correct[None]}


@lru_cache(maxsize=2)  # the same for every try
def _plain(task: Task, plain: Recipe) -> Fit:
    return fit(plain, replace(task, test=pictures(task)))


def score(correct: torch.Tensor, task: Task, plain: Recipe, seconds: float) -> Score:
    """The score of a classifier by which of `pictures(task)` it classified correctly, bool (n,); kept for `last_score`."""
    found, on = baselines(task, plain), (task.name, task.size)
    _LOOKS[on] += 1
    _LAST[:] = [Score(correct, found, seconds, looks=_LOOKS[on])]
    return _LAST[0]


def last_score() -> Score:
    """The last score in this session. Raises ValueError if there was none."""
    if not _LAST:
        raise ValueError("there is no score yet: run the check of the contest first, until it gets a classifier to judge")
    return _LAST[0]
