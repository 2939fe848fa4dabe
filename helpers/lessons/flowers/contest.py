"""The contest of lab 1: the best classifier of goldfinches from five labels a species, in two minutes.

It is judged on pictures that are drawn when the classifier is finished, from a seed that no task uses. Two minutes are those
of an ordinary laptop: on a slower computer, such as a busy one that grades, the limit is longer (`pace`).
"""

import hashlib
import time
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas
import torch
from scipy import stats

from helpers.images.closing import MorePictures, given_pictures_only
from helpers.images.drawn.garden import render_split
from helpers.images.tasks import Split, Task, open_task
from helpers.lessons.flowers.probes import as_logits, found
from helpers.notebook.findings import answer_of, tensor
from helpers.sources.backbones import load_backbone
from helpers.training.intervals import interval, paired_difference, wilson
from helpers.training.study import load_study

TASK, PER_CLASS = "goldfinches", 5  # on this the course has measured strategies, see tools/studies/contest.py
PLAIN = "feature extraction"  # the strategy that nobody should be behind
SURER = 3.0  # standard errors by which it may be surer of validation pictures than of new ones: honest fits had 0.4 to 1.1
_SEED, _PICTURES = 73_019, 250  # of the held-out pictures: their seed, and how many of each class
_STEPS_TAKE, _SLOWEST = 0.25, 4.0  # seconds for the steps of `pace` (0.17 on one of our cores); the most that a limit grows
_LAST = []  # the scores of this session: each is a look at the held-out pictures


@lru_cache(maxsize=2)
def held_out(size: int) -> Split:
    """The pictures on which the contest is judged: the same birds at every size; no task contains any of them."""
    images, labels, targets, _ = render_split(TASK, "test", _PICTURES, _SEED, size)
    return Split(images, torch.arange(len(images)), labels, [""] * len(images), targets)


def for_practice(size: int = 64) -> Task:
    """The task that a contestant gets: five training images a species, the validation images, and no others.

    The validation images take the place of the test images, so `fit` works on it and reports validation accuracy. There
    is nothing to draw from but the training images.
    """
    task = open_task(TASK, PER_CLASS, size=size)
    pixels, labels = task.train.pixels, task.train.labels  # a copy: the task's own are rows of a larger tensor
    targets = {name: values.clone() for name, values in task.train.targets.items()}
    train = Split(pixels, torch.arange(len(pixels)), labels.clone(), [""] * len(pixels), targets)
    return replace(task, train=train, test=task.val, pool=train)


@dataclass(eq=False)
class Score:
    """How one classifier did in a contest, compared with the baselines on the same pictures.

    correct    bool (n,): which pictures it classified correctly
    baselines  {name: bool (seeds, n)}
    seconds    that it took to make
    looks      how many classifiers were scored on these pictures in this session, with this one
    answers    which class it gave each picture, int64 (n,)
    """

    correct: torch.Tensor
    baselines: dict[str, torch.Tensor]
    seconds: float
    looks: int
    answers: torch.Tensor

    @property
    def line(self) -> str:
        """One line for the class's leaderboard. Its last word is a fingerprint of the answers: equal networks have equal ones."""
        share, n = self.correct.float().mean().item(), len(self.correct)
        low, high = wilson(share, n)
        mark = hashlib.sha256(bytes(self.answers.tolist())).hexdigest()[:6]
        task = f"{TASK}, {PER_CLASS} labels a class"
        return f"NAME | {share:.1%} ({low:.1%} to {high:.1%}) of {n} | {task} | {self.seconds:.0f} s | look {self.looks} | {mark}"

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

        Both the pictures and the baseline's seeds are samples. It holds for this one network, from these training images.
        """
        rows = {name: paired_difference(self.correct.expand_as(each), each) for name, each in self.baselines.items()}
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("compared with").round(1)


def baselines() -> dict[str, torch.Tensor]:
    """Which of the held-out pictures the course's strategies classify correctly, the best first: {name: bool (seeds, n)}."""
    study = load_study("contest")
    names = study.table("strategy").sort_values("accuracy %", ascending=False).index
    return {name: torch.stack(study.select(strategy=name).correct) for name in names}


def surer(val: torch.Tensor, val_labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor) -> float:
    """Standard errors by which logits have larger margins on validation pictures than on new ones (Mann and Whitney's test)."""
    margins = []
    for logits, labels in ((val, val_labels), (new, new_labels)):
        own = logits.gather(1, labels[:, None])[:, 0]
        margins.append(own - logits.scatter(1, labels[:, None], -torch.inf).amax(1))
    n, m = map(len, margins)
    return (stats.mannwhitneyu(*margins).statistic - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


def _since(start: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """Seconds by the clock, and of this program's processor time."""
    return time.perf_counter() - start[0], time.process_time() - start[1]


@lru_cache(maxsize=1)
def pace() -> float:
    """How many times as long as the computer of the two minutes this one takes for a few fixed training steps: 1 to 4."""
    with torch.random.fork_rng():  # the contestant's random numbers stay as they are
        model, images = load_backbone("garden").model, torch.zeros(32, 3, 64, 64)
    optimizer, best = torch.optim.SGD(model.parameters(), lr=1e-3), torch.inf
    for _ in range(4):  # the best of four: other programs come and go
        start = _since()
        for _ in range(5):
            optimizer.zero_grad()
            model(images).square().mean().backward()
            optimizer.step()
        best = min(best, *_since(start))
    return min(max(best / _STEPS_TAKE, 1.0), _SLOWEST)


def contest(my_best, size=64, minutes=2):
    """A classifier from the training and validation images alone, in time, judged on pictures that nobody has seen."""
    task, limit = for_practice(size), 60 * minutes * pace()
    started = _since()
    try:
        with given_pictures_only():
            made = answer_of(my_best, task)
    except MorePictures as error:
        raise found("more pictures", str(error)) from None
    # by the clock or, where other programs keep the computer busy, in seconds of its processor
    clock, processor = _since(started)
    if (seconds := min(clock, processor)) > limit:
        longer = f" (on this computer {pace():.1f} times as long as on others)" if pace() > 1 else ""
        raise found("too slow", f"your function took {seconds:.1f} s of {limit:.3g}{longer}")
    answer, unseen = as_logits(made), held_out(size)
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
    _LAST.append(Score(correct, baselines(), seconds, len(_LAST) + 1, logits.argmax(1)))
    share, (low, high) = correct.float().mean().item(), wilson(correct.float().mean().item(), len(unseen))
    told = f"{share:.1%} ({low:.1%} to {high:.1%}) of {len(unseen)} pictures, in {seconds:.0f} s"
    told += f" of processor time ({clock:.0f} s by the clock)" if clock > seconds + 1 else ""
    if low <= 1 / len(task.classes):
        raise found("no better than chance", f"{told}; chance is {1 / len(task.classes):.0%}")
    paired = _LAST[-1].paired
    against = paired.loc[PLAIN]
    if against.high < 0:
        behind = f"{against.points:+.1f} points ({against.low:+.1f} to {against.high:+.1f})"
        raise found("behind the plain recipe", f"{told}; compared with {PLAIN} that is {behind}")
    again = " If you choose by these pictures, no test is left." if len(_LAST) > 1 else ""
    beaten = f"Ahead of {(paired.low > 0).sum()} of the course's {len(paired)} strategies."
    return f"{told}. {beaten} Look {len(_LAST)} at these pictures.{again}"


def last_score() -> Score:
    """The last score in this session. Raises ValueError if there was none."""
    if not _LAST:
        raise ValueError("there is no score yet: run the check of the contest first, until it gets a classifier to judge")
    return _LAST[-1]
