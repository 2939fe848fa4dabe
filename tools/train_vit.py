"""A tiny Vision Transformer for 64 px images, and how it was trained: `python tools/train_vit.py`.

A Vision Transformer needs far more images than a convolutional network, because nothing in it says that neighbouring pixels
belong together. There is no time for that here, so it has a teacher: besides the labels, it learns to predict the features
that the course's GardenNet, "garden", has in its third stage and before its head (distillation: Touvron et al., 2021). That
makes it a fair example of the architecture, but not of what an independently trained source is worth.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from helpers.images.drawn import garden
from helpers.notebook.progress import Progress
from helpers.sources.backbones import load_backbone
from helpers.sources.gardennet import GardenViT
from helpers.sources.shipping import SHIPPED, save_source
from helpers.training.devices import device, has_bfloat16

sys.path.insert(0, str(Path(__file__).parent))
from train_sources import accuracy, render_source, source_views  # noqa: E402

BATCH, PEAK_LR, WEIGHT_DECAY, SMOOTHING, TEACHING = 64, 2e-3, 0.05, 0.1, 5.0


class _Teaching:
    """The losses of the pupil's predictions of the teacher's normalised features; predicting their mean gives 1."""

    def __init__(self, pupil: GardenViT, teacher: nn.Module, views):
        self.teacher, self.taken = teacher.eval(), {}
        teacher.layer3.register_forward_hook(lambda m, x, y: self._take("map", y.flatten(2).transpose(1, 2)))
        teacher.fc.register_forward_pre_hook(lambda m, x: self._take("last", x[0]))
        self.hook = pupil.encoder.ln.register_forward_hook(lambda m, x, y: self._take("tokens", y))
        with torch.no_grad():
            teacher(views)
        self.scale = {name: (value.flatten(0, -2).mean(0), value.flatten(0, -2).std(0) + 1e-3)
                      for name, value in self.taken.items()}  # fmt: skip
        self.translate = nn.ModuleDict({"map": nn.Linear(128, 128), "last": nn.Linear(128, 256)}).to(views.device)

    def _take(self, name, value):
        self.taken[name] = value.float()

    def loss(self, views):
        """The tokens predict the teacher's 4 x 4 feature map, the class token predicts its last features."""
        with torch.no_grad():
            self.teacher(views)
        tokens = {"map": self.taken["tokens"][:, 1:], "last": self.taken["tokens"][:, 0]}
        losses = []
        for name, (mean, spread) in self.scale.items():
            losses.append(F.mse_loss(self.translate[name](tokens[name]), (self.taken[name] - mean) / spread))
        return sum(losses)


def train_vit(images, labels, teacher: nn.Module, *, steps: int, seed: int = 0) -> GardenViT:
    """Train a GardenViT on images uint8 (N, 3, 64, 64), labels int64 (N,), with a GardenNet as its teacher.

    AdamW, one cycle of the learning rate, clipped gradients, the augmentation of `train_sources.py`; the same seed gives
    the same network on the same machine. Raises ValueError if training diverges.
    """
    torch.manual_seed(seed)
    where = device()
    net = GardenViT(int(labels.max()) + 1).to(where, memory_format=torch.channels_last)
    draw = lambda count: torch.randint(len(images), (count,))
    view = lambda rows: source_views(images[rows].to(where)).contiguous(memory_format=torch.channels_last)
    teaching = _Teaching(net, teacher.to(where, memory_format=torch.channels_last), view(draw(512)))
    every = [*net.parameters(), *teaching.translate.parameters()]
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps + 1, pct_start=0.1)
    progress = Progress(steps, "training the transformer: step")
    usual = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    backends = [SDPBackend.MATH] if where.type == "cpu" else usual  # on a CPU 3 times as fast as the usual choice
    for _ in range(steps):
        rows = draw(BATCH)
        views = view(rows)
        with torch.autocast(where.type, torch.bfloat16, enabled=has_bfloat16(where)), sdpa_kernel(backends):
            logits, taught = net(views), teaching.loss(views)
        loss = F.cross_entropy(logits.float(), labels[rows].to(where), label_smoothing=SMOOTHING) + TEACHING * taught.float()
        if not math.isfinite(loss.item()):
            raise ValueError(f"training diverged: lower PEAK_LR ({PEAK_LR})")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(every, 5.0)
        optimizer.step()
        schedule.step()
        progress.step(text=f"loss {loss.item():.2f}, from the teacher {taught.item() / 2:.2f}")
    teaching.hook.remove()
    progress.done(f"trained {steps:,} steps of {BATCH} images in {time.monotonic() - progress.started:.0f} s")
    return net.cpu().eval()


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python tools/train_vit.py", description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=60, help="images of each source class (%(default)s)")
    parser.add_argument("--steps", type=int, default=2400, help=f"optimizer steps of {BATCH} images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SHIPPED / "garden-vit.safetensors")
    options = parser.parse_args(arguments)
    images, labels = render_source("train", options.per_class, options.seed)
    net = train_vit(images, labels, load_backbone("garden").model, steps=options.steps, seed=options.seed)
    held_out = render_source("val", 2, options.seed)
    print(f"{accuracy(net, *held_out):.1%} of {len(held_out[1]):,} held-out images are classified correctly")
    digest = save_source(net, options.out, garden.class_names("source"), half=True)
    print(f"wrote {options.out}, sha256 {digest}")


if __name__ == "__main__":
    main()
