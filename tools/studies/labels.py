"""The study of lecture 1: how many labels are needed, from a supervised source, a self-supervised one, and none."""

from dataclasses import replace

from helpers.images.tasks import open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.lessons.studies import percent, points
from helpers.training.study import SHIPPED, Case, Study, join_studies, load_study, run_study

QUESTION = "How many labels are needed, from which source?"
TASKS = ("flowers", "goldfinches")
HEADS = {  # only the new head is trained
    "supervised, head": FEATURE_EXTRACTION,
    "self-supervised, head": replace(FEATURE_EXTRACTION, source="garden-simclr"),
    "random, head": replace(FEATURE_EXTRACTION, copied=0),  # nothing is copied: a random network, frozen
}
MANY = (1, 2, 5, 10, 20, 50, 100)  # training images a class, where only a head is trained
FEW = {"flowers": (1, 5, 20, 100), "goldfinches": (5, 20)}  # where the whole network is
COMPARED, SLOW_SEEDS = 5, 3  # with so many images a class all seeds are run; else, with the whole network, three at most
SEEDS = "0, 1, 2, 3, 4 (0, 1, 2 where the whole network is trained, except with 5 images a class)"
WHOLE = {  # everything is trained
    "supervised, fine-tuned": PROBE_THEN_FINE_TUNE,
    "self-supervised, fine-tuned": replace(PROBE_THEN_FINE_TUNE, source="garden-simclr"),
    "scratch": SCRATCH,
}
QUOTED = [("flowers", number, way) for way in ("supervised, head", "self-supervised, head", "scratch") for number in (5, 100)]
QUOTED += [("flowers", 5, "random, head"), ("goldfinches", 20, "supervised, head"), ("goldfinches", 20, "scratch")]
QUOTED += [("goldfinches", 5, way) for way in ("supervised, head", "self-supervised, head", "scratch")]
GAPS = [  # of the first way over the second, in points
    (task, 5, way, "scratch")
    for task in TASKS
    for way in ("self-supervised, head", "supervised, fine-tuned", "self-supervised, fine-tuned")
]
GAPS += [("goldfinches", 20, "scratch", "supervised, head"), ("flowers", 5, "supervised, head", "self-supervised, head")]
GAPS += [("goldfinches", 20, "self-supervised, fine-tuned", "scratch")]
GAPS += [("goldfinches", 20, "supervised, fine-tuned", "supervised, head")]
GAPS += [("flowers", 100, way, "scratch") for way in ("supervised, fine-tuned", "self-supervised, fine-tuned")]


def cases(ways: dict, numbers, tasks=TASKS) -> list[Case]:
    """Every way with every number of training images a class on every task."""
    opened = [open_task(name, per_class=number) for name in tasks for number in numbers]
    return [
        Case({"task": task.name, "per_class": task.per_class, "way": way}, replace(recipe, name=way), task)
        for task in opened
        for way, recipe in ways.items()
    ]


def run(seeds: int) -> None:
    """Measure it: with `seeds` seeds where only a head is trained and with 5 images a class, else three at most."""
    parts = [run_study(QUESTION, cases(HEADS, MANY), seeds)]
    for task, numbers in FEW.items():
        rest = [number for number in numbers if number != COMPARED]
        parts.append(run_study(QUESTION, cases(WHOLE, [COMPARED], [task]), seeds))
        parts.append(run_study(QUESTION, cases(WHOLE, rest, [task]), min(seeds, SLOW_SEEDS)))
    study = join_studies(*parts)
    if seeds == 5:
        study.about["seeds"] = SEEDS
    study.save(SHIPPED / "study-labels.json", "python tools/measure.py labels")


def gap(study: Study, task: str, per_class: int, way: str, baseline: str):
    """The paired difference, way - baseline, at one number of training images: points, low, high, seeds, supported."""
    part = study.select(task=task, per_class=per_class, way=[way, baseline])
    return part.paired("way", baseline, by=[]).loc[way]


def stamps() -> dict[str, str]:
    """The numbers that the lecture quotes: accuracies "01.flowers-5-scratch", differences "01.flowers-5-scratch-to-..."."""
    study = load_study("labels")
    texts = {}
    for task, number, way in QUOTED:
        row = study.select(task=task, per_class=number, way=way).table(["way"]).loc[way]
        texts[f"01.{task}-{number}-{_slug(way)}"] = percent(row)
    for task, number, way, baseline in GAPS:
        texts[f"01.{task}-{number}-{_slug(baseline)}-to-{_slug(way)}"] = points(gap(study, task, number, way, baseline))
    photographs = load_study("suite-efficientnet_lite0").select(target="photographs", size=128)
    for number in (5, 100):
        for recipe in (FEATURE_EXTRACTION.name, SCRATCH.name):
            row = photographs.select(per_class=number, recipe=recipe).table(["recipe"]).loc[recipe]
            texts[f"01.photographs-{number}-{_slug(recipe)}"] = percent(row)
        row = photographs.select(per_class=number).paired("recipe", SCRATCH.name, by=[]).loc[FEATURE_EXTRACTION.name]
        texts[f"01.photographs-{number}-scratch-to-feature-extraction"] = points(row)
    copied = load_study("real-sources").select(target="photographs").paired("source", "random weights", by=[])
    texts["01.photographs-20-random-weights-to-efficientnet_lite0"] = points(copied.loc["efficientnet_lite0"])
    return texts


def _slug(way: str) -> str:
    return way.replace(", ", "-").replace(" ", "-")
