"""The suite that decides the defaults: the five recipes from three sources on drawings and photographs, with 5 to 100 labels.

study-suite-SOURCE.json, a file a source. Each is written after every run, and the same command goes on where it stopped:

    python tools/measure.py suite                 all sources, one after the other: more than a day on two cores
    python tools/measure.py suite-garden          one of them, so that several can run side by side

Left out, as senseless or too slow on a CPU: drawings at 128 px from "garden", which was trained at 64; tissue at 128 px; at
224 px everything but feature extraction from "efficientnet_lite0"; from scratch more than three seeds of the ImageNet networks.
Photographs need COURSE_PHOTOS (a folder of class folders), and squeezenet1_0 torchvision's weights.
"""

import os
from dataclasses import replace
from functools import lru_cache

from helpers.images.tasks import Task, open_task
from helpers.lessons.studies import percent, points
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, FINE_TUNE_LAST, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.training.study import SHIPPED, Case, Study, join_studies, load_study
from studies import markdown
from studies.resuming import go_on

QUESTION = "Which recipe, from which source, on what, with how many labels?"
COMMAND = "python tools/measure.py suite"
RECIPES = (FEATURE_EXTRACTION, PROBE_THEN_FINE_TUNE, FINE_TUNE_ALL, FINE_TUNE_LAST, SCRATCH)
LABELS = (5, 20, 100)
PHOTOGRAPHS, DRAWN = "photographs", ("flowers", "goldfinches", "tissue")
PLACES = {  # source: what it is tried on, in this order
    "garden": [(name, 64) for name in (*DRAWN, PHOTOGRAPHS)],
    "squeezenet1_0": [(PHOTOGRAPHS, 128), *((name, 64) for name in (*DRAWN, PHOTOGRAPHS)), ("flowers", 128),
                      ("goldfinches", 128)],
    "efficientnet_lite0": [(PHOTOGRAPHS, 128), (PHOTOGRAPHS, 224), ("flowers", 128), ("goldfinches", 128),
                           *((name, 64) for name in (PHOTOGRAPHS, *DRAWN))],
}  # fmt: skip
SCRATCH_SEEDS = 3  # of the ImageNet networks: 400 steps of a whole network take ten minutes


def run(seeds: int = 5) -> None:
    """All sources, one after the other."""
    for source in PLACES:
        measure(source, seeds)


def measure(source: str, seeds: int = 5) -> None:
    """One source, from where its file stands; says after each run how much is left."""
    path = SHIPPED / f"study-suite-{source}.json"
    go_on(path, f"{COMMAND}-{source}", QUESTION, plans(source, seeds), case, kind=("target", "size", "recipe"))


def plans(source: str, seeds: int) -> list[tuple[dict, int]]:
    """What is run: (conditions, seed); first the two cheaper recipes everywhere, place by place and there seed by seed."""
    places = [place for place in PLACES[source] if place[0] in DRAWN or os.environ.get("COURSE_PHOTOS")]
    return [
        ({"source": source, "target": target, "size": size, "per_class": labels, "recipe": recipe.name}, seed)
        for recipes in (RECIPES[:2], RECIPES[2:])
        for target, size in places
        for seed in range(seeds)
        for labels in LABELS
        for recipe in recipes
        if size < 224 or recipe is FEATURE_EXTRACTION
        if source == "garden" or recipe is not SCRATCH or seed < SCRATCH_SEEDS
    ]


def case(conditions: dict) -> Case:
    """A cell of the suite."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == conditions["recipe"])
    opened = task(conditions["target"], conditions["size"], conditions["per_class"])
    return Case(conditions, replace(recipe, source=conditions["source"]), opened)


@lru_cache(maxsize=len(LABELS))
def task(target: str, size: int, labels: int) -> Task:
    """The task of a target; its test images are the same whatever the labels and seeds."""
    return open_task(os.environ["COURSE_PHOTOS"] if target == PHOTOGRAPHS else target, labels, size=size)


def suite() -> Study:
    """What has been measured of the suite, all sources in one study. Raises FileNotFoundError if nothing has."""
    there = [source for source in PLACES if (SHIPPED / f"study-suite-{source}.json").exists()]
    if not there:
        raise FileNotFoundError(f"nothing of the suite has been measured yet: {COMMAND}")
    return join_studies(*(load_study(f"suite-{source}") for source in there))


def stamps() -> dict[str, str]:
    """The tables of docs/photographs.md: what has been measured with at least five seeds."""
    texts, study = {}, suite()
    for name, source, size in (("photographs", "efficientnet_lite0", 128), ("photographs-garden", "garden", 64)):
        part = study.select(source=source, target=PHOTOGRAPHS, size=size)
        seeds = part.runs.groupby(["per_class", "recipe"]).seed.nunique().unstack()
        names = [recipe.name for recipe in RECIPES if recipe.name in seeds and (seeds[recipe.name] >= 5).all()]
        table = part.select(recipe=names).table(["per_class", "recipe"])
        rows = [[str(labels), *(percent(table.loc[(labels, one)]) for one in names)] for labels in LABELS]
        texts[f"suite.{name}"] = "\n\n" + markdown(["photographs a class", *names], rows) + "\n\n"
    part = study.select(source="efficientnet_lite0", target=PHOTOGRAPHS, size=128)
    gains = part.paired("recipe", FEATURE_EXTRACTION.name, by=["per_class"])
    for labels in LABELS:
        texts[f"suite.gain-{labels}"] = points(gains.loc[(labels, PROBE_THEN_FINE_TUNE.name)], digits=1)
    return texts
