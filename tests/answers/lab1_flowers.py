"""Answers to the checks of lab 1: right ones, and what people write instead."""

import copy
import time
from dataclasses import replace
from functools import cache

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import helpers as h
from answers import call
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


def contest(answer, task=small, **settings):
    return lambda: call(answer, task(), **settings)


RIGHT = {
    "head_renewed": {
        "copied, then replaced": lambda: call(with_new_head()),
        "built anew, loaded, then replaced": lambda: call(built_anew),
        "without a bias": lambda: call(with_new_head(layer=lambda a, b: nn.Linear(a, b, bias=False))),
    },
    "body_frozen": {
        "no gradients, evaluation mode": lambda: call(freeze_body()),
        "by the helper": lambda: call(lambda model: h.freeze(model, -1)),
    },
    "optimizer_made": {
        "AdamW of what trains": lambda: call(optimizer()),
        "AdamW of all parameters": lambda: call(optimizer(lambda model: model.parameters())),
        "SGD of the head": lambda: call(optimizer(lambda model: model.fc.parameters(), torch.optim.SGD)),
    },
    "step_trains": {
        "empty, compute, move": lambda: call(step("zero", "backward", "step")),
        "emptied at the end": lambda: call(step("backward", "step", "zero")),
    },
    "accuracy_counted": {
        "in batches": lambda: call(accuracy()),
        "all at once": lambda: call(accuracy(1000)),
        "one by one": lambda: call(accuracy(1)),
    },
    "helpers_used": {
        "swap, then freeze": lambda: call(with_helpers()),
        "up to the layer named fc": lambda: call(with_helpers(upto="fc")),
    },
    "pair_is_fair": {"nothing is copied": lambda: call(pair(copied=0))},
    "difference_paired": {
        "1.96 standard errors": lambda: call(paired()),
        "about two": lambda: call(paired(times=2)),
    },
    "confusion_found": {
        "a table of counts": lambda: call(confusion()),
        "pairs counted": lambda: call(by_counting_pairs),
    },
    "contest": {
        "a function": contest(discriminant),
        "a fit": contest(lambda task: h.fit(h.FEATURE_EXTRACTION, task)),
        "a classifier": contest(lambda task: h.fit(h.FEATURE_EXTRACTION, task).classifier),
    },
}
WRONG = {
    "head_renewed": {
        "a label changed": ("old width", lambda: call(relabelled)),
        "no copy": ("source changed", lambda: call(with_new_head(lambda model: model))),
        "a shallow copy": ("shared weights", lambda: call(with_new_head(shallow))),
        "a new network": ("body not copied", lambda: call(lambda model, n: h.GardenNet(n, width=8))),
        "put behind the old head": ("old head kept", lambda: call(behind)),
        "rows of the old head": ("head not new", lambda: call(old_rows)),
    },
    "body_frozen": {
        "training mode": ("buffers move", lambda: call(freeze_body(mode=lambda model: model.train()))),
        "evaluation mode alone": ("parameters move", lambda: call(freeze_body(lambda name: True))),
        "frozen with the head": ("head frozen", lambda: call(freeze_body(lambda name: False))),
        "the head frozen": ("wrong way round", lambda: call(freeze_body(lambda name: "fc" not in name))),
    },
    "optimizer_made": {
        "a list of parameters": ("no optimizer", lambda: call(lambda model, lr: list(model.fc.parameters()))),
        "made for the model before the swap": (
            "another network's",
            lambda: call(optimizer(lambda model: another().parameters())),
        ),
        "what does not train": (
            "frozen parts only",
            lambda: call(optimizer(lambda model: [p for p in model.parameters() if not p.requires_grad])),
        ),
        "the weight alone": ("part of the head", lambda: call(optimizer(lambda model: [model.fc.weight]))),
        "the default rate": ("another rate", lambda: call(optimizer(rate=0.001))),
    },
    "step_trains": {
        "not emptied": ("gradients pile up", lambda: call(step("backward", "step"))),
        "no backward": ("no gradients", lambda: call(step("zero", "step"))),
        "no step": ("no step", lambda: call(step("zero", "backward"))),
        "emptied in between": ("gradients thrown away", lambda: call(step("backward", "zero", "step"))),
        "steps first": ("steps too early", lambda: call(step("zero", "step", "backward"))),
        "softmax first": (
            "another loss",
            lambda: call(step("zero", "backward", "step", loss_of=lambda x, y: cross_entropy(x.softmax(1), y))),
        ),
        "train() in each step": (
            "mode changed",
            lambda: call(step("zero", "backward", "step", before=lambda model: model.train())),
        ),
    },
    "accuracy_counted": {
        "in training mode": ("judged in training mode", lambda: call(accuracy(mode=lambda model: model.train()))),
        "pixels from 0 to 1": ("pixels not prepared", lambda: call(accuracy(prepare=lambda images: images / 255))),
        "the mean of batches": ("mean of batches", lambda: call(mean_of_batches)),
        "returned inside the loop": ("images left out", lambda: call(first_batch_only)),
        "per cent": ("out of range", lambda: call(in_percent)),
        "along the wrong axis": ("miscounted", lambda: call(along_the_wrong_axis)),
    },
    "helpers_used": {
        "old head": ("wrong number of outputs", lambda: call(with_helpers(swap=False))),
        "nothing frozen": ("parameters move", lambda: call(with_helpers(upto=0))),
        "frozen by hand": ("buffers move", lambda: call(frozen_by_hand)),
        "the head frozen too": ("head frozen", lambda: call(all_frozen)),
        "random weights": ("nothing transferred", lambda: call(with_helpers(weights=None))),
        "the backbone itself": ("not a network", lambda: call(lambda n: h.load_backbone("garden"))),
    },
    "pair_is_fair": {
        "one recipe": ("not two recipes", lambda: call(lambda source: h.FEATURE_EXTRACTION)),
        "another name only": ("nothing differs", lambda: call(pair())),
        "the shipped scratch": (
            "more differs",
            lambda: call(lambda source: (replace(h.SCRATCH, name="random features"), h.FEATURE_EXTRACTION)),
        ),
        "no weights at all": ("random weights frozen", lambda: call(pair(weights=None))),
        "half of the stages": ("part is copied", lambda: call(pair(copied=0.5))),
        "the other way round": ("the other way round", lambda: call(pair(-1, copied=0))),
        "the same name": ("another name", lambda: call(pair(copied=0, name="feature extraction"))),
    },
    "difference_paired": {
        "the other way round": ("the wrong sign", lambda: call(paired(sign=-1))),
        "shares": ("not in points", lambda: call(paired(scale=1))),
        "as if the images differed": ("not paired", lambda: call(paired(paired=False))),
        "the spread of one image": ("spread, not error", lambda: call(paired(error=False))),
        "from end to end": ("whole width", lambda: call(paired(times=3.92))),
        "the difference alone": ("not two numbers", lambda: call(lambda a, b: 100 * (a.float() - b.float()).mean())),
        "another quantile": ("another interval", lambda: call(paired(times=1.28))),
    },
    "confusion_found": {
        "right answers too": ("right answers counted", lambda: call(confusion(of=lambda counts: counts))),
        "columns before rows": ("taken the wrong way", lambda: call(confusion(order=-1))),
        "positions": ("numbers, not names", lambda: call(confusion(names=int))),
        "the first that happens": (
            "not the most frequent",
            lambda: call(confusion(of=lambda counts: (counts.fill_diagonal_(0) > 0).long())),
        ),
        "all images of the kind": (
            "another count",
            lambda: call(confusion(how_many=lambda counts, row, column: counts[row].sum())),
        ),
        "the pair alone": ("not three things", lambda: call(lambda *a: confusion()(*a)[:2])),
    },
    "contest": {
        "draws pictures of its own": ("more pictures", contest(draws_more)),
        "takes too long": ("too slow", contest(slow, minutes=0.001)),
        "a bare network": ("no preprocessing", contest(lambda task: garden().model)),
        "an accuracy": ("no classifier", contest(lambda task: 0.93)),
        "the source's classes": ("wrong classes", contest(of_the_source)),
        "normalised by the batch": ("depends on its neighbours", contest(normalised_by_the_batch)),
        "always the same answer": ("no better than chance", contest(constant)),
        "by the mean colour": ("behind the plain recipe", contest(mean_colour)),
    },
}
