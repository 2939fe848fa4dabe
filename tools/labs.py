"""Make the labs in labs/ from their solutions in solutions/: blanks in place of answers, no outputs.

    python tools/labs.py            makes all of them, and stamps nbgrader's metadata into the solutions
    python tools/labs.py --check    only says which labs are not as they would be made

An answer stands between `### BEGIN SOLUTION` and `### END SOLUTION`; nbgrader reads the same marks. In its place comes
nbgrader's stub. A cell tagged "solution-only" is left out. A cell that calls a check, `check.NAME(...)`, and nothing
else, is graded by nbgrader with one point. A question that begins with "**Explain.**" is followed by a text cell tagged
"model-answer": in the lab it is empty, for the student to write in, and a person grades it with up to two points.
"""

import copy
import re
import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
import setup_cells  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = '# YOUR CODE HERE\nraise NotImplementedError("This part is yours: replace these two lines by your code.")'
TEXT = "YOUR ANSWER HERE: two or three sentences."
ASKS = re.compile(r"^\*\*Explain\.\*\*", re.MULTILINE)
ANSWER = re.compile(rf"^( *){BEGIN}\n.*?\n *{END}$", re.DOTALL | re.MULTILINE)
CHECK = re.compile(r"check\.(\w+)\(.*\);?", re.DOTALL)
ONLY_THERE = {"nbval-check-output", "model-answer"}  # tags about stored outputs and texts
ROLES = {
    "answer": {"grade": False, "locked": False, "schema_version": 3, "solution": True, "task": False},
    "check": {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False, "task": False},
    "text": {"grade": True, "locked": False, "points": 2, "schema_version": 3, "solution": True, "task": False},
}


def check_of(cell):
    """The name of the check that a cell calls, if that is all it does; else None."""
    found = CHECK.fullmatch(cell.source.strip()) if cell.cell_type == "code" else None
    return found[1] if found and found[1] != "tally" and cell.source.count("check.") == 1 else None


def blank(source, where="this cell"):
    """A cell's source with a stub in place of each answer. Raises ValueError where the marks do not pair up."""

    def stub(answer):
        return "\n".join(answer[1] + line for line in STUB.split("\n"))

    cleared = ANSWER.sub(stub, source)
    if "BEGIN SOLUTION" in cleared or "END SOLUTION" in cleared:
        raise ValueError(f"{where}: the lines '{BEGIN}' and '{END}' have to stand alone, in pairs, with an answer between")
    return cleared


def is_text(cell):
    """Whether a cell is where a student explains; in a solution it holds the model answer."""
    return cell.cell_type == "markdown" and "model-answer" in cell.metadata.get("tags", [])


def role_of(cell):
    if is_text(cell):
        return "text"
    return "answer" if cell.cell_type == "code" and BEGIN in cell.source else "check" if check_of(cell) else None


def stamp(solution):
    """Put nbgrader's metadata into a solution, in place.

    Raises ValueError for an answer that no check follows, and for a question "**Explain.**" without the cell for its answer.
    """
    for asks, text in zip(solution.cells, [*solution.cells[1:], None], strict=True):
        if bool(asks.cell_type == "markdown" and ASKS.search(asks.source)) != bool(text and is_text(text)):
            raise ValueError(f"cell {asks.id!r}: a question '**Explain.**' and a text cell tagged model-answer belong together")
    waiting = None
    for cell in solution.cells:
        role = role_of(cell)
        cell.metadata.pop("nbgrader", None)
        if role:
            cell.metadata["nbgrader"] = {**ROLES[role], "grade_id": cell.id}
        if role == "answer" and waiting:
            raise ValueError(f"no check follows the answer in cell {waiting!r} before the next one, {cell.id!r}")
        waiting = {"answer": cell.id, "check": None}.get(role, waiting)
    if waiting:
        raise ValueError(f"no check follows the answer in cell {waiting!r}")


def lab_of(solution, path):
    """The lab made from a solution, to be stored at `path`."""
    lab = copy.deepcopy(solution)
    lab.cells = [cell for cell in lab.cells if "solution-only" not in cell.metadata.get("tags", [])]
    for cell in lab.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag not in ONLY_THERE]
        cell.source = TEXT if is_text(cell) else cell.source
        kept = {key: cell.metadata[key] for key in ("nbgrader",) if key in cell.metadata}
        cell.metadata = nbformat.from_dict(kept | ({"tags": tags} if tags else {}))
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = blank(cell.source, f"cell {cell.id!r}"), [], None
    setup_cells.stamp_of_project(lab, path)
    nbformat.validate(lab)
    return lab


def text_of(notebook):
    """A notebook as it stands in its file."""
    return nbformat.writes(notebook, version=4) + "\n"


def wanted():
    """{path: what should stand there} for every solution and its lab."""
    texts = {}
    for path in sorted((ROOT / "solutions").glob("lab*.ipynb")):
        solution = nbformat.read(path, as_version=4)
        try:
            stamp(solution)
            lab = lab_of(solution, ROOT / "labs" / path.name)
        except ValueError as error:
            sys.exit(f"solutions/{path.name}: {error}")
        texts[path], texts[ROOT / "labs" / path.name] = text_of(solution), text_of(lab)
    return texts


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    texts = wanted()
    orphans = [path for path in sorted((ROOT / "labs").glob("*.ipynb")) if path not in texts]
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if arguments:
        for path in stale + orphans:
            print(f"{path.relative_to(ROOT)} is not what tools/labs.py makes: run `make labs`")
        sys.exit(bool(stale or orphans))
    for path in stale:
        path.write_text(texts[path], encoding="utf-8", newline="\n")
        print(f"wrote {path.relative_to(ROOT)}")
    for path in orphans:
        print(f"{path.relative_to(ROOT)} has no solution: labs are made from solutions/, please remove it")


if __name__ == "__main__":
    main(sys.argv[1:])
