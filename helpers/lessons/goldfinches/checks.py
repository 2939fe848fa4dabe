"""What lab 2 asks for: a training program (see pipeline.py), a choice, a map, a threshold and a temperature."""

import pandas
import torch
from torch.nn import functional as F

import helpers.lessons.goldfinches.pipeline  # noqa: F401  # its checks come first
from helpers.freezing import freeze
from helpers.lessons.goldfinches.calibration import fit_temperature
from helpers.lessons.goldfinches.examples import LAB, feature_maps, found, overconfident, source_network
from helpers.lessons.probes import changes, images, kept, recognise, tried
from helpers.notebook.checking import checked
from helpers.notebook.findings import answer_of, number, tensor

CLOSE = 1e-5


@checked(LAB)
def chosen_by_validation(choose):
    """The recipe with the highest mean accuracy on the validation images is chosen, whatever the test accuracy is."""
    recipes = {"lucky": (0.99, 0.41, 0.55, 0.50), "steady": (0.70, 0.84, 0.86, 0.61), "even": (0.74, 0.75, 0.76, 0.55),
               "two of three": (0.50, 0.88, 0.87, 0.56), "good on test": (0.69, 0.71, 0.70, 0.96),
               "bad": (0.20, 0.10, 0.15, 0.30)}  # fmt: skip
    names = {"lucky": "the luckiest run", "good on test": "chosen by the test", "bad": "the worst"}
    names |= {"even": "not the mean", "two of three": "not the mean"}
    rows = [(name, seed, vals[seed], test) for name, (*vals, test) in recipes.items() for seed in range(3)]
    for order in (range(18), range(17, -1, -1), [*range(6, 18), *range(6)]):
        table = pandas.DataFrame([rows[i] for i in order], columns=["recipe", "seed", "val", "test"])
        name = answer_of(choose, table)
        if not isinstance(name, str) or name not in set(table.recipe):
            raise found("not a name", f"{name!r:.60}")
        if name != "steady" and order == range(18):
            raise found(names[name], f"of {table.recipe.unique().tolist()}, {name!r} was chosen")
        if name != "steady":
            raise found("another choice", f"with the rows in another order, {name!r} was chosen and not 'steady'")


@checked(LAB)
def evidence_mapped(class_map):
    """The map shows the evidence for a class at each location, also on a frozen network: its mean plus the bias is the logit."""
    pictures = images(3, 64) * torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1, 1)
    for upto, label in ((-1, 1), (0, 4), (-1, 2)):
        model = freeze(source_network(5), upto).train(label != 1)
        before = kept(model)
        features, weight = feature_maps(model, pictures, train=False), model.classifier.weight.detach()
        wanted = torch.einsum("k,nkhw->nhw", weight[label], features)
        words = {"grad": "needs gradients", "NoneType": "needs gradients", "channels, but got": "layers left out"}
        maps = tried(found, words, class_map, model, pictures, label)
        if isinstance(maps, torch.Tensor) and tuple(maps.shape) in ((3,), (3, 1, 1)):
            raise found("averaged away", f"maps of shape {tuple(maps.shape)}; the last feature maps have 2 x 2 locations")
        maps = tensor(maps, "the maps", tuple(wanted.shape)).detach()
        moved = changes(model, before)
        if torch.allclose(maps, wanted, atol=1e-4) and not moved:
            continue
        training = torch.einsum("k,nkhw->nhw", weight[label], feature_maps(model, pictures, train=True))
        others = torch.einsum("ck,nkhw->cnhw", weight, features)
        if moved or torch.allclose(maps, training, atol=1e-4):
            raise found("training mode", f"your function changed {', '.join(moved[:2])}" if moved else "maps of training mode")
        mistakes = [("another class", other) for other in (*others, others.sum(0))]
        recognise(found, maps, mistakes, f"asked for class {label}, the maps belong to another class, or to all")
        mean = [("head left out", features.mean(1))]
        recognise(found, maps, mean, "the maps are the same for all classes: the mean of the channels")
        if float(maps.min()) >= 0 > float(wanted.min()):
            raise found("negative evidence lost", f"no value below {float(maps.min()):.2f}")
        if torch.allclose(maps - model.classifier.bias[label], wanted, atol=1e-4):
            raise found("bias added", f"every location is too high by {model.classifier.bias[label].item():.2f}")
        logit = (wanted.mean((1, 2)) + model.classifier.bias[label])[0].item()
        seen = f"mean of the first map + bias: {(maps[0].mean() + model.classifier.bias[label]).item():.3f}, logit: {logit:.3f}"
        raise found("not the logit", seen)
    return "on three networks, one of them in training mode"


@checked(LAB)
def threshold_chosen(threshold_for):
    """The threshold keeps the requested share of the validation images, and is as high as that allows."""
    seen = {}
    for count, keep in ((200, 0.95), (200, 0.8), (400, 0.5)):
        sureness = 1 - 0.6 * torch.rand(count, generator=torch.Generator().manual_seed(count)) ** 2
        limit = number(answer_of(threshold_for, sureness, keep), "the threshold")
        kept, seen[keep] = int((sureness >= limit).sum()), limit
        if keep == 0.8 and abs(seen[0.8] - seen[0.95]) < CLOSE:
            raise found("does not listen", f"{limit:.3f} to keep a share of 0.95, and to keep one of 0.8")
        if keep != 0.95 and abs(kept - keep * count) > 1.5:
            name = "keeps too few" if kept < keep * count else "keeps too many"
            raise found(name, f"{limit:.3f} keeps {kept} of {count} images, {keep * count:.0f} should be kept")


@checked(LAB)
def temperature_fitted(fit_temperature_of):
    """Divided by the temperature, the logits have the lowest cross-entropy on these images."""
    for sharpness in (3.0, 0.5):
        logits, labels = overconfident(300, sharpness, seed=5)
        value = number(answer_of(fit_temperature_of, logits.clone(), labels), "the temperature")
        best = fit_temperature(logits, labels)
        if value <= 0:
            raise found("negative", f"{value:.3f}")
        if abs(value / best - 1) < 0.03:
            continue
        grid = torch.logspace(-2, 2, 2001, dtype=torch.float64)
        twice = grid[torch.stack([F.cross_entropy(logits.double().softmax(1) / t, labels) for t in grid]).argmin()].item()
        at = {t: F.cross_entropy(logits / t, labels).item() for t in (value, best)}
        seen = f"{value:.3f} gives a cross-entropy of {at[value]:.4f}; at {best:.3f} it is {at[best]:.4f}"
        if abs(value * best - 1) < 0.05:
            raise found("upside down", seen)
        if abs(value / twice - 1) < 0.03:
            raise found("softmax twice", seen)
        raise found("not moved" if abs(value - 1) < 1e-3 else "not the lowest", seen)
    return "your temperature agrees with the course's"
