"""Prepare a folder in which nbgrader hands the labs out and grades them.

    pip install -e ".[grade]"
    python tools/grading.py FOLDER            writes FOLDER/nbgrader_config.py and FOLDER/source/LAB/LAB.ipynb
    cd FOLDER
    nbgrader generate_assignment lab1_flowers      what students get: the same cells as in labs/
    nbgrader autograde lab1_flowers                a point for each check that passes

Before grading, `python tools/submissions.py FOLDER` says which notebooks would stop nbgrader, and why.

The labs' `helpers` have to be installed in the environment that grades. An existing nbgrader_config.py stays as it is.
"""

import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
import labs  # noqa: E402

CONFIG = f'''"""nbgrader's settings for the labs of the course on transfer learning."""

c = get_config()  # noqa: F821 (nbgrader provides it)
c.CourseDirectory.course_id = "transfer-learning"
# The same words in a blank as in the labs that `make labs` makes.
c.ClearSolutions.code_stub = {{"python": {labs.STUB!r}}}
c.ClearSolutions.text_stub = {labs.TEXT!r}
# Training takes longer than nbgrader's usual 30 seconds a cell; a check of the labs has a limit of its own.
c.Execute.timeout = 900
'''


def prepare(folder):
    """Write settings and sources into `folder`; returns the names of the labs."""
    config = folder / "nbgrader_config.py"
    names = []
    for path in sorted((labs.ROOT / "solutions").glob("lab*.ipynb")):
        solution = nbformat.read(path, as_version=4)
        labs.stamp(solution)
        solution.cells = [cell for cell in solution.cells if "solution-only" not in cell.metadata.get("tags", [])]
        target = folder / "source" / path.stem / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(labs.text_of(solution), encoding="utf-8", newline="\n")
        names.append(path.stem)
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8", newline="\n")
    return names


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__)
    folder = Path(arguments[0]).expanduser().resolve()
    if folder.is_file():
        sys.exit(f"{folder} is a file: name a folder for nbgrader to work in")
    names = prepare(folder)
    print(f"{folder}: {', '.join(names)}. Next: cd there, then `nbgrader generate_assignment {names[0]}`.")


if __name__ == "__main__":
    main(sys.argv[1:])
