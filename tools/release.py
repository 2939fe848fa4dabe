"""Write the course as students get it, without solutions, tests and instructors' notes, into one zip or a folder.

    python tools/release.py            writes build/release/transfer-learning-course-VERSION.zip
    python tools/release.py FOLDER     writes it into a folder, such as a repository that a JupyterHub hands out

The same files give the same bytes. tools/students.py says what is left out. Stops if a lab is not as its solution makes it.
"""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import students  # noqa: E402

import labs  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip can hold


def write(path, files, folder):
    """Write the students' edition of the files into a zip whose one folder is `folder`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{folder}/{file}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = ((ROOT / file).stat().st_mode & 0o777) << 16
            archive.writestr(entry, students.content(ROOT, file))


def fill(folder, files):
    """Write the students' edition into `folder`, over an older one; nothing else there is touched. Returns the folder.

    Raises FileExistsError if the folder holds something else, or solutions.
    """
    folder = Path(folder).resolve()
    others = folder.exists() and any(path.name != ".git" for path in folder.iterdir())
    if others and (not (folder / "labs/lab1_flowers.ipynb").exists() or (folder / "solutions").exists()):
        raise FileExistsError(f"{folder} holds something else than a students' edition: name an empty folder")
    students.write(ROOT, files, folder)
    return folder


def main(arguments):
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.exit(__doc__)
    stale = [path for path, text in labs.wanted().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if stale:
        sys.exit(f"{stale[0].relative_to(ROOT)} is not what tools/labs.py makes: run `make labs` first")
    try:
        files = students.handed_out(students.tracked())
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"git is needed to tell the course's files from others: {error}")
    if arguments:
        try:
            print(f"{fill(arguments[0], files)}: {len(files)} files")
        except FileExistsError as error:
            sys.exit(str(error))
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    path = ROOT / "build" / "release" / f"{project['name']}-{project['version']}.zip"
    write(path, files, project["name"])
    print(f"{path.relative_to(ROOT)}: {len(files)} files, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
