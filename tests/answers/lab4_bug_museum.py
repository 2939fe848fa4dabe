"""Answers to the checks of lab 4; its exhibits, which are wrong answers, too, are in the notebook."""

from torch import nn

from helpers.lessons.museum import rooms

NEW_HEAD = "model.fc = nn.Linear(model.fc.in_features, num_classes)"
RELABELLED = "model.fc.out_features = num_classes"
ANOTHER_NETWORK = "model = h.GardenNet(num_classes, width=model.conv1.out_channels)"
LAST_STAGE = 'name.startswith("layer4.")'
OPTIMIZER = "optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)"
OWN = "backbone.normalise(pixels)"
CORRECT = "(logits.argmax(1) == labels).sum().item()"

# The bugs of the last room.
BUILT_FIRST = [(NEW_HEAD + "\n", ""), ("images, labels = train", NEW_HEAD + "\nimages, labels = train")]
LIVE = [("    model.eval()\n    model.layer4.train()", "    model.train()")]
BATCH_MEANS = [(".sum().item()", ".float().mean().item()"), ("len(test[1])", "len(test[1].split(64))")]


def batchnorms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


RIGHT = {
    "lamp_shows_all": {"the helper": rooms.what_changed},
    "backbone_at_rest": {"evaluation mode": "model.eval()", "the helper": "h.freeze(model, -1).train()"},
    "judged_at_rest": {
        "the helper": "return museum.predict(model, images)",
        "on a copy": "return copy.deepcopy(model).eval()(images).argmax(1)",
    },
    "layer_replaced": {"the helper": "h.swap_head(model, num_classes)"},
    "head_let_go": {
        "swap, then freeze by name": f"""
{NEW_HEAD}
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith(("layer4.", "fc."))""",
        "the helpers": 'h.freeze(h.swap_head(model, num_classes), "layer4")',
    },
    "share_possible": {"the nearest": "return abs(round(share * n) / n - share) <= 5e-5"},
    "every_image_counts": {
        "pooled": "return torch.cat([logits.argmax(1) == labels for logits, labels in batches]).double().mean().item()"
    },
    "inputs_comparable": {"by the transforms": (OWN, "torch.stack([backbone.transforms(image) for image in pixels])")},
    "optimizer_knows_head": {
        "the helpers": "h.swap_head(model, num_classes)\noptimizer = torch.optim.SGD(h.parameter_groups(model, lr))"
    },
    "rates_kept": {
        "a factor for all": """
rise_and_fall = lambda step: min((step + 1) / 5, (steps - step) / (steps - 5))
return torch.optim.lr_scheduler.LambdaLR(optimizer, rise_and_fall)"""
    },
    "norm_at_rest": {"by apply": "model.train().apply(lambda one: one.eval() if hasattr(one, 'running_mean') else None)"},
    "logits_come_out": {
        "the helper": "return h.swap_head(model, num_classes)",
        "log-softmax": ("num_classes)\n", "num_classes)\nmodel.fc = nn.Sequential(model.fc, nn.LogSoftmax(dim=1))\n"),
    },
    "three_bugs_fixed": {"on a copy": ("torch.manual_seed(seed)", "torch.manual_seed(seed)\nmodel = copy.deepcopy(model)")},
}

WRONG = {
    "lamp_shows_all": {
        "sees nothing": ("value.clone()", "value"),
        "buffers missed": ("name in after", "name, _ in model.named_parameters()"),
        "small changes missed": ("not torch.equal(after[name], before[name])", "(after[name] - before[name]).abs().max() > 1e-3"),
        "false alarm": (" if not torch.equal(after[name], before[name])", ""),
        "action not run once": ("action()\n", ""),
        "not a list of names": ("[name for", "[after[name] for"),
    },
    "backbone_at_rest": {
        "buffers move": "model.train()",
        "some buffers move": ("model.eval()", "model.train()\nmodel.bn1.eval()"),
        "depends on the batch": "model.train()\nfor layer in batchnorms(model):\n    layer.momentum = 0.0",
        "head frozen": ("model.eval()", "model.eval().requires_grad_(False)"),
    },
    "judged_at_rest": {
        "train mode": ("model.eval()\n", ""),
        "left at rest": ("module.training = training", "pass"),
        "modes mixed up": ("module.training = training", "module.train()"),
        "dropout on": ("model.eval()", "for layer in batchnorms(model):\n    layer.eval()"),
        "depends on the batch": (
            "model.eval()", "model.eval()\nfor layer in batchnorms(model):\n    layer.train()\n    layer.momentum = 0.0"
        ),
        "wrong labels": ("images.split", "images.flip(0).split"),
        "wrong shape": (".argmax(1)", ""),
    },
    "layer_replaced": {
        "wrong number of outputs": RELABELLED,
        "backbone lost": ANOTHER_NETWORK,
        "old head inside": "model.fc = nn.Sequential(model.fc, nn.Linear(model.fc.out_features, num_classes))",
        "old rows kept": f"""
old = model.fc.weight
{NEW_HEAD}
model.fc.weight = nn.Parameter(old[:num_classes].clone())""",
        "no fc": """
*body, head = model.children()
model = nn.Sequential(*body, nn.Flatten(), nn.Linear(head.in_features, num_classes))""",
    },
    "head_let_go": {
        "head frozen": (NEW_HEAD, NEW_HEAD + ".requires_grad_(False)"),
        "nothing trains": NEW_HEAD + "\nmodel.requires_grad_(False)",
        "parameters move": (LAST_STAGE, "True"),
        "last stage frozen": (LAST_STAGE, "False"),
        "wrong number of outputs": (NEW_HEAD, RELABELLED + "\nmodel.fc.requires_grad_(True)"),
        "backbone lost": ("for name", ANOTHER_NETWORK + "\nfor name"),
    },
    "share_possible": {
        "rounding forgotten": ("round(k / n, 4)", "k / n"),
        "accepts too much": ("round(k / n, 4) == share", "abs(k / n - share) < 0.01"),
        "ends left out": ("range(n + 1)", "range(1, n)"),
        "no verdict": "return share * n",
    },
    "every_image_counts": {
        "mean of batch accuracies": [(".sum()", ".float().mean()"), ("len(labels)", "1")],
        "images left out": ("    right +=", "    if len(labels) < 32:\n        continue\n    right +="),
        "wrong divisor": ("len(labels)", "32"),
        "out of range": ("return right", "return 100 * right"),
        "another share": ("    right += ", "    right = total = 0\n    right += "),
    },
    "inputs_comparable": {
        "raw pixels": (OWN, f'pixels.float() / 255 if name == "garden-petals" else {OWN}'),
        "another's statistics": (OWN, 'backbones["garden-small"].normalise(pixels)'),
        "the batch's own statistics": """
x = pixels.float()
return dict.fromkeys(backbones, (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True))""",
        "other images": (OWN, OWN + "[:, :, 2:-2, 2:-2]"),
        "variants missing": f"return [{OWN} for backbone in backbones.values()]",
    },
    "optimizer_knows_head": {
        "head not in the optimizer": f"{OPTIMIZER}\n{NEW_HEAD}",
        "backbone missing": ("[p for p in model.parameters() if p.requires_grad]", "model.fc.parameters()"),
        "stale parameters": f'{OPTIMIZER}\n{NEW_HEAD}\noptimizer.add_param_group({{"params": model.fc.parameters()}})',
        "another rate": (", lr=lr", ""),
        "wrong number of outputs": (NEW_HEAD, RELABELLED),
        "not a pair": (OPTIMIZER, "return model"),
    },
    "rates_kept": {
        "rates overwritten": ("max_lr=peaks", "max_lr=max(peaks)"),
        "rates swapped": ("max_lr=peaks", "max_lr=sorted(peaks, reverse=True)"),
        "another peak": ("[group", "[10 * group"),
        "no cycle": "return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)",
        "does not come down": ("total_steps=steps", "total_steps=3 * steps"),
        "ends too early": ("total_steps=steps", "total_steps=steps // 2"),
        "rates written down": ("max_lr=peaks", "max_lr=[1e-4, 1e-2]"),
        "not a schedule": "return [1e-3] * steps",
    },
    "norm_at_rest": {
        "averages move": "model.train()",
        "some averages move": "model.eval()\nmodel.layer4.train()\nmodel.fc.train()",  # what is frozen is at rest
        "a class missed": ("isinstance(module, nn.BatchNorm2d)", "type(module) is nn.BatchNorm2d"),
        "all at rest": ("model.train()", "model.eval()"),
        "requires_grad changed": ("module.eval()", "module.eval().requires_grad_(False)"),
        "depends on the batch": ("module.eval()", "module.momentum = 0.0"),
    },
    "logits_come_out": {
        "probabilities": "model.fc[0] = nn.Linear(model.fc[0].in_features, num_classes)",
        "squashed": ("num_classes)", "num_classes)\nmodel.fc = nn.Sequential(model.fc, nn.Sigmoid())"),
        "wrong number of outputs": ("model.fc = nn.Linear(model.fc[0].in_features, num_classes)", "model.fc = model.fc[0]"),
    },
    "three_bugs_fixed": {
        "head never trained": BUILT_FIRST + LIVE + BATCH_MEANS,
        "frozen part lives": LIVE,
        "mean of batch accuracies": BATCH_MEANS,
        "another accuracy": ("model.eval()\nright", "right"),
        "parameters move": ('name.startswith(("layer4.", "fc."))', "True"),
        "last stage frozen": ('("layer4.", "fc.")', '"fc."'),
        "wrong number of outputs": (NEW_HEAD, RELABELLED),
    },
}
