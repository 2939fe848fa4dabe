"""Which device trains and predicts, chosen in one place, and what suits it; and what a results file says of its origin."""

import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.nn import functional as F

from helpers.heads import mode
from helpers.images.splits import Split

LARGE = 128  # pixels a side from which on networks train in bfloat16; smaller ones gain little


def device() -> torch.device:
    """Where to compute: the environment variable COURSE_DEVICE ("cpu", "cuda", "cuda:1", "mps"), else the accelerator
    that PyTorch finds, if it computes, else the CPU.

    Raises ValueError if COURSE_DEVICE names a device that this machine does not have.
    """
    if (wanted := os.environ.get("COURSE_DEVICE")) == "cpu":
        return torch.device("cpu")
    found = torch.accelerator.current_accelerator(check_available=True)
    found = found if found and computes(found) else None
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


@cache
def computes(where: torch.device) -> bool:
    """Whether a convolution runs there, which also starts the device: a build of PyTorch may find a GPU for which it has no
    programs. Warns if it does not."""
    try:
        F.conv2d(torch.ones(1, 3, 8, 8, device=where), torch.ones(4, 3, 3, 3, device=where)).sum().item()
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        warnings.warn(f"PyTorch finds {where} and cannot compute on it ({why}), so this is the CPU", stacklevel=3)
        return False
    return True


def layout() -> torch.memory_format:
    """The order in memory of a network's weights: channels last, with which convolutions are faster; on MPS as usual, where
    some versions of PyTorch compute other gradients with it."""
    return torch.contiguous_format if device().type == "mps" else torch.channels_last


def reduced(where: torch.device, size: int) -> bool:
    """Whether a network trains in bfloat16 (autocast) on images of this size: on a GPU at full speed, and large images."""
    return where.type == "cuda" and size >= LARGE and has_bfloat16(where)


def sent(tensor: torch.Tensor, where: torch.device) -> torch.Tensor:
    """The tensor on a device; to a GPU it travels while the GPU computes."""
    if where.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(where, non_blocking=True)
    return tensor.to(where)


def resident(images: torch.Tensor | Split, where: torch.device) -> torch.Tensor | Split:
    """Pixels, uint8 (N, 3, S, S), on a GPU if they take at most a quarter of its free memory; else, and features, as they are."""
    pixels = images.images if isinstance(images, Split) else images
    if where.type != "cuda" or pixels.dtype != torch.uint8:
        return images
    fits = len(images) * pixels[0].numel() <= torch.cuda.mem_get_info(where)[0] // 4
    return (images.pixels if isinstance(images, Split) else images).to(where) if fits else images


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 at full speed: not by emulation, as GPUs older than Ampere do."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def spread(executor: Executor | None, function: Callable, jobs: Iterable[tuple]) -> Iterator:
    """What function(*job) returns for each job, in their order: computed by any Executor of concurrent.futures; None: here.

    Where a worker is lost and its executor does not do its jobs again by itself (Dask does, a pool of processes breaks), they
    are done here, one after the other, with a warning. Raises what the function raises; what has not begun is then given up.
    """
    if executor is None:
        yield from (function(*job) for job in jobs)
        return
    given = [(job, _submitted(executor, function, job)) for job in jobs]
    try:
        for job, future in given:
            try:
                result = future.result()
            except BrokenExecutor as error:
                warnings.warn(f"a worker was lost ({error}): what it had to do is done here", stacklevel=2)
                result = function(*job)
            yield result
    finally:
        for _, future in given:
            future.cancel()


def _submitted(executor: Executor, function: Callable, job: tuple) -> Future:
    try:
        return executor.submit(function, *job)
    except BrokenExecutor as error:  # a worker was lost while others were still handed out
        (lost := Future()).set_exception(error)
        return lost


@dataclass(frozen=True)
class Engine:
    """On how many devices Lightning trains a network together. Raises ValueError for less than one."""

    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self):
        for name in ("devices", "nodes"):
            if type(count := getattr(self, name)) is not int or count < 1:
                raise ValueError(f"{name}={count!r} must be a whole number, 1 or more")
        if self.processes > 1 and torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0))))

    @property
    def processes(self) -> int:
        return self.devices * self.nodes

    @property
    def rank(self) -> int:
        """Which of the processes this is, from 0, as torchrun, SLURM or Lightning have numbered them."""
        return (rank_zero_only.rank or 0) if self.processes > 1 else 0

    def settings(self, where: torch.device) -> dict:
        """For Lightning's Trainer; the rows of a batch are shared out by `Run`."""
        alone = [where.index or 0] if where.type == "cuda" else 1
        several = self.processes > 1
        return {"accelerator": where.type, "devices": self.devices if several else alone, "num_nodes": self.nodes,
                "strategy": self.strategy, "use_distributed_sampler": False}  # fmt: skip


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
def quiet(*names: str):
    """Without warnings, such as those set off by frozen modules in evaluation mode, and without notices of these loggers.

    names: of loggers, by default Lightning's, which also advertises.
    """
    loggers = [logging.getLogger(name) for name in names or ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    exact = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.utils.deterministic.fill_uninitialized_memory = False  # of what nothing reads; it costs a pass over every tensor
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        torch.use_deterministic_algorithms(exact[0], warn_only=exact[1])
        torch.utils.deterministic.fill_uninitialized_memory = filled


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
