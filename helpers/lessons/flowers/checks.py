"""What lab 1 asks of network and training: transfer by hand and with the helpers, saving, a fair comparison; the contest last."""

import copy
import json
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from helpers.heads import find_head
from helpers.lessons.flowers import contest as arena
from helpers.lessons.flowers.files import LAB, several
from helpers.lessons.flowers.probes import found, network
from helpers.lessons.probes import changes, images, kept, logits_of, lost, only_the_head_trains, recognise, same, some, train
from helpers.notebook.checking import checked
from helpers.notebook.findings import a_model, answer_of, kind_of, number, tensor
from helpers.sources.backbones import load_backbone

HEAD = "classifier."


@checked(LAB)
def head_renewed(with_new_head):
    """A copy of the source model with a new, random head for the new classes."""
    source = network(7)
    before = kept(source)
    model = a_model(answer_of(with_new_head, source, 4))
    if source.classifier.out_features != 7 or source.state_dict().keys() != before.keys() or changes(source, before):
        raise found("source changed", f"the source model's head is now {source.classifier}")
    with torch.no_grad():
        shape = tuple(copy.deepcopy(model).eval()(images(2)).shape)
    if shape != (2, 4):
        raise found("old width", f"two images give logits of shape {shape}, for 4 classes")
    head = model.get_submodule(find_head(model)).weight
    if head.shape[1] != 12:
        raise found("old head kept", f"the last layer takes {head.shape[1]} numbers, the old head took 12")
    if differing := lost(model, before, HEAD):
        raise found("body not copied", f"{len(differing)} tensors differ from the source's: {some(differing)}")
    old_rows = [row for row in head if any(torch.equal(row, old) for old in before["classifier.weight"])]
    if old_rows or head.unique(dim=0).shape[0] < 4:
        raise found("head not new", "rows of the new head's weight are all the same, or come from the old head")
    mine, theirs = ({value.data_ptr() for value in each.state_dict().values()} for each in (model, source))
    if mine & theirs:
        raise found("shared weights", f"{len(mine & theirs)} tensors are shared with the source model")
    logits_of(model, 4)


@checked(LAB)
def body_frozen(freeze_body):
    """Training changes the head and nothing else, not even a buffer."""
    model = a_model(answer_of(freeze_body, network()))
    before = kept(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if trained:  # in the mode in which the answer leaves the network
        train(model, torch.optim.SGD(trained, lr=0.1), images(4))
    moved = changes(model, before)
    body = [name for name in moved if not name.startswith(HEAD)]
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
def groups_made(make_optimizer):
    """The head learns at its rate and the body at a smaller one; what is frozen is in no group."""
    for trains in (("classifier",), ("conv_head", "classifier")):
        model = network(4, trains)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        for parameter in model.parameters():  # as after an earlier phase in which everything was trained
            parameter.grad = torch.ones_like(parameter)
        optimizer = answer_of(make_optimizer, model, 0.03, 0.002)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise found("no optimizer", f"your function returned {kind_of(optimizer)}")
        if not isinstance(optimizer, (torch.optim.AdamW, torch.optim.Adam)):  # without weight decay, they are the same
            raise found("not AdamW", f"your function returned {kind_of(optimizer)}")
        rates = {names.get(id(each)): group["lr"] for group in optimizer.param_groups for each in group["params"]}
        wanted = {name: 0.03 if name.startswith(HEAD) else 0.002 for name, each in model.named_parameters() if each.requires_grad}
        before = kept(model)
        optimizer.step()
        if frozen := [name for name in changes(model, before) if name not in wanted]:
            raise found("frozen in the optimizer", f"a step changed {some(frozen)}; trainable: {' and '.join(trains)}")
        if not wanted.keys() & rates.keys():
            raise found("another network's", "the optimizer has none of this network's trainable parameters")
        if missing := wanted.keys() - rates.keys():
            raise found("part is missing", f"not in the optimizer: {some(sorted(missing))}; trainable: {' and '.join(trains)}")
        seen = "asked for 0.03 (head) and 0.002 (body): " + ", ".join(f"{name} has {rates[name]:g}" for name in wanted)
        if len(trains) > 1 and len({rates[name] for name in wanted}) == 1:
            raise found("one rate for all", seen)
        if any(rates[name] != rate for name, rate in wanted.items()):
            raise found("other rates", seen)
        if decayed := {group["weight_decay"] for group in optimizer.param_groups if group.get("weight_decay")}:
            raise found("weight decay", f"the optimizer has weight_decay={max(decayed):g}")


def _epoch(batches, skip="", of_logits=lambda logits: logits) -> tuple[torch.Tensor, list[float]]:
    """The head's weight after an epoch with this one mistake, and the losses of its batches."""
    model, losses = network(4, ("classifier",)), []
    optimizer = torch.optim.SGD(model.classifier.parameters(), lr=0.1)
    for inputs, labels in batches:
        loss = cross_entropy(of_logits(model(inputs)), labels)
        losses.append(loss.item())
        if skip != "zero":
            optimizer.zero_grad()
        loss.backward()
        if skip != "clip":
            (nn.utils.clip_grad_value_ if skip == "norm" else nn.utils.clip_grad_norm_)(model.parameters(), 1.0)
        optimizer.step()
        if skip == "rest":
            break
    return model.classifier.weight.detach(), losses


@checked(LAB)
def epoch_trains(train_epoch):
    """One pass through the loader: for each batch the loss, its gradients, clipped, and an update. BatchNorm stays at rest."""
    loader = DataLoader(TensorDataset(20 * images(10), torch.arange(10) % 4), batch_size=4)
    model = network(4, ("classifier",))
    optimizer, body = torch.optim.SGD(model.classifier.parameters(), lr=0.1), kept(model)
    steps = []  # whether there were gradients
    optimizer.register_step_pre_hook(lambda *_: steps.append(bool(model.classifier.weight.grad is not None)))
    told = number(answer_of(train_epoch, model, loader, optimizer), "the mean loss that your function returns")
    if moved := [name for name in changes(model, body) if not name.startswith(HEAD)]:
        raise found("mode changed", f"an epoch changed {some(moved)} of the frozen body")
    if same(body["classifier.weight"], model.classifier.weight):
        if steps:
            raise found("no gradients", f"the head did not change: in {len(steps)} steps the optimizer found no gradients")
        raise found("no step", "the head did not change: optimizer.step() was never called")
    (right, losses), seen = _epoch(loader), "the head changed, but not along the clipped gradients of each batch"
    mistakes = [("gradients pile up", _epoch(loader, "zero")[0]), ("not clipped", _epoch(loader, "clip")[0]),
                ("clipped one by one", _epoch(loader, "norm")[0]), ("batches left out", _epoch(loader, "rest")[0]),
                ("another loss", _epoch(loader, of_logits=lambda logits: logits.softmax(1))[0])]  # fmt: skip
    recognise(found, model.classifier.weight.detach(), mistakes, seen, 1e-5)
    if not torch.allclose(model.classifier.weight, right, atol=1e-5):
        raise found("another update", seen)
    means = sum(losses) / 3, (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10  # of the batches, or of the images
    if min(abs(told - mean) for mean in means) > 1e-3 * means[0]:
        raise found("another mean", f"your function returned {told:.2f}; the losses were {', '.join(f'{x:.2f}' for x in losses)}")


@checked(LAB)
def accuracy_counted(accuracy):
    """The share of all images that the network classifies correctly, in evaluation mode, without gradients."""
    model, pixels, seen = network(), images(130, 8), []
    with torch.no_grad():
        labels = copy.deepcopy(model).eval()(pixels).argmax(1)
    labels[100:] = (labels[100:] + 1) % 4  # the last 30 are all wrong
    model.register_forward_pre_hook(lambda _, inputs: seen.append((len(inputs[0]), torch.is_grad_enabled())))
    before, loader = kept(model), DataLoader(TensorDataset(pixels, labels), batch_size=50)
    share = number(answer_of(accuracy, model, loader), "the accuracy", 0, 1)
    if changes(model, before):
        raise found("judged in training mode", "BatchNorm's running averages changed during the evaluation")
    if sum(count for count, _ in seen) < 130:
        raise found("images left out", f"of 130 images the network saw {sum(count for count, _ in seen)}")
    told = f"100 of 130 images are classified correctly, your accuracy is {share:.1%}"
    recognise(found, share, [("mean of batches", 2 / 3)], told)
    if abs(share - 100 / 130) > 1e-4:
        raise found("miscounted", told)
    if any(recorded for _, recorded in seen):
        raise found("gradients kept", "PyTorch recorded every step of the evaluation for a backward pass")


@checked(LAB)
def network_saved(save_network):
    """A safetensors file with every tensor of the network, and the class names, in their order, as JSON in its metadata."""
    model, classes = network(3).to(memory_format=torch.channels_last), ["pear", "apple", "quince"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.safetensors")
        answer_of(save_network, model, classes, path)
        if not path.is_file():
            raise found("no file", f"{path.name} does not exist after the call")
        try:
            with safe_open(path, "pt") as file:
                about, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise found("not safetensors", f"safetensors cannot read the file: {error}") from None
    missing = [name for name, value in model.state_dict().items() if not same(tensors.get(name), value)]
    if missing and not {*missing} & {name for name, _ in model.named_parameters()}:
        raise found("buffers missing", f"not in the file: {some(missing)}")
    if missing:
        raise found("tensors missing", f"not in the file, or with other values: {some(missing)}")
    if "classes" not in about:
        raise found("class names missing", f"the file's metadata have {', '.join(about) or 'nothing'}")
    try:
        names = json.loads(about["classes"])
    except ValueError:
        names = about["classes"]
    if names != classes:
        raise found("class names changed", f"the file says {names!r}; the logits stand for {classes}")


@checked(LAB)
def helpers_used(with_helpers):
    """The source model with a new head and everything before it frozen, also after train() is called."""
    model = a_model(answer_of(with_helpers, 4))
    logits_of(model, 4)
    if differing := lost(model, load_backbone("efficientnet_lite0").model.state_dict(), HEAD):
        raise found("nothing transferred", f"{len(differing)} tensors differ from the source's: {some(differing)}")
    only_the_head_trains(model)


@checked(LAB)
def difference_paired(paired_difference):
    """The mean difference in points, with half the width of the interval of the differences."""
    rng = torch.Generator().manual_seed(5)
    theirs = torch.rand(400, generator=rng) < 0.7
    ours = theirs | (torch.rand(400, generator=rng) < 0.2)
    pair = answer_of(paired_difference, ours, theirs)
    if isinstance(pair, torch.Tensor) and pair.shape == (2,):
        pair = tuple(tensor(pair, "what your function returns"))
    several(pair, 2, "not two numbers")
    mean, half = number(pair[0], "the difference"), number(pair[1], "half the width")
    each = ours.float() - theirs.float()
    right, spread = 100 * each.mean().item(), 100 * each.std().item()
    error = 1.96 * spread / 20
    unpaired = 196 * sum(share * (1 - share) / 400 for share in (one.float().mean().item() for one in (ours, theirs))) ** 0.5
    seen = f"a difference of {mean:.2f}, half a width of {half:.2f}, for two networks that are {right:.2f} points apart"
    if abs(mean + right) < 0.1:
        raise found("the wrong sign", seen)
    halves = {error / 100: "not in points", spread: "spread, not error", 1.96 * spread: "spread, not error",
              unpaired: "not paired", 2 * error: "whole width", error / 1.96: "whole width"}  # fmt: skip
    mistakes = [("not in points", (right / 100, half)), *((name, (right, value)) for value, name in halves.items())]
    recognise(found, (mean, half), mistakes, seen, 0.02)
    if abs(mean - right) > 0.1 or abs(half - error) > 0.03 * error:
        raise found("another interval", seen)


checked(LAB, seconds=600)(arena.contest)  # its own limit is two minutes; a busy computer needs longer
