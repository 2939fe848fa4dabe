"""Sources for targets, predicted before training and measured after it, for lecture 5."""

from dataclasses import replace

import pandas
from scipy import stats

from helpers.lessons.choosing.transferability import linear_probe, logme, source_features
from helpers.lessons.recipes import FEATURE_EXTRACTION
from helpers.sources.backbones import load_backbone
from helpers.training.intervals import mean_interval
from helpers.training.study import Case, Study, join_studies, run_study

QUESTION = "Which source for which target?"
SOURCES = ("garden", "garden-small", "garden-petals", "garden-textures", "garden-simclr-small", "garden-regression")


def scores(fit) -> dict[str, float]:
    """LogME and linear probe of a run's source on the images it was trained on."""
    backbone = load_backbone(fit.recipe.source, fit.recipe.weights)
    x, labels = source_features(backbone, fit.task.train.pixels), fit.task.train.labels
    return {"logme": logme(x, labels), "probe": linear_probe(x, labels)}


def cases(recipe, sources, tasks: dict, how: str) -> list[Case]:
    """A recipe from every source on every task."""
    return [
        Case({"target": target, "source": source, "how": how}, replace(recipe, source=source), task)
        for target, task in tasks.items()
        for source in sources
    ]


def heads(tasks: dict, seeds, sources=SOURCES) -> Study:
    """Only a new head, from every source on every task; and the scores of the sources."""
    return run_study(QUESTION, cases(FEATURE_EXTRACTION, sources, tasks, "new head"), seeds, also=scores)


def rank_correlation(study: Study, score: str, how: str) -> pandas.DataFrame:
    """How well a score, known before training, orders the sources: Spearman's rank correlation with test accuracy.

    One a target and seed, over the sources; the mean over the seeds with its 95% interval (Student's t). A row a target.
    """
    rows, part = {}, study.select(how=how).runs
    for target, runs in part.groupby("target", sort=False):
        found = [stats.spearmanr(of_seed[score], of_seed.accuracy).statistic for _, of_seed in runs.groupby("seed")]
        mean, low, high = mean_interval(found)
        rows[target] = {"mean": mean, "low": max(-1.0, low), "high": min(1.0, high), "sources": runs.source.nunique(),
                        "seeds": len(found)}  # fmt: skip
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("target").round(2)


def against_none(hurt: Study) -> pandas.DataFrame:
    """Of the study of harm: paired differences to training from scratch, a row a source and what of it is frozen."""
    rows, scratch_ = {}, hurt.select(source="none")
    for source in [name for name in hurt.runs.source.unique() if name != "none"]:
        for frozen in hurt.select(source=source).runs.frozen.unique():
            one = hurt.select(source=source, frozen=frozen)
            one.runs["frozen"] = "nothing"  # the one condition that differs is then the source
            pair = join_studies(one, scratch_)
            rows[source, frozen] = pair.paired("source", "none", by=[]).loc[source]
    return pandas.DataFrame(rows.values(), index=pandas.MultiIndex.from_tuples(rows, names=["source", "frozen"]))
