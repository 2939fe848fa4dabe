"""Settings for every test run, the notebooks' kernels included: they inherit this process's environment."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent

# The tests are about this checkout, also where another copy of the course is installed.
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

# One thread a process: test processes then share the cores well, and sums come out in one order everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Neither the user's cache nor the IPython profile and history take part. The first process makes the folder;
# the workers of pytest-xdist inherit it.
if "COURSE_TEST_HOME" not in os.environ:
    os.environ["COURSE_TEST_HOME"] = tempfile.mkdtemp(prefix="course-tests-")
    atexit.register(shutil.rmtree, os.environ["COURSE_TEST_HOME"], ignore_errors=True)
os.environ.setdefault("COURSE_CACHE", str(Path(os.environ["COURSE_TEST_HOME"], "cache")))
os.environ["IPYTHONDIR"] = str(Path(os.environ["COURSE_TEST_HOME"], "ipython"))
