"""Answers to the checks of lab 1."""

import copy
from functools import cache

import torch
from torch import nn

import helpers as h
from answers import Given
from helpers.training.classifier import Classifier

source = h.load_backbone("garden")
NEW_LAYER = "target.fc = nn.Linear(model.fc.in_features, num_classes)"
MOVE = "loss.backward()\noptimizer.step()"
CORRECT = "right += (logits.argmax(1) == labels[rows]).sum().item()"


@cache
def flowers():
    return h.open_task("flowers", per_class=20)


@cache
def small():
    """A task that is opened and judged in a moment."""
    return h.open_task("flowers", per_class=5, size=32, val=2, test=2)


def affordable(recipe):
    """Of the notebook, which shortens a recipe: here the quickest one in place of each."""
    return h.FEATURE_EXTRACTION


@cache
def body():
    model = copy.deepcopy(source.model).eval()
    model.fc = nn.Identity()
    return model


@torch.no_grad()
def features(images):
    return body()(source.normalise(images))


def discriminant(task):
    """Linear discriminant analysis of the source's features: a classifier without a training loop."""
    x, y = features(task.train.pixels), task.train.labels
    means = torch.stack([x[y == label].mean(0) for label in range(len(task.classes))])
    centred = x - means[y]
    within = centred.T @ centred / len(x)
    weight = torch.linalg.solve(within + 0.3 * within.diagonal().mean() * torch.eye(len(within)), means.T)
    return lambda images: features(images) @ weight - 0.5 * (means * weight.T).sum(1)


def mean_colour(task):
    """Classifies a picture by its mean colour: more than chance, less than any transfer."""
    x, y = task.train.pixels.float().mean((2, 3)), task.train.labels
    means = torch.stack([x[y == label].mean(0) for label in range(len(task.classes))])
    return lambda images: -torch.cdist(images.float().mean((2, 3)), means)


def contest(answer, **settings):
    return Given(answer, small, **settings)


RIGHT = {
    "head_renewed": {
        "built anew, loaded, then replaced": (
            "copy.deepcopy(model)", "type(model)(model.fc.out_features, width=8)\ntarget.load_state_dict(model.state_dict())"
        ),
        "without a bias": ("num_classes)", "num_classes, bias=False)"),
    },
    "body_frozen": {"the helper": "return h.freeze(model, -1)"},
    "optimizer_made": {
        "AdamW of all parameters": ("AdamW(trained", "AdamW(model.parameters()"),
        "SGD of the head": ("AdamW(trained", "SGD(model.fc.parameters()"),
    },
    "step_trains": {"emptied at the end": [("optimizer.zero_grad()\n", ""), (MOVE, MOVE + "\noptimizer.zero_grad()")]},
    "accuracy_counted": {"all at once": ("split(100)", "split(1000)"), "one by one": ("split(100)", "split(1)")},
    "helpers_used": {"up to the layer named fc": ("-1", '"fc"')},
    "difference_paired": {"about two standard errors": ("1.96", "2")},
    "confusion_found": {
        "pairs counted": """
from collections import Counter
wrong = [pair for pair in zip(labels.tolist(), predictions.tolist(), strict=True) if pair[0] != pair[1]]
(label, taken), count = Counter(wrong).most_common(1)[0]
return classes[label], classes[taken], count"""
    },
    "contest": {
        "the solution": contest([]),
        "a function": contest(discriminant),
        "a fit": contest("return h.fit(h.FEATURE_EXTRACTION, task)"),
        "a classifier": contest("return h.fit(h.FEATURE_EXTRACTION, task).classifier"),
    },
}

WRONG = {
    "head_renewed": {
        "old width": (NEW_LAYER, "target.fc.out_features = num_classes"),
        "source changed": ("copy.deepcopy(model)", "model"),
        "shared weights": ("copy.deepcopy(model)", "copy.copy(model)\ntarget._modules = dict(model._modules)"),
        "body not copied": "return h.GardenNet(num_classes, width=8)",
        "old head kept": "return nn.Sequential(copy.deepcopy(model), nn.Linear(model.fc.out_features, num_classes))",
        "head not new": (NEW_LAYER, NEW_LAYER + "\ntarget.fc.weight = nn.Parameter(model.fc.weight[:num_classes].clone())"),
    },
    "body_frozen": {
        "buffers move": ("model.eval()", "model.train()"),
        "parameters move": ("= False", "= True"),
        "head frozen": ("= True", "= False"),
        "wrong way round": "model.requires_grad_(True).fc.requires_grad_(False)\nreturn model.eval()",
    },
    "optimizer_made": {
        "no optimizer": "return list(model.fc.parameters())",
        "another network's": ("(trained", "(h.GardenNet(4, width=8).parameters()"),
        "frozen parts only": ("if parameter", "if not parameter"),
        "part of the head": ("(trained", "([model.fc.weight]"),
        "another rate": ("lr=lr", "lr=0.001"),
    },
    "step_trains": {
        "gradients pile up": ("optimizer.zero_grad()\n", ""),
        "no gradients": ("loss.backward()\n", ""),
        "no step": ("optimizer.step()\n", ""),
        "gradients thrown away": (MOVE, "loss.backward()\noptimizer.zero_grad()\noptimizer.step()"),
        "steps too early": (MOVE, "optimizer.step()\nloss.backward()"),
        "another loss": ("model(images)", "model(images).softmax(1)"),
        "mode changed": ("loss = ", "model.train()\nloss = "),
    },
    "accuracy_counted": {
        "judged in training mode": ("model.eval()", "model.train()"),
        "pixels not prepared": ("source.normalise(images[rows])", "images[rows] / 255"),
        "mean of batches": [
            ("right = 0", "right = []"),
            (CORRECT, "right.append((logits.argmax(1) == labels[rows]).float().mean())"),
            ("right / len(images)", "sum(right) / len(right)"),
        ],
        "images left out": ("return right", "    return right"),
        "out of range": ("return right", "return 100 * right"),
        "miscounted": ("right / ", "right // "),
    },
    "helpers_used": {
        "wrong number of outputs": ("h.swap_head(model, num_classes)\n", ""),
        "parameters move": ("-1", "0"),
        "buffers move": (
            "return h.freeze(model, -1)", "model.requires_grad_(False).fc.requires_grad_(True)\nreturn model.eval()"
        ),
        "head frozen": ("h.freeze(model, -1)", "model.requires_grad_(False)"),
        "nothing transferred": ('"garden"', '"garden", weights=None'),
        "not a network": 'return h.load_backbone("garden")',
    },
    "pair_is_fair": {
        "not two recipes": "return transfer",
        "nothing differs": (", copied=0", ""),
        "more differs": ('transfer, name="random features", copied=0', 'h.SCRATCH, name="random features"'),
        "random weights frozen": ("copied=0", "weights=None"),
        "part is copied": ("copied=0", "copied=0.5"),
        "the other way round": ("control, transfer", "transfer, control"),
        "another name": ("random features", "feature extraction"),
    },
    "difference_paired": {
        "the wrong sign": ("ours.float() - theirs.float()", "theirs.float() - ours.float()"),
        "not in points": ("100 * ", ""),
        "not paired": ("each.std()", "100 * (ours.float().var() + theirs.float().var()).sqrt()"),
        "spread, not error": (" / len(each) ** 0.5", ""),
        "whole width": ("1.96", "3.92"),
        "not two numbers": (", half.item()", ""),
        "another interval": ("1.96", "1.28"),
    },
    "confusion_found": {
        "right answers counted": ("truth != predicted", "1"),
        "taken the wrong way": ("truth, predicted = divmod", "predicted, truth = divmod"),
        "numbers, not names": ("classes[truth], classes[predicted]", "truth, predicted"),
        "not the most frequent": ("counts.argmax()", "counts[0].argmax()"),
        "another count": ("counts.max()", "counts[truth].sum()"),
        "not three things": (", int(counts.max())", ""),
    },
    "contest": {
        "more pictures": contest('h.render("flowers", [0], [500])\nreturn mean_colour(task)'),
        "too slow": contest("import time\ntime.sleep(0.1)\nreturn mean_colour(task)", minutes=0.001),
        "no preprocessing": contest("return source.model"),
        "no classifier": contest("return 0.93"),
        "wrong classes": contest(lambda task: Classifier(source, source.classes, 64, "garden")),
        "depends on its neighbours": contest("logits = mean_colour(task)\nreturn lambda x: logits(x) - logits(x).mean(0)"),
        "no better than chance": contest("return lambda x: torch.arange(float(len(task.classes))).expand(len(x), -1)"),
        "behind the plain recipe": contest(mean_colour),
    },
}
