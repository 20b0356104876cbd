"""Loss weights, weight groups and learning rates computed from a recipe."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgefer import models
from edgefer.errors import InputError
from edgefer.learning import loss, optimizer
from edgefer.recipes.schema import Phase, Train


def test_rare_classes_weigh_more_but_not_more_than_the_clip() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 1])
    weights = loss.class_weights(labels, 3, clip=4.0)
    np.testing.assert_allclose(weights, [91 / 180, 91 / 90, 4.0], rtol=1e-6)


def test_a_class_without_images_cannot_be_weighted() -> None:
    with pytest.raises(InputError, match="class 1"):
        loss.class_weights(np.array([0, 0, 2]), 3, 4.0)


def test_labels_are_smoothed_alike_as_classes_and_as_the_probabilities_of_mixup() -> None:
    criterion = loss.cross_entropy(Train(label_smoothing=0.1), np.array([0, 1]), 3)
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0])
    assert torch.allclose(criterion(logits, labels), criterion(logits, torch.eye(3)[labels]))


def rates(phase: Phase, steps: int) -> list[float]:
    chosen = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=phase.lr)
    schedule = optimizer.Schedule(chosen, phase, steps)
    out = []
    for done in range(phase.epochs * steps):
        schedule.step(done)
        out.append(chosen.param_groups[0]["lr"])
    return out


def test_cosine_warms_up_linearly_then_falls_to_nearly_nothing() -> None:
    found = rates(Phase(epochs=10, lr=1.0, warmup_epochs=2), steps=10)
    np.testing.assert_allclose(found[:20], np.arange(20) / 20, atol=1e-9)
    np.testing.assert_allclose(found[20:], 0.5 + 0.5 * np.cos(np.pi * np.arange(80) / 80), atol=1e-9)


def test_a_single_step_after_the_warm_up_has_the_rate_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert rates(Phase(epochs=1, lr=1.0, warmup_epochs=0.5), steps=2) == [0.0, 1.0]
    assert caplog.messages == []


def test_constant_stays_where_it_is() -> None:
    assert set(rates(Phase(epochs=2, lr=0.3, schedule="constant"), 5)) == {0.3}


def test_plateau_lowers_the_rate_once_the_loss_stops_falling() -> None:
    with pytest.raises(ValueError, match="no warm-up"):
        Phase(epochs=9, lr=1.0, schedule="plateau", warmup_epochs=1)
    phase = Phase(epochs=9, lr=1.0, schedule="plateau", plateau_patience=1, plateau_factor=0.1)
    chosen = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = optimizer.Schedule(chosen, phase, 5)
    for value in (1.0, 0.9, 0.9, 0.9):
        schedule.epoch(value)
    assert chosen.param_groups[0]["lr"] == pytest.approx(0.1)


def test_biases_and_norms_get_no_weight_decay() -> None:
    model = models.create("plain-resnet", 7, 1, {"widths": [8], "blocks": [1]})
    groups = optimizer.make_optimizer(model, Phase(epochs=1, lr=0.1, weight_decay=0.01)).param_groups
    by_decay = {group["weight_decay"]: group["params"] for group in groups}
    assert all(p.ndim > 1 for p in by_decay[0.01])
    assert all(p.ndim == 1 for p in by_decay[0.0])


def test_a_pattern_that_fits_no_weight_is_an_error_that_shows_a_real_name() -> None:
    model = models.create("plain-resnet", 7, 1, {"widths": [8], "blocks": [1]})
    with pytest.raises(InputError, match=r"'blocks.\*'; the first is 'stem.0.weight'"):
        optimizer.choose_weights(model, Phase(epochs=1, lr=0.1, train=("blocks.*",)))
    assert optimizer.choose_weights(model, Phase(epochs=1, lr=0.1, train=("head",))) == 8 * 7 + 7


def test_a_phase_in_which_nothing_learns_is_an_error() -> None:
    model = models.create("plain-resnet", 7, 1, {"widths": [8], "blocks": [1]})
    for nothing in (
        Phase(epochs=1, lr=0.1, train=()),
        Phase(epochs=1, lr=0.1, train=("stem.1.*",), freeze_batchnorm=True),
    ):
        with pytest.raises(InputError, match="no weight is trainable"):
            optimizer.choose_weights(model, nothing)
