"""Transfer in the terminal, in about a minute, with a figure in a file: `make demo`, or `make demo FOLDER=my_birds`.

What a network has learnt on ImageNet, against the same network with random weights: both frozen, each with a new head.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from helpers import FEATURE_EXTRACTION, compare, diff, open_task

LEARNT = replace(FEATURE_EXTRACTION, name="learnt on ImageNet", source="efficientnet_lite0")
RANDOM = replace(LEARNT, name="random", copied=0)  # nothing is copied from the source


def main(folder: str | None = None, place: Path = Path(), **settings) -> None:
    """Compare on drawn flowers, or on a folder of class folders; print the table, write demo.png into `place`."""
    started = time.monotonic()
    if folder is None:
        task = open_task("flowers", per_class=5, **{"size": 128, "test": 50} | settings)
        print("Five drawings each of ten kinds of flowers, none of which the network has ever seen.")
    else:
        task = open_task(folder, on_bad="skip", **{"per_class": 20, "together": True} | settings)
        print(task.describe(), "\n")
    print("What is a network worth that was trained on ImageNet and only gets a new head, against the same network with")
    print("random weights? What differs between the two:\n")
    print(diff(RANDOM, LEARNT), "\n", flush=True)
    result = compare([RANDOM, LEARNT], task, seeds=1)
    print(f"\n{result.table(also=['trained', 'seconds']).to_string()}\n")
    figure = place / "demo.png"
    result.plot().savefig(figure, dpi=120)
    print(f"The figure is in {figure.absolute()}. That took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main(*sys.argv[1:2])
