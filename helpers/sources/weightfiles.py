"""Torchvision's weights: where torchvision keeps them, fetched as all else is, and read without running code."""

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import urlparse

import torch
from torch import nn
from torchvision.models import WeightsEnum, get_model


def download(name: str, weights: WeightsEnum, offline: bool | None = None) -> nn.Module:
    """Torchvision's model with these weights, fetched into torch.hub's own folder if they are not there yet.

    What is fetched is held against the hash in its name. What is there is taken as torchvision takes it: by its name.
    Raises downloads.Offline (and Refused, Gone), and ValueError for a file that cannot be read.
    """
    from helpers.data.downloads import fetch  # requests is needed for nothing else here

    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if not file.is_file():
        instead = "load_backbone('garden'), the source model that comes with the course"
        fetch(weights.url, file, what=f"{weights}, torchvision's weights", instead=instead, forbid=offline)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if not digest.startswith(file.stem.rpartition("-")[2]):  # torchvision's names hold the beginning of the hash
            file.unlink()
            raise ValueError(f"{weights}: {weights.url} has the sha256 {digest}, not that of its name. It was not kept.")
    try:
        with _no_code_in_checkpoints():
            return get_model(name, weights=weights)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        why = "it is damaged, or holds objects that would run code" if isinstance(error, UnpicklingError) else error
        raise ValueError(f"{file} cannot be read ({why}): delete it, to download it anew") from None


@contextmanager
def _no_code_in_checkpoints():
    """Torchvision loads weights as pickles that may run code; with this variable, torch refuses to run any."""
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before
