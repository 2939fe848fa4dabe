"""Settings for every test run, the notebooks' kernels included: they inherit this process's environment.

Nothing in a test run reaches another machine; an attempt makes the run fail (tests/offline/course_watch.py).
"""

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

# The folder that keeps every process off the network; a conftest.py that was copied elsewhere uses that of the run it is in.
GUARD = ROOT / "tests/offline"
if not GUARD.is_dir():
    GUARD = Path(os.environ["COURSE_GUARD"])
os.environ["COURSE_GUARD"] = str(GUARD)

# The tests are about this checkout, also where another copy of the course is installed.
sys.path[:0] = [str(ROOT), str(GUARD), str(ROOT / "tools")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(GUARD), str(ROOT), os.environ.get("PYTHONPATH")]))

# One thread a process: test processes then share the cores well, and sums come out in one order everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Notebooks run with their quick budget, also where there is a GPU. Set COURSE_RUN=full to test the other.
os.environ.setdefault("COURSE_RUN", "quick")
DEVICE = os.environ.get("COURSE_DEVICE")

# Neither the user's caches nor the IPython profile and history take part. The first process makes the folder;
# the workers of pytest-xdist inherit it.
if "COURSE_TEST_HOME" not in os.environ:
    os.environ["COURSE_TEST_HOME"] = tempfile.mkdtemp(prefix="course-tests-")
    atexit.register(shutil.rmtree, os.environ["COURSE_TEST_HOME"], ignore_errors=True)
os.environ.setdefault("COURSE_CACHE", str(Path(os.environ["COURSE_TEST_HOME"], "cache")))
os.environ.setdefault("HF_HOME", str(Path(os.environ["COURSE_TEST_HOME"], "hugging-face")))
os.environ["IPYTHONDIR"] = str(Path(os.environ["COURSE_TEST_HOME"], "ipython"))

ATTEMPTS = Path(os.environ["COURSE_TEST_HOME"], "attempts")
course_watch = importlib.import_module("course_watch")
course_watch.begin(ATTEMPTS)


def pytest_configure(config):
    config.pluginmanager.register(course_watch.Watch(config, ATTEMPTS))
    _let_messages_queue()


# What follows is about notebooks, which nbval runs a cell a test.


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Tests fetch from this machine, whatever the shell says of COURSE_OFFLINE. But with COURSE_RUN=full a notebook would
    ask whether there is a network: its kernel is told that there is none. A quick notebook is compared with what a CPU gave,
    so it runs on one, whatever the machine has; what a GPU gives, `make gpu` tries."""
    os.environ.pop("COURSE_OFFLINE", None)
    os.environ.pop("COURSE_DEVICE", None)
    os.environ.update({"COURSE_DEVICE": DEVICE} if DEVICE else {})
    if type(item).__name__ == "IPyNbCell":
        full = os.environ["COURSE_RUN"] == "full"
        os.environ.update({"COURSE_OFFLINE": "1"} if full else {"COURSE_DEVICE": "cpu"})


def _let_messages_queue():
    """nbval reads a cell's messages only when the cell is done, and ZeroMQ drops what exceeds 1,000 unread ones: with
    thousands of progress updates the message "done" would get lost, and the cell would fail. So let the queue grow."""
    try:
        import zmq
        from jupyter_client.connect import ConnectionFileMixin
    except ImportError:  # without the extra "test" there are no notebooks to run
        return
    connect = ConnectionFileMixin._create_connected_socket

    def unlimited(self, *args, **kwargs):
        self.context.setsockopt(zmq.RCVHWM, 0)  # the default of the sockets that this context makes
        return connect(self, *args, **kwargs)

    ConnectionFileMixin._create_connected_socket = unlimited


def pytest_itemcollected(item):
    """Note for every cell of a notebook how many stored outputs nbval really compared with fresh ones."""
    if type(item).__name__ != "IPyNbCell":
        return
    compare = item.compare_outputs

    def counted(test, reference, skip_compare=None):
        skipped = {*(skip_compare or item.parent.skip_compare), "metadata", "output_type"}
        kinds = [key for output in reference for key in [*output, *output.get("data", {})] if key != "data"]
        item.user_properties.append(("compared", sum(key not in skipped for key in kinds)))
        return compare(test, reference, skip_compare)

    item.compare_outputs = counted


def _notebooks(terminalreporter):
    """{notebook: [cells that ran, cells that were compared]} of this run, whatever process ran them."""
    counts = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            notebook, _, cell = getattr(report, "nodeid", "").partition(".ipynb::")
            if cell and report.when == "call":
                count = counts.setdefault(f"{notebook}.ipynb", [0, 0])
                count[0] += 1
                count[1] += any(value for key, value in report.user_properties if key == "compared")
    return counts


def pytest_sessionfinish(session, exitstatus):
    """A notebook that is stored with outputs, of which none was compared, fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    counts = _notebooks(reporter) if reporter else {}
    if exitstatus == 0 and any(_unheld(name, *count) for name, count in counts.items()):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    counts = _notebooks(terminalreporter)
    if counts:
        terminalreporter.section("outputs of notebooks that were compared with stored ones")
    for name, (ran, compared) in sorted(counts.items()):
        error = ": FAILED, none is" if _unheld(name, ran, compared) else ""
        terminalreporter.write_line(f"{name}: {ran} cells ran, {compared} compared{error}")


def _unheld(name, ran, compared):
    if name.startswith("labs/") or os.environ.get("COURSE_COLAB"):  # there 00_start_here names other places
        return False
    return ran > 1 and not compared  # one cell alone: somebody chose it
