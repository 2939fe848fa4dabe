"""The one switch of a notebook: how much is run, chosen from the hardware."""

import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import torch
from torchvision.models import get_model_weights

from helpers.smoke import STEPS, smoke

# ImageNet models that are worth having here, the usual first choice first.
WANTED = ("resnet18", "resnet50", "resnet34", "efficientnet_b0", "mobilenet_v3_small", "squeezenet1_0")


@dataclass(frozen=True)
class Budget:
    """How much a notebook runs.

    name      "quick": a few minutes on two CPU cores, offline. "full": more seeds and data, meant for a GPU.
              "smoke": only whether everything works, see helpers/smoke.py
    seeds     how many seeds a comparison takes
    images    folder of class folders with real photographs, or None
    imagenet  a name for `load_backbone` whose ImageNet weights can be had, or None
    why       why this budget was chosen
    """

    name: str
    seeds: int
    images: str | None = None
    imagenet: str | None = None
    why: str = ""
    note: str = field(default="", compare=False)  # what is to be known about the weights

    @property
    def full(self) -> bool:
        return self.name == "full"

    def __repr__(self) -> str:
        images = f"photographs in {Path(self.images).name}" if self.images else "embedded images"
        weights = f"ImageNet weights of {self.imagenet}" if self.imagenet else "no ImageNet weights"
        return f"{self.name} budget: {self.seeds} seeds, {images}, {weights}{self.note} ({self.why})"


def choose_budget(name: str | None = None) -> Budget:
    """Choose how much the notebook runs, say it in one line, and return it.

    name: "quick" or "full"; else the environment variable COURSE_RUN decides; else it is "full" where PyTorch has an
    accelerator (a GPU) and "quick" elsewhere. Only "full" looks for photographs (COURSE_IMAGES: a folder with one
    folder a class) and for ImageNet weights (torchvision's cache; else whether a download can begin within 3 seconds).
    Raises ValueError for another name, and for a COURSE_IMAGES that is neither a folder nor an embedded task.
    """
    device = torch.accelerator.current_accelerator(check_available=True)
    if name is not None:
        origin, why = "choose_budget", "you asked for it here"
    elif name := os.environ.get("COURSE_RUN"):
        origin, why = "the environment variable COURSE_RUN", "the environment variable COURSE_RUN says so"
    elif device:
        name, origin, why = "full", "", f'there is a GPU ({device.type}); h.choose_budget("quick") runs less'
    else:
        name, origin, why = "quick", "", 'there is no GPU; h.choose_budget("full") runs more'
    if name not in ("quick", "full") and not (name == "smoke" and smoke()):  # no call reaches what the variable does
        raise ValueError(f'{origin} takes "quick" or "full", got {name!r}')
    if name == "quick":
        budget = Budget("quick", 3, why=why)
    elif name == "smoke":
        note = f"; trainings stop after {STEPS} steps and tasks have few images: the numbers mean nothing"
        budget = Budget("smoke", 2, why=why, note=note)
    else:
        imagenet, note = _imagenet()
        budget = Budget("full", 5, _photographs(), imagenet, why, note)
    print(budget)
    return budget


def _photographs() -> str | None:
    folder = os.environ.get("COURSE_IMAGES")
    if not folder:
        return None
    path = Path(folder).expanduser()
    if not path.is_dir():
        from helpers.tasks import EMBEDDED

        if folder in EMBEDDED:
            return None
        raise ValueError(
            f"COURSE_IMAGES is {folder!r}, which is no folder: let it name a folder with one folder of photographs a "
            "class, or remove it"
        )
    return str(path)


def _imagenet() -> tuple[str | None, str]:
    """A model whose weights are on this machine, or can be downloaded; and what to say about it."""
    addresses = {name: get_model_weights(name)["DEFAULT"].url for name in WANTED}
    cache = Path(torch.hub.get_dir(), "checkpoints")
    for name, url in addresses.items():
        if Path(cache, Path(urlparse(url).path).name).is_file():
            return name, ""
    host = urlparse(addresses[WANTED[0]]).hostname
    if _reachable(host):
        return WANTED[0], f", which are downloaded from {host} when first used"
    return None, ""


def _reachable(host: str, seconds: float = 3.0) -> bool:
    """Whether a connection can be opened. In a thread, because looking up a name has no time limit of its own."""
    found = []

    def knock():
        try:
            socket.create_connection((host, 443), timeout=seconds).close()
        except OSError:
            return
        found.append(True)

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)
