"""Build the web edition of the course: a static site that opens from the file system, with a search that needs no server.

    python tools/book.py                          writes build/book/index.html, for students
    python tools/book.py --instructors            writes build/book-instructors/, with solutions, notes and instructors' pages
    python tools/book.py [--instructors] FOLDER   writes it there

Nothing is executed and nothing is fetched. The pages come from the project's own files: lectures with their stored
outputs, labs with their blanks, the texts in docs/, README.md, and the docstrings of `helpers`. They are prepared in
a folder of their own (docs/book/edition/ says how); Sphinx makes HTML of them (docs/book/conf.py).
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MISSING = 'The web edition needs Sphinx, MyST-NB and furo: pip install -e ".[teach]"'


def build(out, root=ROOT, instructors=False):
    """Write the site of the project at `root` into the folder `out`, anew; returns Sphinx's exit status, 0 if all is well.

    Every warning is an error: a link that leads nowhere, a formula that cannot be set, a docstring that cannot be read.
    """
    out = Path(out).resolve()
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").is_file():
        raise FileExistsError(f"{out} holds something else than a web edition: name an empty folder")

    from sphinx.cmd.build import build_main

    for folder in (root, root / "docs/book", Path(__file__).parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from edition.staging import stage

    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        pages, doctrees = Path(folder).resolve() / "pages", Path(folder).resolve() / "doctrees"
        stage(root, pages, instructors)
        where = ["-c", str(root / "docs/book"), "-d", str(doctrees), str(pages), str(out)]
        return build_main(["-q", "-W", "--keep-going", "-b", "html", *where])


def main(arguments):
    instructors = "--instructors" in arguments
    folders = [argument for argument in arguments if argument != "--instructors"]
    if len(folders) > 1 or any(folder.startswith("-") for folder in folders):
        sys.exit(__doc__)
    out = Path(folders[0]) if folders else ROOT / ("build/book-instructors" if instructors else "build/book")
    try:
        status = build(out, instructors=instructors)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"sphinx", "myst_nb", "furo", "nbformat"}:
            sys.exit(MISSING)
        raise
    except (ValueError, FileExistsError) as error:
        sys.exit(f"The web edition was not built: {error}")
    if status == 0:
        print(f"The web edition is in {out}: open {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
