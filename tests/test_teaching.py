"""Pages to teach by: their minutes are those of lectures and labs, their answers are reasons, their links lead somewhere."""

import re

import assessment
import links
import measure
import minutes
import pytest
from project import PROJECT, ROOT, cells, name, notebooks
from test_manners import numbers_without_a_source

import helpers as h
import labs

PLANS = minutes.PLANS.read_text(encoding="utf-8")
EXAM = assessment.PAGE.read_text(encoding="utf-8")
SELF_TEST = (ROOT / "docs/prerequisites.md").read_text(encoding="utf-8")


def test_every_number_of_the_plans_follows_from_lectures_and_labs():
    rows = zip(PLANS.split("\n"), minutes.planned(PLANS).split("\n"), strict=True)
    assert not [f"{old} should be {new}" for old, new in rows if old != new], "run: python tools/minutes.py"


def test_a_lectures_notes_add_up_to_what_its_opening_and_the_readme_say():
    assert not minutes.disagreements()


def test_a_plan_fits_into_its_time():
    tables = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PLANS, re.MULTILINE | re.DOTALL))
    for title, most in {"90 minutes": 90, "Half a day": 240, "A day": 480}.items():
        assert most - 60 < int(re.search(r"\*\*(\d+)\*\* \| \*\*sum", tables[title])[1]) <= most, title
        assert "**When you are late:**" in tables[title] and (title == "90 minutes" or "*Break* (15)" in tables[title])
    sessions = re.findall(r"^\| (\d)\.[12] \| (\d+) \|", tables["Six weeks"], re.MULTILINE)
    assert [week for week, _ in sessions] == sorted("123456" * 2) and all(70 <= int(spent) <= 90 for _, spent in sessions)
    wanted = {f"lecture {number}" for number in range(1, 6)} | {f"lab {number}" for number in range(1, 5)}
    assert all(part in tables["Six weeks"].lower() for part in wanted), "six weeks hold the whole course"


def test_changed_minutes_and_moved_sections_change_the_rows_and_a_part_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setattr(minutes, "lecture", lambda number: {"1+2": 12, "3": 8})
    monkeypatch.setattr(minutes, "titles", lambda number: {"A puzzle": "3", "Why, and how": "1"})
    old = ["| 9:10 | 1 | Lecture 2, sections 2 *A puzzle* and 9 *Why, and how*; *vote* (3) | x |", "| 9:00 | 2 | Lecture 2 | |"]
    new = ["| 9:10 | 23 | Lecture 2, sections 3 *A puzzle* and 1 *Why, and how*; *vote* (3) | x |", "| 9:33 | 20 | Lecture 2 | |"]
    table = minutes.planned("\n".join([*old, "| 0:00 | **3** | **sum** | |"]))
    assert table.split("\n") == [*new, "| 9:53 | **43** | **sum** | |"]
    for item in ("Lecture 2, section 4", "Lab 9", "Coffee", "Lecture 2, section 1 *A riddle*"):
        with pytest.raises(ValueError, match=item.split("*")[-2] if "*" in item else item):
            minutes.planned(f"| 9:00 | 1 | {item} | |")


def test_self_test_has_ten_questions_each_with_a_folded_answer():
    form = r"^\*\*(\d+)\.\*\* (.+?)\n\n<details><summary>Answer</summary>\n\n(.+?)\n</details>"
    parts = re.findall(form, SELF_TEST, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, *_ in parts] == [*range(1, 11)] and all(len(why.split()) >= 12 for *_, why in parts)
    low, high = h.wilson(0.8, 100)
    assert f"from {low:.0%} to {high:.0%}" in SELF_TEST and f"{1280 * 10 + 10:,}" in SELF_TEST


def test_assessment_asks_four_questions_a_lecture_and_gives_one_right_choice_and_a_reason_for_each():
    asked = assessment.questions(EXAM)
    assert [(number, lecture) for number, _, lecture, *_ in asked] == [(i + 1, i // 4 + 1) for i in range(20)]
    for number, *_, choices in asked:
        assert 3 <= len(choices) <= 4 and sum(right for right, *_ in choices) == 1, number
        assert all(len(reason.split()) >= 4 for *_, reason in choices), number
    assert sum(len(choices) for *_, choices in asked) == len(re.findall(r"^- ", EXAM, re.MULTILINE)), "no choice is lost"
    places = [[right for right, *_ in choices].index(True) for *_, choices in asked]
    assert max(map(places.count, range(4))) <= 8, "the right one is not always in the same place"


def test_numbers_of_the_assessment_are_measured_ones():
    texts = measure.stamps()
    marked = re.findall(r"<!-- ([\w.-]+) -->(.*?)<!-- /\1 -->", EXAM)
    assert len(marked) >= 5 and {key: texts.get(key) for key, _ in marked} == dict(marked), "run: python tools/measure.py texts"
    assert not numbers_without_a_source(EXAM)


def test_the_sheet_for_students_has_all_questions_and_neither_marks_nor_reasons_and_another_order_in_each_version():
    (one, key), (two, _) = (assessment.written(EXAM, version) for version in (1, 2))
    assert one != two and one == assessment.written(EXAM, 1)[0]
    for _, _, _, question, choices in assessment.questions(EXAM):
        assert question in one and all(choice in one and reason not in one for _, choice, reason in choices)
    letters = dict(re.findall(r"\*\*(\d+): ([A-D])\*\*", key))
    assert len(letters) == 20 and not re.search("[✔✘]", one)
    first = re.search(rf"\*\*1\.\*\*.*?^- {letters['1']}\. (.+?)$", one, re.MULTILINE | re.DOTALL)[1]
    assert first == next(choice for right, choice, _ in assessment.questions(EXAM)[0][4] if right)


def test_no_page_that_students_get_holds_a_model_answer_or_a_question_of_the_assessment():
    kept = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("labs/*.md")]
    shown = "\n".join([path.read_text(encoding="utf-8") for path in kept]
                      + [cell.source for path in notebooks("notebooks", "labs") for cell in cells(path)])  # fmt: skip
    secret = [question for *_, question, _ in assessment.questions(EXAM)]
    secret += [cell.source for path in notebooks("solutions") for cell in cells(path) if labs.is_text(cell)]
    assert len(secret) > 30 and not [text for text in secret if text in shown]


def test_links_open_the_labs_on_hub_colab_and_binder_and_a_placeholder_is_refused_with_its_line(tmp_path):
    made, lab = links.links("https://github.com/somebody/course.git", hub="https://hub.x.edu/"), "labs/lab1_flowers.ipynb"
    assert made["Colab"][lab].endswith(f"/github/somebody/course/blob/main/{lab}")
    assert made["Binder"][lab].endswith("/gh/somebody/course/main?urlpath=lab%2Ftree%2Flabs%2Flab1_flowers.ipynb")
    assert "repo=https%3A%2F%2Fgithub.com%2Fsomebody%2Fcourse.git&branch" in made["JupyterHub"][lab]
    assert links.links("https://gitlab.com/somebody/course") == {}
    with pytest.raises(ValueError, match="no web address of a hub"):
        links.links("https://github.com/somebody/course", hub="hub.x.edu")
    none, some = "https://example.org/x", "https://github.com/x"
    for address, words in {none: f"pyproject.toml, line 2: {none} is a placeholder", some: ""}.items():
        (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n', encoding="utf-8")
        assert links.placeholder(tmp_path).startswith(words) and bool(words) == bool(links.placeholder(tmp_path))


def test_citation_has_what_the_project_knows_and_the_readme_names_what_only_the_owner_knows():
    import yaml

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    known, project = yaml.safe_load(text), PROJECT["project"]
    assert known["url"] == known["repository-code"] == project["urls"]["Repository"]
    assert (known["version"], known["license"]) == (project["version"], project["license"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("only the owner can fill in")[2]
    assert all(word in readme for word in ("address", "names", "date", "DOI")), name(ROOT / "README.md")
