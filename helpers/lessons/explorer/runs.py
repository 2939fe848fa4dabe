"""Trials of the freeze explorer side by side: their learning curves, and a table of what differs between their settings."""

from dataclasses import asdict
from html import escape

import pandas
from matplotlib.figure import Figure

from helpers.lessons.explorer.trials import Setting, Trial, short
from helpers.notebook.figures import COLOURS, styled
from helpers.training.charts import MARKERS

WORDS = {"source": "source", "task": "task", "upto": "training starts at", "per_class": "labels a class",
         "head_steps": "warm-up steps", "lr": "learning rate", "steps": "steps", "seed": "seed"}  # fmt: skip
MOST = len(MARKERS)  # trials in one figure: each has a marker of its own


def differing(settings: list[Setting]) -> list[str]:
    """The names of the settings that are not the same in all, in the order of the controls."""
    return [name for name in WORDS if len({getattr(setting, name) for setting in settings}) > 1]


def in_words(setting: Setting, names=tuple(WORDS)) -> str:
    """Settings by name: "training starts at layer4, 20 labels a class"."""
    values = _values(setting)
    return ", ".join(f"{values[n]} {WORDS[n]}" if n == "per_class" else f"{WORDS[n]} {values[n]}" for n in names)


def trial_table(trials: list[Trial]) -> pandas.DataFrame:
    """A row a trial: the settings that differ, the accuracy on the validation images with its 95% interval, and the time.

    Raises ValueError if there are none, or one of them has not been trained.
    """
    if not trials:
        raise ValueError("there is no trial to show")
    names = differing([trial.setting for trial in trials])
    rows = []
    for trial in trials:
        low, high = trial.interval
        rows.append({WORDS[name]: _values(trial.setting)[name] for name in names} | {
            "validation %": 100 * trial.accuracy, "low": 100 * low, "high": 100 * high, "n": trial.n,
            "seconds": trial.seconds})  # fmt: skip
    return pandas.DataFrame(rows, index=pandas.RangeIndex(1, len(rows) + 1, name="run"))


@styled
def plot_trials(trials: dict[int, Trial], now: Trial | None = None, preview: bool = False,
                figure: Figure | None = None, left: float = 0.0) -> Figure:  # fmt: skip
    """Learning curves: accuracy on the validation images against steps; each trial has its colour, marker and number.

    trials   {number: trial}, numbers as in the table of runs
    now      a trial that is being trained, in black, with its accuracy on the training batches (dotted)
    preview  whether `now` is a preview of the setting (dashed) instead of a run
    figure   one to draw into, from `left` on (0..1); default: a figure of its own
    Raises ValueError for more trials than there are markers.
    """
    if len(trials) > MOST:
        raise ValueError(f"{len(trials)} trials are too many for one figure; show up to {MOST}")
    figure, width = figure or Figure(figsize=(4.7, 4.3)), 1 - left
    axis = figure.add_axes((left + 0.12 * width, 0.3, 0.82 * width, 0.61))
    ends = []
    for number, trial in trials.items():
        steps, values = _curve(trial, "val_accuracy")
        look = {"color": COLOURS[(number - 1) % len(COLOURS)], "marker": MARKERS[(number - 1) % MOST]}
        axis.plot(steps, values, "-", markersize=6, label=f"run {number}", **look)
        ends.append((values[-1], steps[-1], number, look["color"]))
    height = 110.0
    for value, step, number, colour in sorted(ends, reverse=True):
        height = min(value, height - 5.5)  # so that numbers do not overlap
        axis.annotate(f"{number}", (step, height), (7, 0), textcoords="offset points", va="center", color=colour,
                      fontweight="bold", annotation_clip=False)  # fmt: skip
    if now is not None:
        axis.plot(*_curve(now, "train_accuracy"), ":", color="0.35", label="its training images", linewidth=1.6)
        axis.plot(*_curve(now, "val_accuracy"), "--" if preview else "-", color="k", marker="o", mfc="w", markersize=5,
                  label="as set now" if preview else "training now")  # fmt: skip
    drawn = [*trials.values(), *([now] if now else [])]
    if len({trial.setting.task for trial in drawn}) == 1:
        chance = 100 / len(drawn[0].setting.open().classes)
        axis.axhline(chance, color="0.5", linewidth=1)
        axis.annotate("chance", (0.01, chance), (0, 3), ("axes fraction", "data"), "offset points", color="0.35", fontsize=10)
    most = max([trial.setting.steps + trial.setting.head_steps for trial in drawn], default=200)
    axis.set(xlim=(0, most * 1.06), ylim=(0, 103), xlabel="step")
    figure.text(left + 0.02 * width, 0.945, "accuracy on the validation images, %", fontsize=12)
    if drawn:
        axis.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.47, -0.17), ncols=3, columnspacing=1.2, handlelength=1.8)
    return figure


def runs_html(trials: dict[int, Trial], expected: dict[int, float]) -> str:
    """The table of runs: settings that are the same in all above it, a row for each run {number: ...}, notes below."""
    if not trials:
        return "<p>No runs yet. A run is kept here when its training is done.</p>"
    settings = [trial.setting for trial in trials.values()]
    names = differing(settings) or ["upto"]
    heads = ["run", *(WORDS[name] for name in names), "validation % (95&nbsp;% interval)", "n", "seconds (expected)"]
    rows = []
    for number, trial in trials.items():
        low, high = trial.interval
        cells = [f"<b>{escape(str(_values(trial.setting)[name]))}</b>" for name in names]
        cells += [f"{100 * trial.accuracy:.1f} ({100 * low:.0f} to {100 * high:.0f})", str(trial.n),
                  f"{trial.seconds:.1f} ({expected[number]:.1f})"]  # fmt: skip
        mark = f'<b style="border-left: 12px solid {COLOURS[(number - 1) % len(COLOURS)]}; padding-left: 6px">{number}</b>'
        rows.append(f'<tr><th scope="row">{mark}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    same = in_words(settings[0], [name for name in WORDS if name not in names])
    about = f"{'The same in all' if len(trials) > 1 else 'Its other settings'}: {escape(same)}."
    notes = "One run each: the intervals are for other images, not for other seeds or other labels."
    if "task" in names:
        notes += " Accuracies on different tasks cannot be compared."
    notes += " The test images stay unseen: choose a setting here, then measure it once with <code>h.fit</code>."
    return (
        f'<p>{about}</p><div style="overflow-x: auto"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p><small>{notes}</small></p>"
    )


def _values(setting: Setting) -> dict:
    return asdict(setting) | {"upto": short(setting.upto), "lr": f"{setting.lr:g}"}


def _curve(trial: Trial, column: str) -> tuple[list[int], list[float]]:
    return [row["step"] for row in trial.history], [100 * row[column] for row in trial.history]
