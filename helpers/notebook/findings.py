"""What an answer can do wrong, as an exception with a hint, and the questions that all checks ask of a value."""

from numbers import Real

import torch
from torch import nn


class Finding(Exception):
    """Something that an answer does wrong.

    name: what kind it is; the second time the same kind is found, the second hint is shown. (kind: for what has
    several kinds under one name.)
    seen, expected: one line each. hints: at least two, that lead on without giving the answer.
    """

    def __init__(self, name: str, *, seen: str, expected: str, hints: tuple[str, ...], kind: str = ""):
        if len(hints) < 2:
            raise ValueError(f"the finding {name!r} needs two hints, for the second time that it is made")
        super().__init__(f"{name}: {seen}")
        self.name, self.seen, self.expected, self.hints, self.kind = name, seen, expected, hints, kind or name


def found_in(findings: dict[str, tuple]):
    """found(name, seen, expected=None) -> the Finding of that name, from {name: (what is expected, hint, hint)} of a lab."""

    def found(name: str, seen: str, expected: str | None = None) -> Finding:
        usual, *hints = findings[name]
        return Finding(name, seen=seen, expected=expected or usual, hints=tuple(hints))

    return found


def answer_of(function, *args, **kwargs):
    """What a student's function returns. Raises Finding if it is no function, or returns None."""
    if not callable(function):
        raise Finding(
            "not a function",
            seen=f"{_article(function)} where a function was expected",
            expected="the function itself, which the check calls",
            hints=("Give the check the function's name without brackets.", "f is a function; f(x) is what it returns."),
        )
    value = function(*args, **kwargs)
    if value is None:
        raise Finding(
            "returns nothing",
            seen=f"{getattr(function, '__name__', 'the function')}(...) returned None",
            expected="a value",
            hints=(
                "A function gives back what stands behind `return`.",
                "Does every path through it reach a `return` with a value?",
            ),
        )
    return value


def tensor(value, what: str, shape=None, dtype=None, device=None) -> torch.Tensor:
    """`value` if it is a tensor of this shape, dtype and device, without NaN and infinity; raises Finding if not.

    what: how it is called in the message, "the logits". shape: None in a place means any length.
    """
    if not isinstance(value, torch.Tensor):
        raise Finding(
            "wrong type",
            seen=f"{what}: {_article(value)}",
            expected="a torch.Tensor",
            hints=(
                "Which line makes this value, and what does it return?",
                "print(type(...)) of each step shows where the tensor is lost.",
            ),
        )
    if device is not None and value.device.type != torch.device(device).type:
        raise _elsewhere(what, value.device, device)
    if value.is_meta:
        raise _elsewhere(what, value.device, "cpu")
    lengths = tuple(value.shape)
    if shape is not None and (
        len(lengths) != len(shape) or any(s is not None and s != n for s, n in zip(shape, lengths, strict=True))
    ):
        wanted = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        raise Finding(
            "wrong shape",
            seen=f"{what}: shape {lengths}",
            expected=f"shape {wanted}",
            hints=(
                "Which axis is the batch, which are the classes or channels?",
                "Print the shape after each step: where does it change?",
            ),
        )
    if dtype is not None and value.dtype != dtype:
        raise Finding(
            "wrong dtype",
            seen=f"{what}: {value.dtype}",
            expected=str(dtype),
            hints=(
                "Counts and labels are whole numbers, pixels after normalising and logits are not.",
                "x.float(), x.long() and x.to(dtype) convert.",
            ),
        )
    if not value.isfinite().all():
        raise not_finite(what, f"{(~value.isfinite()).sum().item()} of {value.numel()} values are NaN or infinite")
    return value


def number(value, what: str, low: float | None = None, high: float | None = None) -> float:
    """`value` as a float if it is one finite number between `low` and `high`; raises Finding if not."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise Finding(
            "wrong type",
            seen=f"{what}: {_article(value)}",
            expected="one number",
            hints=("Is it a list, a tensor of several values, or a text?", ".item() makes a number of a tensor with one value."),
        )
    if not torch.tensor(float(value)).isfinite():
        raise not_finite(what, f"it is {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise Finding(
            "out of range",
            seen=f"{what}: {value:g}",
            expected=f"a number from {low:g} to {high:g}"
            if None not in (low, high)
            else f"at {'least' if high is None else 'most'} {low if high is None else high:g}",
            hints=(
                "Is it a share, from 0 to 1, or a percentage?",
                "What is divided by what, and is the divisor the number of images?",
            ),
        )
    return float(value)


def a_model(value) -> nn.Module:
    """`value` if it is a network; raises Finding if not."""
    if isinstance(value, nn.Module):
        return value
    raise Finding(
        "not a network",
        seen=_article(value),
        expected="a network (torch.nn.Module)",
        hints=(
            "Is it a Backbone or a Classifier? Their `.model` is the network.",
            "Does your function return the network itself?",
        ),
    )


def not_finite(what: str, seen: str) -> Finding:
    """The finding that a value is NaN or infinite."""
    return Finding(
        "not finite",
        seen=f"{what}: {seen}",
        expected="finite numbers",
        hints=(
            "NaN comes from 0/0, the logarithm of 0, or a learning rate that is too large.",
            "Which step is the first whose result is not finite?",
        ),
    )


def _elsewhere(what: str, seen, expected) -> Finding:
    return Finding(
        "wrong device",
        seen=f"{what} is on the device {str(seen)!r}",
        expected=f"the device {str(expected)!r}",
        hints=(
            "Network and images have to be in the same place.",
            "x.to(device) moves a tensor and returns the moved one; a network moves itself.",
        ),
    )


def _article(value) -> str:
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
