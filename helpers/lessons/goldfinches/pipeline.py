"""What lab 2 asks of a training program: its transforms, its two optimizers, its loop, and when it stops."""

import copy

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from helpers.lessons.goldfinches.examples import LAB, Recorder, flat_colours, found, source_network, stripes
from helpers.lessons.probes import changes, images, kept, recognise, same, some, tried
from helpers.notebook.checking import checked
from helpers.notebook.findings import answer_of, kind_of, tensor

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
DRAWS = 40  # views of a picture
SMALLEST, SAME_COLOUR = 0.3, 0.8  # the share of a picture that nine views of ten keep; the share of views that keep a colour
LATE = ("blocks.4.", "conv_head.", "bn2.")  # of the small network


@checked(LAB)
def pictures_transformed(transforms_for):
    """Training images get a new view each time, in which the field marks survive; validation images stay as they are."""
    pair = answer_of(transforms_for, 48, MEAN, STD)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(callable(one) for one in pair):
        raise found("not two transforms", kind_of(pair))
    training, plain = pair
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, STD))
    picture = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    wanted = (picture / 255 - mean) / std
    first, *again = (tensor(plain(picture), "a validation image", (3, 48, 48)).float() for _ in range(8))
    if not all(same(first, one) for one in again):
        raise found("validation changes", "the same validation image does not look the same each time")
    if not torch.allclose(first, wanted, atol=0.02):
        seen = f"validation images have values from {first.min():.2f} to {first.max():.2f}; normalised, {wanted.min():.2f} to "
        raise found("not normalised", f"{seen}{wanted.max():.2f}")
    views = [tensor(training(picture), "a training image", (3, 48, 48)).float() for _ in range(8)]
    if all(same(view, views[0]) for view in views):
        raise found("nothing changes", "eight views of a training image are all the same")
    if all(same(view, first) or same(view, first.flip(-1)) for view in views):
        raise found("mirrored only", "each of eight views is the picture itself or its mirror image")
    black = training(torch.zeros_like(picture)).float().flatten(1).median(1).values
    if max(view.max() for view in views) > 8 or not torch.allclose(black, (-mean / std).flatten(), atol=0.15):
        raise found("training on another scale", f"black becomes {black[0]:.2f}, in validation images {-MEAN[0] / STD[0]:.2f}")
    slope = torch.linspace(220, 40, 48).to(torch.uint8).view(48, 1).expand(3, 48, 48).contiguous()  # bright above, dark below
    views = [training(slope).float().mean((0, 2)) for _ in range(DRAWS)]
    if turned := sum(bool(view[0] < view[-1] - 0.1) for view in views):
        raise found("on their heads", f"in {turned} of {DRAWS} views what was above is below")
    areas = sorted(_seen_area(training, seed) for seed in range(DRAWS))
    if areas[DRAWS // 10] < SMALLEST:
        raise found("marks cut away", f"one view in ten shows less than {areas[DRAWS // 10] + 0.01:.0%} of the picture")
    for name, colour, others in flat_colours():
        flat = colour.view(3, 1, 1).expand(3, 48, 48).contiguous()
        shown = [(training(flat) * std + mean).flatten(1).median(1).values for _ in range(DRAWS)]
        taken = sum(all(int((of(others) - of(view)).norm(dim=1).argmin()) for of in (torch.clone, _pure)) for view in shown)
        if taken > (1 - SAME_COLOUR) * DRAWS:
            raise found("marks recoloured", f"{taken} of {DRAWS} views of {name} look more like another colour of plumage")
    return f"half of your training views show {areas[DRAWS // 2]:.0%} of a picture or more"


def _pure(colours: torch.Tensor) -> torch.Tensor:
    """Colours as bright as they can be: what is left of them when brightness does not count."""
    return colours / colours.amax(-1, keepdim=True).clamp_min(0.02)


def _seen_area(training, seed: int) -> float:
    """How much of a picture of 48 x 48 pixels one view shows: the share of its 16 stripes, across times down."""
    area = 1.0
    for turned in (False, True):
        torch.manual_seed(seed)  # the same view of both pictures
        view = training(stripes(turned)).float().mean(0)
        line = (view.mT if turned else view)[24]
        bright = line > (line.min() + line.max()) / 2
        area *= min(1.0, (int((bright[1:] != bright[:-1]).sum()) + 1) / 16)
    return area


@checked(LAB)
def head_started(head_first):
    """The network has a new head for the new classes, all else is frozen, and the optimizer holds the head alone."""
    model = source_network()
    optimizer = tried(found, {"empty parameter list": "head not in the optimizer"}, head_first, model, 4, 0.02)
    given = tried(found, {"shapes cannot be multiplied": "head does not fit"}, model.eval(), images(2)).shape[-1]
    if isinstance(optimizer, torch.optim.Optimizer) and given != 4:
        raise found("no new head", f"the head gives {given} numbers an image, for 4 classes")
    rates = _rates(model, optimizer, (), "head not in the optimizer")
    if wrong := [rate for rate in rates.values() if abs(rate - 0.02) > 1e-9]:
        raise found("another rate", f"the rate is {wrong[0]:g}; 0.02 was asked for")


def _rates(model, optimizer, late: tuple, headless: str) -> dict[str, float]:
    """The learning rates of the late stages' parameters and of the head's, which alone train and are in the optimizer."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise found("not an optimizer", kind_of(optimizer))
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    named = dict(model.named_parameters())
    wanted = [name for name in named if late and name.startswith(late)]
    frozen = [name for name in named if not name.startswith((*late, "classifier."))]
    if asleep := [name for name in wanted if not named[name].requires_grad]:
        raise found("still frozen", f"{len(asleep)} of {len(wanted)} parameters have no requires_grad: {some(asleep)}")
    if awake := [name for name in frozen if named[name].requires_grad]:
        raise found("not frozen", f"{len(awake)} parameters that should be frozen have requires_grad: {some(awake)}")
    if missing := [name for name in wanted if named[name] not in rates]:
        raise found("thawed in no group", f"{some(missing)} have requires_grad, and no group of the optimizer holds them")
    if missing := [name for name in named if name.startswith("classifier.") and named[name] not in rates]:
        raise found(headless, f"the optimizer does not hold {some(missing)}")
    if held := [name for name in frozen if named[name] in rates]:
        raise found("frozen in the optimizer", f"the optimizer holds {len(held)} frozen parameters: {some(held)}")
    return {name: rates[parameter] for name, parameter in named.items() if parameter in rates}


@checked(LAB)
def passes_trained(train_pass):
    """One pass over the images trains what may train, and BatchNorm keeps its statistics, in both phases."""
    for thawed in ((), LATE):
        model, pictures, labels = source_network(4), images(12, 32), torch.arange(12) % 4
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(("classifier", *thawed)))
        loader, before = DataLoader(TensorDataset(pictures, labels), 4), kept(model)
        mistakes = {name: _head_moved(copy.deepcopy(model), loader, name) for name in ("", *MISTAKES)}
        train_pass(model, loader, _sgd(model))
        moved = changes(model, before)
        if buffers := [name for name in moved if name not in dict(model.named_parameters())]:
            name = "BatchNorm wakes up" if thawed else "BatchNorm live"
            raise found(name, f"one pass changed {some(buffers)}, and phase {2 if thawed else 1} should leave these alone")
        if not moved:
            raise found("nothing trains", "after one pass all weights are as they were")
        step = model.classifier.weight.detach() - before["classifier.weight"]
        right = mistakes.pop("")
        size = right.abs().max()
        if not torch.allclose(step / size, right / size, atol=0.01):
            seen = "the head's weights do not move as they do with one step a batch"
            recognise(found, step / size, [(name, value / size) for name, value in mistakes.items()], seen, 0.01)
            raise found("another step", seen)
    return "in both phases, on a small network of the same kind"


MISTAKES = {"softmax before the loss", "gradients add up", "one batch alone"}


def _sgd(model) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.05)


def _head_moved(model, loader, mistake: str) -> torch.Tensor:
    """How the head's weights move in a pass in evaluation mode, with or without a mistake."""
    optimizer, before = _sgd(model.eval()), kept(model)
    for pictures, labels in loader:
        logits = model(pictures)
        loss = F.cross_entropy(logits.softmax(1) if mistake == "softmax before the loss" else logits, labels)
        if mistake != "gradients add up":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if mistake == "one batch alone":
            break
    return model.classifier.weight.detach() - before["classifier.weight"]


@checked(LAB)
def stopped_in_time(train_until_best):
    """Training ends when some passes have set no new lowest validation loss, and the weights of the best pass are back."""
    for losses, patience, best, wanted in (
        ([1.0, 0.6, 0.8, 0.5, 0.9, 0.7, 0.6, 0.8, 0.4, 0.3], 3, 4, 7),
        ([0.9, 0.8, 0.7, 0.75, 0.72, 0.1, 0.2], 2, 3, 5),
        ([0.9, 0.8, 0.7, 0.6], 2, 4, 4),
    ):
        model = Recorder(losses)
        returned = answer_of(train_until_best, model, model.loaders, model.train_pass, model.loss_of, len(losses), patience)
        if "test" in model.asked:
            raise found("the test set decides", f"the loss on the test images was asked for {model.asked.count('test')} times")
        if "val" not in model.asked:
            raise found("not the validation loss", f"asked for: {', '.join(sorted(set(model.asked))) or 'no loss at all'}")
        said = f"validation losses {', '.join(f'{loss:g}' for loss in losses)}, patience {patience}: "
        if model.passes != wanted:
            seen = f"{said}it trained {model.passes} passes, {wanted} expected"
            late = "never stops" if model.passes == len(losses) else "stops too late"
            raise found("stops too early" if model.passes < wanted else late, seen)
        at = int(model.weight.item())
        seen = f"{said}the network ends with the weights of pass {at}, the best were those of pass {best}"
        if at != best:
            last = "no copy" if model.loaded else "the last weights"
            raise found(last if at == model.passes else "other weights", seen)
        if not isinstance(returned, (list, tuple)) or list(returned) != losses[:wanted]:
            raise found("other losses", f"{said}it returned {returned!r:.80}")
    return "with three courses of the validation loss"


@checked(LAB)
def stages_thawed(thaw):
    """The stages that were asked for train at the small rate, the head at ten times that, and nothing else is touched."""
    model = source_network().requires_grad_(False)
    model.classifier.requires_grad_(True)
    optimizer = tried(found, {"more than one parameter group": "twice in the optimizer"}, thaw, model, LATE, 0.001)
    rates = _rates(model, optimizer, LATE, "no group for the head")
    body, head = ({rate for name, rate in rates.items() if name.startswith(part)} for part in (LATE, "classifier."))
    seen = f"the thawed stages have the rate {', '.join(f'{rate:g}' for rate in sorted(body))}, the head {min(head):g}"
    if all(abs(rate - 0.01) < 1e-9 for rate in body):
        raise found("head's rate for all", seen)
    if any(abs(rate - 0.001) > 1e-9 for rate in body) or any(abs(rate - 0.01) > 1e-9 for rate in head):
        raise found("one rate for all" if body == head else "another rate", seen)
