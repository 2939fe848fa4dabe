"""The questions of the quizzes: read from helpers/quizzes/*.toml, checked, answered. No widgets in here."""

import difflib
import random
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "quizzes"
KINDS = ("choice", "several", "order", "number")
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Choice:
    """One thing that can be answered. `feedback` says why it is right or wrong; `value`: of a number question."""

    text: str
    feedback: str = ""
    right: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Feedback:
    """What a student hears: whether it was right, in one sentence, and then why."""

    right: bool
    verdict: str
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join([self.verdict, *(f"- {note}" for note in self.notes)])


@dataclass(frozen=True)
class Question:
    """One question.

    kind       "choice": one of the choices is right. "several": one or more are. "order": the choices are given in
               the right order. "number": the choices are the right number and common mistakes
    feedback   of an order: why it is this one; of a number: what to say to a number that is none of the choices
    tolerance  of a number: how far from it still counts as it
    order      the places of the choices in the order in which they are listed
    """

    id: str
    kind: str
    text: str
    hint: str
    choices: tuple[Choice, ...]
    feedback: str = ""
    tolerance: float = 0.0
    unit: str = ""
    order: tuple[int, ...] = ()

    @property
    def shown(self) -> list[Choice]:
        """The choices as they are listed."""
        return [self.choices[place] for place in self.order or range(len(self.choices))]

    def answer(self, given) -> Feedback:
        """Judge an answer. A choice is named by its letter, its text or its place in `shown`, counted from 0.

        choice: one of them; several: a collection of them, or their letters ("AC"); order: all of them, in the order
        that you think right ("BADC"); number: a number, or text with one. Raises ValueError for anything else.
        """
        if self.kind == "choice":
            return self._one(self._pick(given))
        if self.kind == "several":
            return self._several(self._picks(given))
        if self.kind == "order":
            return self._order(self._picks(given))
        return self._number(parse_number(given))

    def _pick(self, given) -> Choice:
        shown = self.shown
        if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(shown):
            return shown[given]
        if isinstance(given, str):
            for letter, choice in zip(LETTERS, shown, strict=False):
                if given.strip().upper().rstrip(".") == letter or given == choice.text:
                    return choice
        raise ValueError(f"{given!r} is none of the choices: answer with one of {', '.join(LETTERS[: len(shown)])}")

    def _picks(self, given) -> list[Choice]:
        if isinstance(given, str) and given not in [choice.text for choice in self.choices]:
            given = re.sub(r"[\s,;.]", "", given)
        elif isinstance(given, (str, int)) or not isinstance(given, Iterable):
            given = [given]
        picks = [self._pick(one) for one in given]
        if len(set(picks)) < len(picks):
            raise ValueError("name each choice at most once")
        return picks

    def _one(self, choice: Choice) -> Feedback:
        return Feedback(choice.right, "Right." if choice.right else "Not this one.", (choice.feedback,))

    def _several(self, picks: list[Choice]) -> Feedback:
        wrong = [choice for choice in picks if not choice.right]
        missing = sum(choice.right for choice in self.choices) - (len(picks) - len(wrong))
        if not wrong and not missing:
            return Feedback(True, "Right, all of them.", tuple(_named(choice) for choice in self.choices))
        parts = [f"{len(wrong)} of your choices {'is' if len(wrong) == 1 else 'are'} wrong"] if wrong else []
        parts += [f"{missing} right {'one is' if missing == 1 else 'ones are'} missing"] if missing else []
        verdict = f"Not yet: {' and '.join(parts)}."
        return Feedback(False, verdict, tuple(_named(choice, mark=True) for choice in picks))

    def _order(self, picks: list[Choice]) -> Feedback:
        if len(picks) < len(self.choices):
            raise ValueError(f"put all {len(self.choices)} steps in order, each once")
        for place, (given, right) in enumerate(zip(picks, self.choices, strict=True), 1):
            if given != right:
                good = f"The first {place - 1} {'is' if place == 2 else 'are'} right. " if place > 1 else ""
                why = given.feedback or f"Something else has to come before it: {self.hint}"
                return Feedback(False, f"Not yet. {good}Number {place} is another one.", (f"{given.text}: {why}",))
        return Feedback(True, "Right.", (self.feedback,))

    def _number(self, given: float) -> Feedback:
        for choice in sorted(self.choices, key=lambda choice: not choice.right):
            if abs(given - choice.value) <= self.tolerance + 1e-9 * abs(choice.value):
                return Feedback(choice.right, "Right." if choice.right else "No.", (choice.feedback,))
        return Feedback(False, "No.", (self.feedback,))


def _named(choice: Choice, mark: bool = False) -> str:
    verdict = (" Right: " if choice.right else " Wrong: ") if mark else ": "
    return f"{choice.text.rstrip('.:')}{'.' if mark else ''}{verdict}{choice.feedback}"


def parse_number(given) -> float:
    """A number from a number or from text such as "5,130", "2.5 %" or "1e-3". Raises ValueError for none."""
    text = str(given).replace(" ", "").replace("\u2212", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text).replace(",", ".")
    found = re.fullmatch(r"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\D*", text)
    if not found:
        raise ValueError(f"{given!r} is no number: write it in figures, such as 5130 or 0.25")
    return float(found.group(1))


def find(name: str) -> Question:
    """The question "01/two-steps" of helpers/quizzes/01.toml. Raises ValueError, with what there is, for others."""
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
    """All questions of a file. Raises ValueError, naming file and question, for the first thing that is wrong."""
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{Path(path).name} is not valid TOML: {error}") from error
    if data.keys() != {"question"}:
        raise ValueError(f"{Path(path).name} holds [[question]] tables and nothing else, got {', '.join(data) or 'nothing'}")
    questions = tuple(_question(entry, Path(path).name, place) for place, entry in enumerate(data["question"], 1))
    questions = _shuffled(questions)
    names = [question.id for question in questions]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{Path(path).name}: two questions have the id {', '.join(sorted(twice))}")
    return questions


def _shuffled(questions) -> tuple[Question, ...]:
    """Choices in another order than in the file, always the same one; right answers change places from question to
    question. Numbers stay as they are. The dice are of our own: the student's random numbers stay as they are."""
    before, done = None, []
    for question in questions:
        order, dice = list(range(len(question.choices))), random.Random(question.id)
        right = [choice.right for choice in question.choices]
        while question.kind != "number":
            dice.shuffle(order)
            if question.kind == "order" and order == sorted(order):
                continue
            if question.kind == "choice":
                place = order.index(right.index(True))
                if place == before:
                    continue
                before = place
            break
        done.append(replace(question, order=tuple(order)))
    return tuple(done)


def _question(entry: dict, file: str, place: int) -> Question:
    where = f"{file}, question {entry.get('id', place)}"

    def need(condition, words):
        if not condition:
            raise ValueError(f"{where}: {words}")

    known = {"id", "kind", "text", "hint", "choices", "feedback", "tolerance", "unit"}
    need(not entry.keys() - known, f"unknown {', '.join(sorted(entry.keys() - known))}; there are {', '.join(sorted(known))}")
    kind, choices = entry.get("kind"), entry.get("choices", [])
    need(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.get("id", "")), "needs an id such as \"two-steps\"")
    need(kind in KINDS, f"needs a kind, one of {', '.join(KINDS)}, got {kind!r}")
    need(len(entry.get("text", "")) >= 15, "needs a text")
    need(len(entry.get("hint", "")) >= 15, "needs a hint that helps, and does not give the answer")
    need(3 <= len(choices) <= len(LETTERS), f"needs 3 to {len(LETTERS)} choices, got {len(choices)}")
    for choice in choices:
        unknown = choice.keys() - ({"feedback", "right", "text"} | ({"value"} if kind == "number" else set()))
        need(not unknown, f"unknown {', '.join(sorted(unknown))} in a choice")
        name = choice.setdefault("text", f"{choice['value']:,}" if "value" in choice else "")
        need(name, "has a choice without " + ("a value" if kind == "number" else "a text"))
        need(kind != "number" or isinstance(choice.get("value"), (int, float)), f"choice {name!r} needs a value, a number")
        need(kind == "order" or len(choice.get("feedback", "")) >= 25, f"choice {name!r} needs feedback that says why")
    need(len({choice["text"] for choice in choices}) == len(choices), "has the same choice twice")
    said = [choice["feedback"] for choice in choices if choice.get("feedback")]
    need(len(set(said)) == len(said), "says the same about two choices")
    right = sum(choice.get("right", False) for choice in choices)
    if kind == "order":
        need(not right, "an order marks no choice as right: list them in the right order")
    else:
        need(right >= 1 if kind == "several" else right == 1, f"has {right} right choices")
    if kind in ("order", "number"):
        need(len(entry.get("feedback", "")) >= 25, f"needs a feedback of its own, since it is a question of kind {kind}")
    if kind == "number":
        near = 2 * entry.get("tolerance", 0)
        values = sorted(choice["value"] for choice in choices)
        need(all(b - a > near for a, b in zip(values, values[1:], strict=False)), "has numbers within each other's tolerance")
    texts = [entry["text"], entry["hint"], entry.get("feedback", ""), *said, *(choice["text"] for choice in choices)]
    need(not any("$" in text for text in texts), "has a $: formulas are not shown in quizzes, write them in words")
    need(not any(text.count("`") % 2 for text in texts), "has a ` without its partner")
    return Question(**entry | {"choices": tuple(Choice(**choice) for choice in choices)})
