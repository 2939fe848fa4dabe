"""What the controls of the freeze explorer do: a setting, training that lets other work go on, and the runs that are kept."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace

from helpers.lessons.explorer.costs import amount, cost_of, duration
from helpers.lessons.explorer.runs import MOST, WORDS, in_words
from helpers.lessons.explorer.trials import Setting, Trial, cut_points, short, steps_of


def in_background(steps: Iterator, each: Callable, done: Callable) -> asyncio.Task:
    """Work in small steps, between which a notebook's kernel reads its messages: a click on Cancel among them.

    The steps run as a task of the kernel's own event loop, in the main thread; while a cell runs, they wait. Without a
    running loop (in a plain program or a test) they run to the end at once. Returns the task, which can be cancelled.

    each   called after each step with what it yielded
    done   called at the end with None, or with what ended it: an exception, or asyncio.CancelledError if it was cancelled
    """

    async def work():
        with closing(steps):
            for step in steps:
                each(step)
                await asyncio.sleep(0)

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
    task = loop.create_task(work())
    task.add_done_callback(lambda task: done(asyncio.CancelledError() if task.cancelled() else task.exception()))
    if not loop.is_running():
        with closing(loop), suppress(Exception):  # `done` is told of it
            loop.run_until_complete(task)
    return task


class Session:
    """The state of a freeze explorer. Each method is what a control does; `changed` is then called with what has changed:
    "setting", "curves", "runs", "step" or "said".

    cost, setting   what is set, and its cost
    runs, expected  the trials that are kept, by number; the seconds that were expected for each
    now             the trial that is drawn beside them: the one that trains, or the preview of a head
    step            how far the training is, if one runs
    said, problem   the latest news in a sentence, and whether it is a problem
    """

    def __init__(self, setting: Setting, trials: list[Trial] = ()):
        if len(trials) > MOST:
            raise ValueError(f"up to {MOST} runs can be kept, got {len(trials)}")
        self.cost = cost_of(setting)
        self.runs = dict(enumerate(trials, 1))
        self.expected = {number: cost_of(trial.setting).seconds for number, trial in self.runs.items()}
        self.now, self.step, self.training, self.preview = None, None, None, None
        self.drawn, self.rows = 0.0, 0  # when the curve of `now` was drawn, and with how many points
        self.said, self.problem = "Choose a setting, then press Train.", False
        self.changed: Callable[[str], None] = lambda what: None

    @property
    def setting(self) -> Setting:
        return self.cost.setting

    @property
    def depths(self) -> tuple[str, ...]:
        """The stages that training can start at, from input to head."""
        return cut_points(self.setting)

    def change(self, **changes) -> None:
        """Set controls: change(upto="layer2"). Another source keeps the depth, counted from the head."""
        before = self.setting
        try:
            if "source" in changes and "upto" not in changes:
                there = cut_points(replace(before, source=changes["source"]))
                from_head = len(self.depths) - self.depths.index(before.upto)
                changes["upto"] = there[max(0, len(there) - from_head)]
            self.cost = cost = cost_of(replace(before, **changes))
        except (ValueError, FileNotFoundError) as error:
            return self._say(str(error), problem=True)
        self.changed("setting")
        named = in_words(self.setting, [name for name in WORDS if name in changes])
        named = named[0].upper() + named[1:]
        kept = f"{amount(cost.cache_mb)} MB of features kept" if cost.cache_mb else "nothing kept"
        self._say(
            f"{named}. {cost.trained:,} of {cost.parameters:,} parameters train, {amount(cost.mflops)} MFLOPs a step, {kept}, "
            f"backward pass reaches {short(self.setting.upto)}, about {duration(cost.seconds)}."
        )
        self._preview(named)

    def train(self) -> None:
        """Train what is set, unless another run is training or no further run can be kept."""
        if self.training:
            return self._say("Refused: another run is still training. Wait for it, or cancel it first.", problem=True)
        if len(self.runs) == MOST:
            return self._say(f"Refused: {MOST} runs are kept, the most that fit a figure. Remove one first.", problem=True)
        self._stop_preview()
        trial, seconds = Trial(self.setting), self.cost.seconds
        self.now, self.rows, self.drawn, self.training = trial, 0, time.monotonic(), "starting"
        self._say(f"Training: {in_words(self.setting)}.")
        task = in_background(steps_of(trial), self._each, lambda error: self._trained(trial, seconds, error))
        self.training = None if task.done() else task  # without an event loop it has ended by now

    def cancel(self) -> None:
        """Stop the run that is training; nothing of it is kept."""
        if not self.training:
            return self._say("Nothing is training, so there is nothing to cancel.")
        self._say("Cancelling.")
        self.training.cancel()

    def remove(self, number: int) -> None:
        """Remove a kept run."""
        del self.runs[number]
        self._say(f"Run {number} is removed.", "runs", "curves")

    def clear(self) -> None:
        """Remove all kept runs."""
        self.runs = {}
        self._say("All runs are removed.", "runs", "curves")

    def _each(self, step) -> None:
        """After a step of training: show progress, and the curve so far, a few times a second."""
        self.step = step
        if time.monotonic() - self.drawn > 0.3:
            self.changed("step")
            if len(self.now.history) > self.rows:
                self.rows = len(self.now.history)
                self.changed("curves")
            self.drawn = time.monotonic()

    def _trained(self, trial: Trial, expected: float, error: BaseException | None) -> None:
        at, self.training, self.now, self.step = self.step, None, None, None
        self.changed("step")
        if error is None:
            number = next(number for number in range(1, MOST + 1) if number not in self.runs)
            self.runs = dict(sorted((self.runs | {number: trial}).items()))
            self.expected[number] = expected
            self._say(f"Run {number} is done after {trial.seconds:.1f} s: {_result(trial)}.", "runs", "curves")
        elif isinstance(error, asyncio.CancelledError):
            self._say(f"Cancelled{f' ({at})' if at else ''}. Nothing of it is kept.", "curves")
        else:
            self._stopped(error)

    def _stopped(self, error: BaseException) -> None:
        self._say(f"The training stopped: {type(error).__name__}: {error}", "curves", problem=True)

    def _preview(self, changed: str) -> None:
        """If the head alone trains, train it at once: on kept features that takes a fraction of a second."""
        if self.training:
            return
        self._stop_preview()
        if not self.setting.only_head:
            return self.changed("curves")
        trial = Trial(self.setting)

        def done(error):
            if error is None:
                self.now = trial
                self._say(f"{changed}: the head alone, trained in {trial.seconds:.2f} s: {_result(trial)}.", "curves")
            elif not isinstance(error, asyncio.CancelledError):
                self._stopped(error)

        self.preview = in_background(steps_of(trial), lambda step: None, done)

    def _stop_preview(self) -> None:
        if self.preview:
            self.preview.cancel()
        self.preview, self.now = None, None

    def _say(self, text: str, *changed: str, problem: bool = False) -> None:
        self.said, self.problem = text, problem
        for what in (*changed, "said"):
            self.changed(what)


def _result(trial: Trial) -> str:
    low, high = trial.interval
    accuracy = f"{100 * trial.accuracy:.1f}% of {trial.n} validation images are classified correctly"
    return f"{accuracy} (95% interval {100 * low:.0f} to {100 * high:.0f})"
