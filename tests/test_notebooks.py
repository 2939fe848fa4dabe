"""The manners of the notebooks: valid, run in order, without debris, short cells, outputs really compared."""

import base64
import json
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from project import ADDRESS, ROOT, clean_environment, name, notebooks

LECTURES = notebooks("notebooks", "solutions")  # stored with outputs
LABS = notebooks("labs")  # stored without
SETUP_SOURCE = ROOT / "notebooks/00_start_here.ipynb"


def each(paths):
    return pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in paths])


def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def words(output):
    """The text of a stored output."""
    return output.get("text", "") + "".join(str(value) for value in output.get("data", {}).values())


@each(LECTURES + LABS)
def test_notebook_is_valid_and_every_cell_has_an_id_of_its_own(path):
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.get("id") for cell in notebook.cells]
    assert all(ids) and len(set(ids)) == len(ids)


@each(LECTURES + LABS)
def test_notebook_names_the_plain_python_kernel_and_no_machine(path):
    metadata = read(path).metadata
    assert metadata.kernelspec.name == "python3"
    assert metadata.kernelspec.display_name == "Python 3 (ipykernel)"
    assert set(metadata.get("language_info", {})) <= {"name"}, "tools/execute.py drops Python's version"


@each(LECTURES + LABS)
def test_notebook_holds_no_widget_state_and_no_times(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata, "GitHub cannot show notebooks with a widget state"
    assert not [cell.id for cell in notebook.cells if "execution" in cell.metadata]


@each(LECTURES + LABS)
def test_notebook_opens_with_title_and_minutes_and_ends_with_words(path):
    cells = read(path).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    opening = [cell.source for cell in cells[:4] if cell.cell_type == "markdown"]
    assert re.search(r"\bminutes\b", " ".join(opening), re.IGNORECASE), "say how many minutes it takes"
    assert cells[-1].cell_type == "markdown"


@each(LECTURES + LABS)
def test_setup_cell_is_there_once_and_the_same_as_on_the_first_page(path):
    (first,) = [cell.source for cell in code_cells(SETUP_SOURCE) if "setup" in tags(cell)]
    setup = [cell.source for cell in code_cells(path) if "setup" in tags(cell)]
    assert setup == [first], "copy the cell tagged 'setup' from notebooks/00_start_here.ipynb"
    assert code_cells(path)[0].source == first, "the setup cell comes before all other code"
    assert f'"git+{ADDRESS}"' in first


@each(LECTURES + LABS)
def test_code_cells_are_plain_python(path):
    for cell in code_cells(path):
        assert cell.source.strip(), f"cell {cell.id} is empty"
        compile(cell.source, f"{name(path)}:{cell.id}", "exec")  # no !commands and no %magics


@each(LECTURES + LABS)
def test_code_cells_are_short(path):
    sources = [cell.source for cell in code_cells(path) if "setup" not in tags(cell)]
    lines = [sum(bool(line.strip()) for line in source.splitlines()) for source in sources]
    assert statistics.median(lines) <= 6, f"half of the code cells should have 6 lines or fewer: {lines}"
    within = sum(count <= 15 for count in lines) / len(lines)
    assert within >= 0.9, f"nine of ten code cells should have 15 lines or fewer: {lines}"


@each(LECTURES)
def test_notebook_was_executed_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "run tools/execute.py on it"
    assert any(cell.outputs for cell in code_cells(path))


@each(LECTURES)
def test_stored_outputs_hold_no_errors_and_no_debris(path):
    debris = r"Warning\b|GPU available|TPU available|litlogger|lightning\.ai|ipykernel_\d+|`Trainer"
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {cell.id} failed: {output.evalue}"
            assert output.get("name") != "stderr", f"cell {cell.id} wrote to stderr: {output.text[:200]}"
            found = re.search(debris, words(output) if "image/png" not in output.get("data", {}) else "")
            assert not found, f"cell {cell.id} shows {found.group()!r}"


@each(LECTURES)
def test_notebook_with_its_outputs_is_small(path):
    limit = 1_000_000 if path.parent.name == "notebooks" else 2_000_000
    assert path.stat().st_size < limit, "use fewer or smaller figures"


class Pictures(HTMLParser):
    """The alternative texts of all pictures of an HTML text, None for those that have none."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.sources = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.texts.append(dict(attributes).get("alt"))
            self.sources.append(dict(attributes).get("src") or "")


@each(LECTURES)
def test_every_figure_is_shown_with_words_that_say_what_is_to_be_seen(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            bare = [kind for kind in data if kind.startswith("image/")]
            assert not bare, f"cell {cell.id} shows a figure without a text: use h.show(figure, alt)"
            found = Pictures(data.get("text/html", ""))
            assert all(text and len(text) >= 20 for text in found.texts), f"cell {cell.id}: {found.texts}"
            assert all(source.startswith("data:image/") for source in found.sources), f"cell {cell.id} loads a picture"
            for source in found.sources:
                assert base64.b64decode(source.partition(",")[2], validate=True), f"cell {cell.id}: an empty picture"


@each(LECTURES)
def test_stored_notebook_shows_the_fallback_of_a_widget_and_no_script(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert not [kind for kind in output.get("data", {}) if "widget" in kind], f"cell {cell.id}: run tools/execute.py"
            assert "<script" not in output.get("data", {}).get("text/html", ""), f"cell {cell.id} holds a script"


@each(LABS)
def test_lab_is_stored_without_outputs(path):
    assert not [cell.id for cell in code_cells(path) if cell.outputs or cell.execution_count]


def compared_cells(path):
    """The cells whose stored output nbval compares with a fresh one (it ignores pictures and widgets)."""
    ignored = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
    tagged = [cell for cell in code_cells(path) if "nbval-check-output" in tags(cell)]
    kinds = [{kind for output in cell.outputs for kind in output.get("data", ["text"])} for cell in tagged]
    pairs = zip(tagged, kinds, strict=True)
    return [cell.id for cell, kind in pairs if kind - ignored and cell.execution_count]


@each(LECTURES)
def test_nbval_really_compares_outputs_of_this_notebook(path):
    tagged = [cell.id for cell in code_cells(path) if "nbval-check-output" in tags(cell)]
    least = 3 if re.match(r"0[1-9]_", path.name) else 1
    assert len(compared_cells(path)) >= least, "tag cells whose output is the same everywhere with nbval-check-output"
    assert compared_cells(path) == tagged, "a tagged cell without a stored output is not compared"


def test_nbval_as_configured_notices_a_changed_output(tmp_path):
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    for file, stored in [("same.ipynb", "4\n"), ("changed.ipynb", "5\n")]:
        cell = new_code_cell("print(2 + 2)", execution_count=1, metadata={"tags": ["nbval-check-output"]})
        cell.outputs = [new_output("stream", name="stdout", text=stored)]
        nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel}), tmp_path / file)
        assert compared_cells(tmp_path / file) == [cell.id]
    settings = ["-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", "-q", *settings, "same.ipynb", "changed.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert "1 failed, 1 passed" in done.stdout and "Cell outputs differ" in done.stdout, done.stdout


def test_stored_notebooks_end_with_one_newline_and_stay_in_order():
    """As tools/execute.py writes them, so that a run without a change leaves no difference."""
    for path in LECTURES + LABS:
        text = path.read_text(encoding="utf-8")
        assert text == nbformat.writes(read(path)) + "\n" or text == nbformat.writes(read(path)), name(path)
        assert json.loads(text)["nbformat"] == 4 and json.loads(text)["nbformat_minor"] >= 5
