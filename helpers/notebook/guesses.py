"""A guess beside its outcome."""

from collections.abc import Mapping
from numbers import Real

import pandas

MEASURED = ("accuracy %", "points", "mean")  # the columns of a table that hold an outcome, the usual one first


def beside(guess: Mapping, outcome, column: str | None = None) -> pandas.DataFrame:
    """Each guess beside what was measured: a table you guessed | measured | interval | off by.

    guess    {name: number}, written down before the experiment; None where you did not guess
    outcome  {name: number} or {name: (number, low, high)}; or a table of a study, such as `Study.table()`, `.values()`
             or `.paired()`. A row with several conditions is named by a tuple of their values, or by the values with
             ", " between them
    column   of the table: what was measured; default "accuracy %", "points" or "mean", with the interval low to high

    Rows that nobody guessed are shown without a guess; the columns too, if there is none. Raises TypeError for a guess that
    is not a number, ValueError for one that nothing was measured for.
    """
    if not isinstance(guess, Mapping) or not guess:
        raise TypeError(f'write your guesses as guess = {{"name": number, ...}}, got {guess!r}')
    measured = _measured(outcome, column)
    names = {name: key for key in measured for name in (_label(key), key)}
    guesses, rows = {}, {}
    for name, value in guess.items():
        if value is not None and (not isinstance(value, Real) or isinstance(value, bool) or value != value):
            raise TypeError(f"your guess for {name!r} is {value!r}: put a number there, such as 50")
        if name not in names:
            known = ", ".join(map(_label, measured))
            raise ValueError(f"you guessed {name!r}, but what was measured is {known}: use these names")
        if value is not None:
            guesses[names[name]] = value
    for key, numbers in measured.items():
        try:
            value, *interval = map(float, numbers)
        except (TypeError, ValueError):
            raise TypeError(f"the outcome of {key!r} is {numbers[0]!r}, which is not a number") from None
        if len(interval) not in (0, 2):
            raise TypeError(f"the outcome of {key!r} is {numbers!r}: a number, or (number, low, high)")
        if any(bound != bound for bound in interval):  # with one seed there is no interval
            interval = []
        rows[_label(key)] = {
            "you guessed": f"{guesses[key]:,}" if key in guesses else "-",
            "measured": _number(value),
            "interval": " to ".join(map(_number, interval)) or "-",
            "off by": _off(guesses[key], value, interval) if key in guesses else "-",
        }
    return (table := pandas.DataFrame.from_dict(rows, orient="index")).loc[:, (table != "-").any()]


def _measured(outcome, column) -> dict[object, list]:
    """{name: [value]} or {name: [value, low, high]}, as the outcome has them."""
    if not isinstance(outcome, (Mapping, pandas.Series, pandas.DataFrame)) or not len(outcome):
        raise TypeError(f"the outcome is a dict of numbers or a table, got {type(outcome).__name__}")
    if isinstance(outcome, pandas.DataFrame):
        if not outcome.index.is_unique:
            raise ValueError("several rows of the outcome have the same name: give a table with one row per name")
        found = next((name for name in ([column] if column else MEASURED) if name in outcome), None)
        if found is None:
            raise ValueError(f"the outcome has no column {column or ' or '.join(MEASURED)}; it has {list(outcome.columns)}")
        bounds = ["low", "high"] if found in MEASURED and {"low", "high"} <= set(outcome) else []
        return dict(zip(outcome.index, outcome[[found, *bounds]].values.tolist(), strict=True))
    several = lambda value: isinstance(value, (tuple, list)) or getattr(value, "ndim", 0)
    return {key: list(value) if several(value) else [value] for key, value in outcome.items()}


def _off(guess, value: float, interval: list[float]) -> str:
    difference = _number(abs(guess - value))
    if float(difference.replace(",", "")) == 0:
        return "nothing"
    words = f"{difference} too {'high' if guess > value else 'low'}"
    return f"{words}, inside the interval" if interval and interval[0] <= guess <= interval[1] else words


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 1 or size == 0 else f"{value:.2g}"


def _label(key) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
