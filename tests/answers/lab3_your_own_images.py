"""Answers to the checks of lab 3."""

READ = "io.BytesIO(content)"
ADVISED = "RECIPES[advice.first]"
GREATER = "grey[:, 1:] > grey[:, :-1]"

RIGHT = {
    "images_counted": {
        "one loop over all": """
counts = {}
for file in sorted(folder.rglob("*")):
    if file.suffix.lower() in ENDINGS and file.name[0] != "." and file.parent != folder:
        name = file.relative_to(folder).parts[0]
        counts[name] = counts.get(name, 0) + 1
return counts"""
    },
    "odd_files_found": {"convert": [("image.load()", 'image.convert("RGB")'), ("Exception", "OSError")]},
    "same_picture_recognised": {
        "torch, with the sign of the difference": (GREATER, "torch.from_numpy(grey.copy()).int().diff(dim=1) > 0"),
        "another interpolation": ("LANCZOS", "BICUBIC"),
    },
    "twins_on_one_side": {"as many as fit": ("len(test) < room", "len(test) + len(group) <= room")},
    "upload_answered": {
        "all classes": ("return f\"{name} ({probability:.0%})\"", "return str(probabilities)"),
    },
}

WRONG = {
    "images_counted": {
        "no dictionary": ("return counts", "return sum(counts.values())"),
        "plain folder miscounted": ("file.suffix.lower() in ENDINGS", "file.is_dir()"),
        "not a class": (' if entry.is_dir() and entry.name[0] != "."', ""),
        "files that are no images": ("file.suffix.lower() in ENDINGS", "file.is_file()"),
        "hidden files": (' if file.name[0] != "."', ""),
        "capital endings": (".lower()", ""),
        "folder in a folder": ("rglob", "glob"),
    },
    "baseline_known": {
        "a count": (" / sum(counts.values())", ""),
        "one in so many classes": "return 1 / len(counts)",
        "the smallest class": ("max", "min"),
        "out of range": ("return ", "return 100 * "),
        "another share": "return min(counts.values()) / max(counts.values())",
    },
    "odd_files_found": {
        "judged by its name": 'return [file for file in files if file.suffix not in (".jpg", ".png", ".gif")]',
        "not decoded": ("image.load()", "image.size"),
        "good files refused": ("image.load()", 'image.load()\n            assert image.mode == "RGB"'),
        "not all found": ("odd.append(file)", "return [file]"),
        "stopped by the first": "return [file for file in files if not Image.open(file).load()]",
        "no list of files": ("return odd", "return len(odd)"),
    },
    "same_picture_recognised": {
        "not 16 x 16 bits": "return np.asarray(picture.resize((16, 16))) > 128",
        "nearly all True": (GREATER, "grey[:, 1:] - grey[:, :-1] > 0"),
        "changes with the file": """
import hashlib
digest = hashlib.sha256(picture.tobytes()).digest()
return np.unpackbits(np.frombuffer(digest, np.uint8)).astype(bool).reshape(16, 16)""",
        "changes with the light": 'return np.asarray(picture.convert("L").resize((16, 16))) > 128',
        "all pictures alike": "return np.zeros((16, 16), bool)",
        "another fingerprint": "return imagehash.dhash_vertical(picture, 16).hash",
    },
    "twins_on_one_side": {
        "twins apart": ("train, test = [], []", "train, test, groups = [], [], [[file] for group in groups for file in group]"),
        "no two lists": ("return train, test", "return train"),
        "files lost": ("side.extend(group)", "side.append(group[0])"),
        "on both sides": ("return train, test", "return train + test, test"),
        "another share on the test side": ("room = share", "room = 0.5"),
        "not by the seed": ("Random(seed)", "Random(0)"),
    },
    "advice_taken": {
        "no recipe": (f"replace({ADVISED}, source=source)", "advice"),
        "from scratch": (ADVISED, "h.SCRATCH"),
        "not as advised": (ADVISED, "h.FINE_TUNE_ALL"),
        "recipe changed": (f"return replace({ADVISED}, source=source)", f"{ADVISED}.source = source"),
        "another source": ("source=source", 'source="garden"'),
        "live BatchNorm": ("source=source", 'source=source, lr=1e-2, batchnorm="live"'),
        "recipe without preprocessing": ("source=source", 'source=source, preprocessing="none"'),
    },
    "all_saved": {
        "nothing saved": "pass",
        "a pickle": 'torch.save({"model": model.state_dict(), "classes": classes}, path)',
        "buffers missing": ("model.state_dict()", "dict(model.named_parameters())"),
        "other numbers": ("model.state_dict()", "{name: x.half().to(x.dtype) for name, x in model.state_dict().items()}"),
        "no texts": ("json.dumps(value)", "value"),
        "not JSON": ("json.dumps", "str"),
        "classes lost": ('"classes": classes, ', ""),
        "classes in another order": ('"classes": classes', '"classes": sorted(classes)'),
        "preprocessing lost": (', "mean": mean, "std": std, "size": size', ""),
    },
    "upload_answered": {
        "bytes, not a file": (READ, "content"),
        "no text": ('return f"{name} ({probability:.0%})"', "return probabilities"),
        "class not named": ("next(iter(probabilities.items()))", "list(probabilities.items())[-1]"),
        "lies on its side": (READ, f'Image.fromarray(np.array(Image.open({READ}).convert("RGB")))'),
        "another preprocessing": (READ, f"Image.open({READ}).resize((32, 32))"),
        "falls over": ("ValueError", "KeyError"),
        "names what is no picture": ('f"No answer: {error}"', '"ground"'),
        "no reason": ('f"No answer: {error}"', '"error"'),
    },
    "pixels_go_in": {
        "not scaled": (" / 255", ""),
        "not normalised": ("(unit - self.mean) / self.std", "unit"),
        "other order": ("(unit - self.mean)", "unit - self.mean"),
        "probabilities": ("self.std)", "self.std).softmax(1)"),
        "other answers": ("images.float()", "images.flip(1).float()"),
    },
}
