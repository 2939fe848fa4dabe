"""The invariants I1 to I8 of stages, heads, freezing and saving, each on every classifier of torchvision, on families of
timm, and on the ImageNet network that is installed with the course.

Giants run on the meta device, where tensors have no values: whether a frozen tensor was written to is told by the
version counter that autograd keeps. The table at the end of the test run says which models were checked how.
"""

import copy
import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from zoo import EFFICIENTNET, GIANTS, NAMES, TIMM, Learner, batch, build, quiet_trainer, smallest_size

from helpers.freezing import freeze, parameter_groups
from helpers.heads import find_head, swap_head
from helpers.stages import part, split, stage_names, stages
from helpers.training.callbacks import Thaw
from helpers.training.classifier import load_trained, save_trained, trained_tensors


@dataclass
class Subject:
    name: str
    model: nn.Module  # with a new head for 7 classes
    before_swap: dict[str, Tensor]  # its parameters and buffers before it got the new head
    images: Tensor
    labels: Tensor
    is_real: bool

    @property
    def is_small(self) -> bool:
        """Small enough to be tried at more than one stage."""
        return self.is_real and sum(p.numel() for p in self.model.parameters()) < 30e6

    @property
    def middle(self) -> str:
        names = stage_names(self.model)
        return names[len(names) // 2]


@pytest.fixture(scope="module", params=[*NAMES, *TIMM, EFFICIENTNET])
def subject(request):
    name = request.param
    is_real = name not in GIANTS
    model = build(name, meta=not is_real)
    before_swap = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="removed the ReLU")
        swap_head(model, 7)
    images, labels = batch(smallest_size(name), n=1 if name == "maxvit_t" else 4, meta=not is_real)
    return Subject(name, model, before_swap, images, labels, is_real)


@pytest.fixture
def covered(covers, subject):
    def enter(invariant, meta="on the meta device", real="real, on the smallest images"):
        size = "" if subject.is_real else f" ({GIANTS[subject.name]})"
        covers(invariant, subject.name + size, real if subject.is_real else meta)
    return enter


def train_step(model, images, labels, optimizer):
    model.train()
    cross_entropy(model(images), labels).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def one_batch(subject) -> DataLoader:
    return DataLoader([(subject.images, subject.labels)], batch_size=None)


class Witness:
    """Remembers tensors, and tells which of them have changed since."""

    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors = tensors
        self.versions = {name: tensor._version for name, tensor in tensors.items()}
        self.values = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def changed(self) -> set[str]:
        return {
            name
            for name, tensor in self.tensors.items()
            if tensor._version != self.versions[name]
            or (not tensor.is_meta and not torch.equal(tensor, self.values[name]))
        }


def tensors_of_stages(model, names) -> dict[str, Tensor]:
    """By name alone, independent of what freeze does."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {key: tensor for key, tensor in state.items() if key.startswith(tuple(f"{name}." for name in names))}


def test_I1_frozen_parameters_and_buffers_are_bitwise_unchanged_by_training(subject, covered):
    covered("I1", meta="on the meta device, by version counters")
    model, names = subject.model, stage_names(subject.model)
    for upto in (subject.middle, names[-1]) if subject.is_small else (subject.middle,):
        freeze(model, upto)
        groups = parameter_groups(model, lr=0.01, weight_decay=0.1)
        optimizer = torch.optim.SGD(groups, momentum=0.9 if subject.is_small else 0)
        frozen = tensors_of_stages(model, names[: names.index(upto)])
        frozen |= {name: p for name, p in model.named_parameters() if not p.requires_grad}
        trained = {p: p._version for p in model.parameters() if p.requires_grad}
        frozen_before = Witness(frozen)
        for _ in range(2 if subject.is_small else 1):
            train_step(model.eval().train().train(), subject.images, subject.labels, optimizer)
        assert not frozen_before.changed()
        assert all(parameter._version > version for parameter, version in trained.items())


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*in eval mode at the start of training")
def test_I1_frozen_parameters_and_buffers_are_bitwise_unchanged_by_lightning(subject, covered):
    covered("I1 L", meta="not trained under Lightning, for their size")
    if not subject.is_real:
        pytest.skip("too big: see the test before")
    model, names = subject.model, stage_names(subject.model)
    freeze(model, -1)
    frozen = Witness(tensors_of_stages(model, names[:-1]))
    data = one_batch(subject)
    quiet_trainer(max_epochs=1, num_sanity_val_steps=0).fit(Learner(model), data, data)
    assert not frozen.changed()


def test_I3_the_stages_one_after_the_other_are_the_model(subject, covered):
    """One chain of all stages covers the cut at each of them."""
    covered("I3", meta="on the meta device, shapes only")
    model, found = subject.model.eval(), stages(subject.model)
    inputs = [None, *(stage.input for stage in found[1:]), None]
    value = subject.images
    with torch.no_grad():
        for i, stage in enumerate(found):
            value = part(model, [stage], start=inputs[i], end=inputs[i + 1])(value)
        assert_equal(value, model(subject.images))


def test_I2_I3_the_suffix_on_kept_features_trains_what_the_frozen_model_does_and_equally(subject, covered):
    """Which parameters the suffix reaches is asked of autograd, not of the code under test."""
    covered("I2")
    covered("I3 gradients", meta="on the meta device, shapes only")
    model = subject.model
    for at in (subject.middle, -1) if subject.is_small else (subject.middle,):
        freeze(model, at).train()
        torch.manual_seed(0)
        logits = model(subject.images)
        cross_entropy(logits, subject.labels).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        model.zero_grad()
        prefix, suffix = split(model, at)
        with torch.no_grad():
            features = prefix(subject.images)  # still frozen: torch.matmul sums in another order if a weight needs a gradient
        model.requires_grad_(True)
        torch.manual_seed(0)
        logits_of_suffix = suffix(features)
        cross_entropy(logits_of_suffix, subject.labels).backward()
        assert_equal(logits_of_suffix, logits)
        assert gradients.keys() == {name for name, p in model.named_parameters() if p.grad is not None}
        for name, gradient in gradients.items():
            assert_equal(model.get_parameter(name).grad, gradient)
        model.zero_grad()
    owned = [parameter for stage in stages(model) for parameter in stage.parameters]
    assert len(owned) == len(set(owned)) == len(list(model.parameters()))


def assert_equal(a: Tensor, b: Tensor):
    assert a.shape == b.shape and a.dtype == b.dtype
    assert a.is_meta or (torch.equal(a, b) and a.isfinite().all())


def freezing_of(model):
    """All that freeze sets: what requires a gradient; and the mode and hooks of each module."""
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    modules = {name: (m.training, list(m._forward_pre_hooks.values())) for name, m in model.named_modules()}
    return trainable, modules


def test_I4_freezing_depends_on_the_place_only(subject, covered):
    covered("I4", real="real", meta="on the meta device")
    model, middle = subject.model.train(), subject.middle
    frozen = freezing_of(freeze(model, middle))
    assert freezing_of(freeze(model, middle)) == frozen
    freeze(freeze(model, -1), 0)
    assert freezing_of(freeze(model, middle)) == frozen


def test_I4_freezing_before_or_after_the_head_is_swapped_makes_no_difference(subject, covered):
    """Also with the auxiliary heads of googlenet and inception_v3, which only leave when the head is swapped."""
    covered("I4 head", real="on the meta device", meta="on the meta device")
    first_frozen, first_swapped = (build(subject.name, meta=True) for _ in range(2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="removed the ReLU")
        swap_head(freeze(first_frozen, subject.middle), 7)
        freeze(swap_head(first_swapped, 7), subject.middle)
    assert freezing_of(first_frozen) == freezing_of(first_swapped)


def test_I5_parameter_groups_stay_the_same_while_stages_thaw(subject, covered):
    covered("I5", real="real", meta="on the meta device")
    model = subject.model
    groups = parameter_groups(model, lr=0.1, decay=0.5, weight_decay=0.01)
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=4)
    members = [list(map(id, group["params"])) for group in optimizer.param_groups]
    for upto in (-1, subject.middle, 0):
        freeze(model, upto)
        optimizer.step()
        schedule.step()
        assert [list(map(id, group["params"])) for group in optimizer.param_groups] == members
    everything = [parameter for group in groups for parameter in group["params"]]
    assert len(everything) == len(set(everything)) and set(everything) == set(model.parameters())
    assert len({group["name"] for group in groups}) == len(groups)
    assert rates == sorted(rates) and rates[-1] == 0.1


def test_I6_swapping_the_head_leaves_all_other_tensors_as_they_are(subject, covered):
    covered("I6", real="real", meta="on the meta device")
    head = find_head(subject.model)
    after = {**dict(subject.model.named_parameters()), **dict(subject.model.named_buffers())}
    for name, tensor in subject.before_swap.items():
        if not name.startswith((f"{head}.", "aux1.", "aux2.", "AuxLogits.")):
            assert after.pop(name) is tensor
    assert {name.rpartition(".")[0] for name in after} == {head}
    assert len(after[f"{head}.weight"]) == 7
    assert after.keys() == {name for name in subject.before_swap if name.startswith(f"{head}.")}


RESUMED = {  # of each family the smallest, unless it is too big
    *("convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v2"),
    *("mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5"),
    *("squeezenet1_0", "squeezenet1_1", "swin_t", EFFICIENTNET),
}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*in eval mode at the start of training")
def test_I7_a_resumed_run_equals_an_uninterrupted_one(subject, covered, tmp_path):
    if subject.name not in RESUMED:
        pytest.skip("too big: see the next test")
    covered("I7")
    schedule, data = {0: "head", 1: subject.middle}, one_batch(subject)
    whole, interrupted, resumed = (Learner(copy.deepcopy(subject.model)) for _ in range(3))
    quiet_trainer(max_epochs=3, callbacks=[Thaw(schedule)]).fit(whole, data)
    trainer = quiet_trainer(max_epochs=2, callbacks=[Thaw(schedule)])
    trainer.fit(interrupted, data)
    trainer.save_checkpoint(tmp_path / "two epochs.ckpt")
    freeze(resumed.model, 0)
    for parameter in resumed.parameters():
        parameter.detach().zero_()
    trainer = quiet_trainer(max_epochs=3, callbacks=[Thaw(schedule)])
    trainer.fit(resumed, data, ckpt_path=tmp_path / "two epochs.ckpt")
    (tmp_path / "two epochs.ckpt").unlink()
    assert trainer.global_step == 3
    for key, tensor in whole.state_dict().items():
        assert_equal(resumed.state_dict()[key], tensor)


def test_I7_what_trains_in_an_epoch_is_the_same_after_resuming(subject, covered):
    if subject.name in RESUMED:
        pytest.skip("the whole invariant is tested")
    how = "by what trains in each epoch, resumed or not"
    covered("I7", real=how, meta=how)
    thaw, learner = Thaw({0: "head", 2: subject.middle}), SimpleNamespace(model=subject.model.train())
    for epoch in (0, 1, 2):
        thaw.on_train_epoch_start(SimpleNamespace(current_epoch=epoch), learner)
        uninterrupted = freezing_of(learner.model)
        freeze(learner.model, 0)
        thaw.on_train_epoch_start(SimpleNamespace(current_epoch=epoch), learner)
        assert freezing_of(learner.model) == uninterrupted


def test_I8_saving_what_was_trained_and_loading_it_gives_the_whole_model(subject, covered, tmp_path):
    covered("I8", meta="on the meta device, by the names of what is saved")
    model = subject.model
    if not subject.is_real:
        freeze(model, subject.middle)
        _, suffix = split(model, subject.middle)
        assert trained_tensors(model) == suffix.state_dict().keys()
        return
    upto = subject.middle if subject.is_small else stage_names(model)[-1]
    freeze(model, upto)
    source = swap_head(copy.deepcopy(model), 3)
    names = stage_names(model)
    for tensor in tensors_of_stages(model, names[names.index(upto) :]).values():
        tensor.detach().add_(1)  # as training might
    save_trained(model, tmp_path / "trained.safetensors")
    loaded = load_trained(source, tmp_path / "trained.safetensors")
    (tmp_path / "trained.safetensors").unlink()
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert_equal(state[key], tensor)
