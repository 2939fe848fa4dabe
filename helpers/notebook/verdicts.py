"""How a check's verdict is shown: as a card in a notebook, as lines of text elsewhere."""

from dataclasses import dataclass
from html import escape

# Dark enough to be read on white, light enough on black; told apart by sign and word, too.
_COLOURS = {True: "#1a7f4b", False: "#b35900"}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check.

    name, what: the check, and what it asks for. finding: the kind of mistake, "" if it passed.
    seen, expected: one line each. hint: its number ("hint 1 of 2") and text. note: shown behind "passed".
    """

    name: str
    what: str
    passed: bool
    finding: str = ""
    seen: str = ""
    expected: str = ""
    hint: tuple[str, str] = ("", "")
    note: str = ""

    @property
    def title(self) -> str:
        return ("✔ passed: " if self.passed else "✘ not yet: ") + self.name

    def _lines(self) -> list[tuple[str, str]]:
        if self.passed:
            return [("", self.note)] if self.note else []
        return [("seen", self.seen), ("expected", self.expected), self.hint]

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self._lines()), default=0)
        lines = [f"    {label + ':' if label else '':{width + 2}}{text}" for label, text in self._lines()]
        return "\n".join([f"{self.title} ({self.what.rstrip('.')})", *lines])

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.passed]
        rows = "".join(
            f'<div style="margin-top:0.2em">{f"<b>{escape(label)}:</b> " if label else ""}{escape(text)}</div>'
            for label, text in self._lines()
        )
        return (
            f'<div role="status" style="border-left:0.4em solid {colour}; padding:0.4em 0.8em; margin:0.2em 0; max-width:52em">'
            f'<b style="color:{colour}">{escape(self.title)}</b> <span>{escape(self.what)}</span>{rows}</div>'
        )
