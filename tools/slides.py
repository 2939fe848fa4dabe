"""Make a reveal.js deck of every lecture: `make slides` writes them to build/slides/, to be opened in any browser, offline.

    python tools/slides.py [--to build/slides] [notebooks/03_variants.ipynb ...]

A cell is a page if its metadata says so; the text of the others becomes the speaker's notes (docs/presenting.md). Nothing
is run. What is against the rules of a deck is printed below its name. reveal.js comes from the package sphinx-revealjs and
MathJax, where a page has formulas, from jupyter_server_mathjax.
"""

import argparse
import re
import shutil
import sys
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template

import nbformat

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]
from deck.pages import inline, pages  # noqa: E402
from deck.rules import faults  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
DECK = ROOT / "tools/deck"
LECTURES = sorted(ROOT.glob("notebooks/0[1-9]_*.ipynb"))
REVEAL = ["dist/reveal.js", "dist/reveal.css", "dist/reset.css", "dist/theme/fonts/source-sans-pro", "plugin/notes/notes.js",
          "LICENSE"]  # fmt: skip


def relinked(html, decks):
    """Links between notebooks lead from deck to deck; links to other files of the project are left out, their words stay."""

    def link(match):
        target, words = match["target"], match["words"]
        if re.match(r"https?://|#", target):
            return match[0]
        deck = re.fullmatch(r"(\w+)\.ipynb(#.*)?", target)
        return f'<a href="{deck[1]}.html">{words}</a>' if deck and deck[1] in decks else words

    return re.sub(r'<a href="(?P<target>[^"]*)">(?P<words>.*?)</a>', link, html, flags=re.DOTALL)


def section(page, decks):
    """A page as reveal.js wants it."""
    tag = '<b class="tag">Predict</b>' if page.asks else '<b class="tag">Quiz</b>' if page.kind == "quiz" else ""
    kicker = f"h1>{escape(page.section)}</h1" if page.kind == "title" else f'p class="kicker">{tag}{escape(page.section)}</p'
    return (
        f'<section data-cell="{page.cell}"><div class="page {page.kind}"><{kicker}>\n'
        f'<h2>{inline(page.headline)}</h2>\n<div class="body">{relinked(page.body, decks)}</div></div>\n'
        f'<aside class="notes">{relinked(page.said, decks)}</aside></section>'
    )


def deck(title, made, decks=()):
    """The HTML of a deck, and whether it needs MathJax. decks: the names of all notebooks that have one."""
    texts = [re.sub(r"<(pre|code)\b.*?</\1>", "", page.headline + page.body, flags=re.DOTALL) for page in made]
    formulas = any(re.search(r"\$[^$\n]+\$", text) for text in texts)
    parts = {
        "title": escape(title),
        "math": (DECK / "math.html").read_text(encoding="utf-8") if formulas else "",
        "pages": "\n".join(section(page, decks) for page in made),
    }
    return Template((DECK / "deck.html").read_text(encoding="utf-8")).substitute(parts), formulas


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
    """Write a deck of each notebook that has slides, and index.html with links to all, into the folder `to`.

    Returns {notebook: (path of its deck or None, what is against the rules in it)}. Stops where a slide cannot be made.
    """
    to = Path(to)
    to.mkdir(parents=True, exist_ok=True)
    notebooks, made = {Path(path): nbformat.read(path, as_version=4) for path in paths}, {}
    for path, notebook in notebooks.items():
        try:
            made[path] = pages(notebook)
        except ValueError as error:
            raise SystemExit(f"{path.name}, {error}") from None
    decks = [path.stem for path in notebooks if made[path]]
    written, links, math = {}, "", False
    for path, notebook in notebooks.items():
        written[path] = (to / f"{path.stem}.html", faults(made[path], notebook)) if made[path] else (None, [])
        if made[path]:
            title = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]
            html, has_math = deck(title, made[path], decks)
            written[path][0].write_text(html, encoding="utf-8")
            links += f'<li><a href="{escape(path.stem)}.html">{escape(title)}</a></li>'
            math = math or has_math
    copy_scripts(to, math)
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
    for path, (page, found) in build(arguments.notebooks or LECTURES, arguments.to).items():
        print(page or f"{path.name} has no slides yet: no cell's metadata has a slide (docs/presenting.md)")
        print(*(f"  {fault}" for fault in found), sep="\n", end="\n" * bool(found))


if __name__ == "__main__":
    main()
