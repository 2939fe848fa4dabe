"""Which device trains and predicts, chosen in one place; and what a results file says of where it comes from."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version

import torch
from torch import nn

from helpers.heads import mode


def device() -> torch.device:
    """Where to compute: the environment variable COURSE_DEVICE ("cpu", "cuda", "cuda:1", "mps"), else the accelerator
    that PyTorch finds, else the CPU.

    Raises ValueError if COURSE_DEVICE names a device that this machine does not have.
    """
    wanted = os.environ.get("COURSE_DEVICE")
    found = torch.accelerator.current_accelerator(check_available=True)
    if not wanted:
        return found or torch.device("cpu")
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        chosen = None
    known = ["cpu"] + ([found.type] if found else [])
    if chosen is None or chosen.type not in known:
        raise ValueError(f"COURSE_DEVICE={wanted!r} is not a device of this machine: use {' or '.join(known)}, or unset it")
    return chosen


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 at full speed: not by emulation, as GPUs older than Ampere do."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@contextmanager
def borrowed(model: nn.Module) -> Iterator[torch.device]:
    """Within this context the model is on `device()`, in evaluation mode, without gradients; afterwards it is as and where it
    was. Convolutions on a GPU are exact meanwhile (no TF32), so that a network answers alike everywhere, up to rounding.
    """
    home, where, tf32 = next(model.parameters()).device, device(), torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with mode(model, training=False), torch.no_grad():
            model.to(where)
            yield where
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
        model.to(home)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this context torch draws from this seed, on every device; afterwards all its generators are as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def provenance() -> dict[str, str]:
    """Versions, hardware and date: what a results file says of its origin."""
    where = device()
    hardware = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {
        "python": platform.python_version(), "torch": version("torch"), "torchvision": version("torchvision"),
        "lightning": version("lightning"), "hardware": f"{platform.machine()}, {hardware}", "date": date.today().isoformat(),
    }  # fmt: skip
