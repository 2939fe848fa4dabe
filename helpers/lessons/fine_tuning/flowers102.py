"""At full size: ResNet-18, and ResNet-50 where the GPU has the memory, on Oxford 102 Flowers at 224 px.

The official splits: 1,020 training, 1,020 validation, 6,149 test images. Three ways: a new head, a new head and then
everything, everything at once. study-flowers102.json appears when it has been measured, for which a GPU and the
photographs are needed. Until then only numbers from the literature are shown (literature.py). The rates were not tuned here:
they are those that were best for another ImageNet network on photographs (study-imagenet-rates.json), or near them.
"""

import time
from dataclasses import replace

import pandas
import torch
from torch.nn import functional as F
from torchvision.models import get_model_weights

from helpers.heads import swap_head
from helpers.images.catalog import describe
from helpers.images.tasks import Files, Task, open_task
from helpers.lessons.fine_tuning.literature import reported
from helpers.sources.backbones import load_backbone
from helpers.training.devices import device
from helpers.training.fitting import Fit
from helpers.training.loop import CHECKS, quiet
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, Recipe
from helpers.training.study import SHIPPED, Case, Study, load_study, run_study

QUESTION = "ImageNet networks on Flowers102 at full size"
FILE = SHIPPED / "study-flowers102.json"
TASK, SIZE, SEEDS = "flowers102", 224, 3
TRAIN, VAL, TEST = 1020, 1020, 6149  # the official splits
IMAGES = TRAIN + VAL + TEST
NETWORKS = {"resnet18": 0, "resnet50": 8e9}  # and the bytes of free GPU memory from which on one is trained
RECIPES = (
    replace(FEATURE_EXTRACTION, steps=1000, batch_size=64, views=4, lr=1e-3),
    replace(PROBE_THEN_FINE_TUNE, head_steps=200, steps=800, head_lr=1e-3, lr=3e-4),
    replace(FINE_TUNE_ALL, steps=1000, lr=3e-4),
)


def networks() -> list[str]:
    """The networks that this machine can train, by the free memory of its GPU; on a CPU the smallest."""
    free = 0
    if torch.accelerator.is_available():
        try:
            free = torch.accelerator.get_memory_info()[0]
        except (AttributeError, RuntimeError, NotImplementedError):  # not every accelerator tells
            free = 0
    return [name for name, needed in NETWORKS.items() if free >= needed]


def measure(sources, seeds=None, recipes=RECIPES, *, size: int | None = None, offline: bool | None = None) -> Study:
    """Every recipe with every source model, once a seed: conditions "network" and "recipe", column "per class".

    seeds, size: SEEDS of them and SIZE pixels by default.

    Raises what open_task and load_backbone raise if photographs or weights are not available.
    """
    task = the_task(size or SIZE, offline)
    cases = [
        Case({"network": source, "recipe": recipe.name}, replace(recipe, source=source), task)
        for source in sources
        for recipe in recipes
    ]
    return run_study(QUESTION, cases, seeds or SEEDS, also=per_class)


def the_task(size: int, offline: bool | None = None) -> Task:
    """Flowers102 with its official splits: all 1,020 training images, whatever the seed."""
    return open_task(TASK, per_class=None, size=size, files=Files(offline=offline))


def measured_or_why_not(sources, seeds=None, **settings) -> Study | None:
    """`measure`; if photographs or weights are not available, it prints why and returns None."""
    try:
        return measure(sources, seeds, **settings)
    except (ConnectionError, FileNotFoundError) as error:
        print(f"Not measured here: {error}")
        return None


def per_class(fit: Fit) -> dict[str, float]:
    """The accuracy of each class, averaged over the classes: small classes count as much as large ones."""
    labels = fit.labels
    shares = [fit.correct[labels == label].float().mean() for label in labels.unique()]
    return {"per class": torch.stack(shares).mean().item()}


def plan(sources=("resnet18",), seeds: int = SEEDS, recipes=RECIPES) -> pandas.DataFrame:
    """What a measurement would take on this machine: a row a network.

    The hours come from training on a few images here and now, with random weights, without reading photographs and
    augmentation. The photographs are fetched once for all networks.
    """
    card, rows = describe(TASK), {}
    for source in sources:
        forward, both = seconds_an_image(source)
        evaluated, trained_on = passes(recipes)
        weights = get_model_weights(source)["DEFAULT"].meta["_file_size"]
        rows[source] = {
            "trainings": seeds * len(recipes),
            "photographs, MB": round((card.download or 0) / 1e6),
            "weights, MB": round(weights),
            "decoded, MB": round(IMAGES * 3 * SIZE**2 / 1e6),
            "hours here": seeds * (evaluated * forward + trained_on * both) / 3600,
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("network").round(1)


def passes(recipes: tuple[Recipe, ...] = RECIPES) -> tuple[int, int]:
    """How many images one seed passes through a network forward only, and to train on."""
    evaluated = trained_on = 0
    for recipe in recipes:
        validations = 1 if recipe.upto == -1 else CHECKS * (2 if recipe.head_steps else 1)
        kept = TRAIN * recipe.views if recipe.upto == -1 else 0
        evaluated += TEST + VAL * validations + kept + recipe.head_steps * recipe.batch_size
        trained_on += 0 if recipe.upto == -1 else recipe.steps * recipe.batch_size
    return evaluated, trained_on


def seconds_an_image(source: str, count: int = 2) -> tuple[float, float]:
    """Seconds for an image on this machine, forward only and to train everything on it: the fastest of three tries."""
    with quiet(), torch.random.fork_rng():
        model = swap_head(load_backbone(source, weights=None).model, 102).to(device(), memory_format=torch.channels_last)
        images = torch.rand(count, 3, SIZE, SIZE, device=device())
    times = []
    for _ in range(3):
        started = time.perf_counter()
        with torch.no_grad():
            model(images).sum().item()
        between = time.perf_counter()
        loss = F.cross_entropy(model(images), torch.arange(count, device=device()))
        loss.backward()
        loss.item()
        times.append(((between - started) / count, (time.perf_counter() - between) / count))
    return min(times, key=lambda pair: pair[1])


def beside_literature(study: Study | None = None) -> pandas.DataFrame:
    """What was measured, next to what others report: a row for each recipe here, one more for each further number there.

    study: measured just now; None: the one that comes with the course, if it has been measured.
    """
    if study is None and FILE.exists():
        study = load_study(FILE)
    ours, theirs = _ours(study), reported(TASK)
    rows, planned = [], [(network, recipe.name) for network in NETWORKS for recipe in RECIPES]
    keys = dict.fromkeys([*planned, *ours, *zip(theirs.network, theirs.recipe, strict=True)])
    for key in sorted(keys, key=lambda key: [*NETWORKS].index(key[0]) if key[0] in NETWORKS else len(NETWORKS)):
        published = theirs[(theirs.network == key[0]) & (theirs.recipe == key[1])]
        said = [(f"{row.percent:g}", row.metric, f"{row.trained_on:,}", row.cite) for row in published.itertuples()]
        for percent, metric, images, source in said or [("unknown", "", "", "")]:
            rows.append([*key, *ours.get(key, ("not measured", "")), percent, metric, images, source])
    head = ["network", "recipe", "measured % (interval)", "mean over classes %",
            "literature %", "its metric", "its training images", "its source"]  # fmt: skip
    return pandas.DataFrame(rows, columns=head).set_index(["network", "recipe"])


def _ours(study: Study | None) -> dict[tuple[str, str], tuple[str, str]]:
    if study is None:
        return {}
    by = ["network", "recipe"]
    classes = study.values("per class", by)["mean"]
    return {
        key: (f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})", f"{100 * classes[key]:.1f}")
        for key, row in study.table(by).iterrows()
    }
