"""What the texts say of the studies in real.py: message, figure, table and advice, all of it computed from what was measured.

A study has its section as soon as it is shipped. Messages hold whatever the numbers turn out to be: they quote them, or
choose their words by what a paired interval supports.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas
import torch

from helpers.lessons.studies import percent, points
from helpers.training.intervals import interval, mean_interval
from helpers.training.study import Study
from studies import markdown
from studies.figures import Picture, save
from studies.old_classifier import FEATURES, OLD, SCORES

FIGURES = Path("figures")  # in docs/
ACCURACY = "test accuracy, %"
HEADINGS = {"size": "pixels a side", "per_class": "photographs a class", "lr": "learning rate"}
CLASSES = {"photographs": 5, "drawn flowers": 10, "drawn goldfinches": 4}
MOVED = {"blocks.0": "an early stage", "blocks.3": "a middle stage", "bn2": "what the head sees"}


@dataclass(frozen=True)
class Told:
    """A study in words. more: a sentence or two below the table. alone: figure and table stand in a text of their own."""

    picture: Picture
    table: str
    do: str = ""
    more: str = ""
    alone: bool = False

    def section(self, name: str, question: str) -> str:
        """Markdown: question, message, figure, table, what to do."""
        figure = f"![{self.picture.alt}]({(FIGURES / f'real-{name}.png').as_posix()})"
        if self.alone:
            return "\n\n".join(["", figure, self.table, ""])
        again = f"(`python tools/measure.py real-{name}` measures it again.)"
        parts = [f"### {question}", f"**{self.picture.title}.**", figure, self.table, self.more]
        return "\n\n".join(["", *filter(None, parts), f"**Do this.** {self.do} {again}", ""])


def best(study, of: str) -> list:
    """The value of a condition with the highest accuracy, and those whose paired difference to it is not supported."""
    table = study.table([of])["accuracy %"]
    pairs = study.paired(of, table.idxmax(), by=[])
    alike = {table.idxmax(), *pairs.index[pairs.supported == "no"]}
    return [value for value in table.index if value in alike]


def section(name: str, study: Study) -> str:
    """The part of a text, between its marks, that a study fills."""
    return TELL[name](study).section(name, study.question.partition(" (")[0])


def draw(name: str, study: Study, docs: Path) -> None:
    """The figure of a study, as a PNG file in docs/figures/."""
    save(TELL[name](study).picture, docs / FIGURES / f"real-{name}.png")


# --- what several of them need ---


def lines(study: Study, x: str, line: str | None = None) -> dict[str, pandas.DataFrame]:
    """Accuracies as the series of a figure: over the condition x, one for each value of the condition `line`."""
    if line is None:
        return {"": study.table([x]).rename(columns={"accuracy %": "mean"})}
    table = study.table([line, x]).rename(columns={"accuracy %": "mean"})
    return {str(value): table.loc[value] for value in study.runs[line].unique()}


def plain_table(study: Study, conditions: list[str]) -> str:
    """Accuracy by the conditions, with intervals, and what a fit took as a share of the longest, as Markdown."""
    seconds = study.runs.groupby(conditions).seconds.mean()
    head = [*(HEADINGS.get(name, name) for name in conditions), "accuracy % (95% interval)", "time", "seeds, n"]
    rows = []
    for key, row in study.table(conditions).iterrows():
        values = key if isinstance(key, tuple) else (key,)
        accuracy = f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
        share = f"{seconds[key] / seconds.max():.2f}"
        rows.append([*map(str, values), accuracy, share, f"{row['seeds']:.0f}, {row['n']:.0f}"])
    return markdown(head, rows)


def share(found: tuple[float, float, float]) -> dict[str, float]:
    """A mean with its interval, 0..1, as a row of a figure, in %."""
    return dict(zip(("mean", "low", "high"), (100 * value for value in found), strict=True))


def short(row) -> str:
    """A row of a figure in words: "81% (75 to 86)"."""
    return percent({"accuracy %": row["mean"], **row})


def either(values) -> str:
    return " or ".join(map(str, values))


def gained(row) -> str:
    return points(row, digits=1)


# --- one after the other ---


def resolution(study: Study) -> Told:
    enough, most = min(best(study, "size")), study.runs["size"].max()
    title = f"Beyond {enough} px, what more pixels bring is too close to call" if enough < most else "More pixels help"
    return Told(Picture(title, ACCURACY, HEADINGS["size"], lines(study, "size")), plain_table(study, ["size"]), alone=True)


def labels(study: Study) -> Told:
    first, more = (study.paired("per_class", at).loc[to] for at, to in ((1, 20), (20, 200)))
    title = f"The first 20 photographs a class bring {first['points']:.0f} points, the next 180 {more['points']:.0f}"
    return Told(
        Picture(title, ACCURACY, "photographs a class, 1 to 200", lines(study, "per_class")),
        plain_table(study, ["per_class"]),
        "Label 20 of each kind, measure, and label more if the points that are left are worth the work.",
        f"Against one photograph a class, 20 gain {gained(first)}; 200 gain {gained(more)} over 20.",
    )


def batchnorm(study: Study) -> Told:
    losses = study.paired("batchnorm", "at rest", by=["trains"])
    worst = losses.points.idxmin()
    sure = losses[losses.supported == "yes"]
    keep = len(sure) and (sure.points < 0).all()
    costs = f"BatchNorm {worst[1]} costs {-losses.points[worst]:.0f} points where {worst[0]} trains"
    title = costs if keep else "What BatchNorm does here is too close to call"
    return Told(
        Picture(title, ACCURACY, "what BatchNorm does", lines(study, "batchnorm", "trains")),
        plain_table(study, ["trains", "batchnorm"]),
        "With few photographs keep BatchNorm at rest: `eval()` after every `train()`, or `batchnorm=\"frozen\"`."
        if keep
        else "Compare BatchNorm live and at rest on your own validation images.",
        "Against BatchNorm at rest: "
        + "; ".join(f"{how}, where {what} trains, {gained(row)}" for (what, how), row in losses.iterrows()) + ".",
    )


def depth(study: Study) -> Told:
    numbers = study.runs.per_class.unique()
    alike = {number: best(study.select(per_class=number), "depth") for number in numbers}
    said = [f"{n}: {either(a) if len(a) < study.runs.depth.nunique() else 'too close to call'}" for n, a in alike.items()]
    series = {f"{name} photographs a class": table for name, table in lines(study, "depth", "per_class").items()}
    return Told(
        Picture("Best to train, by photographs a class: " + "; ".join(said), ACCURACY, "what trains after the probe", series),
        plain_table(study, ["per_class", "depth"]),
        "Start with the head alone, and train more of the network only where that gains on your validation images.",
    )


def warmup(study: Study) -> Told:
    gains = study.paired("warm-up", "all at once", by=["lr"])
    each = [f"{row['points']:+.1f} points at {key[0]:g}" for key, row in gains.iterrows()]
    sure = gains[gains.supported == "yes"]
    do = "Train the head first" if (gains.points > 0).all() and len(sure) else "Choose the learning rate first"
    title = "The head first, against all at once: " + ", ".join(each)
    return Told(
        Picture(title, ACCURACY, "peak learning rate", lines(study, "lr", "warm-up")),
        plain_table(study, ["lr", "warm-up"]),
        f"{do}; the same number of steps in all is what makes the comparison fair.",
        "Differences on the same images: " + ", ".join(f"{gained(row)} at {key[0]:g}" for key, row in gains.iterrows()) + ".",
    )


def sources(study: Study) -> Told:
    kinds, names = study.runs.target.unique(), study.runs.source.unique()
    table = study.table(["target", "source"])
    wins = {kind: best(study.select(target=kind), "source") for kind in kinds}
    everywhere = [name for name in names if all(name in those for those in wins.values())]
    title = "No source is best everywhere: " + ", ".join(f"{either(those)} for {kind}" for kind, those in wins.items())
    if everywhere:
        title = f"{either(everywhere)} is among the best sources everywhere"
    pixels = study.runs.groupby("source")["size"].first()
    rows = [[name, str(pixels[name]), *(percent(table.loc[(kind, name)]) for kind in kinds)] for name in names]
    rows.append(["none: guessing", "", *(f"{100 / CLASSES[kind]:.0f}%" for kind in kinds)])
    gains = study.paired("source", "squeezenet1_0", by=["target"])
    gains = [f"{gained(gains.loc[(kind, 'efficientnet_lite0')])} on {kind}" for kind in kinds]
    return Told(
        Picture(title, ACCURACY, "source of a frozen network", lines(study, "source", "target")),
        markdown(["source, frozen", "pixels a side", *kinds], rows),
        "Choose a source by a probe on your own images, not by its rank on other images; each takes seconds.",
        f"From efficientnet_lite0 instead of squeezenet1_0, both trained on ImageNet: {', '.join(gains)}. "
        "The course's garden sees 64 px, the size that it was trained at.",
    )


def splits(study: Study) -> Told:
    means = 100 * study.runs.groupby(["size", "split"]).accuracy.mean()
    sizes, over, dots, rows = study.runs["size"].unique(), {}, {}, []
    fixed = study.select(split=0).table(["size"]).rename(columns={"accuracy %": "mean"})
    for size in sizes:
        each, name, own = means[size], f"{size} px", fixed.loc[size]
        over[name] = dict(zip(("mean", "low", "high"), mean_interval(each), strict=True))
        dots[name] = each.tolist()
        within = int(each.between(own["low"], own["high"]).sum())
        seeds = study.runs[study.runs["size"] == size].groupby("split").seed.nunique().min()
        rows.append([str(size), f"{over[name]['mean']:.1f} ({over[name]['low']:.1f} to {over[name]['high']:.1f})",
                     f"{each.min():.1f} to {each.max():.1f}", f"{own['mean']:.1f} ({own['low']:.1f} to {own['high']:.1f})",
                     f"{within} of {len(each)}", f"{len(each)}, {seeds}, {own['n']:.0f}"])  # fmt: skip
    small = means[sizes[0]]
    title = f"Another split of the same photographs: from {small.min():.0f}% to {small.max():.0f}% at {sizes[0]} px"
    own = fixed.rename(index="{} px".format)
    series = {"mean of the splits": pandas.DataFrame(over).T, "the split of all other studies": own}
    head = ["pixels a side", "mean of the splits", "lowest to highest", "the split of all other studies",
            "splits within its interval", "splits, draws, n"]  # fmt: skip
    return Told(
        Picture(title, ACCURACY, "pixels a side", series, dots, "each split"),
        markdown(head, rows),
        "Compare two networks on the same test images only, and read one accuracy together with its interval.",
        "A split also decides which photographs there are to train on; each is the mean over several draws of them. The splits "
        "share photographs, so the interval of their mean is somewhat too narrow.",
    )


def daisy(study: Study) -> Told:
    """Intervals over seeds and test images: the daisies are the first of the answers."""
    rows, table = {}, []
    for (head, number), runs in study.runs.groupby(["head", "per_class"], sort=False):
        part, count = study.select(head=head, per_class=number), int(runs.daisies.iloc[0])
        answers = [[one[:count] for one in part.correct], [~one[count:] for one in part.correct]]
        found, false = (share(interval(torch.stack(those))) for those in answers)
        rows[head, number] = found, false
        table.append([head, str(number) if number else "none", short(found), short(false), str(len(runs))])
    found, false = rows[OLD, 0]
    drawn = {OLD + ", no labels": rows[OLD, 0]}
    word = lambda number: "label" if number == 1 else "labels"
    drawn |= {f"new head, {n} {word(n)} a kind": row for (head, n), row in rows.items() if head == FEATURES}
    series = {name: pandas.DataFrame({place: row[i] for place, row in drawn.items()}).T
              for i, name in enumerate(("daisies that are found", "other flowers called daisies"))}  # fmt: skip
    title = (f"Without a label the old classifier finds {found['mean']:.0f}% of the daisies, "
             f"and calls {false['mean']:.0f}% of the other flowers daisies, too")  # fmt: skip
    gains = study.select(head=[FEATURES, SCORES]).paired("head", FEATURES, by=["per_class"])
    better = [str(key[0]) for key, row in gains.iterrows() if row["supported"] == "yes" and row["points"] > 0]
    old = study.select(head=OLD).runs.iloc[0]
    kinds = {name.removesuffix(" called daisy"): old[name] for name in study.runs if name.endswith(" called daisy")}
    worst = max((kind for kind in kinds if kind != "daisy"), key=kinds.get)
    where = f"better with {' and '.join(better)} labels only" if better else "nowhere measurably better"
    return Told(
        Picture(title, "% of the photographs", "what answers", series),
        markdown(["what answers", "labels a kind", "daisies found", "other flowers called daisies", "runs"], table),
        "Use the old classifier to collect candidates for a class that it knows; to tell them from others, train a new head.",
        f"Most often it is wrong about {worst}, of which it calls {100 * kinds[worst]:.0f}% daisies: for a kind that it has no "
        f"class for, the nearest of its own classes wins. A new head on its 1,000 scores is {where} than one on the features.",
    )


def forgotten(study: Study) -> Told:
    by, columns = "recipe", {"old answers kept, photographs": "photographs kept", "old answers kept, drawings": "drawings kept"}
    series = {"accuracy on the five new kinds": lines(study, by)[""]}
    series |= {name: 100 * study.values(column, by, share=True)[["mean", "low", "high"]] for name, column in columns.items()}
    moved = [100 * study.values(f"{stage} moved", by)["mean"] for stage in MOVED]
    rows = [[name, *(short(table.loc[name]) for table in series.values()), *(f"{far[name]:.0f}%" for far in moved)]
            for name in study.runs.recipe.unique()]  # fmt: skip
    kept = series["old answers kept, photographs"]["mean"]
    worst = kept.idxmin()
    title = f'After "{worst}" the old classifier gives its old answer for {kept[worst]:.0f}% of the photographs'
    return Told(
        Picture(title, "% of the test photographs, or of the drawings", "recipe", series),
        markdown(["recipe", *series, *(f"moved: {name}" for name in MOVED.values())], rows),
        "Keep the source's file if you still need its classes: a fine-tuned network is another network.",
        "Kept: the source's own head, put back on the trained network, gives the same of its 1,000 classes as before. Moved: "
        "how far the features of a photograph are from what they were, relative to their length.",
    )


ALL = (resolution, labels, batchnorm, depth, warmup, sources, splits, daisy, forgotten)
TELL = {tell.__name__: tell for tell in ALL}
