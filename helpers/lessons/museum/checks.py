"""What lab 4 asks for: fixed code, judged by what it does to small networks."""

import copy
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from helpers.lessons.museum import probes
from helpers.lessons.museum.probes import TRAINED, found, network, new_layer, pictures
from helpers.lessons.museum.rooms import predict, what_changed
from helpers.lessons.probes import images, logits_of, lost, some, train, tried
from helpers.notebook.checking import checked
from helpers.notebook.findings import a_model, answer_of, kind_of, number, tensor

LAB = "lab4_bug_museum"

COUNTER = "num_batches_tracked"  # counts in training mode even if the averages are kept from changing


@checked(LAB, seconds=10)
def lamp_shows_all(changed):
    """The lamp lists every tensor that changes, and no other."""
    model, calls = network(), []

    def act():
        calls.append(1)
        with torch.no_grad():
            model.conv1.weight[0, 0, 0, 0] *= 1 + 1e-5
            model.fc.bias += 1
            model.layer2[0].bn1.running_mean += 0.5

    names = answer_of(changed, model, act)
    if len(calls) != 1:
        raise found("action not run once", f"action() was called {len(calls)} times")
    if not isinstance(names, (list, tuple, set)) or not all(isinstance(name, str) for name in names):
        raise found("not a list of names", f"{kind_of(names)}: {str(names)[:60]!r}")
    wanted = {"conv1.weight", "fc.bias", "layer2.0.bn1.running_mean"}
    missing = wanted - set(names)
    if len(missing) == 3:
        raise found("sees nothing", "three tensors were changed, and none of them is in your list")
    if "layer2.0.bn1.running_mean" in missing:
        raise found("buffers missed", "the running mean of a BatchNorm layer was changed, and is not in your list")
    if missing:
        raise found("small changes missed", f"changed slightly, and not in your list: {some(missing)}")
    if idle := set(answer_of(changed, model, lambda: None)) | (set(names) - wanted):
        raise found("false alarm", f"in your list, but not changed: {some(sorted(idle))}")


@checked(LAB, seconds=10)
def backbone_at_rest(training_mode):
    """In every epoch the head trains, and nothing else changes."""
    model = network()
    model.requires_grad_(False).fc.requires_grad_(True)
    optimizer, unlike = torch.optim.AdamW(model.fc.parameters(), lr=0.01), []

    def epochs():
        for _ in range(2):
            a_model(answer_of(training_mode, model))
            if not model.fc.weight.requires_grad:
                raise found("head frozen", "the head's weight no longer has requires_grad")
            train(model, optimizer, pictures(8))
            with torch.no_grad():
                alone, among = model(pictures(8)[:2]), model(pictures(8))[:2]
            unlike.append((alone - among).abs().max() / among.abs().max())

    before = model.fc.weight.detach().clone()
    moved = [name for name in what_changed(model, epochs) if not name.startswith("fc.")]
    if any(not name.endswith(COUNTER) for name in moved):
        layers = {name.rpartition(".")[0] for name in moved}
        kind = "buffers move" if layers >= probes.layers_of(model, _BatchNorm) else "some buffers move"
        raise found(kind, f"two epochs changed {some(moved)}: not a parameter, but part of the network")
    if moved or max(unlike) > 1e-3:
        raise found("depends on the batch", "two pictures give different logits alone and in a batch of eight")
    if torch.equal(model.fc.weight, before):
        raise found("head frozen", "two epochs leave the head's weight as it was")


@checked(LAB, seconds=10)
def judged_at_rest(predict_fixed):
    """The answers do not depend on the batch, and the evaluation leaves the network as it was."""
    model = network()
    model.fc = nn.Sequential(nn.Dropout(0.5), model.fc)
    model.layer1.eval()  # in evaluation mode on purpose
    modes = [module.training for module in model.modules()]
    photos, answers = pictures(24), []
    moved = what_changed(model, lambda: answers.append(answer_of(predict_fixed, model, photos)))
    if any(not name.endswith(COUNTER) for name in moved):
        raise found("train mode", f"while it answered, {some(moved)} changed")
    labels = tensor(answers[0], "the labels", shape=(24,), dtype=torch.int64)
    after = [module.training for module in model.modules()]
    if after != modes:
        kind = "left at rest" if not any(after) else "modes mixed up"
        seen = f"of {len(modes)} modules, {sum(modes)} were in training mode before and {sum(after)} after"
        raise found(kind, seen)
    if any(not torch.equal(predict_fixed(model, photos), labels) for _ in range(3)):
        raise found("dropout on", "the same network gives different answers for the same pictures")
    alone = torch.stack([predict_fixed(model, photos[[i, i]])[0] for i in range(24)])
    wanted = predict(model, photos)
    if not torch.equal(alone, labels) and not torch.equal(alone, wanted):
        raise found("depends on the batch", f"without the others, {(alone != labels).sum()} of 24 pictures get another label")
    if wrong := int((labels != wanted).sum()):
        raise found("wrong labels", f"{wrong} of 24 labels are not those of the largest logit in evaluation mode")


@checked(LAB, seconds=10)
def layer_replaced(replace_head):
    """The network has a new output layer for the new classes, on the backbone as it was."""
    model = network(20)
    old = copy.deepcopy(model)
    new_layer(answer_of(replace_head, model, 5), old, 5)


@checked(LAB, seconds=10)
def head_let_go(last_stage_trains):
    """layer4 and the new head train, and nothing else."""
    model = network(20)
    old = copy.deepcopy(model)
    model = new_layer(answer_of(last_stage_trains, model, 5), old, 5)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise found("nothing trains", "no parameter has requires_grad")
    model.eval()  # this is about parameters; room 1 was about modes
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01, weight_decay=0.1)
    moved = what_changed(model, lambda: train(model, optimizer, pictures(8)))
    if others := [name for name in moved if not name.startswith(TRAINED)]:
        raise found("parameters move", f"two steps changed {some(others)}")
    heads = [name for name in model.state_dict() if name.startswith("fc.")]
    if not set(heads) <= set(moved):
        raise found("head frozen", f"two steps changed {some(moved)}, but not the head")
    if not any(name.startswith("layer4.") for name in moved):
        raise found("last stage frozen", f"two steps changed {some(moved)} alone")


@checked(LAB, seconds=10)
def share_possible(possible):
    """A printed share is possible if a whole number of correct answers gives it, rounded to four decimals."""
    kinds = {
        "rounding forgotten": [(0.8667, 75), (0.3333, 3), (0.0067, 150)],
        "accepts too much": [(0.8561, 75), (0.5, 75), (0.874, 75), (0.0005, 1000)],
        "ends left out": [(0.0, 75), (1.0, 75)],
    }
    for kind, questions in kinds.items():
        for share, n in questions:
            verdict = answer_of(possible, share, n)
            if not isinstance(verdict, (bool, torch.Tensor)) and type(verdict).__name__ not in ("bool", "bool_"):
                raise found("no verdict", f"possible({share}, {n}) returned {verdict!r}")
            wanted = any(round(k / n, 4) == share for k in range(n + 1))
            if bool(verdict) != wanted:
                raise found(kind, f"possible({share}, {n}) returned {bool(verdict)}", f"{wanted}: {found(kind, '').expected}")


@checked(LAB, seconds=10)
def every_image_counts(accuracy):
    """Every image counts the same, whatever batch it is in."""
    sizes, hits = (32, 32, 11), (28, 28, 9)
    batches = probes.answered(sizes, hits)
    for given in (batches, iter(batches)):
        probes.compare_pooled(number(answer_of(accuracy, given), "the accuracy"), sizes, hits)


@checked(LAB, seconds=10)
def inputs_comparable(inputs_for):
    """Every variant gets the same images, prepared as its own weights were trained."""
    backbones, pixels = probes.three_backbones()
    inputs, few = answer_of(inputs_for, backbones, pixels), answer_of(inputs_for, backbones, pixels[:2])
    if not isinstance(inputs, Mapping) or set(inputs) != set(backbones):
        names = list(inputs) if isinstance(inputs, Mapping) else kind_of(inputs)
        raise found("variants missing", f"the variants are {list(backbones)}, your function returned {names}")
    probes.compare_inputs(backbones, pixels, inputs, few)


@checked(LAB, seconds=10)
def optimizer_knows_head(start):
    """The optimizer has everything that trains in this model, including the new head, and nothing else."""
    for frozen in (False, True):
        model = network(20).requires_grad_(not frozen)
        model.layer4.requires_grad_(True)
        old = copy.deepcopy(model)
        pair = answer_of(start, model, 5, 0.003)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not hasattr(pair[1], "param_groups"):
            raise found("not a pair", f"your function returned {kind_of(pair)}")
        model, optimizer = new_layer(pair[0], old, 5), pair[1]
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        mine = {id(parameter): name for name, parameter in model.named_parameters()}
        moved = what_changed(model.eval(), lambda: train(model, optimizer, pictures(8)))  # noqa: B023
        if not any(name.startswith("fc.") for name in moved):
            raise found("head not in the optimizer", f"two steps changed {some(moved) or 'nothing'}, but not the head")
        due = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
        if missing := [name for key, name in due.items() if key not in held]:
            raise found("backbone missing", f"with requires_grad, but not in the optimizer: {some(missing)}")
        if held - mine.keys():
            raise found("stale parameters", f"{len(held - mine.keys())} tensors in the optimizer are not the model's")
        if any(abs(group["lr"] - 0.003) > 1e-9 for group in optimizer.param_groups):
            raise found("another rate", f"asked for 0.003, the optimizer has {optimizer.param_groups[0]['lr']:g}")


@checked(LAB, seconds=10)
def rates_kept(schedule_for):
    """Each group rises to its own learning rate and falls again."""
    own, steps = [1e-4, 1e-5, 1e-2], 20
    groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in own]
    optimizer = torch.optim.AdamW(groups)
    schedule = tried(found, {"same length": "rates written down"}, schedule_for, optimizer, steps)
    if not hasattr(schedule, "step"):
        raise found("not a schedule", f"your function returned {kind_of(schedule)}")
    rates = []
    for step in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if step < steps - 1:
            try:
                schedule.step()
            except ValueError as error:
                raise found("ends too early", f"at step {step + 1} of {steps - 1}: {error}") from None
    probes.compare_rates(torch.tensor(rates), torch.tensor(own))


@checked(LAB, seconds=10)
def norm_at_rest(fine_tuning_mode):
    """BatchNorm uses its averages and leaves them as they are; everything else is in training mode, and trains."""
    model, alike = probes.fine_tuned(), []
    optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.01)

    def epochs():
        for _ in range(2):
            a_model(answer_of(fine_tuning_mode, model.train()))
            if any(one.requires_grad != name.startswith(TRAINED) for name, one in model.named_parameters()):
                raise found("requires_grad changed", "your function changed which parameters have requires_grad")
            train(model, optimizer, pictures(8))
            with torch.no_grad():
                alike.append(torch.equal(model(pictures(8)), model(pictures(8))))

    moved = [name for name in what_changed(model, epochs) if name.endswith(("running_mean", "running_var"))]
    if moved:
        kinds = {_BatchNorm: "averages move", probes.NormAct: "a class missed"}
        layers = {name.rpartition(".")[0] for name in moved}
        whole = [name for kind, name in kinds.items() if layers == probes.layers_of(model, kind)]
        raise found(*whole or ["some averages move"], f"two epochs changed {some(moved)}")
    if any(alike):
        raise found("all at rest", "the same pictures give the same logits twice, although there is dropout in layer4")
    model.layer4[-1].eval()
    with torch.no_grad():
        alone, among = model(pictures(8)[:2]), model(pictures(8))[:2]
    if (alone - among).abs().max() > 1e-3 * among.abs().max():
        raise found("depends on the batch", "two pictures give different logits alone and in a batch of eight")


@checked(LAB, seconds=10)
def logits_come_out(new_head):
    """The new head gives plain logits: the more sure it is, the nearer its loss can come to zero."""
    plain = network(20)
    source = copy.deepcopy(plain)
    source.fc = nn.Sequential(source.fc, nn.Softmax(dim=1))
    model = new_layer(answer_of(new_head, source, 5), plain, 5).eval()
    with torch.no_grad():
        for parameter in model.fc.parameters():
            parameter.mul_(10_000)
        outputs = model(pictures(16))
    loss = nn.functional.cross_entropy(outputs, outputs.argmax(1))
    if loss > 0.1:
        seen = f"with the head's weights 10,000 times as large, the outputs are from {outputs.min():.2f} to {outputs.max():.2f}"
        raise found("squashed", f"{seen}, and the loss for the network's own answers is {loss:.2f}")


@checked(LAB, seconds=30)
def three_bugs_fixed(adapt):
    """The frozen part does not change, the new head trains, and the accuracy is that of all test images."""
    source = network(20)
    training = pictures(24), torch.arange(24) % 3
    tests = images(75) * torch.linspace(0.3, 3, 75).view(-1, 1, 1, 1)

    def run(labels, steps):
        torch.manual_seed(0)
        pair = answer_of(adapt, copy.deepcopy(source), training, (tests, labels), 3, steps=steps)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise found("not a pair", f"your function returned {kind_of(pair)}", "return model, accuracy")
        logits_of(pair[0], 3)
        return pair

    model, short = (run(torch.zeros(75, dtype=torch.int64), steps)[0] for steps in (3, 1))
    now, short, before = model.state_dict(), short.state_dict(), source.state_dict()
    moved = lost(model, before, head=TRAINED)
    parameters = dict(source.named_parameters())
    if any(name in parameters for name in moved):
        raise found("parameters move", f"training changed {some(name for name in moved if name in parameters)}")
    still = [name for name in now if name.startswith("fc.") and torch.equal(now[name], short[name])]
    if still:
        raise found("head never trained", f"the same after one step and after three: {some(still)}")
    if moved:
        raise found("frozen part lives", f"training changed {some(moved)}")
    if all(torch.equal(now[name], before[name]) for name in parameters if name.startswith("layer4.")):
        raise found("last stage frozen", "layer4 is as it was")
    labels = predict(model, tests)
    labels[64:] = (labels[64:] + 1) % 3
    labels[:8] = (labels[:8] + 1) % 3
    model, share = run(labels, 3)
    probes.compare_share(number(share, "the accuracy", 0, 1), predict(model, tests) == labels)
