"""Write the course as students get it into one zip: everything that git tracks but solutions, tests and instructors' pages.

    python tools/release.py            writes build/release/transfer-learning-course-VERSION.zip

The same files give the same bytes. Stops if a lab is not as its solution makes it.
"""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import labs  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
KEPT_BACK = ("solutions", "tests", "conftest.py", "docs/instructors", ".ci", ".pre-commit-config.yaml", "nbgrader_config.py",
             "tools/release.py")  # fmt: skip
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip can hold


def handed_out(files):
    """Of the project's files (paths with /), those that students get."""
    return sorted(file for file in files if not any(file == part or file.startswith(part + "/") for part in KEPT_BACK))


def tracked():
    """The files of the last commit that are still there. Raises CalledProcessError outside a git checkout."""
    listing = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [file for file in listing.split("\0") if file and (ROOT / file).is_file()]


def write(path, files, folder):
    """Write the files into a zip whose one folder is `folder`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{folder}/{file}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = ((ROOT / file).stat().st_mode & 0o777) << 16
            archive.writestr(entry, (ROOT / file).read_bytes())


def main(arguments):
    if arguments:
        sys.exit(__doc__)
    stale = [path for path, text in labs.wanted().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if stale:
        sys.exit(f"{stale[0].relative_to(ROOT)} is not what tools/labs.py makes: run `make labs` first")
    try:
        files = handed_out(tracked())
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"git is needed to tell the course's files from others: {error}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    path = ROOT / "build" / "release" / f"{project['name']}-{project['version']}.zip"
    write(path, files, project["name"])
    print(f"{path.relative_to(ROOT)}: {len(files)} files, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
