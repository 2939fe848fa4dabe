"""Try the course with the oldest or the newest versions that pyproject.toml admits: `make test-oldest`, `make test-newest`.

    python tools/versions.py oldest                          everything, as `make test` does
    python tools/versions.py newest tests/test_heads.py      only this
    PYTHON_VERSION=3.12 python tools/versions.py newest      on another Python than 3.11 (oldest) or 3.13 (newest)

build/oldest and build/newest are made from your usual package index (6 GB each). "Oldest" takes the lower bound of each package
that pyproject.toml names, and the newest of what those need in turn. Stored outputs are compared as always, so that what
another version prints or computes otherwise is seen.
"""

import os
import subprocess
import sys

from colab import ROOT, find_python, uv

PYTHONS = {"oldest": "3.11", "newest": "3.13"}
RESOLUTION = {"oldest": "lowest-direct", "newest": "highest"}


def make_environment(which: str) -> str:
    """The Python of the environment, which is made afresh where pyproject.toml has changed since."""
    version = os.environ.get("PYTHON_VERSION", PYTHONS[which])
    place, wanted = ROOT / "build" / which, f"{version}\n{(ROOT / 'pyproject.toml').read_text(encoding='utf-8')}"
    python, state = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), place / "made-from.txt"
    if not state.exists() or state.read_text(encoding="utf-8") != wanted:
        uv("venv", "--clear", "--quiet", "--seed", "--python", find_python(version), place)
        uv("pip", "install", "--quiet", "--python", python, "--resolution", RESOLUTION[which], "-e", ".[lab,test,teach]")
        state.write_text(wanted, encoding="utf-8")
    return str(python)


def main(which: str, *chosen: str) -> int:
    """Run the tests there; 0 if all pass."""
    python = make_environment(which)
    uv("pip", "list", "--python", python)
    jobs = ["-n", os.environ.get("JOBS", "2"), "--dist", "loadscope"]
    dropped = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV")
    return subprocess.run([python, "-m", "pytest", "-q", *jobs, *chosen], cwd=ROOT,
                          env={name: value for name, value in os.environ.items() if name not in dropped}).returncode  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PYTHONS:
        sys.exit("python tools/versions.py oldest|newest [tests]")
    sys.exit(main(*sys.argv[1:]))
