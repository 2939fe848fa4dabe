"""A self-supervised source: SimCLR (Chen et al., 2020), which two views come from the same image?

It trains a GardenNet, whose last layers are thrown away.
"""

import math
import time

import torch
from torch import nn
from torch.nn import functional as F

from helpers.freezing import parameter_groups
from helpers.images.augmentation import augment
from helpers.notebook.progress import Progress
from helpers.sources.gardennet import GardenNet
from helpers.sources.shipping import MEAN, STD
from helpers.training.devices import device, has_bfloat16, layout, seeded
from helpers.training.steps import training_steps

PEAK_LR, WEIGHT_DECAY, TEMPERATURE = 3e-3, 0.05, 0.1
SCALE, JITTER, HUE, GREY, BLUR, LIGHT = (0.3, 1.0), 0.5, 0.05, 0.2, 0.3, 0.15  # how much the views of one image may differ


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """The loss of SimCLR: each view should point in the direction of its partner, and of no other view of the batch.

    a, b: (N, D), the network's outputs for the first and for the second view of N images; N at least 2.
    temperature: above 0; the smaller, the more the loss depends on the most similar wrong views alone.
    Raises ValueError for anything else. Source: Chen et al., A simple framework for contrastive learning of visual
    representations, 2020: the normalised temperature-scaled cross-entropy.
    """
    if a.ndim != 2 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"nt_xent needs two tensors (N, D) with N > 1, got {tuple(a.shape)} and {tuple(b.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature!r} must be above 0")
    z = F.normalize(torch.cat([a, b]), dim=1)
    similarity = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    partner = torch.arange(len(z), device=z.device).roll(len(a))  # of view i: i + N, of view i + N: i
    return F.cross_entropy(similarity.masked_fill(itself, -math.inf), partner)


def views(images: torch.Tensor) -> torch.Tensor:
    """A random view of each image: uint8 (N, 3, S, S) -> float (N, 3, S, S), in 0..1.

    A crop of 30% to 100% of the area, a flip, strong changes of colour and hue, sometimes grey, sometimes blurred. Colours
    must change strongly, or the network could match views by their colours alone.
    """
    x = augment(images.float() / 255, scale=SCALE, jitter=JITTER)
    hue, grey, blur = torch.rand(3, len(x)).to(x.device)
    x = _recolour(x, (2 * hue - 1) * HUE, grey < GREY)
    soft = (blur < BLUR).nonzero()[:, 0]
    x[soft] = F.avg_pool2d(F.pad(x[soft], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    light = LIGHT * torch.randn(len(x), 3, 4, 4).to(x.device)
    return x.add_(F.interpolate(light, x.shape[2:], mode="bilinear")).clamp_(0, 1)


def _recolour(x, turns, grey):
    """Rotate the hue of each image by a fraction (N,) of a full turn; make it grey where grey (N,) is True."""
    angle = 2 * math.pi * turns[:, None, None]
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=x.device) / math.sqrt(3)
    matrix = angle.cos() * torch.eye(3, device=x.device) + (1 - angle.cos()) / 3 + angle.sin() * across
    matrix[grey] = 1 / 3
    return (matrix @ x.flatten(2)).view_as(x).clamp_(0, 1)


class SimCLR(nn.Module):
    """A network whose head is replaced by a small projection, on whose outputs views are compared."""

    images = 128  # a step; two views of each pass through the network

    def __init__(self):
        super().__init__()
        self.net = GardenNet(1)
        width = self.net.fc.in_features
        self.net.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 128))

    def forward(self, images):
        """The loss on images uint8 (N, 3, S, S)."""
        a, b = _run(self.net, torch.cat([views(images), views(images)])).chunk(2)
        return nt_xent(a, b)

    def trained(self) -> GardenNet:
        self.net.fc = nn.Linear(self.net.fc[0].in_features, 1)  # without meaning: there were no classes
        return self.net


def train_simclr(images, *, epochs: int, seed: int = 0, after_epoch=lambda epoch, task: None) -> GardenNet:
    """Train a GardenNet on images uint8 (N, 3, 64, 64) without labels, by SimCLR; its head has no meaning.

    Each epoch passes two views of every image through the network. AdamW with one cycle of the learning rate, in bfloat16
    where the device computes in it. The same for the same seed on the same machine; torch's own random numbers are left as
    they were. after_epoch: called with the number of the epoch and the pretext task, a module whose `net` is being trained
    and whose `loss` is the mean of that epoch.
    Raises ValueError if there are too few images for a batch, or if the training diverges.
    """
    batch = min(SimCLR.images, len(images))
    if batch < 2 or images.dtype != torch.uint8:
        raise ValueError(f"images must be uint8 (N, 3, S, S), two or more, got {images.dtype} {tuple(images.shape)}")
    where, per_epoch = device(), len(images) // batch
    steps = epochs * per_epoch
    progress = Progress(steps, "training by SimCLR: step")
    with seeded(seed):
        pretext = SimCLR().to(where, memory_format=layout())
        optimizer = torch.optim.AdamW(parameter_groups(pretext.net, PEAK_LR, weight_decay=WEIGHT_DECAY))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps + 1, pct_start=0.15)
        for epoch in range(epochs):
            pretext.train()
            batches, losses = torch.randperm(len(images))[: per_epoch * batch].split(batch), []
            for loss in training_steps(batches, lambda rows: pretext(images[rows].to(where)), optimizer, schedule):
                losses.append(loss.item())
                if not math.isfinite(losses[-1]):
                    raise ValueError(f"training diverged in epoch {epoch}: lower PEAK_LR ({PEAK_LR})")
                progress.step(text=f"loss {losses[-1]:.2f}")
            pretext.loss = sum(losses) / len(losses)
            with torch.random.fork_rng():  # so that after_epoch cannot change the training
                after_epoch(epoch, pretext)
        net = pretext.trained()
    seconds = time.monotonic() - progress.started
    progress.done(f"SimCLR: {steps:,} steps of {batch} pictures in {seconds:.0f} s, last loss {losses[-1]:.2f}")
    return net.cpu().eval()


def _run(net, pixels):
    """The network's outputs for pixels in 0..1, computed in bfloat16 where that is fast; float32."""
    x = ((pixels - MEAN[0]) / STD[0]).contiguous(memory_format=layout())
    with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
        return net(x).float()
