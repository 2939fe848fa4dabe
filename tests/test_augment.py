"""Augmentation draws its parameters per image, does what torchvision does, and is repeatable."""

import pytest
import torch
from torch.nn.functional import grid_sample
from torchvision.transforms import v2

from helpers.images.augmentation import augment, recolour, resample, sample_within

DEVICES = ["cpu", *([torch.accelerator.current_accelerator().type] if torch.accelerator.is_available() else [])]


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def ramps(count, side=64):
    """Red grows from 0 to 1 with x, green with y: each pixel says where in the picture it comes from."""
    line = (torch.arange(side) + 0.5) / side
    x, y = torch.meshgrid(line, line, indexing="xy")
    return torch.stack([x, y, torch.full_like(x, 0.5)]).repeat(count, 1, 1, 1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.float64])
def test_shape_dtype_device_and_range_are_kept_and_the_input_is_untouched(dtype, device):
    images = noise(5, 3, 24, 40).to(device)
    if device == "mps" and dtype == torch.float64:
        pytest.skip("MPS has no float64")
    images = images if dtype == torch.uint8 else images.div(255).to(dtype)
    before = images.clone()
    views = augment(images)
    assert (views.shape, views.dtype, views.device) == (images.shape, images.dtype, images.device)
    assert torch.equal(images, before)
    assert views.min() >= 0 and views.max() <= (255 if dtype == torch.uint8 else 1)
    assert augment(images[:0]).shape == (0, 3, 24, 40)


def seeded(images, seed=0, **settings):
    torch.manual_seed(seed)
    return augment(images, **settings)


def test_the_same_seed_gives_the_same_views_and_another_seed_or_image_of_the_batch_others():
    images = noise(1, 3, 16, 16).repeat(40, 1, 1, 1)
    views = [seeded(images, seed) for seed in (0, 0, 1)]
    assert torch.equal(views[0], views[1])
    assert len(torch.cat(views[1:]).flatten(1).unique(dim=0)) == 80


def test_uint8_and_float_images_get_the_same_views():
    images = noise(8, 3, 32, 32)
    assert (seeded(images) / 255 - seeded(images / 255)).abs().max() < 0.5 / 255 + 1e-5


def test_crops_keep_the_share_of_the_area_asked_for_and_stay_inside():
    views = seeded(ramps(400), scale=(0.3, 0.6), flip=0, jitter=0)
    across, down = views[:, 0].mean(1), views[:, 1].mean(2)  # where the columns and the rows come from
    width, height = ((a[:, -2] - a[:, 1]) / (61 / 64) for a in (across, down))
    area, ratio = width * height, width / height
    assert 0.28 < area.min() < 0.33 and 0.57 < area.max() < 0.62
    assert 0.73 < ratio.min() < 0.79 and 1.27 < ratio.max() < 1.36
    assert across[:, 0].min() < 0.02 and across[:, -1].max() > 0.98  # up to the edges
    assert (views[:, 2] - 0.5).abs().max() < 1e-5  # nothing comes from outside


def test_flips_mirror_left_and_right_as_often_as_asked():
    for flip, least, most in ((0.5, 440, 560), (0, 0, 0), (1, 1000, 1000)):
        views = seeded(ramps(1000), flip=flip, jitter=0)
        assert least <= (views[:, 0, :, 0].mean(1) > views[:, 0, :, -1].mean(1)).sum() <= most
        assert (views[:, 1, -1].mean(1) > views[:, 1, 0].mean(1)).all()  # never upside down


def test_nothing_asked_for_changes_nothing():
    images = noise(4, 3, 33, 64)
    assert torch.equal(augment(images, scale=(1, 1), flip=0, jitter=0), images)
    assert torch.equal(augment(images, scale=(1, 1), flip=1, jitter=0), images.flip(3))


@pytest.mark.parametrize("mirror", [False, True])
def test_a_crop_agrees_with_torchvisions_resized_crop(mirror):
    images = noise(1, 3, 48, 80).float()
    for left, top, width, height in ((0, 0, 80, 48), (10, 3, 40, 30), (71, 40, 9, 8), (0, 17, 80, 31)):
        theirs = v2.functional.resized_crop(images, top, left, height, width, [48, 80])
        theirs = v2.functional.horizontal_flip(theirs) if mirror else theirs
        # along its edges ours blends with the pixels just outside of the box, theirs repeats its border
        ours = resample(
            images,
            corner=torch.tensor([[left / 80], [top / 48]]),
            size=torch.tensor([[width / 80], [height / 48]]),
            mirror=torch.tensor([mirror]),
        )
        rows, columns = 48 // height + 1, 80 // width + 1
        inside = (..., slice(rows, -rows), slice(columns, -columns))
        assert (ours - theirs)[inside].abs().max() < 0.05  # of 255


def test_colours_agree_with_torchvisions_adjustments():
    images = 0.3 + 0.3 * noise(3, 3, 16, 16) / 255  # mid tones, where nothing is clamped
    factors = torch.tensor([[0.8, 1.0, 1.2], [1.2, 0.7, 1.1], [0.5, 1.3, 0.9]])
    ours = recolour(images, *factors)
    for image, mine, (brightness, contrast, saturation) in zip(images, ours, factors.T.tolist(), strict=True):
        theirs = v2.functional.adjust_brightness(image, brightness)
        theirs = v2.functional.adjust_contrast(theirs, contrast)
        theirs = v2.functional.adjust_saturation(theirs, saturation)
        assert (mine - theirs).abs().max() < 1e-5


@pytest.mark.skipif(len(DEVICES) == 1, reason="needs a GPU")
def test_a_gpu_gives_the_same_views_as_the_cpu():
    images = noise(8, 3, 64, 64)
    assert (seeded(images).float() - seeded(images.to(DEVICES[1])).cpu().float()).abs().max() <= 1


def test_sampling_that_keeps_within_the_pixels_is_that_with_a_repeated_border():
    """What MPS gets, which lacks padding_mode="border" in some versions of torch."""
    torch.manual_seed(0)
    for height, width in ((17, 23), (64, 64), (1, 5)):
        images, where = torch.rand(4, 3, height, width), 3 * torch.rand(4, 20, 30, 2) - 1.5
        border = grid_sample(images, where, padding_mode="border", align_corners=False)
        assert torch.allclose(sample_within(images, where), border, atol=1e-5)


@pytest.mark.parametrize(
    "images, settings, message",
    [
        (torch.zeros(3, 8, 8), {}, r"images\[None\]"),
        (torch.zeros(2, 1, 8, 8), {}, r"\(2, 1, 8, 8\)"),
        (torch.full((2, 3, 8, 8), torch.nan), {}, "augment first, then normalise"),
        (torch.zeros(2, 3, 8, 8), {"scale": (0, 1)}, "scale="),
        (torch.zeros(2, 3, 8, 8), {"scale": (0.5, 1.5)}, "scale="),
        (torch.zeros(2, 3, 8, 8), {"flip": 2}, "flip=2"),
        (torch.zeros(2, 3, 8, 8), {"jitter": -0.1}, "jitter=-0.1"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), {}, "images must be"),
        ([[1]], {}, "images must be"),
    ],
)
def test_bad_input_is_refused(images, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        augment(images, **settings)
