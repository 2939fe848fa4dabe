"""Quizzes as they are shown: by widgets, as text that unfolds, as plain text.

The widgets run with ipywidgets 8 here; to try them with 7.7.1, which Colab has, run this file in an environment with
`pip install ipywidgets==7.7.1`.
"""

import re
import warnings
from types import SimpleNamespace

import pytest
from quizzes import WellFormed, example, letter, right_answer  # noqa: F401 (example is a fixture)

from helpers.notebook.quiz import make_widget, mark_up, plain, quiz, to_html, to_text
from helpers.notebook.widgets import VIEW, show_widget


def parts(box, kind):
    """All widgets of a kind below a box, in order."""
    found = [box] if type(box).__name__ == kind else []
    return found + [part for child in getattr(box, "children", []) for part in parts(child, kind)]


@pytest.mark.parametrize("id", ["benefit", "frozen", "count"])
def test_page_without_a_kernel_unfolds_a_reason_for_each_choice_and_the_hint(example, id):  # noqa: F811
    question = example(id)
    page = to_html(question)
    assert WellFormed().check(page) and "<details><summary><i>Hint</i>" in page
    assert "<early>" not in page and "style=" not in page and "**" not in page
    assert page.count("<details>") == len(question.choices) + 1
    assert all(mark_up(choice.feedback) in page for choice in question.choices)


def test_plain_text_lists_the_choices_and_says_how_to_answer(example, capsys):  # noqa: F811
    quiz("77/benefit")
    said = capsys.readouterr().out
    assert said.startswith("What is the main benefit of transfer? One answer is right.\n  A. It ")
    assert 'quiz("77/benefit", "B")' in said and "needs fewer images" in said and "The features" not in said
    quiz("77/benefit", "ABC"[right_answer(example("benefit"))])
    assert capsys.readouterr().out.startswith("Right.\n- The features were learned elsewhere")
    for id in ["frozen", "count"]:  # the example that it gives is a possible answer
        given = re.search(r'", (.+)\), for example', to_text(example(id), f"77/{id}")).group(1)
        assert example(id).answer(given.strip('"')).verdict


def test_marks_become_html_in_texts_and_vanish_in_labels():
    text = "use `a*b*c` and **two** *words*, 2*3*4 < 5"
    assert mark_up(text) == "use <code>a*b*c</code> and <b>two</b> <i>words</i>, 2*3*4 &lt; 5"
    assert plain(text) == "use a*b*c and two words, 2*3*4 < 5"


@pytest.fixture
def shown(example):  # noqa: F811
    """shown(id): (widget, check): check() presses the button and returns what is said.

    ipywidgets 7.7 silently drops arguments that it does not know: it only warns, so warnings are errors here.
    """

    def press(box, label):
        next(button for button in parts(box, "Button") if button.description == label).click()
        return parts(box, "HTML")[-1].value

    def show(id):
        box = make_widget(example(id))
        assert "Answer first" in press(box, "Check my answer")
        assert mark_up(example(id).hint) in press(box, "Hint")
        return box, lambda: press(box, "Check my answer")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*ipykernel.comm.Comm")  # ipywidgets 7 itself, with a newer ipykernel
        yield show


def test_choice_widget_answers_each_choice_with_its_reason(example, shown):  # noqa: F811
    box, check = shown("benefit")
    (radio,) = parts(box, "RadioButtons")
    assert radio.index is None and radio.options[0].startswith("A. It ") and "*" not in "".join(radio.options)
    for position, choice in enumerate(example("benefit").choices):
        radio.index = position
        said = check()
        assert mark_up(choice.feedback) in said and 'role="alert"' in said
        assert ("Right." in said) == choice.right


def test_several_widget_reads_its_boxes(example, shown):  # noqa: F811
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


def test_notebook_gets_widget_page_and_text_in_one_output_and_colab_the_widget(example, monkeypatch):  # noqa: F811
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
