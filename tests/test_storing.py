"""Tools and settings of the notebooks: stamping, storing, and nbval on notebooks that could trip it."""

import subprocess
import sys

import execute
import nbformat
import pytest
import setup_cells
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from project import ROOT, clean_environment, each, notebooks

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


@each(notebooks("notebooks", "solutions", "labs"))
def test_setup_cell_colab_line_and_quizzes_are_as_stamped(path):
    old, new = setup_cells.stamped(path)
    assert old == new, "run: python tools/setup_cells.py"


@pytest.mark.parametrize("host", ["github.com", "gitlab.com"])
def test_stamping_puts_address_and_colab_line_into_a_notebook_that_lacks_them(host, tmp_path, capsys):
    """A badge, where Colab opens notebooks of that host; else a link to a text."""
    for folder in ("notebooks", "solutions"):
        (tmp_path / folder).mkdir()
    address = f"https://{host}/somebody/course"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n', encoding="utf-8")
    template = new_notebook(cells=[new_code_cell('course = "git+x"', metadata={"tags": ["setup"]})])
    bare = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("1 + 1")])
    for file, notebook in [("notebooks/00_start_here.ipynb", template), ("solutions/one.ipynb", bare)]:
        nbformat.write(notebook, tmp_path / file)
    assert setup_cells.main(tmp_path, check=True) == 1
    assert setup_cells.main(tmp_path) == 0 and "solutions/one.ipynb: stamped" in capsys.readouterr().out
    title, line, setup, rest = nbformat.read(tmp_path / "solutions/one.ipynb", as_version=4).cells
    assert setup.source == f'course = "git+{address}"' and (title.source, rest.source) == ("# Title", "1 + 1")
    opened = "https://colab.research.google.com/github/somebody/course/blob/main/solutions/one.ipynb"
    badge = f"[![Open in Colab](../docs/open-in-colab.svg)]({opened})"
    assert (badge if host == "github.com" else "(../docs/installing.md#on-google-colab)") in line.source
    assert setup_cells.main(tmp_path, check=True) == 0


def test_stored_notebook_holds_the_fallback_of_a_widget_and_a_widget_without_one_is_refused():
    view = {execute.VIEW: {"model_id": "x"}, "text/plain": "VBox()"}
    output = new_output("display_data", data=view | {"text/html": "<p>A quiz</p>"})
    execute.drop_widget(output, "quiz")
    assert output.data == {"text/html": "<p>A quiz</p>", "text/plain": "VBox()"}
    with pytest.raises(SystemExit, match="cell slider shows a widget without a fallback"):
        execute.drop_widget(new_output("display_data", data=view), "slider")
    execute.drop_widget(new_output("stream", text="no data at all"), "print")


def run_nbval(folder, stored="4", untagged="", **sources):
    """Run notebooks of the given cells by nbval with this project's settings, and in each a last cell that prints 4."""
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    for file, source in sources.items():
        last = new_code_cell("print(2 + 2)", execution_count=2)
        last.metadata["tags"] = [] if file == untagged else ["nbval-check-output"]
        last.outputs = [new_output("stream", name="stdout", text=f"{stored}\n")]
        book = new_notebook(cells=[new_code_cell(source, execution_count=1), last], metadata={"kernelspec": KERNEL})
        nbformat.write(book, folder / f"{file}.ipynb")
    settings = ["-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", f"--rootdir={folder}"]
    command = [sys.executable, "-m", "pytest", "-q", *settings, *(f"{file}.ipynb" for file in sources)]
    environment = clean_environment(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_silent_seconds_and_thousands_of_updates_pass_but_a_notebook_of_which_nothing_is_compared_fails(tmp_path):
    course = "from helpers.notebook.progress import Progress\np = Progress(3000)\nfor _ in range(3000): p.step()\np.done('')"
    tqdm = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3000), mininterval=0): pass"
    silent = "import time\ntime.sleep(12)"
    done = run_nbval(tmp_path, silent=silent, course=course, tqdm=tqdm, loose="x = 1", untagged="loose")
    assert "8 passed" in done.stdout, done.stdout
    for notebook in ("silent", "course", "tqdm"):
        assert f"{notebook}.ipynb: 2 cells ran, 1 compared\n" in done.stdout
    assert "loose.ipynb: 2 cells ran, 0 compared: FAILED, none is" in done.stdout and done.returncode == 1


def test_a_changed_output_fails(tmp_path):
    done = run_nbval(tmp_path, stored="5", changed="x = 1")
    assert "1 failed, 1 passed" in done.stdout and "Cell outputs differ" in done.stdout, done.stdout
