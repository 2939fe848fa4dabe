"""Progress of long work: one line that moves, and one line that stays."""

import sys
import time
from html import escape


class Progress:
    """Shows how far work of `total` steps is; `done(text)` replaces the moving line with `text`.

    In a notebook the line is a display that is updated in place: the saved notebook keeps only the last text, and no
    widget state (tqdm's notebook bar would leave both). In a terminal a line is rewritten in place; where output goes to
    a file, only the last text is written. With megabytes=True steps are bytes, shown as MB; total=0: not known.
    """

    def __init__(self, total: int, label: str = "", *, megabytes: bool = False):
        self.total, self.label, self.count, self.megabytes = total, label, 0, megabytes
        self.before = 0  # the part of `count` that was done earlier
        self.started = self.shown = time.monotonic()
        self.terminal = sys.stdout.isatty()
        self.display = _notebook_display()

    def step(self, count: int = 1, text: str = "") -> None:
        """`count` more steps are done; the line is redrawn at most five times a second (with a count of 0 always)."""
        self.count += count
        now = time.monotonic()
        if count and now - self.shown < 0.2:
            return
        self.shown = now
        line = self._line(now - self.started) + (f", {text}" if text else "")
        if self.display:
            of_known = f' value="{self.count}" max="{self.total}"' if self.total else ""
            bar = f'<progress{of_known} aria-label="{escape(self.label)}"></progress>'
            self.display.update({"text/plain": line, "text/html": f"{bar} {escape(line)}"}, raw=True)
        elif self.terminal:
            print("\r\x1b[K" + line, end="", flush=True)

    def _line(self, seconds: float) -> str:
        shown, whole = (f"{n / 1e6:,.1f}" if self.megabytes else n for n in (self.count, self.total))
        parts = [f"{self.label} {shown}{f'/{whole}' if self.total else ''}{' MB' if self.megabytes else ''}"]
        if self.total and self.count > self.before:
            left = seconds / (self.count - self.before) * max(self.total - self.count, 0)
            parts.append(f"{left:.0f} s left" if left < 120 else f"{left / 60:.0f} min left")
        return ", ".join(parts)

    def go_on_from(self, count: int) -> None:
        """This many steps were done earlier: they do not count for the time that is left."""
        self.count = self.before = count
        self.started = time.monotonic()

    def done(self, text: str) -> None:
        """Replace the moving line with `text`."""
        if self.display:
            self.display.update({"text/plain": text}, raw=True)
        else:
            print(("\r\x1b[K" if self.terminal else "") + text, flush=True)


class Silent:
    """A progress line for work elsewhere: it shows nothing."""

    def step(self, count: int = 1, text: str = "") -> None:
        pass


def _notebook_display():
    """A display that can be updated, in a Jupyter kernel; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display({"text/plain": ""}, raw=True, display_id=True)
