"""The questions of the quizzes: read from helpers/data/quizzes/*.toml, and answered. No widgets in here."""

import difflib
import random
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "quizzes"
LETTERS = "ABCDEFGH"


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
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join([self.verdict, *(f"- {note}" for note in self.notes)])


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

    def answer(self, given) -> Feedback:
        """Judge an answer. A choice is given by its letter, its text or its position, counted from 0.

        choice: one of them; several: a collection of them, or their letters ("AC"); number: a number, or text with one.
        Raises ValueError for anything else.
        """
        if self.kind == "number":
            return self._number(parse_number(given))
        if self.kind == "several":
            return self._several(self._picks(given))
        choice = self._pick(given)
        return Feedback(choice.right, "Right." if choice.right else "Not this one.", (choice.feedback,))

    def _pick(self, given) -> Choice:
        for position, (letter, choice) in enumerate(zip(LETTERS, self.choices, strict=False)):
            is_letter = isinstance(given, str) and given.strip().upper().rstrip(".") == letter
            is_position = isinstance(given, int) and not isinstance(given, bool) and given == position
            if is_letter or is_position or given == choice.text:
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

    def _number(self, given: float) -> Feedback:
        for choice in sorted(self.choices, key=lambda choice: not choice.right):
            if abs(given - choice.value) <= self.tolerance + 1e-9 * abs(choice.value):
                return Feedback(choice.right, "Right." if choice.right else "No.", (choice.feedback,))
        return Feedback(False, "No.", (self.feedback,))


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
        while entry["kind"] != "number":
            rng.shuffle(choices)
            if entry["kind"] == "several":
                break
            place = [choice.right for choice in choices].index(True)
            if place != before:
                before = place
                break
        questions.append(Question(**entry | {"choices": tuple(choices)}))
    return tuple(questions)
