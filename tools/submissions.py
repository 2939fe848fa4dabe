"""Look at handed-in labs before they are graded: what would stop nbgrader, or hide an answer from it. Nothing is changed.

    python tools/submissions.py FOLDER            FOLDER/submitted/NAME/LAB/LAB.ipynb, as nbgrader has it, or notebooks
                                                  and zips side by side, each with the name of its lab in its own name
    python tools/submissions.py FOLDER lab1_flowers [...]     these labs are expected of everybody

Each line says where, what is wrong, in which cell, and what to do. The exit status is 1 if there is such a line. Without
names of labs, what one person has handed in is expected of all. docs/instructors/README.md says more about each finding.
"""

import json
import sys
import zipfile
import zlib
from collections import Counter
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

ROOT = Path(__file__).resolve().parents[1]
LABS = sorted(path.stem for path in (ROOT / "labs").glob("*.ipynb"))
MOST = 50_000_000  # bytes of a notebook, and of all that a zip unpacks to
SKIPPED = {".ipynb_checkpoints", "__MACOSX", "autograded", "feedback", "release", "source"}  # nbgrader's own folders among them
AGAIN = "ask for the file again"


def cells_of(data):
    """[(type, source, nbgrader's metadata)] of a notebook's bytes. Raises ValueError, which says what they are instead."""
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        kind = "empty" if not data.strip() else "a web page" if data.lstrip()[:1] == b"<" else "no JSON"
        raise ValueError(f"is {kind}") from None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
        raise ValueError("is JSON, but no notebook of format 4")
    cells = []
    for cell in notebook["cells"]:
        metadata = cell.get("metadata") if isinstance(cell, dict) else None
        if not isinstance(metadata, dict):
            raise ValueError("has a cell that is none")
        source, marks = cell.get("source", ""), metadata.get("nbgrader")
        text = source if isinstance(source, str) else "".join(map(str, source)) if isinstance(source, list) else ""
        marks = marks if isinstance(marks, dict) else {}
        marks |= {"grade_id": str(marks["grade_id"])} if "grade_id" in marks else {}
        cells.append((cell.get("cell_type"), "\n".join(text.strip().splitlines()), marks))
    return cells


@cache
def handed_out(lab, folder=ROOT):
    """{grade_id: (type, source, nbgrader's metadata)} of a lab as students got it: from nbgrader's release/, or from labs/."""
    released = folder / f"release/{lab}/{lab}.ipynb"
    cells = cells_of((released if released.is_file() else ROOT / f"labs/{lab}.ipynb").read_bytes())
    return {cell[2]["grade_id"]: cell for cell in cells if "grade_id" in cell[2]}


def damages(data, lab, folder):
    """[(what is wrong, what to do)] for a notebook's bytes, against the lab as it was handed out."""
    try:
        cells = cells_of(data)
    except ValueError as error:
        return [(f"not a notebook: it {error}", f"{AGAIN}, saved as .ipynb")]
    wanted, found = handed_out(lab, folder), []
    places = {}
    for number, (_, _, marks) in enumerate(cells, 1):
        if "grade_id" in marks:
            places.setdefault(marks["grade_id"], []).append(number)
    for name, where in places.items():
        numbers = " and ".join(map(str, where))
        if len(where) > 1:
            found.append((f"copied cell: {name!r} is there {len(where)} times, cells {numbers}",
                          "keep the cell with the answer, delete the other, or take its nbgrader metadata away"))  # fmt: skip
        if name not in wanted:
            found.append((f"unknown cell: {name!r}, cell {numbers}, has a grade_id that this lab does not have",
                          "give it its old grade_id, if one is missing below; otherwise take its metadata away"))  # fmt: skip
    for name, (kind, source, marks) in wanted.items():
        what = "answer" if marks["solution"] else "check"
        mine = [cells[number - 1] for number in places.get(name, [])]
        alike = [number for number, cell in enumerate(cells, 1) if what == "check" and cell[1] == source]
        if not mine and alike:
            found.append((f"{what} without its metadata: {name!r}, cell {alike[0]}", "copy the cell from the lab over it"))
        elif not mine:
            remedy = "copy it from the lab to its place" + "; look for the answer in another cell" * (what == "answer")
            found.append((f"deleted {what}: {name!r}", remedy))
        elif any(cell[0] != kind for cell in mine):
            where = f"{what} {name!r}, cell {places[name][0]}"
            found.append((f"changed type: {where}, is a {mine[0][0]} cell", f"make it a {kind} cell again"))
        elif what == "check" and any(cell[1] != source for cell in mine):
            found.append((f"changed check: {name!r}, cell {places[name][0]}",
                          "nbgrader puts it back when it grades; otherwise copy the cell from the lab over it"))  # fmt: skip
        elif any(cell[2].get(key) != marks[key] for cell in mine for key in ("grade", "locked", "solution")):
            found.append((f"changed metadata: {what} {name!r}, cell {places[name][0]}", "copy the cell's metadata from the lab"))
    return found


def escapes(name):
    """Whether a name in a zip leads out of the folder that it is unpacked into."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." in parts or name.startswith(("/", "\\")) or bool(PureWindowsPath(name).drive)


def unzipped(path):
    """({name: bytes} of a zip's notebooks, [(what is wrong, what to do)]); nothing is unpacked to the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if bad := [entry.filename for entry in entries if escapes(entry.filename)]:
                return {}, [(f"unsafe zip: {bad[0]!r} leads out of the folder", f"do not unpack it; {AGAIN}")]
            if (size := sum(entry.file_size for entry in entries)) > MOST:
                words = f"too large: the zip unpacks to {size / 1e6:,.0f} MB, at most {MOST / 1e6:.0f}"
                return {}, [(words, f"do not unpack it; {AGAIN}, without images and data")]
            names = [entry.filename for entry in entries if entry.filename.endswith(".ipynb")]
            kept = [name for name in names if not SKIPPED & set(PurePosixPath(name).parts)]
            return {name: archive.read(name) for name in kept}, []
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError, zlib.error) as error:
        return {}, [(f"not a zip that can be read: {error}", AGAIN)]  # damaged, or with a password


def lab_of(name, data):
    """The lab that a notebook is, by its name or else by most of its cells; None if neither tells."""
    for lab in LABS:
        if lab in name:
            return lab
    try:
        mine = {cell[2].get("grade_id") for cell in cells_of(data)}
    except ValueError:
        return None
    best = max(LABS, key=lambda lab: len(mine & handed_out(lab).keys()))
    return best if len(mine & handed_out(best).keys()) > 1 else None


def collected(top):
    """([(where, bytes)], [(where, what is wrong, what to do)]) of all notebooks and zips in a folder."""
    notebooks, found = [], []
    for path in sorted(top.rglob("*")):
        where = path.relative_to(top).as_posix()
        if path.suffix not in (".ipynb", ".zip") or not path.is_file() or SKIPPED & set(path.relative_to(top).parts):
            continue
        if path.is_symlink() or path.stat().st_size > MOST:
            kind = "a link" if path.is_symlink() else f"too large: {path.stat().st_size / 1e6:,.0f} MB, at most {MOST / 1e6:.0f}"
            found.append((where, kind, f"{AGAIN}, with its outputs cleared"))
        elif path.suffix == ".zip":
            inside, wrong = unzipped(path)
            found += [(where, *one) for one in wrong or ([] if inside else [("no notebook in it", AGAIN)])]
            notebooks += [(f"{where}/{name}", data) for name, data in inside.items()]
        else:
            notebooks.append((where, path.read_bytes()))
    return notebooks, found


def look(folder, expected=()):
    """(how many notebooks there are, [(where, what is wrong, what to do)])."""
    nbgrader = (folder / "submitted").is_dir()
    top = folder / "submitted" if nbgrader else folder
    notebooks, found = collected(top)
    given = {path.name: [] for path in top.iterdir() if path.is_dir() and path.name not in SKIPPED}
    for where, data in notebooks:
        lab, who = lab_of(where, data), where.split("/")[0]
        if lab is None:
            remedy = f"name it after its lab, such as {LABS[0]}.ipynb"
            found.append((where, "no lab: neither its name nor its cells say which", remedy))
            continue
        given.setdefault(who, []).append(lab)
        if nbgrader and where != (place := f"{who}/{lab}/{lab}.ipynb"):
            found.append((where, "nbgrader does not see it here", f"move it to submitted/{place}"))
        found += [(where, *one) for one in damages(data, lab, folder)]
    due = expected or sorted({lab for labs in given.values() for lab in labs})
    for who, labs in sorted(given.items()):
        if who.endswith(".ipynb") or (who.endswith(".zip") and not expected):
            continue  # side by side: a file is one lab of somebody
        found += [(who, f"missing lab: {lab}", "ask for it, or look for it under another name") for lab in due if lab not in labs]
        twice = [lab for lab, count in Counter(labs).items() if count > 1]
        found += [(who, f"{lab} is there {labs.count(lab)} times", "keep the one that counts") for lab in twice]
    return len(notebooks), found


def main(arguments):
    folder, expected = (Path(arguments[0]).expanduser(), arguments[1:]) if arguments else (None, [])
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    if not folder.is_dir():
        sys.exit(f"{folder} is not a folder")
    if unknown := [lab for lab in expected if lab not in LABS]:
        sys.exit(f"there is no lab {unknown[0]!r}; the labs are {', '.join(LABS)}")
    count, found = look(folder, expected)
    for where, what, remedy in found:
        print(f"{where}: {what}.\n    What to do: {remedy}.")
    print(f"{count} notebooks, {len(found)} findings; nothing was changed" if count or found else f"{folder} holds no notebook")
    sys.exit(int(bool(found) or not count))


if __name__ == "__main__":
    main(sys.argv[1:])
