"""The headline comparison in the terminal, in about a minute, with a figure in a file: `make demo`."""

import time
from pathlib import Path

from helpers import FEATURE_EXTRACTION, SCRATCH, compare, diff, open_task

SEEDS = 3


def main(folder: Path = Path()) -> None:
    """Compare, print the tables, write demo.png into `folder`."""
    started = time.monotonic()
    task = open_task("flowers", per_class=5)
    print("Five pictures each of ten kinds of flowers. How far does a network get that starts from nothing, and how")
    print("far one that was trained on other things before, and only gets a new head? What differs between the two:\n")
    print(diff(SCRATCH, FEATURE_EXTRACTION), "\n", flush=True)
    result = compare([SCRATCH, FEATURE_EXTRACTION], task, seeds=SEEDS)
    print(f"\n{result.table(also=['trained', 'seconds']).to_string()}")
    print("\nOn the same images, in points, with 95% intervals:")
    print(result.paired("recipe", "scratch").to_string(), "\n")
    figure = folder / "demo.png"
    result.plot().savefig(figure, dpi=120)
    print(f"The figure is in {figure.absolute()}. That took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
