"""Real photographs and ImageNet weights: do the four variants rank there as they do on the embedded images?

study-imagenet.json: SqueezeNet on photographs of five kinds of flowers at 128 px; from scratch, a probe, a probe and then
fine-tuning, and everything fine-tuned at once, with 5, 20 and 100 labels a class. Needs COURSE_PHOTOS (a folder of class
folders) and torchvision's weights. study-imagenet-rates.json: how the learning rates were chosen, by validation images,
on a draw of training images that the study itself does not use. study-imagenet-changed.json: the same with more steps,
and a probe without augmentation.
"""

import os
from dataclasses import replace

from helpers.images.tasks import Task, open_task
from helpers.lessons.studies import percent, points
from helpers.lessons.variants.imagenet import RECIPES, best_rates, tuned
from helpers.training.charts import plot_lines
from helpers.training.study import SHIPPED, Case, Study, join_studies, load_study, run_study
from studies import markdown

QUESTION = "What are ImageNet weights worth on real photographs?"
COMMAND = "python tools/measure.py imagenet"
SIZE, VAL = 128, 10
LABELS = (5, 20, 100)
TRIAL_SEED, TRIAL_LABELS, TRIAL_VAL = 100, 20, 60
# What may explain what they give: other pictures for the probe, more steps for the rest.
CHANGED = {
    "scratch, 480 steps": ("scratch", {"steps": 480}, (100,)),
    "probe, nothing augmented": ("probe", {"augment": False, "views": 0}, LABELS),
    "probe, then fine-tune, 240 steps": ("probe, then fine-tune", {"steps": 240}, (100,)),
    "fine-tune all, 240 steps": ("fine-tune all", {"steps": 240}, (100,)),
}
TRIED = {"scratch": (2.5e-4, 5e-4, 1e-3), "probe": (3e-4, 1e-3, 3e-3, 1e-2), "fine-tune all": (1e-4, 3e-4, 1e-3)}


def run(seeds: int) -> None:
    """Measure it, if the photographs are here: about three hours on one CPU core. Written after every seed."""
    folder = os.environ.get("COURSE_PHOTOS")
    if not folder:
        print("imagenet: left out, COURSE_PHOTOS names no folder of class folders")
        return
    trials, done = try_rates(folder), []
    trials.save(SHIPPED / "study-imagenet-rates.json", COMMAND)
    for seed in range(seeds):
        done.append(measure(folder, [seed], best_rates(trials)))
        join_studies(*done).save(SHIPPED / "study-imagenet.json", COMMAND)
    explain(folder, seeds, best_rates(trials)).save(SHIPPED / "study-imagenet-changed.json", COMMAND)


def photographs(folder: str, per_class: int, val: int = VAL) -> Task:
    """The photographs at 128 px; the test images are the same whatever is set aside to choose settings with."""
    return open_task(folder, per_class, size=SIZE, val=val)


def try_rates(folder: str, recipes=tuple(TRIED)) -> Study:
    """Each rate once, on training images of another draw and with 60 validation images a class, by which best_rates chooses."""
    task = photographs(folder, TRIAL_LABELS, TRIAL_VAL)
    cases = [
        Case({"recipe": name, "lr": lr}, replace(RECIPES[name], lr=lr), task) for name in recipes for lr in TRIED[name]
    ]
    return run_study("Which learning rate suits each recipe on the photographs?", cases, [TRIAL_SEED], keep_history=True)


def measure(folder: str, seeds, rates: dict[str, float]) -> Study:
    """The table: every recipe at every number of labels."""
    cases = [
        Case({"recipe": name, "per_class": number}, tuned(name, rates), task)
        for number in LABELS
        for task in [photographs(folder, number)]
        for name in RECIPES
    ]
    return run_study(QUESTION, cases, seeds)


def explain(folder: str, seeds, rates: dict[str, float], names=None) -> Study:
    """The same draws with one thing changed in a recipe: all of CHANGED, or those that `names` names."""
    cases = [
        Case({"recipe": name, "per_class": number}, replace(tuned(of, rates), **settings), photographs(folder, number))
        for name, (of, settings, numbers) in ((name, CHANGED[name]) for name in names or CHANGED)
        for number in numbers
    ]
    return run_study("What do the recipes lack on the photographs?", cases, seeds)


def figure():
    """Test accuracy against labels a class, a line a recipe. A matplotlib Figure."""
    return plot_lines(load_study("imagenet"), "per_class", "recipe", height=4.4)


def alt() -> str:
    """What is to be seen in the figure, in words, with its numbers."""
    table = load_study("imagenet").table(["recipe", "per_class"])["accuracy %"].unstack()
    lines = [f"{name} {', '.join(f'{value:.0f}' for value in table.loc[name])}" for name in RECIPES]
    return f"Test accuracy in % with {', '.join(map(str, LABELS))} training photographs a class: {'; '.join(lines)}."


def with_changes() -> Study:
    """The study together with the runs that explain it: the recipes of CHANGED stand beside the others."""
    study = load_study("imagenet")
    return join_studies(study, replace(load_study("imagenet-changed"), question=study.question))


def stamps() -> dict[str, str]:
    """The tables and numbers of docs/photographs.md."""
    study, trials, everything = load_study("imagenet"), load_study("imagenet-rates"), with_changes()
    table, rates = study.table(["per_class", "recipe"]), best_rates(trials)
    rows = [[str(number), *(percent(table.loc[(number, name)]) for name in RECIPES)] for number in LABELS]
    changes = {
        f"photographs.{_short(name)}-{_short(baseline)}-{number}": points(row)
        for baseline in RECIPES
        for (number, name), row in study.paired("recipe", baseline, by=["per_class"]).iterrows()
    }
    columns = ["with 100 photographs a class", "as above", "four times the steps", "difference", "against the probe", "seeds"]
    changed = []
    means = everything.select(per_class=100).table("recipe")
    for name, (of, _, numbers) in CHANGED.items():
        for number in numbers:
            pair = everything.select(recipe=[name, of], per_class=number).paired("recipe", of, by=[])
            changes[f"photographs.{_short(name)}-{number}"] = points(pair.iloc[0])
        if numbers == (100,):
            probe = everything.select(recipe=[name, "probe"], per_class=100).paired("recipe", "probe", by=[]).iloc[0]
            cells = percent(means.loc[of]), percent(means.loc[name]), points(pair.iloc[0]), points(probe)
            changed.append([of, *cells, str(pair.seeds.iloc[0])])
    best, scratch = "probe, then fine-tune, 240 steps", "scratch, 480 steps"
    longest = everything.select(recipe=[best, scratch], per_class=100).paired("recipe", scratch, by=[])
    changes["photographs.probe-fine-tune-scratch-longer"] = points(longest.iloc[0])
    return changes | {
        "photographs.changed": "\n\n" + markdown(columns, changed) + "\n\n",
        "photographs": "\n\n" + markdown(["training photographs a class", *RECIPES], rows) + "\n\n",
        "photographs.figure": f"\n\n![{alt()}](photographs.png)\n\n",
        "photographs.rates": ", ".join(f"{name} {rates[name]:g}" for name in TRIED),
        "photographs.n": f"{study.runs.n.iloc[0]} test images, {study.runs.seed.nunique()} seeds",
    }


def _short(name: str) -> str:
    return name.replace(", then ", " ").replace(", ", " ").replace(" ", "-")
