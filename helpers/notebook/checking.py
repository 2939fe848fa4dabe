"""Checks of a lab's answers: passed, or what was seen, what was expected, and a hint. Nothing leaves the machine.

    from helpers import check
    check.head_swapped(model, num_classes=4)

What each check asks for stands in a module a lab (`Checks` is told which). There a check is a function that raises
`Finding` when it finds something wrong; what can go wrong in anybody's code is turned into findings here.
"""

import difflib
import functools
import inspect
import os
import warnings
from dataclasses import dataclass
from importlib import import_module

import torch

from helpers.notebook.findings import Finding, answer_of, number, tensor  # what those modules take from here
from helpers.notebook.timelimit import TimeIsUp, time_limit
from helpers.notebook.trouble import explain
from helpers.notebook.verdicts import Verdict


@dataclass(eq=False)
class Check:
    """A check by its name, what it asks, and how its answers fared in this session."""

    lab: str
    function: object
    seconds: float
    passed: bool | None = None  # None: never tried

    def __post_init__(self):
        functools.update_wrapper(self, self.function)
        self.name = self.function.__name__
        self.made: dict[str, int] = {}  # how often each finding was made

    def __call__(self, *answer, **settings) -> None:
        """Judge an answer and show the verdict. Under nbgrader a wrong answer raises AssertionError."""
        from IPython.display import display

        inspect.signature(self.function).bind(*answer, **settings)  # a TypeError that names what is missing
        verdict = self.judge(*answer, **settings)
        display(verdict)
        if not verdict.passed and os.environ.get("NBGRADER_EXECUTION"):
            raise AssertionError(f"{self.name}: {verdict.seen}")

    def judge(self, *answer, **settings) -> Verdict:
        """The verdict on an answer. Random numbers come from a seed of the check's own; the student's go on as before."""
        what = inspect.getdoc(self.function).splitlines()[0]
        try:
            note = self._run(answer, settings)
        except Finding as finding:
            times = self.made[finding.kind] = self.made.get(finding.kind, 0) + 1
            which = min(times, len(finding.hints))
            self.passed = False
            hint = f"hint {which} of {len(finding.hints)}", finding.hints[which - 1]
            return Verdict(self.name, what, False, finding.name, finding.seen, finding.expected, hint)
        self.passed = True
        return Verdict(self.name, what, True, note=note or "")

    def _run(self, answer, settings) -> str | None:
        try:
            with (
                time_limit(self.seconds),
                warnings.catch_warnings(action="ignore"),
                torch.enable_grad(),
                torch.random.fork_rng(devices=[]),
            ):
                torch.manual_seed(0)
                return self.function(*answer, **settings)
        except Finding:
            raise
        except TimeIsUp:
            raise Finding(
                "takes too long",
                seen=f"no answer within {self.seconds:g} seconds",
                expected="an answer after a moment",
                hints=(
                    "Is there a loop that never ends? Look at what its condition waits for, and whether that ever changes.",
                    "Print something in the loop and call your function yourself, in a new cell; stop it with the square button.",
                ),
            ) from None
        except Exception as error:  # whatever the student's code raises becomes a hint
            raise Finding(**explain(error), kind=type(error).__name__) from None


__all__ = ["Check", "Checks", "Finding", "answer_of", "checked", "number", "tensor"]

_CHECKS: dict[str, Check] = {}


def checked(lab: str, seconds: float = 20):
    """Decorator: make a function a check of a lab, `check.NAME`.

    The first line of its docstring says what has to hold; a text that it returns is shown behind "passed".
    Raises ValueError if another check has the name.
    """

    def register(function) -> Check:
        if function.__name__ in _CHECKS and _CHECKS[function.__name__].lab != lab:
            raise ValueError(f"there are two checks {function.__name__!r}: in {_CHECKS[function.__name__].lab} and {lab}")
        _CHECKS[function.__name__] = Check(lab, function, seconds)
        return _CHECKS[function.__name__]

    return register


class Checks:
    """All checks by name: `check.head_swapped(model, num_classes=4)`; `check.tally(lab)` says how many passed.

    labs: {name of a lab: the module that defines its checks}, imported when a check is first asked for.
    """

    def __init__(self, labs: dict[str, str]):
        self._labs = labs

    def _all(self) -> dict[str, Check]:
        for module in self._labs.values():
            import_module(module)
        labs = list(self._labs)
        known = {name: one for name, one in _CHECKS.items() if one.lab in labs}
        return dict(sorted(known.items(), key=lambda item: labs.index(item[1].lab)))  # within a lab as defined

    def __getattr__(self, name: str) -> Check:
        if name.startswith("_"):
            raise AttributeError(name)
        checks = self._all()
        if name in checks:
            return checks[name]
        close = difflib.get_close_matches(name, checks, 1)
        raise AttributeError(f"there is no check {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))

    def __dir__(self):
        return [*self._all(), "tally"]

    def tally(self, lab: str) -> None:
        """Print in one line how many checks of a lab have passed in this session, and which are open.

        Raises ValueError for a lab that has no checks.
        """
        if lab not in self._labs:
            raise ValueError(f"there is no lab {lab!r}: tally takes one of {', '.join(self._labs)}")
        mine = [one for one in self._all().values() if one.lab == lab]
        done = sum(bool(one.passed) for one in mine)
        open_ones = [one.name + ("" if one.passed is False else " (not tried)") for one in mine if not one.passed]
        print(f"{lab}: {done} of {len(mine)} checks passed" + (f"; open: {', '.join(open_ones)}" if open_ones else ""))
