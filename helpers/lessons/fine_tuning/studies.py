"""The studies of lecture 4: fine-tuning well. Each compares recipes on the same seeds and images.

warmup      study-tuning-warmup.json      the head first, or everything at once? At four rates, on the test images and on
            the same subjects before another background; how far the features move
transplant  study-tuning-transplant.json  the first stages from the source, the others random; the copied ones frozen or not
switches    study-tuning-switches.json    one setting at a time against a common baseline
batchnorm   study-tuning-batchnorm.json   BatchNorm four ways, with batches of 32 and of 4
subsets     study-tuning-subsets.json     training few parameters: GardenNet, and LoRA on GardenViT
"""

from dataclasses import replace
from functools import cache

import torch

from helpers.images.drawn.garden import render_split
from helpers.images.tasks import open_task
from helpers.lessons.fine_tuning.movement import features_moved
from helpers.lessons.studies import percent, points
from helpers.sources.backbones import load_backbone
from helpers.training.curves import overfitting, paired_values
from helpers.training.fitting import Fit
from helpers.training.recipes import BATCHNORM, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH, Recipe
from helpers.training.study import SHIPPED, Case, join_studies, load_study, run_study

COMMAND = "python tools/measure.py tuning"
STEPS, HEAD_STEPS = 150, 50  # everything from the start for 150 steps, or after 50 of the head alone for 100
AT_ONCE = replace(FINE_TUNE_ALL, name="all at once", steps=STEPS)
HEAD_FIRST = replace(PROBE_THEN_FINE_TUNE, name="head first", steps=STEPS - HEAD_STEPS, head_steps=HEAD_STEPS)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DEPTHS = {"to layer1": "layer2", "to layer2": "layer3", "to layer3": "layer4", "to layer4": -1}

# One setting at a time, against AT_ONCE as it stands: a rate of 1e-3, one cycle, weight decay 0.05, augmentation.
SWITCHES = {
    "baseline": {},
    "head first": {"steps": STEPS - HEAD_STEPS, "head_steps": HEAD_STEPS},
    "lower rates for earlier stages": {"decay": 0.5},
    "gradual unfreezing": {"gradual": True},
    "no weight decay": {"weight_decay": 0.0},
    "ten times the weight decay": {"weight_decay": 0.5},
    "early stopping": {"patience": 2},
    "no augmentation": {"augment": False},
    "constant rate": {"schedule": "constant"},
}
# What trains, from where on, and the rate: for few parameters ten times that for all, as is customary. None was searched for.
SUBSETS = {"everything": (None, 0, 1e-3), "batchnorm": ("batchnorm", 0, 1e-2), "bias": ("bias", 0, 1e-2),
           "lora": ("lora", 0, 1e-2), "head": (None, -1, 1e-2)}  # fmt: skip


def warmup_cases(rates=None, per_class: int = 5) -> list[Case]:
    """With and without warm-up of the head, equal steps in all, at several rates: {task: rates}."""
    rates = rates or {"flowers": RATES, "goldfinches": RATES[1::2]}
    return [
        Case({"task": name, "lr": lr, "warm-up": recipe.name}, replace(recipe, lr=lr), task)
        for name in rates
        for task in [open_task(name, per_class)]
        for lr in rates[name]
        for recipe in (AT_ONCE, HEAD_FIRST)
    ]


def transplant_cases(name: str = "flowers", per_class: int = 20, depths=DEPTHS) -> list[Case]:
    """The first stages copied and then frozen, or trained with the rest; and nothing copied at all. Equal steps."""
    task, base = open_task(name, per_class), replace(SCRATCH, name="transplant", weights="DEFAULT", steps=200)
    cases = [Case({"copied": "nothing", "then": "fine-tuned"}, replace(base, weights=None), task)]
    for copied, cut in depths.items():
        for then, upto in (("frozen", cut), ("fine-tuned", 0)):
            cases.append(Case({"copied": copied, "then": then}, replace(base, copied=cut, upto=upto), task))
    return cases


def switch_cases(name: str = "flowers", switches=SWITCHES, per_class: int = 5) -> list[Case]:
    """The baseline, and the baseline with one setting changed."""
    task = open_task(name, per_class)
    return [Case({"switch": switch}, replace(AT_ONCE, name=switch, **setting), task) for switch, setting in switches.items()]


def batchnorm_cases(name: str = "flowers", sizes=(32, 4), per_class: int = 5) -> list[Case]:
    """BatchNorm four ways while everything else is fine-tuned, with large and with small batches."""
    task = open_task(name, per_class)
    return [
        Case({"batch_size": size, "batchnorm": how}, replace(AT_ONCE, name=how, batchnorm=how, batch_size=size), task)
        for size in sizes
        for how in BATCHNORM
    ]


def subset_recipe(source: str, what: str, steps: int = STEPS) -> Recipe:
    """Train everything, normalisation, biases, LoRA's adapters or the head alone, each at a rate that suits it."""
    only, upto, lr = SUBSETS[what]
    return replace(AT_ONCE, name=what, source=source, only=only, upto=upto, lr=lr, steps=steps)


def subset_cases(name: str = "flowers", per_class: int = 5, steps: int = STEPS) -> list[Case]:
    """What trains, for a GardenNet (which has no linear layers for LoRA) and for a GardenViT."""
    task = open_task(name, per_class)
    return [
        Case({"network": source, "trains": what}, subset_recipe(source, what, steps), task)
        for source in ("garden", "garden-vit")
        for what in SUBSETS
        if source != "garden" or what != "lora"
    ]


@cache
def _elsewhere(name: str, count: int):
    """The subjects of the test images before another background: images uint8 (N, 3, 64, 64), labels."""
    return render_split(name, "test", count, scene="studio")[:2]


def elsewhere(fit: Fit) -> float:
    """Accuracy, 0..1, on the test subjects of an embedded task, painted before another background."""
    images, labels = _elsewhere(fit.task.name, len(fit.task.test) // len(fit.task.classes))
    return (fit.classifier.logits(images).argmax(1) == labels).float().mean().item()


@torch.no_grad()
def moved(fit: Fit) -> dict[str, float]:
    """How far the features of three stages have moved from the source's, on the validation images."""
    source = load_backbone(fit.recipe.source)
    device = next(fit.model.parameters()).device
    far = features_moved(fit.model, source.model.to(device), source.normalise(fit.task.val.pixels.to(device)))
    return {f"{stage} moved": far[stage] for stage in ("layer1", "layer3", "layer4")}


STUDIES = {
    "warmup": ("does the head have to be trained first?", warmup_cases,
               lambda fit: {"elsewhere": elsewhere(fit), **moved(fit)}),
    "transplant": ("which stages carry over?", transplant_cases, None),
    "switches": ("what is worth switching on?", switch_cases, None),
    "batchnorm": ("what should BatchNorm do?", batchnorm_cases, lambda fit: {"elsewhere": elsewhere(fit)}),
    "subsets": ("how few parameters are enough?", subset_cases, None),
}  # fmt: skip


def measure(name: str, seeds: int = 5) -> None:
    """Measure one of STUDIES and write it; the warm-up at the usual rate on the flowers with the seeds of the switches."""
    question, cases, also = STUDIES[name]
    switches = name == "switches"
    study = run_study(question, cases(), seeds if switches else min(seeds, 3), also=also, keep_history=switches)
    if name == "warmup" and seeds > 3:
        more = run_study(question, warmup_cases({"flowers": [1e-3]}), list(range(3, seeds)), also=also)
        study = join_studies(study, more)
    study.save(SHIPPED / f"study-tuning-{name}.json", COMMAND)


def run(seeds: int = 5) -> None:
    """Measure and write all of them: the switches with all seeds, the others with three at most."""
    for name in STUDIES:
        measure(name, seeds)


def stamps() -> dict[str, str]:
    """The numbers of the lecture's text, from the shipped studies: "04.warmup-flowers-0.01" and so on."""
    warmup, switches = load_study("tuning-warmup"), load_study("tuning-switches")
    norm, subsets, copied = load_study("tuning-batchnorm"), load_study("tuning-subsets"), load_study("tuning-transplant")
    depth = load_study("depth").select(depth=["head", "layer4", "layer2", "all"])
    differences = {
        "warmup": warmup.paired("warm-up", "all at once"),
        "studio": paired_values(warmup, "elsewhere", "warm-up", "all at once", ["task", "lr"], scale=100),
        "switch": switches.paired("switch", "baseline"),
        "batchnorm": norm.paired("batchnorm", "live"),
        "subset": subsets.paired("trains", "everything"),
        "thawed": copied.select(copied=list(DEPTHS)).paired("then", "frozen"),
        "copied": copied.select(then="fine-tuned").paired("copied", "nothing"),
        "beyond-layer3": copied.select(then="fine-tuned", copied=["to layer3", "to layer4"]).paired("copied", "to layer3"),
        "unfrozen": depth.paired("depth", "head"),
    }
    shares = {
        "warmup": warmup.table(["task", "lr", "warm-up"]),
        "switch": switches.table(),
        "batchnorm": norm.table(),
        "subset": subsets.table(),
        "transplant": copied.table(),
    }
    gaps = overfitting(depth, ["task", "per_class", "depth"]).gap
    texts = {_key("gap", key): f"{gap:.1f} points" for key, gap in gaps.items()}
    for name, table in differences.items():
        for key, row in table.iterrows():
            texts[_key(name, key)] = points(row, digits=1)
    for name, table in shares.items():
        for key, row in table.iterrows():
            texts[_key(name, key) + "-share"] = percent(row)
    return texts


def _key(name: str, key) -> str:
    parts = [f"{part:g}" if isinstance(part, float) else str(part) for part in (key if isinstance(key, tuple) else (key,))]
    return "-".join(["04." + name, *parts]).replace(", ", "-").replace(" ", "-")
