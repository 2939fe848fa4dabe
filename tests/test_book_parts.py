"""How the pages of the web edition are prepared: links, figures, tables, docstrings, and what is refused."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from project import ROOT, clean_environment
from webpages import Page, loaded

pytest.importorskip("sphinx", reason="Sphinx comes with the extra teach")
sys.path[:0] = [str(ROOT), str(ROOT / "docs/book")]
from edition.docstrings import groups, to_rest  # noqa: E402
from edition.hooks import mathml  # noqa: E402
from edition.outputs import Figures, readable, shown  # noqa: E402
from edition.staging import Stage  # noqa: E402

import helpers  # noqa: E402


@pytest.mark.parametrize(
    "text, page",
    [
        ("[one](notebooks/01_one.ipynb#here)", "[one](notebooks/01_one.ipynb#here)"),
        ("the [licence](LICENSE)", "the [licence](path:files/LICENSE)"),
        ("in [notebooks](notebooks)", "in notebooks"),
        ("[![open in the cloud](https://example.org/badge.svg)](https://example.org)", "[open in the cloud](https://example.org)"),
        ("[`notebooks/01_one.ipynb`](notebooks/01_one.ipynb)", "[](notebooks/01_one.ipynb)"),
        ("```\n[not a](link)\n```", "```\n[not a](link)\n```"),
        ("<!-- 03.key -->88%<!-- /03.key -->", "88%"),
    ],
)
def test_links_of_a_page_are_mapped_and_one_that_leads_nowhere_is_named(tmp_path, text, page):
    for file in ("docs/book/x", "README.md", "LICENSE", "notebooks/01_one.ipynb"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}" if file.endswith("b") else "# Read me\n\n## Here\n")
    stage = Stage(tmp_path, tmp_path / "staged")
    assert stage.text("README.md", text) == page
    with pytest.raises(ValueError, match=r"README.md links to notebooks/02_two.ipynb, which the project does not have"):
        stage.text("README.md", "[two](notebooks/02_two.ipynb)")


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def picture(**metadata):
    return nbformat.v4.new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}, metadata=metadata)


def test_figure_without_words_is_refused_and_one_with_alt_in_its_metadata_is_shown_with_it(tmp_path):
    figures = Figures(tmp_path)
    with pytest.raises(ValueError, match="a.ipynb shows a figure without a text"):
        shown(picture(), figures, "notebooks/a.ipynb")
    words = "Two bars, of which the <right> one is higher"
    html = shown(picture(**{"image/png": {"alt": words}}), figures, "notebooks/a.ipynb").data["text/html"]
    assert 'alt="Two bars, of which the &lt;right&gt; one is higher"' in html and 'src="../_static/figures/' in html
    assert len(list(tmp_path.iterdir())) == 1


def test_tables_are_put_into_boxes_that_scroll_and_are_reached_by_keyboard():
    html = readable('<style scoped>td {}</style><table border="1" class="dataframe"><tr><td>1</td></tr></table>')
    assert html.startswith('<div class="scroll" tabindex="0" role="region"') and "<style" not in html and "border" not in html


@pytest.mark.parametrize(
    "docstring, parameters, rest",
    [
        ("Of (N, *) and `freeze`, |x|, a_ b.", (), r"Of (N, \*) and :py:obj:`freeze <helpers.freeze>`, \|x\|, a\_ b."),
        ("size: pixels. seed: draws\nanother.", ("size", "seed"), "- **size**: pixels.\n\n- **seed**: draws another."),
        ("Text.\nRaises ValueError for `x`.", (), "Text.\n\nRaises ValueError for ``x``."),
        ("Of\n    -1    the head,\n          alone\n    0     none", (), "Of\n\n``-1``\n   the head, alone\n\n``0``\n   none"),
        ("For example\n\n>>> f(x_)\n'*'", (), "For example\n\n>>> f(x_)\n'*'"),
    ],
)
def test_docstrings_are_read_as_they_are_written_here(docstring, parameters, rest):
    assert to_rest(docstring, parameters) == rest


def test_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    command = [sys.executable, ROOT / "tools/book.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 1 and "holds something else than a web edition" in done.stderr and "Traceback" not in done.stderr
    assert Path(tmp_path, "thesis.txt").read_text() == "years of work"


def test_reference_is_grouped_as_the_docstring_of_helpers_groups_its_names():
    found = groups()
    assert list(found) == ["The model", "The images", "The training", "The notebook"], "helpers/__init__.py leaves out a name"
    assert "freezing" in found["The model"] and "images.tasks" in found["The images"]
    assert sorted(module for modules in found.values() for module in modules) == sorted(helpers._HOME)


def test_addresses_that_would_be_loaded_are_found(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<script src='https://a.org/x.js'></script><p style='background: url(//b.org/y.png)'>"
                    "<style>@import 'https://c.org/z.css';</style><a href='https://fine.org'>")  # fmt: skip
    assert {urlsplit(address).hostname for address in loaded(Page(path)) if address} == {"a.org", "b.org", "c.org"}


def test_formula_that_cannot_be_set_is_named():
    assert "<mfrac>" in mathml(r"\frac{a}{b}")
    with pytest.raises(ValueError, match="unheardof"):
        mathml(r"\unheardof{a}")
