"""Answers to the labs' checks, a module a lab.

    RIGHT = {check: {how it is done: answer}}
    WRONG = {check: {the finding that it gets: answer}}
"""


class Given:
    """An answer to a check that also takes other arguments: `more` are functions that make them."""

    def __init__(self, answer, *more, **settings):
        self.answer, self.more, self.settings = answer, more, settings


def arguments(answer):
    """How an answer is passed to its check: (arguments, settings)."""
    if isinstance(answer, Given):
        return (answer.answer, *(make() for make in answer.more)), answer.settings
    return (answer,), {}
