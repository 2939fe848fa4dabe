"""A trained network can be used, saved, and taken elsewhere."""

import copy
import warnings
from dataclasses import replace

import pytest
import torch
from fits import fitted, short, small_task, write_source
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.sources.checkpoints import read_safetensors
from helpers.sources.gardennet import GardenNet
from helpers.training.classifier import load_classifier, load_trained
from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL


@pytest.fixture(scope="module", params=["garden", "torchvision"])
def classifier(request, tmp_path_factory):
    """A trained one; the file of its source, if it was one, is gone."""
    if request.param == "garden":
        return fitted(short(FINE_TUNE_ALL)).classifier
    path = tmp_path_factory.mktemp("source") / "net.safetensors"
    trained = fitted(short(FEATURE_EXTRACTION, source=write_source(path))).classifier
    path.unlink()
    return trained


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    return classifier.save(tmp_path_factory.mktemp("saved") / "mine.safetensors")


def picture(width=80, height=60):
    """A PIL image that is not square."""
    generator = torch.Generator().manual_seed(1)
    return Image.fromarray(torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8).numpy())


def test_a_reloaded_classifier_gives_bitwise_the_same_logits(classifier, saved, tmp_path):
    images = small_task().test.pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_classifier(saved)
    assert torch.equal(again.logits(images), classifier.logits(images))
    assert again.predict(picture()) == classifier.predict(picture())
    assert (again.classes, again.size) == (classifier.classes, classifier.size) == (small_task().classes, 32)
    (tensors, about), (expected, texts) = (read_safetensors(path) for path in (again.save(tmp_path / "again"), saved))
    assert about == texts and tensors.keys() == expected.keys(), "it can be saved again"
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())


def test_logits_are_the_same_whatever_mode_the_network_is_in_and_leave_it_there(classifier):
    images = small_task().test.pixels
    again = replace(classifier, backbone=replace(classifier.backbone, model=copy.deepcopy(classifier.model).train()))
    assert torch.equal(again.logits(images), classifier.logits(images)) and again.model.training


def test_predict_gives_each_class_a_probability_the_likeliest_first(classifier):
    image = small_task().test[3][0]
    probabilities = classifier.predict(image)
    assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
    expected = classifier.logits(image[None]).softmax(1)[0].tolist()
    assert probabilities == dict(sorted(zip(classifier.classes, expected, strict=True), key=lambda item: -item[1]))


def test_predict_takes_a_path_a_pil_image_and_a_tensor_of_any_size_alike(classifier, tmp_path):
    image, path = picture(), tmp_path / "new.png"
    image.save(path)
    tensor = torch.tensor(list(image.tobytes()), dtype=torch.uint8).view(60, 80, 3).permute(2, 0, 1)
    expected = classifier.predict(image)
    assert classifier.predict(path) == classifier.predict(str(path)) == classifier.predict(tensor) == expected
    assert classifier.predict(image.convert("L").convert("RGBA")).keys() == expected.keys()


@pytest.mark.parametrize(
    "shape, dtype",
    [((2, 3, 32, 32), torch.uint8), ((32, 32), torch.uint8), ((40, 50, 3), torch.uint8), ((3, 32, 32), torch.float32)],
)
def test_predict_refuses_other_tensors(classifier, shape, dtype):
    with pytest.raises(ValueError, match=r"one uint8 image \(3, H, W\)"):
        classifier.predict(torch.zeros(shape, dtype=dtype))


def test_predict_refuses_what_is_no_image(classifier, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.jpg"):
        classifier.predict(tmp_path / "nothing.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="text.jpg"):
        classifier.predict(tmp_path / "text.jpg")


def foreign(path):
    save_file({"fc.weight": torch.ones(2, 2)}, path)


def truncated(path):
    save_file({"fc.weight": torch.ones(200, 200)}, path, {"format": "pt"})
    path.write_bytes(path.read_bytes()[:-100])


LOADERS = {"classifier": load_classifier, "trained": lambda path: load_trained(GardenNet(10), path)}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(
    "write, error, message",
    [
        (lambda path: None, FileNotFoundError, "no file .*mine.safetensors"),
        (lambda path: path.write_bytes(b""), ValueError, "mine.safetensors is not an intact safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), ValueError, "mine.safetensors is not an intact safetensors file"),
        (truncated, ValueError, "mine.safetensors is not an intact safetensors file"),
        (foreign, ValueError, "mine.safetensors (was not written by Classifier.save|is not from save_trained)"),
    ],
)
def test_a_missing_a_damaged_and_a_foreign_file_are_told_apart(load, write, error, message, tmp_path):
    write(tmp_path / "mine.safetensors")
    with pytest.raises(error, match=message):
        load(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_pickle_is_refused_and_not_run(load, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "trap").write_text, ("caught",)

    torch.save({"format": Trap()}, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="mine.pt"):
        load(tmp_path / "mine.pt")
    assert not (tmp_path / "trap").exists()


CHANGES = {
    "a tensor is missing": lambda tensors, about: tensors.popitem(),
    "a tensor has another shape": lambda tensors, about: tensors.update({max(tensors): torch.zeros(1, 2, 3)}),
    "a tensor is too many": lambda tensors, about: tensors.update(more=torch.zeros(3)),
    "the classes are missing": lambda tensors, about: about.pop("classes"),
    "the classes are others": lambda tensors, about: about.update(classes='["one"]'),
    "the source is unknown": lambda tensors, about: about.update(source="resnet17"),
    "the size is no number": lambda tensors, about: about.update(size="big"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_whose_parts_do_not_fit_is_refused(change, saved, tmp_path):
    tensors, about = load_file(saved), read_safetensors(saved)[1]
    CHANGES[change](tensors, about)
    save_file(tensors, tmp_path / "mine.safetensors", about)
    with pytest.raises(ValueError, match="mine.safetensors is not an intact classifier"):
        load_classifier(tmp_path / "mine.safetensors")


def test_preprocessing_travels_with_the_weights(classifier, tmp_path):
    images = small_task().test.pixels[:3]
    other = replace(classifier, backbone=replace(classifier.backbone, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)))
    again = load_classifier(other.save(tmp_path / "other.safetensors"))
    assert torch.equal(again.logits(images), other.logits(images))
    assert not torch.equal(again.logits(images), classifier.logits(images))
