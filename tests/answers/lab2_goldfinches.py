"""Answers to the checks of lab 2."""

from helpers.lessons.goldfinches import calibration, saliency

CROP = "v2.RandomResizedCrop(size, scale=(0.6, 1.0))"
CALM = "plain = v2.Compose("
ENDS = "(images))"
WEIGHT = "head.weight[label]"
ASLEEP = "if isinstance(module, nn.BatchNorm2d):"
HEAD_GROUP = '{"params": model.classifier.parameters(), "lr": 10 * lr}'
BODY_GROUP = '{"params": [p for n, p in model.named_parameters() if "classifier" not in n], "lr": lr}'
STAGES_GROUP = '{"params": late, "lr": lr}'
HEAD = "model.classifier = nn.Linear(model.classifier.in_features, num_classes)\n"
KEEP = "copy.deepcopy(model.state_dict())"
VAL = 'loaders["val"]'

RIGHT = {
    "pictures_transformed": {
        "more of everything": (CROP, "v2.RandomAffine(10), v2.RandomResizedCrop(size, scale=(0.5, 1.0))"),
        "stronger colours": ("ColorJitter(0.2, 0.2, 0.2)", "ColorJitter(0.4, 0.4, 0.4)"),
        "a little hue": ("ColorJitter(0.2, 0.2, 0.2)", "ColorJitter(0.3, 0.3, 0.3, 0.02)"),
        "floats first": (CROP, "v2.ToDtype(torch.float32, scale=True), " + CROP),
    },
    "head_started": {
        "frozen afterwards": """
model.reset_classifier(num_classes)
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith("classifier")
return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)"""
    },
    "stages_thawed": {
        "all set again": """
groups = []
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith((*stages, "classifier."))
    if parameter.requires_grad:
        groups.append({"params": [parameter], "lr": 10 * lr if name.startswith("classifier.") else lr})
return torch.optim.Adam(groups)"""
    },
    "passes_trained": {
        "evaluation mode throughout": ("model.train()\n", "model.eval()\n"),
        "statistics that do not move": ("module.eval()", "module.training = False"),
    },
    "stopped_in_time": {
        "counted": """
best, lowest, waited, losses = copy.deepcopy(model.state_dict()), 1e9, 0, []
while len(losses) < passes and waited < patience:
    one_pass(model)
    losses.append(loss_of(model, loaders["val"]))
    waited += 1
    if losses[-1] < lowest:
        lowest, waited = losses[-1], 0
        best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
model.load_state_dict(best)
return losses"""
    },
    "chosen_by_validation": {"sorted": ("idxmax()", "sort_values(ascending=False).index[0]")},
    "evidence_mapped": {
        "a hook": """
kept = []
hook = model.bn2.register_forward_hook(lambda module, inputs, output: kept.append(output))
model.eval()(images)
hook.remove()
return (kept[0] * model.classifier.weight[label].view(1, -1, 1, 1)).sum(1)""",
        "the helper": saliency.class_map,
    },
    "threshold_chosen": {"sorted": "return confidence.sort().values[int((1 - keep) * len(confidence) + 1e-6)]"},
    "temperature_fitted": {
        "a grid": "return min(torch.logspace(-1.5, 1.5, 400), key=lambda t: F.cross_entropy(logits / t, labels)).item()",
        "the helper": calibration.fit_temperature,
    },
}

WRONG = {
    "pictures_transformed": {
        "not two transforms": ("return training, plain", "return training"),
        "validation changes": (CALM + "convert)", CALM + "[v2.RandomHorizontalFlip(), *convert])"),
        "not normalised": "return v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)",
        "nothing changes": ("return training, plain", "return plain, plain"),
        "mirrored only": "return v2.Compose([v2.RandomHorizontalFlip(), *(c := [v2.ToDtype(torch.float32, scale=True), "
        "v2.Normalize(mean, std)])]), v2.Compose(c)",
        "on their heads": ("v2.RandomHorizontalFlip()", "v2.RandomVerticalFlip()"),
        "training on another scale": ("return training, plain", "return v2.Compose(training.transforms[:-1]), plain"),
        "marks cut away": (CROP, "v2.RandomResizedCrop(size)"),
        "marks recoloured": ("v2.ColorJitter(0.2, 0.2, 0.2)", "v2.ColorJitter(0.8, 0.8, 0.8, 0.4)"),
        "wrong shape": (CROP, "v2.RandomCrop(size - 8)"),
    },
    "head_started": {
        "not an optimizer": ("return torch.optim.AdamW(model.classifier.parameters(), lr=lr)", "return model"),
        "no new head": (HEAD, "model.classifier.requires_grad_(True)\n"),
        "head does not fit": ("model.classifier.in_features", "7"),
        "head not in the optimizer": """
model.requires_grad_(False)
optimizer = torch.optim.AdamW(model.classifier.parameters(), lr=lr)
model.classifier = nn.Linear(model.classifier.in_features, num_classes)
return optimizer""",
        "not frozen": ("model.requires_grad_(False)\n", ""),
        "frozen in the optimizer": ("model.classifier.parameters()", "model.parameters()"),
        "another rate": (", lr=lr", ""),
    },
    "stages_thawed": {
        "not an optimizer": ("torch.optim.AdamW", ""),
        "still frozen": ("parameter.requires_grad_(True)\n", "pass\n"),
        "not frozen": ("late = ", "model.requires_grad_(True)\nlate = "),
        "thawed in no group": (STAGES_GROUP + ", ", ""),
        "no group for the head": (", " + HEAD_GROUP, ""),
        "frozen in the optimizer": (STAGES_GROUP, BODY_GROUP),
        "head's rate for all": ('"lr": lr}', '"lr": 10 * lr}'),
        "one rate for all": ("10 * lr", "lr"),
        "another rate": ("10 * lr", "lr / 10"),
        "twice in the optimizer": (STAGES_GROUP, '{"params": model.parameters(), "lr": lr}'),
    },
    "passes_trained": {
        "BatchNorm live": ("module.eval()", "pass"),
        "BatchNorm wakes up": (ASLEEP, "if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:"),
        "nothing trains": ("    optimizer.step()\n", ""),
        "softmax before the loss": ("model(images)", "model(images).softmax(1)"),
        "gradients add up": ("    optimizer.zero_grad()\n", ""),
        "one batch alone": ("optimizer.step()\n", "optimizer.step()\n    break\n"),
        "another step": ("loss.backward()", "(2 * loss).backward()"),
    },
    "stopped_in_time": {
        "the test set decides": (VAL, 'loaders["test"]'),
        "not the validation loss": (VAL, 'loaders["train"]'),
        "never stops": ("break", "pass"),
        "stops too early": ("waited == patience", "waited"),
        "stops too late": ("waited == patience", "waited > patience"),
        "the last weights": ("model.load_state_dict(best)\n", ""),
        "no copy": (KEEP, "model.state_dict()"),
        "other weights": (KEEP, "best or " + KEEP),
        "other losses": ("return losses", "return [min(losses)]"),
    },
    "chosen_by_validation": {
        "not a name": ("idxmax", "max"),
        "chosen by the test": (".val.", ".test."),
        "the luckiest run": "return runs.recipe[runs.val.idxmax()]",
        "the worst": ("idxmax", "idxmin"),
        "not the mean": ("mean()", "median()"),
        "another choice": "return runs.recipe.iloc[3]",
    },
    "evidence_mapped": {
        "needs gradients": """
features = torch.nn.Sequential(*list(model.eval().children())[:-2])(images)
logits = model.classifier(features.mean((2, 3)))
gradient = torch.autograd.grad(logits[:, label].sum(), features)[0]
return (gradient.mean((2, 3), keepdim=True) * features).sum(1)""",
        "training mode": ("eval()", "train()"),
        "another class": ("[label]", "[0]"),
        "head left out": (WEIGHT, "torch.full_like(head.weight[0], 1 / head.in_features)"),
        "negative evidence lost": (ENDS, ENDS + ".relu()"),
        "not the logit": [("return ", "maps = "), (ENDS, ENDS + "\nreturn maps / maps.abs().max()")],
        "averaged away": (ENDS, ENDS + ".mean((1, 2))"),
        "wrong shape": ("->nhw", "->hwn"),
        "layers left out": "return model.blocks(images).mean(1)",
        "bias added": (ENDS, ENDS + " + head.bias[label]"),
    },
    "threshold_chosen": {
        "keeps too few": ("1 - keep", "keep"),
        "keeps too many": ("1 - keep", "(1 - keep) / 2"),
        "does not listen": "return 0.9",
    },
    "temperature_fitted": {
        "upside down": ("logits / scale", "logits * scale"),
        "not the lowest": ("range(400)", "range(5)"),
        "not moved": ("    optimizer.step()\n", ""),
        "negative": ("return scale", "return -scale"),
        "softmax twice": ("logits / scale", "logits.softmax(1) / scale"),
    },
}
