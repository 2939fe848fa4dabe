"""Quizzes: the files of questions are well made, every answer gets a reason, and each form in which a question is shown works.

The widgets run with ipywidgets 8 here; to try them with 7.7.1, which Colab has, run this file in an environment with
`pip install ipywidgets==7.7.1`.
"""

import random
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from project import ROOT, cells, each, notebooks

from helpers.notebook import quiz as module
from helpers.notebook.quiz import FOLDER, LETTERS, find, load, make_widget, mark_up, parse_number, plain, quiz, to_html, to_text
from helpers.notebook.widgets import VIEW, show_widget

LECTURES = [path for path in notebooks("notebooks") if re.match(r"\d\d_", path.name)]
REQUIRED = [  # what every student should be asked
    "01/benefit", "02/what-freezing-implies", "02/adaptation-steps", "05/most-important", "05/case-leaves",
    "05/case-wildflowers", "05/case-industry", "05/case-medical",
]  # fmt: skip


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
    yield re.search("<script|http", to_html(question)), "plain HTML"
    if kind == "number":
        values = sorted(choice.value for choice in choices)
        yield len(question.feedback) < 25, "a feedback for numbers that are none of the choices"
        yield any(b - a <= 2 * question.tolerance for a, b in zip(values, values[1:], strict=False)), "a smaller tolerance"


@each(sorted(FOLDER.glob("*.toml")))
def test_every_question_of_this_file_is_well_made_and_gives_its_answer_away_by_nothing(path):
    found = load(path)
    assert len({question.id for question in found}) == len(found)
    for question in found:
        assert not [need for fault, need in faults(question) if fault], question.id
        ElementTree.fromstring(f"<div>{to_html(question)}</div>")  # raises if a tag is not closed
        assert question.answer(right_answer(question)).right
    ones = [question for question in found if question.kind == "choice"]
    longest = [max(question.choices, key=lambda choice: len(choice.text)).right for question in ones]
    assert len(ones) < 3 or not all(longest), "the right answer is always the longest"
    places = [right_answer(question) for question in ones]
    assert all(one != other for one, other in zip(places, places[1:], strict=False)), "twice in a row at the same place"


@each(LECTURES)
def test_every_question_of_a_lecture_is_asked_and_stored_as_its_file_has_it(path):
    asked, appendix = {}, ROOT / f"notebooks/appendix/lecture{int(path.name[:2])}.ipynb"
    for cell in [cell for part in (path, appendix) if part.exists() for cell in cells(part, "code")]:
        if found := re.fullmatch(r"(?:import helpers as h\s+)?h\.quiz\(\"(.+)\"\)", cell.source.strip()):
            asked[found[1]] = [output.data["text/html"] for output in cell.outputs]
    number = path.name[:2]
    assert asked.keys() == {f"{number}/{question.id}" for question in load(FOLDER / f"{number}.toml")}
    for one, pages in asked.items():
        assert pages == [to_html(find(one))], f"{one} has changed: run tools/setup_cells.py"


def test_what_every_student_should_be_asked_is_asked():
    assert all(map(find, REQUIRED))


# Answers and the feedback on them


@pytest.fixture
def example(monkeypatch):
    """example("benefit"): a question of tests/quizzes/77.toml, which is the only file of questions while the test runs."""
    monkeypatch.setattr(module, "FOLDER", Path(__file__).parent / "quizzes")
    return lambda id: find(f"77/{id}")


def right_answer(question):
    if question.kind == "number":
        return next(choice.value for choice in question.choices if choice.right)
    right = [position for position, choice in enumerate(question.choices) if choice.right]
    return right[0] if question.kind == "choice" else right


def letter(question, text):
    """The letter of the choice that begins with this text."""
    return next("ABC"[position] for position, choice in enumerate(question.choices) if choice.text.startswith(text))


def test_each_choice_gets_its_own_reason(example):
    question = example("benefit")
    right = right_answer(question)
    assert all(question.answer(given).right for given in ("ABC"[right], right, question.choices[right].text))
    wrong = question.answer(letter(question, "It needs no").lower())
    assert wrong.verdict == "Not this one." and wrong.notes[0].startswith("The target's images are needed all the same")


def test_several_says_how_many_are_wrong_or_missing_and_why(example):
    question = example("frozen")
    weights, means, output = (letter(question, text) for text in ("Weights", "Running", "The output"))
    assert question.answer(weights + means).right and question.answer(f"{means.lower()}, {weights}.").right
    assert question.answer(right_answer(question)).right
    some = question.answer(weights)
    assert not some.right and some.verdict == "Not yet: 1 right one is missing."
    assert "Running means" not in " ".join(some.notes)  # it does not give away which
    wrong = question.answer(weights + output)
    assert wrong.verdict == "Not yet: 1 of your choices is wrong and 1 right one is missing."
    assert wrong.notes[1] == "The output for an image. Wrong: Only if what comes before it is frozen too."


def test_number_knows_common_mistakes_and_a_tolerance(example):
    question = example("count")
    assert question.answer("5,130 parameters").right and question.answer(5130.4).right
    assert question.answer(5120).notes == ("Those are the weights: the 10 biases are missing.",)
    assert question.answer(7).notes == ("Each of the outputs has a weight for each feature and one bias.",)


def test_numbers_are_understood_as_people_write_them_and_what_is_none_is_refused():
    written = {"5,130": 5130, "2,5": 2.5, "1e-3": 1e-3, "12 %": 12, "\u22123": -3, 7: 7}
    assert {text: parse_number(text) for text in written} == written
    for text in ("", "many", "3 or 4", None):
        with pytest.raises(ValueError, match="is not a number"):
            parse_number(text)


@pytest.mark.parametrize(
    "id, given", [("benefit", "D"), ("benefit", 3), ("benefit", None), ("frozen", "AA"), ("frozen", "AX")]
)
def test_impossible_answers_are_refused(example, id, given):
    with pytest.raises(ValueError, match="none of the choices|at most once"):
        example(id).answer(given)


def test_unknown_question_is_refused_with_what_there_is(example):
    with pytest.raises(ValueError, match="did you mean 'benefit'"):
        example("benefits")
    with pytest.raises(ValueError, match="one of 77"):
        find("78/benefit")


def test_asking_leaves_the_students_random_numbers_as_they_are(example):
    random.seed(5)
    expected = random.Random(5).random()
    make_widget(example("benefit"))
    assert random.random() == expected


# How questions are shown


def parts(box, kind):
    """All widgets of a kind below a box, in order."""
    found = [box] if type(box).__name__ == kind else []
    return found + [part for child in getattr(box, "children", []) for part in parts(child, kind)]


@pytest.mark.parametrize("id", ["benefit", "frozen", "count"])
def test_page_without_a_kernel_unfolds_a_reason_for_each_choice_and_the_hint(example, id):
    question = example(id)
    page = to_html(question)
    assert "<details><summary><i>Hint</i>" in page
    assert "<early>" not in page and "style=" not in page and "**" not in page
    assert page.count("<details>") == len(question.choices) + 1
    assert all(mark_up(choice.feedback) in page for choice in question.choices)


def test_plain_text_lists_the_choices_and_says_how_to_answer(example, capsys):
    quiz("77/benefit")
    said = capsys.readouterr().out
    assert said.startswith("What is the main benefit of transfer? One answer is right.\n  A. It ")
    assert 'quiz("77/benefit", "B")' in said and "needs fewer images" in said and "The features" not in said
    quiz("77/benefit", "ABC"[right_answer(example("benefit"))])
    assert capsys.readouterr().out.startswith("Right.\n- The features were learnt elsewhere")
    for id in ["frozen", "count"]:  # the example that it gives is a possible answer
        given = re.search(r'", (.+)\), for example', to_text(example(id), f"77/{id}")).group(1)
        assert example(id).answer(given.strip('"')).verdict


def test_marks_become_html_in_texts_and_vanish_in_labels():
    text = "use `a*b*c` and **two** *words*, 2*3*4 < 5"
    assert mark_up(text) == "use <code>a*b*c</code> and <b>two</b> <i>words</i>, 2*3*4 &lt; 5"
    assert plain(text) == "use a*b*c and two words, 2*3*4 < 5"


@pytest.fixture
def shown(example):
    """shown(id): (widget, check): check() presses the button and returns what is said."""

    def press(box, label):
        next(button for button in parts(box, "Button") if button.description == label).click()
        return parts(box, "HTML")[-1].value

    def show(id):
        box = make_widget(example(id))
        assert "Answer first" in press(box, "Check my answer")
        assert mark_up(example(id).hint) in press(box, "Hint")
        return box, lambda: press(box, "Check my answer")

    return show


def test_choice_widget_answers_each_choice_with_its_reason(example, shown):
    box, check = shown("benefit")
    (radio,) = parts(box, "RadioButtons")
    assert radio.index is None and radio.options[0].startswith("A. It ") and "*" not in "".join(radio.options)
    for position, choice in enumerate(example("benefit").choices):
        radio.index = position
        said = check()
        assert mark_up(choice.feedback) in said and 'role="alert"' in said
        assert ("Right." in said) == choice.right


def test_several_widget_reads_its_boxes(example, shown):
    box, check = shown("frozen")
    places = ["ABC".index(letter(example("frozen"), text)) for text in ("Weights", "Running", "The output")]
    weights, means, output = (parts(box, "Checkbox")[place] for place in places)
    weights.value = output.value = True
    assert "1 of your choices is wrong and 1 right one is missing" in check()
    means.value, output.value = True, False
    assert "Right, all of them." in check()


def test_number_widget_understands_what_is_typed(shown):
    box, check = shown("count")
    (field,) = parts(box, "Text")
    for typed, words in [("lots", "is not a number"), ("5120", "biases are missing"), ("5,130", "Right.")]:
        field.value = typed
        assert words in check()


def test_notebook_gets_widget_page_and_text_in_one_output_and_colab_the_widget(example, monkeypatch):
    shown = []
    import IPython
    from IPython import display

    monkeypatch.setattr(display, "display", lambda bundle, raw: shown.append(bundle))
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    quiz("77/benefit")
    assert shown[0].keys() == {VIEW, "text/html", "text/plain"} and "<details>" in shown[0]["text/html"]
    monkeypatch.setitem(__import__("sys").modules, "google.colab", object())
    quiz("77/benefit")
    assert shown[1].keys() == {VIEW, "text/plain"}


def test_widget_without_a_fallback_is_refused():
    with pytest.raises(ValueError, match="needs a fallback"):
        show_widget(SimpleNamespace(model_id="x"), {"text/plain": "VBox()"})
