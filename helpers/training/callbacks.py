"""What Lightning calls while a model trains: `Thaw` trains deeper stages at later epochs, `Keep` writes checkpoints."""

import copy
import io
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only
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


class Keep(Callback):
    """Writes Lightning's checkpoint of a `Run` into a file after every validation step, with its history and random numbers, so
    that what goes on from there equals the uninterrupted run bitwise. plugin: for the Trainer. seconds: of earlier training."""

    def __init__(self, file: Path):
        self.file, self.plugin = file, WholeFiles()
        self.seconds, self.random, self.started = 0.0, [], time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.file)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        checkpoint["run"] = {name: getattr(pl_module, name) for name in ("done", "history", "lowest")}
        checkpoint["stop"], checkpoint["seconds"] = trainer.should_stop, self.seconds + time.perf_counter() - self.started

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        vars(pl_module).update(checkpoint["run"])
        trainer.should_stop, self.seconds, self.random = checkpoint["stop"], checkpoint["seconds"], checkpoint["random"]
        if pl_module.progress:
            pl_module.progress.step(pl_module.done)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_) -> None:
        # written and restored here: between two epochs Lightning draws random numbers, and others when it starts
        sources = [torch, *([torch.get_device_module(pl_module.device)] if pl_module.device.type != "cpu" else [])]
        self.plugin.write([source.get_rng_state() for source in sources])
        for source, state in zip(sources, self.random, strict=False):
            source.set_rng_state(state)
        self.random = []

    on_fit_end = on_train_batch_start  # of the last epoch, or of a run that was over


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all; reads it without running code, and says what to do with a damaged one."""

    waiting = None

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        self.waiting = copy.deepcopy(checkpoint), Path(path)

    def write(self, random: list[torch.Tensor]) -> None:
        """Write what was saved last, if that was not done yet, with these random states."""
        if self.waiting:
            (checkpoint, path), self.waiting = self.waiting, None
            torch.save(checkpoint | {"random": random}, content := io.BytesIO())
            write_to(path, content.getbuffer())

    def load_checkpoint(self, path, *_, **__) -> dict:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen types
            raise ValueError(f"the checkpoint {path} is cut short or damaged. Delete it, and training begins anew.") from error


def claim(folder: Path, about: dict) -> None:
    """Make the folder for checkpoints of the training that `about` describes, or see that it is this training's.

    Raises ValueError, which names what differs, if it is another's; OSError if it cannot be written to.
    """
    file = folder / "training.json"
    known = read_back(file) if file.exists() else about
    if differ := [name for name in {**known, **about} if known.get(name) != about.get(name)]:
        of = ", ".join(f"{name}={known.get(name)!r} there, {about.get(name)!r} here" for name in differ[:3])
        raise ValueError(f"{folder} has the checkpoints of another training ({of}). Give another folder, or delete this one.")
    write_to(file, json.dumps(about).encode())  # also where it is there: a folder that cannot be written to is refused now


def read_back(file: Path) -> dict:
    """What was written as JSON; ValueError if it is damaged."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is damaged. Delete it, and what it is about begins anew.") from error


def write_to(file: Path, content) -> None:
    """Write bytes whole or not at all. Raises OSError, with what to do about it, if that cannot be done."""
    unfinished = file.with_name(f".{file.name}.{rank_zero_only.rank or 0}.part")  # processes that train together may meet here
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, file)
    except OSError as error:
        remedy = "Make room, and the same call goes on from the last checkpoint; or give another folder"
        raise type(error)(error.errno, f"cannot write to {file.parent} ({error.strerror}). {remedy}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
