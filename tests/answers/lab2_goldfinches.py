"""Answers to the checks of lab 2."""

from helpers.lessons.goldfinches import calibration, saliency

BOTH = "(counts + counts.T).fill_diagonal_(0)"
WEIGHT = "model.fc.weight[label]"
ENDS = "body(images))"

RIGHT = {
    "compared_over_seeds": {
        "recipes outside": (
            "for seed in range(seeds):\n    drawn = task.draw(seed)\n    for one in recipes:\n",
            "for one in recipes:\n    for seed in range(seeds):\n        drawn = task.draw(seed)\n",
        )
    },
    "chosen_by_validation": {"sorted": ("idxmax()", "sort_values(ascending=False).index[0]")},
    "evidence_mapped": {
        "a hook": """
kept = []
hook = model.layer4.register_forward_hook(lambda module, inputs, output: kept.append(output))
model.eval()(images)
hook.remove()
return (kept[0] * model.fc.weight[label].view(1, -1, 1, 1)).sum(1)""",
        "the helper": saliency.class_map,
    },
    "confusion_named": {
        "by hand": """
pairs = {}
for label, predicted in zip(labels.tolist(), predictions.tolist(), strict=True):
    if label != predicted:
        pair = tuple(sorted((classes[label], classes[predicted])))
        pairs[pair] = pairs.get(pair, 0) + 1
return max(pairs, key=pairs.get)"""
    },
    "sureness_measured": {"the helper": calibration.sure},
    "threshold_chosen": {"sorted": "return confidence.sort().values[int((1 - keep) * len(confidence) + 1e-6)]"},
    "strangers_told_apart": {
        "all pairs": """
above, equal = known[:, None] > unknown, known[:, None] == unknown
return (above.double() + 0.5 * equal).mean().item()"""
    },
    "temperature_fitted": {
        "a grid": "return min(torch.logspace(-1.5, 1.5, 400), key=lambda t: F.cross_entropy(logits / t, labels)).item()",
        "the helper": calibration.fit_temperature,
    },
    "calibration_measured": {
        "by hand": """
sureness, answers = logits.softmax(1).max(1)
bins, total = (sureness * 15).ceil().clamp(1, 15), 0.0
for one in bins.unique():
    rows = bins == one
    total += rows.float().mean() * ((answers == labels)[rows].float().mean() - sureness[rows].mean()).abs()
return float(total)"""
    },
}

WRONG = {
    "compared_over_seeds": {
        "another fit": ("fit(one", "h.fit(one"),
        "not a table of runs": ("run.accuracy})", "run.accuracy})\nreturn rows"),
        "runs missing": ("range(seeds)", "range(1)"),
        "same images for each seed": ("task.draw(seed)", "task"),
        "recipes see other images": ("fit(one, drawn", "fit(one, task.draw(len(rows))"),
        "seed not handed on": ("drawn, seed)", "drawn, 0)"),
        "test where validation belongs": ("run.history.val_accuracy.iloc[-1]", "run.accuracy"),
        "seeds are a number": ("range(seeds)", "seeds"),
        "no row of that name": (".iloc[-1]", "[-1]"),
        "best look": (".iloc[-1]", ".max()"),
    },
    "chosen_by_validation": {
        "not a name": ("idxmax", "max"),
        "chosen by the test": (".val.", ".test."),
        "the luckiest run": "return runs.recipe[runs.val.idxmax()]",
        "the worst": ("idxmax", "idxmin"),
        "another choice": "return runs.recipe.iloc[2]",
    },
    "evidence_mapped": {
        "needs gradients": """
features = torch.nn.Sequential(*list(model.eval().children())[:-2])(images)
logits = model.fc(features.mean((2, 3)))
gradient = torch.autograd.grad(logits[:, label].sum(), features)[0]
return (gradient.mean((2, 3), keepdim=True) * features).sum(1)""",
        "training mode": ("eval()", "train()"),
        "another class": ("[label]", "[0]"),
        "head left out": (WEIGHT, "torch.full_like(model.fc.weight[0], 1 / 64)"),
        "negative evidence lost": (ENDS, ENDS + ".relu()"),
        "not the logit": [("return ", "maps = "), (ENDS, ENDS + "\nreturn maps / maps.abs().max()")],
        "averaged away": (ENDS, ENDS + ".mean((1, 2))"),
        "wrong shape": ("->nhw", "->hwn"),
        "layers left out": "return model.layer4(images).mean(1)",
        "bias added": (ENDS, ENDS + " + model.fc.bias[label]"),
    },
    "confusion_named": {
        "not two names": ("classes[a], classes[b]", "a, b"),
        "the diagonal": (BOTH, "counts"),
        "one direction": ("(counts + counts.T)", "counts"),
        "another pair": [("fill_diagonal_(0)", "fill_diagonal_(999)"), ("argmax", "argmin")],
    },
    "sureness_measured": {
        "not three numbers": (", *h.wilson(share, len(logits))", ""),
        "logits are no probabilities": (".softmax(1)", ""),
        "softmax over the images": ("softmax(1)", "softmax(0)"),
        "mean confidence": (" > level", ""),
        "classes one by one": (".amax(1)", ""),
        "another interval": (
            "*h.wilson(share, len(logits))", "share - (half := 1.96 * (share * (1 - share) / len(logits)) ** 0.5), share + half"
        ),
        "out of range": ("return share, *", "return 100 * share, *"),
    },
    "threshold_chosen": {
        "keeps too few": ("1 - keep", "keep"),
        "keeps too many": ("1 - keep", "(1 - keep) / 2"),
        "does not listen": "return 0.9",
    },
    "strangers_told_apart": {
        "the wrong way round": ("ones(len(known)), torch.zeros(", "zeros(len(known)), torch.ones("),
        "at one threshold": """
right = (known > 0.5).sum() + (unknown <= 0.5).sum()
return right.item() / (len(known) + len(unknown))""",
        "ties": "return (known[:, None] > unknown).double().mean().item()",
        "two vectors of one length": "return binary_auroc(known, unknown)",
        "labels are whole numbers": (".int()", ""),
        "another area": "return (known.mean() - unknown.mean()).abs()",
    },
    "temperature_fitted": {
        "upside down": ("logits / scale", "logits * scale"),
        "not the lowest": ("range(400)", "range(5)"),
        "not moved": ("    optimizer.step()\n", ""),
        "negative": ("return scale", "return -scale"),
        "softmax twice": ("logits / scale", "logits.softmax(1) / scale"),
    },
    "calibration_measured": {
        "the largest gap": ("n_bins=15", 'n_bins=15, norm="max"'),
        "one bin": ("n_bins=15", "n_bins=1"),
        "answers, not probabilities": ("softmax", "argmax"),
        "the error rate": "return (logits.argmax(1) != labels).float().mean()",
        "not an error": "return (logits.argmax(1) == labels).float().mean()",
        "another error": ("n_bins=15", "n_bins=10"),
    },
}
