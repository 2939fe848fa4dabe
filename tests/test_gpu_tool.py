"""`make gpu`: its parts run, on tiny data on a CPU; what fails, dies or is late is named, and the others go on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, clean_environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
PLANTED = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import gpu
def late(note):
    note(begun=1)
    time.sleep(60)
def fails(note):
    note(figure=2)
    raise ValueError("planted")
parts = {"late": (late, 1), "fails": (fails, 20), "dies": (lambda note: os._exit(3), 20)}
parts["fine"] = lambda note: note(figure=4), 20
sys.exit(gpu.main([sys.argv[2]], parts))
"""


def run(*command, **changes):
    settings = {"capture_output": True, "text": True, "timeout": 250, "env": clean_environment(**changes)}
    return subprocess.run([sys.executable, *command], **settings)


def test_every_part_runs_on_tiny_data_and_writes_what_it_found(tmp_path):
    done = run(ROOT / "tools/gpu.py", tmp_path / "gpu.json", COURSE_DEVICE="cpu", OMP_NUM_THREADS="1")
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert done.returncode == 0, done.stdout + str({name: part.get("error") for name, part in found["parts"].items()})
    parts = found["parts"]
    assert found["tiny"] and all(part["passed"] for part in parts.values()) and len(parts) == 8
    assert all(row["bit-equal"] and row["logits differ by"] == 0 for row in parts["recipes"]["recipes"].values())
    (row,) = parts["throughput"]["throughput"].values()
    assert row["share"] == pytest.approx(row["images/s"] / row["bare images/s"]) and not any(parts["notebooks"]["waiting"])


def test_a_part_that_fails_dies_or_is_late_is_named_with_what_it_had_found_and_the_others_go_on(tmp_path):
    done = run("-c", PLANTED, ROOT / "tools", tmp_path / "gpu.json", COURSE_DEVICE="cpu")
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert done.returncode == 1 and "Failed: late, fails, dies" in done.stdout, done.stderr
    assert parts["late"]["error"] == "it did not end within 1 s" and parts["late"]["begun"] == 1 and parts["late"]["seconds"] < 8
    assert "ValueError: planted" in parts["fails"]["error"] and parts["fails"]["figure"] == 2
    assert parts["dies"]["error"] == "its process ended with 3" and parts["fine"]["passed"] and parts["fine"]["figure"] == 4


def test_without_a_cuda_device_it_says_so_and_ends_with_2(tmp_path):
    done = run(ROOT / "tools/gpu.py", tmp_path / "gpu.json", CUDA_VISIBLE_DEVICES="", COURSE_DEVICE="")
    assert done.returncode == 2 and done.stdout.startswith("There is no CUDA device here.") and not done.stderr
    assert not (tmp_path / "gpu.json").exists()


def test_what_a_bare_machine_lacks_is_stood_in_for_and_the_course_computes_with_it(tmp_path):
    script = (
        "import os, sys, pathlib; sys.path.insert(0, sys.argv[1]); import gpu; gpu.find_spec = lambda name: None\n"
        "print(sorted(gpu.stand_in(pathlib.Path(sys.argv[2]))) == sorted(gpu.STANDINS))\n"
        "import helpers as h, imagehash, IPython\n"
        "from IPython.utils.capture import capture_output\n"
        "from helpers.lessons import explorer, your_own_images\n"
        "from helpers.images.twins import kept_together\n"
        "assert imagehash.__file__.startswith(sys.argv[2]) and IPython.get_ipython() is None\n"
        "print(h.fit(h.FEATURE_EXTRACTION, h.open_task('goldfinches', per_class=2, size=32, val=2, test=2)).n)"
    )
    done = run("-c", script, ROOT / "tools", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "True" and done.stdout.splitlines()[-1] == "8", done.stdout
    assert Path(tmp_path, "IPython/display.py").exists()
