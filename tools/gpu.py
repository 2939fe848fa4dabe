"""Try the course on a GPU, within nine minutes and without a network: `make gpu`.

    python tools/gpu.py [FILE.json] [PART ...]      by default build/gpu.json, and every part of tools/gpu_parts.py

It needs PyTorch, torchvision, Lightning, timm and pytest, and stands in for what else the course imports and a bare GPU machine
lacks. Every part runs in a process of its own and has a deadline: one that fails, dies or is late is named in the file, with what
it had found, and the others go on. The file is written after each. COURSE_DEVICE=cpu tries the parts themselves, on tiny data.
The exit status is 0 if every part passed, 1 if one did not, 2 where there is no CUDA device.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None  # imports happen once; nothing here starts CUDA
TINY = os.environ.get("COURSE_DEVICE") == "cpu"
# What stands in for a package: names that can be called, subclassed and decorated with, and do nothing.
NOTHING = '''
class Nothing:
    def __init__(self, *args, **kwargs): self.children, self.value = (), None
    def __init_subclass__(cls, **kwargs): pass
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return Nothing()

def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return Nothing
'''
STANDINS = {
    "anywidget": NOTHING,
    "traitlets": NOTHING,
    "ipywidgets": NOTHING,
    "pooch": NOTHING,
    "IPython": "version_info = (9, 0, 0)\nfrom IPython import display, utils\ndef get_ipython(): return None\n",
    "platformdirs": "def user_cache_dir(name): return f'/tmp/{name}'\n",
    "imagehash": '''
import numpy
class Hash:
    def __init__(self, bits): self.hash = bits

def dhash(image, side=8):
    pixels = numpy.asarray(image.convert("L").resize((side + 1, side)))
    return Hash(pixels[:, 1:] > pixels[:, :-1])
''',
}


def stand_in(folder):
    """Write what stands in for the packages that are not installed; returns their names. Processes to come find them, too."""
    absent = [name for name in STANDINS if find_spec(name) is None]
    for name in absent:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(STANDINS[name], encoding="utf-8")
    if "IPython" in absent:
        (folder / "IPython/display.py").write_text(NOTHING + "def display(*args, **kwargs): return Nothing()\n", encoding="utf-8")
        (folder / "IPython/utils").mkdir()
        (folder / "IPython/utils/__init__.py").write_text("from IPython.utils import capture\n", encoding="utf-8")
        (folder / "IPython/utils/capture.py").write_text(
            "import contextlib\ndef capture_output(*args, **kwargs): return contextlib.nullcontext()\n", encoding="utf-8"
        )
    places = [str(folder), str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    return absent


def _child(part, report, quiet):
    """What the process of a part does: it reports what the part finds as it goes, and then how it ended."""
    os.setsid()  # so that all that it starts can be ended with it
    if quiet:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1), os.dup2(sink, 2)
    try:
        part(lambda **found: report.send(("found", found)))
        report.send(("passed", ""))
    except BaseException as error:  # whatever it is, it belongs into the file
        report.send(("failed", "".join(traceback.format_exception(error, limit=-6))[-3000:]))


def attempt(part, seconds, quiet=True):
    """Run part(note) in a process of its own, for that long at most: {"passed", "seconds", what it noted, perhaps "error"}."""
    ours, theirs = FORK.Pipe(duplex=False)
    process, found, started = FORK.Process(target=_child, args=(part, theirs, quiet)), {}, time.monotonic()
    process.start()
    theirs.close()
    how, what = late = "failed", f"it did not end within {seconds} s"
    try:
        while (left := started + seconds - time.monotonic()) > 0:
            if ours.poll(left):
                how, what = ours.recv()
                if how != "found":
                    break
                found |= what
                how, what = late
    except EOFError:  # the pipe was closed without a word
        process.join(5)
        what = f"its process ended with {process.exitcode}"
    finally:  # with all that it has started
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join(5)
    error = {"error": what} if what else {}
    return {"passed": how == "passed", "seconds": round(time.monotonic() - started, 1), **found, **error}


def has_gpu(note):
    import torch

    note(cuda=torch.cuda.is_available())


def main(arguments, parts=None):
    files = [name for name in arguments if name.endswith(".json")]
    file, wanted = Path(files[0] if files else ROOT / "build/gpu.json"), [name for name in arguments if name not in files]
    if FORK is None or not (TINY or attempt(has_gpu, 120).get("cuda")):  # asked elsewhere: this process must not start CUDA
        print("There is no CUDA device here. COURSE_DEVICE=cpu tries the parts themselves, on tiny data.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(COURSE_OFFLINE="1", MPLBACKEND="Agg", COURSE_RUN="full", COURSE_CACHE=f"{folder}/cache")
        Path(folder, "standins").mkdir()
        absent = stand_in(Path(folder, "standins"))
        if parts is None:
            from gpu_parts import PARTS, prepare

            prepare(Path(folder))
            parts = PARTS
        if unknown := set(wanted) - set(parts):
            print(f"there is no part {unknown.pop()!r}; there are {', '.join(parts)}")
            return 2
        done = {"tiny": TINY, "stood in for": absent, "parts": {}}
        for name in wanted or parts:
            function, seconds = parts[name]
            done["parts"][name] = result = attempt(function, seconds, "-v" not in sys.argv)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
            failed = "" if result["passed"] else ": FAILED, " + result["error"].strip().splitlines()[-1]
            print(f"{name}, {result['seconds']:.0f} s{failed}", flush=True)
    bad = [name for name, result in done["parts"].items() if not result["passed"]]
    print(f"{file} has the figures." + (f" Failed: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "-v"]))
