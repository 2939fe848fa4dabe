"""What a network really does, found out by training a copy of it: the behaviour behind the labs' checks.

Every probe works on copies, on images of random numbers, on the CPU; the student's network stays as it is. A probe
that finds something wrong raises `Finding`.
"""

import copy

import torch
from torch import nn

from helpers.heads import find_head
from helpers.notebook.findings import Finding, a_model, tensor


def logits_of(model, num_classes: int, size: int = 32) -> torch.Tensor:
    """The logits (2, num_classes) of two images in evaluation mode; raises Finding for another shape, NaN, no network."""
    model = copy.deepcopy(a_model(model)).eval()
    with torch.no_grad():
        logits = tensor(model(images(2, size)), "the logits")
    if logits.shape == (2, num_classes):
        return logits
    raise Finding(
        "wrong number of outputs",
        seen=f"two images give logits of shape {tuple(logits.shape)}",
        expected=f"shape (2, {num_classes}): a row for each image, a number for each class",
        hints=(
            "What makes the number of logits is the shape of the last layer's weight. Look at it after your change.",
            "An attribute such as out_features only labels a layer. Its weight was made when the layer was made.",
        ),
    )


def stands_still(model, head: str | None = None, size: int = 32, steps: int = 2) -> None:
    """Nothing outside the head changes while a copy trains, called with train() as a loop does, with weight decay.

    head: the path of the output layer, found where it is None. Raises Finding "parameters move" or "buffers move".
    """
    model = copy.deepcopy(a_model(model))
    prefix = (head or find_head(model)) + "."
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_a_little(model, size, steps)
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    moved = [name for name in moved if not name.startswith(prefix)]
    parameters = [name for name in moved if name in dict(model.named_parameters())]
    if parameters:
        raise Finding(
            "parameters move",
            seen=f"{steps} training steps changed {_some(parameters)}",
            expected="only the head changes",
            hints=(
                "Print the names of all parameters with requires_grad: which of them are not the head's?",
                "The order matters: first everything stands still, then the head alone is let go.",
            ),
        )
    if moved:
        raise Finding(
            "buffers move",
            seen=f"{steps} training steps changed {_some(moved)}: no parameters, and yet they are part of the network",
            expected="outside the head nothing changes, not even a buffer",
            hints=(
                "Which layers keep statistics of the batches they see, and in which mode do they do so?",
                "model.train() puts every layer into training mode, frozen or not. What has to happen after it?",
            ),
        )


def head_trains(model, head: str | None = None, size: int = 32) -> None:
    """The head's weight changes while a copy trains; raises Finding "head frozen" if not."""
    model = copy.deepcopy(a_model(model))
    path = head or find_head(model)
    before = model.get_submodule(path).weight.clone()
    trains = any(parameter.requires_grad for parameter in model.parameters())
    if trains:
        train_a_little(model, size, 1)
    if not trains or torch.equal(model.get_submodule(path).weight, before):
        raise Finding(
            "head frozen",
            seen="a training step leaves the head's weight as it was" if trains else "no parameter has requires_grad",
            expected="the head learns",
            hints=(
                "Does the head's weight have requires_grad? What did your code do last: freeze, or put the head on?",
                "A loop over model.parameters() reaches the head too, if it is already there.",
            ),
        )


def train_a_little(model: nn.Module, size: int = 32, steps: int = 2, optimizer=None) -> None:
    """Train in place: train(), then steps of cross-entropy on random images; AdamW over what has requires_grad."""
    dice = torch.Generator().manual_seed(0)
    pictures = images(4, size)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if optimizer is None and not trainable:
        return
    optimizer = optimizer or torch.optim.AdamW(trainable, lr=0.01, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        logits = model(pictures)
        loss = nn.functional.cross_entropy(logits, torch.randint(logits.shape[1], (4,), generator=dice))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def images(count: int, size: int = 32) -> torch.Tensor:
    """float32 (count, 3, size, size): the same random numbers each time."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
