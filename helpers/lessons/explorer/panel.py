"""The freeze explorer: set how deep a network is frozen, see what that costs, train it, and hold runs side by side.

What it does is in bench.py, what a setting costs in prospects.py, how it trains in trials.py, the table in comparing.py;
here are its widgets, and the same figure without them.
"""

import io
from functools import lru_cache, partial
from html import escape

from matplotlib.figure import Figure
from PIL import Image

from helpers.images.tasks import EMBEDDED
from helpers.lessons.explorer.bench import Bench
from helpers.lessons.explorer.comparing import in_words, plot_trials, table_html, trial_table
from helpers.lessons.explorer.prospects import Prospect, amount, depth_table, prospect
from helpers.lessons.explorer.trials import Setting, Trial, short
from helpers.lessons.variants.diagrams import plot_network
from helpers.notebook.widgets import image_html, picture_html, show_widget
from helpers.sources.backbones import shipped_sources

LABELS, WARM_UPS, RATES = (2, 5, 10, 20, 50, 100), (0, 50, 100, 200), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
STYLE = """<style>
.course-explorer .widget-radio-box { flex-flow: row wrap; column-gap: 14px; max-width: 100%; height: auto; overflow: visible }
.course-explorer .widget-radio-box label { width: auto; margin: 1px 0; height: auto }
.course-explorer .widget-radio { width: 100%; height: auto }
.course-explorer .widget-radio > .widget-label, .course-explorer .widget-hslider > .widget-label {
  width: 105px; text-align: left }
.course-explorer .widget-hslider { width: 100%; max-width: 26em }
.course-explorer .widget-html, .course-explorer .widget-html-content { height: auto; line-height: 1.4; white-space: normal;
  max-width: 100%; overflow: visible }
.course-explorer .lm-Widget, .course-explorer .p-Widget { margin-left: 0; margin-right: 0; box-sizing: border-box }
.course-explorer .explorer-numbers { padding-right: 16px }
.course-explorer .explorer-numbers table { font-size: 13px }
.course-explorer .widget-button { margin-right: 6px }
.course-explorer p { margin: 4px 0 }
.course-explorer table { border-collapse: collapse; margin: 4px 0; font-size: 14px }
.course-explorer td, .course-explorer th { padding: 3px 8px; text-align: left; vertical-align: top; white-space: normal }
.course-explorer tr { border-bottom: 1px solid rgba(128, 128, 128, .35) }
.course-explorer :focus-visible { outline: 3px solid #0072b2; outline-offset: 2px }
</style>"""


def draw_explorer(setting: Setting | None = None, trials: list[Trial] = ()) -> tuple[Figure, str]:
    """The explorer's figure without its widgets, and what is to be seen: the network as it is set, and the trials' curves.

        figure, text = draw_explorer(Setting(upto="layer2"), [try_setting(Setting(upto="fc"))])
        show(figure, text)

    Raises ValueError for a setting that does not exist.
    """
    seen, trials = prospect(setting or Setting()), list(trials)
    figure = Figure(figsize=(9.4, 4.5))
    plot_network(_short(seen), _kept(seen), figure, 0.45)
    plot_trials(trials, figure=figure, left=0.48)
    return figure, f"{_seen(seen)} {_curves_in_words(trials)}"


def explore(setting: Setting | None = None, trials: list[Trial] = (), tasks=EMBEDDED, sources=None) -> None:
    """Show the freeze explorer. Where no kernel runs, its figure, its numbers and a table of all depths stand in its place.

    setting  where the controls stand at first; trials: runs that are kept from the start, as `try_setting` returns them
    tasks    to choose from, as in `open_task`; sources: as in `load_backbone` (default: those that come with the course)
    Raises ValueError for a setting, task or source that does not exist.
    """
    setting, trials = setting or Setting(), list(trials)
    figure, text = draw_explorer(setting, trials)
    seen = prospect(setting)
    picture = picture_html(_small_png(figure), text, f"{text} (Run this cell to explore.)")
    expected = [prospect(trial.setting).seconds for trial in trials]
    runs = table_html(trials, list(range(1, len(trials) + 1)), expected) if trials else ""
    depths = depth_table(setting).to_html(border=0, formatters={"trained": "{:,}".format}, float_format=amount)
    about = "In numbers (seconds: on the machine that stored this page)"
    html = f"{picture}<details><summary>{about}</summary>{_numbers(seen)}{runs}{depths}</details>"
    plain = f"[figure] {text}" + (f"\n{trial_table(trials).to_string()}" if trials else "")
    show_widget(make_explorer(setting, trials, tasks, sources), {"text/html": html, "text/plain": plain})


def make_explorer(setting: Setting | None = None, trials: list[Trial] = (), tasks=EMBEDDED, sources=None):
    """The explorer as an ipywidgets VBox, within the API of ipywidgets 7.7.

    Each part has a class, for styles and for tests in a browser: explorer-task, -source, -depth, -labels, -warmup, -rate,
    -train, -cancel, -said (the line that is read out), -step, -numbers, -runs, -remove-1 ..., -clear; and the two pictures,
    <img> with their words: -network, -curves.
    """
    import ipywidgets as widgets

    bench = Bench(setting or Setting(), trials)
    wide, guard = partial(widgets.Layout, width="100%"), {"busy": False}
    html = lambda value="": widgets.HTML(value, layout=wide())
    column = lambda width, *children: widgets.VBox(children, layout=widgets.Layout(width=width, min_width="280px"))
    at = bench.setting
    controls = {
        "task": _radio(widgets, "task", tasks, at.task),
        "source": _radio(widgets, "source model", sources or shipped_sources(), at.source),
        "upto": _slider(widgets, "train from", [(short(name), name) for name in bench.depths], at.upto),
        "per_class": _slider(widgets, "labels a class", _with(LABELS, at.per_class), at.per_class),
        "head_steps": _slider(widgets, "head warm-up", _with(WARM_UPS, at.head_steps), at.head_steps),
        "lr": _slider(widgets, "learning rate", [(f"{rate:g}", rate) for rate in _with(RATES, at.lr)], at.lr),
    }
    train = widgets.Button(description="Train", button_style="primary", tooltip="Train what is set, on kept features")
    cancel = widgets.Button(description="Cancel", tooltip="Stop the run that is training")
    clear = widgets.Button(description="Remove all runs", tooltip="Remove all runs from figure and table")
    said, step, numbers, runs, removers = html(), html(), html(), html(), widgets.HBox(layout=_wrapped(widgets))
    network, curves = (widgets.HTML(layout=wide(max_width="540px")) for _ in range(2))

    def tell(what):
        if what == "setting":
            picture = _network(tuple(_short(bench.prospect)), _kept(bench.prospect))
            network.value = image_html(picture, _seen(bench.prospect), "100%", "explorer-network")
            numbers.value = _numbers(bench.prospect)
        elif what == "curves":
            shown = [run.trial for run in bench.kept], [run.number for run in bench.kept]
            figure = plot_trials(*shown, bench.now, live=not bench.training)
            curves.value = image_html(_png(figure), _curves_in_words(*shown), "100%", "explorer-curves")
        elif what == "kept":
            runs.value = table_html(*([getattr(run, name) for run in bench.kept] for name in ("trial", "number", "expected")))
            removers.children = [*(_remover(widgets, bench, run.number) for run in bench.kept), *([clear] if bench.kept else [])]
        elif what == "step":
            step.value = _progress(bench)
        elif what == "said":
            colour, mark = ("#d55e00", "<b>Problem.</b> ") if bench.problem else ("#0072b2", "")
            words = f'<p style="border-left: 4px solid {colour}; padding-left: 8px; margin: 4px 0">{mark}{escape(bench.said)}</p>'
            said.value = f'<div role="alert" aria-live="assertive">{words}</div>'

    def follow(name, change):
        if guard["busy"]:
            return
        guard["busy"] = True
        try:
            bench.change(**{name: change["new"]})
            if name == "source":
                controls["upto"].options = [(short(place), place) for place in bench.depths]
            for other, control in controls.items():
                control.value = getattr(bench.setting, other)  # what was refused goes back
        finally:
            guard["busy"] = False

    bench.tell = tell
    for what in ("setting", "curves", "kept", "step", "said"):
        tell(what)
    for name, control in controls.items():
        control.observe(partial(follow, name), names="value")
    train.on_click(lambda _: bench.train())
    cancel.on_click(lambda _: bench.cancel())
    clear.on_click(lambda _: bench.clear())
    top = widgets.HBox([
        column("31%", *controls.values(), widgets.HBox([train, cancel]), step, said),
        column("31%", network), column("33%", curves),
        column("42%", numbers), column("56%", runs, removers),
    ], layout=_wrapped(widgets))  # fmt: skip
    box = widgets.VBox([widgets.HTML(STYLE), top], layout=wide())
    named = {"explorer-task": controls["task"], "explorer-source": controls["source"], "explorer-depth": controls["upto"],
             "explorer-labels": controls["per_class"], "explorer-warmup": controls["head_steps"], "explorer-rate": controls["lr"],
             "explorer-train": train, "explorer-cancel": cancel, "explorer-clear": clear, "explorer-said": said,
             "explorer-step": step, "explorer-numbers": numbers, "explorer-runs": runs, "explorer-network": network,
             "explorer-curves": curves, "course-explorer": box}  # fmt: skip
    for name, widget in named.items():
        if widget not in (network, curves):  # there it is on the picture itself
            widget.add_class(name)
    box.bench, box.named = bench, named
    return box


def _radio(widgets, description: str, options, value):
    return widgets.RadioButtons(options=_with(options, value), value=value, description=description,
                                layout=widgets.Layout(width="100%"))  # fmt: skip


def _slider(widgets, description: str, options, value):
    return widgets.SelectionSlider(options=options, value=value, description=description, continuous_update=False,
                                   layout=widgets.Layout(width="100%"))  # fmt: skip


def _with(options, value) -> list:
    """The options, and the value among them."""
    return list(options) if value in options else sorted([*options, value])


def _wrapped(widgets):
    return widgets.Layout(flex_flow="row wrap", width="100%")


def _remover(widgets, bench: Bench, number: int):
    button = widgets.Button(description=f"Remove run {number}", tooltip=f"Remove run {number} from figure and table")
    button.add_class(f"explorer-remove-{number}")
    button.on_click(lambda _: bench.remove(number))
    return button


def _progress(bench: Bench) -> str:
    if not bench.step:
        return ""
    at = f'<progress value="{bench.step.done}" max="{bench.step.total}" aria-label="training"></progress>'
    return f"{at} {escape(str(bench.step))}"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _small_png(figure: Figure) -> bytes:
    """With 64 colours, a third of the size: it is stored in notebooks."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(_png(figure))).convert("RGB").quantize(64).save(buffer, "png", optimize=True)
    return buffer.getvalue()


@lru_cache(maxsize=32)
def _network(stages: tuple, kept: str) -> bytes:
    return _png(plot_network(list(stages), kept))


def _short(seen: Prospect) -> list[tuple[str, int, str]]:
    return [(short(name), parameters, state) for name, parameters, state in seen.stages]


def _kept(seen: Prospect) -> str:
    return f"{amount(seen.cache_mb)} MB kept," if seen.cache_mb else ""


def _numbers(seen: Prospect) -> str:
    rows = "".join(f'<tr><th scope="row">{name}</th><td>{escape(value)}</td></tr>' for name, value in seen.lines.items())
    return f"<table>{rows}</table>"


def _seen(seen: Prospect) -> str:
    """The network in words."""
    frozen = [short(name) for name, _, state in seen.stages if state == "frozen"]
    cold = f"{', '.join(frozen)} frozen (hatched, with a lock)" if frozen else "nothing frozen"
    return (
        f"The network of {seen.setting.source} as a stack of stages: {cold}, training from {short(seen.reach)} on, where "
        f"the arrow of the backward pass ends; {seen.trained:,} of {seen.parameters:,} parameters train."
    )


def _curves_in_words(trials: list[Trial], numbers=None) -> str:
    if not trials:
        return "Empty axes for learning curves."
    ends = [f"run {i} ({in_words(t.setting, ['task', 'upto', 'per_class', 'lr'])}) ends at {100 * t.accuracy:.0f} %"
            for i, t in zip(numbers or range(1, len(trials) + 1), trials, strict=True)]  # fmt: skip
    return f"Learning curves, accuracy on the validation images: {'; '.join(ends)}."
