"""What the web edition adds to Sphinx: formulas as MathML, docstrings as they are written here, helpers linked in code."""

import inspect
import re
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

import helpers
from edition.docstrings import to_rest

LOG = getLogger(__name__)
CALL = re.compile(r'(<span class="n">(\w+)</span><span class="o">\.</span>)(<span class="n">)(\w+)(</span>)')


def mathml(formula, as_block=False):
    """A formula in LaTeX as MathML, which browsers show without any script. Raises ValueError for what is no formula."""
    try:
        return tex2mathml(formula, as_block=as_block)
    except MathError as error:
        raise ValueError(f"the formula {formula!r} cannot be set as MathML: {error}") from error


def put_formula(self, node, before="", after="", as_block=False):
    try:
        self.body.append(before + mathml(node.astext(), as_block) + after)
    except ValueError as error:
        LOG.warning(str(error), location=node)
    raise SkipNode


def put_block(self, node):
    put_formula(self, node, '<div class="formula" tabindex="0">', "</div>", as_block=True)


def read_docstring(app, what, name, obj, options, lines):
    """autodoc takes docstrings for reStructuredText; ours are plain text with a few habits."""
    try:
        parameters = list(inspect.signature(obj).parameters)
    except (TypeError, ValueError):  # a property, a value
        parameters = []
    lines[:] = to_rest("\n".join(lines), parameters).splitlines()


def link_helpers(app, pagename, templatename, context, doctree):
    """Let the names in `h.freeze(...)` and `museum.predict(...)` lead to their entry in the reference."""
    objects = [(name, docname, anchor) for name, _, _, docname, anchor, _ in app.env.get_domain("py").get_objects()]
    if pagename.startswith("_modules/") and "body" in context:
        context["body"] = with_right_ways_back(context["body"], objects)
    if "body" not in context or not pagename.startswith(("notebooks/", "labs/")):
        return
    entries = {name.removeprefix("helpers."): f"{docname}.html#{anchor}" for name, docname, anchor in objects}
    up = "../" * pagename.count("/")

    def link(found):
        before, origin, opening, name, closing = found.groups()
        target = entries.get(name if origin in ("h", "helpers") else f"lessons.{origin}.{name}")
        return f'{before}<a class="helper" href="{up}{target}">{opening}{name}{closing}</a>' if target else found[0]

    context["body"] = CALL.sub(link, context["body"])


def with_right_ways_back(html, objects):
    """A page of source code with links back to entries that exist: Sphinx takes all names of a module to be documented under
    one other name, but some of ours are in `helpers` and others in `helpers.lessons.X`.
    """
    anchors = {(docname, re.sub(r"^helpers\.(lessons\.\w+\.)?", "", name)): anchor for name, docname, anchor in objects}

    def link(found):
        page, docname, name = found.groups()
        return f'href="{page}#{anchors.get((docname, name), "")}"'

    return re.sub(r'href="([^"#]*?(reference/\w+)\.html)#helpers\.(?:lessons\.\w+\.)?([\w.]+)"', link, html)


HEAD = re.compile(r"<th(?: class=\"[^\"]*\")?>(?:<p></p>)?</th>")


def accessible(html):
    """A page on which screen readers and keyboards find their way: what Sphinx, its theme and pandas leave out (found by axe)."""
    html = html.replace('role="heading">', 'role="heading" aria-level="2">')  # captions of the contents
    html = html.replace('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="all pages">')
    html = re.sub(r"<pre(?=>| class)", '<pre tabindex="0"', html)  # may be wider than the page, and then scrolls
    return HEAD.sub("<td></td>", html)  # the corner of a table heads nothing


def finish(app, error):
    """Make every page that was written accessible."""
    for path in sorted(Path(app.outdir).rglob("*.html")) if error is None else []:
        path.write_text(accessible(path.read_text(encoding="utf-8")), encoding="utf-8")


def connect(app):
    app.connect("build-finished", finish)
    app.add_html_math_renderer("mathml", (put_formula, None), (put_block, None))
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("html-page-context", link_helpers)
    helpers.__all__  # noqa: B018  (fails here, and clearly, where another `helpers` is found first)
