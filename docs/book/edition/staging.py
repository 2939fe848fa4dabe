"""Prepare the pages of the web edition: copies of the project's own files, with what a web page needs changed.

Every page keeps its place (notebooks/, labs/, docs/), so that the links between them hold; a link to a file of the project leads
to a copy of it in files/. A link that leads nowhere, or from the students' edition to what they do not get, is an error. The
instructors' edition has everything: solutions, the instructors' pages, and the notes in the notebooks, folded.
"""

import os
import re
from pathlib import Path

import nbformat
from students import MARKED, content, handed_out, is_note, outcomes

from edition.docstrings import reference_pages
from edition.measured import measured_page
from edition.outputs import Figures, shown

LINK = re.compile(r"(!?)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]+)\)")
MARK = re.compile(r"<!-- /?[\w.,-]+ -->")
BLOCK = re.compile(r"(^```.*?^```|^~~~.*?^~~~)", re.DOTALL | re.MULTILINE)  # of code
FILE = re.compile(r"`?[\w/.]+\.(?:md|ipynb)`?")  # a label that is a file's name
REMOTE = re.compile(r"!\[([^\[\]]*)\]\(https?:[^()\s]+\)")
ROW = re.compile(r"^\| \[(?P<title>[^\]]+)\]\((?P<link>[^)]+)\)[^|]*\|(?P<what>[^|]+)\|(?P<minutes>[^|]+)\|$", re.MULTILINE)
GUESSED = ("museum", "contest")  # studies of what labs ask students to find out
FIRST = "installing|offline|your_own|cheat_sheet|glossary"  # of the pages in docs/, before the reference


def pages(root, instructors=False):
    """{path of a file in the project: path of its page}."""
    kept = ["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/instructors/*.md", "docs/instructors/solutions/*.md"]
    kept += ["notebooks/*.ipynb", "notebooks/appendix/*.ipynb", "labs/*.md", "labs/*.ipynb", "solutions/*.ipynb"]
    found = [path.relative_to(root).as_posix() for pattern in kept for path in sorted(root.glob(pattern))]
    found = {path: path for path in found if instructors or handed_out([path])}
    return found | {f"docs/book/{path.name}": path.name for path in sorted((root / "docs/book").glob("*.md"))}


class Stage:
    """The folder in which the pages are prepared."""

    def __init__(self, root, folder, instructors=False):
        self.root, self.folder, self.instructors, self.pages = root, folder, instructors, pages(root, instructors)
        self.figures, self.texts = Figures(folder / "static/figures"), {}

    def link(self, page, target):
        """What a link on a page (its path in the project) becomes; None: it has no place to lead to."""
        if re.match(r"[a-z]+:|#", target):
            return target
        path, hash_, anchor = target.partition("#")
        found = (self.root / page).parent.joinpath(path).resolve()
        name = found.relative_to(self.root).as_posix() if found.is_relative_to(self.root) else ""
        if not found.exists() or not name:
            raise ValueError(f"{page} links to {target}, which the project does not have")
        if not self.instructors and not handed_out([name]):
            raise ValueError(f"{page} links to {target}, which students do not get: put that between <!-- instructors --> marks")
        if f"{name}/README.md" in self.pages:
            name = f"{name}/README.md"
        if name in self.pages:
            return self.relative(page, self.pages[name]) + hash_ + anchor
        if found.is_dir():
            return None
        if found.suffix in (".png", ".jpg", ".svg"):
            self.copy(name, name)
            return self.relative(page, name)
        self.copy(name, f"files/{name}")
        return "path:" + self.relative(page, f"files/{name}")

    def relative(self, page, path):
        return os.path.relpath(path, Path(self.pages[page]).parent).replace(os.sep, "/")

    def copy(self, name, path):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes((self.root / name).read_bytes() if self.instructors else content(self.root, name))

    def text(self, page, markdown):
        """The Markdown of a page with its links mapped, pictures from elsewhere as words, and without our marks."""

        def mapped(found):
            picture, label, target = found.groups()
            target = self.link(page, target)
            if not picture and target and FILE.fullmatch(label) and re.match(r"[^:#]+\.(md|ipynb)", target):
                label = ""  # Sphinx puts the title of the page, or of its section, there
            return f"{picture}[{label}]({target})" if target else label

        markdown = markdown if self.instructors else MARKED.sub("", markdown)
        parts = BLOCK.split(MARK.sub("", markdown.replace("```mermaid\n", "```text\n")))  # no script draws it here
        parts[::2] = [LINK.sub(mapped, REMOTE.sub(r"\1", part)) for part in parts[::2]]
        return "".join(parts)

    def write(self, path, text):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def notebook(self, page):
        """A notebook as a page: its notes, its set-up and what guesses are about folded, its figures as files."""
        notebook = nbformat.read(self.root / page, as_version=4)
        fold_setup(notebook)
        for cell in outcomes(notebook.cells):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-output"]
        if not self.instructors:
            notebook.cells = [cell for cell in notebook.cells if not is_note(cell)]
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = self.text(page, cell.source)
                if is_note(cell):
                    notes = re.sub(r"^\*\*For the instructor\.?\*\*[.:]?\s*", "", cell.source)
                    cell.source = folded("For the instructor", notes)
            elif cell.cell_type == "code":
                if re.fullmatch(r"h\.quiz\([^\n]*\)", cell.source) and cell.outputs:
                    cell.metadata.setdefault("tags", []).append("remove-input")  # the question is its output
                cell.outputs = [shown(output, self.figures, page) for output in cell.outputs]
        self.copy(page, f"files/{page}")
        title, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{title}\n\n{self.bar(page)}\n\n{rest}"
        self.texts[self.pages[page]] = (title.removeprefix("# "), "\n".join(cell.source for cell in notebook.cells))
        self.write(self.pages[page], nbformat.writes(notebook))

    def first_figure(self, page):
        """The first figure of a notebook that has no page of its own; None if there is no such notebook or figure."""
        outputs = nbformat.read(self.root / page, as_version=4).cells if (self.root / page).is_file() else []
        for output in (output for cell in outputs for output in cell.get("outputs", [])):
            if page not in self.figures.first:
                shown(output, self.figures, page)
        return self.figures.first.get(page)

    def bar(self, page):
        """The line under a notebook's title: how to run it."""
        copy, how = (self.relative(page, path) for path in (f"files/{page}", "docs/installing.md"))
        lab = page.startswith("labs/")
        what = "A lab is for doing, its blanks are yours to fill in:" if lab else "Read this page, or run it:"
        return f":::{{container}} run-it\n{what} [download the notebook](path:{copy}) and [install the course]({how}).\n:::"


def fold_setup(notebook):
    """Fold what is for Google Colab only, the line and the set-up cell after it, into one block that opens on demand."""
    cells = notebook.cells
    for cell, setup in zip(cells[:-1], cells[1:], strict=True):
        if "setup" in setup.metadata.get("tags", []) and "<!-- colab -->" in cell.source:
            parts = re.split(r"\n\s*\n", cell.source)
            kept = [part for part in parts if "<!-- colab -->" not in part] if cell.source.startswith("#") else []
            rest = [part for part in parts if part not in kept]
            code = f"```python\n{setup.source}\n```"
            cell.source = "\n\n".join([*kept, folded("On Google Colab", "\n\n".join([*rest, code]))])
            cells.remove(setup)
            return


def folded(summary, markdown):
    return f'<details class="fold"><summary>{summary}</summary>\n\n{markdown}\n\n</details>'


def toctree(caption, entries):
    lines = "\n".join(entries)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"


def contents(pages):
    """The table of contents, of what there is."""

    def those(pattern):
        return [path.rpartition(".")[0] for path in pages.values() if re.fullmatch(pattern, path)]

    parts = {
        "Lectures": those(r"notebooks/\d.*"),
        "Explore": those(r"notebooks/[^/\d][^/]*"),
        "Appendices": those(r"notebooks/appendix/.*"),
        "Labs": [f"About the labs <{name}>" for name in those(r"labs/README\.md")]
        + those(r"labs/.*\.ipynb")
        + those(r"labs/(?!README).*\.md"),
        "Solutions": those(r"solutions/.*\.ipynb"),
        "To run and to look up": ["Overview <README>"]
        + those(rf"docs/(?:{FIRST})\.md")
        + ["reference/index", "measured"]
        + those(rf"docs/(?!(?:{FIRST}|presenting|architecture)\.)[^/]*\.md"),
        "For instructors": those(r"docs/presenting\.md")
        + those(r"docs/instructors/README\.md")
        + those(r"docs/instructors/(?!README).*\.md"),
        "To carry on": those(r"docs/architecture\.md") + those(r"CONTRIBUTING\.md"),
    }
    return "\n".join(toctree(caption, entries) for caption, entries in parts.items() if entries)


def first_page(stage):
    """The landing page: its own text, with the headline paragraph and the path through the course taken from README.md."""
    readme = (stage.root / "README.md").read_text(encoding="utf-8")
    headline = [paragraph for paragraph in readme.split("\n\n") if "<!-- headline -->" in paragraph]
    steps = list(ROW.finditer(readme))
    if not headline or not steps:
        raise ValueError("README.md should have a paragraph with <!-- headline --> marks and a table of the path")
    cards = []
    for step in steps:
        page = os.path.normpath(step["link"])
        target = os.path.relpath(page, "docs/book")
        picture = stage.figures.first.get(page) or stage.first_figure(page.replace("labs/", "solutions/"))
        what, minutes = step["what"].strip(), re.match(r"\d+", step["minutes"].strip())
        parts = [
            f'<img src="{picture[0]}" alt="{picture[1]}" loading="lazy">' if picture else "",
            f"**[{step['title']}]({target})**",
            f"{what[0].upper()}{what[1:]}.",
            f"{minutes[0] if minutes else step['minutes'].strip()} minutes",
        ]
        cards.append(":::{container} step\n" + "\n\n".join(parts) + "\n:::\n")
    text = (stage.root / "docs/book/index.md").read_text(encoding="utf-8")
    path = "::::{container} path\n" + "\n".join(cards) + "::::\n"
    text = text.replace("{{headline}}", headline[0]).replace("{{path}}", path)
    return stage.text("docs/book/index.md", text) + "\n" + contents(stage.pages)


def stage(root, folder, instructors=False):
    """Prepare every page of the project at `root` in `folder`."""
    here = Stage(root, folder, instructors)
    for page, path in here.pages.items():
        if page.endswith(".ipynb"):
            here.notebook(page)
        elif path != "index.md":
            text = here.text(page, (root / page).read_text(encoding="utf-8"))
            if page.startswith("docs/instructors/"):  # told apart from the labs of the same title, in the search too
                text = re.sub(r"\A(# (?!.*instructor).+)", r"\1 (for instructors)", text)
            here.write(path, text)
    here.write("index.md", first_page(here))
    here.write("measured.md", measured_page(root, here.texts, () if instructors else GUESSED))
    for path, text in reference_pages().items():
        here.write(path, text)
