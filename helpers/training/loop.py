"""The training loop behind `fit`: a LightningModule that gathers images, or kept features, by their positions."""

import copy
import math
import signal
from collections.abc import Callable, Iterator

import lightning
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler
from torchmetrics.classification import MulticlassAccuracy

from helpers.freezing import parameter_groups
from helpers.images.augmentation import augment, choose
from helpers.images.splits import Split, at_a_time
from helpers.training.devices import Engine, reduced, resident, sent
from helpers.training.features import standardised
from helpers.training.recipes import Recipe
from helpers.training.steps import training_steps
from helpers.training.surgery import follows_batches

CHECKS = 10  # validation steps of a run
LARGEST_GRADIENT = 1.0  # its norm is clipped to this
FAR_ABOVE_GUESSING = 10  # times the loss of a guess, log(classes): no training ends there, unless it diverged
BACK = 1 / 3  # of the way that fine-tuning went, with interpolate; on photographs a half was as good (3 draws)


class Run(lightning.LightningModule):
    """The optimizer steps of a recipe on images or features, with a validation step after every tenth of them.

    recipe      steps, lr, batch size, schedule, weight decay, patience, interpolate, and whether batches are augmented
    net         the model whose parameters the optimizer gets
    train, val  (images, labels): a Split, uint8 (N, 3, S, S) or features float32 (N, ...), and int64 (N,)
    trains      what is applied to a batch, if not `net` itself: its suffix, where the images are features
    normalise   uint8 images -> what `net` takes; not needed for features
    progress    its step() is called after each optimizer step
    before      the last row of an earlier phase's history, whose steps are counted on
    thaw, keep  a `Thaw` and a `Keep`: stages that thaw, checkpoints to go on from
    engine      the devices that train together: each takes its share of every batch, and all validation images

    After `run()` or `steps()`: history, a row (as in `Fit.history`) for each validation step; kept, the row of the weights
    that were kept; and warning, a text if their loss is far above guessing, else "".
    """

    def __init__(self, recipe: Recipe, net: nn.Module, train: tuple, val: tuple, *, seed: int = 0, trains: nn.Module = None,
                 normalise: Callable = None, progress=None, before: dict | None = None, thaw=None, keep=None,
                 engine: Engine | None = None):  # fmt: skip
        super().__init__()
        self.recipe, self.train_data, self.val_data = recipe, train, val
        self.trains = net if trains is None else trains
        self.whole = [net]  # in a list: not a submodule, whose parameters Lightning would count twice
        self.normalise, self.progress, self.done, self.before = normalise, progress, 0, before
        self.keep, self.callbacks = keep, [callback for callback in (thaw, keep) if callback]
        self.accuracy = MulticlassAccuracy(int(max(train[1].max(), val[1].max())) + 1, average="micro")
        self.history, self.losses, self.hits, self.val_losses, self.warning = [], [], [], [], ""
        self.lowest = (math.inf, 0, None)  # the lowest validation loss, its validation step and its weights, for patience
        self.kept, self.engine = None, engine or Engine()
        self.batches = self._order(len(train[1]), seed)

    @property
    def net(self) -> nn.Module:
        """The model that trains, as `Thaw` looks for it."""
        return self.whole[0]

    def _order(self, count: int, seed: int) -> list[list[torch.Tensor]]:
        """The rows of every batch, in as many parts as there are validation steps.

        Permutations of all rows follow one another without a break, so that every batch is full.
        """
        steps, size = self.recipe.steps, min(self.recipe.batch_size, count)
        rng = torch.Generator().manual_seed(seed)
        batches = torch.tensor(list(RandomSampler(range(count), num_samples=steps * size, generator=rng))).split(size)
        parts = min(CHECKS, steps)
        ends = [steps * part // parts for part in range(parts + 1)]
        return [list(batches[start:end]) for start, end in zip(ends, ends[1:], strict=False)]

    def run(self) -> list[dict]:
        """Train with Lightning, on the device where `net` is; returns the history.

        Raises ValueError if the training diverges, or cannot be shared out among the devices.
        """
        where = next(self.net.parameters()).device
        # one Lightning epoch is the stretch between two validation steps, whatever the number of images
        trainer = lightning.Trainer(
            max_epochs=len(self.batches), **self.engine.settings(where),
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, deterministic="warn", gradient_clip_val=LARGEST_GRADIENT,
            reload_dataloaders_every_n_epochs=1, callbacks=self.callbacks, plugins=self.keep and [self.keep.plugin],
        )  # fmt: skip
        if self.engine.processes > 1:
            self._share(trainer)
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            with self._standardised(where):
                begun = copy.deepcopy(self.net.state_dict()) if self.recipe.interpolate else {}
                trainer.fit(self, ckpt_path=self.keep.file if self.keep and self.keep.file.exists() else None)
                if self.recipe.patience:
                    self.net.load_state_dict(self.lowest[2])
                    self.kept = self.history[self.lowest[1] - 1]
                if begun:
                    self._interpolate(begun, where)
        except SystemExit:  # Lightning turns a KeyboardInterrupt into it, and then ignores further interrupts
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from None
        if self.progress and self.done < self.recipe.steps:
            self.progress.step(self.recipe.steps - self.done)
        self._finish()
        return self.history

    def _share(self, trainer) -> None:
        """Refuse what several processes would not train as one does."""
        count, batch = self.engine.processes, len(self.batches[0][0])
        if batch % count:
            raise ValueError(f"batches of {batch} images cannot be shared evenly by {count} processes: change batch_size")
        if self.recipe.gradual:
            raise ValueError("gradual=True thaws stages on one device only: they would drift apart on several")
        if follows_batches(self.net):
            raise ValueError("BatchNorm would normalise by each process's own images: set batchnorm='frozen' in the recipe")
        if type(trainer.strategy.launcher).__name__ == "_MultiProcessingLauncher":
            chosen = self.engine.strategy
            raise ValueError(f"strategy={chosen!r} trains in copies of this process, and their results are lost: use 'ddp'")

    def steps(self) -> Iterator[int]:
        """Train one optimizer step at a time, with the same numbers as `run()`: yields how many are done, in each of them
        and after each batch of validation images. The history grows meanwhile; if you stop iterating, the training stops.

        For recipes without patience, interpolate and gradual thawing. Raises ValueError if the training diverges.
        """
        configured = self.configure_optimizers()
        optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        with self._standardised(next(self.net.parameters()).device):
            for part in self.batches:
                self.train()
                for _ in training_steps(part, lambda rows: self.training_step(rows, 0), optimizer, schedule):
                    nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
                    yield self.done
                self.eval()
                for rows in self._rows(self.val_data):  # a DataLoader would draw from torch's random numbers
                    with torch.no_grad():
                        self.validation_step(rows, 0)
                    yield self.done
                self.on_validation_epoch_end()
                yield self.done
        self._finish()

    def _standardised(self, where: torch.device):
        """The context of a training: a head that trains alone gets its input standardised by the training images."""
        self.to(where)
        sets = self.train_data, self.val_data
        self.train_data, self.val_data = ((resident(images, where), sent(labels, where)) for images, labels in sets)
        batches = (self._normalised(self._batch(self.train_data, rows)[0]) for rows in self._rows(self.train_data))
        return standardised(self.net, self.trains, batches)

    def _finish(self) -> None:
        self.train_data = self.val_data = None  # memory that would otherwise be free only after a garbage collection
        self.kept = kept = self.kept or self.history[-1]
        limit = FAR_ABOVE_GUESSING * math.log(self.accuracy.num_classes)
        if max(kept["train_loss"], kept["val_loss"]) > limit:
            sure = "The network is very sure of wrong answers: judge it by its accuracy, or: "
            why = sure if kept["train_loss"] < limit else ""
            self.warning = (
                f"{self.recipe.name!r}: the loss ends at {kept['train_loss']:.3g} on training and {kept['val_loss']:.3g} on "
                f"validation images, far above guessing. {why}{self._remedy()}"
            )

    def configure_optimizers(self):
        recipe = self.recipe
        groups = parameter_groups(self.net, recipe.lr, recipe.decay, recipe.weight_decay, recipe.head_times)
        optimizer = torch.optim.AdamW(groups, fused=next(self.net.parameters()).device.type == "cuda")
        total = self.recipe.steps + 1
        if self.recipe.schedule == "constant":
            schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
        else:
            rise = max(0.2, 2 / total)  # one step at least, or OneCycleLR divides by zero
            peaks = [group["lr"] for group in groups]
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=total, pct_start=rise)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self):
        return DataLoader(self.batches[self.current_epoch], batch_size=None)

    def val_dataloader(self):
        return DataLoader(self._rows(self.val_data), batch_size=None)

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch  # positions: `_batch` sends them to where the images are

    def _rows(self, data):
        return torch.arange(len(data[1])).split(at_a_time(data[0], 250, self.device))

    def _batch(self, data, rows):
        images, labels = data
        if isinstance(images, Split):  # only these rows are copied, perhaps from a memory map
            images = images[rows][0]
        else:
            there = sent(rows, images.device)
            # index_select is far faster on pixels; features keep their memory format this way
            images = images.index_select(0, there) if images.dtype == torch.uint8 else images[there]
        return sent(images, self.device), labels[sent(rows, labels.device)]

    def _normalised(self, images):
        """Pixels as the model takes them; features as they are."""
        return self.normalise(images) if images.dtype == torch.uint8 else images

    def forward(self, images):
        """Logits float32 (N, classes) of pixels or features."""
        low = images.dtype == torch.uint8 and reduced(self.device, images.shape[-1])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            return self.trains(self._normalised(images)).float()

    def training_step(self, rows, _):
        mine = slice(self.global_rank, None, self.engine.processes)
        images, labels = self._batch(self.train_data, rows[mine])
        if images.dtype == torch.uint8 and self.recipe.augment and not self.recipe.views:
            images = augment(images, chosen=choose(len(rows))[:, mine])  # drawn for all, so that all draw the same
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        self.losses.append(loss.detach())
        self.hits.append((logits.detach().argmax(1) == labels).float())
        self.done += 1
        if self.progress:
            self.progress.step()
        return loss

    def validation_step(self, rows, _):
        images, labels = self._batch(self.val_data, rows)
        logits = self(images)
        self.val_losses.append(F.cross_entropy(logits, labels, reduction="none"))
        self.accuracy.update(logits, labels)

    def on_validation_epoch_end(self):
        row = {
            "step": (self.before["step"] if self.before else 0) + self.done,
            "train_loss": self._of_all(torch.stack(self.losses).mean()),
            "train_accuracy": self._of_all(torch.cat(self.hits).mean()),
            **self._validated(),
        }
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            raise self._diverged(row)
        self.history.append(row)
        self.losses, self.hits = [], []
        if self.recipe.patience:
            self._watch(row["val_loss"])

    def _of_all(self, value: torch.Tensor) -> float:
        """The mean over the processes that train together; a head is solved by each for itself."""
        together = self.engine.processes > 1 and self._trainer
        return (self.trainer.strategy.reduce(value, reduce_op="mean") if together else value).item()

    def _validated(self) -> dict:
        """What the validation images said since it was last asked."""
        found = {"val_loss": torch.cat(self.val_losses).mean().item(), "val_accuracy": self.accuracy.compute().item()}
        self.accuracy.reset()
        self.val_losses = []
        return found

    def _watch(self, val_loss: float) -> None:
        """Keep the best weights, and end the training when they have been the best for long enough."""
        checks = len(self.history)
        if val_loss < self.lowest[0]:
            self.lowest = val_loss, checks, copy.deepcopy(self.net.state_dict())
        self.trainer.should_stop = checks - self.lowest[1] >= self.recipe.patience

    @torch.no_grad()
    def _interpolate(self, begun: dict, where: torch.device) -> None:
        """Go back a third of the way to where the training began, unless the validation loss is higher there; and all the way
        if the network of the beginning classified more validation images correctly, or as many and now the loss is above
        guessing."""
        ended = copy.deepcopy(self.net.cpu().state_dict())
        begun = {name: tensor.cpu() for name, tensor in begun.items()}
        between = {name: end.lerp(begun[name], BACK) if end.is_floating_point() else end for name, end in ended.items()}
        last = self.kept or self.history[-1]
        self.net.load_state_dict(between)
        self.to(where).eval()
        for rows in self._rows(self.val_data):
            self.validation_step(rows, 0)
        there = last | self._validated()
        self.kept, weights = (there, between) if there["val_loss"] <= last["val_loss"] else (last, ended)
        gain = self.kept["val_accuracy"] - self.before["val_accuracy"]
        if gain < 0 or gain == 0 and self.kept["val_loss"] > math.log(self.accuracy.num_classes):
            self.kept, weights = self.before, begun
        self.net.load_state_dict(weights)

    def _diverged(self, row: dict) -> ValueError:
        return ValueError(
            f"{self.recipe.name!r} diverged: by step {row['step']} its loss is {row['train_loss']:.3g} on training and "
            f"{row['val_loss']:.3g} on validation images. {self._remedy()}"
        )

    def _remedy(self) -> str:
        if self.recipe.lr is None:
            return f"Choose a weight_decay above {self.recipe.weight_decay:g}"
        return f"Choose a learning rate below {self.recipe.lr:g}"
