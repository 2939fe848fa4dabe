"""What lab 1 asks for: transfer by hand and with the helpers, a fair comparison, and the contest."""

import copy
import time

import torch
from torch.nn.functional import cross_entropy

from helpers.heads import find_head
from helpers.images.closing import MorePictures, given_pictures_only
from helpers.lessons.flowers import contest as arena
from helpers.lessons.flowers.probes import Calls, Witness, as_logits, found, source_model, with_frozen_body
from helpers.lessons.probes import (
    changes,
    images,
    kept,
    logits_of,
    lost,
    network,
    only_the_head_trains,
    recognise,
    some,
    train,
    tried,
)
from helpers.notebook.checking import checked
from helpers.notebook.findings import a_model, answer_of, kind_of, number, tensor
from helpers.training.intervals import wilson
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe, diff

LAB = "lab1_flowers"


@checked(LAB)
def head_renewed(with_new_head):
    """A copy of the source model with a new, random head for the new classes."""
    source = network(7)
    before = kept(source)
    model = a_model(answer_of(with_new_head, source, 4))
    if source.fc.out_features != 7 or source.state_dict().keys() != before.keys() or changes(source, before):
        raise found("source changed", f"the source model's head is now {source.fc}")
    with torch.no_grad():
        shape = tuple(copy.deepcopy(model).eval()(images(2)).shape)
    if shape != (2, 4):
        raise found("old width", f"two images give logits of shape {shape}, for 4 classes")
    head = model.get_submodule(find_head(model)).weight
    if head.shape[1] != source.fc.in_features:
        raise found("old head kept", f"the last layer takes {head.shape[1]} numbers, the old head took {source.fc.in_features}")
    if differing := lost(model, before):
        raise found("body not copied", f"{len(differing)} tensors differ from the source's: {some(differing)}")
    old_rows = [row for row in head if any(torch.equal(row, old) for old in before["fc.weight"])]
    if old_rows or head.unique(dim=0).shape[0] < 4:
        raise found("head not new", "rows of the new head's weight are all the same, or come from the old head")
    mine, theirs = ({value.data_ptr() for value in each.state_dict().values()} for each in (model, source))
    if mine & theirs:
        raise found("shared weights", f"{len(mine & theirs)} tensors are shared with the source model")
    logits_of(model, 4)


@checked(LAB)
def body_frozen(freeze_body):
    """Training changes the head and nothing else, not even a buffer."""
    model = a_model(answer_of(freeze_body, network(4)))
    before = kept(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if trained:  # in the mode in which the answer leaves the network
        train(model, torch.optim.SGD(trained, lr=0.1), images(4))
    moved = changes(model, before)
    body = [name for name in moved if not name.startswith("fc.")]
    parameters = [name for name in body if name in dict(model.named_parameters())]
    if parameters and body == moved:
        raise found("wrong way round", f"two steps changed {some(parameters)}, and not the head")
    if body == moved:
        raise found("head frozen", "two training steps left the head as it was")
    if parameters:
        raise found("parameters move", f"two training steps changed {some(parameters)}")
    if body:
        raise found("buffers move", f"two training steps changed {some(body)}")


@checked(LAB)
def optimizer_made(make_optimizer):
    """The optimizer updates what trains in this network, with the learning rate it is given."""
    model = with_frozen_body()
    optimizer = answer_of(make_optimizer, model, 0.03)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise found("no optimizer", f"your function returned {kind_of(optimizer)}")
    rates = [group["lr"] for group in optimizer.param_groups]
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    frozen = held & {id(parameter) for parameter in model.parameters()}
    before = kept(model)
    cross_entropy(model(images(4)), torch.arange(4)).backward()
    optimizer.step()
    moved = changes(model, before)
    if not moved and frozen:
        raise found("frozen parts only", f"a step changes nothing; {len(frozen)} frozen tensors are in the optimizer")
    if not moved:
        raise found("another network's", "a step changes nothing: the optimizer has none of this network's parameters")
    if set(moved) != {"fc.weight", "fc.bias"}:
        raise found("part of the head", f"a step changes {some(moved)} and nothing else")
    if any(abs(rate - 0.03) > 1e-9 for rate in rates):
        raise found("another rate", f"asked for 0.03, the optimizer has {', '.join(f'{rate:g}' for rate in rates)}")


@checked(LAB)
def step_trains(training_step):
    """Each step computes the loss of its batch and its gradients, and updates what trains."""
    mine = with_frozen_body()
    model = copy.deepcopy(mine)
    optimizer, theirs = (torch.optim.SGD(one.fc.parameters(), lr=0.1) for one in (model, mine))
    calls, body = Calls(model, optimizer), kept(model)
    for step, batch in enumerate(images(8).split(4), 1):
        labels = torch.tensor([0, 3, 1, 1])
        loss = cross_entropy(mine(batch), labels)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        before = model.fc.weight.detach().clone()
        told = number(answer_of(training_step, model, optimizer, batch, labels), "the loss that your function returns")
        if moved := [name for name in changes(model, body) if not name.startswith("fc.")]:
            raise found("mode changed", f"step {step} changed {some(moved)}")
        if torch.equal(model.fc.weight, before):
            raise calls.why_stuck()
        if not torch.allclose(model.fc.weight, mine.fc.weight, atol=1e-5):
            name = "another loss" if step == 1 else "gradients pile up"
            raise found(name, f"step {step} changed the head, but not along the gradient of its own batch")
        if abs(told - loss.item()) > 1e-3:
            raise found("another loss", f"your function returned {told:.3f} in step {step}, the loss was {loss:.3f}")


@checked(LAB)
def accuracy_counted(accuracy):
    """The share of all images that the network classifies correctly, in evaluation mode, on prepared pixels."""
    pixels = torch.randint(256, (130, 3, 1, 1), generator=torch.Generator().manual_seed(3))
    pixels = pixels.expand(-1, -1, 8, 8).to(torch.uint8)
    prepared = source_model().normalise(pixels)
    model = Witness()
    with torch.no_grad():
        labels = model.eval()(prepared).argmax(1)
    labels[100:] = (labels[100:] + 1) % 4  # the last 30 are all wrong
    model.train().seen.clear()
    model.answers.clear()
    share = number(answer_of(accuracy, model, pixels, labels), "the accuracy", 0, 1)
    shown = torch.cat(model.seen) if model.seen else prepared[:0]
    if model.norm.num_batches_tracked:
        raise found("judged in training mode", "BatchNorm's running averages changed during the evaluation")
    if len(shown) < len(prepared):
        raise found("images left out", f"of 130 images the network saw {len(shown)}")
    if not torch.allclose(shown.float(), prepared, atol=1e-3):
        raise found("pixels not prepared", f"the network saw numbers from {shown.min():.1f} to {shown.max():.1f}")
    if abs(share - 100 / 130) < 1e-4:
        return
    parts = [answers == own for answers, own in zip(model.answers, labels.split([len(a) for a in model.answers]), strict=True)]
    means = torch.stack([part.float().mean() for part in parts])
    seen = f"100 of 130 images are classified correctly, your accuracy is {share:.1%}"
    recognise(found, share, [("mean of batches", means.mean())] if len(parts) > 1 else [], seen)
    raise found("miscounted", seen)


@checked(LAB)
def helpers_used(with_helpers):
    """The source model with a new head and everything before it frozen, also after train() is called."""
    model = a_model(answer_of(with_helpers, 4))
    logits_of(model, 4)
    if differing := lost(model, source_model().model.state_dict()):
        raise found("nothing transferred", f"{len(differing)} tensors differ from the source's: {some(differing)}")
    only_the_head_trains(model)


@checked(LAB)
def pair_is_fair(fair_pair):
    """Two recipes that differ in one thing: whether anything was learnt beforehand."""
    pair = tried(found, {"random weights": "random weights frozen"}, fair_pair, "garden")
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(one, Recipe) for one in pair):
        raise found("not two recipes", f"your function returned {kind_of(pair)}")
    control, transfer = pair
    differing = set(diff(control, transfer)) - {"name"}
    if not differing:
        raise found("nothing differs", "both recipes do the same")
    if control.copied is None and transfer.copied is not None:
        raise found("the other way round", f"the first recipe transfers, {transfer.name!r} copies nothing")
    if differing != {"copied"}:
        raise found("more differs", f"they differ in {', '.join(sorted(differing))}")
    if control.copied != 0:
        raise found("part is copied", f"the control has copied={control.copied!r}")
    if control.name != "random features":
        raise found("another name", f"the control is called {control.name!r}")


@checked(LAB)
def difference_paired(paired_difference):
    """The mean difference in points, with half the width of the interval of the differences."""
    rng = torch.Generator().manual_seed(5)
    theirs = torch.rand(400, generator=rng) < 0.7
    ours = theirs | (torch.rand(400, generator=rng) < 0.2)
    pair = answer_of(paired_difference, ours, theirs)
    if isinstance(pair, torch.Tensor) and pair.shape == (2,):
        pair = tuple(tensor(pair, "what your function returns"))
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise found("not two numbers", f"your function returned {kind_of(pair)}")
    mean, half = number(pair[0], "the difference"), number(pair[1], "half the width")
    each = ours.float() - theirs.float()
    right, spread = 100 * each.mean().item(), 100 * each.std().item()
    error = 1.96 * spread / 20
    near = lambda a, b, tolerance=0.01: abs(a - b) <= tolerance * abs(b)
    seen = f"a difference of {mean:.2f}, half a width of {half:.2f}, for two networks that are {right:.2f} points apart"
    if near(mean, -right):
        raise found("the wrong sign", seen)
    if near(mean, right / 100) or (near(mean, right) and near(half, error / 100)):
        raise found("not in points", seen)
    if not near(mean, right):
        raise found("another interval", seen)
    shares = [one.float().mean().item() for one in (ours, theirs)]
    unpaired = 196 * sum(share * (1 - share) / 400 for share in shares) ** 0.5
    for name, value in (
        ("spread, not error", spread),
        ("spread, not error", 1.96 * spread),
        ("not paired", unpaired),
        ("whole width", 2 * error),
        ("whole width", error / 1.96),
    ):
        if near(half, value):
            raise found(name, seen)
    if not near(half, error, 0.03):
        raise found("another interval", seen)


@checked(LAB)
def confusion_found(worst_confusion):
    """Which kind was most often mistaken for which other, and how often."""
    counts = {(0, 0): 20, (1, 1): 9, (2, 2): 12, (1, 2): 7, (1, 0): 2, (2, 1): 4, (0, 2): 5, (2, 0): 3}
    pairs = torch.tensor([pair for pair, count in counts.items() for _ in range(count)])
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))]
    answer = answer_of(worst_confusion, pairs[:, 0], pairs[:, 1], ["ash", "birch", "cedar"])
    if not isinstance(answer, (tuple, list)) or len(answer) != 3:
        raise found("not three things", f"your function returned {kind_of(answer)}")
    label, taken, count = answer
    seen = f"{label!r} mistaken for {taken!r}, {count} times"
    if not (isinstance(label, str) and isinstance(taken, str)):
        raise found("numbers, not names", seen)
    if label == taken:
        raise found("right answers counted", seen)
    if (label, taken) == ("cedar", "birch") and count in (7, 4):
        raise found("taken the wrong way", seen)
    if (label, taken) != ("birch", "cedar"):
        raise found("not the most frequent", seen)
    if number(count, "how often") != 7:
        raise found("another count", seen)


@checked(LAB, seconds=180)
def contest(my_best, task, plain=FEATURE_EXTRACTION, minutes=2):
    """A classifier from the training and validation images alone, in time, judged on pictures that nobody has seen."""
    started = time.perf_counter()
    try:
        with given_pictures_only():
            made = answer_of(my_best, arena.for_practice(task))
    except MorePictures as error:
        raise found("more pictures", str(error)) from None
    seconds = time.perf_counter() - started
    if seconds > 60 * minutes:
        raise found("too slow", f"your function took {seconds:.1f} s of {60 * minutes:g}")
    logits, unseen = as_logits(made), arena.pictures(task)
    few = unseen.pixels[:: -(-len(unseen) // 12)]
    together = tensor(logits(few), "the logits", dtype=torch.float32, device="cpu")
    if together.shape != (len(few), len(task.classes)):
        raise found("wrong classes", f"{len(few)} pictures give {tuple(together.shape)}, for {len(task.classes)} classes")
    alone = torch.cat([logits(picture[None]) for picture in few])
    if (alone - together).abs().max() > 0.01 * (1 + together.abs().max()):
        raise found("depends on its neighbours", "the same pictures got different logits one by one than together")
    correct = torch.cat([logits(rows) for rows in unseen.pixels.split(100)]).argmax(1) == unseen.labels
    share, (low, high) = correct.float().mean().item(), wilson(correct.float().mean().item(), len(unseen))
    told = f"{share:.1%} ({low:.1%} to {high:.1%}) of {len(unseen)} pictures, in {seconds:.0f} s"
    score = arena.score(correct, task, plain, seconds)
    if low <= 1 / len(task.classes):
        raise found("no better than chance", f"{told}; chance is {1 / len(task.classes):.0%}")
    against = score.paired.loc[f"yours - {plain.name}"]
    if against.high < 0:
        behind = f"{against.points:+.1f} points ({against.low:+.1f} to {against.high:+.1f})"
        raise found("behind the plain recipe", f"{told}; compared with {plain.name} that is {behind}")
    better = [name.removeprefix("yours - ") for name, row in score.paired.iterrows() if row.low > 0]
    beaten = ", ".join(better) or "none of the recipes, as far as these pictures can tell"
    look = f" This was look {score.looks} at these pictures: if you choose by it, no test is left." if score.looks > 1 else ""
    return f"{told}. Better than {beaten}.{look}"
