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
    "images_counted": {"a sum a folder": counting(deep), "one loop over all": by_loops},
    "baseline_known": {"by max": lambda counts: max(counts.values()) / sum(counts.values())},
    "odd_files_found": {
        "load": opening(lambda image: image.load()),
        "convert": opening(lambda image: image.convert("RGB"), OSError),
    },
    "same_picture_recognised": {
        "numpy": dhash,
        "torch, with the sign of the difference": in_torch,
        "another interpolation": lambda picture: dhash(picture, Image.Resampling.BICUBIC),
    },
    "twins_on_one_side": {"dealt out": dealt, "as many as fit": by_shuffled_places},
    "advice_taken": {"by the words of the advice": advised},
    "all_saved": {"by hand": save_all},
    "upload_answered": {"the first": answer, "all of them": all_classes},
    "pixels_go_in": {"by hand": FromPixels},
}

WRONG = {
    "images_counted": {
        "no dictionary": lambda folder: sum(by_loops(folder).values()),
        "plain folder miscounted": counting(deep, Path.is_dir),
        "not a class": counting(flat, is_image, lambda folder: folder.iterdir()),
        "files that are no images": counting(deep, Path.is_file),
        "hidden files": counting(deep, lambda file: file.suffix.lower() in ENDINGS),
        "capital endings": counting(deep, lambda file: file.suffix in ENDINGS and file.name[0] != "."),
        "folder in a folder": counting(flat),
    },
    "baseline_known": {
        "a count": lambda counts: max(counts.values()),
        "one in so many classes": lambda counts: 1 / len(counts),
        "the smallest class": lambda counts: min(counts.values()) / sum(counts.values()),
        "out of range": lambda counts: 100 * max(counts.values()) / sum(counts.values()),
        "another share": lambda counts: min(counts.values()) / max(counts.values()),
    },
    "odd_files_found": {
        "judged by its name": lambda files: [f for f in files if f.suffix not in ENDINGS | {".gif"}],
        "not decoded": opening(lambda image: image.size),
        "good files refused": opening(refuse_grey),
        "not all found": first_only,
        "stopped by the first": lambda files: [file for file in files if not Image.open(file).load()],
        "no list of files": lambda files: len(opening(Image.Image.load)(files)),
    },
    "same_picture_recognised": {
        "not 16 x 16 bits": lambda picture: np.asarray(picture.resize((16, 16))) > 128,
        "nearly all True": wrapped,
        "changes with the file": from_bytes,
        "changes with the light": fixed_level,
        "all pictures alike": lambda picture: np.zeros((16, 16), bool),
        "another fingerprint": lambda picture: imagehash.dhash_vertical(picture, 16).hash,
    },
    "twins_on_one_side": {
        "twins apart": file_by_file,
        "no two lists": lambda groups, share, seed: dealt(groups, share, seed)[0],
        "files lost": singles_dropped,
        "on both sides": overlapping,
        "another share on the test side": halves,
        "not by the seed": lambda groups, share, seed: dealt(groups, share, 0),
    },
    "advice_taken": {
        "no recipe": lambda *where: first_try(*where[:3]),
        "from scratch": lambda *where: replace(h.SCRATCH, source=where[3]),
        "not as advised": lambda *where: replace(h.FINE_TUNE_ALL, source=where[3]),
        "recipe changed": lambda *where: setattr(h.FINE_TUNE_ALL, "source", where[3]),
        "another source": lambda *where: replace(advised(*where), source="garden"),
        "live BatchNorm": lambda *where: replace(advised(*where), batchnorm="live"),
        "recipe without preprocessing": lambda *where: replace(advised(*where), preprocessing="none"),
    },
    "all_saved": {
        "nothing saved": lambda *what: None,
        "a pickle": pickled,
        "buffers missing": saving(lambda model: dict(model.named_parameters())),
        "other numbers": saving(lambda model: {name: x.half().to(x.dtype) for name, x in model.state_dict().items()}),
        "no texts": saving(text=lambda value: value),
        "not JSON": saving(text=str),
        "classes lost": saving(keep=("mean", "std", "size")),
        "classes in another order": saving(classes=sorted),
        "preprocessing lost": saving(keep=("classes",)),
    },
    "upload_answered": {
        "bytes, not a file": answering(read=lambda content: content),
        "no text": answering(say=dict),
        "class not named": answering(say=lambda found: list(found)[-1]),
        "lies on its side": answering(read=as_stored),
        "another preprocessing": answering(read=squeezed),
        "falls over": falling,
        "names what is no picture": answering(otherwise=lambda error: "ground"),
        "no reason": answering(otherwise=lambda error: "error"),
    },
    "pixels_go_in": {
        "not scaled": front(lambda self, x: self.network((x.float() - self.mean) / self.std)),
        "not normalised": front(lambda self, x: self.network(x.float() / 255)),
        "other order": front(lambda self, x: self.network(x.float() / 255 - self.mean / self.std)),
        "probabilities": front(lambda self, x: FromPixels.forward(self, x).softmax(1)),
        "other answers": front(lambda self, x: FromPixels.forward(self, x.flip(1))),
    },
}
