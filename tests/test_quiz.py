"""Quizzes: every file is valid, every answer gets a reason, the widgets do what the plain class does."""

import json
import random
import re
import warnings
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from project import ROOT, name, notebooks

from helpers import asking, questions
from helpers.asking import make_widget, quiz, to_html, to_text
from helpers.live import VIEW, show_widget
from helpers.questions import FOLDER, Question, find, load, parse_number

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

EXAMPLES = """
[[question]]
id = "benefit"
kind = "choice"
text = "What is the *main* benefit of `transfer`?"
hint = "Think of how many images you have."
choices = [
  { text = "It needs no images", feedback = "The target's images are needed all the same: they train the head." },
  { text = "It needs **fewer** images", right = true, feedback = "The features were learnt elsewhere & <early>." },
  { text = "It is always better", feedback = "Not where source and target have nothing in common." },
]

[[question]]
id = "frozen"
kind = "several"
text = "What stays the same in a frozen stage?"
hint = "There is more in it than weights."
choices = [
  { text = "Weights", right = true, feedback = "They get no gradients, so no step changes them." },
  { text = "Running means", right = true, feedback = "BatchNorm is held in evaluation mode as well." },
  { text = "The output for an image", feedback = "Only if what comes before it is frozen too." },
]

[[question]]
id = "steps"
kind = "order"
text = "Put the steps of an adaptation in order."
hint = "A head needs something to sit on."
feedback = "Each step uses what the one before it made."
choices = [{ text = "Load" }, { text = "Swap", feedback = "There has to be a network first." }, { text = "Train" }]

[[question]]
id = "count"
kind = "number"
text = "How many parameters has a head from 512 features to 10 classes?"
hint = "Do not forget the biases."
unit = "parameters"
tolerance = 0.5
feedback = "Each of the outputs has a weight for each feature and one bias."
choices = [
  { value = 5130, right = true, feedback = "512 weights for each of the 10 outputs, and 10 biases." },
  { value = 5120, feedback = "Those are the weights: the 10 biases are missing." },
  { value = 522, feedback = "The outputs do not share their weights: multiply, do not add." },
]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "77.toml").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    return tmp_path


def example(folder, id) -> Question:
    return find(f"77/{id}")


def parts(box, kind):
    """All widgets of a kind below a box, in order."""
    found = [box] if type(box).__name__ == kind else []
    return found + [part for child in getattr(box, "children", []) for part in parts(child, kind)]


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
            assert pages == [to_html(find(found[1]))], f"{found[1]} has changed: run tools/setup_cells.py, or tools/execute.py if it never ran"


def right_answer(question):
    if question.kind == "number":
        return next(choice.value for choice in question.choices if choice.right)
    if question.kind == "order":
        return [question.shown.index(choice) for choice in question.choices]
    right = [place for place, choice in enumerate(question.shown) if choice.right]
    return right[0] if question.kind == "choice" else right


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
    question = example(folder, "benefit")
    letters = "ABC"[right_answer(question)], right_answer(question), question.choices[1].text
    assert all(question.answer(letter).right for letter in letters)
    wrong = question.answer("abc"[question.shown.index(question.choices[0])])
    assert not wrong.right and wrong.text == f"Not this one.\n- {question.choices[0].feedback}"


def test_several_says_how_many_are_wrong_or_missing_and_why(folder):
    question = example(folder, "frozen")
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
    question = example(folder, "steps")
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
    question = example(folder, "count")
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
        example(folder, id).answer(given)


def test_asking_leaves_the_students_random_numbers_as_they_are(folder):
    random.seed(5)
    expected = random.Random(5).random()
    make_widget(example(folder, "steps"))
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


# What is shown


class WellFormed(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def check(self, text):
        self.open = []
        self.feed(text)
        self.close()
        return not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("id", ["benefit", "frozen", "steps", "count"])
def test_page_without_a_kernel_unfolds_a_reason_for_each_choice_and_the_hint(folder, id):
    question = example(folder, id)
    page = to_html(question)
    assert WellFormed().check(page) and "<details><summary><i>Hint</i>" in page
    assert "<early>" not in page and "style=" not in page and "**" not in page
    if id != "steps":
        assert page.count("<details>") == len(question.choices) + 1
    if id in ("benefit", "frozen"):
        for choice in question.choices:
            assert asking.mark_up(choice.feedback) in page


def test_plain_text_lists_the_choices_and_says_how_to_answer(folder, capsys):
    quiz("77/benefit")
    said = capsys.readouterr().out
    assert said.startswith("What is the main benefit of transfer? One answer is right.\n  A. It ")
    assert 'quiz("77/benefit", "B")' in said and "needs fewer images" in said and "The features" not in said
    quiz("77/benefit", "ABC"[right_answer(find("77/benefit"))])
    assert capsys.readouterr().out.startswith("Right.\n- The features were learnt elsewhere")
    for id in ["frozen", "steps", "count"]:  # the example that it gives is a possible answer
        example_answer = re.search(r'", (.+)\), for example', to_text(find(f"77/{id}"), f"77/{id}")).group(1)
        assert find(f"77/{id}").answer(example_answer.strip('"')).verdict


def test_marks_become_html_in_texts_and_vanish_in_labels():
    text = "use `a*b*c` and **two** *words*, 2*3*4 < 5"
    assert asking.mark_up(text) == "use <code>a*b*c</code> and <b>two</b> <i>words</i>, 2*3*4 &lt; 5"
    assert asking.plain(text) == "use a*b*c and two words, 2*3*4 < 5"


# Widgets: run with ipywidgets 8 here, and with 7.7.1 by `pip install ipywidgets==7.7.1`


@pytest.fixture
def strict():
    """ipywidgets 7.7 silently drops arguments that it does not know: it only warns, so warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*ipykernel.comm.Comm")  # ipywidgets 7 itself, with a newer ipykernel
        yield


def said(box):
    return parts(box, "HTML")[-1].value


def press(box, label):
    next(button for button in parts(box, "Button") if button.description == label).click()


def test_choice_widget_answers_each_choice_with_its_reason_and_has_a_hint(folder, strict):
    box = make_widget(example(folder, "benefit"))
    press(box, "Check my answer")
    assert "Answer first" in said(box)
    press(box, "Hint")
    assert "Think of how many images" in said(box)
    (radio,) = parts(box, "RadioButtons")
    assert radio.index is None and radio.options[0].startswith("A. It ") and "*" not in "".join(radio.options)
    for place, choice in enumerate(example(folder, "benefit").shown):
        radio.index = place
        press(box, "Check my answer")
        assert asking.mark_up(choice.feedback) in said(box) and 'role="alert"' in said(box)
        assert ("Right." in said(box)) == choice.right


def test_several_widget_reads_its_boxes(folder, strict):
    question = example(folder, "frozen")
    box = make_widget(question)
    shown = parts(box, "Checkbox")
    boxes = [shown[question.shown.index(choice)] for choice in question.choices]
    press(box, "Check my answer")
    assert "Answer first" in said(box)
    boxes[0].value = boxes[2].value = True
    press(box, "Check my answer")
    assert "1 of your choices is wrong and 1 right one is missing" in said(box)
    boxes[1].value, boxes[2].value = True, False
    press(box, "Check my answer")
    assert "Right, all of them." in said(box)


def test_order_widget_takes_steps_in_the_order_in_which_they_are_pressed(folder, strict):
    question = example(folder, "steps")
    box = make_widget(question)
    steps = [button for button in parts(box, "Button") if button.description.startswith("[")]
    press(box, "Check my answer")
    assert "Answer first" in said(box)
    steps[0].click()
    press(box, "Check my answer")
    assert "put all 3 steps in order" in said(box)
    steps[0].click()  # takes it back
    for place in right_answer(question):
        steps[place].click()
    assert sorted(step.description for step in steps) == ["[1] Load", "[2] Swap", "[3] Train"]
    press(box, "Check my answer")
    assert "Right." in said(box)
    for place in right_answer(question)[:2]:
        steps[place].click()
        steps[place].click()
    press(box, "Check my answer")
    assert "Not yet." in said(box)


def test_number_widget_understands_what_is_typed(folder, strict):
    box = make_widget(example(folder, "count"))
    (field,) = parts(box, "Text")
    for typed, words in [("", "Answer first"), ("lots", "is no number"), ("5120", "biases are missing"), ("5,130", "Right.")]:
        field.value = typed
        press(box, "Check my answer")
        assert words in said(box)


def test_notebook_gets_widget_page_and_text_in_one_output_and_colab_the_widget(folder, monkeypatch):
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


def test_quizzes_are_part_of_an_installed_course():
    packaged = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"quizzes/*"' in packaged, 'add "quizzes/*" to helpers in [tool.setuptools.package-data]'
