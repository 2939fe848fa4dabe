"""Answers to the checks of lab 3."""

KEY = 'file.rsplit("-", 1)[0]'
LOADERS = "DataLoader(train, batch_size=16, shuffle=True), DataLoader(test, batch_size=16)"
READ = "io.BytesIO(content)"
GREATER = "grey[:, 1:] > grey[:, :-1]"

RIGHT = {
    "presses_known": {
        "folder and number": 'folder, name = file.split("/")\nreturn folder, int(name[len("press"):].split("-")[0])',
    },
    "folder_loaded": {
        "a loader of its own": ("ImageFolder(folder, transform)", "ImageFolder(str(folder), transform=lambda x: transform(x))"),
    },
    "same_picture_recognised": {
        "torch, with the sign of the difference": (GREATER, "torch.from_numpy(grey.copy()).int().diff(dim=1) > 0"),
        "another interpolation": ("LANCZOS", "BICUBIC"),
    },
    "twins_on_one_side": {"at least one": ("len(test) < room", "not test or len(test) + len(group) <= room")},
    "upload_answered": {
        "all classes": ("return f\"{name} ({probability:.0%})\"", "return str(probabilities)"),
        "a short reason": ('f"No answer: {error}"', '"This is not a picture."'),
    },
}

WRONG = {
    "presses_known": {
        "no value to compare": (KEY, 'file.rsplit("-", 1)'),
        "each picture alone": (KEY, "file"),
        "a whole class": (KEY, 'file.split("/")[0]'),
        "the class left out": (KEY, f'{KEY}.split("/")[1]'),
        "a part of the number": (KEY, 'file.split("press")[0] + file.split("press")[1][:2]'),
        "a dash in a name": (KEY, 'file.split("-")[0]'),
    },
    "folder_loaded": {
        "no two loaders": (LOADERS, "train, test"),
        "no transform": ("ImageFolder(folder, transform)", "ImageFolder(folder, transforms.ToTensor())"),
        "other batches": ("shuffle=True)", "shuffle=True, drop_last=True)"),
        "in both loaders": ("name not in test_files", "name"),
        "pictures lost": (".as_posix()", ".name"),
        "another label": ("ImageFolder(folder, transform)", "ImageFolder(folder, transform, lambda label: 2 - label)"),
        "test shuffled": ("DataLoader(test, batch_size=16)", "DataLoader(test, batch_size=16, shuffle=True)"),
        "not shuffled": (", shuffle=True", ""),
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
        "an empty side": ("len(test) < room", "len(test) + len(group) <= room"),
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
        "no probability": ("({probability:.0%})", ""),
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
