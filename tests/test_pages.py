"""Pages to look things up in: their words are those of the course, and their numbers those of the code."""

import re

import pytest
from project import ROOT, cells, notebooks

import helpers as h

GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
SHEET = (ROOT / "docs/cheat_sheet.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\*\*(.+?)\*\*: (.+?)(?=\n\n|\Z)", GLOSSARY, re.MULTILINE | re.DOTALL)


def text_of(*folders):
    return "\n".join(cell.source for path in notebooks(*folders) for cell in cells(path)).lower()


def test_glossary_is_in_alphabetical_order_and_explains_each_word_once():
    terms = [term.lower() for term, _ in TERMS]
    assert len(terms) >= 40 and terms == sorted(set(terms))


@pytest.mark.parametrize("term, meaning", TERMS, ids=[term for term, _ in TERMS])
def test_a_word_of_the_glossary_is_one_that_the_lecture_it_names_uses(term, meaning):
    text = text_of("notebooks", "solutions")
    words = [word.strip().lower() for word in term.split(",")]
    assert all(word in text for word in words), "no lecture or lab uses it"
    for lecture in re.findall(r"\b(\d)\b", (re.findall(r"\(([\d, lab]+)\)$", meaning) or [""])[0]):
        if "lab" not in meaning.rsplit("(", 1)[1]:
            (path,) = [path for path in notebooks("notebooks") if path.name.startswith(f"0{lecture}_")]
            own = "\n".join(cell.source for cell in cells(path)).lower()
            assert any(word.removesuffix("s") in own for word in words), f"lecture {lecture} does not have it"


def test_cheat_sheet_gives_the_settings_that_the_recipes_have():
    rows = {row[0]: row for row in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", SHEET, re.MULTILINE)}
    assert rows.keys() == {"SCRATCH", "FEATURE_EXTRACTION", "FINE_TUNE_LAST", "FINE_TUNE_ALL", "PROBE_THEN_FINE_TUNE"}
    for name, _, steps, rate, batchnorm in rows.values():
        recipe = getattr(h, name)
        decay = f", times {recipe.decay:g} for each earlier stage" if recipe.decay < 1 else ""
        solved = recipe.lr is None
        assert (steps, rate) == (("none", "none") if solved else (str(recipe.steps), f"{recipe.lr:g}{decay}"))
        assert batchnorm == ("live" if name == "SCRATCH" else "at rest")
        assert solved or recipe.batchnorm == {"live": "as frozen", "at rest": "frozen"}[batchnorm]
        assert (recipe.batch_size, recipe.weight_decay, recipe.schedule, recipe.augment) == (32, 0.05, "one cycle", not solved)


def test_code_of_the_cheat_sheet_freezes_all_but_the_head_and_then_gives_everything_to_the_optimizer():
    """tests/test_texts.py runs all of it."""
    plain, everything = re.findall(r"```python\n(.*?)```", SHEET, re.DOTALL)[:2]
    names = {}
    exec(compile(plain, "plain", "exec"), names)
    trained = [name for name, parameter in names["model"].named_parameters() if parameter.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"] and not names["model"].bn1.training
    exec(compile(everything, "everything", "exec"), names)
    held = sum(len(group["params"]) for group in names["optimizer"].param_groups)
    assert held == len(list(names["model"].parameters()))
