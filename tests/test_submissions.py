"""tools/submissions.py: a lab as it should be passes; each kind of damage is named with its cell, and nothing is changed."""

import copy
import json
import zipfile

import nbformat
import pytest
import submissions
from project import ROOT

LAB = "lab4_bug_museum"
HANDED_OUT = json.loads((ROOT / f"labs/{LAB}.ipynb").read_text(encoding="utf-8"))


def put(folder, notebook, who="anna", lab=LAB):
    path = folder / "submitted" / who / lab / f"{lab}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode())
    return path


marks = lambda one: one["metadata"]["nbgrader"]
DAMAGES = {  # the cell, what is done with it in the list of cells, and what is said of it
    "room1-blank": (lambda cells, one: cells.append(copy.deepcopy(one)), ["copied cell: 'room1-blank' is there 2 times"]),
    "room2-check": (lambda cells, one: cells.remove(one), ["deleted check: 'room2-check'"]),
    "room6-blank": (lambda cells, one: cells.remove(one), ["deleted answer: 'room6-blank'"]),
    "room1-check": (lambda cells, one: marks(one).update(grade_id="mine"), ["unknown cell: 'mine'", "check without"]),
    "lamp-check": (lambda cells, one: one.update(source="print('passed')"), ["changed check: 'lamp-check'"]),
    "room7-check": (lambda cells, one: one["metadata"].clear(), ["check without its metadata: 'room7-check'"]),
    "room3-check": (lambda cells, one: one.update(cell_type="markdown"), ["changed type: check 'room3-check'"]),
    "room1-answer": (lambda cells, one: one.update(cell_type="code"), ["changed type: answer 'room1-answer'"]),
    "room9-check": (lambda cells, one: marks(one).update(locked=False), ["changed metadata: check 'room9-check'"]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named_with_its_cell_and_a_remedy_and_the_file_stays_as_it_was(tmp_path, name):
    notebook, (damage, wanted) = copy.deepcopy(HANDED_OUT), DAMAGES[name]
    damage(notebook["cells"], next(one for one in notebook["cells"] if one["id"] == name))
    path = put(tmp_path, notebook)
    before = path.read_bytes()
    count, found = submissions.look(tmp_path)
    assert count == 1 and all(what.startswith(words) for (_, what, _), words in zip(found, wanted, strict=True)), found
    assert all(where == f"anna/{LAB}/{LAB}.ipynb" and remedy for where, _, remedy in found)
    assert path.read_bytes() == before and len(list(tmp_path.rglob("*"))) == 4


@pytest.mark.parametrize("lab", submissions.LABS)
def test_solved_and_blank_labs_pass_with_cells_of_the_students_own_and_status_0(tmp_path, lab, capsys):
    solved = nbformat.read(ROOT / f"solutions/{lab}.ipynb", as_version=4)
    solved.cells.insert(3, nbformat.v4.new_code_cell("mine = 1"))
    put(tmp_path, nbformat.writes(solved).encode(), "anna", lab)
    put(tmp_path, (ROOT / f"labs/{lab}.ipynb").read_bytes(), "bob", lab)
    with pytest.raises(SystemExit, match="^0$"):
        submissions.main([str(tmp_path)])
    assert capsys.readouterr().out == "2 notebooks, 0 findings; nothing was changed\n"


STRANGE = b'{"nbformat": 4, "cells": [{"metadata": {"nbgrader": {"grade_id": []}}}]}'
NONE = {b"": "empty", b"<p>": "a web page", b"\xff": "no JSON", b"[" * 10**5: "no JSON", b'{"nbformat": 3}': "format 4",
        b'{"nbformat": 4, "cells": [1]}': "a cell that is none", STRANGE: "unknown cell"}  # fmt: skip


@pytest.mark.parametrize("data, words", NONE.items(), ids=NONE.values())
def test_what_is_no_notebook_is_named_and_stops_nothing(tmp_path, data, words):
    put(tmp_path, data)
    put(tmp_path, HANDED_OUT, "bob")
    count, found = submissions.look(tmp_path)
    assert count == 2 and words in found[0][1] and {where.split("/")[0] for where, *_ in found} == {"anna"}


def test_zips_and_notebooks_side_by_side_are_read_where_they_lie_and_bad_zips_are_refused(tmp_path):
    lab, zips = json.dumps(HANDED_OUT).encode(), {"bob": "my work/solution.ipynb", "none": "readme.txt", "photos": "a.bin"}
    outside = dict(enumerate(["../x.ipynb", "/etc/x.ipynb", "a/..\\..\\x.ipynb", "C:x.ipynb"]))
    for name, inside in (zips | outside).items():
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(inside, bytes(submissions.MOST + 1) if name == "photos" else lab)
            archive.writestr(f"__MACOSX/{LAB}.ipynb", b"")
    (tmp_path / "torn.zip").write_bytes((tmp_path / "bob.zip").read_bytes()[:-30])
    (tmp_path / f"anna_{LAB}.ipynb").write_bytes(lab)
    (tmp_path / "essay.ipynb").write_bytes(b"{}")
    count, found = submissions.look(tmp_path)
    others = {"photos.zip": "too large", "none.zip": "no notebook in it", "torn.zip": "not a zip that can be read"}
    wanted = {f"{name}.zip": "unsafe zip" for name in outside} | others | {"essay.ipynb": "no lab"}
    assert count == 3 and {where: what.split(":")[0] for where, what, _ in found} == wanted
    assert ("bob.zip", "missing lab: lab1_flowers") in [one[:2] for one in submissions.look(tmp_path, ["lab1_flowers"])[1]]


def test_missing_labs_and_files_that_nbgrader_does_not_see_are_named_with_status_1(tmp_path, capsys):
    put(tmp_path, HANDED_OUT)
    put(tmp_path, HANDED_OUT, "bob").rename(tmp_path / "submitted/bob/mine.ipynb")
    (tmp_path / "submitted/eve").mkdir()
    with pytest.raises(SystemExit, match="^1$"):
        submissions.main([str(tmp_path)])
    text = capsys.readouterr().out
    assert text.startswith("bob/mine.ipynb: nbgrader does not see it here.\n    What to do: move it to submitted/bob")
    assert f"eve: missing lab: {LAB}." in text and "2 notebooks, 2 findings" in text


def test_cells_that_an_instructor_added_in_nbgrader_belong_to_the_lab(tmp_path):
    mark = {"grade": True, "grade_id": "mine", "locked": False, "points": 2, "schema_version": 3, "solution": True, "task": False}
    added = nbformat.v4.new_markdown_cell("YOUR ANSWER HERE", id="mine", metadata={"nbgrader": mark})
    release = put(tmp_path, HANDED_OUT | {"cells": [*HANDED_OUT["cells"], added]})
    put(tmp_path, HANDED_OUT | {"cells": [*HANDED_OUT["cells"], added | {"source": "Because."}]}, "bob")
    release.parents[1].rename(tmp_path / "release")
    assert submissions.look(tmp_path) == (1, [])
