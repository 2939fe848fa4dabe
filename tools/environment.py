"""Make the course's Python environment in .venv, or bring it up to date; `make lab` and `make test` call it.

    python tools/environment.py            make or update it; does nothing where it is up to date
    python tools/environment.py --check    print in one line what stands in the way, or nothing

It installs exactly the packages of requirements.lock, each checked against its hash, and the project itself
as "editable", so that a change in helpers/ takes effect at once. .venv/course.json says "finished" only after
the last step: an interrupted set-up is never mistaken for a finished one, the next run starts afresh.

This file keeps to syntax that old Pythons read: it has to run there to say that they are too old.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STATE = os.path.join(VENV, "course.json")
LOCK = os.path.join(ROOT, "requirements.lock")
INPUTS = (LOCK, os.path.join(ROOT, "pyproject.toml"), os.path.abspath(__file__))

if os.name == "nt":
    PYTHON = os.path.join(VENV, "Scripts", "python.exe")
else:
    PYTHON = os.path.join(VENV, "bin", "python")

# Where .venv itself is activated, the Python that it was made from.
HERE = getattr(sys, "_base_executable", None) or sys.executable

WELCOME = """Making the course's environment in .venv. This happens once and takes some minutes:
PyTorch is large (on Linux 3 GB to download and 6 GB on disk, elsewhere less than 1 GB)."""
FAILED = """
The set-up failed: %s
The reason stands above. Run the same command to try again."""
TOO_OLD = (
    "The course needs Python %d.%d or newer, and %s is Python %s: install a newer one, "
    "then name it if need be, as in 'make lab PYTHON=python3.12'"
)
NO_VENV = (
    "%s (Python %s) lacks its venv module: on Debian or Ubuntu run '%sapt install python%s-venv', "
    "then try again"
)


def main():
    if "--check" in sys.argv[1:]:
        print(problem() or "")
    elif not up_to_date():
        if problem():
            sys.exit(problem())
        python = find_python()
        if python != HERE:
            say("Using %s, because %s cannot make the environment." % (python, HERE))
            sys.exit(subprocess.call([python, os.path.abspath(__file__)]))
        try:
            set_up()
        except KeyboardInterrupt:
            sys.exit("\nInterrupted. The next run starts the set-up afresh.")
        except (subprocess.CalledProcessError, OSError) as error:
            sys.exit(FAILED % error)


def problem():
    """What keeps us from making the environment, and the remedy, in one line; None if nothing does."""
    if up_to_date() or find_python():
        return None
    version = ".".join(str(number) for number in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST:
        return TOO_OLD % (OLDEST + (HERE, version))
    sudo = "sudo " if hasattr(os, "geteuid") and os.geteuid() else ""
    return NO_VENV % (HERE, version, sudo, "%d.%d" % tuple(sys.version_info[:2]))


def find_python():
    """This Python if it can make environments, else a newer one on the PATH that can; None without one."""
    for candidate in (HERE, "python3.13", "python3.12", "python3.11"):
        if works(candidate):
            return candidate
    return None


def works(python):
    test = "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] < (%d, %d))" % OLDEST
    try:
        process = subprocess.Popen([python, "-c", test], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:  # no such program
        return False
    process.communicate()
    return process.returncode == 0


def up_to_date():
    return os.path.exists(PYTHON) and read_state() == state_now(finished=True)


def state_now(finished):
    """What the environment is made from: it holds absolute paths and belongs to one Python."""
    digest = hashlib.sha256()
    for path in INPUTS:
        with open(path, "rb") as file:
            digest.update(file.read())
    inputs = digest.hexdigest()
    return {"finished": finished, "root": ROOT, "python": os.path.realpath(PYTHON), "inputs": inputs}


def read_state():
    """What the last run left; None if .venv is missing or was not made by this script."""
    try:
        with open(STATE) as file:
            return json.load(file)
    except (EnvironmentError, ValueError):
        return None


def write_state(state):
    with open(STATE + ".new", "w") as file:
        json.dump(state, file)
    os.replace(STATE + ".new", STATE)


def set_up():
    made, now = read_state(), state_now(finished=False)
    # One that was interrupted, has been moved or has lost its Python is made afresh. A finished one whose
    # inputs changed, or one that somebody made by hand, is brought up to date in place.
    stale = made is not None and (not made["finished"] or any(made[k] != now[k] for k in ("root", "python")))
    fresh = stale or not works(PYTHON)
    if fresh:
        if os.path.isdir(VENV):
            say("Removing the unfinished or displaced environment in .venv.")
            shutil.rmtree(VENV)
        os.mkdir(VENV)
    write_state(now)
    say(WELCOME if fresh else "Bringing the environment in .venv up to date.")
    if fresh:
        run([HERE, "-m", "venv", VENV])
    # -I: no PYTHONPATH and no packages of the user's from outside.
    pip = [PYTHON, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if not sys.stdout.isatty():
        pip.append("--quiet")  # progress is for people
    run(pip + ["--require-hashes", "--only-binary", ":all:", "-r", LOCK])
    # The build tool comes from the lock too (no build isolation): nothing unlocked is fetched.
    run(pip + ["--no-deps", "--no-build-isolation", "--editable", ROOT])
    disable_news()
    write_state(state_now(finished=True))


def disable_news():
    """Keep JupyterLab from asking, at its first start, whether it may fetch news from the internet."""
    folder = os.path.join(VENV, "etc", "jupyter", "labconfig")
    if not os.path.isdir(folder):
        os.makedirs(folder)
    with open(os.path.join(folder, "page_config.json"), "w") as file:
        json.dump({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}, file)


def run(command):
    subprocess.check_call(command, cwd=ROOT, env=dict(os.environ, PIP_USER="0"))


def say(text):
    print(text)
    sys.stdout.flush()  # before the output of what we start


if __name__ == "__main__":
    main()
