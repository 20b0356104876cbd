"""Sharpness-aware steps: where the gradient is taken, and what is left as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgefer.learning import checkpoint
from edgefer.training import sharpness
from edgefer.training.trainer import train
from tests.helpers.stripes import small_recipe, stripes


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.head(self.norm(self.conv(x)).flatten(1))
        return answers


def test_weights_stand_uphill_by_the_radius_meanwhile_and_then_where_they_were_to_the_last_bit() -> None:
    model = Network()
    model(torch.randn(8, 1, 8, 8)).square().sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    slopes = [weight.grad for weight in model.parameters() if weight.grad is not None]
    length = torch.cat([slope.flatten() for slope in slopes]).norm()
    with sharpness.uphill(model, 0.2):
        for (name, weight), slope in zip(model.named_parameters(), slopes, strict=True):
            torch.testing.assert_close(weight.detach() - before[name], 0.2 * slope / length, atol=1e-6, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_come_back_from_an_error_too() -> None:
    model = Network()
    model(torch.randn(8, 1, 8, 8)).sum().backward()
    before = [weight.detach().clone() for weight in model.parameters()]
    with pytest.raises(KeyError), sharpness.uphill(model, 0.2):
        raise KeyError
    assert all(torch.equal(weight, was) for weight, was in zip(model.parameters(), before, strict=True))


def test_batchnorm_does_not_learn_from_the_weights_that_are_not_kept() -> None:
    model = Network()
    model(torch.randn(8, 1, 8, 8)).sum().backward()
    mean = model.norm.state_dict()["running_mean"].clone()
    with sharpness.uphill(model, 0.2):
        model(torch.randn(8, 1, 8, 8) + 9)
    assert torch.equal(model.norm.state_dict()["running_mean"], mean)
    model(torch.randn(8, 1, 8, 8) + 9)
    assert not torch.equal(model.norm.state_dict()["running_mean"], mean)


def test_frozen_weights_stay_frozen() -> None:
    model = Network()
    model(torch.randn(8, 1, 8, 8)).sum().backward()
    model.conv.requires_grad_(False)  # what it has learned from goes with it
    before = model.conv.weight.clone()
    with sharpness.uphill(model, 0.2):
        assert torch.equal(model.conv.weight, before)


def test_a_gradient_of_zero_goes_nowhere() -> None:
    model = nn.Linear(2, 1)
    (model(torch.ones(1, 2)) * 0).sum().backward()
    before = model.weight.detach().clone()
    with sharpness.uphill(model, 0.2):
        assert torch.equal(model.weight, before)


def test_the_smaller_the_radius_the_closer_a_training_comes_to_a_plain_one(tmp_path: Path) -> None:
    def weights(radius: float) -> Tensor:
        recipe = small_recipe("train.precision=fp32", f"train.sam={radius}", epochs=1)
        kept = checkpoint.read(train(recipe, stripes(), tmp_path / str(radius)).run).weights
        return torch.cat([value.flatten().float() for value in kept.values()])

    plain = weights(0)
    near, far = ((weights(radius) - plain).norm() / plain.norm() for radius in (1e-5, 0.5))
    assert near < 1e-3 < 1e-2 < far
