"""Which device trains and predicts, chosen in one place."""

import os

import torch


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
