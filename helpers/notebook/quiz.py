"""Quizzes: questions from helpers/data/quizzes/*.toml, with widgets where a kernel runs, as text that unfolds where none does."""

import difflib
import random
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from helpers.notebook.widgets import show_widget

FOLDER = Path(__file__).parents[1] / "data" / "quizzes"
LETTERS = "ABCDEFGH"
HOW = {"choice": "One answer is right.", "several": "Tick all that are right.", "number": "Write a number."}
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
_MARK = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])")
_TAGS = ("", "code", "b", "i")  # of the groups above


def quiz(name: str, answer=None) -> None:
    """Ask a question, such as "01/two-steps" (in helpers/data/quizzes/01.toml).

    Shows widgets that work with mouse and keyboard; where a notebook is read without a kernel, the choices unfold
    instead. Without either, answer in code: quiz("01/two-steps", "B") prints the feedback on B ("AC" for several, or a
    number). Raises ValueError for an unknown question or an impossible answer.
    """
    question = find(name)
    if answer is not None:
        feedback = question.answer(answer)
        print("\n- ".join([feedback.verdict, *feedback.notes]))
    elif "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
        show_widget(make_widget(question), {"text/html": to_html(question), "text/plain": to_text(question, name)})
    else:
        print(to_text(question, name))


# The questions, and the feedback on an answer


@dataclass(frozen=True)
class Choice:
    """A possible answer. `feedback` says why it is right or wrong; `value`: its number, in a question for a number."""

    text: str
    feedback: str
    right: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Feedback:
    """What a student is told: whether the answer was right, in one sentence, and then why."""

    right: bool
    verdict: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One question.

    kind       "choice": one of the choices is right. "several": one or more are. "number": the choices are the right
               number and common mistakes
    choices    in the order in which they are listed
    feedback   of a number: what to say about a number that is none of the choices
    tolerance  of a number: how far from it still counts as it
    """

    id: str
    kind: str
    text: str
    hint: str
    choices: tuple[Choice, ...]
    feedback: str = ""
    tolerance: float = 0.0
    unit: str = ""

    @property
    def lettered(self) -> list[tuple[str, Choice]]:
        return list(zip(LETTERS, self.choices, strict=False))

    def answer(self, given) -> Feedback:
        """Judge an answer. A choice is given by its letter, its text or its position, counted from 0.

        choice: one of them; several: a collection of them, or their letters ("AC"); number: a number, or text with one.
        Raises ValueError for anything else.
        """
        if self.kind == "several":
            return self._several(self._picks(given))
        if self.kind == "choice":
            choice = self._pick(given)
            return Feedback(choice.right, "Right." if choice.right else "Not this one.", (choice.feedback,))
        number = parse_number(given)
        for choice in sorted(self.choices, key=lambda choice: not choice.right):
            if abs(number - choice.value) <= self.tolerance + 1e-9 * abs(choice.value):
                return Feedback(choice.right, "Right." if choice.right else "No.", (choice.feedback,))
        return Feedback(False, "No.", (self.feedback,))

    def _pick(self, given) -> Choice:
        letter = given.strip().upper().rstrip(".") if isinstance(given, str) else None
        for position, (own, choice) in enumerate(self.lettered):
            if letter == own or given == choice.text or (type(given) is int and given == position):
                return choice
        raise ValueError(f"{given!r} is none of the choices: answer with one of {', '.join(LETTERS[: len(self.choices)])}")

    def _picks(self, given) -> list[Choice]:
        if isinstance(given, str) and given not in [choice.text for choice in self.choices]:
            given = re.sub(r"[\s,;.]", "", given)
        elif isinstance(given, str) or not isinstance(given, Iterable):
            given = [given]
        picks = [self._pick(one) for one in given]
        if len(set(picks)) < len(picks):
            raise ValueError("name each choice at most once")
        return picks

    def _several(self, picks: list[Choice]) -> Feedback:
        wrong = sum(not choice.right for choice in picks)
        missing = sum(choice.right for choice in self.choices) - (len(picks) - wrong)
        if not wrong and not missing:
            notes = (f"{choice.text.rstrip('.:')}: {choice.feedback}" for choice in self.choices)
            return Feedback(True, "Right, all of them.", tuple(notes))
        parts = [f"{wrong} of your choices {'is' if wrong == 1 else 'are'} wrong"] if wrong else []
        parts += [f"{missing} right {'one is' if missing == 1 else 'ones are'} missing"] if missing else []
        notes = (f"{one.text.rstrip('.:')}. {'Right' if one.right else 'Wrong'}: {one.feedback}" for one in picks)
        return Feedback(False, f"Not yet: {' and '.join(parts)}.", tuple(notes))


def parse_number(given) -> float:
    """A number from a number or from text such as "5,130", "2.5%" or "1e-3". Raises ValueError for anything else."""
    text = str(given).replace(" ", "").replace("\u2212", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text).replace(",", ".")
    found = re.fullmatch(r"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\D*", text)
    if not found:
        raise ValueError(f"{given!r} is not a number: write it in figures, such as 5130 or 0.25")
    return float(found.group(1))


def find(name: str) -> Question:
    """The question "01/two-steps" of helpers/data/quizzes/01.toml. Raises ValueError for an unknown one, with those there are."""
    lecture, _, wanted = str(name).partition("/")
    path = FOLDER / f"{lecture}.toml"
    if not path.is_file():
        known = ", ".join(path.stem for path in sorted(FOLDER.glob("*.toml")))
        raise ValueError(f"no quizzes for {name!r}: give \"NN/question\", where NN is one of {known}")
    questions = {question.id: question for question in load(path)}
    if wanted not in questions:
        near = difflib.get_close_matches(wanted, questions, 1) or questions
        raise ValueError(f"no question {wanted!r} in {path.name}: did you mean {' or '.join(map(repr, near))}?")
    return questions[wanted]


@cache
def load(path: Path) -> tuple[Question, ...]:
    """All questions of a file of [[question]] tables, their choices shuffled: always in the same way.

    Right answers change places from question to question. Numbers stay in their order. What makes a good question is
    in tests/test_quiz.py.
    """
    questions, before = [], None
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["question"]:
        choices = [Choice(**({"text": f"{one['value']:,}"} if "value" in one else {}) | one) for one in entry["choices"]]
        rng = random.Random(entry["id"])  # of our own: the student's random numbers stay as they are
        if entry["kind"] != "number":
            rng.shuffle(choices)
        if entry["kind"] == "choice":
            while (place := [choice.right for choice in choices].index(True)) == before:
                rng.shuffle(choices)
            before = place
        questions.append(Question(**entry | {"choices": tuple(choices)}))
    return tuple(questions)


# How they are shown


def make_widget(question: Question):
    """The question as an ipywidgets VBox, within the API of ipywidgets 7.7."""
    import ipywidgets as widgets

    wide = widgets.Layout(width="100%", max_width="60em")
    options = [f"{letter}. {plain(choice.text)}" for letter, choice in question.lettered]
    if question.kind == "choice":
        fields = [widgets.RadioButtons(options=options, index=None, layout=wide)]
        given = lambda: fields[0].index
    elif question.kind == "several":
        fields = [widgets.Checkbox(value=False, description=text, indent=False, layout=wide) for text in options]
        given = lambda: [place for place, box in enumerate(fields) if box.value] or None
    else:
        field = widgets.Text(description="Number", placeholder="in figures")
        fields = [widgets.HBox([field, widgets.HTML(mark_up(question.unit))])]
        given = lambda: field.value.strip() or None
    check = widgets.Button(description="Check my answer", button_style="primary")
    hint = widgets.Button(description="Hint")
    said = widgets.HTML("", layout=wide)

    def say(content: str):  # screen readers read out what appears with role="alert"
        said.value = f'<div role="alert" aria-live="assertive">{content}</div>'

    def on_check(_):
        try:
            say("<p>Answer first, then check.</p>" if given() is None else feedback_html(question.answer(given())))
        except ValueError as error:
            say(f"<p>{escape(str(error))}</p>")

    check.on_click(on_check)
    hint.on_click(lambda _: say(f"<p><b>Hint.</b> {mark_up(question.hint)}</p>"))
    text = widgets.HTML(f"{STYLE}<p>{mark_up(question.text)} <i>{HOW[question.kind]}</i></p>", layout=wide)
    box = widgets.VBox([text, *fields, widgets.HBox([check, hint]), said], layout=wide)
    box.add_class("course-quiz")
    return box


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
    folded = []
    for letter, choice in sorted(question.lettered, key=lambda pair: question.kind == "number" and pair[1].right):
        text, feedback = mark_up(choice.text), mark_up(choice.feedback)
        verdict = "Right." if choice.right else "Wrong." if question.kind == "several" else "Not this one."
        if question.kind != "number":
            folded.append((f"{letter}. {text}", f"<b>{verdict}</b> {feedback}"))
        elif choice.right:
            folded.append(("The answer", f"<b>{text} {mark_up(question.unit)}</b> {feedback}"))
        else:
            folded.append((f"If you got {text}", feedback))
    folded.append(("<i>Hint</i>", mark_up(question.hint)))
    details = [f"<details><summary>{summary}</summary>{content}</details>" for summary, content in folded]
    return "\n".join([f"<p><b>Quiz.</b> {mark_up(question.text)} <i>{HOW[question.kind]}</i></p>", *details])


def to_text(question: Question, name: str) -> str:
    """The question as plain text, and how to answer it."""
    choices = [f"  {letter}. {plain(choice.text)}" for letter, choice in question.lettered]
    example = {"choice": '"B"', "several": '"AC"', "number": "5"}[question.kind]
    lines = [f"{plain(question.text)} {HOW[question.kind]}", *(choices if question.kind != "number" else [])]
    return "\n".join([*lines, f"Hint: {plain(question.hint)}", f'Answer with quiz("{name}", {example}), for example.'])


def mark_up(text: str) -> str:
    """Text with `code`, **bold** and *italics* as safe HTML."""
    html = lambda found: f"<{_TAGS[found.lastindex]}>{found[found.lastindex]}</{_TAGS[found.lastindex]}>"
    return _MARK.sub(html, escape(" ".join(text.split()), quote=False))


def plain(text: str) -> str:
    """Text without those marks, for labels, which show no HTML."""
    return _MARK.sub(lambda found: found[found.lastindex], " ".join(text.split()))
