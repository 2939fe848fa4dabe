"""The cases of lecture 4, each a comparison of recipes on the same seeds and images."""

from dataclasses import replace

from helpers.images.tasks import open_task
from helpers.lessons.recipes import FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, SCRATCH
from helpers.training.study import Case
from helpers.training.surgery import BATCHNORM

STEPS, HEAD_STEPS = 150, 50  # everything from the start for 150 steps, or after 50 of the head alone for 100
AT_ONCE = replace(FINE_TUNE_ALL, name="all at once", steps=STEPS)
HEAD_FIRST = replace(PROBE_THEN_FINE_TUNE, name="head first", steps=STEPS - HEAD_STEPS, head_steps=HEAD_STEPS)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DEPTHS = {"to layer1": "layer2", "to layer2": "layer3", "to layer3": "layer4", "to layer4": -1}

# One setting at a time, against AT_ONCE as it stands: a rate of 1e-3, one cycle, weight decay 0.05, augmentation.
SWITCHES = {
    "baseline": {},
    "head first": {"steps": STEPS - HEAD_STEPS, "head_steps": HEAD_STEPS, "head_lr": AT_ONCE.lr},
    "head first at 10x rate": {"steps": STEPS - HEAD_STEPS, "head_steps": HEAD_STEPS, "head_lr": 10 * AT_ONCE.lr},
    "10x rate for the head": {"head_times": 10.0},
    "both": {"steps": STEPS - HEAD_STEPS, "head_steps": HEAD_STEPS, "head_lr": 10 * AT_ONCE.lr, "head_times": 10.0},
    "lower rates for earlier stages": {"decay": 0.5},
    "gradual unfreezing": {"gradual": True},
    "BatchNorm at rest": {"batchnorm": "frozen"},
    "no weight decay": {"weight_decay": 0.0},
    "early stopping": {"patience": 2},
    "no augmentation": {"augment": False},
    "constant rate": {"schedule": "constant"},
}
# What trains, from where on, and the rate: for few parameters ten times that for all, as is customary. None was searched for.
SUBSETS = {"everything": (None, 0, 1e-3), "batchnorm": ("batchnorm", 0, 1e-2), "bias": ("bias", 0, 1e-2),
           "lora": ("lora", 0, 1e-2), "head": (None, -1, 1e-2)}  # fmt: skip


def warmup_cases(rates=None) -> list[Case]:
    """With and without warm-up of the head, equal steps in all, at several rates: {task: rates}."""
    rates = rates or {"flowers": RATES, "goldfinches": RATES[1::2]}
    return [
        Case({"task": name, "lr": lr, "warm-up": recipe.name}, replace(recipe, lr=lr), task)
        for name in rates
        for task in [open_task(name, 5)]
        for lr in rates[name]
        for recipe in (AT_ONCE, HEAD_FIRST)
    ]


def transplant_cases() -> list[Case]:
    """The first stages copied and then frozen, or trained with the rest; and nothing copied at all. Equal steps."""
    task, base = open_task("flowers", 20), replace(SCRATCH, name="transplant", weights="DEFAULT", steps=200)
    cases = [Case({"copied": "nothing", "then": "fine-tuned"}, replace(base, weights=None), task)]
    for copied, cut in DEPTHS.items():
        for then, upto in (("frozen", cut), ("fine-tuned", 0)):
            cases.append(Case({"copied": copied, "then": then}, replace(base, copied=cut, upto=upto), task))
    return cases


def switch_cases() -> list[Case]:
    """The baseline, and the baseline with one setting changed."""
    task = open_task("goldfinches", 20)
    return [Case({"switch": switch}, replace(AT_ONCE, name=switch, **setting), task) for switch, setting in SWITCHES.items()]


def batchnorm_cases(sizes=(32, 4)) -> list[Case]:
    """BatchNorm four ways while everything else is fine-tuned, with large and with small batches."""
    task = open_task("flowers", 5)
    return [
        Case({"batch_size": size, "batchnorm": how}, replace(AT_ONCE, name=how, batchnorm=how, batch_size=size), task)
        for size in sizes
        for how in BATCHNORM
    ]


def subset_cases() -> list[Case]:
    """What trains (see SUBSETS), for a GardenNet (which has no linear layers for LoRA) and for a GardenViT."""
    task = open_task("flowers", 5)
    return [
        Case({"network": source, "trains": what}, replace(AT_ONCE, name=what, source=source, only=only, upto=upto, lr=lr), task)
        for source in ("garden", "garden-vit")
        for what, (only, upto, lr) in SUBSETS.items()
        if source != "garden" or what != "lora"
    ]
