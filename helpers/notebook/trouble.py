"""What an exception in somebody's own code means here: the line, and a hint for the usual causes."""

import linecache
import sysconfig
import traceback
from pathlib import Path

BLANK = "This part is yours"  # how the message of a blank begins, see tools/labs.py; libraries raise the same exception
_OURS = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})

# Words in the message of an exception -> the hint for it. The first that fits is taken.
_HINTS = [
    ("same device", "Network and images have to be on the same device. Which of the two is where?"),
    ("expected device", "Network and images have to be on the same device. Which of the two is where?"),
    ("meta tensor", "A tensor on the device 'meta' has a shape but no values. Which line makes it?"),
    ("mat1 and mat2", "A layer gets another number of features than it was made for. What comes before it?"),
    ("Boolean value of Tensor", "A tensor of several values is neither true nor false: torch.equal, or .all(), asks all."),
    ("does not require grad", "Nothing that trains leads to this loss. What has requires_grad? Was there a no_grad()?"),
    ("Input type", "The network wants normalised floats, not raw pixels. What prepares images for it?"),
    ("should be the same", "Two tensors differ in their type: pixels are uint8 until they are normalised."),
    ("expected scalar type", "Two tensors differ in their type: labels are int64, logits are float32."),
    ("size mismatch", "Weights of one shape go into a layer of another. Which has the new number of classes?"),
    ("a second time", "What was computed before the loop can be differentiated once only: compute it in each step."),
    ("empty parameter list", "The optimizer has nothing to train. Which parameters does it get, and when?"),
    ("has no attribute", "What is the object really? print(type(...)). A misspelt name, or a step too few or too many?"),
    ("is not defined", "Run the cells above this one, in order. Or is the name misspelt?"),
    ("positional argument", "The check calls your function with the arguments in its first line: keep them."),
    ("unexpected keyword", "The check calls your function with the arguments in its first line: keep them."),
    ("out of memory", "The computer ran out of memory: use smaller batches."),
]


def explain(error: Exception) -> dict:
    """What to say about an exception from a student's code: {"name", "seen", "expected", "hints"} for a Finding."""
    line = _line_of(error)
    place = f', in your line "{line}"' if line else ""
    if isinstance(error, NotImplementedError) and (str(error).startswith(BLANK) or not str(error)):
        return {
            "name": "still blank",
            "seen": str(error) or f"a blank{place}",
            "expected": "your code in that place",
            "hints": (
                "Read the text above the cell once more: which step is it about? Write that step in words first, then in code.",
                "Start with the value that is to be returned. Which of the names that you have leads to it?",
            ),
        }
    text = " ".join(str(error).split())
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    known = next((hint for words, hint in _HINTS if words.lower() in message.lower()), None)
    return {
        "name": "wrong device" if "device" in text else "raises an exception",
        "seen": f"{message[:300]}{place}",
        "expected": "code that runs through",
        "hints": (
            known or "Read the message from its end: it names what Python could not do. What are the values in that line?",
            "Call your function in a new cell: the full message shows each step. Print shapes and types before that line.",
        ),
    }


def _line_of(error: Exception) -> str:
    """The last line of the traceback that is neither ours nor a library's, as it is written; "" if there is none."""
    found = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if not name.startswith((_OURS, *_LIBRARIES)) and not name.startswith("<frozen"):
            found = linecache.getline(name, number).strip()
    return found
