"""The study of lab 4: what the bugs of the museum cost, on flowers and on goldfinches.

The lab measures the same with fewer seeds and test images. Room 5 is left out: its bug is in how an accuracy is reported,
not in the predictions. A room that the file has already is not measured again; delete the file to measure all of them.
"""

import copy
from functools import cache, partial

import torch
from torch import nn
from torch.nn import functional as F

from helpers.freezing import freeze
from helpers.heads import swap_head
from helpers.images.tasks import open_task
from helpers.lessons.museum import batches, features_at, predict, probed
from helpers.lessons.studies import points, study_of
from helpers.sources.backbones import load_backbone
from helpers.stages import split
from helpers.training.steps import fit_head, take_steps
from helpers.training.study import SHIPPED, join_studies, load_study

QUESTION = "what the bugs of the museum cost"
COMMAND = "python tools/measure.py museum"
TASKS = ("flowers", "goldfinches")
PER_CLASS = 20
ROOMS = (
    "1 BatchNorm alive, batches of 32", "1 BatchNorm alive, batches of 4", "2 judged in training mode",
    "3 the label on the layer", "4 the head frozen", "6 one of two sources not normalised", "7 the stale optimizer",
    "8 one rate for all", "9 BatchNorm alive, five images a class", "9 BatchNorm alive in the last block only",
    "10 a softmax behind the head, AdamW", "10 a softmax behind the head, SGD",
)  # fmt: skip
FEW = 5  # images a class in room 9


def run(seeds: int) -> None:
    """Measure what is missing: about a minute and a half a seed on one core, for both tasks and all rooms."""
    path = SHIPPED / "study-museum.json"
    for name in TASKS:
        for room in ROOMS:
            study = load_study(path) if path.exists() else None
            known = () if study is None else set(zip(study.runs.task, study.runs.room, study.runs.seed, strict=True))
            if missing := [seed for seed in range(seeds) if (name, room, seed) not in known]:
                measured = study_of(QUESTION, museum(name).rows(room, missing))
                (measured if study is None else join_studies(study, measured)).save(path, COMMAND)
                print(f"{name}, {room}: seeds {missing}", flush=True)


def stamps() -> dict[str, str]:
    """What live BatchNorm costs on photographs, for room 9; the bills the lab reads itself."""
    study = load_study("real-batchnorm")
    rows = {trains: study.select(trains=trains).paired("batchnorm", "at rest") for trains in ("the head", "everything")}
    return {f"lab4.live-{trains.split()[-1]}": points(table.loc["live"], 1) for trains, table in rows.items()}


@cache
def museum(name: str) -> "Museum":
    return Museum(name)


class Museum:
    """The rooms on one task."""

    def __init__(self, name: str):
        self.task, self.source = open_task(name, per_class=PER_CLASS), load_backbone("garden")
        self.petals, self.real = load_backbone("garden-petals"), load_backbone("efficientnet_lite0")
        self.few = open_task(name, per_class=FEW)
        self.classes, pixels = len(self.task.classes), self.task.test.pixels
        self.photos, raw = self.source.normalise(pixels), pixels.float() / 255
        model = self.source.model
        self.seen = {at: features_at(model, self.photos, at) for at in (-1, "layer4")}
        prepared = {"fixed": self.petals.normalise(pixels), "exhibit": raw}
        self.petals_seen = {version: features_at(self.petals.model, images) for version, images in prepared.items()}

    def rows(self, room: str, seeds: list[int]) -> list[dict]:
        """A row for each version and seed of one of ROOMS."""
        ways = (lambda *a: self.room_1(*a, 32, 24), lambda *a: self.room_1(*a, 4, 120), self.room_2, self.room_3, self.room_4,
                self.room_6, self.room_7, self.room_8, lambda *a: self.room_9(*a, False), lambda *a: self.room_9(*a, True),
                lambda *a: self.room_10(*a, torch.optim.AdamW),
                lambda *a: self.room_10(*a, partial(torch.optim.SGD, momentum=0.9)))  # fmt: skip
        way, rows = dict(zip(ROOMS, ways, strict=True))[room], []
        for seed in seeds:
            task = (self.few if room[0] == "9" else self.task).draw(seed)
            images = (self.real if room[0] == "9" else self.source).normalise(task.train.pixels)
            for version in ("fixed", "exhibit"):
                torch.manual_seed(seed)
                answers = way(version, task, images, seed)
                rows.append({"task": self.task.name, "room": room, "version": version, "seed": seed,
                             "correct": answers == task.test.labels})  # fmt: skip
        return rows

    def fresh(self, head: bool = True) -> nn.Module:
        model = copy.deepcopy(self.source.model)
        return swap_head(model, self.classes) if head else model

    def room_1(self, version, task, images, seed, size, steps):
        model = self.fresh().requires_grad_(False)
        optimizer = torch.optim.AdamW(model.fc.requires_grad_(True).parameters(), lr=1e-2)
        _train(model.train(version == "exhibit"), optimizer, images, task.train.labels, size, steps, seed)
        return predict(model, self.photos)

    def room_2(self, version, task, images, seed):
        model = probed(self.source, task, seed).train()
        if version == "fixed":
            return predict(model, self.photos)
        with torch.no_grad():
            return torch.cat([model(batch).argmax(1) for batch in self.photos.split(32)])

    def room_3(self, version, task, images, seed):
        model = self.fresh(head=version == "fixed")
        optimizer = torch.optim.AdamW(model.fc.parameters(), lr=1e-2)
        _train(model.fc, optimizer, features_at(self.source.model, images), task.train.labels, 32, 60, seed)
        return model.fc(self.seen[-1]).argmax(1)

    def room_4(self, version, task, images, seed):
        model = self.fresh()
        model.fc.requires_grad_(version == "fixed")
        rest = split(model, "layer4")[1].train()
        optimizer = torch.optim.AdamW([p for p in rest.parameters() if p.requires_grad], lr=1e-3)
        _train(rest, optimizer, features_at(self.source.model, images, "layer4"), task.train.labels, 32, 60, seed)
        return predict(rest, self.seen["layer4"])

    def room_6(self, version, task, images, seed):
        pixels = task.train.pixels
        images = self.petals.normalise(pixels) if version == "fixed" else pixels.float() / 255
        head = fit_head(features_at(self.petals.model, images), task.train.labels, self.classes, seed)
        return head(self.petals_seen[version]).argmax(1)

    def room_7(self, version, task, images, seed):
        model = freeze(self.fresh(head=False), -1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        swap_head(model, self.classes)
        if version == "fixed":
            optimizer = torch.optim.AdamW(model.fc.parameters(), lr=1e-2)
        _train(model.fc, optimizer, features_at(self.source.model, images), task.train.labels, 32, 60, seed)
        return model.fc(self.seen[-1]).argmax(1)

    def room_8(self, version, task, images, seed):
        model = self.fresh().train()
        rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("fc.")]
        optimizer = torch.optim.AdamW([{"params": rest, "lr": 1e-4}, {"params": model.fc.parameters(), "lr": 1e-2}])
        peaks = [1e-4, 1e-2] if version == "fixed" else 1e-2
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peaks, total_steps=40)
        _train(model, optimizer, images, task.train.labels, 16, 40, seed, schedule)
        return predict(model, self.photos)

    def room_9(self, version, task, images, seed, last_only):
        model = swap_head(copy.deepcopy(self.real.model), self.classes).requires_grad_(False)
        last = nn.ModuleList([model.blocks[-1], model.conv_head, model.bn2]).requires_grad_(True)
        head = model.classifier.requires_grad_(True)
        rates = [{"params": last.parameters(), "lr": 3e-4}, {"params": head.parameters(), "lr": 1e-2}]
        alive = {"fixed": nn.ModuleList(), "exhibit": last if last_only else model}[version]
        for module in model.train().modules():
            if isinstance(module, nn.BatchNorm2d) and module not in set(alive.modules()):
                module.eval()
        _train(model, torch.optim.AdamW(rates), images, task.train.labels, 8, 30, seed)
        return predict(model, self.real.normalise(task.test.pixels))

    def room_10(self, version, task, images, seed, optimizer):
        head = nn.Linear(self.source.model.fc.in_features, self.classes)
        if version == "exhibit":
            head = nn.Sequential(head, nn.Softmax(dim=1))
        features = features_at(self.source.model, images)
        _train(head, optimizer(head.parameters(), lr=1e-2), features, task.train.labels, 32, 60, seed)
        return head(self.seen[-1]).argmax(1)


def _train(model, optimizer, images, labels, size, steps, seed, schedule=None) -> None:
    rows = batches(len(images), size, steps, seed)
    take_steps(rows, lambda batch: F.cross_entropy(model(images[batch]), labels[batch]), optimizer, schedule)
