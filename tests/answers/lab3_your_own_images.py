"""Answers to the checks of lab 3: right ones, and typical wrong ones with the finding that each gets."""

import hashlib
import io
import json
import random
from dataclasses import replace
from pathlib import Path

import imagehash
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import helpers as h
from answers import call
from helpers.images.decoding import open_image
from helpers.lessons.choosing.deciding import first_try

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
RECIPES = {
    "feature extraction": h.FEATURE_EXTRACTION,
    "probe, then fine-tune all": h.PROBE_THEN_FINE_TUNE,
    "fine-tune all": h.FINE_TUNE_ALL,
}


def is_image(file):
    return file.suffix.lower() in ENDINGS and not file.name.startswith(".")


def counting(look, takes=is_image, folders=lambda folder: [f for f in folder.iterdir() if f.is_dir()]):
    return lambda folder: {entry.name: sum(takes(file) for file in look(entry)) for entry in folders(folder)}


def by_loops(folder):
    counts = {}
    for file in sorted(folder.rglob("*")):
        if is_image(file) and file.parent != folder:
            name = file.relative_to(folder).parts[0]
            counts[name] = counts.get(name, 0) + 1
    return counts


deep, flat = lambda entry: entry.rglob("*"), lambda entry: entry.iterdir()


def opening(method, wrong=Exception):
    def cannot_be_opened(files):
        bad = []
        for file in files:
            try:
                with Image.open(file) as image:
                    method(image)
            except wrong:
                bad.append(file)
        return bad

    return cannot_be_opened


def first_only(files):
    for file in files:
        try:
            Image.open(file).load()
        except OSError:
            return [file]
    return []


def refuse_grey(image):
    image.load()
    if image.mode != "RGB":
        raise ValueError(image.mode)


def dhash(picture, method=Image.Resampling.LANCZOS):
    grey = np.asarray(picture.convert("L").resize((17, 16), method))
    return grey[:, 1:] > grey[:, :-1]


def in_torch(picture):
    grey = torch.from_numpy(np.array(picture.convert("L").resize((17, 16), Image.Resampling.LANCZOS))).int()
    return grey.diff(dim=1) > 0


def from_bytes(picture):
    digest = hashlib.sha256(picture.tobytes()).digest()
    return np.unpackbits(np.frombuffer(digest, np.uint8)).astype(bool).reshape(16, 16)


def wrapped(picture):
    grey = np.asarray(picture.convert("L").resize((17, 16)))
    return grey[:, 1:] - grey[:, :-1] > 0


def fixed_level(picture):
    return np.asarray(picture.convert("L").resize((16, 16))) > 128


def dealt(groups, share, seed):
    train, test, total = [], [], sum(map(len, groups))
    for group in random.Random(seed).sample(groups, len(groups)):
        (test if len(test) < share * total else train).extend(group)
    return train, test


def by_shuffled_places(groups, share, seed):
    places = list(range(len(groups)))
    random.Random(seed).shuffle(places)
    room, test = round(share * sum(map(len, groups))), []
    for place in places:
        if len(groups[place]) <= room - len(test):
            test += groups[place]
    return [file for group in groups for file in group if file not in test], test


def file_by_file(groups, share, seed):
    files = sum(groups, [])
    random.Random(seed).shuffle(files)
    cut = round(share * len(files))
    return files[cut:], files[:cut]


def halves(groups, share, seed):
    random.Random(seed).shuffle(groups)
    return sum(groups[len(groups) // 2 :], []), sum(groups[: len(groups) // 2], [])


def singles_dropped(groups, share, seed):
    return dealt([group for group in groups if len(group) > 1], share, seed)


def overlapping(groups, share, seed):
    train, test = dealt(groups, share, seed)
    return train + test, test


def advised(per_class, distance, gpu, source):
    return replace(RECIPES[first_try(per_class, distance, gpu).first], source=source)


def save_all(model, classes, mean, std, size, path):
    about = {"classes": classes, "mean": mean, "std": std, "size": size}
    save_file(model.state_dict(), path, {key: json.dumps(value) for key, value in about.items()})


def saving(tensors=lambda model: model.state_dict(), classes=list, keep=("classes", "mean", "std", "size"), text=json.dumps):
    def save(model, names, mean, std, size, path):
        about = {"classes": classes(names), "mean": mean, "std": std, "size": size}
        save_file(tensors(model), path, {key: text(about[key]) for key in keep})

    return save


def pickled(model, classes, mean, std, size, path):
    torch.save({"model": model.state_dict(), "classes": classes}, path)


def answer(classifier, content):
    try:
        probabilities = classifier.predict(io.BytesIO(content))
    except ValueError as error:
        return f"No answer: {error}"
    name = next(iter(probabilities))
    return f"{name} ({probabilities[name]:.0%})"


def all_classes(classifier, content):
    try:
        found = classifier.predict(open_image(io.BytesIO(content)))
    except Exception as error:
        return f"This is no picture that can be read ({error})"
    return ", ".join(f"{name} {share:.0%}" for name, share in found.items())


def answering(read=io.BytesIO, say=lambda found: next(iter(found)), otherwise=lambda error: f"Sorry, no answer: {error}"):
    def reply(classifier, content):
        try:
            found = classifier.predict(read(content))
        except (ValueError, OSError, SyntaxError) as error:
            return otherwise(error)
        return say(found)

    return reply


def as_stored(content):
    return Image.fromarray(np.array(Image.open(io.BytesIO(content)).convert("RGB")))


def squeezed(content):
    return open_image(io.BytesIO(content)).resize((32, 32))


def falling(classifier, content):
    return max(found := classifier.predict(io.BytesIO(content)), key=found.get)


class Front(nn.Module):
    """What the lab gives; the answers differ in what forward does."""

    def __init__(self, network, mean, std):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))


class FromPixels(Front):
    """The right one."""

    def forward(self, images):
        return self.network((images.float() / 255 - self.mean) / self.std)


def front(forward):
    return type("FromPixels", (Front,), {"forward": forward})


RIGHT = {
    "images_counted": {"a sum a folder": lambda: call(counting(deep)), "one loop over all": lambda: call(by_loops)},
    "baseline_known": {"by max": lambda: call(lambda counts: max(counts.values()) / sum(counts.values()))},
    "odd_files_found": {
        "load": lambda: call(opening(lambda image: image.load())),
        "convert": lambda: call(opening(lambda image: image.convert("RGB"), OSError)),
    },
    "same_picture_recognised": {
        "numpy": lambda: call(dhash),
        "torch, with the sign of the difference": lambda: call(in_torch),
        "another interpolation": lambda: call(lambda picture: dhash(picture, Image.Resampling.BICUBIC)),
    },
    "twins_on_one_side": {"dealt out": lambda: call(dealt), "as many as fit": lambda: call(by_shuffled_places)},
    "advice_taken": {"by the words of the advice": lambda: call(advised)},
    "all_saved": {"by hand": lambda: call(save_all)},
    "upload_answered": {"the first": lambda: call(answer), "all of them": lambda: call(all_classes)},
    "pixels_go_in": {"by hand": lambda: call(FromPixels)},
}

WRONG = {
    "images_counted": {
        "one total": ("no dictionary", lambda: call(lambda folder: sum(by_loops(folder).values()))),
        "folders counted": ("plain folder miscounted", lambda: call(counting(deep, Path.is_dir))),
        "all entries are classes": ("not a class", lambda: call(counting(flat, is_image, lambda folder: folder.iterdir()))),
        "all files": ("files that are no images", lambda: call(counting(deep, Path.is_file))),
        "macOS's shadows": ("hidden files", lambda: call(counting(deep, lambda file: file.suffix.lower() in ENDINGS))),
        "small letters only": (
            "capital endings",
            lambda: call(counting(deep, lambda file: file.suffix in ENDINGS and file.name[0] != ".")),
        ),
        "one level": ("folder in a folder", lambda: call(counting(flat))),
    },
    "baseline_known": {
        "a number of images": ("a count", lambda: call(lambda counts: max(counts.values()))),
        "chance": ("one in so many classes", lambda: call(lambda counts: 1 / len(counts))),
        "the rarest": ("the smallest class", lambda: call(lambda counts: min(counts.values()) / sum(counts.values()))),
        "per cent": ("out of range", lambda: call(lambda counts: 100 * max(counts.values()) / sum(counts.values()))),
        "the imbalance": (
            "another share",
            lambda: call(lambda counts: min(counts.values()) / max(counts.values())),
        ),
    },
    "odd_files_found": {
        "endings": ("judged by its name", lambda: call(lambda files: [f for f in files if f.suffix not in ENDINGS | {".gif"}])),
        "open without load": ("not decoded", lambda: call(opening(lambda image: image.size))),
        "grey is odd": ("good files refused", lambda: call(opening(refuse_grey))),
        "returned in the loop": ("not all found", lambda: call(first_only)),
        "no try": ("stopped by the first", lambda: call(lambda files: [file for file in files if not Image.open(file).load()])),
        "a number": ("no list of files", lambda: call(lambda files: len(opening(Image.Image.load)(files)))),
    },
    "same_picture_recognised": {
        "not grey": ("not 16 x 16 bits", lambda: call(lambda picture: np.asarray(picture.resize((16, 16))) > 128)),
        "uint8 below zero": ("nearly all True", lambda: call(wrapped)),
        "of the bytes": ("changes with the file", lambda: call(from_bytes)),
        "a fixed level": ("changes with the light", lambda: call(fixed_level)),
        "nothing left": ("all pictures alike", lambda: call(lambda picture: np.zeros((16, 16), bool))),
        "down the columns": ("another fingerprint", lambda: call(lambda picture: imagehash.dhash_vertical(picture, 16).hash)),
    },
    "twins_on_one_side": {
        "files": ("twins apart", lambda: call(file_by_file)),
        "train only": ("no two lists", lambda: call(lambda groups, share, seed: dealt(groups, share, seed)[0])),
        "single files dropped": ("files lost", lambda: call(singles_dropped)),
        "test in train": ("on both sides", lambda: call(overlapping)),
        "half": ("another share on the test side", lambda: call(halves)),
        "always seed 0": ("not by the seed", lambda: call(lambda groups, share, seed: dealt(groups, share, 0))),
    },
    "advice_taken": {
        "words": ("no recipe", lambda: call(lambda *where: first_try(*where[:3]))),
        "scratch": ("from scratch", lambda: call(lambda *where: replace(h.SCRATCH, source=where[3]))),
        "one for all": ("not as advised", lambda: call(lambda *where: replace(h.FINE_TUNE_ALL, source=where[3]))),
        "changed in place": ("recipe changed", lambda: call(lambda *where: setattr(h.FINE_TUNE_ALL, "source", where[3]))),
        "source left out": ("another source", lambda: call(lambda *where: replace(advised(*where), source="garden"))),
        "live BatchNorm": ("live BatchNorm", lambda: call(lambda *where: replace(advised(*where), batchnorm="live"))),
        "raw pixels": ("another preprocessing", lambda: call(lambda *where: replace(advised(*where), preprocessing="none"))),
    },
    "all_saved": {
        "nothing": ("nothing saved", lambda: call(lambda *what: None)),
        "torch.save": ("a pickle", lambda: call(pickled)),
        "parameters": ("buffers missing", lambda: call(saving(lambda model: dict(model.named_parameters())))),
        "rounded": (
            "other numbers",
            lambda: call(saving(lambda model: {name: x.half().to(x.dtype) for name, x in model.state_dict().items()})),
        ),
        "lists": ("no texts", lambda: call(saving(text=lambda value: value))),
        "str": ("not JSON", lambda: call(saving(text=str))),
        "no classes": ("classes lost", lambda: call(saving(keep=("mean", "std", "size")))),
        "sorted": ("classes in another order", lambda: call(saving(classes=sorted))),
        "no preprocessing": ("preprocessing lost", lambda: call(saving(keep=("classes",)))),
    },
    "upload_answered": {
        "bytes": ("bytes, not a file", lambda: call(answering(read=lambda content: content))),
        "a dictionary": ("no text", lambda: call(answering(say=dict))),
        "the last": ("class not named", lambda: call(answering(say=lambda found: list(found)[-1]))),
        "EXIF ignored": ("lies on its side", lambda: call(answering(read=as_stored))),
        "squeezed": ("another preprocessing", lambda: call(answering(read=squeezed))),
        "no try": ("falls over", lambda: call(falling)),
        "any class": ("names what is no picture", lambda: call(answering(otherwise=lambda error: "ground"))),
        "a shrug": ("no reason", lambda: call(answering(otherwise=lambda error: "error"))),
    },
    "pixels_go_in": {
        "no 255": ("not scaled", lambda: call(front(lambda self, x: self.network((x.float() - self.mean) / self.std)))),
        "no mean": ("not normalised", lambda: call(front(lambda self, x: self.network(x.float() / 255)))),
        "no brackets": ("other order", lambda: call(front(lambda self, x: self.network(x.float() / 255 - self.mean / self.std)))),
        "softmax": ("probabilities", lambda: call(front(lambda self, x: FromPixels.forward(self, x).softmax(1)))),
        "BGR": ("other answers", lambda: call(front(lambda self, x: FromPixels.forward(self, x.flip(1))))),
    },
}
