"""The one switch of a notebook: how much is run, chosen from the hardware."""

import os
import socket
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

import torch
from torchvision.models import get_model_weights

from helpers.images.catalog import CARDS, meant
from helpers.training.devices import device

# ImageNet models that are worth having here, the usual first choice first.
WANTED = ("resnet18", "resnet50", "resnet34", "efficientnet_b0", "mobilenet_v3_small", "squeezenet1_0")
PHOTOGRAPHS = "flowers102"  # the task that is proposed where none is chosen


@dataclass(frozen=True)
class Budget:
    """How much a notebook runs.

    name      "quick": a few minutes on two CPU cores, offline. "full": more seeds and data, meant for a GPU.
    seeds     how many seeds a comparison takes
    images    real photographs, as `open_task` takes them: "flowers102", a folder or zip of class folders; or None
    imagenet  a name for `load_backbone` whose ImageNet weights can be had, or None
    why       why this budget was chosen
    """

    name: str
    seeds: int
    images: str | None = None
    imagenet: str | None = None
    why: str = ""
    note: str = field(default="", compare=False)  # what is to be known about the weights
    offer: str = field(default="", compare=False)  # photographs that could be had, and how

    @property
    def full(self) -> bool:
        return self.name == "full"

    def __repr__(self) -> str:
        images = "embedded images"
        if self.images:
            images = f'photographs of "{self.images}"' if self.images in CARDS else f"photographs in {Path(self.images).name}"
        weights = f"ImageNet weights of {self.imagenet}" if self.imagenet else "no ImageNet weights"
        return f"{self.name} budget: {self.seeds} seeds, {images}, {weights}{self.note} ({self.why}){self.offer}"


def choose_budget(name: str | None = None, images: str | Path | None = None) -> Budget:
    """Choose how much the notebook runs, and on which images, say it in one line, and return it.

    name: "quick" or "full"; else the environment variable COURSE_RUN decides; else it is "full" where PyTorch has an
    accelerator (a GPU) and "quick" elsewhere.
    images: the photographs for the cells that can take some: the name of a task (`h.describe()`), a folder with one
    folder a class, a zip of one; else, with the full budget only, the environment variable COURSE_IMAGES says which.
    Only "full" looks for ImageNet weights (torchvision's cache), and says which photographs could be had. For what is
    not on this machine one server is asked, once, for 3 seconds at most, and none where COURSE_OFFLINE is set. Nothing
    is downloaded here.
    Raises ValueError for another name, and for images that are neither a task, a folder nor a zip.
    """
    gpu = device().type if device().type != "cpu" else ""
    if name is not None:
        origin, why = "choose_budget", "you asked for it here"
    elif name := os.environ.get("COURSE_RUN"):
        origin, why = "the environment variable COURSE_RUN", "the environment variable COURSE_RUN says so"
    elif gpu:
        name, origin, why = "full", "", f'there is a GPU ({gpu}); h.choose_budget("quick") runs less'
    else:
        name, origin, why = "quick", "", 'there is no GPU; h.choose_budget("full") runs more'
    if name not in ("quick", "full"):
        raise ValueError(f'{origin} takes "quick" or "full", got {name!r}')
    if name == "quick":
        budget = Budget("quick", 3, _photographs(images, "images"), why=why)
    else:
        network = cache(_network)  # asked once, if at all
        imagenet, note = _imagenet(network)
        photographs = _photographs(images, "images") if images else _photographs(os.environ.get("COURSE_IMAGES"), "COURSE_IMAGES")
        budget = Budget("full", 5, photographs, imagenet, why, note, "" if photographs else _offer(network))
    print(budget)
    return budget


def _photographs(given: str | Path | None, setting: str) -> str | None:
    if not given:
        return None
    if str(given) in CARDS:
        return None if CARDS[str(given)].embedded else str(given)
    path = Path(given).expanduser()
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() == ".zip"):
        named = ", ".join(name for name, card in CARDS.items() if not card.embedded)
        raise ValueError(
            f"{setting} is {str(given)!r}, which is no folder and no zip: let it name one of {named}, a folder with one "
            f"folder of photographs a class, or a zip of that.{meant(str(given))}"
        )
    return str(path)


def _imagenet(network) -> tuple[str | None, str]:
    """A model whose weights are on this machine, or can be downloaded; and what to say about it."""
    here = Path(torch.hub.get_dir(), "checkpoints")
    for name in WANTED:
        if Path(here, Path(urlparse(_address(name)).path).name).is_file():
            return name, ""
    if network():
        return WANTED[0], f", which are downloaded from {urlparse(_address(WANTED[0])).hostname} when first used"
    return None, " on this machine, and COURSE_OFFLINE forbids to fetch any" if _forbidden() else ""


def _offer(network) -> str:
    """Which photographs could be had, and how; "" if none."""
    card = CARDS[PHOTOGRAPHS]
    how = f'h.choose_budget(images="{card.name}")'
    if _is_here(card):
        return f"; {card.name} is on this machine: {how} takes it"
    return f"; {card.name} can be downloaded ({card.megabytes}): {how} does so" if network() else ""


def _is_here(card) -> bool:
    from helpers.data.files import cache_folder

    if not Path(cache_folder(), card.name).is_dir():
        return False
    from helpers.images.published import load

    try:
        load(card, offline=True)
    except (OSError, ValueError):  # not whole, or changed
        return False
    return True


def _address(name: str) -> str:
    return get_model_weights(name)["DEFAULT"].url


def _forbidden() -> bool:
    from helpers.data.downloads import offline  # which imports requests

    return offline()


def _network() -> bool:
    """Whether something could be downloaded now. Where COURSE_OFFLINE is set, nobody is asked."""
    return not _forbidden() and _reachable(urlparse(_address(WANTED[0])).hostname)


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
