"""The manners of the notebooks: valid, run in order, without debris, short cells, outputs really compared."""

import json
import re
import statistics

import nbformat
from project import cells, each, name, notebooks, read, tags

LECTURES = notebooks("notebooks", "solutions")  # stored with outputs
LABS = notebooks("labs")  # stored without


def outputs(path):
    """(cell's id, output) of everything that a notebook is stored with."""
    return [(cell.id, output) for cell in cells(path, "code") for output in cell.outputs]


@each(LECTURES + LABS)
def test_notebook_is_valid_and_every_cell_has_an_id_of_its_own(path):
    nbformat.validate(read(path))
    ids = [cell.get("id") for cell in cells(path)]
    assert all(ids) and len(set(ids)) == len(ids)


@each(LECTURES + LABS)
def test_notebook_is_stored_without_traces_of_a_machine_and_as_tools_write_it(path):
    metadata, text = read(path).metadata, path.read_text(encoding="utf-8")
    assert (metadata.kernelspec.name, metadata.kernelspec.display_name) == ("python3", "Python 3 (ipykernel)")
    assert set(metadata.get("language_info", {})) <= {"name"}, "tools/execute.py drops Python's version"
    assert "widgets" not in metadata, "GitHub cannot show notebooks with a widget state"
    assert not [cell.id for cell in cells(path) if "execution" in cell.metadata], "times"
    assert text.removesuffix("\n") == nbformat.writes(read(path)).removesuffix("\n")
    assert json.loads(text)["nbformat"] == 4 and json.loads(text)["nbformat_minor"] >= 5


@each(LECTURES + LABS)
def test_notebook_opens_with_title_and_minutes_then_the_setup_cell_and_ends_with_words(path):
    first, last = cells(path)[0], cells(path)[-1]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and last.cell_type == "markdown"
    opening = " ".join(cell.source for cell in cells(path)[:4] if cell.cell_type == "markdown")
    assert re.search(r"\bminutes\b", opening, re.IGNORECASE), "say how many minutes it takes"
    assert ["setup" in tags(cell) for cell in cells(path, "code")].index(True) == 0
    assert sum("setup" in tags(cell) for cell in cells(path)) == 1


@each(LECTURES + LABS)
def test_code_cells_are_short_and_plain_python(path):
    counts = []
    for cell in cells(path, "code"):
        assert cell.source.strip(), f"cell {cell.id} is empty"
        compile(cell.source, f"{name(path)}:{cell.id}", "exec")  # no !commands and no %magics
        if "setup" not in tags(cell):
            counts.append(sum(bool(line.strip()) for line in cell.source.splitlines()))
    assert statistics.median(counts) <= 6, f"half of the code cells should have 6 lines or fewer: {counts}"
    assert sum(count <= 15 for count in counts) >= 0.9 * len(counts), f"nine of ten should have 15 lines or fewer: {counts}"


@each(LECTURES)
def test_notebook_was_executed_from_top_to_bottom_and_is_small(path):
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), "run tools/execute.py on it"
    assert outputs(path)
    assert path.stat().st_size < (1_000_000 if path.parent.name == "notebooks" else 2_000_000), "use fewer or smaller figures"


@each(LECTURES)
def test_stored_outputs_hold_no_errors_no_scripts_and_of_widgets_the_fallback_alone(path):
    """test_look.py looks for debris in them."""
    for cell, output in outputs(path):
        data = output.get("data", {})
        assert output.output_type != "error", f"cell {cell} failed: {output.evalue}"
        assert output.get("name") != "stderr", f"cell {cell} wrote to stderr: {output.text[:200]}"
        assert not [kind for kind in data if "widget" in kind], f"cell {cell}: run tools/execute.py"
        assert "<script" not in data.get("text/html", ""), f"cell {cell} holds a script"


@each(LECTURES)
def test_every_figure_is_shown_with_words_that_say_what_is_to_be_seen(path):
    for cell, output in outputs(path):
        data = output.get("data", {})
        assert not [kind for kind in data if kind.startswith("image/")], f"cell {cell}: use h.show(figure, alt)"
        for picture in re.findall(r"<img\b[^>]*>", data.get("text/html", "")):
            text, source = (re.search(rf'\b{key}="([^"]*)"', picture) for key in ("alt", "src"))
            assert text and len(text[1]) >= 20, f"cell {cell} shows a figure without a text"
            assert source[1].startswith("data:image/"), f"cell {cell} loads a picture"


@each(LABS)
def test_lab_is_stored_without_outputs(path):
    assert not [cell.id for cell in cells(path, "code") if cell.outputs or cell.execution_count]


@each(LECTURES)
def test_nbval_really_compares_outputs_of_this_notebook(path):
    ignored = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}  # nbval compares everything else
    tagged = [cell for cell in cells(path, "code") if "nbval-check-output" in tags(cell)]
    least = 3 if re.match(r"0[1-9]_", path.name) else 1
    assert len(tagged) >= least, "tag cells whose output is the same everywhere with nbval-check-output"
    for cell in tagged:
        kinds = {kind for output in cell.outputs for kind in output.get("data", ["text"])}
        assert kinds - ignored and cell.execution_count, f"cell {cell.id} is tagged, but has no output to compare"
