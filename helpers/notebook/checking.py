"""Checks of a lab's answers: passed, or what was seen, what was expected, and a hint. Nothing leaves the machine.

    from helpers import check
    check.head_swapped(model, num_classes=4)

What each check asks for is in the checks.py of a lab (`Checks` is told which). There, a check is a function that raises
a `Finding` when something is wrong; exceptions and endless loops in a student's code are turned into findings here.
"""

import difflib
import functools
import inspect
import os
import warnings
from dataclasses import dataclass
from html import escape
from importlib import import_module

import torch

from helpers.notebook.findings import Finding, explain, out_of_time
from helpers.notebook.timelimit import TimeIsUp, time_limit

# Dark enough to be read on white, light enough on black; sign and words tell them apart, too.
_COLOURS = {True: "#1a7f4b", False: "#b35900"}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check: a card in a notebook, lines of text elsewhere.

    name, what: the check, and what it asks for. finding: the kind of mistake, "" if it passed.
    seen, expected: one line each. hint: its number ("hint 1 of 2") and text. note: shown after "passed".
    """

    name: str
    what: str
    passed: bool
    finding: str = ""
    seen: str = ""
    expected: str = ""
    hint: tuple[str, str] = ("", "")
    note: str = ""

    @property
    def title(self) -> str:
        return ("✔ passed: " if self.passed else "✘ not yet: ") + self.name

    def _lines(self) -> list[tuple[str, str]]:
        if self.passed:
            return [("", self.note)] if self.note else []
        return [("seen", self.seen), ("expected", self.expected), self.hint]

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self._lines()), default=0)
        lines = [f"    {label + ':' if label else '':{width + 2}}{text}" for label, text in self._lines()]
        return "\n".join([f"{self.title} ({self.what.rstrip('.')})", *lines])

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.passed]
        rows = "".join(
            f'<div style="margin-top:0.2em">{f"<b>{escape(label)}:</b> " if label else ""}{escape(text)}</div>'
            for label, text in self._lines()
        )
        return (
            f'<div role="status" style="border-left:0.4em solid {colour}; padding:0.4em 0.8em; margin:0.2em 0; max-width:52em">'
            f'<b style="color:{colour}">{escape(self.title)}</b> <span>{escape(self.what)}</span>{rows}</div>'
        )


@dataclass(eq=False)
class Check:
    """A check: its lab, its function, its time limit, and how its answers did in this session."""

    lab: str
    function: object
    seconds: float
    passed: bool | None = None  # None: not tried yet

    def __post_init__(self):
        functools.update_wrapper(self, self.function)
        self.name = self.function.__name__
        self.made: dict[str, int] = {}  # how often each kind of finding was made

    def __call__(self, *answer, **settings) -> None:
        """Judge an answer and show the verdict. Under nbgrader a wrong answer raises AssertionError."""
        from IPython.display import display

        inspect.signature(self.function).bind(*answer, **settings)  # a TypeError that names what is missing
        verdict = self.judge(*answer, **settings)
        display(verdict)
        if not verdict.passed and os.environ.get("NBGRADER_EXECUTION"):
            raise AssertionError(f"{self.name}: {verdict.seen}")

    def judge(self, *answer, **settings) -> Verdict:
        """The verdict on an answer. The check uses a random seed of its own and leaves the student's generator as it was."""
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
                torch.random.fork_rng(),
            ):
                torch.manual_seed(0)
                return self.function(*answer, **settings)
        except Finding:
            raise
        except TimeIsUp:
            raise out_of_time(self.seconds) from None
        except Exception as error:  # whatever the student's code raises becomes a hint
            raise explain(error) from None


CHECKS: dict[str, Check] = {}  # those of the modules that have been imported


def checked(lab: str, seconds: float = 20):
    """Decorator: make a function a check of a lab, `check.NAME`.

    The first line of its docstring tells what the answer has to do; a text that it returns is shown after "passed".
    Raises ValueError if another lab has a check of that name.
    """

    def register(function) -> Check:
        name = function.__name__
        if name in CHECKS and CHECKS[name].lab != lab:
            raise ValueError(f"there are two checks {name!r}: in {CHECKS[name].lab} and {lab}")
        CHECKS[name] = Check(lab, function, seconds)
        return CHECKS[name]

    return register


class Checks:
    """All checks by name: `check.head_swapped(model, num_classes=4)`; `check.tally(lab)` counts how many passed.

    labs: {name of a lab: the module that defines its checks}, imported when a check is first used.
    """

    def __init__(self, labs: dict[str, str]):
        self._labs = labs

    def _all(self) -> dict[str, Check]:
        for module in self._labs.values():
            import_module(module)
        return {name: one for lab in self._labs for name, one in CHECKS.items() if one.lab == lab}

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

        Raises ValueError for an unknown lab.
        """
        if lab not in self._labs:
            raise ValueError(f"there is no lab {lab!r}: tally takes one of {', '.join(self._labs)}")
        mine = [one for one in self._all().values() if one.lab == lab]
        open_ones = [one.name + ("" if one.passed is False else " (not tried)") for one in mine if not one.passed]
        done = len(mine) - len(open_ones)
        print(f"{lab}: {done} of {len(mine)} checks passed" + (f"; open: {', '.join(open_ones)}" if open_ones else ""))
