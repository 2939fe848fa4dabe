"""Python without a network: for every process that has this folder first in PYTHONPATH (see course_guard.py).

Then runs the sitecustomize that this file hides, if the system or a test has one.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

if os.environ.get("COURSE_ATTEMPTS"):
    import course_guard

    course_guard.install()

_here = os.path.realpath(os.path.dirname(__file__))
_hidden = PathFinder.find_spec("sitecustomize", [place for place in sys.path if os.path.realpath(place) != _here])
if _hidden and _hidden.loader:
    sys.modules["sitecustomize"] = module_from_spec(_hidden)
    _hidden.loader.exec_module(sys.modules["sitecustomize"])
