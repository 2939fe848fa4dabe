"""Settings of the web edition for Sphinx. tools/book.py prepares the pages and calls it."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [folder for folder in (str(ROOT), str(HERE)) if folder not in sys.path]
from edition import hooks  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Transfer learning in PyTorch"
author = ", ".join(person["name"] for person in PROJECT["authors"])
copyright = f"{author}. Text and figures: CC BY 4.0. Code and weights: BSD 3-Clause"
version = release = PROJECT["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["files", "static"]

# Notebooks: what is stored is shown, nothing is run; no script is taken from elsewhere.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4

# The reference
smartquotes = False  # "garden" is code
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # of Lightning's and torch's classes we document what we add
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
add_module_names = False
html_math_renderer = "mathml"

# The look
html_theme = "furo"
html_title = "Transfer learning in PyTorch"
html_static_path = [str(HERE / "static")]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#00507a", "color-brand-content": "#00639a"},
    "dark_css_variables": {"color-brand-primary": "#7cc7f2", "color-brand-content": "#7cc7f2"},
}


def setup(app):
    hooks.connect(app)
    app.config.html_static_path.append(str(app.srcdir / "static"))  # the figures of the notebooks
