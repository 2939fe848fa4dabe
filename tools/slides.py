"""Make a reveal.js deck of every lecture: `make slides` writes them to build/slides/, to be opened in any browser, offline.

    python tools/slides.py [--to build/slides] [notebooks/03_variants.ipynb ...]

Cells are slides, fragments or speaker notes as their slide tags say (in JupyterLab: Property Inspector > Slide Type);
nothing is run. reveal.js comes from the package sphinx-revealjs and MathJax, where a lecture has formulas, from
jupyter_server_mathjax. tools/deck/ holds the template, the style and the script that lays cells out on pages.
"""

import argparse
import ast
import re
import shutil
from html import escape
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter

ROOT = Path(__file__).resolve().parents[1]
DECK = ROOT / "tools/deck"
LECTURES = sorted(ROOT.glob("notebooks/0[1-9]_*.ipynb"))
REVEAL = ["dist/reveal.js", "dist/reveal.css", "dist/reset.css", "dist/theme/fonts/source-sans-pro", "plugin/notes/notes.js",
          "LICENSE"]  # fmt: skip


def without_alt(source):
    """Code as on a slide: in h.show(figure, "what is to be seen ..."), the text is left out (it is in the notes)."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    texts = [call.args[1] for call in calls if ast.unparse(call.func).rpartition(".")[2] == "show"]
    names = {text.id for text in texts if isinstance(text, ast.Name)}
    written = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
               and getattr(node.targets[0], "id", None) in names]  # fmt: skip
    lines = source.encode().splitlines(keepends=True)
    parts = [(text, b'"..."') for text in texts] + [(node, b"") for node in written]
    for node, put in sorted(parts, key=lambda part: -part[0].lineno):
        head, tail = lines[node.lineno - 1][: node.col_offset], lines[node.end_lineno - 1][node.end_col_offset :]
        lines[node.lineno - 1 : node.end_lineno] = [(head + put + tail).lstrip(b"\n" if put else None)]
    return b"".join(lines).decode()


def relinked(html, decks):
    """Links between notebooks lead from deck to deck; links to other files of the project are left out, their words stay."""

    def link(match):
        target, words = match["target"], match["words"]
        if re.match(r"https?://|#", target):
            return match[0]
        deck = re.fullmatch(r"(\w+)\.ipynb(#.*)?", target)
        return f'<a href="{deck[1]}.html">{words}</a>' if deck and deck[1] in decks else words

    return re.sub(r'<a href="(?P<target>[^"]*)">(?P<words>.*?)</a>', link, html, flags=re.DOTALL)


def deck(path, decks=()):
    """The page of one notebook, and whether it needs MathJax. decks: the names of all notebooks that have one."""
    notebook = nbformat.read(path, as_version=4)
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = without_alt(cell.source)
    has_math = any(re.search(r"\$[^$\n]+\$|\\\\\(", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)) for text in markdown)
    resources = {
        "deck_title": re.search(r"^# (.+)$", markdown[0], re.MULTILINE)[1],
        "deck_has_math": has_math,
        "metadata": {"path": str(Path(path).parent), "name": Path(path).stem},
    }
    exporter = SlidesExporter(
        template_name="deck", extra_template_basedirs=[str(DECK.parent)], embed_images=True, exclude_anchor_links=True
    )
    html, _ = exporter.from_notebook_node(notebook, resources=resources)
    return relinked(html, decks), has_math


def folder_of(package, inside):
    """A folder that a Python package ships; stops with a line that says what to install where it is missing."""
    spec = find_spec(package)
    if spec is None:
        raise SystemExit(f"{package} is missing: install the extra 'teach', as make slides does")
    return Path(spec.origin).parent / inside


def copy_scripts(to, math):
    """reveal.js, with its licence, and if need be MathJax into the decks' folder, from installed packages."""
    source = folder_of("sphinx_revealjs", "_static/revealjs")
    for part in REVEAL:
        target = to / "reveal" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source / part, target)
    if math:
        shutil.copytree(folder_of("jupyter_server_mathjax", "static"), to / "mathjax", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("localization"))  # fmt: skip
    for name in ("deck.css", "deck.js"):
        shutil.copy2(DECK / name, to / name)


def build(paths, to):
    """Write a deck of each notebook, and index.html with links to all, into the folder `to`. Returns the decks' paths."""
    to = Path(to)
    to.mkdir(parents=True, exist_ok=True)
    names, written, titles, math = [Path(path).stem for path in paths], [], [], False
    for path in paths:
        html, has_math = deck(path, names)
        written.append(to / f"{Path(path).stem}.html")
        written[-1].write_text(html, encoding="utf-8")
        titles.append(re.search(r"<title>(.*?)</title>", html)[1])
        math = math or has_math
    copy_scripts(to, math)
    links = "".join(f'<li><a href="{escape(page.name)}">{title}</a></li>' for page, title in zip(written, titles, strict=True))
    (to / "index.html").write_text(
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Slides</title><style>body{font:22px sans-serif;margin:3em}'
        f"li{{margin:.5em}}</style><h1>Slides</h1><ol>{links}</ol><p>S opens the speaker's view, F fills the screen, "
        "O shows all slides, ? lists the keys.</p></html>\n", encoding="utf-8")  # fmt: skip
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=LECTURES)
    parser.add_argument("--to", type=Path, default=ROOT / "build/slides")
    arguments = parser.parse_args()
    for page in build(arguments.notebooks or LECTURES, arguments.to):
        print(page)


if __name__ == "__main__":
    main()
