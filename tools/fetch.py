"""Fetch beforehand what a lesson needs, so that it runs without a network afterwards.

    python tools/fetch.py                          list what could be fetched, and what is here already
    python tools/fetch.py flowers102 resnet18      fetch photographs and weights, whatever is missing of them
    python tools/fetch.py flowers102 --size 224    decode the photographs, too: for a folder that is read-only later

A name is a task of `describe()` or a source model of `load_backbone`. Photographs go to the cache folder (COURSE_CACHE),
weights to PyTorch's own (TORCH_HOME) or, those of timm, to Hugging Face's (HF_HOME): set these first to fill a folder that
many share. Exit status: 0 if everything is here then, 1 if something is missing, 2 for an unknown name, 130 if interrupted.
"""

import argparse
import sys

from helpers.data.downloads import Offline, megabytes
from helpers.data.files import cache_folder
from helpers.images.catalog import CARDS, meant
from helpers.images.published import load
from helpers.lessons.budget import PHOTOGRAPHS, WANTED
from helpers.sources.backbones import load_backbone, shipped_sources
from helpers.sources.from_package import EFFICIENTNET

PUBLISHED = [name for name, card in CARDS.items() if not card.embedded]
PROPOSED = [*PUBLISHED, *WANTED]


def main(arguments: list[str] | None = None) -> int:
    """What the command does; returns its exit status."""
    given = _arguments(arguments)
    if not given.names:
        for name in PROPOSED:
            print(f"  {name:20} {'here' if is_here(name) else f'not here, {_size(name)}'}")
        print(f"{_places()}\nTo fetch what is not here, name it: python tools/fetch.py {PHOTOGRAPHS} {WANTED[0]}")
        return 0
    failed = []
    for name in dict.fromkeys(given.names):
        try:
            print(_bring(name, given.size), flush=True)
        except KeyboardInterrupt:
            print(f"\n{name}: stopped. What was fetched is kept; the same command goes on from there.")
            return 130
        except (OSError, ValueError, ImportError) as error:
            failed.append(name)
            print(f"{name}: FAILED. {error}", flush=True)
    print(_places())
    if failed:
        print(f"Missing: {', '.join(failed)}. What was fetched is kept; the same command goes on where it stopped.")
    return 1 if failed else 0


def is_here(name: str) -> bool:
    """Whether a task or a source model can be opened without any connection. None is made."""
    try:
        _open(name, offline=True)
    except (Offline, ModuleNotFoundError, ValueError):  # nothing, no library that would read it, or something damaged
        return False
    return True


def _bring(name: str, size: int | None) -> str:
    """Fetch what is missing of `name`, and say how it is then."""
    here = is_here(name)
    if not here:
        _open(name, offline=None)
    decoded = ""
    if size and name in PUBLISHED:
        from helpers.images.tasks import open_task

        open_task(name, size=size, on_bad="skip")
        decoded = f", and decoded at {size} x {size} pixels"
    return f"{name}: {'here already' if here else 'fetched'}{decoded}"


def _open(name: str, offline: bool | None) -> None:
    if name in PUBLISHED:
        load(CARDS[name], offline=offline)
    elif name not in CARDS:
        load_backbone(name, offline=offline)


def _size(name: str) -> str:
    if name in CARDS:
        return CARDS[name].megabytes
    from torchvision.models import get_model_weights

    return megabytes(get_model_weights(name)["DEFAULT"].meta["_file_size"] * 2**20)


def _places() -> str:
    import torch

    home = torch.hub.get_dir().removesuffix("/hub").removesuffix("\\hub")
    return f"Photographs are in {cache_folder()} (COURSE_CACHE), weights in {home} (TORCH_HOME)."


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    from torchvision.models import list_models

    about, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser("python tools/fetch.py", description=about, epilog=rest,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="a task such as flowers102, or a source model such as resnet18")
    parser.add_argument("--size", type=int, help="decode photographs to so many pixels a side, too")
    given = parser.parse_args(arguments)
    for name in given.names:
        if not (name in CARDS or name.startswith("timm:") or name in [*shipped_sources(), EFFICIENTNET, *list_models()]):
            parser.error(f"{name!r} is neither a task ({', '.join(CARDS)}) nor a source model.{meant(name)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
