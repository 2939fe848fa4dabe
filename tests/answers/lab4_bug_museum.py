"""Answers to the checks of lab 4: right ones, the museum's exhibits, and typical wrong fixes."""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

import helpers as h
from helpers.lessons.museum.rooms import batches, predict, what_changed
from helpers.sources.gardennet import GardenNet


def batchnorms(model):
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


# the lamp


def changed(names=lambda model: model.state_dict(), copied=torch.clone, same=torch.equal):
    def lamp(model, action):
        before = {name: copied(value) for name, value in names(model).items()}
        action()
        return [name for name, value in names(model).items() if not same(value, before[name])]

    return lamp


def all_names(model, action):
    action()
    return list(model.state_dict())


# room 1


def mode(change):
    def training_mode(model):
        change(model)
        return model

    return training_mode


def live(model):
    model.train()


def head_alone(model):
    model.eval()
    model.fc.train()


def first_level(model):
    model.train()
    for module in model.children():
        if isinstance(module, _BatchNorm):
            module.eval()


def no_momentum(model):
    model.train()
    for layer in batchnorms(model):
        layer.momentum = 0.0


def everything(model):
    model.eval().requires_grad_(False)


# room 2


@torch.no_grad()
def answers(model, images):
    return torch.cat([model(batch).argmax(1) for batch in images.split(100)])


def around(before=lambda model: model.eval(), after=lambda model, modes: None, ask=answers):
    def predict(model, images):
        modes = {module: module.training for module in model.modules()}
        before(model)
        labels = ask(model, images)
        after(model, modes)
        return labels

    return predict


def put_back(model, modes):
    for module, training in modes.items():
        module.training = training


def only_batchnorm(model):
    for layer in batchnorms(model):
        layer.eval()


def by_the_batch(model):
    model.eval()
    for layer in batchnorms(model):
        layer.train()
        layer.momentum = 0.0


def twisted(model, images):
    return answers(model, images.flip(0))


# rooms 3 and 4


def new_head(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model


def relabelled(model, num_classes):
    model.fc.out_features = num_classes
    return model


def another_network(model, num_classes):
    return GardenNet(num_classes, width=model.conv1.out_channels)


def stacked(model, num_classes):
    model.fc = nn.Sequential(model.fc, nn.Linear(model.fc.out_features, num_classes))
    return model


def in_a_row(model, num_classes):
    body, width = list(model.children())[:-1], model.fc.in_features
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(width, num_classes))


def cut_rows(model, num_classes):
    old, model = model.fc, new_head(model, num_classes)
    with torch.no_grad():
        model.fc.weight.copy_(old.weight[:num_classes])
        model.fc.bias.copy_(old.bias[:num_classes])
    return model


def only(*parts, swap=new_head):
    def last_stage_trains(model, num_classes):
        model = swap(model, num_classes)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith(parts) if parts else False
        return model

    return last_stage_trains


def froze_then_swapped(model, num_classes):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("layer4.")
    return new_head(model, num_classes)


# room 5


def pooled(batches):
    right = [logits.argmax(1) == labels for logits, labels in batches]
    return torch.cat(right).double().mean().item()


def mean_of_batches(batches):
    shares = [(logits.argmax(1) == labels).float().mean() for logits, labels in batches]
    return torch.stack(shares).mean().item()


def only_full(batches):
    return pooled([batch for batch in batches if len(batch[1]) == 32])


def by_batch_size(batches):
    batches = list(batches)
    right = sum((logits.argmax(1) == labels).sum().item() for logits, labels in batches)
    return right / (len(batches) * len(batches[0][1]))


def counted(batches):
    right = total = 0
    for logits, labels in batches:
        right += (logits.argmax(1) == labels).sum()
        total += len(labels)
    return right / total


# room 6


def own(backbones, pixels):
    return {name: backbone.normalise(pixels) for name, backbone in backbones.items()}


def by_transforms(backbones, pixels):
    return {name: torch.stack([backbone.transforms(image) for image in pixels]) for name, backbone in backbones.items()}


def one_raw(backbones, pixels):
    return own(backbones, pixels) | {"garden-petals": pixels.float() / 255}


def all_like_the_first(backbones, pixels):
    return dict.fromkeys(backbones, next(iter(backbones.values())).normalise(pixels))


def by_their_own(backbones, pixels):
    x = pixels.float()
    return dict.fromkeys(backbones, (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True))


def one_cropped(backbones, pixels):
    inputs = own(backbones, pixels)
    return inputs | {"garden-petals": inputs["garden-petals"][:, :, 2:-2, 2:-2]}


# room 7


def trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def swap_then_build(model, num_classes, lr):
    model = new_head(model, num_classes)
    return model, torch.optim.AdamW(trainable(model), lr=lr)


def by_helpers(model, num_classes, lr):
    model = h.swap_head(model, num_classes)
    return model, torch.optim.SGD(h.parameter_groups(model, lr))


def build_then_swap(model, num_classes, lr):
    optimizer = torch.optim.AdamW(trainable(model), lr=lr)
    return new_head(model, num_classes), optimizer


def added_later(model, num_classes, lr):
    model, optimizer = build_then_swap(model, num_classes, lr)
    optimizer.add_param_group({"params": model.fc.parameters()})
    return model, optimizer


def head_only(model, num_classes, lr):
    model = new_head(model, num_classes)
    return model, torch.optim.AdamW(model.fc.parameters(), lr=lr)


def usual_rate(model, num_classes, lr):
    model = new_head(model, num_classes)
    return model, torch.optim.AdamW(trainable(model))


def label_then_build(model, num_classes, lr):
    model = relabelled(model, num_classes)
    return model, torch.optim.AdamW(trainable(model), lr=lr)


# room 8


def cycle(peaks=lambda rates: rates, last=1):
    def schedule_for(optimizer, steps):
        rates = [group["lr"] for group in optimizer.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peaks(rates), total_steps=int(last * steps))

    return schedule_for


def cosine(optimizer, steps):
    rise = lambda step: min((step + 1) / 5, (steps - step) / (steps - 5))
    return torch.optim.lr_scheduler.LambdaLR(optimizer, rise)


def constant(optimizer, steps):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


# the last room


def adapting(*, build_first=False, live=False, batch_means=False, frozen=True, last_stage=True, tested_live=False, head=True,
             head_frozen=False):  # fmt: skip
    def adapt(model, train, test, num_classes, steps=40, lr=1e-3, seed=0):
        torch.manual_seed(seed)
        parts = ("layer4.", "fc.") if last_stage else "fc."
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith(parts) or not frozen
        if not build_first:
            model = new_head(model, num_classes) if head else relabelled(model, num_classes)
        optimizer = torch.optim.AdamW(trainable(model), lr=lr)
        if build_first:
            model = new_head(model, num_classes)
        for rows in batches(len(train[0]), 32, steps, seed):
            if live:
                model.train()
            else:
                h.freeze(model, "layer4" if last_stage else -1).train()
                if not frozen:
                    model.requires_grad_(True)
                model.fc.requires_grad_(not head_frozen)
            loss = F.cross_entropy(model(train[0][rows]), train[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.train(tested_live)
        with torch.no_grad():
            right = [model(x).argmax(1) == y for x, y in zip(test[0].split(64), test[1].split(64), strict=True)]
        if batch_means:
            return model, sum(batch.float().mean().item() for batch in right) / len(right)
        return model, torch.cat(right).float().mean().item()

    return adapt


def held_copy(*answer, **settings):
    """The fixed script on a copy of the model, with the helpers."""
    return adapting()(copy.deepcopy(answer[0]), *answer[1:], **settings)


RIGHT = {
    "lamp_shows_all": {"copies of all": changed(), "the helper": what_changed},
    "backbone_at_rest": {
        "rest, then wake the head": mode(head_alone),
        "evaluation mode": mode(lambda model: model.eval()),
        "the helper": mode(lambda model: h.freeze(model, -1).train()),
    },
    "judged_at_rest": {
        "modes put back": around(after=put_back),
        "the helper": lambda *answer: predict(*answer),
        "on a copy": lambda model, images: answers(copy.deepcopy(model).eval(), images),
    },
    "layer_replaced": {"by hand": new_head, "the helper": h.swap_head},
    "head_let_go": {
        "swap, then freeze by name": only("layer4.", "fc."),
        "freeze, then swap": froze_then_swapped,
        "the helpers": lambda model, classes: h.freeze(h.swap_head(model, classes), "layer4"),
    },
    "share_possible": {
        "all shares": lambda share, n: any(round(k / n, 4) == share for k in range(n + 1)),
        "the nearest": lambda share, n: abs(round(share * n) / n - share) <= 5e-5,
    },
    "every_image_counts": {"counted": counted, "pooled": pooled},
    "inputs_comparable": {"each its own": own, "by the transforms": by_transforms},
    "optimizer_knows_head": {"swap, then build": swap_then_build, "by the helpers": by_helpers},
    "rates_kept": {"a peak for each group": cycle(), "a factor for all": cosine},
    "three_bugs_fixed": {"fixed": adapting(), "on a copy": held_copy},
}

WRONG = {
    "lamp_shows_all": {
        "sees nothing": changed(copied=lambda value: value),
        "buffers missed": changed(names=lambda model: dict(model.named_parameters())),
        "small changes missed": changed(same=lambda a, b: torch.allclose(a, b, rtol=1e-3)),
        "false alarm": all_names,
        "action not run once": lambda model, action: [],
        "not a list of names": lambda model, action: [action(), model.fc.bias],
    },
    "backbone_at_rest": {
        "buffers move": mode(live),
        "some buffers move": mode(first_level),
        "depends on the batch": mode(no_momentum),
        "head frozen": mode(everything),
    },
    "judged_at_rest": {
        "train mode": answers,
        "left at rest": around(),
        "modes mixed up": around(after=lambda model, modes: model.train()),
        "dropout on": around(only_batchnorm, put_back),
        "depends on the batch": around(by_the_batch, put_back),
        "wrong labels": around(after=put_back, ask=twisted),
        "wrong shape": around(after=put_back, ask=torch.no_grad()(lambda model, images: model(images))),
    },
    "layer_replaced": {
        "wrong number of outputs": relabelled,
        "backbone lost": another_network,
        "old head inside": stacked,
        "old rows kept": cut_rows,
        "no fc": in_a_row,
    },
    "head_let_go": {
        "head frozen": only("layer4."),
        "nothing trains": only(),
        "parameters move": new_head,
        "last stage frozen": only("fc."),
        "wrong number of outputs": only("layer4.", "fc.", swap=relabelled),
        "backbone lost": only("layer4.", "fc.", swap=another_network),
    },
    "share_possible": {
        "rounding forgotten": lambda share, n: share * n == round(share * n),
        "accepts too much": lambda share, n: abs(round(share * n) / n - share) < 0.01,
        "ends left out": lambda share, n: any(round(k / n, 4) == share for k in range(1, n)),
        "no verdict": lambda share, n: share * n,
    },
    "every_image_counts": {
        "mean of batch accuracies": mean_of_batches,
        "images left out": only_full,
        "wrong divisor": by_batch_size,
        "out of range": lambda batches: 100 * pooled(batches),
        "another share": lambda batches: pooled(list(batches)[-1:]),
    },
    "inputs_comparable": {
        "raw pixels": one_raw,
        "another's statistics": all_like_the_first,
        "the batch's own statistics": by_their_own,
        "other images": one_cropped,
        "variants missing": lambda backbones, pixels: list(own(backbones, pixels).values()),
    },
    "optimizer_knows_head": {
        "head not in the optimizer": build_then_swap,
        "backbone missing": head_only,
        "stale parameters": added_later,
        "another rate": usual_rate,
        "wrong number of outputs": label_then_build,
        "not a pair": lambda *answer: swap_then_build(*answer)[0],
    },
    "rates_kept": {
        "rates overwritten": cycle(max),
        "rates swapped": cycle(lambda rates: sorted(rates, reverse=True)),
        "another peak": cycle(lambda rates: [10 * rate for rate in rates]),
        "no cycle": constant,
        "does not come down": cycle(last=3),
        "ends too early": cycle(last=0.5),
        "rates written down": cycle(lambda rates: [1e-4, 1e-2]),
        "not a schedule": lambda optimizer, steps: [1e-3] * steps,
    },
    "three_bugs_fixed": {
        "head never trained": adapting(build_first=True, live=True, batch_means=True),
        "frozen part lives": adapting(live=True),
        "mean of batch accuracies": adapting(batch_means=True),
        "another accuracy": adapting(tested_live=True),
        "parameters move": adapting(frozen=False),
        "last stage frozen": adapting(last_stage=False),
        "wrong number of outputs": adapting(head=False),
    },
}
