"""What the freeze explorer does, without its widgets: a setting, a run that trains bit by bit, the runs that are kept."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from helpers.lessons.explorer.comparing import MOST, WORDS, in_words
from helpers.lessons.explorer.prospects import Prospect, amount, duration, prospect
from helpers.lessons.explorer.trials import Setting, Step, Trial, places, short, steps_of


class Job:
    """Work in small steps, between which a notebook's kernel reads its messages: a click on Cancel among them.

    A callback that trains to the end would keep the kernel from reading anything before it is done. So the steps run as a
    task of the kernel's own event loop, one after the other in the main thread; while a cell runs, they wait. Without a
    running loop (a plain program, a test) they run to the end at once.

    each   called after each step with what it yielded
    done   called at the end: with None, with the exception that ended it, or with asyncio.CancelledError if it was cancelled
    """

    def __init__(self, steps: Iterator, each: Callable, done: Callable):
        self.steps, self.each, self.done, self.cancelled = steps, each, done, False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            while self._step():
                pass
        else:
            self.task = loop.create_task(self._run())  # kept: a loop holds its tasks by weak references only

    def cancel(self) -> None:
        """Stop before the next step."""
        self.cancelled = True

    async def _run(self):
        await asyncio.sleep(0)
        while self._step():
            await asyncio.sleep(0)

    def _step(self) -> bool:
        """One step; whether there may be another."""
        try:
            if self.cancelled:
                self.steps.close()
                raise asyncio.CancelledError
            self.each(next(self.steps))
            return True
        except StopIteration:
            self.done(None)
        except asyncio.CancelledError as error:
            self.done(error)
        except Exception as error:  # whatever it is, the reader has to see it: nobody else will
            self.done(error)
        return False


@dataclass(frozen=True)
class Kept:
    """A run that is kept: its number, what came of it, and the seconds that were expected."""

    number: int
    trial: Trial
    expected: float


class Bench:
    """The state of a freeze explorer. Each method is a callback: it changes the state, then tells what has changed.

    tell     called with "setting", "curves", "kept" or "said"
    said     the last news in a sentence, and whether it is a problem
    now      the trial that is drawn beside those that are kept: the one that trains, or the preview of a head
    """

    def __init__(self, setting: Setting, trials: list[Trial] = (), tell: Callable[[str], None] = lambda what: None):
        if len(trials) > MOST:
            raise ValueError(f"up to {MOST} runs can be kept side by side, got {len(trials)}")
        self.prospect: Prospect = prospect(setting)
        self.kept = [Kept(i, trial, prospect(trial.setting).seconds) for i, trial in enumerate(trials, 1)]
        self.tell, self.now, self.step = tell, None, None
        self.drawn, self.rows = 0.0, 0  # when the curve of `now` was drawn, and with how many rows
        self.training: Job | None = None
        self.preview: Job | None = None
        self.said, self.problem = "Choose a setting, then press Train.", False

    @property
    def setting(self) -> Setting:
        return self.prospect.setting

    @property
    def depths(self) -> list[str]:
        """The stages that training can start at, from input to head."""
        return list(places(self.setting))

    def change(self, **changes) -> None:
        """Set controls: change(upto="layer2"). Another source keeps the place to train from, counted from the head."""
        before = self.setting
        try:
            if "source" in changes and "upto" not in changes:
                there = places(replace(before, source=changes["source"]))
                from_head = len(self.depths) - self.depths.index(before.upto)
                changes["upto"] = there[max(0, len(there) - from_head)]
            self.prospect = prospect(replace(before, **changes))
        except (ValueError, FileNotFoundError) as error:
            return self._say(str(error), problem=True)
        seen = self.prospect
        self.tell("setting")
        kept = f"{amount(seen.cache_mb)} MB of features kept" if seen.cache_mb else "nothing kept"
        named = in_words(self.setting, [name for name in WORDS if name in changes])
        self._say(
            f"{named[0].upper()}{named[1:]}. {seen.trained:,} of {seen.parameters:,} parameters train, "
            f"{amount(seen.mflops)} MFLOPs a step, {kept}, backward pass reaches {short(seen.reach)}, "
            f"about {duration(seen.seconds)}."
        )
        self._preview(named)

    def train(self) -> None:
        """Begin to train what is set; refused while another run trains, and where no further run could be told apart."""
        if self.training:
            return self._say(f"Refused: {self._name} is still training. Wait for it, or cancel it first.", problem=True)
        if len(self.kept) == MOST:
            return self._say(f"Refused: {MOST} runs are kept, more cannot be told apart. Remove one first.", problem=True)
        self._stop_preview()
        self.now, self.rows, self.drawn = Trial(self.setting), 0, time.monotonic()
        self._name = f"the run from {short(self.setting.upto)}"
        self._say(f"Training {in_words(self.setting)}.")
        self.training = "starting"
        trial, expected = self.now, self.prospect.seconds
        job = Job(steps_of(trial), self._each, lambda error: self._trained(trial, expected, error))
        self.training = job if self.training else None  # without an event loop it is done by now

    def cancel(self) -> None:
        """Stop the run that trains; nothing of it is kept."""
        if not self.training:
            return self._say("Nothing is training, so there is nothing to cancel.")
        self._say("Cancelling.")
        self.training.cancel()

    def remove(self, number: int) -> None:
        """Remove the kept run of this number."""
        self.kept = [run for run in self.kept if run.number != number]
        self.tell("kept")
        self.tell("curves")
        self._say(f"Run {number} is removed.")

    def clear(self) -> None:
        """Remove all kept runs."""
        self.kept = []
        self.tell("kept")
        self.tell("curves")
        self._say("All runs are removed.")

    def _each(self, step: Step) -> None:
        """Of a step of training: how far it is, and the curve as it goes, a few times a second."""
        self.step = step
        if time.monotonic() - self.drawn > 0.3:
            self.tell("step")
            if len(self.now.history) > self.rows:
                self.rows = len(self.now.history)
                self.tell("curves")
            self.drawn = time.monotonic()

    def _trained(self, trial: Trial, expected: float, error: BaseException | None) -> None:
        self.training, self.now, at = None, None, self.step
        self.step = None
        self.tell("step")
        if error is None:
            number = next(number for number in range(1, MOST + 1) if number not in [run.number for run in self.kept])
            self.kept = sorted([*self.kept, Kept(number, trial, expected)], key=lambda run: run.number)
            self.tell("kept")
        self.tell("curves")
        if error is None:
            self._say(f"Run {number} is done after {trial.seconds:.1f} s: it {_result(trial)}.")
        elif isinstance(error, asyncio.CancelledError):
            self._say(f"Cancelled{f' ({at})' if at else ''}. Nothing of it is kept.")
        else:
            self._say(f"The training stopped: {type(error).__name__}: {error}", problem=True)

    def _preview(self, changed: str) -> None:
        """Where the head alone trains, do so at once: it takes a fraction of a second on kept features."""
        if self.training:
            return
        self._stop_preview()
        if not self.setting.only_head:
            return self.tell("curves")
        trial = Trial(self.setting)

        def ended(error):
            if error is None:
                self.now = trial
                self.tell("curves")
                done = f"the head alone, trained in {trial.seconds:.2f} s, {_result(trial)}."
                self._say(f"{changed[0].upper()}{changed[1:]}: {done}")
            elif not isinstance(error, asyncio.CancelledError):
                self._say(f"The training stopped: {type(error).__name__}: {error}", problem=True)

        self.preview = Job(steps_of(trial), lambda step: None, ended)

    def _stop_preview(self) -> None:
        if self.preview:
            self.preview.cancel()
        self.preview, self.now = None, None

    def _say(self, text: str, problem: bool = False) -> None:
        self.said, self.problem = text, problem
        self.tell("said")


def _result(trial: Trial) -> str:
    low, high = trial.interval
    share = f"{100 * trial.accuracy:.1f} % of {trial.n} validation images"
    return f"names {share} rightly (95 % interval {100 * low:.0f} to {100 * high:.0f})"
