"""Trials of the freeze explorer side by side: their learning curves, and a table that says in what their settings differ."""

from dataclasses import asdict
from html import escape

import pandas
from matplotlib.figure import Figure

from helpers.lessons.explorer.trials import Setting, Trial, short
from helpers.notebook.figures import COLOURS, styled
from helpers.training.charts import MARKERS

WORDS = {"source": "source", "task": "task", "upto": "training starts at", "per_class": "labels a class",
         "head_steps": "warm-up steps", "lr": "learning rate", "steps": "steps", "seed": "seed"}  # fmt: skip
MOST = len(MARKERS)  # trials that can be told apart


def differing(settings: list[Setting]) -> list[str]:
    """The names of the settings that are not the same in all, in the order of the controls."""
    rows = [asdict(setting) for setting in settings]
    return [name for name in WORDS if len({row[name] for row in rows}) > 1]


def in_words(setting: Setting, names=tuple(WORDS)) -> str:
    """Settings by name: "training starts at layer4, 20 labels a class"."""
    values = _values(setting)
    return ", ".join(f"{values[n]} {WORDS[n]}" if n == "per_class" else f"{WORDS[n]} {values[n]}" for n in names)


def _values(setting: Setting) -> dict:
    return asdict(setting) | {"upto": short(setting.upto), "lr": f"{setting.lr:g}"}


def trial_table(trials: list[Trial]) -> pandas.DataFrame:
    """A row a trial: the settings that differ, the accuracy on the validation images with its 95 % interval, and the time.

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
def plot_trials(trials: list[Trial], numbers: list[int] | None = None, now: Trial | None = None, live: bool = False,
                figure: Figure | None = None, left: float = 0.0) -> Figure:  # fmt: skip
    """Learning curves: accuracy on the validation images against steps, a line with its own mark and number a trial.

    numbers  of the trials, by which the table knows them; default 1, 2, ...
    now      a trial that is being trained, drawn in black with its accuracy on the training batches (dotted)
    live     whether `now` is the preview of the setting (dashed) and no run of its own
    figure   one to draw into, from `left` on (0..1); default: a figure of its own
    Raises ValueError for more trials than can be told apart.
    """
    if len(trials) > MOST:
        raise ValueError(f"{len(trials)} trials cannot be told apart; show up to {MOST}")
    figure, wide = figure or Figure(figsize=(4.7, 4.3)), 1 - left
    axis = figure.add_axes((left + 0.12 * wide, 0.3, 0.82 * wide, 0.61))
    ends = []
    for trial, number in zip(trials, numbers or range(1, len(trials) + 1), strict=True):
        steps, values = _curve(trial, "val_accuracy")
        look = {"color": COLOURS[(number - 1) % len(COLOURS)], "marker": MARKERS[(number - 1) % MOST]}
        axis.plot(steps, values, "-", markersize=6, label=f"run {number}", **look)
        ends.append((values[-1], steps[-1], number, look["color"]))
    height = 110.0
    for value, step, number, colour in sorted(ends, reverse=True):
        height = min(value, height - 5.5)  # numbers do not cover one another
        axis.annotate(f"{number}", (step, height), (7, 0), textcoords="offset points", va="center", color=colour,
                      fontweight="bold", annotation_clip=False)  # fmt: skip
    if now is not None:
        axis.plot(*_curve(now, "train_accuracy"), ":", color="0.35", label="its training images", linewidth=1.6)
        axis.plot(*_curve(now, "val_accuracy"), "--" if live else "-", color="k", marker="o", mfc="w", markersize=5,
                  label="as set now" if live else "training now")  # fmt: skip
    tasks = {trial.setting.task: trial for trial in [*trials, *([now] if now else [])]}
    if len(tasks) == 1:
        (trial,) = tasks.values()
        chance = 100 / len(trial.setting.open().classes)
        axis.axhline(chance, color="0.5", linewidth=1)
        axis.annotate("chance", (0.01, chance), (0, 3), ("axes fraction", "data"), "offset points", color="0.35", fontsize=10)
    most = max([trial.setting.steps + trial.setting.head_steps for trial in [*trials, *([now] if now else [])]], default=200)
    axis.set(xlim=(0, most * 1.06), ylim=(0, 103), xlabel="step")
    figure.text(left + 0.02 * wide, 0.945, "% of the validation images named rightly", fontsize=12)
    if trials or now is not None:
        axis.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.47, -0.17), ncols=3, columnspacing=1.2, handlelength=1.8)
    else:
        axis.text(0.5, 0.55, "no run yet:\npress Train", transform=axis.transAxes, ha="center", va="center", color="0.35")
    return figure


def _curve(trial: Trial, column: str) -> tuple[list[int], list[float]]:
    return [row["step"] for row in trial.history], [100 * row[column] for row in trial.history]


def table_html(trials: list[Trial], numbers: list[int], expected: list[float]) -> str:
    """The table of the explorer: what is the same in all trials above it, a row each, what has to be kept in mind below."""
    if not trials:
        return "<p>No runs yet. A run is kept here when its training is done.</p>"
    names = differing([trial.setting for trial in trials]) or ["upto"]
    heads = ["run", *(WORDS[name] for name in names), "validation % (95&nbsp;% interval)", "n", "seconds (expected)"]
    rows = []
    for trial, number, guess in zip(trials, numbers, expected, strict=True):
        values = _values(trial.setting)
        low, high = trial.interval
        colour = COLOURS[(number - 1) % len(COLOURS)]
        rows.append([
            f'<b style="border-left: 12px solid {colour}; padding-left: 6px">{number}</b>',
            *(f"<b>{escape(str(values[name]))}</b>" for name in names),
            f"{trial.accuracy:.1%} ({low:.0%} to {high:.0%})".replace("%", ""), str(trial.n),
            f"{trial.seconds:.1f} ({guess:.1f})",
        ])  # fmt: skip
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows)
    same = [name for name in WORDS if name not in names]
    about = f"{'The same in all' if len(trials) > 1 else 'Its other settings'}: {escape(in_words(trials[0].setting, same))}."
    notes = ["One run each: the intervals are about other images of the kind, not about other seeds or other labels."]
    if "task" in names:
        notes.append("Accuracies on different tasks cannot be compared.")
    notes.append("The test images stay unseen: choose here, then measure once with <code>h.fit</code>.")
    return (
        f'<p>{about}</p><div style="overflow-x: auto"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div><p><small>{' '.join(notes)}</small></p>"
    )
