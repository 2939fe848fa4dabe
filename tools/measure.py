"""Measure what the course quotes: `make results`. Writes helpers/data/*.json, the headline figure and its sentence.

embedded      goldfinches and flowers, 5 training images a class: scratch, feature extraction, fine-tuning
photographs   the same on real photographs, 20 a class, where the environment variable COURSE_PHOTOS names a folder
              of class folders
probe         there, with ImageNet weights from torchvision's cache
budget        how many steps training from scratch needs, measured on the validation images
and the studies of the lectures and labs, by the names of the modules in tools/studies

suite and real, which take more than a day, are measured only where they are named: `make results NAMES="suite real"`.
"""

import argparse
import json
import os
import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas
from studies import choosing, front, imagenet, markdown, real, studies, suite

from helpers.images.catalog import CARDS
from helpers.images.tasks import EMBEDDED, PHOTO_SIZE, open_task
from helpers.notebook.progress import Progress
from helpers.training.devices import provenance
from helpers.training.fitting import fit
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.training.study import compare, load_study

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "helpers/data"
RECIPES = [replace(recipe, source="garden") for recipe in (SCRATCH, FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE)]
BUDGETS = (100, 200, 400, 800)
PHOTOGRAPHS = "photographs of 5 kinds of flowers"
PROBE_SOURCE = "efficientnet_lite0"
COMMAND = "python tools/measure.py"
LONG = ("suite", "real")  # more than a day
COMPARISONS = ("goldfinches-5", "flowers-5", "photographs-20", "photographs-20-imagenet")


def measure_embedded(seeds: int) -> None:
    """Goldfinches and flowers, 5 training images a class."""
    for name in ("goldfinches", "flowers"):
        compare(RECIPES, open_task(name, per_class=5), seeds).save(DATA / f"study-{name}-5.json", f"{COMMAND} embedded")


def measure_photographs(seeds: int) -> None:
    """Real photographs, 20 a class, from the garden at 64 px."""
    folder = os.environ.get("COURSE_PHOTOS")
    if not folder:
        print("photographs: left out, COURSE_PHOTOS names no folder of class folders")
        return
    result = compare(RECIPES, open_task(folder, per_class=20, size=64), seeds)
    result.question = f"{PHOTOGRAPHS}, 20 training images a class, 64 px"
    result.save(DATA / "study-photographs-20.json", f"{COMMAND} photographs")


def measure_probe(seeds: int) -> None:
    """Real photographs again, at 128 px: a linear probe of ImageNet weights."""
    folder = os.environ.get("COURSE_PHOTOS")
    if not folder:
        print("probe: left out, COURSE_PHOTOS names no folder of class folders")
        return
    task = open_task(folder, per_class=20, size=128)
    probe = replace(FEATURE_EXTRACTION, source=PROBE_SOURCE, name=f"feature extraction, {PROBE_SOURCE}")
    started = time.process_time()
    fit(probe, task)
    seconds = time.process_time() - started
    result = compare([probe], task, seeds)
    result.about["CPU seconds of one fit, with loading and test"] = f"{seconds:.1f}"
    result.question = f"{PHOTOGRAPHS}, 20 training images a class, 128 px"
    result.save(DATA / "study-photographs-20-imagenet.json", f"{COMMAND} probe")


def measure_budget(seeds: int) -> None:
    """Validation accuracy of training from scratch against the number of steps, several seeds."""
    tasks = {"goldfinches": open_task("goldfinches", 5, val=100), "flowers": open_task("flowers", 5, val=100)}
    if folder := os.environ.get("COURSE_PHOTOS"):
        tasks[PHOTOGRAPHS] = open_task(folder, 20, val=0.25)
    rows = []
    progress = Progress(len(tasks) * seeds * sum(BUDGETS), "from scratch, at several budgets:")
    for name, task in tasks.items():
        for steps in BUDGETS:
            for seed in range(seeds):
                run = fit(replace(SCRATCH, steps=steps), task.draw(seed), seed, progress=progress)
                rows.append({"task": name, "steps": steps, "seed": seed, "n": len(task.val),
                             "val_accuracy": run.history.val_accuracy.iloc[-1]})  # fmt: skip
    progress.done(f"from scratch: {len(rows)} runs at {len(BUDGETS)} budgets")
    table = {"about": provenance(), "rows": rows}
    (DATA / "scratch-budget.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def budget_table() -> pandas.DataFrame:
    """The shipped budgets: mean validation accuracy in %, a row a task, a column a number of steps."""
    rows = pandas.DataFrame(json.loads((DATA / "scratch-budget.json").read_text(encoding="utf-8"))["rows"])
    return (100 * rows.groupby(["task", "steps"]).val_accuracy.mean()).unstack().round(1)


def own_images() -> str:
    """What the three lines of the README give on photographs, in words."""
    row = load_study("real-resolution").table("size").loc[PHOTO_SIZE]
    return (
        f"On photographs of five kinds of flowers, 20 of each to train on, this classifies {row['accuracy %']:.0f}% "
        f"(95% interval {row['low']:.0f} to {row['high']:.0f}) of {row['n']:.0f} test photographs correctly, at {PHOTO_SIZE} px."
    )


def results_table() -> str:
    """All shipped comparisons as one Markdown table."""
    rows = []
    for file in COMPARISONS:
        if not (DATA / f"study-{file}.json").exists():
            continue
        result = load_study(file)
        gains = result.paired("recipe", SCRATCH.name) if SCRATCH.name in set(result.runs.recipe) else None
        for name, row in result.table("recipe").iterrows():
            gain = ""
            if gains is not None and name != SCRATCH.name:
                by = gains.loc[name]
                gain = f"{by['points']:+.1f} ({by['low']:+.1f} to {by['high']:+.1f})"
            accuracy = f"{row['accuracy %']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
            rows.append([result.question, name, accuracy, gain, f"{row['seeds']:.0f}, {row['n']:.0f}"])
    return markdown(["on", "recipe", "accuracy % (95% interval)", "gain over scratch, points", "seeds, n"], rows)


def stamp(path: Path, texts: dict[str, str]) -> None:
    """Put each text between its marks, <!-- name --> and <!-- /name -->, in a Markdown file or notebook."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        notebook = json.loads(content)
        for cell in notebook["cells"]:
            cell["source"] = _stamped("".join(cell["source"]), texts).splitlines(keepends=True)
        content = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    else:
        content = _stamped(content, texts)
    path.write_text(content, encoding="utf-8")


def _stamped(content: str, texts: dict[str, str]) -> str:
    for name, text in texts.items():
        marks = re.compile(rf"(<!-- {re.escape(name)} -->).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
        content = marks.sub(lambda found, text=text: found[1] + text + found[2], content)
    return content


def sources_table() -> str:
    """The tasks of photographs as a Markdown table."""
    cards = [card for name, card in CARDS.items() if name not in EMBEDDED]
    rows = [[f'`"{card.name}"`', f"{card.title}: {card.images}", card.source, card.licence] for card in cards]
    return markdown(["`h.open_task(...)`", "what", "source", "licence"], rows)


def stamps() -> dict[str, str]:
    """The sentences and tables in the texts that come from the shipped results."""
    budgets = budget_table()
    head = ["from scratch, % of validation images", *(f"{steps} steps" for steps in budgets)]
    rows = [[name, *(f"{value:.1f}" for value in row)] for name, row in budgets.iterrows()]
    return {
        "headline": front.sentence(),
        "own": own_images(),
        "results": "\n\n" + results_table() + "\n\n",
        "sources": "\n\n" + sources_table() + "\n\n",
        "budget": "\n\n" + markdown(head, rows) + "\n\n",
    } | {name: text for study in studies().values() for name, text in study.stamps().items()}


PATTERNS = ("notebooks/0[1-9]*.ipynb", "notebooks/appendix/*.ipynb")
LECTURES = [path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
LABS = ("solutions/lab4_bug_museum.ipynb", "labs/capstone.md")  # then `make labs`
STAMPED = ("README.md", "docs/source_model.md", "docs/photographs.md", "docs/instructors/lab1_flowers.md",
           "notebooks/00_start_here.ipynb", *LECTURES, *LABS)  # fmt: skip


def parts() -> dict:
    """{name: what measures it, called with a number of seeds} of everything that can be named."""
    return {
        "embedded": measure_embedded,
        "photographs": measure_photographs,
        "probe": measure_probe,
        "budget": measure_budget,
        **{name: study.run for name, study in studies().items()},
        **{f"suite-{source}": partial(suite.measure, source) for source in suite.PLACES},
        **{f"real-{name}": partial(real.measure, name) for name in real.STUDIES},
        "real-scores": choosing.real_scores,
        "texts": lambda seeds: None,  # what always happens at the end
    }


def by_default() -> list[str]:
    """What is measured if nothing is named: all but the suite and the real studies, which take more than a day."""
    return [part for part in parts() if part.partition("-")[0] not in LONG]


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(prog="python tools/measure.py", description=__doc__.splitlines()[0])
    known = parts()
    parser.add_argument("parts", nargs="*", help=f"{', '.join(known)} (brings figure and texts up to date); default: all but "
                        f"those that begin with {' or '.join(LONG)}, which take more than a day")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - known.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    for part in options.parts or by_default():
        known[part](options.seeds)
    front.figure().savefig(ROOT / "docs/headline.png", dpi=100)
    if (DATA / "study-imagenet.json").exists():
        imagenet.figure().savefig(ROOT / "docs/photographs.png", dpi=100)
    real.draw_figures(ROOT / "docs")
    texts = stamps()
    for file in filter(lambda file: (ROOT / file).exists(), STAMPED):  # students do not get all of them
        stamp(ROOT / file, texts)
    print(results_table())


if __name__ == "__main__":
    main()
