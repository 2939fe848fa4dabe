"""Answers to the checks of lab 2: right ones, and what people get wrong."""

import math

import pandas
import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc, multiclass_calibration_error

import helpers as h
from answers import call
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
    "compared_over_seeds": {"seeds outside": lambda: call(runs()), "recipes outside": lambda: call(recipes_outside)},
    "chosen_by_validation": {
        "idxmax of the means": lambda: call(lambda table: table.groupby("recipe")["val"].mean().idxmax()),
        "sorted": lambda: call(sorted_means),
    },
    "evidence_mapped": {
        "layers in a row": lambda: call(cam()),
        "a hook": lambda: call(with_hook),
        "the helper": lambda: call(class_map),
    },
    "confusion_named": {"matrix": lambda: call(confused()), "by hand": lambda: call(counted_by_hand)},
    "sureness_measured": {"wilson": lambda: call(share(over)), "the helper": lambda: call(sure)},
    "threshold_chosen": {
        "quantile": lambda: call(lambda sureness, keep: torch.quantile(sureness, 1 - keep).item()),
        "sorted": lambda: call(lambda sureness, keep: sureness.sort().values[int((1 - keep) * len(sureness) + 1e-6)]),
    },
    "strangers_told_apart": {"torchmetrics": lambda: call(area), "all pairs": lambda: call(pairs(0.5))},
    "temperature_fitted": {
        "a grid": lambda: call(grid(divided)),
        "Adam": lambda: call(descent(600, 0.05)),
        "the helper": lambda: call(fit_temperature),
    },
    "calibration_measured": {"torchmetrics": lambda: call(ece()), "by hand": lambda: call(ece_by_hand)},
}

WRONG = {
    "compared_over_seeds": {
        "h.fit in place of fit": ("another fit", lambda: call(runs(trainer=h.fit))),
        "rows in a list": ("not a table of runs", lambda: call(only_a_list)),
        "one seed": ("runs missing", lambda: call(runs(seeds=1))),
        "no draw": ("same images for each seed", lambda: call(runs(draw=False))),
        "drawn for each recipe": ("recipes see other images", lambda: call(runs(draw_inside=True))),
        "seed left out": ("seed not handed on", lambda: call(runs(hand_on=False))),
        "test as validation": ("test where validation belongs", lambda: call(runs(val=lambda run: run.accuracy))),
        "over a number": ("seeds are a number", lambda: call(lambda recipes, task, seeds, fit: [task.draw(s) for s in seeds])),
        "row called -1": ("no row of that name", lambda: call(runs(look=lambda values: values[-1]))),
        "highest look": ("best look", lambda: call(runs(look=lambda values: values.max()))),
    },
    "chosen_by_validation": {
        "the value": ("not a name", lambda: call(lambda table: table.groupby("recipe").val.mean().max())),
        "by the test": ("chosen by the test", lambda: call(lambda table: table.groupby("recipe").test.mean().idxmax())),
        "one run": ("the luckiest run", lambda: call(lambda table: table.recipe[table.val.idxmax()])),
        "lowest": ("the worst", lambda: call(lambda table: table.groupby("recipe").val.mean().idxmin())),
        "by its place": ("another choice", lambda: call(lambda table: table.recipe.iloc[2])),
    },
    "evidence_mapped": {
        "gradients": ("needs gradients", lambda: call(grad_cam)),
        "live BatchNorm": ("training mode", lambda: call(cam(mode=lambda model: model.train()))),
        "first row": ("another class", lambda: call(cam(lambda model, label: model.fc.weight[0]))),
        "ones": ("head left out", lambda: call(cam(lambda model, label: torch.full_like(model.fc.weight[0], 1 / 64)))),
        "relu": ("negative evidence lost", lambda: call(cam(after=torch.relu))),
        "scaled": ("not the logit", lambda: call(cam(after=lambda maps: maps / maps.abs().max()))),
        "pooled": ("averaged away", lambda: call(cam(after=lambda maps: maps.mean((1, 2))))),
        "transposed": ("wrong shape", lambda: call(cam(after=lambda maps: maps.permute(1, 2, 0)))),
        "one layer": ("layers left out", lambda: call(lambda model, images, label: model.layer4(images).mean(1))),
        "with the bias": ("bias added", lambda: call(with_bias)),
    },
    "confusion_named": {
        "numbers": ("not two names", lambda: call(confused(name=lambda i, classes: i))),
        "with the diagonal": ("the diagonal", lambda: call(confused(lambda counts: counts))),
        "one way": ("one direction", lambda: call(confused(lambda counts: counts.clone().fill_diagonal_(0)))),
        "least": ("another pair", lambda: call(confused(lambda counts: -(counts + counts.T).fill_diagonal_(999)))),
    },
    "sureness_measured": {
        "share alone": ("not three numbers", lambda: call(lambda logits, level: over(logits, level).float().mean().item())),
        "logits": ("logits are no probabilities", lambda: call(share(lambda logits, level: logits.max(1).values > level))),
        "softmax(0)": ("softmax over the images", lambda: call(share(lambda x, level: x.softmax(0).max(1).values > level))),
        "mean": ("mean confidence", lambda: call(share(lambda logits, level: logits.softmax(1).max(1).values))),
        "all classes": ("classes one by one", lambda: call(share(lambda logits, level: logits.softmax(1) > level))),
        "plus or minus": (
            "another interval",
            lambda: call(share(over, lambda p, n: (p - (s := 1.96 * math.sqrt(p * (1 - p) / n)), p + s))),
        ),
        "per cent": ("out of range", lambda: call(lambda x, level: tuple(100 * value for value in sure(x, level)))),
    },
    "threshold_chosen": {
        "the other end": ("keeps too few", lambda: call(lambda sureness, keep: torch.quantile(sureness, keep).item())),
        "both ends": ("keeps too many", lambda: call(lambda sureness, keep: torch.quantile(sureness, (1 - keep) / 2).item())),
        "always 0.9": ("does not listen", lambda: call(lambda sureness, keep: 0.9)),
    },
    "strangers_told_apart": {
        "unknown as 1": ("the wrong way round", lambda: call(lambda known, unknown: area(unknown, known))),
        "right at one half": ("at one threshold", lambda: call(at_half)),
        "ties lost": ("ties", lambda: call(pairs(0.0))),
        "two groups": ("two vectors of one length", lambda: call(lambda known, unknown: binary_auroc(known, unknown))),
        "labels as floats": (
            "labels are whole numbers",
            lambda: call(lambda known, unknown: binary_auroc(known, torch.ones_like(known))),
        ),
        "mean difference": ("another area", lambda: call(lambda known, unknown: (known.mean() - unknown.mean()).abs())),
    },
    "temperature_fitted": {
        "multiplied": ("upside down", lambda: call(grid(lambda x, labels, t: F.cross_entropy(x * t, labels)))),
        "cut off": ("not the lowest", lambda: call(descent(20, 0.01))),
        "accuracy": (
            "not moved",
            lambda: call(grid(lambda x, y, t: -((x / t).argmax(1) == y).float().mean(), torch.tensor([1.0, 2.0, 0.5]))),
        ),
        "below zero": ("negative", lambda: call(lambda logits, labels: -fit_temperature(logits, labels))),
        "probabilities": (
            "softmax twice",
            lambda: call(grid(lambda x, y, t: divided(x.softmax(1), y, t), torch.logspace(-2, 2, 401))),
        ),
    },
    "calibration_measured": {
        "worst bin": ("the largest gap", lambda: call(ece(norm="max"))),
        "one bin": ("one bin", lambda: call(ece(n_bins=1))),
        "answers": (
            "answers, not probabilities",
            lambda: call(lambda logits, labels: multiclass_calibration_error(logits.argmax(1), labels, 4, n_bins=15)),
        ),
        "wrong answers": ("the error rate", lambda: call(lambda x, labels: (x.argmax(1) != labels).float().mean())),
        "accuracy": ("not an error", lambda: call(lambda logits, labels: (logits.argmax(1) == labels).float().mean())),
        "ten bins": ("another error", lambda: call(ece(n_bins=10))),
    },
}
