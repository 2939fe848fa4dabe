"""The studies of lecture 4: fine-tuning well. Each compares recipes on the same seeds and images.

warmup      study-tuning-warmup.json      the head first, or everything at once? At four rates, on the test images and on
            the same subjects before another background; how far the features move
transplant  study-tuning-transplant.json  the first stages from the source, the others random; the copied ones frozen or not
switches    study-tuning-switches.json    one setting at a time against a common baseline
batchnorm   study-tuning-batchnorm.json   BatchNorm four ways, with batches of 32 and of 4
subsets     study-tuning-subsets.json     training few parameters: GardenNet, and LoRA on GardenViT
"""

from functools import cache

import pandas
import torch

from helpers.images.drawn.garden import render_split
from helpers.lessons.fine_tuning import features_moved
from helpers.lessons.fine_tuning.learning_curves import overfitting
from helpers.lessons.fine_tuning.studies import (
    batchnorm_cases,
    subset_cases,
    switch_cases,
    transplant_cases,
    warmup_cases,
)
from helpers.lessons.studies import percent, points
from helpers.sources.backbones import load_backbone
from helpers.training.fitting import Fit
from helpers.training.study import SHIPPED, join_studies, load_study, run_study
from studies import real
from studies.resuming import go_on

COMMAND = "python tools/measure.py tuning"
SEEDS = 20  # of the switches, whose differences are small


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
    """Measure one of STUDIES and write it: the switches with SEEDS, from where their file stands."""
    question, cases, also = STUDIES[name]
    path = SHIPPED / f"study-tuning-{name}.json"
    if name == "switches":  # many seeds of short runs: written after each of them
        those = {case.conditions["switch"]: case for case in cases()}
        plans = [({"switch": switch}, seed) for seed in range(SEEDS) for switch in those]
        go_on(path, COMMAND, question, plans, lambda conditions: those[conditions["switch"]], kind=("switch",))
        return
    study = run_study(question, cases(), min(seeds, 3), also=also)
    if name == "warmup" and seeds > 3:
        more = run_study(question, warmup_cases({"flowers": [1e-3]}), list(range(3, seeds)), also=also)
        study = join_studies(study, more)
    study.save(path, COMMAND)


def run(seeds: int = 5) -> None:
    """Measure and write all of them: the switches with SEEDS, the others with three at most."""
    for name in STUDIES:
        measure(name, seeds)


def stamps() -> dict[str, str]:
    """The numbers of the lecture's text, from the shipped studies: "04.warmup-flowers-0.01" and so on."""
    warmup, switches = load_study("tuning-warmup"), load_study("tuning-switches")
    norm, subsets, copied = load_study("tuning-batchnorm"), load_study("tuning-subsets"), load_study("tuning-transplant")
    depth = load_study("depth").select(depth=["head", "layer4", "layer2", "all"])
    differences = {
        "warmup": warmup.paired("warm-up", "all at once"),
        "studio": warmup.paired("warm-up", "all at once", column="elsewhere"),
        "switch": switches.paired("switch", "baseline"),
        "batchnorm": norm.paired("batchnorm", "live"),
        "subset": subsets.paired("trains", "everything"),
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
    return texts | photographs()


def told(gains: pandas.DataFrame) -> str:
    """Which of the differences are supported, the largest first, in words."""
    sure = gains[gains.supported == "yes"].sort_values("points", key=abs, ascending=False)
    word = lambda name: ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
    named = [f"{word(name)} ({points(row, digits=1)})" for name, row in sure.iterrows()]
    seeds = f"with {gains.seeds.max():.0f} seeds"
    if not named:
        return f"too close to call {seeds}"
    others = f"; the other {len(gains) - len(named)} are too close to call" if len(named) < len(gains) else ""
    return f"{seeds} the interval leaves out zero for {', '.join(named)}{others}"


PHOTOGRAPHS = {  # study-real-NAME.json: what is compared with what, within which conditions
    "batchnorm": ("batchnorm", "at rest", ["trains"]),
    "depth": ("depth", "the head", ["per_class"]),
    "warmup": ("warm-up", "all at once", ["lr"]),
}


def photographs() -> dict[str, str]:
    """Differences on photographs, from the studies of real.py that have been measured: "04.photo-depth-20-everything"."""
    texts = {}
    for name, study in real.measured().items():
        if name in PHOTOGRAPHS:
            of, baseline, by = PHOTOGRAPHS[name]
            gains = study.paired(of, baseline, by=by)
            texts |= {_key(f"photo-{name}", key): points(row, digits=1) for key, row in gains.iterrows()}
            texts[f"04.photo-{name}"] = told(gains)
        if name == "forgotten" and study.runs.seed.nunique() > 1:
            kept = study.values("photographs kept", "recipe", share=True).loc["probe, then fine-tune"]
            stay = percent({"accuracy %": 100 * kept["mean"], **(100 * kept[["low", "high"]])})
            texts["04.photo-kept"] = f": {stay} stay after a probe and 100 steps of everything"
    return texts


def _key(name: str, key) -> str:
    parts = [f"{part:g}" if isinstance(part, float) else str(part) for part in (key if isinstance(key, tuple) else (key,))]
    return "-".join(["04." + name, *parts]).replace(", ", "-").replace(" ", "-")
