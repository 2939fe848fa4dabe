"""Thawing while Lightning trains."""

import logging
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from zoo import Learner, quiet_trainer

from helpers.freezing import parameter_groups
from helpers.sources.gardennet import GardenNet
from helpers.training.callbacks import Thaw

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*in eval mode at the start of training",
    *("ignore:.*LeafSpec. is deprecated", "ignore:.*have no `val_dataloader`", "ignore:.*dataloader is not resumable"),
)
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
SCHEDULE = {0: "head", 2: "layer4", 3: 0}


def images(batches=1):
    """The same batch again and again: a loader that a run resumed in mid-epoch cannot confuse."""
    batch = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 2
    return DataLoader([batch] * batches, batch_size=None)


class Watch(Callback):
    """Notes at the end of each epoch which stages have moved in it."""

    def __init__(self):
        self.moved = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.before = {name: tensor.clone() for name, tensor in pl_module.model.state_dict().items()}

    def on_train_epoch_end(self, trainer, pl_module):
        state = pl_module.model.state_dict().items()
        self.moved.append({name.split(".")[0] for name, value in state if not torch.equal(value, self.before[name])})


def test_each_epoch_trains_what_the_schedule_says_in_whatever_order_it_is_written_and_nothing_else_moves():
    watch = Watch()
    schedule = dict(reversed(SCHEDULE.items()))
    quiet_trainer(max_epochs=4, callbacks=[Thaw(schedule), watch]).fit(Learner(GardenNet(2)), images(), images())
    everything = {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}
    assert watch.moved == [{"fc"}, {"fc"}, {"layer4", "fc"}, everything]


def test_a_run_resumed_in_the_middle_of_an_epoch_equals_an_uninterrupted_one(tmp_path):
    class Stop(Callback):
        """After the first of two batches of epoch 2, in which layer4 has just been thawed."""

        def on_train_batch_end(self, trainer, *rest):
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")
                trainer.should_stop = True

    torch.manual_seed(0)
    whole, interrupted, resumed = (Learner(GardenNet(2)) for _ in range(3))
    interrupted.load_state_dict(whole.state_dict())
    quiet_trainer(max_epochs=4, callbacks=[Thaw(SCHEDULE)]).fit(whole, images(2))
    quiet_trainer(max_epochs=4, callbacks=[Thaw(SCHEDULE), Stop()]).fit(interrupted, images(2))
    trainer = quiet_trainer(max_epochs=4, callbacks=[Thaw(SCHEDULE)])
    trainer.fit(resumed, images(2), ckpt_path=tmp_path / "middle.ckpt")
    assert trainer.global_step == 8
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


@pytest.mark.parametrize("schedule", [{}, {1: -1}, {0: -1, -1: 0}, {"0": -1}, {0: -1, True: 0}])
def test_a_schedule_without_epochs_as_keys_is_refused(schedule):
    with pytest.raises(ValueError, match="a schedule needs epochs as keys, and 0 among them"):
        Thaw(schedule)


class Filtering(Learner):
    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)


@pytest.mark.parametrize(
    "kind, schedule, message",
    [
        (Learner, {0: "head", 8: "layer9"}, "'layer9' is not a cut point.*layer4"),
        (Filtering, {0: "head", 1: "layer4"}, "the optimizer lacks 9 of the parameters that train from 'layer4' on"),
    ],
)
def test_a_missing_stage_and_an_optimizer_without_the_later_stages_are_refused_before_the_training(kind, schedule, message):
    with pytest.raises(ValueError, match=message):
        quiet_trainer(max_epochs=9, callbacks=[Thaw(schedule)]).fit(kind(GardenNet(2)), images())


def test_a_model_that_was_left_in_evaluation_mode_trains_in_training_mode():
    learner = Learner(GardenNet(2).eval())
    before = {name: buffer.clone() for name, buffer in learner.model.named_buffers()}
    quiet_trainer(max_epochs=3, callbacks=[Thaw(SCHEDULE)]).fit(learner, images())
    moved = [name for name, buffer in learner.model.named_buffers() if not torch.equal(buffer, before[name])]
    assert {name.partition(".")[0] for name in moved} == {"layer4"}, "BatchNorm follows in what is thawed, and only there"


def test_more_than_one_device_is_refused():
    with pytest.raises(ValueError, match="Thaw works on one device, this Trainer has 2"):
        Thaw(SCHEDULE).setup(SimpleNamespace(world_size=2, current_epoch=0), Learner(GardenNet(2)), "fit")


def test_a_lightning_module_that_is_the_model_itself():
    class Net(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = GardenNet(2)

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(parameter_groups(self, lr=0.1))

    net = Net()
    before = net.net.layer3[0].bn1.running_mean.clone()
    quiet_trainer(max_epochs=1, callbacks=[Thaw({0: "net.layer4"}, attribute="")]).fit(net, images())
    assert torch.equal(net.net.layer3[0].bn1.running_mean, before)
    assert [name for name, p in net.named_parameters() if p.requires_grad][0] == "net.layer4.0.conv1.weight"
    with pytest.raises(ValueError, match="Net has no model in 'model'"):
        quiet_trainer(max_epochs=1, callbacks=[Thaw({0: "head"})]).fit(net, images())


def test_evaluation_freezes_nothing():
    learner = Learner(GardenNet(2))
    quiet_trainer(callbacks=[Thaw({0: "head"})]).validate(learner, images(), verbose=False)
    assert all(parameter.requires_grad for parameter in learner.parameters())
