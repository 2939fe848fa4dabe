"""Answers to the checks of lab 2: right ones, and what people get wrong."""

import math

import pandas
import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc, multiclass_calibration_error

import helpers as h
from helpers.lessons.goldfinches.calibration import fit_temperature, sure
from helpers.lessons.goldfinches.saliency import class_map
from helpers.training.intervals import wilson

# runs_of


def runs(draw_inside=False, draw=True, seeds=None, hand_on=True, look=lambda values: values.iloc[-1], val=None, trainer=None):
    def runs_of(recipes, task, seeds_wanted, fit):
        rows = []
        for seed in range(seeds_wanted if seeds is None else seeds):
            drawn = task.draw(seed) if draw else task
            for place, recipe in enumerate(recipes):
                drawn = task.draw(10 * seed + place) if draw_inside else drawn
                done = (trainer or fit)(recipe, drawn, seed if hand_on else 0)
                value = val(done) if val else look(done.history.val_accuracy)
                rows.append({"recipe": recipe.name, "seed": seed, "val": value, "test": done.accuracy})
        return pandas.DataFrame(rows)

    return runs_of


def recipes_outside(recipes, task, seeds, fit):
    done = [(recipe.name, seed, fit(recipe, task.draw(seed), seed)) for recipe in recipes for seed in range(seeds)]
    return pandas.DataFrame(
        {"recipe": name, "seed": seed, "val": run.history["val_accuracy"].tolist()[-1], "test": run.accuracy}
        for name, seed, run in done
    )


def only_a_list(recipes, task, seeds, fit):
    return runs()(recipes, task, seeds, fit).to_dict("records")


# choose


def sorted_means(table):
    return table.groupby("recipe").val.mean().sort_values(ascending=False).index[0]


# class_map


def body(model):
    return torch.nn.Sequential(*list(model.children())[:-2])


def cam(weights=lambda model, label: model.fc.weight[label], mode=lambda model: model.eval(), after=lambda maps: maps):
    def class_map(model, images, label):
        with torch.no_grad():
            features = body(mode(model))(images)
            return after(torch.einsum("k,nkhw->nhw", weights(model, label), features))

    return class_map


def with_hook(model, images, label):
    kept = []
    hook = model.layer4.register_forward_hook(lambda module, inputs, output: kept.append(output.detach()))
    model.eval()(images)
    hook.remove()
    return (kept[0] * model.fc.weight[label].detach().view(1, -1, 1, 1)).sum(1)


def with_bias(model, images, label):
    return cam()(model, images, label) + model.fc.bias[label].item()


def grad_cam(model, images, label):
    features = body(model.eval())(images)
    logits = model.fc(model.avgpool(features).flatten(1))
    gradient = torch.autograd.grad(logits[:, label].sum(), features)[0]
    return (gradient.mean((2, 3), keepdim=True) * features).sum(1)


# most_confused


def confused(change=lambda counts: (counts + counts.T).fill_diagonal_(0), name=lambda i, classes: classes[i]):
    def most_confused(labels, predictions, classes):
        k = len(classes)
        counts = torch.bincount(labels * k + predictions, minlength=k * k).view(k, k)
        a, b = divmod(int(change(counts).argmax()), k)
        return name(a, classes), name(b, classes)

    return most_confused


def counted_by_hand(labels, predictions, classes):
    pairs = {}
    for truth, said in zip(labels.tolist(), predictions.tolist(), strict=True):
        if truth != said:
            pair = tuple(sorted((classes[truth], classes[said])))
            pairs[pair] = pairs.get(pair, 0) + 1
    return max(pairs, key=pairs.get)


# sure


def share(score, interval=wilson):
    def sure(logits, level):
        value = score(logits, level).double().mean().item()
        return value, *interval(value, len(logits))

    return sure


def over(logits, level):
    return logits.softmax(1).max(1).values > level


# fit_temperature


def grid(loss, values=None):
    values = torch.logspace(-1.5, 1.5, 400) if values is None else values
    return lambda logits, labels: values[torch.stack([loss(logits, labels, t) for t in values]).argmin()].item()


def divided(logits, labels, t):
    return F.cross_entropy(logits / t, labels)


def descent(steps, lr):
    def fit_temperature(logits, labels):
        t = torch.ones(1, requires_grad=True)
        optimizer = torch.optim.Adam([t], lr=lr)
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(logits / t, labels).backward()
            optimizer.step()
        return t.item()

    return fit_temperature


# tells apart, calibration


def area(known, unknown):
    truth = torch.cat([torch.ones_like(known), torch.zeros_like(unknown)]).int()
    return binary_auroc(torch.cat([known, unknown]), truth)


def pairs(tie):
    def auroc(known, unknown):
        return ((known[:, None] > unknown).double() + tie * (known[:, None] == unknown)).mean().item()

    return auroc


def at_half(known, unknown):
    return ((known > 0.5).sum() + (unknown <= 0.5).sum()).item() / (len(known) + len(unknown))


def ece(**settings):
    settings = {"n_bins": 15, "norm": "l1"} | settings
    return lambda logits, labels: multiclass_calibration_error(logits.softmax(1), labels, logits.shape[1], **settings)


def ece_by_hand(logits, labels):
    sureness, said = logits.softmax(1).max(1)
    bins, total = (sureness * 15).ceil().clamp(1, 15), 0.0
    for one in bins.unique():
        rows = bins == one
        total += rows.float().mean() * ((said == labels)[rows].float().mean() - sureness[rows].mean()).abs()
    return float(total)


RIGHT = {
    "compared_over_seeds": {"seeds outside": runs(), "recipes outside": recipes_outside},
    "chosen_by_validation": {
        "idxmax of the means": lambda table: table.groupby("recipe")["val"].mean().idxmax(),
        "sorted": sorted_means,
    },
    "evidence_mapped": {"layers in a row": cam(), "a hook": with_hook, "the helper": class_map},
    "confusion_named": {"matrix": confused(), "by hand": counted_by_hand},
    "sureness_measured": {"wilson": share(over), "the helper": sure},
    "threshold_chosen": {
        "quantile": lambda sureness, keep: torch.quantile(sureness, 1 - keep).item(),
        "sorted": lambda sureness, keep: sureness.sort().values[int((1 - keep) * len(sureness) + 1e-6)],
    },
    "strangers_told_apart": {"torchmetrics": area, "all pairs": pairs(0.5)},
    "temperature_fitted": {"a grid": grid(divided), "Adam": descent(600, 0.05), "the helper": fit_temperature},
    "calibration_measured": {"torchmetrics": ece(), "by hand": ece_by_hand},
}

WRONG = {
    "compared_over_seeds": {
        "another fit": runs(trainer=h.fit),
        "not a table of runs": only_a_list,
        "runs missing": runs(seeds=1),
        "same images for each seed": runs(draw=False),
        "recipes see other images": runs(draw_inside=True),
        "seed not handed on": runs(hand_on=False),
        "test where validation belongs": runs(val=lambda run: run.accuracy),
        "seeds are a number": lambda recipes, task, seeds, fit: [task.draw(s) for s in seeds],
        "no row of that name": runs(look=lambda values: values[-1]),
        "best look": runs(look=lambda values: values.max()),
    },
    "chosen_by_validation": {
        "not a name": lambda table: table.groupby("recipe").val.mean().max(),
        "chosen by the test": lambda table: table.groupby("recipe").test.mean().idxmax(),
        "the luckiest run": lambda table: table.recipe[table.val.idxmax()],
        "the worst": lambda table: table.groupby("recipe").val.mean().idxmin(),
        "another choice": lambda table: table.recipe.iloc[2],
    },
    "evidence_mapped": {
        "needs gradients": grad_cam,
        "training mode": cam(mode=lambda model: model.train()),
        "another class": cam(lambda model, label: model.fc.weight[0]),
        "head left out": cam(lambda model, label: torch.full_like(model.fc.weight[0], 1 / 64)),
        "negative evidence lost": cam(after=torch.relu),
        "not the logit": cam(after=lambda maps: maps / maps.abs().max()),
        "averaged away": cam(after=lambda maps: maps.mean((1, 2))),
        "wrong shape": cam(after=lambda maps: maps.permute(1, 2, 0)),
        "layers left out": lambda model, images, label: model.layer4(images).mean(1),
        "bias added": with_bias,
    },
    "confusion_named": {
        "not two names": confused(name=lambda i, classes: i),
        "the diagonal": confused(lambda counts: counts),
        "one direction": confused(lambda counts: counts.clone().fill_diagonal_(0)),
        "another pair": confused(lambda counts: -(counts + counts.T).fill_diagonal_(999)),
    },
    "sureness_measured": {
        "not three numbers": lambda logits, level: over(logits, level).float().mean().item(),
        "logits are no probabilities": share(lambda logits, level: logits.max(1).values > level),
        "softmax over the images": share(lambda x, level: x.softmax(0).max(1).values > level),
        "mean confidence": share(lambda logits, level: logits.softmax(1).max(1).values),
        "classes one by one": share(lambda logits, level: logits.softmax(1) > level),
        "another interval": share(over, lambda p, n: (p - (s := 1.96 * math.sqrt(p * (1 - p) / n)), p + s)),
        "out of range": lambda x, level: tuple(100 * value for value in sure(x, level)),
    },
    "threshold_chosen": {
        "keeps too few": lambda sureness, keep: torch.quantile(sureness, keep).item(),
        "keeps too many": lambda sureness, keep: torch.quantile(sureness, (1 - keep) / 2).item(),
        "does not listen": lambda sureness, keep: 0.9,
    },
    "strangers_told_apart": {
        "the wrong way round": lambda known, unknown: area(unknown, known),
        "at one threshold": at_half,
        "ties": pairs(0.0),
        "two vectors of one length": lambda known, unknown: binary_auroc(known, unknown),
        "labels are whole numbers": lambda known, unknown: binary_auroc(known, torch.ones_like(known)),
        "another area": lambda known, unknown: (known.mean() - unknown.mean()).abs(),
    },
    "temperature_fitted": {
        "upside down": grid(lambda x, labels, t: F.cross_entropy(x * t, labels)),
        "not the lowest": descent(20, 0.01),
        "not moved": grid(lambda x, y, t: -((x / t).argmax(1) == y).float().mean(), torch.tensor([1.0, 2.0, 0.5])),
        "negative": lambda logits, labels: -fit_temperature(logits, labels),
        "softmax twice": grid(lambda x, y, t: divided(x.softmax(1), y, t), torch.logspace(-2, 2, 401)),
    },
    "calibration_measured": {
        "the largest gap": ece(norm="max"),
        "one bin": ece(n_bins=1),
        "answers, not probabilities": lambda logits, labels: multiclass_calibration_error(logits.argmax(1), labels, 4, n_bins=15),
        "the error rate": lambda x, labels: (x.argmax(1) != labels).float().mean(),
        "not an error": lambda logits, labels: (logits.argmax(1) == labels).float().mean(),
        "another error": ece(n_bins=10),
    },
}
