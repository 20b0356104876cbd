"""Corruptions: each does what its name says, more so with each severity, and is reproducible."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edgefer.errors import InputError
from edgefer.evaluation.corruptions import KINDS, STRENGTHS, corrupt

GREY = np.random.default_rng(0).integers(0, 256, (6, 12, 12)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY], axis=-1)


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_stay_pictures_and_get_worse_with_each_strength(kind: str, images: np.ndarray) -> None:
    before = images.copy()
    distances = []
    for strength in STRENGTHS:
        worse = corrupt(images, kind, strength, seed=3)
        assert (worse.shape, worse.dtype) == (images.shape, np.uint8)
        assert np.array_equal(worse, corrupt(images, kind, strength, seed=3))
        distances.append(float(np.abs(worse.astype(float) - images).mean()))
    assert np.array_equal(images, before)
    assert distances[0] > 0.5
    assert distances[-1] > 1.3 * distances[0]
    assert all(later > 0.93 * earlier for earlier, later in pairwise(distances))


def test_what_is_drawn_differs_with_the_seed_and_from_image_to_image() -> None:
    same = np.repeat(GREY[:1], 4, axis=0)
    for kind in ("noise", "low light", "occlusion", "shift"):
        worse = corrupt(same, kind, 3, seed=1)
        assert not np.array_equal(worse, corrupt(same, kind, 3, seed=2))
        assert len(np.unique(worse.reshape(4, -1), axis=0)) > 1, kind


def test_blur_averages_and_low_light_is_dark() -> None:
    checks = (np.indices((1, 48, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert corrupt(checks, "blur", 5).std() < 0.1 * checks.std()
    white = np.full((1, 48, 48), 255, np.uint8)
    assert corrupt(white, "low light", 5).mean() == pytest.approx(0.08 * 255, rel=0.1)


def test_a_shift_moves_the_picture_and_its_border_goes_on() -> None:
    picture = np.zeros((20, 48, 48), np.uint8)
    picture[:, 24, 24] = 255
    moved = corrupt(picture, "shift", 5)
    where = np.argwhere(moved == 255)
    assert len(where) == 20
    assert np.allclose(np.hypot(where[:, 1] - 24, where[:, 2] - 24), 0.2 * 48, atol=1)
    bright = np.full((3, 48, 48), 200, np.uint8)
    assert np.array_equal(corrupt(bright, "shift", 5), bright)
    assert np.array_equal(corrupt(bright, "scale", 5), bright)


def test_an_occlusion_is_a_grey_square_inside_the_picture() -> None:
    black = np.zeros((50, 48, 48), np.uint8)
    for strength, share in zip(STRENGTHS, (0.15, 0.25, 0.35, 0.45, 0.55), strict=True):
        hidden = corrupt(black, "occlusion", strength) == 128
        assert (hidden.sum(axis=(1, 2)) == round(share * 48) ** 2).all()


@pytest.mark.parametrize(("kind", "strength"), [("fog", 1), ("blur", 0), ("blur", 6)])
def test_what_there_is_not_is_refused(kind: str, strength: int) -> None:
    with pytest.raises(InputError, match="choose from blur, noise, jpeg"):
        corrupt(GREY, kind, strength)
