"""Long work shows one line that moves, and leaves one line behind."""

import io
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.notebook import progress
from helpers.notebook.progress import Progress


class Output(io.StringIO):
    def __init__(self, terminal: bool):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.fixture
def output(monkeypatch):
    """Use as output(terminal=...): what is printed from then on, at a second a step."""

    def replace_stdout(terminal):
        stream, seconds = Output(terminal), iter(range(10_000))
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
        monkeypatch.setattr(progress, "_notebook_display", lambda: None)
        return stream

    return replace_stdout


def on_screen(printed: str) -> list[str]:
    """The lines that a terminal shows after this was printed to it."""
    return [line.rpartition("\r\x1b[K")[2] for line in printed.removesuffix("\n").split("\n")]


def test_where_output_is_a_file_only_the_last_line_is_written(output):
    stream = output(terminal=False)
    line = Progress(20, "training")
    for _ in range(20):
        line.step()
    assert stream.getvalue() == ""
    line.done("trained 20 steps")
    assert stream.getvalue() == "trained 20 steps\n"


def test_in_a_terminal_the_line_moves_in_place_and_the_last_one_stays(output):
    stream = output(terminal=True)
    line = Progress(4, "training")
    for count, text, shown in ((1, "loss 2.50", "1/4, 3 s left, loss 2.50"), (3, "", "4/4, 0 s left"), (1, "", "5/4, 0 s left")):
        line.step(count, text)
        assert on_screen(stream.getvalue()) == [f"training {shown}"]
    line.done("trained")
    assert on_screen(stream.getvalue()) == ["trained"] and stream.getvalue().endswith("\n")
    Progress(500).step()
    assert on_screen(stream.getvalue())[-1] == " 1/500, 8 min left"


def test_the_line_is_redrawn_at_most_five_times_a_second(output, monkeypatch):
    stream = output(terminal=True)
    hundredths = iter(range(10_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(hundredths) / 100)
    line = Progress(1000)
    for _ in range(1000):  # ten seconds
        line.step()
    assert 40 <= stream.getvalue().count("\r") <= 50


def test_bytes_are_shown_as_megabytes_and_what_was_there_before_does_not_make_it_seem_fast(output):
    stream = output(terminal=True)
    line = Progress(40_000_000, "photographs:", megabytes=True)
    line.go_on_from(20_000_000)
    line.step(5_000_000)  # in a second
    assert on_screen(stream.getvalue()) == ["photographs: 25.0/40.0 MB, 3 s left"]
    line.step(0, "waiting")
    assert on_screen(stream.getvalue())[0].endswith(", waiting")
    Progress(0, "total not known:", megabytes=True).step(1_500_000)
    assert on_screen(stream.getvalue()) == ["total not known: 1.5 MB"]


def test_in_a_notebook_the_display_is_updated_in_place_and_keeps_the_last_text_alone():
    cell = (
        "import time\n"
        "from helpers.notebook.progress import Progress\n"
        "line = Progress(3, 'training <all>')\n"
        "for _ in range(3):\n"
        "    time.sleep(0.25)\n"
        "    line.step()"
    )
    cells = [nbformat.v4.new_code_cell(code) for code in (cell, "line.done('trained')")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=60)
    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        (moving,) = notebook.cells[0].outputs
        assert moving.data["text/plain"] == "training <all> 3/3, 0 s left"
        for part in ('value="3" max="3"', "training &lt;all&gt; 3/3"):
            assert part in moving.data["text/html"]
        client.execute_cell(notebook.cells[1], 1)
    (last,) = notebook.cells[0].outputs
    assert last.data == {"text/plain": "trained"}
    assert notebook.cells[1].outputs == []
    assert "widgets" not in notebook.metadata
