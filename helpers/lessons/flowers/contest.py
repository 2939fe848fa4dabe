"""The contest of lab 1: the best classifier from five labels a class in two minutes.

It is judged on pictures that are drawn when the classifier is finished, from a seed that no task uses.
"""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas
import torch
from scipy import stats

from helpers.images.closing import MorePictures, given_pictures_only
from helpers.images.drawn.garden import render_split
from helpers.images.tasks import EMBEDDED, Split, Task
from helpers.lessons.flowers.probes import as_logits, found
from helpers.notebook.findings import answer_of, tensor
from helpers.training.fitting import Fit, fit
from helpers.training.intervals import interval, wilson
from helpers.training.recipes import FEATURE_EXTRACTION
from helpers.training.study import load_study

TASK, PER_CLASS = "goldfinches", 5  # on this the course has measured strategies, see tools/studies/contest.py
_SEED, _PICTURES = 73_019, 250  # of the held-out pictures: their seed, and how many of each class
SURER = 4.0  # standard errors by which a classifier may be surer of validation pictures than of new ones
_LAST = []  # the score of the last contest in this session
_LOOKS = Counter()  # how many scores there were on the pictures of a task


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
    about      what it was judged on: "goldfinches, 5 labels a class"
    answers    which class it gave each picture, int64 (n,)
    """

    correct: torch.Tensor
    baselines: dict[str, torch.Tensor]
    seconds: float
    looks: int
    about: str = ""
    answers: torch.Tensor | None = None

    @property
    def line(self) -> str:
        """One line for the class's leaderboard. Its last word is a fingerprint of the answers: equal networks have equal ones."""
        share = self.correct.float().mean().item()
        low, high = wilson(share, len(self.correct))
        answers = self.correct if self.answers is None else self.answers
        mark = hashlib.sha256(bytes(answers.to(torch.uint8).tolist())).hexdigest()[:6]
        return (
            f"NAME | {share:.1%} ({low:.1%} to {high:.1%}) of {len(self.correct)} | {self.about} | {self.seconds:.0f} s | "
            f"look {self.looks} | {mark}"
        )

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


def baselines(task: Task) -> dict[str, torch.Tensor]:
    """Which of `pictures(task)` the course's strategies classify correctly: {name: bool (seeds, n)}.

    For the goldfinches as lab 1 opens them they come with the course: at whatever size the same birds are drawn. For another
    task, feature extraction is trained here on the same training images.
    """
    if (task.name, task.per_class, task.seed) == (TASK, PER_CLASS, 0):
        study = load_study("contest")
        return {name: torch.stack(study.select(strategy=name).correct) for name in study.runs.strategy.unique()}
    return {FEATURE_EXTRACTION.name: _plain(task).correct[None]}


@lru_cache(maxsize=2)  # the same for every try
def _plain(task: Task) -> Fit:
    return fit(FEATURE_EXTRACTION, replace(task, test=pictures(task)))


def surer(val: torch.Tensor, val_labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor) -> float:
    """Standard errors by which logits have larger margins on validation pictures than on new ones (Mann and Whitney's test)."""
    margins = []
    for logits, labels in ((val, val_labels), (new, new_labels)):
        own = logits.gather(1, labels[:, None])[:, 0]
        margins.append(own - logits.scatter(1, labels[:, None], -torch.inf).amax(1))
    n, m = map(len, margins)
    return (stats.mannwhitneyu(*margins).statistic - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


def contest(my_best, task, minutes=2):
    """A classifier from the training and validation images alone, in time, judged on pictures that nobody has seen."""
    started = time.perf_counter(), time.process_time()
    try:
        with given_pictures_only():
            made = answer_of(my_best, for_practice(task))
    except MorePictures as error:
        raise found("more pictures", str(error)) from None
    # by the clock or, where other programs keep the computer busy, in seconds of its processor
    seconds = min(time.perf_counter() - started[0], time.process_time() - started[1])
    if seconds > 60 * minutes:
        raise found("too slow", f"your function took {seconds:.1f} s of {60 * minutes:g}")
    answer, unseen = as_logits(made), pictures(task)
    few = unseen.pixels[:: -(-len(unseen) // 12)]
    together = tensor(answer(few), "the logits", dtype=torch.float32, device="cpu")
    if together.shape != (len(few), len(task.classes)):
        raise found("wrong classes", f"{len(few)} pictures give {tuple(together.shape)}, for {len(task.classes)} classes")
    alone = torch.cat([answer(picture[None]) for picture in few])
    if (alone - together).abs().max() > 0.01 * (1 + together.abs().max()):
        raise found("depends on its neighbours", "the same pictures got different logits one by one than together")
    logits, val = (torch.cat([answer(rows) for rows in split.pixels.split(100)]) for split in (unseen, task.val))
    if (errors := surer(val, task.val.labels, logits, unseen.labels)) > SURER:
        seen = f"it is far surer of validation pictures than of new ones, by {errors:.0f} standard errors"
        raise found("trained on validation", seen)
    correct = logits.argmax(1) == unseen.labels
    share, (low, high) = correct.float().mean().item(), wilson(correct.float().mean().item(), len(unseen))
    told = f"{share:.1%} ({low:.1%} to {high:.1%}) of {len(unseen)} pictures, in {seconds:.0f} s"
    _LOOKS[task.name] += 1
    about = f"{task.name}, {task.per_class} labels a class"
    _LAST[:] = [Score(correct, baselines(task), seconds, _LOOKS[task.name], about, logits.argmax(1))]
    if low <= 1 / len(task.classes):
        raise found("no better than chance", f"{told}; chance is {1 / len(task.classes):.0%}")
    paired = _LAST[0].paired
    against = paired.loc[f"yours - {FEATURE_EXTRACTION.name}"]
    if against.high < 0:
        behind = f"{against.points:+.1f} points ({against.low:+.1f} to {against.high:+.1f})"
        raise found("behind the plain recipe", f"{told}; compared with {FEATURE_EXTRACTION.name} that is {behind}")
    beaten = f"Ahead of {(paired.low > 0).sum()} of the course's {len(paired)} strategies."
    again = " If you choose by these pictures, no test is left." if _LOOKS[task.name] > 1 else ""
    return f"{told}. {beaten} Look {_LOOKS[task.name]} at these pictures.{again}"


def last_score() -> Score:
    """The last score in this session. Raises ValueError if there was none."""
    if not _LAST:
        raise ValueError("there is no score yet: run the check of the contest first, until it gets a classifier to judge")
    return _LAST[0]
