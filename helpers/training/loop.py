"""The training loop behind `fit`: a LightningModule that gathers images, or kept features, by their positions."""

import copy
import logging
import math
import signal
import warnings
from contextlib import contextmanager

import lightning
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler
from torchmetrics.classification import MulticlassAccuracy

from helpers.freezing import parameter_groups
from helpers.images.augmentation import augment
from helpers.notebook.progress import Progress
from helpers.sources.backbones import Backbone
from helpers.training.recipes import Recipe

CHECKS = 10  # how often a run looks at the validation images
LARGEST_GRADIENT = 1.0  # its norm is clipped to this
FAR_ABOVE_GUESSING = 10  # times the loss of a guess, log(classes): no training ends there, unless it diverged


class Run(lightning.LightningModule):
    """`steps` optimizer steps on images, with a look at the validation images every tenth of them.

    trains     what is applied to a batch: the whole model, or its suffix if the images are features
    whole      the model that the optimizer gets the parameters of
    train, val tensors (images uint8 (N, 3, S, S) or features float32 (N, ...), labels int64 (N,))
    """

    def __init__(self, recipe: Recipe, trains, whole, train, val, steps: int, lr: float, seed: int,
                 backbone: Backbone, progress: Progress, first_step: int = 0, thaw=None):  # fmt: skip
        super().__init__()
        self.recipe, self.trains, self.train_data, self.val_data = recipe, trains, train, val
        self.whole = [whole]  # in a list: not a submodule, whose parameters Lightning would count twice
        self.callbacks = [thaw] if thaw else []
        self.steps, self.lr, self.backbone, self.progress, self.first_step = steps, lr, backbone, progress, first_step
        self.fresh_views = recipe.augment and not recipe.views
        self.accuracy = MulticlassAccuracy(int(max(train[1].max(), val[1].max())) + 1, average="micro")
        self.history, self.losses, self.hits, self.val_losses = [], [], [], []
        self.best = (math.inf, 0, None)  # the lowest validation loss, its look and its weights, for patience
        self.batches = self._order(len(train[1]), seed)

    @property
    def net(self):
        """The model that trains, as `Thaw` looks for it."""
        return self.whole[0]

    def _order(self, count: int, seed: int) -> list[list[torch.Tensor]]:
        """The rows of every batch, in as many parts as there are looks at the validation images.

        Permutations of all rows follow one another without a break, so that every batch is full.
        """
        size = min(self.recipe.batch_size, count)
        dice = torch.Generator().manual_seed(seed)
        batches = torch.tensor(list(RandomSampler(range(count), num_samples=self.steps * size, generator=dice))).split(size)
        parts = min(CHECKS, self.steps)
        ends = [self.steps * part // parts for part in range(parts + 1)]
        return [list(batches[start:end]) for start, end in zip(ends, ends[1:], strict=False)]

    def run(self) -> list[dict]:
        """Train; returns the history, a row for each look at the validation images.

        Raises ValueError if the training diverges.
        """
        # one Lightning epoch is the stretch between two looks, whatever the number of images
        trainer = lightning.Trainer(
            max_epochs=len(self.batches), accelerator="auto", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, deterministic="warn",
            gradient_clip_val=LARGEST_GRADIENT, reload_dataloaders_every_n_epochs=1, callbacks=self.callbacks,
        )  # fmt: skip
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(self)
        except SystemExit:  # what Lightning makes of a KeyboardInterrupt, after which it is deaf to further ones
            signal.signal(signal.SIGINT, on_interrupt)
            raise KeyboardInterrupt from None
        last = self.history[-1]  # learning rates have come down to zero: what is lost by now stays lost
        if max(last["train_loss"], last["val_loss"]) > FAR_ABOVE_GUESSING * math.log(self.accuracy.num_classes):
            raise self._diverged(last)
        if self.recipe.patience:
            self.net.load_state_dict(self.best[2])
            self.progress.step(self.steps - self.global_step)
        return self.history

    def configure_optimizers(self):
        groups = parameter_groups(self.whole[0], self.lr, self.recipe.decay, self.recipe.weight_decay)
        optimizer = torch.optim.AdamW(groups)
        if self.recipe.schedule == "constant":
            return optimizer
        peaks = [group["lr"] for group in groups]
        total = self.steps + 1
        rise = max(0.2, 2 / total)  # one step at least, or OneCycleLR divides by zero
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=total, pct_start=rise)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self):
        return DataLoader(self.batches[self.current_epoch], batch_size=None)

    def val_dataloader(self):
        return DataLoader(torch.arange(len(self.val_data[1])).split(250), batch_size=None)

    def _batch(self, data, rows):
        images, labels = (tensor[rows.to(tensor.device)].to(self.device) for tensor in data)
        return images, labels

    def training_step(self, rows, _):
        images, labels = self._batch(self.train_data, rows)
        if images.dtype == torch.uint8:
            images = self.backbone.normalise(augment(images) if self.fresh_views else images)
        logits = self.trains(images)
        loss = F.cross_entropy(logits, labels)
        self.losses.append(loss.detach())
        self.hits.append((logits.detach().argmax(1) == labels).float())
        self.progress.step()
        return loss

    def validation_step(self, rows, _):
        images, labels = self._batch(self.val_data, rows)
        logits = self.trains(self.backbone.normalise(images) if images.dtype == torch.uint8 else images)
        self.val_losses.append(F.cross_entropy(logits, labels, reduction="none"))
        self.accuracy.update(logits, labels)

    def on_validation_epoch_end(self):
        row = {
            "step": self.first_step + self.global_step,
            "train_loss": torch.stack(self.losses).mean().item(),
            "train_accuracy": torch.cat(self.hits).mean().item(),
            "val_loss": torch.cat(self.val_losses).mean().item(),
            "val_accuracy": self.accuracy.compute().item(),
        }
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            raise self._diverged(row)
        self.history.append(row)
        self.accuracy.reset()
        self.losses, self.hits, self.val_losses = [], [], []
        if self.recipe.patience:
            self._watch(row["val_loss"])

    def _watch(self, val_loss: float) -> None:
        """Keep the best weights, and end the training when they have been the best for long enough."""
        looks = len(self.history)
        if val_loss < self.best[0]:
            self.best = val_loss, looks, copy.deepcopy(self.net.state_dict())
        self.trainer.should_stop = looks - self.best[1] >= self.recipe.patience

    def _diverged(self, row: dict) -> ValueError:
        return ValueError(
            f"{self.recipe.name!r} diverged: by step {row['step']} its loss is {row['train_loss']:.3g} on training and "
            f"{row['val_loss']:.3g} on validation images. Choose a learning rate below {self.lr:g}"
        )


@contextmanager
def quiet():
    """Without Lightning's notices and advertisements, and the warnings set off by frozen modules in evaluation mode."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    exact = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        torch.use_deterministic_algorithms(exact[0], warn_only=exact[1])
