"""A network's outputs over a split."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from edgefer.data.dataset import Split
from edgefer.errors import InputError
from edgefer.evaluation import predict
from edgefer.preprocessing import Preprocessing
from tests.helpers import samples

SPEC = Preprocessing(size=16)


def _split(count: int, side: int = 16) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (100, side, side), dtype=np.uint8)
    indices = np.arange(count, dtype=np.int64) % 100
    return Split("test", images, indices, indices % 7, indices + 1000)


def _first_row(batch: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(batch[:, 0, 0, :7])


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_logits_stand_in_the_order_of_the_split_whatever_the_batch(batch: int) -> None:
    split = _split(150)
    logits = predict.logits(_first_row, SPEC, split, batch)
    np.testing.assert_array_equal(logits, _first_row(SPEC.apply(split.take(slice(None)))))
    assert logits.dtype == np.float32


def test_an_output_that_is_not_finite_is_an_error_that_names_the_row() -> None:
    def infer(batch: np.ndarray) -> np.ndarray:
        out = _first_row(batch)
        out[3 % len(out), 2] = np.nan
        return out

    with pytest.raises(InputError, match="not finite for row 1003"):
        predict.logits(infer, SPEC, _split(20), 10)


def test_an_empty_split_is_an_error() -> None:
    with pytest.raises(InputError, match="no images"):
        predict.logits(_first_row, SPEC, _split(0))


def test_memory_does_not_grow_with_the_images_but_for_the_result() -> None:
    def peak(count: int) -> int:
        split = _split(count, side=48)
        tracemalloc.start()
        try:
            predict.logits(_first_row, SPEC, split, 64)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(320), peak(6_400)
    pixels_of_the_difference = (6_400 - 320) * 48 * 48
    result_of_the_difference = (6_400 - 320) * 7 * 4
    assert many - few < result_of_the_difference + 100_000 < pixels_of_the_difference / 10


def test_a_real_network_is_right_about_what_it_can_tell_apart() -> None:
    from edgefer.backends import onnxruntime

    dataset = samples.dataset()
    rows = np.arange(len(dataset))
    split = Split("all", dataset.images, rows, dataset.labels, dataset.rows)
    with onnxruntime.open_model(samples.network()) as session:
        logits = predict.logits(session.infer, samples.PREPROCESSING, split, 32)
    np.testing.assert_array_equal(logits.argmax(axis=1), dataset.labels)
