"""Run notebooks from top to bottom and store them with outputs but no debris: no times, no widget state.

    python tools/execute.py solutions/lab1_flowers.ipynb [...]
    python tools/execute.py --twice solutions/lab1_flowers.ipynb [...]     run each twice, store nothing, say what differs

First the setup cell is stamped into notebooks of the project (tools/setup_cells.py). Of a widget (quiz, slider) what is
stored is its fallback, such as folded text or a picture: without a kernel the widget itself would show as an error.
Stops at the first cell that fails and then leaves that notebook as it was.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

sys.path.insert(0, str(Path(__file__).parent))
import setup_cells  # noqa: E402

VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def execute(path):
    """The notebook at `path`, executed in its own folder by this environment's Python."""
    notebook = nbformat.read(path, as_version=4)
    setup_cells.stamp_of_project(notebook, Path(path).resolve())
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # start and end times
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    client = NotebookClient(
        notebook,
        timeout=1200,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(Path(path).parent)}},
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for output in cell.outputs:
                drop_widget(output, cell.id)
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})  # without this Python's version
    return notebook


def drop_widget(output, cell_id):
    """Leave of a widget's output its fallback alone; stops where there is none."""
    data = output.get("data", {})
    if data.pop(VIEW, None) is not None and "text/html" not in data:
        sys.exit(f"cell {cell_id} shows a widget without a fallback: show it by show_widget of helpers.notebook.widgets")


def numbers(cell):
    """The text that a cell prints and shows, without what is measured in seconds or milliseconds and what changes by intent."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    return re.sub(r"[\d.,]+ ?(s|ms|min|minutes|seconds|hours|h)\b|/tmp/\S+|127\.0\.0\.1\S*|0x[0-9a-f]+", "...", "\n".join(texts))


def twice(path):
    """The cells of a notebook that print something else when it runs again, with both texts; those of clocks are left out."""
    one, other = execute(path).cells, execute(path).cells
    pairs = [(cell.id, numbers(cell), numbers(again)) for cell, again in zip(one, other, strict=True)]
    clocks = {cell.id for cell in one if re.search(r"perf_counter|seconds|speed|minutes", cell.source)}
    return [pair for pair in pairs if pair[1] != pair[2] and pair[0] not in clocks]


def main(paths):
    if not paths:
        sys.exit(__doc__)
    if paths[0] == "--twice":
        differing = {path: twice(path) for path in paths[1:]}
        for path, cells in differing.items():
            print(f"{path}: {len(cells)} cells print something else")
            print(*(f"  {name}\n{one}\n---\n{other}" for name, one, other in cells), sep="\n", flush=True)
        sys.exit(any(differing.values()))
    for path in paths:
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            sys.exit(f"{path} was not stored, because a cell failed:\n{error}")
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        print(f"{path}: {cells} code cells, stored with outputs")


if __name__ == "__main__":
    main(sys.argv[1:])
