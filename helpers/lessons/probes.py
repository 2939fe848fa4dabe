"""What a network really does, found out by training a copy of it: the behaviour behind the labs' checks.

Every probe works on copies, on images of random numbers, on the CPU; the student's network stays as it is. A probe
that finds something wrong raises `Finding`.
"""

import copy
from pathlib import Path

import torch
from torch import nn

from helpers.heads import find_head
from helpers.notebook.findings import Finding, a_model, answer_of, explain, hints, tensor
from helpers.sources.gardennet import GardenNet

found = hints(Path(__file__).with_name("hints.toml"))


def images(count: int, size: int = 32) -> torch.Tensor:
    """float32 (count, 3, size, size): the same random numbers each time."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def network(classes: int) -> GardenNet:
    """A small network in training mode, whose BatchNorm has seen images: its running averages are its own."""
    torch.manual_seed(1)
    model = GardenNet(classes, width=8)
    with torch.no_grad():
        model(2 * images(8) + 1)
    return model


def kept(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all tensors of a network, for `changes`."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def changes(model: nn.Module, before: dict[str, torch.Tensor]) -> list[str]:
    """The names of the tensors that differ from those before."""
    return [name for name, value in model.state_dict().items() if not same(before.get(name), value)]


def lost(model: nn.Module, source: dict[str, torch.Tensor], head: str | tuple[str, ...] = "fc.") -> list[str]:
    """The names of the source's tensors outside the head that the network does not have as they were."""
    now = model.state_dict()
    return [name for name, value in source.items() if not name.startswith(head) and not same(now.get(name), value)]


def same(a, b: torch.Tensor) -> bool:
    """Whether a is a tensor that equals b."""
    return isinstance(a, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)


def some(names) -> str:
    """The first three of these names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def tried(found, words: dict[str, str], function, *args):
    """What a student's function returns; an exception whose message has one of the words is the finding of that name."""
    try:
        return answer_of(function, *args)
    except Finding:
        raise
    except Exception as error:
        for part, name in words.items():
            if part in f"{type(error).__name__}: {error}":
                raise found(name, explain(error).seen) from None
        raise


def recognise(found, value, mistakes, seen: str, atol: float = 1e-4) -> None:
    """Raise the finding of the first mistake that leads to this value.

    mistakes: [(name of the finding, what an answer with this mistake returns)], numbers or tensors.
    """
    value = torch.as_tensor(value, dtype=torch.float64)
    for name, result in mistakes:
        result = torch.as_tensor(result, dtype=torch.float64)
        if result.shape == value.shape and torch.allclose(value, result, rtol=1e-5, atol=atol):
            raise found(name, seen)


def logits_of(model, num_classes: int) -> torch.Tensor:
    """The logits (2, num_classes) of two images in evaluation mode; raises Finding for what is none."""
    model = copy.deepcopy(a_model(model)).eval()
    with torch.no_grad():
        logits = tensor(model(images(2)), "the logits")
    if logits.shape != (2, num_classes):
        seen = f"two images give logits of shape {tuple(logits.shape)}"
        raise found("wrong number of outputs", seen, f"shape (2, {num_classes}): one row per image, one number per class")
    if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(2)):
        raise found("probabilities", f"the outputs are from {logits.min():.2f} to {logits.max():.2f}, and each row adds up to 1")
    return logits


def train(model: nn.Module, optimizer, pictures: torch.Tensor, steps: int = 2) -> None:
    """Steps of cross-entropy in the mode that the model is in."""
    for _ in range(steps):
        logits = model(pictures)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, torch.arange(len(pictures)) % logits.shape[1]).backward()
        optimizer.step()


def only_the_head_trains(model) -> None:
    """The head and nothing else changes while a copy trains, called with train() as a loop does, with weight decay.

    Raises Finding "head frozen", "parameters move" or "buffers move".
    """
    model = copy.deepcopy(a_model(model)).train()
    head, before = find_head(model), kept(model)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise found("head frozen", "no parameter has requires_grad")
    train(model, torch.optim.AdamW(trainable, lr=0.01, weight_decay=0.1), images(4))
    moved = changes(model, before)
    if f"{head}.weight" not in moved:
        raise found("head frozen", "two training steps leave the head's weight unchanged")
    moved = [name for name in moved if not name.startswith(f"{head}.")]
    if parameters := [name for name in moved if name in dict(model.named_parameters())]:
        raise found("parameters move", f"two training steps changed {some(parameters)}")
    if moved:
        raise found("buffers move", f"two training steps changed {some(moved)}: not parameters, but part of the network")
