"""Answers to the labs' checks: the solution's own, and what people write instead. A module a lab:

    RIGHT = {check: {how it is done: answer}}         besides the solution's own answer
    WRONG = {check: {the finding that it gets: answer}}

An answer is the solution's with some text replaced, (old, new) or a list of such pairs; or a text, which stands in place of
the whole solution; or a function. Answers see what their notebook imports, and the names of their module.
"""

import ast
import json
import re
import textwrap
from functools import cache
from importlib import import_module

from project import ROOT

from helpers import check
from helpers.notebook.checking import CHECKS, Check

dir(check)  # loads the checks
MARKED = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION", re.MULTILINE | re.DOTALL)


class Given:
    """An answer to a check that also takes other arguments: `more` are functions that make them."""

    def __init__(self, answer, *more, **settings):
        self.answer, self.more, self.settings = answer, more, settings


def judged(check: str, answer, times: int = 1):
    """The verdicts of a check that has not been tried yet on an answer that is given several times."""
    args, settings = arguments(check, answer)
    one = Check(CHECKS[check].lab, CHECKS[check].function, CHECKS[check].seconds)
    return [one.judge(*args, **settings) for _ in range(times)]


def arguments(check: str, answer):
    """How an answer is passed to its check: (arguments, settings)."""
    given = answer if isinstance(answer, Given) else Given(answer)
    return (written(check, given.answer), *(make() for make in given.more)), given.settings


def written(check: str, answer):
    """The function (or class) that the student wrote."""
    if callable(answer):
        return answer
    lab, name, source = solutions()[check]
    (marked,) = MARKED.finditer(source)
    text = answer if isinstance(answer, str) else edited(textwrap.dedent(marked[2]), answer)
    code = source[: marked.start()] + textwrap.indent(text.strip("\n"), marked[1]) + source[marked.end() :]
    names = imports(lab) | vars(import_module(f"answers.{lab}"))
    exec(compile(code, check, "exec"), names)
    return names[name]


def edited(text: str, edits) -> str:
    """Raises ValueError for an old text that does not occur just once."""
    for old, new in [edits] if isinstance(edits, tuple) else edits:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in the solution:\n{text}")
        text = text.replace(old, new)
    return text


@cache
def cells(lab: str) -> list[str]:
    """The code cells of a solution."""
    notebook = json.loads((ROOT / f"solutions/{lab}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@cache
def solutions() -> dict[str, tuple[str, str, str]]:
    """{check: (lab, name of the answer, the cell with its solution)}"""
    found = {}
    for path in sorted((ROOT / "solutions").glob("lab*.ipynb")):
        for source in cells(path.stem):
            if MARKED.search(source):
                answer = source
            elif asked := re.match(r"check\.(\w+)\((\w+)", source):
                found[asked[1]] = path.stem, asked[2], answer
    return found


@cache
def imports(lab: str) -> dict:
    """What the notebook imports."""
    nodes = [node for source in cells(lab) for node in ast.parse(source).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {}
    exec(compile(ast.Module(nodes, []), lab, "exec"), names)
    return names
