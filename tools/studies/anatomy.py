"""Lecture 2: how far a "frozen" backbone drifts, and what the features of other source tasks are worth."""

from helpers.images.tasks import open_task
from helpers.lessons.anatomy import batchnorm_drift, extractor_cases
from helpers.lessons.studies import percent
from helpers.training.study import SHIPPED, Study, join_studies, load_study, run_study

TASKS = ("goldfinches", "flowers")
COMMAND = "python tools/measure.py anatomy"


def run(seeds: int) -> None:
    """Measure both studies; about four minutes on one core for 4 seeds."""
    measure_drift(seeds)
    measure_extractors(seeds)


def measure_drift(seeds: int) -> Study:
    """Heads on a backbone with requires_grad=False that sees images in training mode."""
    tasks = [open_task(name, 20) for name in TASKS]
    parts = [batchnorm_drift(known, seen, seeds=seeds) for known in tasks for seen in tasks]
    study = join_studies(*parts)
    study.save(SHIPPED / "study-drift.json", COMMAND)
    return study


def measure_extractors(seeds: int) -> Study:
    """A new head on the frozen features of a classifier, of a network trained on pose and size, and of a random one."""
    cases = [case for task in TASKS for count in (5, 20) for case in extractor_cases(task, count)]
    study = run_study("features of another kind of task", cases, seeds)
    study.save(SHIPPED / "study-extractors.json", COMMAND)
    return study


def stamps() -> dict[str, str]:
    """The numbers that the lecture quotes."""
    drift, extractors = load_study("drift"), load_study("extractors")
    lost = drift.select(steps=[0, 50]).paired("steps", 0)
    refitted = drift.select(known="flowers", seen="goldfinches").values("refitted", "steps")
    live = load_study("real-batchnorm").select(trains="the head").paired("batchnorm", "at rest").loc["live"]
    named = extractors.select(task="flowers", per_class=20).table("source")

    def lost_points(row) -> str:
        return f"{-row['points']:.0f} (95% interval {-row['high']:.0f} to {-row['low']:.0f})"

    after = refitted.loc[50]
    return {
        "02.live-head": lost_points(live),
        "02.drift-flowers": lost_points(lost.loc["flowers", "goldfinches", 50]),
        "02.drift-own": f"{lost_points(lost.loc['goldfinches', 'goldfinches', 50])} for goldfinches, "
        f"{lost_points(lost.loc['flowers', 'flowers', 50])} for flowers",
        "02.drift-refitted": f"{after['mean']:.0f}% ({after['low']:.0f} to {after['high']:.0f}), "
        f"where the head before was at {refitted.loc[0, 'mean']:.0f}%",
        "02.regression-flowers": percent(named.loc["regression"]),
        "02.random-flowers": percent(named.loc["none (random network)"]),
        "02.classification-flowers": percent(named.loc["classification"]),
    }
