"""What lab 3 asks for: presses told apart, a folder loaded, inspected and split, a file, an answer to an upload, a graph."""

import copy
import tempfile
from pathlib import Path

import imagehash
import torch
from torch.utils.data import DataLoader

from helpers.images.twins import NEAR, SIDE
from helpers.lessons.probes import network, recognise, tried
from helpers.lessons.your_own_images import examples
from helpers.lessons.your_own_images.examples import found
from helpers.notebook.checking import checked
from helpers.notebook.findings import a_model, answer_of, kind_of, tensor

LAB = "lab3_your_own_images"


@checked(LAB)
def presses_known(press_of):
    """The same value for the pictures of one press, and another for each other press, of any class."""
    press = lambda name, number: [f"{name}/press{number:02}-{picture:03}.jpg" for picture in (1, 2, 13)]
    presses = {(name, number): press(name, number) for name in ("mug", "phone", "note-pad") for number in (1, 2, 12, 123)}
    values = {}
    for which, files in presses.items():
        got = [answer_of(press_of, file) for file in files]
        try:
            values[which] = got[0] if len(set(got)) == 1 else None
        except TypeError:
            raise found("no value to compare", f"{kind_of(got[0])} for {files[0]!r}") from None
        if values[which] is None:
            raise found("each picture alone", f"{got[0]!r} for {files[0]!r}, {got[1]!r} for {files[1]!r}")
    for finding, one, other in (
        ("a whole class", ("mug", 1), ("mug", 2)),
        ("the class left out", ("mug", 1), ("phone", 1)),
        ("a part of the number", ("mug", 12), ("mug", 123)),
        ("a dash in a name", ("note-pad", 1), ("note-pad", 2)),
        ("a part of the number", ("mug", 1), ("mug", 12)),
    ):
        if values[one] == values[other]:
            raise found(finding, f"{values[one]!r} for both {presses[one][0]!r} and {presses[other][0]!r}")


@checked(LAB)
def twins_on_one_side(split_groups):
    """Every file on one side, groups kept together, about the requested share, decided by the seed."""
    groups, sides = examples.groups(), {}
    files = sorted(sum(groups, []))
    for seed in (0, 1, 2, 0):
        answer = answer_of(split_groups, [list(group) for group in groups], 0.25, seed)
        kinds = (list, tuple, set)
        if not isinstance(answer, kinds[:2]) or len(answer) != 2 or not all(isinstance(side, kinds) for side in answer):
            raise found("no two lists", f"{kind_of(answer)}: {str(answer)[:60]}")
        train, test = map(list, answer)
        if odd := [file for file in train + test if not isinstance(file, str)]:
            raise found("no two lists", f"{str(odd[0])[:60]} where a file name was expected")
        if both := sorted(set(train) & set(test)):
            raise found("on both sides", f"{both[0]} is in train and in test")
        if sorted(train + test) != files:
            raise found("files lost", f"{len(files)} files went in, {len(train + test)} came out")
        torn = [group for group in groups if 0 < len(set(group) & set(test)) < len(group)]
        if torn:
            there = len(set(torn[0]) & set(test))
            raise found("twins apart", f"of the group {', '.join(torn[0])}, {there} in test and the rest in train")
        if not 0.15 <= len(test) / len(files) <= 0.35:
            raise found("another share on the test side", f"{len(test)} of {len(files)} files, for a share of 0.25")
        if sides.setdefault(seed, sorted(test)) != sorted(test):
            raise found("not by the seed", f"seed {seed} gave another split the second time")
    if len(set(map(tuple, sides.values()))) == 1:
        raise found("not by the seed", "the seeds 0, 1 and 2 gave the same split")
    few = [[f"{press}-{picture}.jpg" for picture in range(4)] for press in "abc"]
    train, test = answer_of(split_groups, few, 0.25, 0)
    if not train or not test:
        raise found("an empty side", f"3 groups of 4 files, a share of 0.25: {len(train)} files in train, {len(test)} in test")


@checked(LAB)
def folder_loaded(make_loaders):
    """Two DataLoaders: every picture in one of them, transformed, with its label; only the training pictures shuffled."""
    with examples.folder(**examples.coloured()) as place:
        names = sorted(file.relative_to(place).as_posix() for file in place.rglob("*.png"))
        tested = {name for name in names if "press02" in name}
        words = {"found <class 'PIL": "no transform", "found class 'PIL": "no transform", "not iterable": "no two loaders"}
        made = tried(found, words, make_loaders, place, set(tested), examples.colour)
        if not isinstance(made, (tuple, list)) or len(made) != 2 or not all(isinstance(one, DataLoader) for one in made):
            raise found("no two loaders", f"{kind_of(made)}: {str(made)[:60]}")
        torch.manual_seed(3)
        (train, first), (test, again) = ([tried(found, words, examples.unloaded, one) for _ in range(2)] for one in made)
    for side, got in (("training", train), ("test", test)):
        if odd := [colour for colour, _ in got if colour not in examples.COLOURS]:
            raise found("no transform", f"a {side} picture is {odd[0]}, which the transform that was given does not make")
    full = [len(one.dataset) for one in made] == [len(tested), len(tested)]  # here half of the pictures are tested
    if full and (batches := [len(one) for one in made]) != [1, 1]:
        raise found("other batches", f"9 pictures for each loader make {batches[0]} and {batches[1]} batches, not 1 and 1")
    of = lambda got: [names[examples.COLOURS.index(colour)] for colour, _ in got]
    if both := sorted(set(of(train)) & set(of(test))):
        raise found("in both loaders", f"{both[0]} is among the training and among the test pictures")
    if (sides := (len(set(of(train)) - tested), len(set(of(test)) & tested))) != (len(names) - len(tested), len(tested)):
        raise found("pictures lost", f"{sides[0]} and {sides[1]} pictures, not {len(names) - len(tested)} and {len(tested)}")
    classes = sorted({name.split("/")[0] for name in names})
    for (_, label), name in zip(train + test, of(train) + of(test), strict=True):
        if label != classes.index(name.split("/")[0]):
            raise found("another label", f"{name} has the label {label}; the classes are {classes}")
    if test != again or of(test) != sorted(of(test)):
        raise found("test shuffled", f"the test pictures come as {', '.join(of(test)[:3])}, ...")
    if train == first or of(train) == sorted(of(train)):
        raise found("not shuffled", f"the training pictures come as {', '.join(of(train)[:3])}, ..., in every pass")


@checked(LAB)
def same_picture_recognised(fingerprint):
    """256 bits that stay the same when a picture is made smaller, compressed or darkened, and differ between pictures."""
    pictures = [examples.scene(seed) for seed in (2, 3, 4)]
    apart = lambda one, other: int((one != other).sum())
    of = lambda picture: examples.bits(answer_of(fingerprint, picture))
    prints = [of(picture.copy()) for picture in pictures]
    if min(each.mean() for each in prints) > 0.85:
        raise found("nearly all True", f"{prints[0].mean():.0%} of the bits are True, for a picture of bright and dark places")
    if min(apart(prints[0], prints[1]), apart(prints[0], prints[2])) <= NEAR:
        raise found("all pictures alike", f"two pictures of different things differ in {apart(prints[0], prints[1])} bits")
    if (bits := apart(prints[0], of(examples.smaller(pictures[0])))) > NEAR:
        raise found("changes with the file", f"a smaller copy of a picture differs from it in {bits} of 256 bits")
    if (bits := apart(prints[0], of(pictures[0].point(lambda value: int(0.55 * value))))) > NEAR:
        raise found("changes with the light", f"a darker copy of a picture differs from it in {bits} of 256 bits")
    off = [apart(mine, imagehash.dhash(picture, SIDE).hash) for mine, picture in zip(prints, pictures, strict=True)]
    if max(off) > 24:
        raise found("another fingerprint", f"{max(off)} of 256 bits differ from the difference hash of imagehash")


@checked(LAB)
def all_saved(save_all):
    """One safetensors file with every tensor, the classes in order and the preprocessing."""
    model, classes = network(3), ["wren", "robin", "dunnock"]
    mean, std, size = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), 48
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "mine.safetensors")
        try:
            save_all(model, list(classes), mean, std, size, path)
        except TypeError as error:
            raise found("no texts", str(error)) if "metadata" in str(error) else error from None
        if not path.is_file():
            raise found("nothing saved", f"there is no file {path.name} after your function has run")
        tensors, about = examples.read_back(path)
    missing = model.state_dict().keys() - tensors.keys()
    if missing:
        raise found("buffers missing", f"{len(missing)} tensors are not in the file: {', '.join(sorted(missing)[:3])}")
    if changed := [name for name, value in model.state_dict().items() if not torch.equal(tensors[name], value)]:
        raise found("other numbers", f"{changed[0]} is another one in the file")
    got = {key: examples.from_json(about.get(key)) for key in ("classes", "mean", "std", "size")}
    if got["classes"] is None and all(name in about.get("classes", "") for name in classes):
        raise found("not JSON", f"the metadata's 'classes' are the text {about['classes']!r}")
    if not isinstance(got["classes"], list) or sorted(map(str, got["classes"])) != sorted(classes):
        raise found("classes lost", f"the metadata's 'classes' are {about.get('classes')!r}, its keys {sorted(about)}")
    if got["classes"] != classes:
        raise found("classes in another order", f"{got['classes']}, given were {classes}")
    for key, value in (("mean", list(mean)), ("std", list(std)), ("size", size)):
        if got[key] != value:
            raise found("preprocessing lost", f"the metadata's {key!r} is {about.get(key)!r}, given was {value}")


@checked(LAB)
def upload_answered(answer):
    """The most likely class of a picture in words; for anything else, a message that explains what is wrong."""
    picture, stub = examples.sky_above_ground(), examples.Stub()
    for data in (examples.content(picture, "PNG"), examples.lying(picture)):
        said = tried(found, {"not bytes": "bytes, not a file"}, answer, stub, data)
        if not isinstance(said, str):
            raise found("no text", f"{kind_of(said)}: {str(said)[:60]}")
        if "sky" not in said or "ground" in said.split("sky")[0]:
            finding = "class not named" if data[:4] == b"\x89PNG" else "lies on its side"
            raise found(finding, f"{said[:80]!r}, for a picture that predict calls 'sky'")
        if not any(sign.isdigit() for sign in said):
            raise found("no probability", f"{said[:80]!r}, for a picture that predict calls 'sky' with a probability of 75%")
        pixels = stub.seen[-1].float() if stub.seen else torch.zeros(3, 32, 32)
        if pixels.shape != (3, 32, 32) or (pixels[0] - pixels[2]).max() > 100:  # the red strip beside the central square
            raise found("another preprocessing", f"predict was given something else than the file, {tuple(pixels.shape)}")
    whole = examples.content(picture, quality=95)
    for what, data in (("a page of text", b"<!doctype html>"), ("half a picture", whole[: len(whole) // 2]), ("nothing", b"")):
        try:
            said = answer_of(answer, stub, data)
        except (ValueError, OSError, SyntaxError) as error:
            raise found("falls over", f"{what} was uploaded, and your function raised {type(error).__name__}") from None
        if not isinstance(said, str):
            raise found("no text", f"{kind_of(said)} for {what}")
        if any(name in said for name in stub.classes):
            raise found("names what is no picture", f"{said[:80]!r}, for {what}")
        if len(said) < 20:
            raise found("no reason", f"{said!r}, for {what}")


@checked(LAB)
def pixels_go_in(FromPixels):  # noqa: N803
    """uint8 pixels in, the network's logits out: the preprocessing is part of the module."""
    model, mean, std = network(3).eval(), (0.3, 0.5, 0.6), (0.2, 0.3, 0.25)
    module = a_model(answer_of(FromPixels, copy.deepcopy(model), mean, std)).eval()
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(6), dtype=torch.uint8)
    middle, spread = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    with torch.no_grad():
        logits = tensor(answer_of(module, images.clone()), "the logits", (4, 3), torch.float32)
        unit = images.float() / 255
        wanted = model((unit - middle) / spread)
        mistakes = [
            ("not scaled", model((images.float() - middle) / spread)),
            ("not normalised", model(unit)),
            ("not normalised", model(images.float())),
            ("other order", model(unit - middle / spread)),
            ("other order", model(unit / spread - middle)),
            ("probabilities", wanted.softmax(1)),
        ]
    recognise(found, logits, mistakes, f"for the first image your module gives {[round(x, 2) for x in logits[0].tolist()]}")
    if not torch.allclose(logits, wanted, atol=1e-4):
        raise found("other answers", f"the logits differ by up to {(logits - wanted).abs().max():.2g} from the network's")
