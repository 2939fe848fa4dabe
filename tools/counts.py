"""How much a lecture asks of its reader: `python tools/counts.py` prints a row a lecture.

words        that a student reads: Markdown without the instructor's notes
predictions  cells in which a student writes a guess down
helpers      names of the course's own library that its code uses
"""

import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"words": 2300, "predictions": 6, "helpers": 12}
MODULES = re.compile(r"^from helpers\.lessons import (.+)$", re.MULTILINE)


def counts(path):
    """{"words": ..., "predictions": ..., "helpers": ...} of the notebook at `path`."""
    cells = nbformat.read(path, as_version=4).cells
    read = [cell.source for cell in cells if cell.cell_type == "markdown" and _slide(cell) != "notes"]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    modules = ["h", *(name.strip() for line in MODULES.findall(code) for name in line.split(","))]
    return {
        "words": len(re.findall(r"\w[\w'’-]*", re.sub(r"<!--.*?-->|\]\([^)]*\)", "", "\n".join(read)))),
        "predictions": len(re.findall(r"^guess\w* = ", code, re.MULTILINE)),
        "helpers": len(set(re.findall(rf"\b(?:{'|'.join(modules)})\.\w+", code))),
    }


def _slide(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type")


if __name__ == "__main__":
    for file in sys.argv[1:] or sorted(ROOT.glob("notebooks/0[1-9]*.ipynb")):
        found = counts(file)
        print(f"{Path(file).name:40}", *(f"{name} {found[name]:5} (at most {most})" for name, most in LIMITS.items()))
