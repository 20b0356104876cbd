"""Multiply-accumulates compared with torch's own counts of the same network."""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgefer import models
from edgefer.graph.count import macs
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, network
from tests.helpers.torch_networks import export


class Mixed(nn.Module):
    """Every counted operator, in shapes for which a wrong axis changes the number."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 6, (3, 5), stride=2, groups=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.up = nn.ConvTranspose2d(6, 8, 3, stride=2, groups=2)
        self.rows = nn.Linear(8, 10)
        self.head = nn.Linear(10, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up(self.norm(self.grouped(x)))
        return self.head(self.rows(y.flatten(2).transpose(1, 2)).mean(1))


NETWORKS = {
    "mixed": (Mixed().eval(), torch.zeros(1, 4, 9, 11)),
    "plain-resnet": (models.create("plain-resnet", 7, 1).eval(), torch.zeros(1, 1, 44, 44)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_are_half_of_torchs_flops(name: str) -> None:
    model, x = NETWORKS[name]
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert 2 * macs(export(model, x)) == counter.get_total_flops()


def test_int8_has_as_many_macs_as_fp32() -> None:
    body = [Layer(4, 3, bias=True), Layer(4, 3, depthwise=True, bias=True), Layer(3, 1, bias=True, skip="projection")]
    model = network(body, 0)
    stored = fold_weights(model)
    assert macs(stored) == macs(model)
    assert macs(fold_batchnorm(stored)) == macs(model)


def test_shared_weights_are_counted_where_they_are_used() -> None:
    twice = network([Layer(3, 3, norm=False), Layer(3, 3, norm=False, shared=True)], 0)
    once = network([Layer(3, 3, norm=False)], 0)
    assert macs(twice) == macs(once) + 3 * 3 * 9 * 36


class Chunked(nn.Module):
    """Shapes computed in the graph, which ONNX's inference does not follow: a chunk, and a window."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(4, 6, 3)
        self.narrow = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.wide(x).chunk(2, 1)
        return self.head(self.narrow(one + other)[..., : x.shape[-1] // 2].mean((2, 3)))


def test_shapes_that_onnx_does_not_infer_are_those_of_a_run() -> None:
    model, x = Chunked().eval(), torch.zeros(1, 4, 9, 11)
    exported = export(model, x)
    inferred = {value.name for value in onnx.shape_inference.infer_shapes(exported, data_prop=True).graph.value_info}
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert 2 * macs(exported) == counter.get_total_flops()
    assert any(name not in inferred for node in exported.graph.node for name in node.output[:1])


def test_a_network_whose_shapes_cannot_be_known_has_no_count() -> None:
    model = network([Layer(4, 3)], 0)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert macs(model) is None
