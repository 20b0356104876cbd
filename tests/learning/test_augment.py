"""Augmentation: nothing if everything is off, and only the named change if one thing is on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgefer.data.dataset import Split
from edgefer.learning import augmentation, images
from edgefer.preprocessing import Preprocessing
from edgefer.recipes.schema import Augment

OFF = Augment(flip=0)
GREY = Preprocessing(size=44, crop=44 / 48, mean=(0.5,), std=(0.25,))


def faces(count: int = 8, side: int = 48, channels: int = 1) -> torch.Tensor:
    smooth = torch.nn.functional.interpolate(
        torch.rand(count, channels, 6, 6, generator=torch.Generator().manual_seed(3)), (side, side), mode="bicubic"
    )
    return (smooth.clamp(0, 1) * 255).to(torch.uint8)


def plain(x: torch.Tensor, preprocessing: Preprocessing) -> np.ndarray:
    grey = x.shape[1] == 1
    return preprocessing.apply(x[:, 0].numpy() if grey else x.permute(0, 2, 3, 1).numpy())


def test_with_everything_off_training_sees_what_evaluation_sees() -> None:
    x = faces()
    np.testing.assert_allclose(augmentation.augment(x, OFF, GREY).numpy(), plain(x, GREY), atol=1e-5)


@pytest.mark.parametrize("size", [64, 96])
def test_enlarging_agrees_with_pillow_up_to_its_rounding(size: int) -> None:
    bigger = Preprocessing(size=size, crop=1.0, color="rgb", mean=(0.5,) * 3, std=(0.25,) * 3)
    x = faces()
    difference = np.abs(augmentation.augment(x, OFF, bigger).numpy() - plain(x, bigger))
    assert difference.max() < 1.5 / 255 / 0.25


def test_large_pictures_are_made_smaller_before_they_are_sampled() -> None:
    pictures = faces(4, side=192)[:, 0].numpy()
    split = Split("train", pictures, np.arange(4), np.zeros(4, np.int64), np.arange(4))
    loaded = images.load(split, GREY)
    assert loaded.shape == (4, 1, 48, 48)
    np.testing.assert_allclose(augmentation.augment(loaded, OFF, GREY).numpy(), GREY.apply(pictures), atol=0.05)


def test_flip_mirrors_about_half_of_the_images() -> None:
    x = faces(400)
    plainly = plain(x, GREY)
    out = augmentation.augment(x, Augment(flip=0.5), GREY).numpy()
    kept = np.array([np.allclose(a, b, atol=1e-4) for a, b in zip(out, plainly, strict=True)])
    mirrored = np.array([np.allclose(a, b[..., ::-1], atol=1e-4) for a, b in zip(out, plainly, strict=True)])
    assert (kept ^ mirrored).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_shift_and_zoom_stay_within_their_bounds() -> None:
    # A single bright point shows where the image's centre moved.
    x = torch.zeros(300, 1, 49, 49, dtype=torch.uint8)
    x[:, :, 22:27, 22:27] = 255
    whole = Preprocessing(size=49)
    out = augmentation.augment(x, Augment(flip=0, shift=0.1), whole).numpy()[:, 0]
    columns = (out.sum(1) * np.arange(49)).sum(1) / out.sum((1, 2))
    assert np.abs(columns - 24).max() <= 0.1 * 49 + 0.01
    assert np.abs(columns - 24).max() > 0.08 * 49
    zoomed = augmentation.augment(x, Augment(flip=0, scale=(2.0, 2.0)), whole).numpy()
    np.testing.assert_allclose(zoomed.sum((1, 2, 3)), 4 * x[0].float().sum().item() / 255, rtol=0.05)


def test_erasing_sets_a_rectangle_of_the_asked_area_to_the_mean() -> None:
    x = torch.full((300, 1, 48, 48), 255, dtype=torch.uint8)
    out = augmentation.augment(x, Augment(flip=0, erase=1.0, erase_area=(0.1, 0.2)), GREY)
    share = (out == 0).float().mean((1, 2, 3))
    assert (share > 0.05).all()
    assert (share < 0.25).all()
    never = augmentation.augment(x, Augment(flip=0, erase=0.0), GREY)
    assert (never != 0).all()


def test_contrast_stretches_about_the_mean_by_no_more_than_asked() -> None:
    x = torch.full((300, 1, 48, 48), 100, dtype=torch.uint8)
    x[..., 24:] = 150
    out = augmentation.augment(x, Augment(flip=0, contrast=0.2), Preprocessing(size=48))
    stretched = (out[..., 40] - out[..., 8]).mean((1, 2)) / (50 / 255)
    assert stretched.min() == pytest.approx(0.8, abs=0.01)
    assert stretched.max() == pytest.approx(1.2, abs=0.01)
    assert torch.allclose(out.mean((1, 2, 3)), torch.full((300,), 125 / 255), atol=1e-4)


def test_brightness_changes_by_no_more_than_asked() -> None:
    x = torch.full((300, 1, 48, 48), 128, dtype=torch.uint8)
    mean = augmentation.augment(x, Augment(flip=0, brightness=0.1), Preprocessing(size=48)).mean((1, 2, 3)) - 128 / 255
    assert mean.abs().max() <= 0.1001
    assert mean.abs().max() > 0.08


def test_each_image_gets_its_own_draw() -> None:
    x = faces(1).expand(16, -1, -1, -1)
    out = augmentation.augment(x, Augment(flip=0, rotate=10), GREY)
    assert len({image.numpy().tobytes() for image in out}) == 16


def test_rotation_leans_a_line_by_no_more_than_asked() -> None:
    upright = torch.zeros(64, 1, 48, 48, dtype=torch.uint8)
    upright[..., 23:25] = 255
    whole = Preprocessing(size=48, mean=(0.0,), std=(1.0,))
    out = augmentation.augment(upright, Augment(flip=0, rotate=20), whole)[:, 0]
    places = (out * torch.arange(48.0)).sum(2) / out.sum(2)  # the line's position in each row
    lean = (places[:, -12] - places[:, 12]) / (places.shape[1] - 24)
    assert (lean.abs() <= np.tan(np.radians(20)) + 0.01).all()
    assert lean.max() > 0.25
    assert lean.min() < -0.25


def test_shear_moves_a_row_sideways_by_its_height() -> None:
    upright = torch.zeros(64, 1, 48, 48, dtype=torch.uint8)
    upright[..., 23:25] = 255
    whole = Preprocessing(size=48, mean=(0.0,), std=(1.0,))
    out = augmentation.augment(upright, Augment(flip=0, shear=20), whole)[:, 0]
    columns = torch.arange(48.0)
    places = (out * columns).sum(2) / out.sum(2)  # the line's position in each row
    lean = (places[:, -8] - places[:, 8]) / (places.shape[1] - 16)
    assert (lean.abs() <= np.tan(np.radians(20)) + 0.01).all()
    assert lean.max() > 0.25
    assert lean.min() < -0.25
    assert torch.allclose((places[:, -8] + places[:, 8]) / 2, torch.full((64,), 23.5), atol=0.6)


@pytest.mark.parametrize(("side", "crop"), [(43, 0.9), (45, 15 / 16), (48, 0.9), (64, 44 / 48)])
def test_a_crop_that_cannot_be_in_the_middle_lies_where_evaluation_has_it(side: int, crop: float) -> None:
    size = round(crop * side)
    odd = Preprocessing(size=size, crop=crop, mean=(0.5,), std=(0.25,))
    x = faces(side=side)
    np.testing.assert_allclose(augmentation.augment(x, OFF, odd).numpy(), plain(x, odd), atol=1e-3)
