"""What lab 2 asks for: runs, a choice, maps and measures, judged on small examples with known answers."""

from types import SimpleNamespace

import pandas
import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from helpers.freezing import freeze
from helpers.lessons.goldfinches.calibration import calibration_error as course_error
from helpers.lessons.goldfinches.calibration import confidence, fit_temperature, known_from_unknown
from helpers.lessons.goldfinches.examples import PretendFit, PretendTask, feature_maps, found, overconfident, small_network
from helpers.lessons.probes import changes, images, kept, recognise, tried
from helpers.notebook.checking import checked
from helpers.notebook.findings import answer_of, kind_of, number, tensor
from helpers.training.intervals import wilson

LAB = "lab2_goldfinches"

CLOSE = 1e-5


@checked(LAB)
def compared_over_seeds(runs_of):
    """Each recipe runs once with each seed, on training images that the seed draws, and its final accuracies are recorded."""
    recipes, fit = [SimpleNamespace(name=name) for name in "abc"], PretendFit()
    words = {"takes a Recipe": "another fit", "KeyError: -1": "no row of that name",
             "'int' object is not iterable": "seeds are a number"}  # fmt: skip
    table = tried(found, words, runs_of, recipes, PretendTask(), 2, fit)
    if not fit.calls:
        raise found("another fit", "the function that was passed in was never called")
    if not isinstance(table, pandas.DataFrame) or not {"recipe", "seed", "val", "test"} <= set(table.columns):
        raise found("not a table of runs", str(list(getattr(table, "columns", [kind_of(table)]))))
    wanted = {(name, seed) for name in "abc" for seed in (0, 1)}
    rows = list(zip(table.recipe, table.seed, strict=True))
    if len(fit.calls) != 6 or len(rows) != 6 or set(rows) != wanted:
        raise found("runs missing", f"3 recipes with 2 seeds gave {len(fit.calls)} calls of fit and the rows {sorted(set(rows))}")
    drawn = {name: [draw for recipe, draw, _ in fit.calls if recipe == name] for name in "abc"}
    if all(len(set(draws)) == 1 for draws in drawn.values()) and len({draws[0] for draws in drawn.values()}) == 1:
        raise found("same images for each seed", "both seeds trained on the same images")
    if len({tuple(sorted(draws)) for draws in drawn.values()}) > 1 or any(len(set(draws)) < 2 for draws in drawn.values()):
        raise found("recipes see other images", f"draws of images by recipe: {drawn}")
    if any(draw != seed for _, draw, seed in fit.calls):
        raise found("seed not handed on", f"fit was called with the seeds {[seed for *_, seed in fit.calls]}")
    for place, (name, _, seed) in enumerate(fit.calls):
        row = table[(table.recipe == name) & (table.seed == seed)].iloc[0]
        end = 0.51 + 0.01 * place
        val, test = number(row.val, "val"), number(row.test, "test")
        if abs(val - (end - 0.25)) < CLOSE:
            raise found("test where validation belongs", f"val is {val:.2f}, which is the test accuracy")
        if abs(val - (end + 0.2)) < CLOSE:
            raise found("best look", f"val is {val:.2f}, the highest of the history; it ends at {end:.2f}")
        if abs(val - end) > CLOSE or abs(test - (end - 0.25)) > CLOSE:
            raise found("not a table of runs", f"val {val:.2f} and test {test:.2f} where fit gave {end:.2f} and {end - 0.25:.2f}")


@checked(LAB)
def chosen_by_validation(choose):
    """The recipe with the highest mean accuracy on the validation images is chosen, whatever the test accuracy is."""
    rows = [("lucky", 0.99, 0.50), ("lucky", 0.41, 0.50), ("steady", 0.80, 0.60), ("steady", 0.82, 0.62),
            ("good on test", 0.70, 0.95), ("good on test", 0.72, 0.97), ("bad", 0.20, 0.30), ("bad", 0.10, 0.30)]  # fmt: skip
    names = {"lucky": "the luckiest run", "good on test": "chosen by the test", "bad": "the worst"}
    for order in (range(8), (6, 7, 4, 5, 2, 3, 0, 1), (2, 3, 6, 7, 0, 1, 5, 4)):
        table = pandas.DataFrame([rows[i] for i in order], columns=["recipe", "val", "test"])
        table.insert(1, "seed", [0, 1] * 4)
        name = answer_of(choose, table)
        if not isinstance(name, str) or name not in set(table.recipe):
            raise found("not a name", f"{name!r:.60}")
        if name != "steady" and order == range(8):
            raise found(names[name], f"of {table.recipe.unique().tolist()}, {name!r} was chosen")
        if name != "steady":
            raise found("another choice", f"with the rows in another order, {name!r} was chosen and not 'steady'")


@checked(LAB)
def evidence_mapped(class_map):
    """The map shows the evidence for a class at each location, also on a frozen network: its mean plus the bias is the logit."""
    pictures = images(3, 64) * torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1, 1)
    for model, label in ((small_network().eval(), 1), (small_network(), 4), (freeze(small_network(), 0).train(), 2)):
        before = kept(model)
        features, weight = feature_maps(model, pictures, train=False), model.fc.weight.detach()
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
        if torch.allclose(maps - model.fc.bias[label], wanted, atol=1e-4):
            raise found("bias added", f"every location is too high by {model.fc.bias[label].item():.2f}")
        logit = (wanted.mean((1, 2)) + model.fc.bias[label])[0].item()
        seen = f"mean of the first map + bias: {(maps[0].mean() + model.fc.bias[label]).item():.3f}, logit: {logit:.3f}"
        raise found("not the logit", seen)
    return "on three networks, one of them in training mode"


@checked(LAB)
def confusion_named(most_confused):
    """The two species that are mistaken for each other most often, in both directions together."""
    examples = (
        ([[50, 9, 0, 5], [0, 50, 3, 0], [0, 1, 50, 8], [6, 0, 0, 50]], {0, 3}, {0, 1}),
        ([[40, 0, 2, 7], [0, 9, 5, 1], [0, 6, 70, 3], [1, 0, 0, 60]], {1, 2}, {0, 3}),
    )
    classes = ["ash", "birch", "cedar", "date palm"]
    for counts, wanted, one_way in examples:
        counts = torch.tensor(counts)
        labels = torch.arange(4).repeat_interleave(counts.sum(1))
        predictions = torch.cat([torch.arange(4).repeat_interleave(row) for row in counts])
        pair = answer_of(most_confused, labels, predictions, classes)
        pair = list(pair) if isinstance(pair, (tuple, list, set)) else [pair]
        if len(pair) != 2 or not all(isinstance(name, str) and name in classes for name in pair):
            raise found("not two names", f"{pair!r:.60}")
        got = {classes.index(name) for name in pair}
        if got == wanted:
            continue
        seen = f"counts {counts.tolist()}: {' and '.join(pair)}"
        if len(got) == 1:
            raise found("the diagonal", seen)
        per_answer = counts.float() / counts.sum(0)
        per_answer = (per_answer + per_answer.T).fill_diagonal_(0)
        if got == one_way:
            raise found("one direction", seen)
        raise found("shares of answers" if got == {*divmod(int(per_answer.argmax()), 4)} else "another pair", seen)


@checked(LAB)
def sureness_measured(sure):
    """The share of images with a confidence above the level, with its interval."""
    for logits, level in ((overconfident(200)[0], 0.9), (overconfident(77, 1.5)[0], 0.6)):
        answer = answer_of(sure, logits, level)
        if not isinstance(answer, (tuple, list)) or len(answer) != 3:
            raise found("not three numbers", f"{answer!r:.60}")
        share, low, high = (number(value, what, 0, 1) for value, what in zip(answer, ("share", "low", "high"), strict=True))
        wanted = (confidence(logits) > level).double().mean().item()
        seen = f"your share is {share:.3f}; of the {len(logits)} images, {wanted:.3f} have a confidence above {level}"
        if abs(share - wanted) > CLOSE:
            mistakes = [
                ("softmax over the images", logits.softmax(0).amax(1) > level),
                ("mean confidence", confidence(logits)),
                ("classes one by one", logits.sigmoid().amax(1) > level),
                ("classes one by one", logits.softmax(1) > level),
            ]
            recognise(found, share, [(name, values.double().mean()) for name, values in mistakes], seen, CLOSE)
            raise found("logits are no probabilities", seen)
        interval = wilson(wanted, len(logits))
        if abs(low - interval[0]) > 1e-4 or abs(high - interval[1]) > 1e-4:
            raise found("another interval", f"{low:.3f} to {high:.3f} for {share:.3f} of {len(logits)}")


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
def strangers_told_apart(auroc):
    """The area under the ROC curve for telling known from unknown images by their confidence."""
    rng = torch.Generator().manual_seed(3)
    same = torch.full((6,), 0.5)
    examples = ((torch.rand(40, generator=rng) ** 0.4, torch.rand(25, generator=rng)), (same, same[:4]))
    for known, unknown in examples:
        words = {"same shape": "two vectors of one length", "int or long": "labels are whole numbers"}
        area = number(tried(found, words, auroc, known, unknown), "the area", 0, 1)
        wanted = known_from_unknown(known, unknown)
        seen = f"{area:.3f} where it is {wanted:.3f}"
        if abs(area - wanted) < 1e-4:
            continue
        if known is same:
            raise found("ties", f"all scores are equal: {area:.3f}")
        recognise(found, area, [("the wrong way round", 1 - wanted)], seen)
        is_known = torch.cat([torch.ones(len(known)), torch.zeros(len(unknown))]).bool()
        scores, levels = torch.cat([known, unknown]), torch.linspace(0.02, 0.98, 97)
        accuracies = [((scores > level) == is_known).float().mean() for level in levels]
        balanced = [((known > level).float().mean() + (unknown <= level).float().mean()) / 2 for level in levels]
        recognise(found, area, [("at one threshold", value) for value in accuracies + balanced], seen)
        raise found("another area", seen)


@checked(LAB)
def calibration_measured(calibration_error):
    """The expected calibration error, over 15 bins of confidence."""
    for sharpness in (3.0, 0.4):
        logits, labels = overconfident(300, sharpness, seed=1)
        words = {"floating tensor": "answers, not probabilities"}
        value = number(tried(found, words, calibration_error, logits, labels), "the error", 0, 1)
        wanted = course_error(logits, labels)
        if abs(value - wanted) < 1e-4:
            continue
        right, sureness = (logits.argmax(1) == labels).float().mean().item(), confidence(logits).mean().item()
        norms = [multiclass_calibration_error(logits.softmax(1), labels, 4, n_bins=15, norm=n) for n in ("l2", "max")]
        mistakes = [("the largest gap", value) for value in norms] + [
            ("one bin", abs(right - sureness)),
            ("the error rate", 1 - right),
            ("not an error", right),
            ("not an error", sureness),
        ]
        recognise(found, value, mistakes, f"{value:.3f} where it is {wanted:.3f}")
        raise found("another error", f"{value:.3f} where it is {wanted:.3f}")


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
