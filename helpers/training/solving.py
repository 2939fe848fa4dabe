"""A head alone on fixed features is a convex problem: solved by L-BFGS, not trained by steps on batches."""

import torch
from torch import nn
from torch.nn import functional as F

from helpers.heads import find_head, mode
from helpers.images.splits import at_a_time
from helpers.training.loop import Run


class Solve(Run):
    """A run whose optimizer is L-BFGS, on all training images at once; made and used as `Run` is, head alone training.

    It minimises the mean cross-entropy plus weight_decay / 2 times the squared norm of the head's weight for standardised
    features (see `helpers.training.features.standardised`). It needs no learning rate, and does not depend on the scale of
    the features, the seed or the order of the images, up to rounding. A linear head starts at zero; a convolution, which a
    ReLU may follow, where it is. recipe.steps is the most iterations; it ends earlier once nothing changes any more.
    Dropout does not drop. Source: Liu and Nocedal, On the limited memory BFGS method, 1989.
    """

    def run(self) -> list[dict]:
        """Solve, with a validation step after every tenth of the iterations; returns the history.

        Raises ValueError if a loss is not a number.
        """
        head = self.net.get_submodule(find_head(self.net))
        with self._standardised(next(self.net.parameters()).device), mode(self.trains, training=False):
            if isinstance(head, nn.Linear):
                for parameter in head.parameters():
                    nn.init.zeros_(parameter)
            optimizer = torch.optim.LBFGS([*head.parameters()], line_search_fn="strong_wolfe")
            for part in self.batches:
                optimizer.param_groups[0].update(max_iter=len(part), max_eval=2 * len(part))
                optimizer.step(lambda: self._objective(head, optimizer))
                self._objective(head, optimizer)  # where the part ended: the solver's own last point need not be that
                self.done += len(part)
                if self.progress:
                    self.progress.step(len(part))
                with torch.no_grad():
                    for rows in self._rows(self.val_data):
                        self.validation_step(rows, 0)
                self.on_validation_epoch_end()
        self._finish()
        return self.history

    def _objective(self, head: nn.Module, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """The loss over all training images, with its gradient; in batches, so that images need not fit at once."""
        optimizer.zero_grad()
        count = len(self.train_data[1])
        loss, self.hits = 0.0, []
        for rows in torch.arange(count).split(at_a_time(self.train_data[0], 1000, self.device)):
            images, labels = self._batch(self.train_data, rows)
            logits = self.trains(self._normalised(images))
            part = F.cross_entropy(logits, labels, reduction="sum") / count
            part.backward()
            loss = loss + part.detach()
            self.hits.append((logits.detach().argmax(1) == labels).float())
        self.losses = [loss]
        penalty = self.recipe.weight_decay / 2 * head.weight.square().sum()
        penalty.backward()
        return loss + penalty.detach()
