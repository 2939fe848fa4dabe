"""The one switch of a notebook: how much is run, chosen from the hardware."""

import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from torchvision.models import get_model_weights

from helpers.data.files import cache_folder
from helpers.images.catalog import CARDS, meant
from helpers.training.devices import device

# ImageNet models that are worth having on a machine, the usual first choice first.
WANTED = ("resnet18", "resnet50", "resnet34", "efficientnet_b0", "mobilenet_v3_small", "squeezenet1_0")
PHOTOGRAPHS = "flowers102"  # the task that is proposed if none is chosen


@dataclass(frozen=True)
class Budget:
    """How much a notebook runs.

    name      "quick": a few minutes on two CPU cores, offline. "full": more seeds and data, meant for a GPU
    seeds     how many seeds a comparison takes
    images    real photographs, as `open_task` takes them: "flowers102", a folder or zip of class folders; or None
    imagenet  a name for `load_backbone` whose ImageNet weights are available, or None
    why       why this budget was chosen
    """

    name: str
    seeds: int
    images: str | None = None
    imagenet: str | None = None
    why: str = ""

    @property
    def full(self) -> bool:
        return self.name == "full"

    def __repr__(self) -> str:
        images = "embedded images"
        if self.images:
            images = f'photographs of "{self.images}"' if self.images in CARDS else f"photographs in {Path(self.images).name}"
        weights = f", torchvision's {self.imagenet}" if self.imagenet else ""
        return f"{self.name} budget: {self.seeds} seeds, {images}{weights} ({self.why})"


def choose_budget(name: str | None = None, images: str | Path | None = None) -> Budget:
    """Choose how much the notebook runs, and on which images; print it in one line, and return it.

    name: "quick" or "full"; else the environment variable COURSE_RUN decides; else it is "full" if there is a GPU, and
    "quick" if there is none, or only Apple's.
    images: photographs for the cells that can use some: the name of a task (`h.describe()`), a folder with one folder per
    class, or a zip of one; else, with the full budget only, the environment variable COURSE_IMAGES.
    Only "full" looks for ImageNet weights (in torchvision's cache) and tells you which photographs you could use. For
    what is not on this machine it asks one server, once, for 3 seconds at most, and none if COURSE_OFFLINE is set.
    Nothing is downloaded here.
    Raises ValueError for another name, and for images that are neither a task, a folder nor a zip.
    """
    variable, where = "the environment variable COURSE_RUN", device().type
    if name is not None:
        origin, why = "choose_budget", "you asked for it here"
    elif name := os.environ.get("COURSE_RUN"):
        origin, why = variable, f"{variable} says so"
    elif where in ("cpu", "mps"):
        found = "no GPU" if where == "cpu" else "an Apple GPU (mps)"
        name, origin, why = "quick", "", f'there is {found}; h.choose_budget("full") runs more'
    else:
        name, origin, why = "full", "", f'there is a GPU ({where}); h.choose_budget("quick") runs less'
    if name not in ("quick", "full"):
        raise ValueError(f'{origin} takes "quick" or "full", got {name!r}')
    if name == "quick":
        budget, notes = Budget("quick", 3, _photographs(images, "images"), why=why), []
    else:
        photographs = _photographs(images, "images") if images else _photographs(os.environ.get("COURSE_IMAGES"), "COURSE_IMAGES")
        imagenet, notes = _available(offer=not photographs)
        budget = Budget("full", 5, photographs, imagenet, why)
    print("; ".join([str(budget), *notes]))
    return budget


def _photographs(given: str | Path | None, setting: str) -> str | None:
    if not given:
        return None
    if str(given) in CARDS:
        return None if CARDS[str(given)].embedded else str(given)
    path = Path(given).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip"):
        return str(path)
    named = ", ".join(name for name, card in CARDS.items() if not card.embedded)
    raise ValueError(
        f"{setting} is {str(given)!r}, which is no folder and no zip: name one of {named}, a folder with one folder of "
        f"photographs per class, or a zip of that.{meant(str(given))}"
    )


def _available(offer: bool) -> tuple[str | None, list[str]]:
    """A model whose ImageNet weights are on this machine or can be downloaded, and what to say about that.

    offer: also name photographs that could be used. If COURSE_OFFLINE is set, or all that is needed is here, no server is asked.
    """
    from helpers.data.downloads import offline  # which imports requests

    addresses = {name: urlparse(get_model_weights(name)["DEFAULT"].url) for name in WANTED}
    folder, server = Path(torch.hub.get_dir(), "checkpoints"), addresses[WANTED[0]].hostname
    imagenet = next((name for name, url in addresses.items() if (folder / Path(url.path).name).is_file()), None)
    here = (cache_folder() / PHOTOGRAPHS / "listed.json").is_file()  # written when all of it is here
    asked = imagenet is None or (offer and not here)
    network = asked and not offline() and _reachable(server)
    notes, how = [], f'h.choose_budget(images="{PHOTOGRAPHS}")'
    if imagenet is None and network:
        imagenet = WANTED[0]
        notes.append(f"these weights are downloaded from {server} when first used")
    elif imagenet is None and offline():
        notes.append("there are none on this machine, and COURSE_OFFLINE forbids downloads")
    if offer and here:
        notes.append(f"{PHOTOGRAPHS} is on this machine: {how} takes it")
    elif offer and network:
        notes.append(f"{PHOTOGRAPHS} can be downloaded ({CARDS[PHOTOGRAPHS].megabytes}): {how} does so")
    return imagenet, notes


def _reachable(host: str, seconds: float = 3.0) -> bool:
    """Whether a connection can be opened. In a thread, because looking up a name has no time limit of its own."""
    found = []

    def connect():
        try:
            socket.create_connection((host, 443), timeout=seconds).close()
            found.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)
