"""At full size: ResNet-18, and ResNet-50 where the GPU has the memory, on Oxford 102 Flowers at 224 px.

The official splits: 1,020 training, 1,020 validation, 6,149 test images. Three ways: a new head, a new head and then
everything, everything at once. study-flowers102.json appears when it has been measured, for which a GPU and the
photographs are needed. Until then only numbers from the literature are shown (literature.toml). The rates were not tuned here:
they are those that were best for another ImageNet network on photographs (study-imagenet-rates.json), or near them.
"""

import tomllib
from dataclasses import replace

import pandas
import torch
from torchvision.models import get_model_weights

from helpers.heads import swap_head
from helpers.images.catalog import describe
from helpers.images.tasks import Files, open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE
from helpers.sources.backbones import load_backbone
from helpers.training.costs import stage_seconds
from helpers.training.devices import device, layout, quiet, seeded
from helpers.training.fitting import Fit
from helpers.training.loop import CHECKS
from helpers.training.recipes import Recipe
from helpers.training.study import SHIPPED, Case, Study, load_study, run_study

QUESTION = "ImageNet networks on Flowers102 at full size"
FILE = SHIPPED / "study-flowers102.json"
LITERATURE = SHIPPED / "literature.toml"  # accuracies not measured by this course, each with its source and setting
COLUMNS = ["network", "recipe", "percent", "metric", "trained_on", "tested_on", "cite", "source", "address", "setting"]
TASK, SIZE, SEEDS = "flowers102", 224, 3
TRAIN, VAL, TEST = 1020, 1020, 6149  # the official splits
NETWORKS = {"resnet18": 0, "resnet50": 8e9}  # and the bytes of free GPU memory from which on one is trained
RECIPES = (
    replace(FEATURE_EXTRACTION, steps=1000, batch_size=64, views=4, lr=1e-3),
    replace(PROBE_THEN_FINE_TUNE, head_steps=200, steps=800, head_lr=1e-3, lr=3e-4),
    replace(FINE_TUNE_ALL, steps=1000, lr=3e-4),
)


def networks() -> list[str]:
    """The networks that this machine can train, by the free memory of its GPU; on a CPU the smallest."""
    try:
        free = torch.accelerator.get_memory_info()[0] if torch.accelerator.is_available() else 0
    except (AttributeError, RuntimeError, NotImplementedError):  # not every accelerator tells
        free = 0
    return [name for name, needed in NETWORKS.items() if free >= needed]


def measure(sources, seeds=None, *, offline: bool | None = None) -> Study:
    """Every recipe with every source model, once a seed (SEEDS of them by default): conditions "network" and "recipe".

    All 1,020 training images, whatever the seed. Column "per class": see `per_class`.
    Raises what open_task and load_backbone raise if photographs or weights are not available.
    """
    task = open_task(TASK, per_class=None, size=SIZE, files=Files(offline=offline))
    cases = [
        Case({"network": source, "recipe": recipe.name}, replace(recipe, source=source), task)
        for source in sources
        for recipe in RECIPES
    ]
    return run_study(QUESTION, cases, seeds or SEEDS, also=per_class)


def measured_or_why_not(sources) -> Study | None:
    """`measure`; if photographs or weights are not available, it prints why and returns None."""
    try:
        return measure(sources)
    except (ConnectionError, FileNotFoundError) as error:
        print(f"Not measured here: {error}")
        return None


def per_class(fit: Fit) -> dict[str, float]:
    """The accuracy of each class, averaged over the classes: small classes count as much as large ones."""
    shares = [fit.correct[fit.labels == label].float().mean() for label in fit.labels.unique()]
    return {"per class": torch.stack(shares).mean().item()}


def plan(sources=("resnet18",), seeds: int = SEEDS) -> pandas.DataFrame:
    """What a measurement would take on this machine: a row a network.

    The hours come from training on a few images here and now, with random weights, without reading photographs and
    augmentation. The photographs are fetched once for all networks.
    """
    card, rows, (evaluated, trained_on) = describe(TASK), {}, passes(RECIPES)
    for source in sources:
        with quiet(), seeded(0):
            model = swap_head(load_backbone(source, weights=None).model, 102).to(device(), memory_format=layout())
            few = 32 if device().type == "cuda" else 2  # a GPU is not busy with two
            times = stage_seconds(model, torch.rand(few, 3, SIZE, SIZE, device=device())).values()
        forward, backward = (sum(column) for column in zip(*times, strict=True))
        rows[source] = {
            "trainings": seeds * len(RECIPES),
            "photographs, MB": round((card.download or 0) / 1e6),
            "weights, MB": round(get_model_weights(source)["DEFAULT"].meta["_file_size"]),
            "decoded, MB": round((TRAIN + VAL + TEST) * 3 * SIZE**2 / 1e6),
            "hours here": seeds * ((evaluated + trained_on) * forward + trained_on * backward) / 3600,
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("network").round(1)


def passes(recipes: tuple[Recipe, ...]) -> tuple[int, int]:
    """How many images one seed passes through a network forward only, and to train on."""
    evaluated = trained_on = 0
    for recipe in recipes:
        validations = 1 if recipe.upto == -1 else CHECKS * (2 if recipe.head_steps else 1)
        kept = TRAIN * recipe.views if recipe.upto == -1 else 0
        evaluated += TEST + VAL * validations + kept + recipe.head_steps * recipe.batch_size
        trained_on += 0 if recipe.upto == -1 else recipe.steps * recipe.batch_size
    return evaluated, trained_on


def reported(task: str = "flowers102") -> pandas.DataFrame:
    """What others report for a task: a row for each number, with its source and how its setting differs from the course's.

    percent: accuracy, %. metric: of all test images alike, or the mean over the classes. trained_on, tested_on: images.
    cite: the source in two words.
    Raises ValueError for a task that is not in the file.
    """
    published = tomllib.loads(LITERATURE.read_text(encoding="utf-8"))["published"]
    rows = [row for row in published if row["task"] == task]
    if not rows:
        known = sorted({row["task"] for row in published})
        raise ValueError(f"no published numbers for the task {task!r}; there are some for {', '.join(known)}")
    return pandas.DataFrame(rows)[COLUMNS]


def beside_literature(study: Study | None = None) -> pandas.DataFrame:
    """What was measured, next to what others report: a row for each recipe here, one more for each further number there.

    study: measured just now; None: the one that comes with the course, if it has been measured.
    """
    if study is None and FILE.exists():
        study = load_study(FILE)
    ours, theirs = {}, reported(TASK)
    if study is not None:
        classes = study.values("per class", ["network", "recipe"])["mean"]
        for key, row in study.table(["network", "recipe"]).iterrows():
            ours[key] = f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})", f"{100 * classes[key]:.1f}"
    planned, known = [(network, recipe.name) for network in NETWORKS for recipe in RECIPES], [*NETWORKS]
    keys, rows = dict.fromkeys([*planned, *ours, *zip(theirs.network, theirs.recipe, strict=True)]), []
    for key in sorted(keys, key=lambda key: known.index(key[0]) if key[0] in known else len(known)):
        published = theirs[(theirs.network == key[0]) & (theirs.recipe == key[1])]
        said = [(f"{row.percent:g}", row.metric, f"{row.trained_on:,}", row.cite) for row in published.itertuples()]
        for found in said or [("unknown", "", "", "")]:
            rows.append([*key, *ours.get(key, ("not measured", "")), *found])
    head = ["network", "recipe", "measured % (interval)", "mean over classes %",
            "literature %", "its metric", "its training images", "its source"]  # fmt: skip
    return pandas.DataFrame(rows, columns=head).set_index(["network", "recipe"])
