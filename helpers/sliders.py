"""A figure that follows sliders and buttons: a PNG with words in a widget, and a plain picture where widgets cannot live."""

import base64
import io
from collections.abc import Callable
from html import escape

from matplotlib.figure import Figure

from helpers.attribution import credited, credits_text, figure_credits
from helpers.live import show_widget
from helpers.plots import COLOURS, _axes, _in_style
from helpers.study import Study

ALONE = "scratch"  # the depth that transfers nothing: a line across the figure


def browse(draw: Callable, **choices) -> None:
    """Show what `draw` draws, and let the reader choose the values that it draws for.

    draw     called with a value for each name, returns (Figure, text): the text says what there is to see
    choices  name=[values]: a slider for numbers, buttons for words; a name's underscores are shown as spaces

    Both work by mouse and by keyboard (Tab to reach one; then arrow keys move a slider, the space bar chooses a button; in a
    drop-down menu JupyterLab would take the arrow keys for itself). Where no kernel runs, the figure of
    the first values stands in their place. Raises ValueError for a choice without values.
    """
    start = _first(choices)
    picture, text = _picture(*draw(**start))
    shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in start.items())
    html = picture_html(picture, text, f"{text} (Run this cell to choose; shown is {shown}.)")
    show_widget(make_browser(draw, **choices), {"text/html": html, "text/plain": f"[figure] {text}"})


def picture_html(picture: bytes, alt: str, caption: str) -> str:
    """A PNG as HTML, with words for those who do not see it and a caption: what stands where widgets cannot live."""
    return (
        f'<figure style="margin:0"><img src="data:image/png;base64,{base64.b64encode(picture).decode()}" '
        f'alt="{escape(alt)}" style="max-width:100%"><figcaption><small>{escape(caption)}</small></figcaption></figure>'
    )


def make_browser(draw: Callable, **choices):
    """The widgets of `browse`, a VBox: the controls, the image, and the text below it. Within ipywidgets 7.7's API."""
    import ipywidgets as widgets

    start = _first(choices)
    controls = {name: _control(widgets, name, values) for name, values in choices.items()}
    picture, text = _picture(*draw(**start))
    image, words = widgets.HTML(), widgets.HTML(escape(text))
    image.value = image_html(picture, text)

    def follow(_=None):
        picture, said = _picture(*draw(**{name: control.value for name, control in controls.items()}))
        image.value, words.value = image_html(picture, said), escape(said)

    for control in controls.values():
        control.observe(follow, names="value")
    return widgets.VBox([*controls.values(), image, words])


def image_html(picture: bytes, alt: str, width: str = "auto", name: str = "course-figure") -> str:
    """A PNG as HTML, for a widget that follows a control (an Image widget has no words for those who do not see it).

    It keeps its place while it is exchanged, so that nothing below it jumps. name: its class.
    """
    wide, high = (int.from_bytes(picture[place : place + 4], "big") for place in (16, 20))  # of the PNG's header
    data = base64.b64encode(picture).decode()
    return (
        f'<img class="{name}" src="data:image/png;base64,{data}" alt="{escape(alt)}" style="width: {width}; max-width: 100%; '
        f'aspect-ratio: {wide} / {high}; background: white">'
    )


def _first(choices: dict) -> dict:
    for name, values in choices.items():
        if len(values) == 0:
            raise ValueError(f"there is nothing to choose for {name!r}: give a list of values")
    return {name: values[0] for name, values in choices.items()}


def _control(widgets, name: str, values):
    settings = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if all(isinstance(value, (int, float)) for value in values):
        return widgets.SelectionSlider(options=list(values), value=values[0], continuous_update=False, **settings)
    return widgets.RadioButtons(options=list(values), value=values[0], **settings)


def _picture(figure: Figure, text: str) -> tuple[bytes, str]:
    buffer, text = io.BytesIO(), text + credits_text(figure_credits(credited(figure)))
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue(), text


@_in_style
def draw_depth(study: Study, task: str, labels: int, scratch: str = ALONE) -> tuple[Figure, str]:
    """One target of a study of depths at one number of labels a class, and what is to be seen.

    study   with the conditions task, per_class and depth, of which one is `scratch`
    The chosen number of labels is drawn with its 95 % intervals, the others pale; scratch is a band across.
    Returns the figure and a text: the best depth, which others cannot be told from it (the interval of the paired
    difference holds zero), and scratch. Raises ValueError for a target or number of labels that the study lacks.
    """
    part = study.select(task=task, per_class=labels)
    depths = [depth for depth in study.runs.depth.unique() if depth != scratch]
    figure, ((axis,),) = _axes(1, 1, (8.2, 3.9))
    for other in study.select(task=task).runs.per_class.unique():
        if other != labels:
            pale = study.select(task=task, per_class=int(other)).table("depth")["accuracy %"].reindex(depths)
            axis.plot(depths, pale, color="0.75", linewidth=1.5)
            axis.annotate(f"{other} labels", (depths[-1], pale.iloc[-1]), (8, 0), textcoords="offset points", va="center",
                          color="0.45", fontsize=10)  # fmt: skip
    table = part.table("depth")
    alone, rows = table.loc[scratch], table.reindex(depths)
    axis.axhspan(alone["low"], alone["high"], color=COLOURS[1], alpha=0.15)
    axis.axhline(alone["accuracy %"], color=COLOURS[1], linestyle="--")
    axis.annotate("from scratch", (0, alone["accuracy %"]), (-4, 5), textcoords="offset points", color=COLOURS[1])
    spread = [rows["accuracy %"] - rows["low"], rows["high"] - rows["accuracy %"]]
    axis.errorbar(depths, rows["accuracy %"], yerr=spread, fmt="o-", color=COLOURS[0], capsize=4, markersize=8)
    for i, value in enumerate(rows["accuracy %"]):
        axis.annotate(f"{value:.0f}", (i, value), (10, -4), textcoords="offset points", color=COLOURS[0])
    title = f"{task}, {labels} labels a class, {rows['seeds'].iloc[0]:.0f} seeds, n = {rows['n'].iloc[0]:.0f}"
    axis.set(ylim=(0, 104), xlim=(-0.4, len(depths) - 0.3), title=title)
    axis.set(ylabel="test accuracy, %", xlabel="first stage that trains")
    return figure, describe_depth(study, task, labels, scratch)


def describe_depth(study: Study, task: str, labels: int, scratch: str = ALONE) -> str:
    """What a study of depths says of a target at a number of labels a class, in two sentences."""
    part = study.select(task=task, per_class=labels)
    table = part.table("depth")
    best = table.drop(index=scratch)["accuracy %"].idxmax()
    gaps = part.paired("depth", best)
    near = [depth for depth in gaps.index if gaps.supported[depth] == "no" and depth != scratch]
    gain = gaps.loc[scratch]

    def percent(name):
        row = table.loc[name]
        return f"{row['accuracy %']:.0f} % ({row['low']:.0f} to {row['high']:.0f})"

    ties = f"; not to be told from it: {', '.join(near)}" if near else "; every other depth is behind it"
    worth = (
        f"which is behind by {-gain['points']:.0f} points ({-gain['high']:.0f} to {-gain['low']:.0f})"
        if gain["supported"] == "yes" and gain["points"] < 0
        else f"which is ahead by {gain['points']:.0f} points ({gain['low']:.0f} to {gain['high']:.0f})"
        if gain["supported"] == "yes"
        else "which is not to be told from it, either"
    )
    return (
        f"{task}, {labels} labels a class: best where training starts at {best}, {percent(best)}{ties}. "
        f"From scratch {percent(scratch)}, {worth}."
    )
