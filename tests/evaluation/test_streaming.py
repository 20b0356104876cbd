"""Evaluation only keeps memory for an image's logits, however many images there are."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edgefer import bundle
from edgefer.bench.probes import accuracy
from edgefer.data.dataset import Split
from edgefer.evaluation import metrics, predict
from tests.helpers import samples

FEW, MANY = 10_000, 20_000
LOGITS = 28  # bytes of an image: float32, seven classes
SLACK = 2  # bytes per image, for Python itself and threads left by other tests


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return samples.write(tmp_path_factory.mktemp("made") / "bundle")


def repeated(count: int) -> Split:
    """Return the same image repeatedly."""
    images = np.broadcast_to(np.uint8(0), (count, samples.SIZE, samples.SIZE))
    indices = np.arange(count)
    return Split("repeated", images, indices, indices % 7, indices)


def infer(batch: np.ndarray) -> np.ndarray:
    return np.tile(np.linspace(0, 1, 7, dtype=np.float32), (len(batch), 1))


def peak_of_streaming(count: int) -> int:
    rows = repeated(count)
    tracemalloc.start()
    try:
        predict.logits(infer, samples.PREPROCESSING, rows)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_of_judging(made: bundle.Bundle, count: int) -> int:
    rows, logits = repeated(count), np.random.default_rng(0).normal(size=(count, 7)).astype(np.float32)
    tracemalloc.start()
    try:
        accuracy.of(made, rows, None, logits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_logits_are_all_that_grows_with_the_images() -> None:
    peak_of_streaming(FEW)  # made once and kept
    # The minimum of three: threads left by earlier tests are traced too if they run.
    growth = min(peak_of_streaming(MANY) for _ in range(3)) - min(peak_of_streaming(FEW) for _ in range(3))
    assert LOGITS <= growth / (MANY - FEW) < LOGITS + SLACK


def test_judging_takes_no_more_memory_for_more_images(made: bundle.Bundle) -> None:
    peak_of_judging(made, FEW)
    assert (peak_of_judging(made, MANY) - peak_of_judging(made, FEW)) / (MANY - FEW) < SLACK


def test_figures_counted_block_by_block_are_those_of_all_images_at_once(made: bundle.Bundle) -> None:
    rows = repeated(MANY)
    logits = np.random.default_rng(1).normal(size=(MANY, 7)).astype(np.float32)
    odd = np.arange(1, MANY, 2)
    judged = accuracy.of(made, rows, rows.subset(odd), logits)
    assert judged.leak_free is not None
    for quality, chosen in ((judged.quality, np.arange(MANY)), (judged.leak_free, odd)):
        truth, answers = rows.labels[chosen], logits[chosen]
        matrix = metrics.confusion(truth, answers.argmax(axis=1), 7)
        probabilities = metrics.softmax(answers / np.float32(made.manifest.temperature))
        assert (quality.images, quality.accuracy) == (len(chosen), metrics.accuracy(matrix))
        assert quality.macro_f1 == metrics.macro_f1(matrix)
        assert quality.calibration_error == pytest.approx(metrics.calibration_error(probabilities, truth))
    assert sum(map(sum, judged.confusion)) == MANY


def test_the_calibration_error_is_that_at_the_bundles_temperature(tmp_path: Path) -> None:
    sure = bundle.Confidence(
        network="int8-cpu", split="val", images=70, temperature=2.0, error_before=0.1, error_after=0.1
    )
    hot = samples.write(tmp_path / "hot", confidence=sure)
    rows = repeated(MANY)
    logits = 3 * np.random.default_rng(1).normal(size=(MANY, 7)).astype(np.float32)
    found = accuracy.of(hot, rows, None, logits).quality.calibration_error
    at = {scale: metrics.calibration_error(metrics.softmax(logits / scale), rows.labels) for scale in (1.0, 2.0)}
    assert found == pytest.approx(at[2.0], abs=1e-6)
    assert abs(found - at[1.0]) > 0.05
