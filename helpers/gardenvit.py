"""A tiny Vision Transformer for 64 px images, and how it was trained: `python -m helpers.gardenvit`.

A Vision Transformer needs far more pictures than a convolutional network, because nothing tells it that neighbouring
pixels belong together. There is no time for that here, so it has a teacher: besides the labels it learns to say what the
course's GardenNet, "garden", has in its third stage and before its head (distillation: Touvron et al., 2021). That makes it
a fair example of the architecture, and no example of what an independent source is worth.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import ConvStemConfig

STEM = [ConvStemConfig(width, 3, 2) for width in (16, 32, 64, 96)]  # Xiao et al., Early convolutions ..., 2021
BATCH, PEAK_LR, WEIGHT_DECAY, SMOOTHING, TEACHING = 64, 2e-3, 0.05, 0.1, 5.0


class GardenViT(VisionTransformer):
    """torchvision's VisionTransformer for 64 px: 16 tokens from four convolutions, 5 blocks, 128 wide, 1.2 million
    parameters with 1000 classes.

    Its parts carry torchvision's names (conv_proj, encoder.layers.encoder_layer_0 .. 4, encoder.ln, heads.head), so
    that what is said of it holds for vit_b_16 too.

    Takes normalised images (N, 3, 64, 64), gives logits (N, num_classes). Source: Dosovitskiy et al., An image is worth
    16x16 words, 2021.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__(
            image_size=64, patch_size=16, num_layers=5, num_heads=4, hidden_dim=128, mlp_dim=512, num_classes=num_classes,
            conv_stem_configs=STEM,
        )  # fmt: skip


class _Teaching:
    """The teacher's answers, and the losses of the pupil against them; both normalised, so that 1 is knowing nothing."""

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
        """Of the tokens against the teacher's 4 x 4 map, and of the class token against its last features."""
        with torch.no_grad():
            self.teacher(views)
        tokens = {"map": self.taken["tokens"][:, 1:], "last": self.taken["tokens"][:, 0]}
        losses = []
        for name, (mean, spread) in self.scale.items():
            losses.append(F.mse_loss(self.translate[name](tokens[name]), (self.taken[name] - mean) / spread))
        return sum(losses)


def train_vit(images, labels, teacher: nn.Module, *, steps: int, seed: int = 0) -> GardenViT:
    """Train a GardenViT on pictures uint8 (N, 3, 64, 64), labels int64 (N,), with a GardenNet as its teacher.

    AdamW, a rising and falling rate, clipped gradients, the views of `helpers.source`; the same for the same seed on the
    same machine. Raises ValueError if it diverges.
    """
    from helpers.progress import Progress
    from helpers.source import _has_bfloat16, _views

    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = GardenViT(int(labels.max()) + 1).to(device, memory_format=torch.channels_last)
    draw = lambda count: torch.randint(len(images), (count,))
    view = lambda rows: _views(images[rows].to(device)).contiguous(memory_format=torch.channels_last)
    teaching = _Teaching(net, teacher.to(device, memory_format=torch.channels_last), view(draw(512)))
    every = [*net.parameters(), *teaching.translate.parameters()]
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps + 1, pct_start=0.1)
    progress = Progress(steps, "training the transformer: step")
    usual = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    backends = [SDPBackend.MATH] if device.type == "cpu" else usual  # on a CPU 3 times as fast as the usual choice
    for _ in range(steps):
        rows = draw(BATCH)
        views = view(rows)
        with torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device)), sdpa_kernel(backends):
            logits, taught = net(views), teaching.loss(views)
        loss = F.cross_entropy(logits.float(), labels[rows].to(device), label_smoothing=SMOOTHING) + TEACHING * taught.float()
        if not math.isfinite(loss.item()):
            raise ValueError(f"training diverged: lower PEAK_LR ({PEAK_LR})")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(every, 5.0)
        optimizer.step()
        schedule.step()
        progress.step(text=f"loss {loss.item():.2f}, from the teacher {taught.item() / 2:.2f}")
    teaching.hook.remove()
    progress.done(f"trained {steps:,} steps of {BATCH} pictures in {time.monotonic() - progress.started:.0f} s")
    return net.cpu().eval()


def main(arguments=None) -> None:
    from helpers.backbones import load_backbone
    from helpers.source import accuracy, render_source, save_source

    parser = argparse.ArgumentParser(prog="python -m helpers.gardenvit", description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=60, help="pictures of each source class (%(default)s)")
    parser.add_argument("--steps", type=int, default=2400, help=f"optimizer steps of {BATCH} pictures (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data/garden-vit.safetensors")
    options = parser.parse_args(arguments)
    images, labels = render_source("train", options.per_class, options.seed)
    net = train_vit(images, labels, load_backbone("garden").model, steps=options.steps, seed=options.seed)
    held_out = render_source("val", 2, options.seed)
    print(f"{accuracy(net, *held_out):.1%} of {len(held_out[1]):,} held-out pictures named rightly")
    print(f"wrote {options.out}, sha256 {save_source(net, options.out, half=True)}")


if __name__ == "__main__":
    main()
