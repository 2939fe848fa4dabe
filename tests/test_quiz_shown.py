"""Quizzes as they are shown: by widgets, as folded text, as plain text.

The widgets run with ipywidgets 8 here; to try them with 7.7.1, which Colab has, run this file in an environment with
`pip install ipywidgets==7.7.1`.
"""

import re
import warnings
from types import SimpleNamespace

import pytest
from quizzes import EXAMPLES, WellFormed, example, right_answer

from helpers.notebook import asking, questions
from helpers.notebook.asking import make_widget, quiz, to_html, to_text
from helpers.notebook.questions import find
from helpers.notebook.widgets import VIEW, show_widget


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "77.toml").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    return tmp_path


def parts(box, kind):
    """All widgets of a kind below a box, in order."""
    found = [box] if type(box).__name__ == kind else []
    return found + [part for child in getattr(box, "children", []) for part in parts(child, kind)]


@pytest.mark.parametrize("id", ["benefit", "frozen", "steps", "count"])
def test_page_without_a_kernel_unfolds_a_reason_for_each_choice_and_the_hint(folder, id):
    question = example(id)
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
    box = make_widget(example("benefit"))
    press(box, "Check my answer")
    assert "Answer first" in said(box)
    press(box, "Hint")
    assert "Think of how many images" in said(box)
    (radio,) = parts(box, "RadioButtons")
    assert radio.index is None and radio.options[0].startswith("A. It ") and "*" not in "".join(radio.options)
    for place, choice in enumerate(example("benefit").shown):
        radio.index = place
        press(box, "Check my answer")
        assert asking.mark_up(choice.feedback) in said(box) and 'role="alert"' in said(box)
        assert ("Right." in said(box)) == choice.right


def test_several_widget_reads_its_boxes(folder, strict):
    question = example("frozen")
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
    question = example("steps")
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
    box = make_widget(example("count"))
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
