"""The figures of the studies on photographs, docs/figures/real-NAME.png: means with 95% intervals, the message as title."""

import io
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image

from helpers.notebook.figures import COLOURS, new_axes, styled
from helpers.training.charts import MARKERS

BARS = {"capsize": 3, "elinewidth": 1.4, "markersize": 7}
NOTE = "(bars: 95% intervals)"
PALETTE = 64  # colours of a file: lines and letters look the same, at a third of the size


@dataclass(frozen=True)
class Picture:
    """What a figure shows.

    title   its message
    label   what the values are
    across  what they are shown for; the axis below, if that is numbers
    series  {name: a table with mean, low and high, a row for each number or name that they are shown for}
    dots    {number or name: values of single cases, drawn small}, and `dot` says what they are
    """

    title: str
    label: str
    across: str
    series: dict[str, pandas.DataFrame]
    dots: dict = field(default_factory=dict)
    dot: str = ""

    @property
    def places(self) -> list:
        """What values are shown for, in order, each once."""
        return list(dict.fromkeys(place for table in self.series.values() for place in table.index))

    @property
    def alt(self) -> str:
        """All that is drawn, in words."""
        lines = []
        for name, table in self.series.items():
            values = (f"{place}: {_number(row['mean'])}{_range(row)}" for place, row in table.iterrows())
            lines.append((f"{name}: " if len(self.series) > 1 else "") + ", ".join(values))
        if self.dots:
            reach = (f"{place}: {min(values):.1f} to {max(values):.1f}" for place, values in self.dots.items())
            lines.append(f"{self.dot}: " + ", ".join(reach))
        return f"{self.label}, with 95% intervals, by {self.across}. " + "; ".join(lines) + "."


@styled
def draw(picture: Picture) -> Figure:
    """Lines over numbers; over names a row for each, the values from left to right. At most three series."""
    places = picture.places
    if len(picture.series) > 3:
        raise ValueError(f"{len(picture.series)} series in one figure, at most three are told apart at a glance")
    across = all(not isinstance(place, str) for place in places)
    figure, ((axis,),) = new_axes(1, 1, (7.6, 3.6 if across else 1.9 + 0.52 * len(places)))
    (_lines if across else _rows)(axis, picture, places)
    figure.suptitle(textwrap.fill(picture.title, 84), x=0.01, ha="left", fontsize=13)
    names = [*picture.series, *[picture.dot] * bool(picture.dots)]
    if len(names) > 1:
        figure.legend(loc="outside lower center", ncols=3 if sum(map(len, names)) < 70 else 2, fontsize=11)
    return figure


def save(picture: Picture, path: Path) -> None:
    """Draw it into a PNG file of few colours."""
    buffer = io.BytesIO()
    draw(picture).savefig(buffer, format="png", dpi=100)
    path.parent.mkdir(exist_ok=True)
    Image.open(buffer).convert("RGB").quantize(PALETTE).save(path, optimize=True)


def _lines(axis, picture: Picture, places: list) -> None:
    wide = max(places) >= 10 * min(places) > 0
    for i, (name, table) in enumerate(picture.series.items()):
        aside = i - (len(picture.series) - 1) / 2  # so that intervals do not hide one another
        at = [place * 1.03**aside if wide else place + 0.008 * aside * (max(places) - min(places)) for place in table.index]
        axis.errorbar(at, table["mean"], yerr=_errors(table), fmt=f"-{MARKERS[i]}", color=COLOURS[i], label=name, **BARS)
    if wide:
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.set(xlabel=picture.across, ylabel=f"{picture.label}\n{NOTE}")


def _rows(axis, picture: Picture, places: list) -> None:
    for place, values in picture.dots.items():
        label = picture.dot if place == places[0] else None
        axis.plot(values, [places.index(place)] * len(values), "o", color="0.6", markersize=5, alpha=0.7, label=label)
    for i, (name, table) in enumerate(picture.series.items()):
        aside = 0.22 * (i - (len(picture.series) - 1) / 2) * (2 if picture.dots else 1)
        at = [places.index(place) + aside for place in table.index]
        axis.errorbar(table["mean"], at, xerr=_errors(table), fmt=MARKERS[i], color=COLOURS[i], label=name, **BARS)
    axis.set_yticks(range(len(places)), [textwrap.fill(place, 30) for place in places])
    axis.set(ylim=(len(places) - 0.5, -0.5), xlabel=f"{picture.label} {NOTE}")


def _errors(table: pandas.DataFrame) -> list:
    """How far each interval reaches below and above its mean; nothing where there is none."""
    return [(table["mean"] - table["low"]).clip(lower=0).fillna(0), (table["high"] - table["mean"]).clip(lower=0).fillna(0)]


def _number(value: float) -> str:
    return f"{value:.1f}"


def _range(row) -> str:
    return "" if pandas.isna(row["low"]) else f" ({row['low']:.1f} to {row['high']:.1f})"
