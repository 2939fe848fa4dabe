"""Train the embedded source model, from code alone: `make weights`."""

import argparse
import hashlib
import json
import math
import os
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import save
from torch.nn import functional as F

from helpers import garden
from helpers.augmentation import augment
from helpers.backbones import digests
from helpers.gardennet import GardenNet
from helpers.heads import find_head
from helpers.progress import Progress

MEAN, STD, SIZE = (0.42, 0.42, 0.42), (0.27, 0.27, 0.27), 64
BATCH, PEAK_LR, WEIGHT_DECAY, SMOOTHING = 128, 3e-3, 0.05, 0.1
_PART = 2080  # pictures rendered by one call of a worker


def render_source(split: str, per_class: int, seed: int = 0, workers: int | None = None):
    """`per_class` pictures of every source class, on all cores: uint8 (N, 3, 64, 64) and labels int64 (N,)."""
    classes = len(garden.class_names("source"))
    labels = torch.arange(classes).repeat(per_class)
    numbers = torch.arange(per_class).repeat_interleave(classes)
    jobs = [(split, seed, a, b) for a, b in zip(labels.split(_PART), numbers.split(_PART), strict=True)]
    progress = Progress(len(labels), f"drawing {len(labels):,} pictures ({split}):")
    images = torch.empty(len(labels), 3, SIZE, SIZE, dtype=torch.uint8)
    done = 0
    with get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        for part in pool.imap(_render, jobs):
            images[done : done + len(part)] = torch.from_numpy(part)
            done += len(part)
            progress.step(len(part))
    progress.done(f"drew {len(labels):,} pictures ({split}) in {time.monotonic() - progress.started:.0f} s")
    return images, labels


def _render(job):
    split, seed, labels, numbers = job
    torch.set_num_threads(1)
    return garden.render("source", labels, numbers, split=split, seed=seed, size=SIZE)[0].numpy()


def train_source(
    images, labels, *, epochs: int, seed: int = 0, after_epoch=lambda epoch, net: None
) -> GardenNet:
    """Train a GardenNet on pictures uint8 (N, 3, 64, 64); the same for the same seed on the same machine.

    AdamW with one cycle of the learning rate, label smoothing, random crops, flips and colours, one picture in six
    greyed, one batch in five blurred. bfloat16 where the processor or the GPU computes in it.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = GardenNet(int(labels.max()) + 1).to(device, memory_format=torch.channels_last)
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
            x, y = _views(images[rows].to(device)), labels[rows].to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device)):
                logits = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)
            if not math.isfinite(loss.item()):
                raise ValueError(f"training diverged in epoch {epoch}: lower PEAK_LR ({PEAK_LR})")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.step(text=f"loss {loss.item():.2f}")
        with torch.random.fork_rng(devices=[]):  # whoever looks on changes nothing
            after_epoch(epoch, net)
    progress.done(
        f"trained {steps:,} steps of {BATCH} pictures in {time.monotonic() - progress.started:.0f} s"
    )
    return net.cpu().eval()


def _views(images):
    x = augment(images.float() / 255, scale=(0.35, 1.0), jitter=0.3)
    grey = (torch.rand(len(x), 1, 1, 1) < 1 / 6).to(x.device)
    x = torch.where(grey, x.mean(1, keepdim=True), x)
    if torch.rand(()) < 0.2:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (x - MEAN[0]) / STD[0]


def _has_bfloat16(device) -> bool:
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()


@torch.no_grad()
def accuracy(net, images, labels) -> float:
    """Share of pictures uint8 (N, 3, 64, 64) named rightly."""
    net.eval()
    right = 0
    for x, y in zip(images.split(500), labels.split(500), strict=True):
        right += (net((x.float() / 255 - MEAN[0]) / STD[0]).argmax(1) == y).sum().item()
    return right / len(labels)


def save_source(net, path: Path, classes=None, *, half=False, about=None) -> str:
    """Write the network as load_backbone reads it, and its line in SHA256SUMS beside it; returns the file's sha256.

    classes: the names of the logits, [] for a source that was trained without labels; default: all source classes.
    half: store in float16, half as large (loaded, it is float32 again). about: further metadata, texts.
    """
    classes = garden.class_names("source") if classes is None else list(classes)
    outputs = len(net.get_submodule(find_head(net)).weight)
    if classes and len(classes) != outputs:
        raise ValueError(f"{len(classes)} class names for a network with {outputs} outputs")
    about = {
        "arch": type(net).__name__, "num_classes": str(outputs), "classes": json.dumps(classes), "mean": json.dumps(MEAN),
        "std": json.dumps(STD), "size": str(SIZE), **(about or {}),
    }  # fmt: skip
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        if too_large := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ValueError(f"{', '.join(too_large)} cannot be stored in float16: store in full")
    file = _sorted(save(tensors, about))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file)
    sums = path.parent / "SHA256SUMS"
    lines = digests(sums) | {path.stem: hashlib.sha256(file).hexdigest()}
    sums.write_text("".join(f"{digest}  {name}.safetensors\n" for name, digest in sorted(lines.items())), encoding="utf-8")
    return lines[path.stem]


def _sorted(file: bytes) -> bytes:
    """The file with its header in alphabetical order: safetensors shuffles it, and so no two files would be the same."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    return len(header).to_bytes(8, "little") + header + file[end:]


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.source", description=__doc__)
    parser.add_argument(
        "--per-class", type=int, default=160, help="pictures of each source class (%(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=12, help="times through the pictures (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data/garden.safetensors")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    images, labels = render_source("train", options.per_class, options.seed)
    held_out = render_source("val", 4, options.seed)

    def report(epoch, net):
        print(f"epoch {epoch + 1} of {options.epochs}: {accuracy(net, *held_out):.1%} of {len(held_out[1]):,} held-out pictures",
              flush=True)  # fmt: skip

    net = train_source(images, labels, epochs=options.epochs, seed=options.seed, after_epoch=report)
    digest = save_source(net, options.out)
    print(f"wrote {options.out} in {(time.monotonic() - started) / 60:.1f} minutes in all")
    print(f"sha256 {digest}, entered in {options.out.parent / 'SHA256SUMS'}")


if __name__ == "__main__":
    main()
