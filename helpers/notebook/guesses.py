"""A guess beside its outcome."""

from collections.abc import Mapping
from numbers import Real

import pandas

MEASURED = ("accuracy %", "points", "mean")  # the columns of a table that hold an outcome, the usual one first


def beside(guess: Mapping, outcome, column: str | None = None) -> pandas.DataFrame:
    """Each guess beside what was measured: a table guess | measured | interval | off by.

    guess    {name: number}, written down before the experiment
    outcome  {name: number} or {name: (number, low, high)}; or a table such as `Study.table()`,
             `Study.values()` or `.paired()`. A row with several conditions is named by a tuple of their values, or by
             the values with ", " between them
    column   of the table: what was measured; default "accuracy %", "points" or "mean", with the interval low to high

    Rows that nobody guessed are shown without a guess. Raises TypeError for a guess that is no number, ValueError for
    one that nothing was measured for.
    """
    measured = _measured(outcome, column)
    names = {key: key for key in measured}
    names |= {str(key): key for key in measured} | {", ".join(map(str, k)): k for k in measured if isinstance(k, tuple)}
    if not isinstance(guess, Mapping) or not guess:
        raise TypeError(f'guesses are written as guess = {{"name": number, ...}}, got {guess!r}')
    guesses = {}
    for name, value in guess.items():
        if not isinstance(value, Real) or isinstance(value, bool) or value != value:
            raise TypeError(f"your guess for {name!r} is {value!r}: put a number there, such as 50")
        if name not in names:
            known = ", ".join(_label(key) for key in measured)
            raise ValueError(f"you guessed {name!r}, but what was measured is {known}: use these names")
        guesses[names[name]] = value
    rows = {}
    for key, (value, low, high) in measured.items():
        row = {"guess": "-", "measured": _number(value), "interval": "-", "off by": "-"}
        if low is not None:
            row["interval"] = f"{_number(low)} to {_number(high)}"
        if key in guesses:
            row |= {"guess": f"{guesses[key]:,}", "off by": _off(guesses[key], value, low, high)}
        rows[_label(key)] = row
    table = pandas.DataFrame.from_dict(rows, orient="index")
    return table if any(low is not None for _, low, _ in measured.values()) else table.drop(columns="interval")


def _measured(outcome, column) -> dict:
    """{name: (value, low, high)}, where low and high may be None."""
    if isinstance(outcome, pandas.Series):
        outcome = outcome.to_dict()
    if isinstance(outcome, pandas.DataFrame):
        if not outcome.index.is_unique:
            raise ValueError("several rows of the outcome have the same name: give a table with one row a name")
        found = [name for name in ([column] if column else MEASURED) if name in outcome]
        if not found:
            raise ValueError(f"the outcome has no column {column or ' or '.join(MEASURED)}; it has {list(outcome.columns)}")
        bounds = ["low", "high"] if found[0] in MEASURED and {"low", "high"} <= set(outcome) else []
        outcome = {key: tuple(row) for key, row in zip(outcome.index, outcome[[found[0], *bounds]].values, strict=True)}
    if not isinstance(outcome, Mapping) or not outcome:
        raise TypeError(f"the outcome is a dict of numbers or a table, got {type(outcome).__name__}")
    measured = {}
    for key, value in outcome.items():
        numbers = list(value) if isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) else [value]
        if len(numbers) not in (1, 3):
            raise TypeError(f"the outcome of {key!r} is {value!r}: a number, or (number, low, high)")
        try:
            numbers = [float(number) for number in numbers]
        except (TypeError, ValueError):
            raise TypeError(f"the outcome of {key!r} is {value!r}, which is no number") from None
        known = len(numbers) == 3 and numbers[1] == numbers[1] and numbers[2] == numbers[2]  # one seed has no interval
        measured[key] = (numbers[0], *(numbers[1:] if known else (None, None)))
    return measured


def _off(guess, value, low, high) -> str:
    difference = _number(abs(guess - value))
    if float(difference.replace(",", "")) == 0:
        return "nothing"
    words = f"{difference} too {'high' if guess > value else 'low'}"
    return f"{words}, inside the interval" if low is not None and low <= guess <= high else words


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 1 or size == 0 else f"{value:.2g}"


def _label(key) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
