"""Sources for targets, predicted before training and measured after it, for lecture 5."""

import pandas
from scipy import stats

from helpers.images.tasks import Split
from helpers.lessons.choosing.transferability import linear_probe, logme, source_features
from helpers.sources.backbones import load_backbone
from helpers.training.intervals import mean_interval
from helpers.training.study import Study, join_studies


def scores(source: str, images: Split, weights: str | None = "DEFAULT") -> dict[str, float]:
    """LogME and linear probe (0..1) of a source on labelled images: the training images, nothing is trained."""
    x = source_features(load_backbone(source, weights), images.pixels)
    return {"logme": logme(x, images.labels), "probe": linear_probe(x, images.labels)}


def rank_correlation(study: Study, score: str, how: str) -> pandas.DataFrame:
    """How well a score, known before training, orders the sources: Spearman's rank correlation with test accuracy.

    One a target and seed, over the sources; the mean over the seeds with its 95% interval, within -1..1. A row a target.
    """
    rows, part = {}, study.select(how=how).runs
    for target, runs in part.groupby("target", sort=False):
        found = [stats.spearmanr(of_seed[score], of_seed.accuracy).statistic for _, of_seed in runs.groupby("seed")]
        mean, low, high = (2 * value - 1 for value in mean_interval([(1 + rank) / 2 for rank in found], share=True))
        rows[target] = {"mean": mean, "low": low, "high": high, "sources": runs.source.nunique(), "seeds": len(found)}
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
