"""Ask a question of a quiz in a notebook: with widgets where a kernel runs, as text that unfolds where none does."""

import re
import sys
from functools import partial
from html import escape

from helpers.notebook.questions import LETTERS, Feedback, Question, find
from helpers.notebook.widgets import show_widget

STYLE = """<style>
.course-quiz label, .course-quiz .widget-label-basic, .course-quiz .widget-label-basic span {
  height: auto !important; max-width: 100%; white-space: normal !important; line-height: 1.4; overflow: visible }
.course-quiz .widget-radio-box label { display: flex; align-items: flex-start; margin: 4px 0 }
.course-quiz .widget-checkbox label { display: flex; align-items: flex-start; margin: 2px 0 }
.course-quiz input[type=radio], .course-quiz input[type=checkbox] { flex: none; order: -1; margin: 3px 8px 0 0 !important }
.course-quiz .widget-radio, .course-quiz .widget-radio-box, .course-quiz .widget-checkbox, .course-quiz .widget-html {
  width: 100% !important; max-width: 60em; height: auto !important; max-height: none !important }
.course-quiz .widget-html-content { line-height: 1.4 !important; white-space: normal }
</style>"""
HOW = {
    "choice": "One answer is right.",
    "several": "Tick all that are right.",
    "number": "Write a number.",
}


def quiz(name: str, answer=None) -> None:
    """Ask a question, such as "01/two-steps" (in helpers/data/quizzes/01.toml).

    Shows widgets that work with mouse and keyboard; where a notebook is read without a kernel, the choices unfold
    instead. Without either, answer in code: quiz("01/two-steps", "B") prints the feedback on B ("AC" for several, or a
    number). Raises ValueError for an unknown question or an impossible answer.
    """
    question = find(name)
    if answer is not None:
        print(question.answer(answer).text)
    elif "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
        show_widget(make_widget(question), {"text/html": to_html(question), "text/plain": to_text(question, name)})
    else:
        print(to_text(question, name))


def make_widget(question: Question):
    """The question as an ipywidgets VBox, within the API of ipywidgets 7.7."""
    import ipywidgets as widgets

    wide = partial(widgets.Layout, width="100%", max_width="60em")
    text = widgets.HTML(f"{STYLE}<p>{mark_up(question.text)} <i>{HOW[question.kind]}</i></p>", layout=wide())
    fields, given = _fields(question, widgets, wide)
    check = widgets.Button(description="Check my answer", button_style="primary")
    hint = widgets.Button(description="Hint")
    said = widgets.HTML("", layout=wide())

    def on_check(_):
        value = given()
        if value is None or value == []:
            said.value = _announce("<p>Answer first, then check.</p>")
            return
        try:
            said.value = _announce(feedback_html(question.answer(value)))
        except ValueError as error:
            said.value = _announce(f"<p>{escape(str(error))}</p>")

    def on_hint(_):
        said.value = _announce(f"<p><b>Hint.</b> {mark_up(question.hint)}</p>")

    check.on_click(on_check)
    hint.on_click(on_hint)
    box = widgets.VBox([text, *fields, widgets.HBox([check, hint]), said], layout=wide())
    box.add_class("course-quiz")
    return box


def _fields(question, widgets, wide):
    """The widgets that take the answer, and a function that reads it (None or [] if there is none)."""
    lettered = [f"{letter}. {plain(choice.text)}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
    if question.kind == "choice":
        radio = widgets.RadioButtons(options=lettered, index=None, layout=wide())
        return [radio], lambda: radio.index
    if question.kind == "several":
        boxes = [widgets.Checkbox(value=False, description=text, indent=False, layout=wide()) for text in lettered]
        return boxes, lambda: [place for place, box in enumerate(boxes) if box.value]
    field = widgets.Text(description="Number", placeholder="in figures")
    after = widgets.HTML(mark_up(question.unit))
    return [widgets.HBox([field, after])], lambda: field.value.strip() or None


def _announce(content: str) -> str:
    """HTML that screen readers read out when it appears: role="alert" is announced on insertion."""
    return f'<div role="alert" aria-live="assertive">{content}</div>'


def feedback_html(feedback: Feedback) -> str:
    """A verdict in words and with a sign, so that it does not hang on a colour, and the notes."""
    sign, colour = ("&#10003;", "#0072b2") if feedback.right else ("&#10007;", "#d55e00")
    verdict = f'<p style="border-left: 4px solid {colour}; padding-left: 8px">'
    verdict += f'<span aria-hidden="true">{sign}</span> <b>{escape(feedback.verdict)}</b>'
    if len(feedback.notes) == 1:
        return f"{verdict} {mark_up(feedback.notes[0])}</p>"
    return verdict + "</p><ul>" + "".join(f"<li>{mark_up(note)}</li>" for note in feedback.notes) + "</ul>"


def to_html(question: Question) -> str:
    """The question as HTML without scripts: each choice unfolds its feedback."""
    parts = [f"<p><b>Quiz.</b> {mark_up(question.text)} <i>{HOW[question.kind]}</i></p>"]
    if question.kind == "number":
        right = next(choice for choice in question.choices if choice.right)
        wrong = [choice for choice in question.choices if not choice.right]
        parts += [_details(f"If you got {mark_up(choice.text)}", mark_up(choice.feedback)) for choice in wrong]
        parts.append(_details("The answer", f"<b>{mark_up(right.text)} {mark_up(question.unit)}</b> {mark_up(right.feedback)}"))
    else:
        for letter, choice in zip(LETTERS, question.choices, strict=False):
            verdict = "Right." if choice.right else "Wrong." if question.kind == "several" else "Not this one."
            parts.append(_details(f"{letter}. {mark_up(choice.text)}", f"<b>{verdict}</b> {mark_up(choice.feedback)}"))
    parts.append(_details("<i>Hint</i>", mark_up(question.hint)))
    return "\n".join(parts)


def to_text(question: Question, name: str) -> str:
    """The question as plain text, and how to answer it."""
    lines = [f"{plain(question.text)} {HOW[question.kind]}"]
    if question.kind != "number":
        lines += [f"  {letter}. {plain(choice.text)}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
    example = {"choice": '"B"', "several": '"AC"', "number": "5"}[question.kind]
    return "\n".join([*lines, f"Hint: {plain(question.hint)}", f'Answer with quiz("{name}", {example}), for example.'])


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def mark_up(text: str) -> str:
    """Text with `code`, **bold** and *italics* as safe HTML."""
    return _styled(escape(text, quote=False), ("<code>", "</code>"), ("<b>", "</b>"), ("<i>", "</i>"))


def plain(text: str) -> str:
    """Text without those marks, for labels, which show no HTML."""
    return _styled(text, ("", ""), ("", ""), ("", ""))


def _styled(text: str, code, bold, italics) -> str:
    parts = " ".join(text.split()).split("`")
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = code[0] + part + code[1]
        else:
            part = re.sub(r"\*\*([^*]+)\*\*", rf"{bold[0]}\1{bold[1]}", part)
            parts[place] = re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", rf"{italics[0]}\1{italics[1]}", part)
    return "".join(parts)
