"""Train the source models that come with the course, from code alone: `make weights`.

`python tools/train_sources.py` trains "garden"; with names, those: `python tools/train_sources.py garden-small garden-simclr`;
with "all", every source but "garden-vit", which has a script of its own (tools/train_vit.py).
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch.nn import functional as F

from helpers.images.augmentation import augment
from helpers.images.drawn import garden
from helpers.lessons.pretext.tasks import train_simclr
from helpers.notebook.progress import Progress
from helpers.sources.gardennet import GardenNet
from helpers.sources.shipping import MEAN, SHIPPED, SIZE, STD, save_source
from helpers.training.devices import device, has_bfloat16

BATCH, PEAK_LR, WEIGHT_DECAY, SMOOTHING = 128, 3e-3, 0.05, 0.1
_PART = 2080  # images rendered by one call of a worker
REGRESSED = ("sine of the pose", "cosine of the pose", "size")  # the outputs of the source that regresses


@dataclass(frozen=True)
class Plan:
    """What a source is trained on, and for how long: `per_class` images of every class of these families, `epochs` times.

    learns: "classes", "pose and size" (regression) or "views" (SimCLR, which uses no labels; each of its epochs passes
    two views of every image through the network). half: the file is stored in float16.
    """

    families: tuple[str, ...]
    per_class: int
    epochs: int
    learns: str = "classes"
    half: bool = True

    @property
    def labels(self) -> torch.Tensor:
        """The classes of the source world that belong to these families: int64 (C,)."""
        names = garden.class_names("source")
        return torch.tensor([i for i, name in enumerate(names) if name.split("-")[0] in self.families])


WORLD = ("rosette", "solid", "creature", "material")
PLANS = {  # the small ones have the same budget: 24,000 images (to the nearest whole class), 187 steps in each of 8 epochs
    "garden": Plan(WORLD, 160, 12, half=False),
    "garden-small": Plan(WORLD, 30, 8),
    "garden-petals": Plan(("rosette",), 109, 8),
    "garden-textures": Plan(("material",), 171, 8),
    "garden-regression": Plan(WORLD, 30, 8, learns="pose and size"),
    "garden-simclr": Plan(WORLD, 160, 6, learns="views", half=False),  # as many views as "garden" saw images
    "garden-simclr-small": Plan(WORLD, 30, 4, learns="views"),
}


def render_source(split: str, per_class: int, seed: int = 0, workers: int | None = None, *, classes=None, targets=False):
    """`per_class` images of every source class, drawn on all cores: uint8 (N, 3, 64, 64) and labels int64 (N,).

    classes: only these labels of the source world, int64 (C,); they are then numbered from 0. targets: return the values
    to regress instead of labels, float (N, 3), see REGRESSED.
    """
    classes = torch.arange(len(garden.class_names("source"))) if classes is None else classes
    rows = torch.arange(len(classes)).repeat(per_class)
    numbers = torch.arange(per_class).repeat_interleave(len(classes))
    jobs = [(split, seed, a, b) for a, b in zip(classes[rows].split(_PART), numbers.split(_PART), strict=True)]
    progress = Progress(len(rows), f"drawing {len(rows):,} images ({split}):")
    images, values = torch.empty(len(rows), 3, SIZE, SIZE, dtype=torch.uint8), torch.empty(len(rows), len(REGRESSED))
    done = 0
    with get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        for part, part_values in pool.imap(_render, jobs):
            images[done : done + len(part)] = torch.from_numpy(part)
            values[done : done + len(part)] = torch.from_numpy(part_values)
            done += len(part)
            progress.step(len(part))
    progress.done(f"drew {len(rows):,} images ({split}) in {time.monotonic() - progress.started:.0f} s")
    return images, values if targets else rows


def _render(job):
    split, seed, labels, numbers = job
    torch.set_num_threads(1)
    images, targets = garden.render("source", labels, numbers, split=split, seed=seed, size=SIZE)
    pose = torch.deg2rad(targets["pose"])
    return images.numpy(), torch.stack([pose.sin(), pose.cos(), targets["size"]], dim=1).numpy()


def train_source(images, labels, *, epochs: int, seed: int = 0, after_epoch=lambda epoch, net: None) -> GardenNet:
    """Train a GardenNet on images uint8 (N, 3, 64, 64); the same seed gives the same network on the same machine.

    labels: int64 (N,), classes; or float (N, 3), values to regress (see REGRESSED): the loss is then the mean squared
    error, each output's divided by its variance, and the images are not cropped, which would change the size.
    AdamW with one cycle of the learning rate, label smoothing, random crops, flips and colours; one image in six is made
    grey, one batch in five is blurred. bfloat16 where the processor or the GPU supports it.
    """
    torch.manual_seed(seed)
    where = device()
    regress = labels.is_floating_point()
    outputs = labels.shape[1] if regress else int(labels.max()) + 1
    net = GardenNet(outputs).to(where, memory_format=torch.channels_last)
    if regress:
        spread, net.fc.bias.data = labels.var(0).to(where), labels.mean(0).to(where)
    steps = epochs * (len(images) // BATCH)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    spared = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": spared, "weight_decay": 0.0}],
        lr=PEAK_LR,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps + 1, pct_start=0.15)
    progress = Progress(steps, "training the source model: step")
    for epoch in range(epochs):
        net.train()
        for rows in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            x, y = images[rows].to(where), labels[rows].to(where)
            x, y = _mirrored(x, y) if regress else (x, y)
            x = source_views(x, **({"scale": (1.0, 1.0), "flip": 0.0} if regress else {}))
            with torch.autocast(where.type, torch.bfloat16, enabled=has_bfloat16(where)):
                logits = net(x.contiguous(memory_format=torch.channels_last))
            if regress:
                loss = ((logits.float() - y) ** 2 / spread).mean()
            else:
                loss = F.cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)
            if not math.isfinite(loss.item()):
                raise ValueError(f"training diverged in epoch {epoch}: lower PEAK_LR ({PEAK_LR})")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.step(text=f"loss {loss.item():.2f}")
        with torch.random.fork_rng():  # reporting does not change the training
            after_epoch(epoch, net)
    progress.done(f"trained {steps:,} steps of {BATCH} images in {time.monotonic() - progress.started:.0f} s")
    return net.cpu().eval()


def _mirrored(images, targets):
    """Half of the images mirrored: the sine of their pose changes sign."""
    flip = (torch.rand(len(images)) < 0.5).to(images.device)
    swapped = targets * torch.tensor([-1.0, 1.0, 1.0], device=images.device)
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    return images, torch.where(flip[:, None], swapped, targets)


def source_views(images, scale=(0.35, 1.0), flip=0.5):
    x = augment(images.float() / 255, scale=scale, flip=flip, jitter=0.3)
    grey = (torch.rand(len(x), 1, 1, 1) < 1 / 6).to(x.device)
    x = torch.where(grey, x.mean(1, keepdim=True), x)
    if torch.rand(()) < 0.2:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (x - MEAN[0]) / STD[0]


@torch.no_grad()
def accuracy(net, images, labels) -> float:
    """The share of images uint8 (N, 3, 64, 64) classified correctly; for targets (N, 3), the share of variance explained."""
    net.eval()
    answers = torch.cat([net((x.float() / 255 - MEAN[0]) / STD[0]) for x in images.split(500)])
    if labels.is_floating_point():
        return (1 - ((answers - labels) ** 2).mean(0) / labels.var(0, correction=0)).mean().item()
    return (answers.argmax(1) == labels).float().mean().item()


def make(name: str, plan: Plan, seed: int, out: Path) -> None:
    """Train one source and write it."""
    started, names = time.monotonic(), garden.class_names("source")
    regress = plan.learns == "pose and size"
    images, labels = render_source("train", plan.per_class, seed, classes=plan.labels, targets=regress)
    about = {"outputs": json.dumps(REGRESSED)} if regress else {}
    if plan.learns == "views":

        def report(epoch, pretext):
            print(f"epoch {epoch + 1} of {plan.epochs}: mean loss {pretext.loss:.3f}", flush=True)

        net, classes = train_simclr(images, epochs=plan.epochs, seed=seed, after_epoch=report), []
    else:
        held_out = render_source("val", 4, seed, classes=plan.labels, targets=regress)
        what = "of the variance of" if regress else "of"

        def report(epoch, net):
            share = accuracy(net, *held_out)
            print(f"epoch {epoch + 1} of {plan.epochs}: {share:.1%} {what} {len(held_out[1]):,} held-out images", flush=True)

        net = train_source(images, labels, epochs=plan.epochs, seed=seed, after_epoch=report)
        classes = [] if regress else [names[label] for label in plan.labels]
    digest = save_source(net, out, classes, half=plan.half, about=about)
    print(f"wrote {out} in {(time.monotonic() - started) / 60:.1f} minutes in all")
    print(f"sha256 {digest}, entered in {out.parent / 'SHA256SUMS'}")


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python tools/train_sources.py", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(PLANS)}, or all; default: garden")
    parser.add_argument("--per-class", type=int, help="images of each source class; default: as in the plan")
    parser.add_argument("--epochs", type=int, help="times through the images; default: as in the plan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the file; default: where load_backbone looks for it")
    options = parser.parse_args(arguments)
    names = [*PLANS] if options.names == ["all"] else options.names or ["garden"]
    if unknown := [name for name in names if name not in PLANS]:
        parser.error(f"there is no source {unknown[0]!r}; choose from {', '.join(PLANS)}, or all")
    if options.out and len(names) > 1:
        parser.error("--out is for one source")
    for name in names:
        plan = replace(PLANS[name], per_class=options.per_class or PLANS[name].per_class,
                       epochs=options.epochs or PLANS[name].epochs)  # fmt: skip
        make(name, plan, options.seed, options.out or SHIPPED / f"{name}.safetensors")


if __name__ == "__main__":
    main()
