"""The freeze explorer: set how deep a network is frozen, see what that costs, train it, and compare runs.

Here are its figure without widgets, what a notebook stores, and its widgets; session.py has what they do.
"""

from functools import lru_cache, partial
from html import escape

from matplotlib.figure import Figure

from helpers.images.tasks import EMBEDDED
from helpers.lessons.explorer.costs import Cost, amount, cost_of, depth_table
from helpers.lessons.explorer.runs import in_words, plot_trials, runs_html, trial_table
from helpers.lessons.explorer.session import Session
from helpers.lessons.explorer.trials import Setting, Trial, short
from helpers.lessons.variants.diagrams import plot_network
from helpers.notebook.tables import html_table
from helpers.notebook.widgets import image_html, picture_html, png_of, show_widget
from helpers.sources.backbones import EFFICIENTNET, shipped_sources

LABELS, WARM_UPS, RATES = (2, 5, 10, 20, 50, 100), (0, 50, 100, 200), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
STYLE = """<style>
.course-explorer .widget-radio-box { flex-flow: row wrap; column-gap: 14px; max-width: 100%; height: auto; overflow: visible }
.course-explorer .widget-radio-box label { width: auto; margin: 1px 0; height: auto }
.course-explorer .widget-radio { width: 100%; height: auto }
.course-explorer .widget-radio > .widget-label, .course-explorer .widget-hslider > .widget-label {
  width: 105px; text-align: left }
.course-explorer .widget-hslider { width: 100%; max-width: 26em }
.course-explorer .widget-html, .course-explorer .widget-html-content {
  height: auto; line-height: 1.4; white-space: normal; max-width: 100%; overflow: visible }
.course-explorer .lm-Widget, .course-explorer .p-Widget { margin-left: 0; margin-right: 0; box-sizing: border-box }
.course-explorer .explorer-numbers { padding-right: 16px }
.course-explorer .widget-button { margin-right: 6px }
.course-explorer p { margin: 4px 0 }
.course-explorer table { border-collapse: collapse; margin: 4px 0; font-size: 14px }
.course-explorer td, .course-explorer th { padding: 3px 8px; text-align: left; vertical-align: top; white-space: normal }
.course-explorer tr { border-bottom: 1px solid rgba(128, 128, 128, .35) }
.course-explorer :focus-visible { outline: 3px solid #0072b2; outline-offset: 2px }
</style>"""

NAMES = """export default { render({ el }) {
  const name = () => document.querySelectorAll(".course-explorer .widget-hslider").forEach((slider) =>
    slider.querySelector(".noUi-handle, .ui-slider-handle")?.setAttribute(
      "aria-label", slider.querySelector(".widget-label").textContent));
  [0, 300, 1000, 3000].forEach((wait) => setTimeout(name, wait));
} }"""


def draw_explorer(setting: Setting | None = None, trials: list[Trial] = ()) -> tuple[Figure, str]:
    """The explorer's figure without its widgets, and its description: the network as it is set, and the trials' curves.

        figure, text = draw_explorer(Setting(upto="layer2"), [try_setting(Setting(upto="fc"))])
        show(figure, text)

    Raises ValueError for a setting that does not exist.
    """
    cost, runs, figure = cost_of(setting or Setting()), dict(enumerate(trials, 1)), Figure(figsize=(9.4, 4.5))
    plot_network(*_stack(cost), figure, 0.45)
    plot_trials(runs, figure=figure, left=0.48)
    return figure, f"{_network_in_words(cost)} {_curves_in_words(runs)}"


def explore(setting: Setting | None = None, trials: list[Trial] = ()) -> None:
    """Show the freeze explorer. Where no kernel runs, its figure, its numbers and a table of all depths are shown instead.

    setting  where the controls start: also with another task or source than those of the course
    trials   runs that are kept from the start, as `try_setting` returns them
    Raises ValueError for a setting, task or source that does not exist.
    """
    setting, trials = setting or Setting(), list(trials)
    figure, text = draw_explorer(setting, trials)
    expected = {number: cost_of(trial.setting).seconds for number, trial in enumerate(trials, 1)}
    runs = runs_html(dict(enumerate(trials, 1)), expected) if trials else ""
    depths = depth_table(setting).to_html(border=0, formatters={"trained": "{:,}".format}, float_format=amount)
    about = "In numbers (seconds: on the machine that stored this page)"
    picture = picture_html(png_of(figure, colours=64, dpi=130), text, f"{text} (Run this cell to explore.)")
    html = f"{picture}<details><summary>{about}</summary>{html_table([], cost_of(setting).lines.items())}{runs}{depths}</details>"
    plain = f"[figure] {text}" + (f"\n{trial_table(trials).to_string()}" if trials else "")
    show_widget(make_explorer(setting, trials), {"text/html": html, "text/plain": plain})


def make_explorer(setting: Setting, trials: list[Trial] = ()):
    """The explorer as an ipywidgets VBox, within the API of ipywidgets 7.7. Its `session` is what the controls act on.

    Each part has a class, for styles and for tests in a browser: explorer-task, -source, -depth, -labels, -warmup, -rate,
    -train, -cancel, -said (the line that is read out), -step, -numbers, -runs, -remove-1 ..., -clear; and the two pictures,
    <img> with their descriptions: -network, -curves. The dict `named` holds the widgets by these names.
    """
    import ipywidgets as widgets

    session, start = Session(setting, trials), setting
    wide, wrapped = partial(widgets.Layout, width="100%"), partial(widgets.Layout, flex_flow="row wrap", width="100%")
    radio = partial(widgets.RadioButtons, layout=wide())
    slider = partial(widgets.SelectionSlider, continuous_update=False, layout=wide())
    column = lambda width, *children: widgets.VBox(children, layout=widgets.Layout(width=width, min_width="280px"))

    def button(words, tip, click, **look):
        made = widgets.Button(description=words, tooltip=tip, **look)
        made.on_click(lambda _: click())
        return made

    controls = {
        "task": radio(options=_with(EMBEDDED, start.task), value=start.task, description="task"),
        "source": radio(options=_with([*shipped_sources(), EFFICIENTNET], start.source), value=start.source,
                        description="source model"),
        "upto": slider(options=_depths(session), value=start.upto, description="train from"),
        "per_class": slider(options=_with(LABELS, start.per_class), value=start.per_class, description="labels a class"),
        "head_steps": slider(options=_with(WARM_UPS, start.head_steps), value=start.head_steps, description="head warm-up"),
        "lr": slider(options=[(f"{lr:g}", lr) for lr in _with(RATES, start.lr)], value=start.lr, description="learning rate"),
    }
    names = dict(zip(("task", "source", "depth", "labels", "warmup", "rate"), controls.values(), strict=True))
    names["train"] = button("Train", "Train what is set, on kept features", session.train, button_style="primary")
    names["cancel"] = button("Cancel", "Stop the run that is training", session.cancel)
    names["clear"] = button("Remove all runs", "Remove all runs from figure and table", session.clear)
    names |= {name: widgets.HTML(layout=wide()) for name in ("said", "step", "numbers", "runs")}
    network, curves = (widgets.HTML(layout=wide(max_width="540px")) for _ in range(2))
    removers, guard = widgets.HBox(layout=wrapped()), {"busy": False}

    def show(what):
        """Update what has changed: "setting", "curves", "runs", "step" or "said"."""
        if what == "setting":
            picture = _network(*_stack(session.cost))
            network.value = image_html(picture, _network_in_words(session.cost), "100%", "explorer-network")
            names["numbers"].value = html_table([], session.cost.lines.items())
        elif what == "curves":
            picture = png_of(plot_trials(session.runs, session.now, preview=not session.training), dpi=130)
            curves.value = image_html(picture, _curves_in_words(session.runs), "100%", "explorer-curves")
        elif what == "runs":
            names["runs"].value = runs_html(session.runs, session.expected)
            removers.children = [*map(remover, session.runs), *([names["clear"]] if session.runs else [])]
        elif what == "step":
            names["step"].value = _progress(session.step)
        elif what == "said":
            names["said"].value = _said(session.said, session.problem)

    def remover(number):
        words = f"Remove run {number}"
        made = button(words, f"{words} from figure and table", lambda: session.remove(number))
        return made.add_class(f"explorer-remove-{number}")

    def follow(name, change):
        if guard["busy"]:
            return
        guard["busy"] = True
        try:
            session.change(**{name: change["new"]})
            if name == "source":
                controls["upto"].options = _depths(session)
            for other, control in controls.items():
                control.value = getattr(session.setting, other)  # a refused value goes back
        finally:
            guard["busy"] = False

    session.changed = show
    for what in ("setting", "curves", "runs", "step", "said"):
        show(what)
    for name, control in controls.items():
        control.observe(partial(follow, name), names="value")
    for name, widget in names.items():
        widget.add_class(f"explorer-{name}")
    buttons = widgets.HBox([names["train"], names["cancel"]])
    parts = widgets.HBox([
        column("31%", *controls.values(), buttons, names["step"], names["said"]),
        column("31%", network), column("33%", curves),
        column("42%", names["numbers"]), column("56%", names["runs"], removers),
    ], layout=wrapped())  # fmt: skip
    box = widgets.VBox([widgets.HTML(STYLE), parts, _namer()], layout=wide()).add_class("course-explorer")
    box.session, box.named = session, names | {"network": network, "curves": curves}
    return box


def _namer():
    """A widget without a picture that gives the handles of sliders their label as a name, which ipywidgets does not."""
    import anywidget

    return type("Namer", (anywidget.AnyWidget,), {"_esm": NAMES})()


def _depths(session: Session) -> list[tuple[str, str]]:
    return [(short(stage), stage) for stage in session.depths]


def _with(options, value) -> list:
    """The options, with the value among them."""
    return list(options) if value in options else sorted([*options, value])


def _progress(step) -> str:
    return f'<progress value="{step.done}" max="{step.total}" aria-label="training"></progress> {step}' if step else ""


def _said(text: str, problem: bool) -> str:
    colour, mark = ("#d55e00", "<b>Problem.</b> ") if problem else ("#0072b2", "")
    line = f'<p style="border-left: 4px solid {colour}; padding-left: 8px; margin: 4px 0">{mark}{escape(text)}</p>'
    return f'<div role="alert" aria-live="assertive">{line}</div>'


@lru_cache(maxsize=32)
def _network(stages: tuple, kept: str) -> bytes:
    return png_of(plot_network(stages, kept), dpi=130)


def _stack(cost: Cost) -> tuple[tuple[tuple[str, int, str], ...], str]:
    """What `plot_network` draws: the stages, and what is written at the cut."""
    stages = tuple((short(name), parameters, state) for name, parameters, state in cost.stages)
    return stages, f"{amount(cost.cache_mb)} MB kept," if cost.cache_mb else ""


def _network_in_words(cost: Cost) -> str:
    frozen = [short(name) for name, _, state in cost.stages if state == "frozen"]
    cold = f"{', '.join(frozen)} frozen (hatched, with a lock)" if frozen else "nothing frozen"
    return (
        f"The network of {cost.setting.source} as a stack of stages: {cold}, training from {short(cost.setting.upto)} on, where "
        f"the arrow of the backward pass ends; {cost.trained:,} of {cost.parameters:,} parameters train."
    )


def _curves_in_words(trials: dict[int, Trial]) -> str:
    if not trials:
        return "Empty axes for learning curves."
    ends = [f"run {i} ({in_words(t.setting, ['task', 'upto', 'per_class', 'lr'])}) ends at {100 * t.accuracy:.0f}%"
            for i, t in trials.items()]  # fmt: skip
    return f"Learning curves, accuracy on the validation images: {'; '.join(ends)}."
