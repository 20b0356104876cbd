"""The inputs of each protocol, and that outputs are averaged."""

from __future__ import annotations

import numpy as np
import pytest

from edgefer.data.dataset import Split
from edgefer.evaluation import views
from edgefer.preprocessing import Preprocessing

SIDE = 48
PICTURES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), np.uint8)
ROWS = Split("test", PICTURES, np.arange(3), np.zeros(3, np.int64), np.arange(3))


def test_ten_crops_are_the_corners_and_the_middle_40_of_48_wide_and_their_mirror_images() -> None:
    spec = Preprocessing(size=40)
    made = np.stack([view.apply(PICTURES) for view in views.cut_views(spec, "ten-crop")])
    assert made.shape == (10, 3, 1, 40, 40)
    corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    crops = np.stack([PICTURES[:, top : top + 40, left : left + 40] for top, left in corners])
    np.testing.assert_allclose(made[:5, :, 0], crops / 255, atol=1e-6)
    np.testing.assert_allclose(made[5:, :, 0], crops[..., ::-1] / 255, atol=1e-6)


@pytest.mark.parametrize(("shape", "color"), [((48, 48), "grey"), ((60, 96, 3), "rgb")])
def test_crops_are_resized_to_the_network_s_input_whatever_the_picture(shape: tuple[int, ...], color: str) -> None:
    values = (0.5,) * (1 if color == "grey" else 3)
    spec = Preprocessing.model_validate({"size": 44, "crop": 0.9167, "color": color, "mean": values, "std": values})
    images = np.zeros((2, *shape), np.uint8)
    assert [view.apply(images).shape for view in views.cut_views(spec, "ten-crop")] == [(2, len(values), 44, 44)] * 10
    (one,) = views.cut_views(spec, "one-crop")
    np.testing.assert_array_equal(one.apply(images), spec.apply(images))


def test_outputs_are_averaged_before_the_softmax() -> None:
    spec = Preprocessing(size=44, crop=0.9167)

    def infer(batch: np.ndarray) -> np.ndarray:
        return np.asarray(batch[:, 0, 0, :2] * 8, np.float32)  # two pixels of the first row

    inputs = spec.apply(PICTURES)[:, 0, 0] * 8
    np.testing.assert_allclose(views.logits(infer, spec, ROWS, "one-crop"), inputs[:, :2], rtol=1e-6)
    mirrored = inputs[:, [-1, -2]]
    np.testing.assert_allclose(views.logits(infer, spec, ROWS, "flip"), (inputs[:, :2] + mirrored) / 2, rtol=1e-6)
