"""Figures of studies: lines over a condition, a map of two conditions, differences with their intervals."""

import textwrap

import pandas
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter, NullLocator

from helpers.notebook.figures import COLOURS, SMALL, new_axes, styled

MARKERS = "osD^vPX"
PALE = 0.55  # how much of the colours of a map is used: black numbers stand out from every one of them
_WORDS = {"per_class": "training images per class"}


@styled
def plot_lines(study, x: str, line: str, panel: str | None = None, live=None,
               column: str = "accuracy", label: str = "", height: float = 3.9) -> Figure:  # fmt: skip
    """Means with 95% intervals over the condition `x`, a line for each value of `line`, a panel for each of `panel`.

    live    another study of the same conditions, drawn over it as large open markers with dotted intervals
    column  "accuracy" (test images, in %) or another column of the runs, which `label` then says in words
    Numbers on x that span more than a factor of ten get a logarithmic axis.
    Raises ValueError for more lines than can be told apart, and what `Study.table` and `Study.values` raise.
    """
    panels = list(study.runs[panel].unique()) if panel else [None]
    lines, places = list(study.runs[line].unique()), _places(study, x)
    if len(lines) > len(MARKERS):
        raise ValueError(f"{len(lines)} values of {line!r} cannot be told apart; select up to {len(MARKERS)}")
    figure, (axes,) = new_axes(1, len(panels), (1.8 + 4.2 * len(panels), height), sharey=True)
    for axis, value in zip(axes, panels, strict=True):
        for part, is_live in ((study, False), (live, True)):
            if part is None or (panel and value not in set(part.runs[panel])):
                continue
            part = part.select(**{panel: value}) if panel else part
            table = _means(part, column, [line, x])
            for i, name in enumerate(lines):
                if name in table.index.get_level_values(0):
                    _line(axis, table.loc[name], places, i, len(lines), name, is_live)
        _scale(axis, places)
        axis.set(xlabel=_words(x), title=textwrap.fill(str(value), 40) if panel else "")
    axes[0].set_ylabel(label or ("test accuracy, %" if column == "accuracy" else _words(column)))
    if column == "accuracy":
        axes[0].set_ylim(0, 102)
    handles, names = axes[0].get_legend_handles_labels()
    if live is not None:
        handles.append(Line2D([], [], marker="o", linestyle="none", mfc="none", color="0.3", markersize=12, mew=2))
        names.append("measured here")
    axes[-1].legend(handles, names, title=_words(line), loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def plot_map(study, x: str, y: str, panel: str | None = None, differences_to=None, chosen=None) -> Figure:
    """A map: test accuracy in % by colour and number, with its 95% interval below it, over two conditions.

    The best of each column has a frame. Values of `y` are listed from top to bottom.
    chosen: {value of panel: (x, y)}, cells that were chosen without the test: these have the frames instead.
    differences_to: show points above this value of `y` instead (paired), where the interval leaves out zero in bold.
    """
    panels = list(study.runs[panel].unique()) if panel else [None]
    columns, rows = list(study.runs[x].unique()), [v for v in study.runs[y].unique() if v != differences_to]
    size = (1.9 + (0.3 + 1.1 * len(columns)) * len(panels), 1.3 + 0.75 * len(rows))
    figure, (axes,) = new_axes(1, len(panels), size, sharey=True)
    for axis, value in zip(axes, panels, strict=True):
        part = study.select(**{panel: value}) if panel else study
        table = part.paired(y, differences_to, by=[x]) if differences_to is not None else part.table([x, y])
        numbers = table.iloc[:, 0].unstack(0).reindex(index=rows, columns=columns)
        if differences_to is None:
            colours = {"cmap": "Blues", "vmin": 0, "vmax": 100 / PALE}
        else:
            reach = max(30.0, float(numbers.abs().max().max()))
            colours = {"cmap": "RdBu", "vmin": -reach, "vmax": reach, "alpha": PALE}
        axis.imshow(numbers.to_numpy(float), aspect="auto", **colours)
        framed = {at: numbers[at].idxmax() for at in columns if differences_to is None and numbers[at].notna().any()}
        if chosen is not None:
            framed = dict([chosen[value]])
        for i, row in enumerate(rows):
            for j, at in enumerate(columns):
                if (at, row) not in table.index:
                    continue
                cell, number = table.loc[(at, row)], numbers.loc[row, at]
                bold = cell.get("supported") == "yes" or framed.get(at) == row
                text = f"{round(number):+d}" if differences_to is not None else f"{number:.0f}"
                axis.text(j, i - 0.12, text, ha="center", va="center", color="k", fontsize=14,
                          fontweight="bold" if bold else "normal")  # fmt: skip
                axis.text(j, i + 0.27, f"{round(cell['low'])} to {round(cell['high'])}", ha="center", va="center", fontsize=11,
                          color="k")  # fmt: skip
                if differences_to is None and bold:
                    axis.add_patch(Rectangle((j - 0.46, i - 0.45), 0.92, 0.9, fill=False, linewidth=2.5, edgecolor=COLOURS[1]))
        axis.grid(False)
        axis.set(xlabel=_words(x), title=textwrap.fill(str(value), 30) if panel else "")
        axis.set_xticks(range(len(columns)), columns)
        axis.set_yticks(range(len(rows)), rows)
    axes[0].set_ylabel(_words(y))
    return figure


@styled
def plot_differences(paired: pandas.DataFrame, title: str = "", label: str = "difference, points of test accuracy") -> Figure:
    """A forest plot of a table from `Study.paired`: points with intervals, zero as a line.

    Filled markers are differences whose interval leaves out zero. Raises ValueError for a table of another kind.
    """
    if not {"points", "low", "high", "supported"} <= set(paired.columns) or paired.empty:
        raise ValueError("plot_differences takes the table of paired(): points, low, high, supported")
    names = [", ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in paired.index]
    figure, ((axis,),) = new_axes(1, 1, (8.5, 1.3 + 0.42 * len(names)))
    axis.axvline(0, color="0.25", linewidth=1.2)
    for i, (_, row) in enumerate(paired.iterrows()):
        sure = row["supported"] == "yes"
        colour = (COLOURS[0] if row["points"] > 0 else COLOURS[1]) if sure else "0.45"
        axis.errorbar(row["points"], i, xerr=[[row["points"] - row["low"]], [row["high"] - row["points"]]], fmt="o", capsize=4,
                      color=colour, mfc=colour if sure else "w", markersize=9)  # fmt: skip
        end, side, align = ("low", -9, "right") if row["points"] < 0 else ("high", 9, "left")  # away from zero
        place = {"textcoords": "offset points", "va": "center", "ha": align, "bbox": {"fc": "w", "ec": "none", "pad": 1}}
        axis.annotate(f"{row['points'] + 0:+.1f}", (row[end], i), (side, 0), fontsize=SMALL, **place)
    axis.margins(x=0.12)
    axis.set(xlabel=label, ylim=(len(names) - 0.4, -0.8), title=title)
    axis.set_yticks(range(len(names)), names)
    return figure


@styled
def plot_comparison(study) -> Figure:
    """A study whose condition is "recipe": each run a small dot, each recipe's mean with its 95% interval."""
    names = list(study.runs["recipe"].unique())
    figure, ((axis,),) = new_axes(1, 1, (5.6, 1.6 + 0.6 * len(names)))
    table = study.table("recipe")
    for i, name in enumerate(names):
        row, colour = table.loc[name], COLOURS[i % len(COLOURS)]
        mean = row["accuracy %"]
        runs = 100 * study.runs.loc[study.runs["recipe"] == name, "accuracy"]
        axis.plot(runs, [i + 0.22] * len(runs), "o", color=colour, alpha=0.45, markersize=5)
        error = [[mean - row["low"]], [row["high"] - mean]]
        axis.errorbar(mean, i, xerr=error, fmt="o", color=colour, markersize=9, capsize=5, elinewidth=2.5)
        axis.annotate(f"{mean:.0f}", (mean, i), (0, 9), textcoords="offset points", ha="center")
    axis.set(xlim=(0, 100), xlabel="test accuracy, %", ylim=(len(names) - 0.3, -0.6))
    axis.set_yticks(range(len(names)), names)
    counts = f"{int(table.seeds.iloc[0])} seeds, n = {int(table.n.iloc[0])}"
    axis.set_title(f"{textwrap.fill(study.question, 42)}\n{counts}", fontsize=11)
    return figure


def _words(condition: str) -> str:
    return _WORDS.get(condition, condition.replace("_", " "))


def _means(study, column: str, by: list[str]) -> pandas.DataFrame:
    if column == "accuracy":
        return study.table(by).rename(columns={"accuracy %": "mean"})
    return study.values(column, by)


def _line(axis, table, places: dict, i: int, count: int, name, live: bool) -> None:
    """One line, its markers moved aside a little so that intervals do not hide one another."""
    wide = max(places.values()) - min(places.values()) or 1
    numeric = _logarithmic(places)
    at = [places[key] * (1.03 ** (i - (count - 1) / 2)) if numeric else places[key] + 0.012 * wide * (i - (count - 1) / 2)
          for key in table.index]  # fmt: skip
    spread = [(table["mean"] - table["low"]).clip(lower=0), (table["high"] - table["mean"]).clip(lower=0)]
    style = {"linestyle": "none", "mfc": "none", "markersize": 13, "elinewidth": 1.2, "mew": 2} if live else {"markersize": 6}
    bars = axis.errorbar(at, table["mean"], yerr=spread, marker=MARKERS[i], color=COLOURS[i], capsize=0 if live else 3,
                         label="_live" if live else str(name), **style)  # fmt: skip
    if live:
        for part in bars[2]:
            part.set_linestyle(":")


def _places(study, x: str) -> dict:
    """Where each value of a condition goes on the axis: numbers at their value, words one after the other."""
    values = list(study.runs[x].unique())
    try:
        return {value: float(value) for value in sorted(values)}
    except (TypeError, ValueError):
        return {value: i for i, value in enumerate(values)}


def _logarithmic(places: dict) -> bool:
    numbers = [key for key in places if not isinstance(key, str)]
    return len(numbers) == len(places) and min(numbers) > 0 and max(numbers) > 10 * min(numbers)


def _scale(axis, places: dict) -> None:
    if _logarithmic(places):
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(list(places.values()), [f"{key:g}" if not isinstance(key, str) else key for key in places])
