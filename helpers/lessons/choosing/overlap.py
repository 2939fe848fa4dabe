"""Is the target already in the source? Daisies are a class of ImageNet, and so are goldfinches.

Photographs of daisies and other flowers, classified by a network that was trained on ImageNet and by one that was not: with
its own 1000-way head, a probe, and fine-tuning. Needs COURSE_PHOTOS (a folder of class folders, one of them "daisy")
and torchvision's weights of squeezenet1_0.
"""

import time
from dataclasses import replace
from types import SimpleNamespace

import torch

from helpers.images.drawn.garden import render_split
from helpers.images.tasks import Split, Task, open_task
from helpers.lessons.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL
from helpers.lessons.studies import study_of
from helpers.sources.backbones import load_backbone
from helpers.training.recipes import Recipe
from helpers.training.study import Case, Study, join_studies, run_study

QUESTION = "Is the target already in the source?"
SOURCE = "squeezenet1_0"
NUMBERS = (1, 5, 20)  # training images a class
UNTOUCHED = "untouched head"
SHORT = 30  # steps of fine-tuning: 128 px photographs are slow on a CPU


def measure(folder: str, seeds, source: str = SOURCE) -> Study:
    """All of it from one folder of photographs; `source` knows daisies, "garden" has never seen a photograph."""
    short = {"steps": SHORT, "head_steps": SHORT, "head_lr": 1e-3, "lr": 1e-4}
    tuned = replace(FINE_TUNE_ALL, name="probe, then fine-tune", source=source, **short)
    rows = [
        *((source, "probe", number, probe(source), 128) for number in NUMBERS),
        *(("garden", "probe", number, FEATURE_EXTRACTION, 64) for number in NUMBERS),
        (source, "fine-tuned", 5, tuned, 128),
    ]
    cases = [
        Case({"images": "photographs", "source": name, "how": how, "per_class": number}, recipe,
             open_task(folder, number, size=size))
        for name, how, number, recipe, size in rows
    ]  # fmt: skip
    return join_studies(run_study(QUESTION, cases, seeds, also=recalls), untouched(folder, source))


def probe(source: str) -> Recipe:
    """The recipe of a new head: two views of each image, for 128 px are slow on a CPU; a rate for its large features."""
    return replace(FEATURE_EXTRACTION, source=source, views=2, lr=1e-3)


def untouched(folder: str, source: str = SOURCE) -> Study:
    """The source's own head on the photographs and on drawn goldfinches; one run, as nothing is random."""
    rows = []
    for images, task in (("photographs", open_task(folder, 1, size=224)), ("drawings", drawings())):
        asked = ask_untouched_head(source, task)
        rows.append({"images": images, "source": source, "how": UNTOUCHED, "per_class": 0, "seed": 0, "correct": asked.correct,
                     "seconds": asked.seconds, "also": {"train_accuracy": 0.0, "trained": 0, **recalls(asked)}})  # fmt: skip
    return study_of(QUESTION, rows)


def drawings() -> Task:
    """Twenty drawings of each goldfinch species, with the one class "goldfinch"."""
    images, labels, _, _ = render_split("goldfinches", "test", 20, size=224)
    split = Split(images, torch.arange(len(images)), labels * 0, [""] * len(images))
    return Task("goldfinches", ["goldfinch"], 224, 1, 0, train=split, val=split, test=split, pool=split)


def recalls(fit) -> dict[str, float]:
    """Recall of the first class that ImageNet has, too, and of all other classes together."""
    inside = fit.labels == shared(fit.task.classes)
    outside = fit.correct[~inside]
    return {
        "in_source": fit.correct[inside].double().mean().item(),
        "others": outside.double().mean().item() if len(outside) else 0.0,
    }


def shared(classes: list[str]) -> int:
    """The position of the class that ImageNet has under the same name. Raises ValueError if there is none."""
    for name in ("daisy", "goldfinch"):
        if name in classes:
            return classes.index(name)
    raise ValueError(f"none of {', '.join(classes)} is known to be a class of ImageNet")


@torch.no_grad()
def ask_untouched_head(source: str, task: Task) -> SimpleNamespace:
    """The source's own head on the test images; a prediction is correct if its class name is the task's.

    Images of kinds that the source has no class for always count as wrong.
    """
    started = time.perf_counter()
    backbone = load_backbone(source)
    model = backbone.model.eval()
    answers = torch.cat([model(backbone.normalise(x)).argmax(1) for x in task.test.pixels.split(20)])
    wanted = [backbone.classes.index(name) if name in backbone.classes else -1 for name in task.classes]
    correct = answers == torch.tensor(wanted)[task.test.labels]
    seconds = round(time.perf_counter() - started, 3)
    return SimpleNamespace(task=task, labels=task.test.labels, correct=correct, seconds=seconds)
