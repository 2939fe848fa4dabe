"""What near-duplicates across the split are worth: the same pictures and the same recipe, divided in two ways."""

import pandas
import torch

from helpers.images.inspection import inspect_images
from helpers.images.tasks import open_task
from helpers.notebook.progress import Progress
from helpers.training.fitting import fit
from helpers.training.intervals import paired_difference

ALONE = "each file for itself"


def leak_study(folder, recipe, seeds: int = 6, *, size: int = 64, fresh=None, together=True, val=None) -> pandas.DataFrame:
    """Fit a recipe `seeds` times on a folder divided file by file, and as often with near-duplicates kept together, or what
    the function `together` says, as in open_task; `val` is set aside to validate.

    fresh: (images uint8 (N, 3, size, size), labels int64 (N,)) of other scenes, if you have some, to compare each result with.
    Returns a row a run: split, seed, train and test (pictures), groups (that the training pictures come from), with a twin (% of
    the test pictures that have one in training), reported (% of the test pictures that are classified correctly) and, if there
    are fresh ones, fresh (% of those).
    """
    report = inspect_images(folder, size)
    kept = report.files.near if together is True else report.files.file.map(together)
    group = {str(report.folder / file): value for file, value in zip(report.files.file, kept, strict=True)}
    ways = {ALONE: False, "twins together" if together is True else "what belongs together": together}
    rows, progress = [], Progress(2 * seeds * (recipe.head_steps + recipe.steps), "two ways to divide:")
    for seed in range(seeds):
        for way, kept in ways.items():
            task = open_task(report.folder, None, seed, size=size, val=val, on_bad="skip", together=kept)
            run = fit(recipe, task, seed, progress=progress)
            row = {"split": way, "seed": seed, **_parts(task, group), "reported": 100 * run.accuracy}
            if fresh is not None:
                images, labels = fresh
                row["fresh"] = 100 * (run.classifier.logits(images).argmax(1) == labels).float().mean().item()
            rows.append(row)
    progress.done(f"{2 * seeds} runs, {run.seconds:.1f} s of training a run")
    return pandas.DataFrame(rows)


def leak_gaps(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Differences in points, paired by seed, with 95% intervals: the two splits, and each against fresh pictures.

    The intervals cover other ways to divide this folder and other starts, not another folder.
    """
    of = lambda way, what: torch.tensor(runs[runs.split == way].sort_values("seed")[what].to_numpy())
    careless, careful = ways = runs.split.unique()
    pairs = {f"reported: {careless} - {careful}": (of(careless, "reported"), of(careful, "reported"))}
    if "fresh" in runs:
        pairs |= {f"{way}: reported - fresh": (of(way, "reported"), of(way, "fresh")) for way in ways}
    rows = {name: paired_difference(*pair, scale=1) for name, pair in pairs.items()}
    return pandas.DataFrame.from_dict(rows, orient="index").round(1).drop(columns="seeds").rename_axis("difference")


def _parts(task, group: dict[str, int]) -> dict:
    """How large the parts are, and how they are related."""
    trained = {group[file] for file in task.train.files}
    twins = sum(group[file] in trained for file in task.test.files)
    sizes = {"train": len(task.train), "groups": len(trained), "test": len(task.test)}
    return sizes | {"with a twin": 100 * twins / len(task.test)}
