"""Would the tests notice? Change one thing in a module, run its tests, and see whether one fails: mutation testing.

    python tools/mutants.py heads stages freezing training/features      100 changes of each, drawn at random
    python tools/mutants.py heads --count 20 --seed 1

A line is printed for each change that no test notices (it survives), and a summary for each module. Nothing is written.
A survivor is a gap in the tests, or a change that makes no difference. It needs a system that can fork (Linux, macOS).
"""

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {  # of each module, the quick ones first
    "heads": ["heads", "stages", "freezing"],
    "stages": ["stages", "freezing", "heads"],
    "freezing": ["freezing", "stages", "thawing", "saving"],
    "training/features": ["features"],
}
LIMIT = 300  # seconds for the tests of one change; an endless loop counts as noticed
COMPARE = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
           ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
COMPUTE = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitOr: ast.BitAnd}


def changed(node):
    """Other versions of a node of a syntax tree, with what was done."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARE:
        yield "comparison", _with(node, ops=[COMPARE[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        yield "and/or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield "one part less", _with(node, values=node.values[:-1])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "no not", node.operand
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in COMPUTE:
        yield "operator", _with(node, op=COMPUTE[type(node.op)]())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield "constant", ast.Constant(node.value + 1)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, (ast.Raise, ast.AugAssign, ast.Delete)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.NamedExpr))
    ):
        yield "left out", ast.Pass()
    elif isinstance(node, ast.Return) and not (node.value is None or isinstance(node.value, ast.Constant)):
        yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield "break/continue", ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "no filter", _with(node, ifs=node.ifs[:-1])


def _with(node, **fields):
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def mutants(source):
    """(line, what was done, source) of every version of a module with one change; messages and types stay as they are."""
    tree = ast.parse(source)
    places = []

    def visit(node):
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns") or isinstance(node, (ast.JoinedStr, ast.AnnAssign)) and name != "value":
                continue
            for index, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    places.extend((node, name, index, new, what, child) for what, new in changed(child))
                    if not isinstance(child, ast.JoinedStr):
                        visit(child)

    visit(tree)
    for parent, name, index, new, what, old in places:
        value = getattr(parent, name)
        if isinstance(value, list):
            value[index] = new
        else:
            setattr(parent, name, new)
        ast.fix_missing_locations(ast.copy_location(new, old)) if not hasattr(new, "lineno") else ast.fix_missing_locations(new)
        yield getattr(old, "lineno", getattr(parent, "lineno", 0)), f"{what}: {ast.unparse(old)[:70]!r}", ast.unparse(tree)
        if isinstance(value, list):
            value[index] = old
        else:
            setattr(parent, name, old)


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports other source under a module's name."""

    def __init__(self, name, path, source):
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def exec_module(self, module):
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def noticed(module, source, tests):
    """Whether one of the tests fails with this source in place of the module's; in a process of its own."""
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        sys.meta_path.insert(0, Instead(f"helpers.{module.replace('/', '.')}", ROOT / f"helpers/{module}.py", source))
        import pytest

        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    _, status = os.waitpid(child, 0)
    return status != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", choices=TESTS, metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--count", type=int, default=100, help="changes of each module (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    given = parser.parse_args()
    os.chdir(ROOT)
    for package in ("lightning", "pytest", "timm", "torchmetrics", "torchvision"):  # once, not in each process
        importlib.import_module(package)
    for module in given.modules:
        source = (ROOT / f"helpers/{module}.py").read_text(encoding="utf-8")
        tests = [path for name in TESTS[module] if Path(path := f"tests/test_{name}.py").exists()]
        if noticed(module, source, tests):
            sys.exit(f"{module}: its tests fail as it is")
        every = list(mutants(source))
        drawn = sorted(random.Random(given.seed).sample(every, min(given.count, len(every))))
        survived = 0
        for line, what, text in drawn:
            if not noticed(module, text, tests):
                survived += 1
                print(f"survives  {module}.py:{line}  {what}", flush=True)
        print(f"{module}: {len(drawn) - survived} of {len(drawn)} changes noticed (of {len(every)} possible)", flush=True)


if __name__ == "__main__":
    main()
