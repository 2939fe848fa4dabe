"""What lab 1 asks for: transfer by hand and with the helpers, a fair comparison, and the contest."""

import copy
import time

import torch
from torch.nn.functional import cross_entropy

from helpers.heads import find_head
from helpers.images.closing import MorePictures, given_pictures_only
from helpers.lessons.flowers import contest as arena
from helpers.lessons.flowers import probes
from helpers.lessons.flowers.findings import found
from helpers.lessons.probes import head_trains, images, logits_of, stands_still
from helpers.notebook.checking import answer_of, checked, number, tensor
from helpers.notebook.findings import a_model
from helpers.training.intervals import wilson
from helpers.training.recipes import FEATURE_EXTRACTION, Recipe, diff

LAB = "lab1_flowers"


@checked(LAB, seconds=20)
def head_renewed(with_new_head):
    """A copy of the source model with a new, random head for the new classes."""
    source = probes.network()
    before = probes.kept(source)
    model = a_model(answer_of(with_new_head, source, 4))
    if source.fc.out_features != 7 or source.state_dict().keys() != before.keys() or probes.changes(source, before):
        raise found("source changed", f"the source model's head is now {source.fc}")
    with torch.no_grad():
        shape = tuple(copy.deepcopy(model).eval()(images(2)).shape)
    if shape != (2, 4):
        raise found("old width", f"two images give logits of shape {shape}, for 4 classes")
    path = find_head(model)
    inputs = model.get_submodule(path).weight.shape[1]
    if inputs != source.fc.in_features:
        raise found("old head kept", f"the last layer takes {inputs} numbers, the old head took {source.fc.in_features}")
    new = model.state_dict()
    differing = [name for name in before if not name.startswith("fc.") and not probes.same(new.get(name), before[name])]
    if differing:
        raise found("body not copied", f"{len(differing)} tensors are others than the source's: {probes.some(differing)}")
    if new[f"{path}.weight"].unique(dim=0).shape[0] < 4 or probes.rows_in(new[f"{path}.weight"], before["fc.weight"]):
        raise found("head not new", "rows of the new head's weight are all alike, or those of the old head")
    mine, theirs = ({value.data_ptr() for value in each.state_dict().values()} for each in (model, source))
    if mine & theirs:
        raise found("shared weights", f"{len(mine & theirs)} tensors are shared with the source model")
    logits_of(model, 4)


@checked(LAB, seconds=20)
def body_frozen(freeze_body):
    """Training moves the head and nothing else, not even a buffer."""
    model = a_model(answer_of(freeze_body, probes.network(4)))
    before = probes.kept(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if trained:
        optimizer = torch.optim.SGD(trained, lr=0.1)
        for _ in range(2):  # in the mode in which the answer leaves the network
            optimizer.zero_grad()
            cross_entropy(model(images(4)), torch.arange(4)).backward()
            optimizer.step()
    moved = probes.changes(model, before)
    head = [name for name in moved if name.startswith("fc.")]
    body = [name for name in moved if name not in head]
    parameters = [name for name in body if name in dict(model.named_parameters())]
    if parameters and not head:
        raise found("wrong way round", f"two steps changed {probes.some(parameters)}, and not the head")
    if not head:
        raise found("head frozen", "two training steps left the head as it was")
    if parameters:
        raise found("parameters move", f"two training steps changed {probes.some(parameters)}")
    if body:
        raise found("buffers move", f"two training steps changed {probes.some(body)}")


@checked(LAB, seconds=20)
def optimizer_made(make_optimizer):
    """The optimizer moves what trains in this network, at the rate it is given."""
    model = probes.with_frozen_body()
    optimizer = answer_of(make_optimizer, model, 0.03)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise found("no optimizer", f"your function returned {probes.kind(optimizer)}")
    rates = [group["lr"] for group in optimizer.param_groups]
    known = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    own = {id(parameter) for parameter in model.parameters()}
    before = probes.kept(model)
    cross_entropy(model(images(4)), torch.arange(4)).backward()
    optimizer.step()
    moved = probes.changes(model, before)
    if not moved:
        raise (
            found("frozen parts only", f"a step moves nothing; {len(known & own)} frozen tensors are in the optimizer")
            if known & own
            else found("another network's", "a step moves nothing: none of this network's parameters is in the optimizer")
        )
    if set(moved) != {"fc.weight", "fc.bias"}:
        raise found("part of the head", f"a step moves {probes.some(moved)} and nothing else")
    if any(abs(rate - 0.03) > 1e-9 for rate in rates):
        raise found("another rate", f"asked for 0.03, the optimizer has {', '.join(f'{rate:g}' for rate in rates)}")


@checked(LAB, seconds=20)
def step_trains(training_step):
    """Each step computes the loss of its batch, its gradients, and moves what trains."""
    mine, calls = probes.with_frozen_body(), []
    model = copy.deepcopy(mine)
    model.register_forward_hook(probes.listen(calls))
    optimizer, theirs = (torch.optim.SGD(one.fc.parameters(), lr=0.1) for one in (model, mine))
    optimizer.register_step_pre_hook(lambda *_: calls.append("step"))
    body = probes.kept(model)
    for number_of_step in (1, 2):
        batch, labels = images(8)[4 * number_of_step - 4 : 4 * number_of_step], torch.tensor([0, 3, 1, 1])
        loss = cross_entropy(mine(batch), labels)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        before = model.fc.weight.detach().clone()
        told = number(answer_of(training_step, model, optimizer, batch, labels), "the loss that your function returns")
        moved = [name for name in probes.changes(model, body) if not name.startswith("fc.")]
        if moved:
            raise found("mode changed", f"step {number_of_step} changed {probes.some(moved)}")
        if torch.equal(model.fc.weight, before):
            raise probes.stuck(calls)
        if not torch.allclose(model.fc.weight, mine.fc.weight, atol=1e-5):
            name = "another loss" if number_of_step == 1 else "gradients pile up"
            raise found(name, f"step {number_of_step} moved the head, but not along the gradient of its own batch")
        if abs(told - loss.item()) > 1e-3:
            raise found("another loss", f"your function returned {told:.3f} in step {number_of_step}, the loss was {loss:.3f}")


@checked(LAB, seconds=20)
def accuracy_counted(accuracy):
    """The share of all images that the network names rightly, at rest, on prepared pixels."""
    dice = torch.Generator().manual_seed(3)
    pixels = torch.randint(256, (130, 3, 1, 1), generator=dice).expand(-1, -1, 8, 8).to(torch.uint8)
    prepared = probes.source_model().normalise(pixels)
    model = probes.Witness()
    with torch.no_grad():
        labels = model.eval()(prepared).argmax(1)
    labels[100:] = (labels[100:] + 1) % 4  # the last 30 are all wrong
    model.train().seen.clear()
    model.answers.clear()
    share = number(answer_of(accuracy, model, pixels, labels), "the accuracy", 0, 1)
    shown = torch.cat(model.seen) if model.seen else prepared[:0]
    if model.norm.num_batches_tracked:
        raise found("judged in training mode", "the running averages of BatchNorm have changed while the network was judged")
    if len(shown) < len(prepared):
        raise found("images left out", f"of 130 images the network saw {len(shown)}")
    if not torch.allclose(shown.float(), prepared, atol=1e-3):
        raise found("pixels not prepared", f"the network saw numbers from {shown.min():.1f} to {shown.max():.1f}")
    if abs(share - 100 / 130) < 1e-4:
        return None
    parts = [answers == own for answers, own in zip(model.answers, labels.split([len(a) for a in model.answers]), strict=True)]
    if len(parts) > 1 and abs(share - sum(part.float().mean() for part in parts) / len(parts)) < 1e-4:
        raise found("mean of batches", f"100 of 130 images are named rightly, your accuracy is {share:.1%}")
    raise found("miscounted", f"100 of 130 images are named rightly, your accuracy is {share:.1%}")


@checked(LAB, seconds=20)
def helpers_used(with_helpers):
    """The source model with a new head, all before it frozen whoever calls train()."""
    model = a_model(answer_of(with_helpers, 4))
    logits_of(model, 4)
    before, now = probes.source_model().model.state_dict(), model.state_dict()
    differing = [name for name in before if not name.startswith("fc.") and not probes.same(now.get(name), before[name])]
    if differing:
        raise found("nothing transferred", f"{len(differing)} tensors are others than the source's: {probes.some(differing)}")
    head_trains(model)
    stands_still(model)


@checked(LAB, seconds=20)
def pair_is_fair(fair_pair):
    """Two recipes that differ in one thing: whether anything was learnt beforehand."""
    try:
        pair = answer_of(fair_pair, "garden")
    except ValueError as error:
        if "random weights" not in str(error):
            raise
        raise found("random weights frozen", f"{error}") from None
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(one, Recipe) for one in pair):
        raise found(
            "not two recipes", f"your function returned {probes.kind(pair)}" + (f" of {len(pair)}" if probes.sized(pair) else "")
        )
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


@checked(LAB, seconds=20)
def difference_paired(paired_difference):
    """The mean difference in points, with half the width of the interval of the differences."""
    dice = torch.Generator().manual_seed(5)
    theirs = torch.rand(400, generator=dice) < 0.7
    ours = theirs | (torch.rand(400, generator=dice) < 0.2)
    pair = answer_of(paired_difference, ours, theirs)
    if isinstance(pair, torch.Tensor) and pair.shape == (2,):
        pair = tuple(tensor(pair, "what your function returns"))
    if not probes.sized(pair) or len(pair) != 2:
        raise found("not two numbers", f"your function returned {probes.kind(pair)}")
    mean, half = number(pair[0], "the difference"), number(pair[1], "half the width")
    each = ours.float() - theirs.float()
    right, spread = 100 * each.mean().item(), 100 * each.std().item()
    error = 1.96 * spread / 20
    seen = f"a difference of {mean:.2f}, half a width of {half:.2f}, for two networks that are {right:.2f} points apart"
    if probes.near(mean, -right):
        raise found("the wrong sign", seen)
    if probes.near(mean, right / 100) or (probes.near(mean, right) and probes.near(half, error / 100)):
        raise found("not in points", seen)
    if not probes.near(mean, right):
        raise found("another interval", seen)
    shares = [one.float().mean().item() for one in (ours, theirs)]
    unpaired = 196 * sum(share * (1 - share) / 400 for share in shares) ** 0.5
    for value, name in ((spread, "spread, not error"), (1.96 * spread, "spread, not error"), (unpaired, "not paired"),
                        (2 * error, "whole width"), (error / 1.96, "whole width")):  # fmt: skip
        if probes.near(half, value):
            raise found(name, seen)
    if not probes.near(half, error, 0.03):
        raise found("another interval", seen)


@checked(LAB, seconds=20)
def confusion_found(worst_confusion):
    """Which kind was most often taken for which other, and how often."""
    counts = {(0, 0): 20, (1, 1): 9, (2, 2): 12, (1, 2): 7, (1, 0): 2, (2, 1): 4, (0, 2): 5, (2, 0): 3}
    pairs = torch.tensor([pair for pair, count in counts.items() for _ in range(count)])
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))]
    answer = answer_of(worst_confusion, pairs[:, 0], pairs[:, 1], ["ash", "birch", "cedar"])
    if not probes.sized(answer) or len(answer) != 3:
        raise found(
            "not three things",
            f"your function returned {probes.kind(answer)}" + (f" of {len(answer)}" if probes.sized(answer) else ""),
        )
    truth, taken, count = answer
    seen = f"{truth!r} taken for {taken!r}, {count} times"
    if not (isinstance(truth, str) and isinstance(taken, str)):
        raise found("numbers, not names", seen)
    if truth == taken:
        raise found("right answers counted", seen)
    if (truth, taken) == ("cedar", "birch") and count in (7, 4):
        raise found("taken the wrong way", seen)
    if (truth, taken) != ("birch", "cedar"):
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
    name, truth = probes.namer(made), arena.pictures(task)
    few = truth.pixels[:: -(-len(truth) // 12)]
    together = tensor(name(few), "the logits", dtype=torch.float32, device="cpu")
    if together.shape != (len(few), len(task.classes)):
        raise found("wrong classes", f"{len(few)} pictures give {tuple(together.shape)}, for {len(task.classes)} classes")
    alone = torch.cat([name(picture[None]) for picture in few])
    if (alone - together).abs().max() > 0.01 * (1 + together.abs().max()):
        raise found("depends on its neighbours", "the same pictures got other logits one by one than together")
    correct = torch.cat([name(rows) for rows in truth.pixels.split(100)]).argmax(1) == truth.labels
    share, (low, high) = correct.float().mean().item(), wilson(correct.float().mean().item(), len(truth))
    told = f"{share:.1%} ({low:.1%} to {high:.1%}) of {len(truth)} pictures, in {seconds:.0f} s"
    score = arena.score(correct, task, plain, seconds)
    if low <= 1 / len(task.classes):
        raise found("no better than chance", f"{told}; chance is {1 / len(task.classes):.0%}")
    against = score.paired.loc[f"yours - {plain.name}"]
    if against.high < 0:
        behind = f"{against.points:+.1f} points ({against.low:+.1f} to {against.high:+.1f})"
        raise found("behind the plain recipe", f"{told}; against {plain.name} that is {behind}")
    better = [name for name, row in score.paired.iterrows() if row.low > 0]
    beaten = (
        ", ".join(name.removeprefix("yours - ") for name in better) or "none of the recipes, as far as these pictures can tell"
    )
    again = f" This was look {score.looks} at these pictures: who chooses by it has no test left." if score.looks > 1 else ""
    return f"{told}. Better than {beaten}.{again}"
