"""Temperature scaling: one temperature calibrates the probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from edgefer import console
from edgefer.compression import confidence
from edgefer.data.dataset import Split


def case(factor: float, images: int = 4000) -> tuple[np.ndarray, Split]:
    """Return logits scaled by `factor`, and labels sampled from the true probabilities."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (images, 7))
    powers = np.exp(logits)
    shares = (powers / powers.sum(1, keepdims=True)).cumsum(1)
    labels = (random.random((images, 1)) > shares).sum(1).astype(np.int64)
    rows = np.arange(images)
    return (factor * logits).astype(np.float32), Split("val", np.zeros((images, 1, 1), np.uint8), rows, labels, rows)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_what_made_a_network_too_sure_or_too_modest(factor: float) -> None:
    found = confidence.fit("int8-cpu", *case(factor))
    assert found.temperature == pytest.approx(factor, rel=0.06)
    assert found.error_after < 0.03
    assert found.error_after <= found.error_before + 0.005


def test_a_network_that_is_always_right_gets_a_temperature_that_can_be_written() -> None:
    logits, split = case(1.0, 50)
    perfect = np.full_like(logits, -5)
    perfect[np.arange(50), split.labels] = 5
    assert 0.04 < confidence.fit("int8-cpu", perfect, split).temperature < 1


@pytest.mark.parametrize("images", [1, 6])
@pytest.mark.parametrize("right", [True, False])
def test_a_few_images_do_not_make_a_network_certain_of_everything_or_of_nothing(
    images: int, right: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    console.enable()
    _, split = case(1.0, images)
    logits = np.zeros((images, 7), np.float32)
    logits[np.arange(images), split.labels if right else (split.labels + 1) % 7] = 4
    assert 0.3 < confidence.fit("int8-cpu", logits, split).temperature < 4
    console.enable(False)
    assert f"{images} validation images are too few" in capsys.readouterr().err
