"""What becomes of the classifier that a source was trained with: its own class "daisy", and its answers after fine-tuning."""

import copy
import time
from collections import OrderedDict
from functools import lru_cache
from types import SimpleNamespace

import torch
from torch import nn

from helpers.heads import find_head
from helpers.images.tasks import Task, open_task
from helpers.lessons.fine_tuning import features_moved
from helpers.sources.backbones import Backbone, load_backbone
from helpers.training.features import extract
from helpers.training.fitting import Fit, fit
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe
from helpers.training.solving import Solve

OLD = "the old classifier"
FEATURES, SCORES = HEADS = ("new head on the features", "new head on the 1,000 scores")
KIND = "daisy"  # the one kind of the photographs that is a class of ImageNet, too
DRAWN = "flowers"


def ask(recipe: Recipe, task: Task, seed: int, *, progress=None) -> SimpleNamespace:
    """Called as `fit` is, for `run_study`: is it a daisy? recipe.name says what answers: OLD or one of HEADS.

    `called` says which test images are called daisies, and `correct` for which of them that is right, the daisies first.
    """
    started, here = time.perf_counter(), task.classes.index(KIND)
    source, trained, fitted = load_backbone(recipe.source), 0, 1.0
    if recipe.name == OLD:
        yes = extract(source.model, task.test, source).argmax(1) == source.classes.index(KIND)
    elif recipe.name == SCORES:
        head, history = _on_the_scores(source, task, seed, progress)
        yes = head(extract(source.model, task.test, source)).argmax(1) == here
        trained, fitted = sum(parameter.numel() for parameter in head.parameters()), history[-1]["train_accuracy"]
    else:
        run = fit(recipe, task, seed, progress=progress)
        yes, trained, fitted = run.logits.argmax(1) == here, run.trained, run.history.train_accuracy.iloc[-1]
    others = task.test.labels != here
    correct = (yes != others)[others.argsort(stable=True)]
    history = SimpleNamespace(train_accuracy=SimpleNamespace(iloc=[fitted]))
    return SimpleNamespace(task=task, called=yes, correct=correct, n=len(correct), accuracy=correct.double().mean().item(),
                           trained=trained, history=history, seconds=time.perf_counter() - started)  # fmt: skip


def _on_the_scores(source: Backbone, task: Task, seed: int, progress) -> tuple[nn.Module, list[dict]]:
    """A linear layer on the logits of the source's own classes, solved as the head of FEATURE_EXTRACTION is."""
    head = nn.Sequential(OrderedDict(head=nn.Linear(len(source.classes), len(task.classes))))
    train, val = ((extract(source.model, part, source), part.labels) for part in (task.train, task.val))
    history = Solve(FEATURE_EXTRACTION, head, train, val, seed=seed, progress=progress).run()
    return head.requires_grad_(False), history


def called(answer: SimpleNamespace) -> dict[str, float]:
    """Which share of each kind is called a daisy, and how many daisies there are."""
    labels, kinds = answer.task.test.labels, answer.task.classes
    shares = {f"{kind} called daisy": answer.called[labels == i].double().mean().item() for i, kind in enumerate(kinds)}
    return shares | {"daisies": (labels == kinds.index(KIND)).sum().item()}


def forgotten(run: Fit) -> dict[str, float]:
    """What is left of the source's own answers after fine-tuning, and how far the features of each stage before the head moved.

    "photographs kept", "drawings kept": share of the test photographs, and of drawings that nothing was trained on, for which
    the source's head on the new trunk gives the class, out of 1,000, that it gave on the old one.
    """
    source = load_backbone(run.recipe.source)
    back = with_head_of(source.model, run.model)
    images = {"photographs": run.task.test.pixels, "drawings": _drawings(run.task.size)}
    answers = {name: [extract(net, them, source).argmax(1) for net in (back, source.model)] for name, them in images.items()}
    kept = {f"{name} kept": (new == old).double().mean().item() for name, (new, old) in answers.items()}
    moved = features_moved(run.model, source.model, source.normalise(images["photographs"]), batch_size=50)
    return kept | {f"{stage} moved": far for stage, far in moved.items()}


def with_head_of(source: nn.Module, model: nn.Module) -> nn.Module:
    """A copy of the model with the head that the source has."""
    back, head = copy.deepcopy(model), find_head(source)
    back.set_submodule(head, copy.deepcopy(source.get_submodule(head)))
    return back


@lru_cache(maxsize=1)
def _drawings(size: int) -> torch.Tensor:
    return open_task(DRAWN, 1, size=size, test=40).test.pixels  # of each of ten kinds
