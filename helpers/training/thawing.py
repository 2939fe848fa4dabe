"""Thaw a model while it trains: the head first, deeper stages at later epochs."""

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from helpers.freezing import freeze
from helpers.stages import cut


class Thaw(Callback):
    """A Lightning callback that freezes up to another stage at given epochs (Howard and Ruder, 2018).

    Thaw({0: "head", 2: "layer4", 4: "layer2"}) trains the head in epochs 0 and 1, from epoch 2 on all from
    layer4, from epoch 4 on all from layer2. Each value is what `freeze` takes ("head" is -1); each key is
    an epoch, counted from 0, which has to be among them.

    What is frozen follows from the epoch alone, so that an interrupted run resumes as if it had not been
    interrupted. The optimizer must hold all parameters from the start (`parameter_groups` sees to that):
    nothing is added to it later, so that learning rate schedules and checkpoints are not disturbed.

    `attribute`: where the LightningModule keeps the model; "" if it is the model itself.

    Raises ValueError for an invalid schedule and, when training starts, for a stage that does not
    exist, an optimizer that lacks parameters of the schedule, and more than one device (distributed
    training agrees at its start on what trains).
    """

    def __init__(self, schedule: dict[int, str | float], attribute: str = "model"):
        if 0 not in schedule or not all(type(epoch) is int and epoch >= 0 for epoch in schedule):
            raise ValueError(f"a schedule needs epochs as keys, and 0 among them, got {schedule}")
        self.schedule = dict(sorted(schedule.items()))
        self.attribute = attribute

    def stage_at(self, epoch: int) -> str | float:
        """What the model is frozen up to in this epoch."""
        return self.schedule[max(start for start in self.schedule if start <= epoch)]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if trainer.world_size > 1:
            raise ValueError(
                f"Thaw works on one device, this Trainer has {trainer.world_size}: stages thawed later would "
                "drift apart between them. Set devices=1, or make each part of the schedule a fit of its own"
            )
        for upto in self.schedule.values():
            cut(self._model(pl_module), upto)  # a wrong name fails now, not at its epoch
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        optimized = {parameter for group in groups for parameter in group["params"]}
        for upto in self.schedule.values():
            _, after = cut(self._model(pl_module), upto)
            missing = {parameter for stage in after for parameter in stage.parameters} - optimized
            if missing:
                raise ValueError(
                    f"the optimizer lacks {len(missing)} of the parameters that train from {upto!r} on: give "
                    "it all parameters at the start, as parameter_groups(model, lr) does"
                )
        self.on_train_epoch_start(trainer, pl_module)  # not called by Lightning when it resumes mid-epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        model = self._model(pl_module).train()  # Lightning keeps the mode that it finds: one that had predicted stayed in eval
        freeze(model, self.stage_at(trainer.current_epoch))

    def _model(self, pl_module: LightningModule) -> nn.Module:
        model = getattr(pl_module, self.attribute, None) if self.attribute else pl_module
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"{type(pl_module).__name__} has no model in '{self.attribute}': Thaw(schedule, attribute=) "
                "names it, and attribute='' stands for the LightningModule itself"
            )
        return model
