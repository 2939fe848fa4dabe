"""The house keeps its shape: a small core, rooms with arrows one way, a face of which every name is used.

`python tools/house.py` prints the figures behind these claims; import-linter (`make lint`) holds the contracts of pyproject.toml.
"""

import ast
import json
import sys

import house
from project import name, project_files

CODE = [path for path in project_files() if path.suffix == ".py" and name(path).startswith(("helpers/", "tools/"))]


def test_core_is_short_and_imports_torch_torchvision_and_nothing_else():
    assert sum(house.lines(house.HELPERS / f"{file}.py") for file in house.CORE) <= house.LIMITS["lines of the core"]
    allowed = {"torch", "torchvision", "helpers"} | set(sys.stdlib_module_names)
    for file in house.CORE:
        tree = ast.parse((house.HELPERS / f"{file}.py").read_text(encoding="utf-8"))
        origins = {origin for origin, _ in house.imported(tree, "helpers")}
        assert {origin.split(".")[0] for origin in origins} <= allowed, file
        assert house.imports()[f"helpers.{file}"] <= {f"helpers.{core}" for core in house.CORE}, file


def test_helpers_has_at_most_ten_entries_no_overfull_room_and_no_file_is_longer_than_300_lines():
    assert {name(path): house.lines(path) for path in CODE if house.lines(path) > 300} == {}
    assert len(house.entries()) <= 10, house.entries()
    folder, files = house.fullest()[0]
    assert files <= house.LIMITS["files in the fullest folder"], f"{folder} holds {files} files"


def test_no_modules_and_no_rooms_import_one_another_in_a_circle():
    assert house.circles(house.imports()) == [] and house.circles(house.arrows()) == []
    assert house.floors(house.arrows()) <= 6


def test_drawing_of_the_architecture_is_that_of_the_imports():
    drawn = house.DRAWING.search(house.PAGE.read_text(encoding="utf-8"))[0]
    assert drawn == house.drawing(), "run: python tools/house.py --draw"


def test_a_circle_is_found_however_long_it_is():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    assert house.circles(graph) == [["a", "b", "c"]] and house.floors(graph) is None
    assert house.circles({"a": {"b"}, "b": set()}) == [] and house.floors({"a": {"b"}, "b": set()}) == 2


def test_no_module_takes_a_private_name_from_another():
    private = {}
    for path in CODE:
        for origin, what in house.imported(ast.parse(path.read_text(encoding="utf-8")), "helpers"):
            if origin.startswith("helpers") and what and what.startswith("_"):
                private.setdefault(name(path), []).append(what)
    assert not private


def test_face_has_at_most_45_names_and_each_is_used_in_a_notebook_a_solution_or_the_readme():
    assert len(house.public_names()) <= 45
    assert house.unused_names() == []


def test_notebooks_import_from_helpers_and_from_the_module_of_their_lecture_and_no_deeper(tmp_path, monkeypatch):
    assert house.too_deep() == []
    sources = ["from helpers.lessons import museum", "%pip list\nfrom helpers.training.fitting import fit"]
    stored = {"cells": [{"cell_type": "code", "source": source} for source in sources]}
    (tmp_path / "a.ipynb").write_text(json.dumps(stored), encoding="utf-8")
    monkeypatch.setattr(house, "notebooks", lambda: [tmp_path / "a.ipynb"])
    assert house.too_deep() == ["a.ipynb: helpers.training.fitting"]
