"""Answers to the checks of lab 4: right ones, the museum's exhibits, and what people mend wrongly."""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

import helpers as h
from answers import call
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


def acts_first(model, action):
    action()
    return changed()(model, lambda: None)


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


def all_raw(backbones, pixels):
    return dict.fromkeys(backbones, pixels.float() / 255)


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


def adapting(build_first=False, awake=False, batch_means=False, *, frozen=True, last_stage=True, judged_awake=False,
             head=True, head_rests=False):  # fmt: skip
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
            if awake:
                model.train()
            else:
                h.freeze(model, "layer4" if last_stage else -1).train()
                if not frozen:
                    model.requires_grad_(True)
                model.fc.requires_grad_(not head_rests)
            loss = F.cross_entropy(model(train[0][rows]), train[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.train(judged_awake)
        with torch.no_grad():
            right = [model(x).argmax(1) == y for x, y in zip(test[0].split(64), test[1].split(64), strict=True)]
        if batch_means:
            return model, sum(batch.float().mean().item() for batch in right) / len(right)
        return model, torch.cat(right).float().mean().item()

    return adapt


def held_copy(*answer, **settings):
    """The mended script on a copy of the model, with the helpers."""
    return adapting()(copy.deepcopy(answer[0]), *answer[1:], **settings)


RIGHT = {
    "lamp_shows_all": {"copies of all": lambda: call(changed()), "the helper": lambda: call(what_changed)},
    "backbone_at_rest": {
        "rest, then wake the head": lambda: call(mode(head_alone)),
        "evaluation mode": lambda: call(mode(lambda model: model.eval())),
        "the helper": lambda: call(mode(lambda model: h.freeze(model, -1).train())),
    },
    "judged_at_rest": {
        "modes put back": lambda: call(around(after=put_back)),
        "the helper": lambda: call(lambda *answer: predict(*answer)),
        "on a copy": lambda: call(lambda model, images: answers(copy.deepcopy(model).eval(), images)),
    },
    "layer_replaced": {"by hand": lambda: call(new_head), "the helper": lambda: call(h.swap_head)},
    "head_let_go": {
        "swap, then freeze by name": lambda: call(only("layer4.", "fc.")),
        "freeze, then swap": lambda: call(froze_then_swapped),
        "the helpers": lambda: call(lambda model, classes: h.freeze(h.swap_head(model, classes), "layer4")),
    },
    "share_possible": {
        "all shares": lambda: call(lambda share, n: any(round(k / n, 4) == share for k in range(n + 1))),
        "the nearest": lambda: call(lambda share, n: abs(round(share * n) / n - share) <= 5e-5),
    },
    "every_image_counts": {"counted": lambda: call(counted), "pooled": lambda: call(pooled)},
    "inputs_comparable": {"each its own": lambda: call(own), "by the transforms": lambda: call(by_transforms)},
    "optimizer_knows_head": {
        "swap, then build": lambda: call(swap_then_build),
        "by the helpers": lambda: call(by_helpers),
    },
    "rates_kept": {"a peak for each group": lambda: call(cycle()), "a factor for all": lambda: call(cosine)},
    "three_bugs_mended": {"mended": lambda: call(adapting()), "on a copy": lambda: call(held_copy)},
}

WRONG = {
    "lamp_shows_all": {
        "no copies": ("sees nothing", lambda: call(changed(copied=lambda value: value))),
        "parameters only": ("buffers missed", lambda: call(changed(names=lambda model: dict(model.named_parameters())))),
        "nearly equal": ("small changes missed", lambda: call(changed(same=lambda a, b: torch.allclose(a, b, rtol=1e-3)))),
        "all names": ("false alarm", lambda: call(all_names)),
        "never acts": ("action not run once", lambda: call(lambda model, action: [])),
        "pairs": ("not a list of names", lambda: call(lambda model, action: [action(), model.fc.bias])),
    },
    "backbone_at_rest": {
        "live BatchNorm": ("buffers move", lambda: call(mode(live))),
        "first level only": ("some buffers move", lambda: call(mode(first_level))),
        "momentum 0": ("depends on the batch", lambda: call(mode(no_momentum))),
        "head frozen, too": ("head frozen", lambda: call(mode(everything))),
    },
    "judged_at_rest": {
        "train mode": ("train mode", lambda: call(answers)),
        "not put back": ("left at rest", lambda: call(around())),
        "model.train() at the end": ("modes mixed up", lambda: call(around(after=lambda model, modes: model.train()))),
        "BatchNorm alone": ("dropout on", lambda: call(around(only_batchnorm, put_back))),
        "momentum 0": ("depends on the batch", lambda: call(around(by_the_batch, put_back))),
        "in another order": ("wrong labels", lambda: call(around(after=put_back, ask=twisted))),
        "logits": ("wrong shape", lambda: call(around(after=put_back, ask=torch.no_grad()(lambda model, images: model(images))))),
    },
    "layer_replaced": {
        "label changed": ("wrong number of outputs", lambda: call(relabelled)),
        "another network": ("backbone lost", lambda: call(another_network)),
        "on top of the old head": ("old head inside", lambda: call(stacked)),
        "rows of the old head": ("old rows kept", lambda: call(cut_rows)),
        "layers in a row": ("no fc", lambda: call(in_a_row)),
    },
    "head_let_go": {
        "frozen after the swap": ("head frozen", lambda: call(only("layer4."))),
        "all frozen after the swap": ("nothing trains", lambda: call(only())),
        "nothing frozen": ("parameters move", lambda: call(new_head)),
        "head alone": ("last stage frozen", lambda: call(only("fc."))),
        "label changed": ("wrong number of outputs", lambda: call(only("layer4.", "fc.", swap=relabelled))),
        "another network": ("backbone lost", lambda: call(only("layer4.", "fc.", swap=another_network))),
    },
    "share_possible": {
        "exact": ("rounding forgotten", lambda: call(lambda share, n: share * n == round(share * n))),
        "within one percent": ("accepts too much", lambda: call(lambda share, n: abs(round(share * n) / n - share) < 0.01)),
        "without the ends": ("ends left out", lambda: call(lambda share, n: any(round(k / n, 4) == share for k in range(1, n)))),
        "a number": ("no verdict", lambda: call(lambda share, n: share * n)),
    },
    "every_image_counts": {
        "mean of batches": ("mean of batch accuracies", lambda: call(mean_of_batches)),
        "full batches only": ("images left out", lambda: call(only_full)),
        "by batch size": ("wrong divisor", lambda: call(by_batch_size)),
        "percent": ("out of range", lambda: call(lambda batches: 100 * pooled(batches))),
        "last batch": ("another share", lambda: call(lambda batches: pooled(list(batches)[-1:]))),
    },
    "inputs_comparable": {
        "one of them raw": ("raw pixels", lambda: call(one_raw)),
        "all like the first": ("another's statistics", lambda: call(all_like_the_first)),
        "by the batch": ("the batch's own statistics", lambda: call(by_their_own)),
        "one of them cropped": ("other images", lambda: call(one_cropped)),
        "not a dict": ("variants missing", lambda: call(lambda backbones, pixels: list(own(backbones, pixels).values()))),
    },
    "optimizer_knows_head": {
        "built before the swap": ("head not in the optimizer", lambda: call(build_then_swap)),
        "head alone": ("backbone missing", lambda: call(head_only)),
        "head added later": ("stale parameters", lambda: call(added_later)),
        "the usual rate": ("another rate", lambda: call(usual_rate)),
        "label changed": ("wrong number of outputs", lambda: call(label_then_build)),
        "model alone": ("not a pair", lambda: call(lambda *answer: swap_then_build(*answer)[0])),
    },
    "rates_kept": {
        "one peak for all": ("rates overwritten", lambda: call(cycle(max))),
        "sorted": ("rates swapped", lambda: call(cycle(lambda rates: sorted(rates, reverse=True)))),
        "ten times as high": ("another peak", lambda: call(cycle(lambda rates: [10 * rate for rate in rates]))),
        "constant": ("no cycle", lambda: call(constant)),
        "too long": ("does not come down", lambda: call(cycle(last=3))),
        "too short": ("ends too early", lambda: call(cycle(last=0.5))),
        "two peaks": ("rates written down", lambda: call(cycle(lambda rates: [1e-4, 1e-2]))),
        "nothing like it": ("not a schedule", lambda: call(lambda optimizer, steps: [1e-3] * steps)),
    },
    "three_bugs_mended": {
        "as it hangs there": ("head never trained", lambda: call(adapting(build_first=True, awake=True, batch_means=True))),
        "live BatchNorm": ("frozen part lives", lambda: call(adapting(awake=True))),
        "mean of batches": ("mean of batch accuracies", lambda: call(adapting(batch_means=True))),
        "judged in training mode": ("another accuracy", lambda: call(adapting(judged_awake=True))),
        "nothing frozen": ("parameters move", lambda: call(adapting(frozen=False))),
        "head alone": ("last stage frozen", lambda: call(adapting(last_stage=False))),
        "label changed": ("wrong number of outputs", lambda: call(adapting(head=False))),
    },
}
