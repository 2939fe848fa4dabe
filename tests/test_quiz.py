"""Quizzes: every file of questions is well made, every answer gets a reason, and every question of a lecture is asked."""

import json
import random
import re

import pytest
from project import name, notebooks
from quizzes import WellFormed, example, letter, right_answer  # noqa: F401 (example is a fixture)

from helpers.notebook.questions import FOLDER, LETTERS, find, load, parse_number
from helpers.notebook.quiz import make_widget, to_html

FILES = [pytest.param(path, id=path.name) for path in sorted(FOLDER.glob("*.toml"))]
LECTURES = [pytest.param(path, id=name(path)) for path in notebooks("notebooks") if re.match(r"\d\d_", path.name)]
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


# What the course ships


def faults(question):
    """What is wrong with how a question is written."""
    choices, kind = question.choices, question.kind
    right = sum(choice.right for choice in choices)
    feedback = [choice.feedback for choice in choices]
    texts = [question.text, question.hint, question.feedback, *feedback, *(choice.text for choice in choices)]
    yield not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", question.id), 'an id such as "two-steps"'
    yield kind not in ("choice", "several", "number"), "a kind: choice, several or number"
    yield len(question.text) < 15 or len(question.hint) < 15, "a text, and a hint that helps without giving the answer"
    yield not 3 <= len(choices) <= len(LETTERS), "three choices or more"
    yield right < 1 or (kind != "several" and right > 1), "one right choice, or with several one or more"
    yield min(map(len, feedback)) < 25 or len(set(feedback)) < len(choices), "a feedback of its own for each choice"
    yield not all(choice.text for choice in choices) or len({choice.text for choice in choices}) < len(choices), "other choices"
    yield any("$" in text or text.count("`") % 2 for text in texts), "words instead of formulas, and marks in pairs"
    yield not WellFormed().check(to_html(question)) or re.search("<script|http", to_html(question)), "plain HTML"
    if kind == "number":
        values = sorted(choice.value for choice in choices)
        yield len(question.feedback) < 25, "a feedback for numbers that are none of the choices"
        yield any(b - a <= 2 * question.tolerance for a, b in zip(values, values[1:], strict=False)), "a smaller tolerance"


@pytest.mark.parametrize("path", FILES)
def test_every_question_of_this_file_is_well_made_and_gives_its_answer_away_by_nothing(path):
    found = load(path)
    assert len({question.id for question in found}) == len(found)
    for question in found:
        assert not [need for fault, need in faults(question) if fault], question.id
        assert question.answer(right_answer(question)).right
    ones = [question for question in found if question.kind == "choice"]
    longest = [max(question.choices, key=lambda choice: len(choice.text)).right for question in ones]
    assert len(ones) < 3 or not all(longest), "the right answer is always the longest"
    places = [right_answer(question) for question in ones]
    assert all(one != other for one, other in zip(places, places[1:], strict=False)), "twice in a row at the same place"


@pytest.mark.parametrize("path", LECTURES)
def test_every_question_of_a_lecture_is_asked_and_stored_as_its_file_has_it(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    asked = {}
    for cell in cells:
        if found := re.fullmatch(r"(?:import helpers as h\s+)?h\.quiz\(\"(.+)\"\)", "".join(cell["source"]).strip()):
            asked[found[1]] = ["".join(output["data"]["text/html"]) for output in cell["outputs"]]
    number = path.name[:2]
    assert asked.keys() == {f"{number}/{question.id}" for question in load(FOLDER / f"{number}.toml")}
    for one, pages in asked.items():
        assert pages == [to_html(find(one))], f"{one} has changed: run tools/setup_cells.py"


def test_what_every_student_should_be_asked_is_asked():
    assert all(find(question) for question in REQUIRED.values())


# Answers and the feedback on them


def test_each_choice_gets_its_own_reason(example):  # noqa: F811
    question = example("benefit")
    right = right_answer(question)
    assert all(question.answer(given).right for given in ("ABC"[right], right, question.choices[right].text))
    wrong = question.answer(letter(question, "It needs no").lower())
    assert wrong.text == "Not this one.\n- The target's images are needed all the same: they train the head."


def test_several_says_how_many_are_wrong_or_missing_and_why(example):  # noqa: F811
    question = example("frozen")
    weights, means, output = (letter(question, text) for text in ("Weights", "Running", "The output"))
    assert question.answer(weights + means).right and question.answer(f"{means.lower()}, {weights}.").right
    assert question.answer(right_answer(question)).right
    some = question.answer(weights)
    assert not some.right and some.verdict == "Not yet: 1 right one is missing."
    assert "Running means" not in some.text  # it does not give away which
    wrong = question.answer(weights + output)
    assert wrong.verdict == "Not yet: 1 of your choices is wrong and 1 right one is missing."
    assert wrong.notes[1] == "The output for an image. Wrong: Only if what comes before it is frozen too."


def test_number_knows_common_mistakes_and_a_tolerance(example):  # noqa: F811
    question = example("count")
    assert question.answer("5,130 parameters").right and question.answer(5130.4).right
    assert question.answer(5120).notes == ("Those are the weights: the 10 biases are missing.",)
    assert question.answer(7).notes == ("Each of the outputs has a weight for each feature and one bias.",)


@pytest.mark.parametrize("text, value", [("5,130", 5130), ("2,5", 2.5), ("1e-3", 1e-3), ("12 %", 12), ("\u22123", -3), (7, 7)])
def test_numbers_are_understood_as_people_write_them(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "many", "3 or 4", None])
def test_what_is_not_a_number_is_refused(text):
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(text)


@pytest.mark.parametrize(
    "id, given", [("benefit", "D"), ("benefit", 3), ("benefit", None), ("benefit", False), ("frozen", "AA"), ("frozen", "AX")]
)
def test_impossible_answers_are_refused(example, id, given):  # noqa: F811
    with pytest.raises(ValueError, match="none of the choices|at most once"):
        example(id).answer(given)


def test_unknown_question_is_refused_with_what_there_is(example):  # noqa: F811
    with pytest.raises(ValueError, match="did you mean 'benefit'"):
        example("benefits")
    with pytest.raises(ValueError, match="one of 77"):
        find("78/benefit")


def test_asking_leaves_the_students_random_numbers_as_they_are(example):  # noqa: F811
    random.seed(5)
    expected = random.Random(5).random()
    make_widget(example("benefit"))
    assert random.random() == expected
