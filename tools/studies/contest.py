"""The study of lab 1: what ten strategies reach on the pictures of the contest, goldfinches with 5 labels a class."""

from dataclasses import replace
from types import SimpleNamespace

import pandas
import torch
from torch import nn

from helpers.heads import swap_head
from helpers.images.tasks import open_task
from helpers.lessons.flowers.contest import PER_CLASS, TASK, held_out
from helpers.sources.backbones import load_backbone
from helpers.training import recipes
from helpers.training.features import extract
from helpers.training.fitting import fit
from helpers.training.study import SHIPPED, Case, load_study, run_study
from studies import markdown

QUESTION = "How well do ten strategies name the pictures of the contest?"
EFFICIENTNET = "efficientnet_lite0"
VIEWS = recipes.Recipe("views", upto=-1, lr=1e-2, views=8)
DISCRIMINANT = "discriminant analysis of the features"
STRATEGIES = {  # name: (recipe, pixels a side)
    "scratch": (replace(recipes.SCRATCH, source="garden"), 64),
    "feature extraction": (replace(recipes.FEATURE_EXTRACTION, source="garden"), 64),
    "feature extraction, 8 views": (replace(VIEWS, source="garden"), 64),
    DISCRIMINANT: (replace(recipes.FEATURE_EXTRACTION, source="garden", name=DISCRIMINANT), 64),
    "fine-tune last": (replace(recipes.FINE_TUNE_LAST, source="garden"), 64),
    "fine-tune all": (replace(recipes.FINE_TUNE_ALL, source="garden"), 64),
    "fine-tune all, BatchNorm live": (replace(recipes.FINE_TUNE_ALL, source="garden", batchnorm="live"), 64),
    "probe, then fine-tune": (replace(recipes.PROBE_THEN_FINE_TUNE, source="garden"), 64),
    "EfficientNet, feature extraction": (replace(recipes.FEATURE_EXTRACTION, source=EFFICIENTNET), 128),
    "EfficientNet, 8 views": (replace(VIEWS, source=EFFICIENTNET), 128),
}


def discriminant(task):
    """Linear discriminant analysis of the frozen features, in the shape of a fit: no seed changes it."""
    backbone = load_backbone("garden")
    swap_head(backbone.model, len(task.classes)).fc = nn.Identity()
    x, test = (extract(backbone.model, split, backbone) for split in (task.train, task.test))
    means = torch.stack([x[task.train.labels == label].mean(0) for label in range(len(task.classes))])
    within = (x - means[task.train.labels]).T.cov(correction=0)
    weight = torch.linalg.solve(within + 0.3 * within.diagonal().mean() * torch.eye(len(within)), means.T)
    answers = [(some @ weight - 0.5 * (means * weight.T).sum(1)).argmax(1) for some in (x, test)]
    correct = answers[1] == task.test.labels
    history = pandas.DataFrame({"train_accuracy": [(answers[0] == task.train.labels).float().mean().item()]})
    return SimpleNamespace(n=len(correct), accuracy=correct.float().mean().item(), history=history, trained=weight.numel(),
                           seconds=0.0, correct=correct)  # fmt: skip


def run(seeds: int) -> None:
    """Each strategy with each seed on the very training images that the lab has; the contest's pictures are the test.

    A seed changes the new layers and the order of batches, not the images: contestants have the same ones, too.
    """
    tasks = {size: replace(open_task(TASK, PER_CLASS, size=size), test=held_out(size)) for size in (64, 128)}
    cases = [Case({"strategy": name}, recipe, tasks[size]) for name, (recipe, size) in STRATEGIES.items()]

    def on_these_images(recipe, drawn, seed, progress):
        task = tasks[drawn.size]
        return discriminant(task) if recipe.name == DISCRIMINANT else fit(recipe, task, seed, progress=progress)

    study = run_study(QUESTION, cases, seeds, run=on_these_images)
    study.about["images"] = "the same training images for all seeds: the first draw of the task"
    study.save(SHIPPED / "study-contest.json", "python tools/measure.py contest")


def stamps() -> dict[str, str]:
    """The table of the instructor's page, the best strategy first."""
    table = load_study("contest").table("strategy").sort_values("accuracy %", ascending=False)
    rows = [[name, f"{STRATEGIES[name][1]} px", f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})"]
            for name, row in table.iterrows()]  # fmt: skip
    return {"lab1.contest": "\n\n" + markdown(["strategy", "size", "accuracy % (95% interval)"], rows) + "\n\n"}
