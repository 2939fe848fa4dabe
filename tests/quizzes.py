"""Questions that the tests of the quizzes ask, and what they share."""

from html.parser import HTMLParser

import pytest

from helpers.notebook import questions
from helpers.notebook.questions import find

EXAMPLES = """
[[question]]
id = "benefit"
kind = "choice"
text = "What is the *main* benefit of `transfer`?"
hint = "Think of how many images you have."
choices = [
  { text = "It needs no images", feedback = "The target's images are needed all the same: they train the head." },
  { text = "It needs **fewer** images", right = true, feedback = "The features were learned elsewhere & <early>." },
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
def example(tmp_path, monkeypatch):
    """example("benefit"): a question of EXAMPLES, which are the only file of quizzes, 77.toml."""
    (tmp_path / "77.toml").write_text(EXAMPLES, encoding="utf-8")
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    return lambda id: find(f"77/{id}")


def right_answer(question):
    if question.kind == "number":
        return next(choice.value for choice in question.choices if choice.right)
    right = [position for position, choice in enumerate(question.choices) if choice.right]
    return right[0] if question.kind == "choice" else right


def letter(question, text):
    """The letter of the choice that begins with this text."""
    return next("ABC"[position] for position, choice in enumerate(question.choices) if choice.text.startswith(text))


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
