"""Answers to the checks of lab 1."""

import copy
from functools import cache

import torch
from torch import nn

import helpers as h
from answers import Given
from helpers.training.classifier import Classifier

source = h.load_backbone("garden")
NEW_LAYER = "target.classifier = nn.Linear(model.classifier.in_features, num_classes)"
EMPTY = ("    optimizer.zero_grad()\n", "")
CLIP = "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
CORRECT = "right += (model(images).argmax(1) == labels).sum().item()"
DIFFER = "if not train.classes == val.classes == test.classes:"
BUDGET = 0.01  # of the notebook, which shortens trainings by it


@cache
def body():
    model = copy.deepcopy(source.model).eval()
    model.fc = nn.Identity()
    return model


@torch.no_grad()
def features(images):
    return body()(source.normalise(images))


def discriminant(task, split=None):
    """Linear discriminant analysis of the source's features: a classifier without a training loop."""
    x, y = features((split or task.train).pixels), (split or task.train).labels
    means = torch.stack([x[y == label].mean(0) for label in range(len(task.classes))])
    centred = x - means[y]
    within = centred.T @ centred / len(x)
    weight = torch.linalg.solve(within + 0.3 * within.diagonal().mean() * torch.eye(len(within)), means.T)
    return lambda images: features(images) @ weight - 0.5 * (means * weight.T).sum(1)


def one_each(task):
    """The nearest of one picture a class, by the source's features: better than chance, behind any transfer."""
    first = [int((task.train.labels == label).nonzero()[0]) for label in range(len(task.classes))]
    known = features(task.train.pixels[first])
    return lambda images: -torch.cdist(features(images), known)


RIGHT = {
    "transforms_made": {
        "transforms.v2, with colours": """
from torchvision.transforms import v2
end = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
views = [v2.RandomResizedCrop(size, scale=(0.5, 1)), v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2)]
return v2.Compose([*views, *end]), v2.Compose([v2.Resize(size + 4), v2.CenterCrop(size), *end])"""
    },
    "folders_opened": {
        "as sets": (DIFFER, "if {*train.classes} != {*val.classes} or {*val.classes} != {*test.classes}:"),
    },
    "loaders_made": {
        "a sampler": ("shuffle=True, generator=rng", "sampler=RandomSampler(train, generator=rng)"),
    },
    "head_renewed": {
        "built anew, loaded, then replaced": (
            "copy.deepcopy(model)", "type(model)(model.classifier.out_features)\ntarget.load_state_dict(model.state_dict())"
        ),
        "without a bias": ("num_classes)", "num_classes, bias=False)"),
    },
    "body_frozen": {"the helper": "return h.freeze(model, -1)"},
    "groups_made": {"the head first": ("AdamW(groups, ", "AdamW(groups[::-1], ")},
    "epoch_trains": {
        "emptied at the end": [EMPTY, ("optimizer.step()", "optimizer.step()\n    optimizer.zero_grad()")],
    },
    "accuracy_counted": {"as a mean": ("return right / len(loader.dataset)", "return right / sum(len(y) for _, y in loader)")},
    "network_saved": {"in any order": ("model.state_dict().items()", "reversed(model.state_dict().items())")},
    "helpers_used": {"up to the layer named classifier": ("-1", '"classifier"')},
    "difference_paired": {"about two standard errors": ("1.96", "2")},
    "contest": {
        "the solution": [],
        "a function": discriminant,
        "a fit": "return h.fit(h.FEATURE_EXTRACTION, task)",
        "a classifier": "return h.fit(h.FEATURE_EXTRACTION, task).classifier",
    },
}

WRONG = {
    "transforms_made": {
        "not two transforms": "return transforms.ToTensor()",
        "not normalised": (", transforms.Normalize(mean, std)", ""),
        "another mean and std": ("Normalize(mean, std)", "Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])"),
        "pixels up to 255": ("transforms.ToTensor()", "transforms.PILToTensor(), transforms.ConvertImageDtype(torch.float32),"
                             "\ntransforms.Lambda(lambda x: 255 * x)"),
        "wrong size": (", transforms.CenterCrop(size)", ""),
        "test is random": ("[transforms.Resize(size), transforms.CenterCrop(size)]", "views"),
        "training is fixed": ("views + scaled", "centre + scaled"),
        "another test view": ("transforms.Resize(size), transforms.CenterCrop(size)", "transforms.Resize((size, size))"),
        "other flips": (", transforms.RandomHorizontalFlip()", ""),
        "views too small": (", scale=(0.5, 1.0)", ""),
    },
    "folders_opened": {
        "not three datasets": "return ImageFolder(folder, train_transform)",
        "another part": ('folder / "train"', 'folder / "test"'),
        "other transform": ("folder / part, test_transform", "folder / part, train_transform"),
        "classes shifted": (DIFFER, "if False:"),
    },
    "loaders_made": {
        "not three loaders": "return DataLoader(train, batch_size, shuffle=True)",
        "test shuffled": ("DataLoader(test, batch_size)", "DataLoader(test, batch_size, shuffle=True)"),
        "training in order": ("shuffle=True, generator=rng", ""),
        "no seed": (", generator=rng", ""),
        "always the same order": ("manual_seed(seed)", "manual_seed(0)"),
        "pictures left out": ("generator=rng", "generator=rng, drop_last=True"),
        "another batch size": ("train, batch_size", "train"),
    },
    "head_renewed": {
        "old width": (NEW_LAYER, "target.classifier.out_features = num_classes"),
        "source changed": ("copy.deepcopy(model)", "model"),
        "shared weights": ("copy.deepcopy(model)", "copy.copy(model)\ntarget._modules = dict(model._modules)"),
        "body not copied": "return type(model)(num_classes)",
        "old head kept": "return nn.Sequential(copy.deepcopy(model), nn.Linear(model.classifier.out_features, num_classes))",
        "head not new": (NEW_LAYER, NEW_LAYER + "\ntarget.classifier.weight.data = model.classifier.weight.data[:num_classes]"),
    },
    "body_frozen": {
        "buffers move": ("model.eval()", "model.train()"),
        "parameters move": ("= False", "= True"),
        "head frozen": ("= True", "= False"),
        "wrong way round": "model.requires_grad_(True).classifier.requires_grad_(False)\nreturn model.eval()",
    },
    "groups_made": {
        "no optimizer": "return [{'params': model.classifier.parameters(), 'lr': head_lr}]",
        "another network's": "return torch.optim.AdamW(nn.Linear(3, 4).parameters(), head_lr)",
        "not AdamW": ("AdamW(groups, weight_decay=0.0)", "SGD(groups)"),
        "frozen in the optimizer": (" if parameter.requires_grad", ""),
        "part is missing": ('{"params": body, "lr": body_lr}, ', ""),
        "one rate for all": ('"params": body, "lr": body_lr', '"params": body, "lr": head_lr'),
        "other rates": [('"lr": body_lr', '"lr": head_lr'), ('"params": head, "lr": head_lr', '"params": head, "lr": body_lr')],
        "weight decay": (", weight_decay=0.0", ""),
    },
    "epoch_trains": {
        "gradients pile up": EMPTY,
        "no gradients": ("    loss.backward()\n", ""),
        "no step": ("    optimizer.step()\n", ""),
        "not clipped": (CLIP, ""),
        "clipped one by one": (CLIP, CLIP.replace("norm", "value")),
        "another update": ("1.0", "0.1"),
        "batches left out": ("return", "    return"),
        "another loss": ("model(images)", "model(images).softmax(1)"),
        "another mean": (" / len(losses)", ""),
        "mode changed": ("losses = []", "losses = []\nmodel.train()"),
    },
    "accuracy_counted": {
        "judged in training mode": ("model.eval()", "model.train()"),
        "mean of batches": [
            ("right = 0", "right = []"),
            (CORRECT, "right.append((model(images).argmax(1) == labels).float().mean().item())"),
            ("right / len(loader.dataset)", "sum(right) / len(right)"),
        ],
        "images left out": ("return right", "        return right"),
        "out of range": ("return right", "return 100 * right"),
        "miscounted": ("right / ", "right // "),
        "gradients kept": ("torch.no_grad()", "torch.enable_grad()"),
    },
    "network_saved": {
        "no file": ("tensors, path", 'tensors, str(path) + ".new"'),
        "not safetensors": ("save_file(tensors, path, metadata={\"classes\": json.dumps(classes)})", "torch.save(tensors, path)"),
        "buffers missing": ("model.state_dict().items()", "model.named_parameters()"),
        "tensors missing": ("model.state_dict().items()", "model.classifier.state_dict().items()"),
        "class names missing": (', metadata={"classes": json.dumps(classes)}', ""),
        "class names changed": ("json.dumps(classes)", "json.dumps(sorted(classes))"),
    },
    "helpers_used": {
        "wrong number of outputs": ("h.swap_head(model, num_classes)\n", ""),
        "parameters move": ("-1", "0"),
        "buffers move": (
            "return h.freeze(model, -1)", "model.requires_grad_(False).classifier.requires_grad_(True)\nreturn model.eval()"
        ),
        "head frozen": ("h.freeze(model, -1)", "model.requires_grad_(False)"),
        "nothing transferred": ('"efficientnet_lite0"', '"efficientnet_lite0", weights=None'),
        "not a network": 'return h.load_backbone("efficientnet_lite0")',
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
    "contest": {
        "more pictures": 'h.render("flowers", [0], [500])\nreturn one_each(task)',
        "too slow": Given("sum(range(10**7))\nreturn one_each(task)", minutes=0.0001),
        "no preprocessing": "return source.model",
        "no classifier": "return 0.93",
        "wrong classes": lambda task: Classifier(source, source.classes, 64, "garden"),
        "depends on its neighbours": "logits = one_each(task)\nreturn lambda x: logits(x) - logits(x).mean(0)",
        "trained on validation": lambda task: discriminant(task, task.val),
        "no better than chance": "return lambda x: torch.arange(float(len(task.classes))).expand(len(x), -1)",
        "behind the plain recipe": one_each,
    },
}
