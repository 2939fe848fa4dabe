"""Answers to the checks of lab 1: right ones, and what people write instead."""

import copy
import time
from dataclasses import replace
from functools import cache

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import helpers as h
from answers import Given
from helpers.training.classifier import Classifier

# a copy with a new head


def with_new_head(copied=copy.deepcopy, layer=nn.Linear):
    def answer(model, num_classes):
        target = copied(model)
        target.fc = layer(model.fc.in_features, num_classes)
        return target

    return answer


def built_anew(model, num_classes):
    target = type(model)(model.fc.out_features, width=8)
    target.load_state_dict(model.state_dict())
    target.fc = nn.Linear(target.fc.in_features, num_classes)
    return target


def relabelled(model, num_classes):
    target = copy.deepcopy(model)
    target.fc.out_features = num_classes
    return target


def behind(model, num_classes):
    return nn.Sequential(copy.deepcopy(model), nn.Linear(model.fc.out_features, num_classes))


def old_rows(model, num_classes):
    target = copy.deepcopy(model)
    target.fc.weight = nn.Parameter(target.fc.weight[:num_classes].clone())
    target.fc.bias = nn.Parameter(target.fc.bias[:num_classes].clone())
    return target


def shallow(model):
    """A second network of the same tensors."""
    target = copy.copy(model)
    target._modules = dict(model._modules)
    return target


# a frozen body


def freeze_body(trains=lambda name: name.startswith("fc."), mode=lambda model: model.eval()):
    def answer(model):
        for name, parameter in model.named_parameters():
            parameter.requires_grad = trains(name)
        mode(model)
        return model

    return answer


# an optimizer


def optimizer(of=lambda model: [p for p in model.parameters() if p.requires_grad], kind=torch.optim.AdamW, rate=None):
    return lambda model, lr: kind(of(model), lr=rate or lr)


@cache
def another():
    return h.GardenNet(4, width=8)


# a training step


def step(*order, loss_of=cross_entropy, before=lambda model: None):
    """Steps in this order, of "zero", "backward", "step"."""

    def answer(model, optimizer, images, labels):
        before(model)
        loss = loss_of(model(images), labels)
        does = {"zero": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}
        for name in order:
            does[name]()
        return loss.item()

    return answer


# an accuracy


@cache
def garden():
    return h.load_backbone("garden")


def prepared(pixels):
    return garden().normalise(pixels)


def accuracy(size=100, prepare=prepared, mode=lambda model: model.eval(), right=lambda hits: hits):
    @torch.no_grad()
    def answer(model, images, labels):
        mode(model)
        hits = 0
        for rows in torch.arange(len(images)).split(size):
            hits += right(model(prepare(images[rows])).argmax(1) == labels[rows]).sum().item()
        return hits / len(images)

    return answer


@torch.no_grad()
def mean_of_batches(model, images, labels):
    model.eval()
    parts = [
        (model(prepared(images[rows])).argmax(1) == labels[rows]).float().mean() for rows in torch.arange(len(images)).split(32)
    ]
    return sum(parts) / len(parts)


@torch.no_grad()
def first_batch_only(model, images, labels):
    model.eval()
    for rows in torch.arange(len(images)).split(100):
        return (model(prepared(images[rows])).argmax(1) == labels[rows]).float().mean().item()


@torch.no_grad()
def in_percent(model, images, labels):
    return 100 * accuracy()(model, images, labels)


@torch.no_grad()
def along_the_wrong_axis(model, images, labels):
    model.eval()
    return (model(prepared(images)).argmax(0)[:, None] == labels).float().mean().item()


# the helpers


def with_helpers(swap=True, upto=-1, **settings):
    def answer(num_classes):
        model = h.load_backbone("garden", **settings).model
        if swap:
            h.swap_head(model, num_classes)
        return model if upto is None else h.freeze(model, upto)

    return answer


def frozen_by_hand(num_classes):
    return freeze_body()(with_helpers(upto=None)(num_classes))


def all_frozen(num_classes):
    return with_helpers()(num_classes).requires_grad_(False)


# two recipes


def pair(order=1, **settings):
    def answer(source):
        transfer = replace(h.FEATURE_EXTRACTION, source=source)
        return (replace(transfer, **({"name": "random features"} | settings)), transfer)[::order]

    return answer


# a paired difference


def paired(scale=100, sign=1, times=1.96, error=True, paired=True):
    def answer(ours, theirs):
        each = sign * scale * (ours.float() - theirs.float())
        spread = each.std() if paired else scale * (ours.float().var() + theirs.float().var()).sqrt()
        return each.mean().item(), (times * spread / (len(ours) ** 0.5 if error else 1)).item()

    return answer


# a confusion


def confusion(
    of=lambda counts: counts.fill_diagonal_(0), names=str, order=1, how_many=lambda counts, row, column: counts[row, column]
):
    def answer(labels, predictions, classes):
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        for truth, predicted in zip(labels.tolist(), predictions.tolist(), strict=True):
            counts[truth, predicted] += 1
        counts = of(counts)
        row, column = divmod(int(counts.argmax()), len(classes))
        named = [classes[i] if names is str else names(i) for i in (row, column)][::order]
        return *named, int(how_many(counts, row, column))

    return answer


def by_counting_pairs(labels, predictions, classes):
    from collections import Counter

    wrong = [(t, p) for t, p in zip(labels.tolist(), predictions.tolist(), strict=True) if t != p]
    (truth, taken), count = Counter(wrong).most_common(1)[0]
    return classes[truth], classes[taken], count


# the contest


@cache
def flowers():
    return h.open_task("flowers", per_class=20)


@cache
def small():
    """A task that is opened and judged in a moment."""
    return h.open_task("flowers", per_class=5, size=32, val=2, test=2)


@torch.no_grad()
def features(images):
    model = copy.deepcopy(garden().model).eval()
    model.fc = nn.Identity()
    return model(prepared(images))


_KEPT = {}


def of_features(images):
    """The source's features, computed once for the pictures that several answers are judged on."""
    key = (len(images), int(images.long().sum()))
    if key not in _KEPT:
        _KEPT[key] = features(images)
    return _KEPT[key]


def discriminant(task):
    """Linear discriminant analysis of the source's features: a classifier without a training loop."""
    x, y = of_features(task.train.pixels), task.train.labels
    means = torch.stack([x[y == label].mean(0) for label in range(len(task.classes))])
    centred = x - means[y]
    within = centred.T @ centred / len(x)
    weight = torch.linalg.solve(within + 0.3 * within.diagonal().mean() * torch.eye(len(within)), means.T)
    return lambda images: of_features(images) @ weight - 0.5 * (means * weight.T).sum(1)


def mean_colour(task):
    """Names a picture by its mean colour: more than chance, less than any transfer."""
    x, y = task.train.pixels.float().mean((2, 3)), task.train.labels
    means = torch.stack([x[y == label].mean(0) for label in range(len(task.classes))])
    return lambda images: -torch.cdist(images.float().mean((2, 3)), means)


def normalised_by_the_batch(task):
    answer = mean_colour(task)
    return lambda images: answer(images) - answer(images).mean(0)


def slow(task):
    time.sleep(0.1)
    return mean_colour(task)


def constant(task):
    return lambda images: torch.arange(float(len(task.classes))).expand(len(images), -1)


def draws_more(task):
    h.render("flowers", [0], [500])
    return mean_colour(task)


def opens_more(task):
    return mean_colour(h.open_task("flowers", per_class=100))


def of_the_source(task):
    backbone = h.load_backbone("garden")
    return Classifier(backbone, backbone.classes, 64, "garden")


def contest(answer, **settings):
    return Given(answer, small, **settings)


RIGHT = {
    "head_renewed": {
        "copied, then replaced": with_new_head(),
        "built anew, loaded, then replaced": built_anew,
        "without a bias": with_new_head(layer=lambda a, b: nn.Linear(a, b, bias=False)),
    },
    "body_frozen": {"no gradients, evaluation mode": freeze_body(), "by the helper": lambda model: h.freeze(model, -1)},
    "optimizer_made": {
        "AdamW of what trains": optimizer(),
        "AdamW of all parameters": optimizer(lambda model: model.parameters()),
        "SGD of the head": optimizer(lambda model: model.fc.parameters(), torch.optim.SGD),
    },
    "step_trains": {
        "empty, compute, move": step("zero", "backward", "step"),
        "emptied at the end": step("backward", "step", "zero"),
    },
    "accuracy_counted": {"in batches": accuracy(), "all at once": accuracy(1000), "one by one": accuracy(1)},
    "helpers_used": {"swap, then freeze": with_helpers(), "up to the layer named fc": with_helpers(upto="fc")},
    "pair_is_fair": {"nothing is copied": pair(copied=0)},
    "difference_paired": {"1.96 standard errors": paired(), "about two": paired(times=2)},
    "confusion_found": {"a table of counts": confusion(), "pairs counted": by_counting_pairs},
    "contest": {
        "a function": contest(discriminant),
        "a fit": contest(lambda task: h.fit(h.FEATURE_EXTRACTION, task)),
        "a classifier": contest(lambda task: h.fit(h.FEATURE_EXTRACTION, task).classifier),
    },
}

WRONG = {
    "head_renewed": {
        "old width": relabelled,
        "source changed": with_new_head(lambda model: model),
        "shared weights": with_new_head(shallow),
        "body not copied": lambda model, n: h.GardenNet(n, width=8),
        "old head kept": behind,
        "head not new": old_rows,
    },
    "body_frozen": {
        "buffers move": freeze_body(mode=lambda model: model.train()),
        "parameters move": freeze_body(lambda name: True),
        "head frozen": freeze_body(lambda name: False),
        "wrong way round": freeze_body(lambda name: "fc" not in name),
    },
    "optimizer_made": {
        "no optimizer": lambda model, lr: list(model.fc.parameters()),
        "another network's": optimizer(lambda model: another().parameters()),
        "frozen parts only": optimizer(lambda model: [p for p in model.parameters() if not p.requires_grad]),
        "part of the head": optimizer(lambda model: [model.fc.weight]),
        "another rate": optimizer(rate=0.001),
    },
    "step_trains": {
        "gradients pile up": step("backward", "step"),
        "no gradients": step("zero", "step"),
        "no step": step("zero", "backward"),
        "gradients thrown away": step("backward", "zero", "step"),
        "steps too early": step("zero", "step", "backward"),
        "another loss": step("zero", "backward", "step", loss_of=lambda x, y: cross_entropy(x.softmax(1), y)),
        "mode changed": step("zero", "backward", "step", before=lambda model: model.train()),
    },
    "accuracy_counted": {
        "judged in training mode": accuracy(mode=lambda model: model.train()),
        "pixels not prepared": accuracy(prepare=lambda images: images / 255),
        "mean of batches": mean_of_batches,
        "images left out": first_batch_only,
        "out of range": in_percent,
        "miscounted": along_the_wrong_axis,
    },
    "helpers_used": {
        "wrong number of outputs": with_helpers(swap=False),
        "parameters move": with_helpers(upto=0),
        "buffers move": frozen_by_hand,
        "head frozen": all_frozen,
        "nothing transferred": with_helpers(weights=None),
        "not a network": lambda n: h.load_backbone("garden"),
    },
    "pair_is_fair": {
        "not two recipes": lambda source: h.FEATURE_EXTRACTION,
        "nothing differs": pair(),
        "more differs": lambda source: (replace(h.SCRATCH, name="random features"), h.FEATURE_EXTRACTION),
        "random weights frozen": pair(weights=None),
        "part is copied": pair(copied=0.5),
        "the other way round": pair(-1, copied=0),
        "another name": pair(copied=0, name="feature extraction"),
    },
    "difference_paired": {
        "the wrong sign": paired(sign=-1),
        "not in points": paired(scale=1),
        "not paired": paired(paired=False),
        "spread, not error": paired(error=False),
        "whole width": paired(times=3.92),
        "not two numbers": lambda a, b: 100 * (a.float() - b.float()).mean(),
        "another interval": paired(times=1.28),
    },
    "confusion_found": {
        "right answers counted": confusion(of=lambda counts: counts),
        "taken the wrong way": confusion(order=-1),
        "numbers, not names": confusion(names=int),
        "not the most frequent": confusion(of=lambda counts: (counts.fill_diagonal_(0) > 0).long()),
        "another count": confusion(how_many=lambda counts, row, column: counts[row].sum()),
        "not three things": lambda *a: confusion()(*a)[:2],
    },
    "contest": {
        "more pictures": contest(draws_more),
        "too slow": contest(slow, minutes=0.001),
        "no preprocessing": contest(lambda task: garden().model),
        "no classifier": contest(lambda task: 0.93),
        "wrong classes": contest(of_the_source),
        "depends on its neighbours": contest(normalised_by_the_batch),
        "no better than chance": contest(constant),
        "behind the plain recipe": contest(mean_colour),
    },
}
