"""Preprocessing from pixels to input: the same for an array of images and for single ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgefer.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (5, 48, 48), dtype=np.uint8)


def test_a_crop_takes_the_middle_and_leaves_pixels_as_they_are() -> None:
    spec = Preprocessing(size=44, crop=44 / 48)
    np.testing.assert_array_equal(spec.pixels(FACES)[:, 0], FACES[:, 2:46, 2:46])


def test_input_is_pixels_over_255_minus_mean_over_std() -> None:
    spec = Preprocessing(size=48, mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(spec.apply(FACES)[:, 0], (FACES / 255 - 0.5) / 0.25, atol=1e-5)
    assert spec.apply(FACES).dtype == np.float32


@given(
    size=st.integers(8, 64),
    crop=st.floats(0.3, 1.0),
    height=st.integers(9, 70),
    width=st.integers(9, 70),
    color=st.sampled_from(["grey", "rgb"]),
    channels=st.sampled_from([1, 3]),
)
def test_a_stack_and_its_single_images_give_the_same(
    size: int, crop: float, height: int, width: int, color: Literal["grey", "rgb"], channels: int
) -> None:
    of_color = 1 if color == "grey" else 3
    spec = Preprocessing(size=size, crop=crop, color=color, mean=(0.4,) * of_color, std=(0.2,) * of_color)
    shape = (3, height, width) if channels == 1 else (3, height, width, 3)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    stack = spec.apply(images)
    assert stack.shape == (3, of_color, size, size)
    np.testing.assert_array_equal(stack, spec.apply(list(images)))


def test_colour_becomes_grey_as_pillow_has_it() -> None:
    colour = RNG.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    ours = Preprocessing(size=48).pixels([colour])[0, 0].astype(int)
    pillows = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert np.abs(ours - pillows).max() <= 1


def test_grey_becomes_three_equal_channels() -> None:
    spec = Preprocessing(size=48, color="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
    out = spec.pixels(FACES)
    np.testing.assert_array_equal(out[:, 0], out[:, 2])


def test_resizing_is_pillows() -> None:
    spec = Preprocessing(size=96, interpolation="bicubic")
    expected = np.asarray(Image.fromarray(FACES[0]).resize((96, 96), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(spec.pixels(FACES[:1])[0, 0], expected)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 48), np.float32),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((48,), np.uint8),
        np.zeros((0, 48), np.uint8),
    ],
)
def test_what_is_no_image_is_refused_with_its_shape(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        Preprocessing(size=48).apply([image])
