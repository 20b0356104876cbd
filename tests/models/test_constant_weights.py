"""Weights computed from parameters alone become constants; all others stay."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from timm.layers import CondConv2d, ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from edgefer.models import with_constant_weights


class Masked(nn.Linear):
    """Weights in a form that no library uses."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * (self.weight.abs() > 0.1), self.bias)


class ByInput(nn.Conv2d):
    """Weights that depend on the image."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * x.mean().sigmoid(), self.bias)


class Twice(nn.Conv2d):
    """More than one convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, self.weight * 2), self.weight * 2)


def gained(conv: ScaledStdConv2d | ScaledStdConv2dSame) -> nn.Module:
    nn.init.uniform_(conv.gain, -1.5, 1.5)
    return conv


@pytest.mark.parametrize(
    "layer",
    [
        lambda: StdConv2d(3, 4, 3, stride=2),
        lambda: gained(ScaledStdConv2d(3, 6, 3, groups=3, dilation=2)),
        lambda: StdConv2dSame(3, 4, 3, stride=2),
        lambda: gained(ScaledStdConv2dSame(3, 4, 4, stride=1, bias=False)),
        lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
        lambda: parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)),
        lambda: nn.Sequential(nn.Flatten(), Masked(243, 4)),
    ],
    ids=["standardized", "scaled", "same", "scaled-same", "weight-norm", "spectral-norm", "linear"],
)
def test_a_plain_layer_takes_its_place_and_computes_the_same(layer: object) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), layer(), nn.ReLU(inplace=True)).eval()  # type: ignore[operator]
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        wanted = network(x)
        assert len(with_constant_weights(network, x[:1])) == 1
        torch.testing.assert_close(network(x), wanted)
    kinds = {type(module) for module in network.modules() if list(module.parameters(recurse=False))}
    assert kinds <= {nn.BatchNorm2d, nn.Conv2d, nn.Linear}
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_weights_that_depend_on_the_image_and_plain_ones_stay() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), ByInput(3, 3, 3), Twice(3, 3, 1), nn.ReLU()).eval()
    before = copy.deepcopy(network)
    assert with_constant_weights(network, torch.randn(1, 3, 8, 8)) == {}
    assert [type(each) for each in network] == [type(each) for each in before]
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))


def test_experts_mixed_by_the_image_stay() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.route, self.conv = nn.Linear(3, 4), CondConv2d(3, 8, 3, num_experts=4)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x, self.route(x.mean((2, 3))).sigmoid())

    network = nn.Sequential(Mixed()).eval()
    assert with_constant_weights(network, torch.randn(1, 3, 8, 8)) == {}


def test_a_layer_that_stands_in_two_places_is_replaced_in_both() -> None:
    torch.manual_seed(0)
    conv = StdConv2d(3, 3, 3, padding=1)
    network = nn.Sequential(conv, nn.ReLU(), conv).eval()
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        wanted = network(x)
        assert with_constant_weights(network, x) == {"0": "StdConv2d", "2": "StdConv2d"}
        torch.testing.assert_close(network(x), wanted)
    assert network[0] is network[2]
