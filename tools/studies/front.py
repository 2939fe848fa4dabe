"""What people see first: the headline figure and its sentence. Photographs come first, then the laboratory (drawings).

Both come from the suite: the same three recipes at the same three numbers of labels, from an ImageNet network on photographs,
and from the course's own source model on drawn goldfinches.
"""

from matplotlib.figure import Figure

from helpers.notebook.figures import COLOURS, SMALL, styled
from helpers.training.charts import MARKERS
from helpers.training.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.training.study import Study
from studies.suite import COMMAND, LABELS, PHOTOGRAPHS, suite

REAL = {"source": "efficientnet_lite0", "target": PHOTOGRAPHS, "size": 128}
LABORATORY = {"source": "garden", "target": "goldfinches", "size": 64}
LINES = {SCRATCH.name: "from scratch", FEATURE_EXTRACTION.name: "frozen", PROBE_THEN_FINE_TUNE.name: "fine-tuned"}
SEEDS, TOLD = 3, 20  # that a cell needs; the labels a class that the sentence is about
ASIDE = 0.05  # a line is drawn beside the next, so that intervals do not hide one another
PANELS = [
    (REAL, "Photographs: the pretrained network stays ahead",
     "five kinds of flowers; EfficientNet-Lite0 from ImageNet, 128 px", "training photographs a class"),
    (LABORATORY, "The laboratory: scratch catches up",
     "drawn goldfinches; the course's own network", "training drawings a class"),
]  # fmt: skip


def part(place: dict) -> Study:
    """The three recipes at 5, 20 and 100 labels, in one place. Raises ValueError that names what has not been measured."""
    study = suite().select(**place)
    seeds = study.runs.groupby(["recipe", "per_class"]).seed.nunique()
    short = [f"{name} at {labels}" for name in LINES for labels in LABELS if seeds.get((name, labels), 0) < SEEDS]
    if short:
        where = f"{place['source']} on {place['target']} at {place['size']} px"
        raise ValueError(f"the headline needs {SEEDS} seeds of {where}; fewer have been measured of {', '.join(short)} labels a "
                         f"class. Run `{COMMAND}-{place['source']}`")  # fmt: skip
    return study.select(recipe=list(LINES))


@styled
def figure() -> Figure:
    """Test accuracy against labels a class, a line a recipe: photographs, and beside them the laboratory."""
    drawn = Figure(figsize=(10.2, 4.4), layout="constrained")
    drawn.get_layout_engine().set(w_pad=0.12)
    axes = drawn.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    for axis, (place, title, below, label) in zip(axes, PANELS, strict=True):
        table = part(place).table(["recipe", "per_class"])
        ends = _spread({name: table.loc[(name, LABELS[-1]), "accuracy %"] for name in LINES}, 5.5)
        for i, (name, words) in enumerate(LINES.items()):
            line = table.loc[name].loc[list(LABELS)]
            at = [x + ASIDE * (i - 1) for x in range(len(LABELS))]
            mean = line["accuracy %"]
            axis.errorbar(at, mean, yerr=[mean - line["low"], line["high"] - mean], color=COLOURS[i], marker=MARKERS[i],
                          markersize=7, capsize=3, elinewidth=1.6)  # fmt: skip
            axis.text(2.15, ends[name], f"{words} {mean.iloc[-1]:.0f}%", color=COLOURS[i], va="center", fontweight="bold")
        axis.set_title(f"{title}\n", loc="left", fontweight="bold", pad=10)
        axis.text(0, 1.05, below, transform=axis.transAxes, fontsize=SMALL, color="0.3")
        axis.set(xlabel=label, xlim=(-0.25, 2.1))
        axis.set_xticks(range(len(LABELS)), LABELS)
        axis.grid(axis="x", visible=False)
    _point_out(axes[0])
    axes[0].set(ylabel="test accuracy, % (bars: 95% intervals)", ylim=(0, 102))
    return drawn


def _point_out(axis) -> None:
    """An arrow from scratch up to the frozen network, where the sentence compares them."""
    row, table, at = gain(), part(REAL).table(["recipe", "per_class"])["accuracy %"], LABELS.index(TOLD) + 3 * ASIDE
    bottom, top = table[(SCRATCH.name, TOLD)], table[(FEATURE_EXTRACTION.name, TOLD)]
    axis.annotate("", (at, top), (at, bottom), arrowprops={"arrowstyle": "->", "color": "0.25", "lw": 1.5})
    axis.text(at + 0.07, (bottom + top) / 2, f"{row['points']:+.0f} points", va="center", color="0.2")


def sentence() -> str:
    """What the frozen network gains over training from scratch, in words."""
    row, table = gain(), part(REAL).table(["recipe", "per_class"])
    frozen, scratch = table.loc[(FEATURE_EXTRACTION.name, TOLD)], table.loc[(SCRATCH.name, TOLD)]
    return (
        f"With {TOLD} photographs of each of five kinds of flowers, a network that knows ImageNet and only gets a new head "
        f"classifies {frozen['accuracy %']:.0f}% (95% interval {frozen['low']:.0f} to {frozen['high']:.0f}) of {frozen['n']:.0f} "
        f"test photographs correctly, the same network trained from scratch, for {SCRATCH.steps} steps, "
        f"{scratch['accuracy %']:.0f}%: a gain of {row['points']:.0f} points ({row['low']:.0f} to {row['high']:.0f}), over the "
        f"{row['seeds']:.0f} seeds that both have."
    )


def gain():
    """What the frozen network gains over scratch with TOLD photographs a class, on the seeds that both have."""
    return part(REAL).select(per_class=TOLD).paired("recipe", SCRATCH.name, by=[]).loc[FEATURE_EXTRACTION.name]


def _spread(places: dict, apart: float) -> dict:
    """The same names, their places moved up and down until they are so far apart."""
    names = sorted(places, key=places.get)
    places = dict(places)
    for _ in range(100):
        for below, above in zip(names, names[1:], strict=False):
            lack = apart - (places[above] - places[below])
            if lack > 0:
                places[below], places[above] = places[below] - lack / 2, places[above] + lack / 2
    return places
