"""What an answer can do wrong, as an exception with hints, and the questions that all checks ask of a value."""

import linecache
import sysconfig
import tomllib
import traceback
from collections.abc import Callable
from numbers import Real
from pathlib import Path

import torch
from torch import nn

BLANK = "This part is yours"  # how the message of a blank begins, see tools/labs.py; libraries raise the same exception
_COURSE = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})

# Words in the message of an exception -> the first hint about it. The first that fits is taken.
_CAUSES = {
    "same device": "Network and images have to be on the same device. Which of the two is where?",
    "expected device": "Network and images have to be on the same device. Which of the two is where?",
    "meta tensor": "A tensor on the device 'meta' has a shape but no values. Which line makes it?",
    "mat1 and mat2": "A layer gets a different number of features from the one it was made for. What comes before it?",
    "boolean value of tensor": "A tensor of several values is neither true nor false. Use torch.equal, or .all().",
    "does not require grad": "The loss depends on no trainable parameter. What has requires_grad? Was there a no_grad()?",
    "input type": "The network wants normalised floats, not raw pixels. What prepares the images for it?",
    "should be the same": "Two tensors have different types: pixels are uint8 until they are normalised.",
    "expected scalar type": "Two tensors have different types: labels are int64, logits are float32.",
    "size mismatch": "Weights of one shape go into a layer of another. Which of them has the new number of classes?",
    "a second time": "A graph computed before the loop can be used for one backward pass only: compute it in each step.",
    "tensor image": "Normalize takes a tensor. Which transform makes one from a picture, and where does it have to stand?",
    "non contiguous": "A tensor in another order in memory cannot be written as it is. What does .contiguous() give back?",
    "more than one parameter group": "A parameter is in both groups. What is left for the body, if the head has its own?",
    "empty parameter list": "The optimizer has nothing to train. Which parameters does it get, and when?",
    "has no attribute": "What is the object really? print(type(...)). Is the name misspelt, or did you miss a step?",
    "is not defined": "Run the cells above this one, in order. Or is the name misspelt?",
    "positional argument": "The check calls your function with the arguments in its first line: keep them.",
    "unexpected keyword": "The check calls your function with the arguments in its first line: keep them.",
    "out of memory": "The computer ran out of memory: use smaller batches.",
}


class Finding(Exception):
    """Something that an answer does wrong.

    name: what kind of mistake it is; when the same kind is found again, the next hint is shown. (kind: tells apart
    several kinds under one name.)
    seen, expected: one line each. hints: at least two, which help without giving the answer away.
    """

    def __init__(self, name: str, *, seen: str, expected: str, hints: tuple[str, ...], kind: str = ""):
        super().__init__(f"{name}: {seen}")
        self.name, self.seen, self.expected, self.hints, self.kind = name, seen, expected, tuple(hints), kind or name


def hints(path: Path) -> Callable[..., Finding]:
    """Read a hints.toml: found(name, seen, expected=None) -> the Finding of that name, with the file's words.

    A finding is a table: ["name of the finding"] with `expected`, one line, and `hints`, a list of two or more.
    Raises ValueError, naming file and finding, for a table that has anything else.
    """
    texts = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, text in texts.items():
        if text.keys() != {"expected", "hints"}:
            raise ValueError(f"{path.name}, {name!r}: a finding has `expected` and `hints`, got {', '.join(text)}")
        if len(text["hints"]) < 2:
            raise ValueError(f"{path.name}, {name!r}: give two hints, the second for when the mistake is made again")

    def found(name: str, seen: str, expected: str | None = None) -> Finding:
        return Finding(name, seen=seen, expected=expected or texts[name]["expected"], hints=texts[name]["hints"])

    return found


_found = hints(Path(__file__).with_name("hints.toml"))


def answer_of(function, *args, **kwargs):
    """What a student's function returns. Raises Finding if it is not a function, or returns None."""
    if not callable(function):
        raise _found("not a function", f"{kind_of(function)} where a function was expected")
    value = function(*args, **kwargs)
    if value is None:
        raise _found("returns nothing", f"{getattr(function, '__name__', 'the function')}(...) returned None")
    return value


def a_model(value) -> nn.Module:
    """`value` if it is a network; raises Finding if not."""
    if not isinstance(value, nn.Module):
        raise _found("not a network", kind_of(value))
    return value


def tensor(value, what: str, shape=None, dtype=None, device=None) -> torch.Tensor:
    """`value` if it is a tensor of this shape, dtype and device, without NaN and infinity; raises Finding if not.

    what: its name in the message, "the logits". shape: None in a position means any length.
    """
    if not isinstance(value, torch.Tensor):
        raise _found("not a tensor", f"{what}: {kind_of(value)}")
    wanted = torch.device(device).type if device is not None else "cpu" if value.is_meta else value.device.type
    if value.device.type != wanted:
        raise _found("wrong device", f"{what} is on the device '{value.device}'", f"the device '{wanted}'")
    lengths = tuple(value.shape)
    if shape is not None and (len(lengths) != len(shape) or any(s not in (None, n) for s, n in zip(shape, lengths, strict=True))):
        any_length = str(tuple(shape)).replace("None", "any")
        raise _found("wrong shape", f"{what}: shape {lengths}", f"shape {any_length}")
    if dtype is not None and value.dtype != dtype:
        raise _found("wrong dtype", f"{what}: {value.dtype}", str(dtype))
    if bad := int((~value.isfinite()).sum()):
        raise _found("not finite", f"{what}: {bad} of {value.numel()} values are NaN or infinite")
    return value


def number(value, what: str, low: float | None = None, high: float | None = None) -> float:
    """`value` as a float if it is one finite number between `low` and `high`; raises Finding if not."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _found("not one number", f"{what}: {kind_of(value)}")
    if not torch.tensor(float(value)).isfinite():
        raise _found("not finite", f"{what}: it is {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        limits = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
        raise _found("out of range", f"{what}: {value:g}", " and ".join(filter(None, limits)))
    return float(value)


def kind_of(value) -> str:
    """What a value is, in words: "a Tensor", "the class Fit", "a tuple of 3"."""
    if value is None or isinstance(value, type):
        return "None" if value is None else f"the class {value.__name__}"
    kind = type(value).__name__
    of = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}{of}"


def out_of_time(seconds: float) -> Finding:
    """The finding that an answer did not end in time."""
    return _found("takes too long", f"no answer within {seconds:g} seconds")


def explain(error: Exception) -> Finding:
    """The finding about an exception from a student's code: the message, their own line, and a hint for the usual causes."""
    line = _line_of(error)
    where = f', in your line "{line}"' if line else ""
    if isinstance(error, NotImplementedError) and (str(error).startswith(BLANK) or not str(error)):
        finding = _found("still blank", str(error) or f"a blank{where}")
    else:
        text = " ".join(str(error).split())
        message = f"{type(error).__name__}: {text}" if text else type(error).__name__
        finding = _found("wrong device" if "device" in text else "raises an exception", f"{message[:300]}{where}")
        known = next((hint for words, hint in _CAUSES.items() if words in message.lower()), finding.hints[0])
        finding.hints = (known, *finding.hints[1:])
    finding.kind = type(error).__name__
    return finding


def _line_of(error: Exception) -> str:
    """The last line of the traceback that belongs neither to the course nor to a library; "" if there is none."""
    found = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if not name.startswith((_COURSE, *_LIBRARIES)) and not name.startswith("<frozen"):
            found = linecache.getline(name, number).strip()
    return found
