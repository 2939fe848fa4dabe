"""The figures of the house: how large `helpers` is, what its rooms hold, and who imports whom.

    python tools/house.py           print the figures; the exit status is 1 where one of LIMITS is broken
    python tools/house.py --draw    draw the arrows between the rooms again, in docs/architecture.md

Imports are read from the source (by `ast`), so nothing of the course is loaded. tests/test_house.py holds the limits.
"""

import ast
import json
import re
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HELPERS = ROOT / "helpers"
CORE = ("heads", "stages", "freezing")
PAGE = ROOT / "docs/architecture.md"
DRAWING = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)

LIMITS = {
    "lines of helpers": 14_840,  # 19,134 before the rooms; the camera of lab 3, several devices, executors came since
    "lines of tests": 17_980,  # 19,300 before; pipelines, camera, decks, editions, plans, hostile input, devices came since
    "lines of the core": 525,  # 450 before models without a head, with two, wrapped up or ending in Softmax were refused or fixed
    "lines of the longest file": 300,
    "files in the fullest folder": 15,  # about a dozen
    "entries at the top of helpers": 10,
    "public names": 45,
    "public names that nothing uses": 0,
    "import circles": 0,
    "floors of imports": 6,
    "notebooks that import too deep": 0,
}


# Files and their lines


def sources(folder):
    """Every Python file below a folder of the project, in order."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@cache
def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def total(paths):
    return sum(map(lines, paths))


def entries():
    """What stands at the top of helpers/: files and folders."""
    return sorted(path.name for path in HELPERS.iterdir() if path.name != "__pycache__")


def fullest():
    """(folder, its Python files) for every folder of helpers, the fullest first."""
    folders = {path.parent for path in sources("helpers")}
    counts = [(folder.relative_to(ROOT).as_posix(), len(list(folder.glob("*.py")))) for folder in folders]
    return sorted(counts, key=lambda row: (-row[1], row[0]))


# Imports


@cache
def modules():
    """{module's name: its file} of all modules of helpers."""
    names = {}
    for path in sources("helpers"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(tree, package=""):
    """(module, name) of every import in a syntax tree, wherever it stands; the name is None for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, node.module] if node.module else above)
            yield from ((origin, alias.name) for alias in node.names)


@cache
def imports():
    """{module: the modules of helpers that it imports}."""
    graph = {}
    for name, path in modules().items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = (f"{origin}.{what}" if f"{origin}.{what}" in modules() else origin for origin, what in imported(tree, package))
        graph[name] = {origin for origin in found if origin in modules()} - {name}
    return graph


def room(module):
    """The entry at the top of helpers/ that a module belongs to; "" for helpers itself."""
    return ".".join(module.split(".")[1:2])


def arrows():
    """{room: the rooms that it imports from}, the face left out."""
    graph = {room(module): set() for module in modules() if room(module)}
    for module, targets in imports().items():
        if room(module):
            graph[room(module)] |= {room(target) for target in targets} - {"", room(module)}
    return graph


def reachable(graph, start):
    found, todo = set(), [start]
    while todo:
        new = graph[todo.pop()] - found
        found |= new
        todo += new
    return found


def circles(graph):
    """The groups of nodes that import one another, directly or through others."""
    reach = {node: reachable(graph, node) for node in graph}
    groups = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph if node in reach[node]}
    return sorted(sorted(group) for group in groups)


def floors(graph):
    """How many nodes stand on one another in the longest chain of imports; None where there is a circle."""
    height = {}
    try:
        for node in TopologicalSorter(graph).static_order():
            height[node] = 1 + max((height[below] for below in graph[node]), default=0)
    except CycleError:
        return None
    return max(height.values())


def drawing():
    """The arrows between the rooms as a Mermaid drawing, without those that follow from others."""
    graph = arrows()
    if circles(graph):
        raise ValueError(f"the rooms import one another in a circle: {circles(graph)}")
    kept = [
        (above, below)
        for above in graph
        for below in graph[above]
        if not any(below in reachable(graph, other) for other in graph[above] - {below})
    ]
    height = {name: len(reachable(graph, name)) for name in graph}
    kept.sort(key=lambda arrow: (-height[arrow[0]], arrow))
    return "graph TD\n" + "".join(f"    {above} --> {below}\n" for above, below in kept)


# The face


def public_names():
    sys.path.insert(0, str(ROOT))
    import helpers

    return list(helpers.__all__)


def code(path):
    """The code of a notebook, a text for each cell, without lines that are for IPython only."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return ["\n".join(line for line in text.splitlines() if line.lstrip()[:1] not in ("%", "!")) for text in texts]


def notebooks():
    folders = ("notebooks", "notebooks/appendix", "solutions")
    return [path for folder in folders for path in sorted((ROOT / folder).glob("*.ipynb"))]


def unused_names():
    """Public names that are in the code of no notebook, no solution and no example of the README."""
    texts = [text for path in notebooks() for text in code(path)]
    texts += re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    used = set(re.findall(r"\bh(?:elpers)?\.(\w+)", "\n".join(texts)))
    used |= {name for text in texts for origin, name in _imports(text) if origin == "helpers"}
    return [name for name in public_names() if name not in used]


def _imports(text):
    """What a cell or an example imports; nothing for one that is no Python, as a lab's with a blank."""
    try:
        return list(imported(ast.parse(text)))
    except SyntaxError:
        return []


def too_deep():
    """Imports in notebooks from further inside than `helpers` and `helpers.lessons.X`, each with its notebook."""
    face = {"helpers", "helpers.lessons"} | {module for module in modules() if re.fullmatch(r"helpers\.lessons\.\w+", module)}
    return [
        f"{path.name}: {origin}"
        for path in notebooks()
        for text in code(path)
        for origin, name in _imports(text)
        if origin.split(".")[0] == "helpers" and (origin not in face or f"{origin}.{name}" in set(modules()) - face)
    ]


# All of it


def figures():
    """{what: figure} for everything that LIMITS names."""
    return {
        "lines of helpers": total(sources("helpers")),
        "lines of tests": total(sources("tests")),
        "lines of the core": total(HELPERS / f"{name}.py" for name in CORE),
        "lines of the longest file": max(map(lines, sources("helpers"))),
        "files in the fullest folder": fullest()[0][1],
        "entries at the top of helpers": len(entries()),
        "public names": len(public_names()),
        "public names that nothing uses": len(unused_names()),
        "import circles": len(circles(imports())) or len(circles(arrows())),
        "floors of imports": floors(arrows()),
        "notebooks that import too deep": len(too_deep()),
    }


def report():
    """Print everything; True if all limits are kept."""
    found = figures()
    broken = [what for what, limit in LIMITS.items() if found[what] is None or found[what] > limit]
    for what, limit in LIMITS.items():
        figure = "none: a circle" if found[what] is None else f"{found[what]:,}"
        print(f"{what:32} {figure:>8}   at most {limit:,}{'   BROKEN' if what in broken else ''}")
    words = [path for path in HELPERS.rglob("*.toml") if "data" not in path.parts]
    print(f"\nhints of checks (TOML): {total(words):,} lines; floors of single modules: {floors(imports())}")
    print("\nrooms" + " " * 19 + "modules    lines")
    for entry in sorted({room(module) or "__init__" for module in modules()}):
        inside = [path for module, path in modules().items() if (room(module) or "__init__") == entry]
        print(f"  {entry:20} {len(inside):9} {total(inside):8,}")
    print("\nlongest files")
    for path in sorted(sources("helpers"), key=lines, reverse=True)[:5] + sorted(sources("tests"), key=lines, reverse=True)[:5]:
        print(f"  {lines(path):4} {path.relative_to(ROOT).as_posix()}")
    for title, rows in {
        "circles": [" <-> ".join(group) for group in circles(imports()) + circles(arrows())],
        "public names that nothing uses": unused_names(),
        "imports in notebooks that reach too deep": too_deep(),
        "fullest folders": [f"{count:3} {folder}" for folder, count in fullest()[:3]],
    }.items():
        print(f"\n{title}\n  " + ("\n  ".join(rows) or "none"))
    return not broken


def main(arguments):
    if arguments == ["--draw"]:
        PAGE.write_text(DRAWING.sub(drawing(), PAGE.read_text(encoding="utf-8"), count=1), encoding="utf-8")
        return 0
    if arguments:
        print(__doc__)
        return 2
    return 0 if report() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
