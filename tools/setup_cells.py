"""Stamp into every notebook what follows from other files: the setup cell, the line that says how to run it on Colab,
and the stored form of its quizzes.

    python tools/setup_cells.py            stamps them
    python tools/setup_cells.py --check    only says which notebooks are not as they would be stamped

The setup cell is the one tagged "setup" in notebooks/00_start_here.ipynb, with the address that pyproject.toml gives.
The line stands between <!-- colab --> and <!-- /colab -->. A notebook that has no setup cell, or no such line, gets it
before its first code. A quiz is stored as helpers/data/quizzes/NN.toml has it, as if its cell had just been run.
"""

import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from helpers.notebook.quiz import find, to_html, to_text  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import links  # noqa: E402

QUIZ = re.compile(r"(?:import helpers as h\s+)?h\.quiz\(\"(.+)\"\)\s*")
FOLDERS = ("notebooks", "notebooks/appendix", "solutions", "labs")
LEAD = "*On Google Colab:* "  # words first: a line that begins with a comment is HTML, and Markdown sees no links in it
LINE = re.compile(rf"({re.escape(LEAD)})?<!-- colab -->.*?<!-- /colab -->", re.DOTALL)


def is_setup(cell):
    return cell.cell_type == "code" and "setup" in cell.metadata.get("tags", [])


def setup_source(template, address):
    """The code of the setup cell of the first page, with the project's address in it."""
    (cell,) = [cell for cell in template.cells if is_setup(cell)]
    source, changed = re.subn(r'"git\+[^"]*"', f'"git+{address}"', cell.source)
    if changed != 1:
        raise ValueError("the setup cell of notebooks/00_start_here.ipynb should name one address, as \"git+...\"")
    return source


def colab_line(file, address):
    """How to run the notebook `file` (its path in the project) on Colab, in Markdown."""
    parts, up = urlsplit(address), "../" * file.count("/")
    if parts.hostname == "github.com":
        project = parts.path.strip("/").removesuffix(".git")
        link = f"https://colab.research.google.com/github/{project}/blob/main/{file}"
        text = f"[![Open in Colab]({up}docs/open-in-colab.svg)]({link})"  # our own picture: nothing is loaded from elsewhere
    else:  # Colab opens notebooks from GitHub only
        text = f"see [how to install]({up}docs/installing.md#on-google-colab)."
    return f"{LEAD}<!-- colab -->{text}<!-- /colab -->"


def stamp(notebook, file, template, address):
    """Put setup cell and line into a notebook, in place."""
    cells = notebook.cells
    if not any(map(is_setup, cells)):
        cells.insert(min(1, len(cells)), new_code_cell(id="setup", metadata={"tags": ["setup"]}))
    for cell in cells:
        if is_setup(cell):
            cell.source = setup_source(template, address)
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}  # folded in JupyterLab and on Colab
    for cell in cells:
        asked = QUIZ.fullmatch(cell.source)
        if asked and cell.get("outputs"):
            shown = {"text/html": to_html(find(asked[1])), "text/plain": to_text(find(asked[1]), asked[1])}
            cell.outputs = [new_output("display_data", data=shown)]
    line = colab_line(file, address)
    marked = [cell for cell in cells if cell.cell_type == "markdown" and LINE.search(cell.source)]
    for cell in marked:
        cell.source = LINE.sub(lambda _: line, cell.source)
    if not marked:
        place = next(place for place, cell in enumerate(cells) if is_setup(cell))
        before = cells[place - 1] if place > 1 else None  # the title is the first slide: leave it as it is
        if before is not None and before.cell_type == "markdown":
            before.source = f"{before.source}\n\n{line}"
        else:
            cells.insert(place, new_markdown_cell(line, id="colab"))


def stamp_of_project(notebook, path, root=ROOT):
    """Stamp the notebook that is stored at `path`, if that is in one of the project's folders of notebooks."""
    if path.parent in [root / folder for folder in FOLDERS]:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        template = nbformat.read(root / "notebooks/00_start_here.ipynb", as_version=4)
        stamp(notebook, path.relative_to(root).as_posix(), template, project["project"]["urls"]["Repository"])


def stamped(path, root=ROOT):
    """(text as it is, text as it would be stamped) of the notebook at `path`."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
    stamp_of_project(notebook, path, root)
    new = nbformat.writes(notebook)
    return text, new + "\n" * (text.endswith("\n") and not new.endswith("\n"))


def main(root=ROOT, check=False):
    stale = []
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.ipynb")):
            old, new = stamped(path, root)
            if old != new:
                stale.append(path.relative_to(root).as_posix())
                if not check:
                    path.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'not as tools/setup_cells.py would stamp it' if check else 'stamped'}")
    if stale and not check and (why := links.placeholder(root)):
        print(f"{why}. Until then the setup cell has nothing to fetch on Colab.", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
