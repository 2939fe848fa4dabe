"""Quizzes: every file is valid, every answer gets a reason, and mistakes in files are named."""

import json
import random
import re

import pytest
from project import ROOT, name, notebooks
from quizzes import EXAMPLES, WellFormed, example, right_answer

from helpers.notebook import questions
from helpers.notebook.asking import make_widget, to_html
from helpers.notebook.questions import FOLDER, find, load, parse_number

FILES = sorted(FOLDER.glob("*.toml"))
LECTURES = [path for path in notebooks("notebooks") if re.match(r"\d\d_", path.name)]
REQUIRED = {
    "the benefit of transfer learning": "01/benefit",
    "what freezing layers implies": "02/what-freezing-implies",
    "ordering the steps of an adaptation": "02/adaptation-steps",
    "the most important factor in choosing a model": "05/most-important",
    "rare plant diseases": "05/case-leaves",
    "wildflowers and a very deep network": "05/case-wildflowers",
    "industrial equipment": "05/case-industry",
    "medical images": "05/case-medical",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "77.toml").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    return tmp_path


# What the course ships


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_every_question_of_this_file_is_valid_and_gives_its_answer_away_by_nothing(path):
    found = load(path)
    for question in found:
        assert question.answer(right_answer(question)).right
        assert "<script" not in to_html(question) and "http" not in to_html(question)
        assert WellFormed().check(to_html(question))
    ones = [question for question in found if question.kind == "choice"]
    longest = [max(question.choices, key=lambda choice: len(choice.text)).right for question in ones]
    assert len(ones) < 3 or not all(longest), "the right answer is always the longest"


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_right_answer_never_stands_twice_in_a_row_at_the_same_place(path):
    ones = [question for question in load(path) if question.kind == "choice"]
    places = [[choice.right for choice in question.shown].index(True) for question in ones]
    assert all(one != other for one, other in zip(places, places[1:], strict=False)), places


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in LECTURES])
def test_stored_quizzes_are_those_of_the_question_files(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        found = re.fullmatch(r"(?:import helpers as h\s+)?h\.quiz\(\"(.+)\"\)", "".join(cell["source"]).strip())
        if found:
            pages = ["".join(output["data"]["text/html"]) for output in cell["outputs"]]
            assert pages == [to_html(find(found[1]))], f"{found[1]} has changed: run tools/setup_cells.py"


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in LECTURES])
def test_every_quiz_of_the_lecture_is_there_and_every_question_of_its_file_is_asked(path):
    text = path.read_text(encoding="utf-8")
    asked = re.findall(r"\bquiz\(\\?[\"']([^\"'\\]+)", text)
    number = path.name[:2]
    assert asked and {asked_one.split("/")[0] for asked_one in asked} == {number}
    assert {find(one).id for one in asked} == {question.id for question in load(FOLDER / f"{number}.toml")}


@pytest.mark.parametrize("subject", REQUIRED)
def test_what_every_student_should_be_asked_is_asked(subject):
    question = find(REQUIRED[subject])
    assert (question.kind == "order") == (subject == "ordering the steps of an adaptation")


# Answers and what is said to them


def test_each_choice_gets_its_own_reason(folder):
    question = example("benefit")
    letters = "ABC"[right_answer(question)], right_answer(question), question.choices[1].text
    assert all(question.answer(letter).right for letter in letters)
    wrong = question.answer("abc"[question.shown.index(question.choices[0])])
    assert not wrong.right and wrong.text == f"Not this one.\n- {question.choices[0].feedback}"


def test_several_says_how_many_are_wrong_or_missing_and_why(folder):
    question = example("frozen")
    weights, means, output = ("ABC"[question.shown.index(choice)] for choice in question.choices)
    assert question.answer(weights + means).right and question.answer(f"{means.lower()}, {weights}.").right
    assert question.answer(right_answer(question)).right
    some = question.answer(weights)
    assert not some.right and some.verdict == "Not yet: 1 right one is missing."
    assert "Running means" not in some.text  # it does not give away which
    wrong = question.answer(weights + output)
    assert wrong.verdict == "Not yet: 1 of your choices is wrong and 1 right one is missing."
    assert wrong.notes[1] == "The output for an image. Wrong: Only if what comes before it is frozen too."


def test_order_is_shown_in_another_order_and_says_the_first_place_that_is_wrong(folder):
    question = example("steps")
    shown = [choice.text for choice in question.shown]
    assert shown != ["Load", "Swap", "Train"] and shown == [choice.text for choice in question.shown]
    letters = {text: "ABC"[place] for place, text in enumerate(shown)}
    right = "".join(letters[text] for text in ["Load", "Swap", "Train"])
    assert question.answer(right).text == "Right.\n- Each step uses what the one before it made."
    first = question.answer(letters["Swap"] + letters["Load"] + letters["Train"])
    assert not first.right and first.notes == ("Swap: There has to be a network first.",)
    second = question.answer(letters["Load"] + letters["Train"] + letters["Swap"])
    assert second.verdict == "Not yet. The first 1 is right. Number 2 is another one."
    assert "A head needs something to sit on" in second.text
    with pytest.raises(ValueError, match="all 3 steps"):
        question.answer("AB")


def test_number_knows_common_mistakes_and_a_tolerance(folder):
    question = example("count")
    assert question.answer("5,130 parameters").right and question.answer(5130.4).right
    assert question.answer(5120).notes == ("Those are the weights: the 10 biases are missing.",)
    assert question.answer(7).notes == ("Each of the outputs has a weight for each feature and one bias.",)


@pytest.mark.parametrize("text, value", [("5,130", 5130), ("2,5", 2.5), ("1e-3", 1e-3), ("12 %", 12), ("\u22123", -3), (7, 7)])
def test_numbers_are_understood_as_people_write_them(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "many", "3 or 4", None])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="is no number"):
        parse_number(text)


@pytest.mark.parametrize("id, given", [("benefit", "D"), ("benefit", 3), ("benefit", None), ("frozen", "AA"), ("frozen", "AX")])
def test_impossible_answers_are_refused(folder, id, given):
    with pytest.raises(ValueError, match="none of the choices|at most once"):
        example(id).answer(given)


def test_asking_leaves_the_students_random_numbers_as_they_are(folder):
    random.seed(5)
    expected = random.Random(5).random()
    make_widget(example("steps"))
    assert random.random() == expected


# Files with mistakes


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('kind = "choice"', 'kind = "guess"', "77.toml, question benefit: needs a kind, one of choice, several"),
        ('id = "benefit"', 'id = "The benefit"', "needs an id"),
        ('id = "frozen"', 'id = "benefit"', "two questions have the id benefit"),
        ("Think of how many images you have.", "Think.", "needs a hint"),
        ("Not where source and target have nothing in common.", "No.", "'It is always better' needs feedback that says why"),
        ("right = true, feedback = \"The features", "feedback = \"The features", "has 0 right choices"),
        ('{ text = "Train" }', "", "needs 3 to 8 choices, got 2"),
        ('{ text = "Train" }', '{ text = "Load" }', "the same choice twice"),
        ('{ text = "Train" }', '{ text = "Train", right = true }', "marks no choice as right"),
        ("value = 522", "value = 5119.5", "within each other's tolerance"),
        ("value = 522", "number = 522", "unknown number in a choice"),
        ("tolerance = 0.5", "tolerence = 0.5", "unknown tolerence"),
        ("There has to be a network first.", "It costs $5.", "has a \\$"),
        ("`transfer`", "`transfer", "without its partner"),
        ("[[question]]", "[[quiz]]", "holds \\[\\[question\\]\\] tables"),
        ("[[question]]", "[question", "not valid TOML"),
    ],
)  # fmt: skip
def test_mistake_in_a_file_is_named_with_file_and_question(folder, old, new, words):
    assert old in EXAMPLES
    path = folder / "77.toml"
    path.write_text(EXAMPLES.replace(old, new), encoding="utf-8")
    load.cache_clear()
    with pytest.raises(ValueError, match=words):
        load(path)
    load.cache_clear()


def test_unknown_question_is_refused_with_what_there_is(folder):
    load.cache_clear()
    with pytest.raises(ValueError, match="did you mean 'benefit'"):
        find("77/benefits")
    with pytest.raises(ValueError, match="one of 77"):
        find("78/benefit")


def test_quizzes_are_part_of_an_installed_course():
    packaged = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"quizzes/*"' in packaged, 'add "quizzes/*" to helpers in [tool.setuptools.package-data]'
