"""What lab 1 asks for between files and network: transforms, folders of pictures, and batches of them."""

import tempfile
from contextlib import suppress
from itertools import product
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision.transforms.functional import to_pil_image, to_tensor

from helpers.lessons.flowers.probes import found
from helpers.lessons.probes import recognise
from helpers.notebook.checking import checked
from helpers.notebook.findings import answer_of, kind_of, tensor

LAB = "lab1_flowers"
IMAGENET = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
PARTS, CLASSES = ("train", "val", "test"), ("ash", "elm", "oak")


def several(answer, count: int, name: str):
    """What a function returns, if it is this many things; else the finding of this name."""
    if not isinstance(answer, (tuple, list)) or len(answer) != count:
        raise found(name, f"your function returned {kind_of(answer)}")
    return answer


@checked(LAB)
def transforms_made(make_transforms):
    """Pictures as the network takes them: random views for training, always the same one for validation and test."""
    given, colour = ((0.2, 0.4, 0.6), (0.5, 0.25, 0.3)), torch.tensor([51.0, 153, 204])
    mean, std = map(torch.tensor, given)
    two = several(answer_of(make_transforms, *given, 24), 2, "not two transforms")
    plain = Image.new("RGB", (60, 40), tuple(int(value) for value in colour))
    noise = Image.effect_noise((60, 40), 80).convert("RGB")
    right = (colour / 255 - mean) / std
    for which, transform in zip(("training", "test"), two, strict=True):
        shape = tuple(tensor(transform(plain), f"what the {which} transform returns").shape)
        if shape != (3, 24, 24):
            raise found("wrong size", f"from 60 x 40 pixels and size 24 the {which} transform makes a tensor of shape {shape}")
        values = torch.stack([transform(plain).float().mean((1, 2)) for _ in range(16)]).mean(0)
        said = ["({})".format(", ".join(f"{value:.2f}" for value in each)) for each in (colour / 255, values, right)]
        said = f"the {which} transform makes of the colour {said[0]} the numbers {said[1]}, not {said[2]}"
        mistakes = {"not normalised": colour / 255, "another mean and std": (colour / 255 - IMAGENET[0]) / IMAGENET[1],
                    "pixels up to 255": (colour - mean) / std}  # fmt: skip
        recognise(found, values, mistakes.items(), said, 0.02)
        if (values - right).abs().max() > (0.02 if which == "test" else 0.5):  # training views may vary in colour
            raise found("pixels up to 255" if values.max() > 20 else "another mean and std", said)
    views = [[transform(noise) for _ in range(16)] for transform in two]
    vary = [any(not torch.equal(view, each[0]) for view in each) for each in views]
    if vary[1]:
        raise found("test is random", "the test transform makes different tensors from the same picture")
    if not vary[0]:
        raise found("training is fixed", "sixteen views by the training transform are all the same")
    ((across, down),) = _share(two[1], 120, 40, mean, std, 1).tolist()
    if not (0.2 < across < 0.4 and 0.7 < down < 1.1):  # 1/3 and 1, or a little less of both
        raise found("another test view", f"of 120 x 40 pixels, the test view shows {across:.0%} x {down:.0%}, not 33% x 100%")
    across, down = _share(two[0], 64, 64, mean, std, 64).T
    if not 0 < (mirrored := int((across < 0).sum())) < 64 or (down < 0).any():
        raise found("other flips", f"of 64 training views, {mirrored} are mirrored and {(down < 0).sum()} are upside down")
    if (area := (across * down).abs().mean()) < 0.65:  # on average 0.75 where each shows at least half of it
        raise found("views too small", f"on average, a view by the training transform shows {area:.0%} of the picture")


def _share(transform, width: int, height: int, mean, std, count: int) -> torch.Tensor:
    """The shares of a picture's width and height that each of its views shows, negative where mirrored: (count, 2)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    picture = to_pil_image(torch.stack([x, y, (x + y) / 2]))
    red, green, _ = (torch.stack([transform(picture) for _ in range(count)]) * std.view(3, 1, 1) + mean.view(3, 1, 1)).unbind(1)
    return 24 / 23 * torch.stack([(red[:, :, -1] - red[:, :, 0]).mean(1), (green[:, -1] - green[:, 0]).mean(1)], 1)


def _read(dataset, part: int) -> None:
    """Raises the finding where a dataset does not hold the pictures of a part, by its transform, with their labels."""
    rows = [[*(round(float(value.mean()) * 5.1) for value in x[:2]), x[3].mean().item(), label] for x, label in dataset]
    if {row[0] for row in rows} != {part} or len(rows) != 6:
        parts = " and ".join(f"{PARTS[other]}/" for other in sorted({row[0] for row in rows}))
        raise found("another part", f"the dataset for {PARTS[part]} holds {len(rows)} pictures of {parts}, not its own 6")
    if any(row[2] != float(part > 0) for row in rows):
        raise found("other transform", f"pictures of {PARTS[part]}/ went through the transform that is not meant for them")
    for _, own, _, label in rows:
        if own != label:
            raise found("classes shifted", f"the label {label} of {PARTS[part]}/ means {CLASSES[own]}, not {CLASSES[label]}")


@checked(LAB)
def folders_opened(open_folders):
    """Three datasets whose labels mean the same classes; a folder with other classes is refused."""
    mark = lambda value: lambda picture: torch.cat([to_tensor(picture), torch.full((1, *picture.size[::-1]), value)])
    with tempfile.TemporaryDirectory() as name:
        for part, label, number in product(range(3), range(3), range(2)):  # each picture of one colour, which says what it is
            file = Path(name, PARTS[part], CLASSES[label], f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (50 * part, 50 * label, 50 * number)).save(file)
        three = several(answer_of(open_folders, Path(name), mark(0.0), mark(1.0)), 3, "not three datasets")
        for part, dataset in enumerate(three):
            _read(dataset, part)
        for part in ("test", "val"):  # as many classes, but not the same ones
            other = Path(name, part, CLASSES[0]).rename(Path(name, part, "yew"))
            with suppress(ValueError, AssertionError):
                open_folders(Path(name), mark(0.0), mark(1.0))
                raise found("classes shifted", f"no error, where {part}/ has yew/ for ash/: the label 0 means elm there, not ash")
            other.rename(Path(name, part, CLASSES[0]))


@checked(LAB)
def loaders_made(make_loaders):
    """Training pictures in a new order each epoch, which the seed fixes; the others all, in the order of their files."""
    data = [TensorDataset(torch.arange(count)) for count in (23, 11, 12)]

    def read(seed, noise):
        three = several(answer_of(make_loaders, *data, 5, seed), 3, "not three loaders")
        torch.manual_seed(noise)  # other code draws random numbers, too
        epochs = [[[batch[0] for batch in loader] for loader in three] for _ in range(2)]
        return [[torch.cat(batches) for batches in epoch] for epoch in epochs], len(epochs[0][0][0])

    (first, second), size = read(7, noise=0)
    if size != 5:
        raise found("another batch size", f"asked for 5, the first training batch has {size} pictures")
    for part, order, count in zip(PARTS, first, (23, 11, 12), strict=True):
        if sorted(order.tolist()) != list(range(count)):
            raise found("pictures left out", f"an epoch of {part} shows {len(order.unique())} of its {count} pictures")
        if part != "train" and order.tolist() != list(range(count)):
            raise found("test shuffled", f"the pictures of {part} come in the order {order[:5].tolist()} ...")
    if torch.equal(first[0], torch.arange(23)):
        raise found("training in order", f"the training pictures come in the order {first[0][:5].tolist()} ...")
    again, other = read(7, noise=1)[0], read(8, noise=0)[0]
    if not torch.equal(first[0], again[0][0]):
        raise found("no seed", "made twice with the seed 7, the training loader gives two different orders")
    if torch.equal(first[0], second[0]) or torch.equal(first[0], other[0][0]):
        raise found("always the same order", "another epoch, or another seed, gives the same order")
