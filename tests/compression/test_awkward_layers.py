"""Layers that NNCF quantizes in ways that its own export rejects: from torch to each target."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgefer import models
from edgefer.backends import onnxruntime
from edgefer.backends.tensorrt import builder
from edgefer.compression import export, quantization, targets
from edgefer.graph.fusions import optimized
from tests.helpers.onnx_networks import kinds


class Net(nn.Module):
    """A convolution, the layer under test, and a classifier."""

    def __init__(self, body: Callable[[Any, Tensor], Tensor], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), body, nn.Linear(8, 7)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self, self.stem(x).relu())
        return self.head(y.mean((2, 3)) if y.ndim == 4 else y.mean(1))


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def zero_padded_pool() -> nn.Module:
    return nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))


def nested(net: Any, x: Tensor) -> Tensor:
    a = net.a(x)
    b = torch.cat([x, a], 1)
    return net.b(torch.cat([b, net.c(a).relu()], 1)).relu()


# Each with its number of layers with an 8-bit kernel, including the stem.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "concat of ReLUs": (
        lambda: Net(lambda s, x: s.b(torch.cat([x, s.a(x).relu()], 1)).relu(), a=conv(8, 8), b=conv(16, 8)),
        3,
    ),
    "concat of tensors of two signs": (
        lambda: Net(lambda s, x: s.b(torch.cat([x, s.a(x)], 1)).relu(), a=conv(8, 8), b=conv(16, 8)),
        3,
    ),
    "concat of a tensor with itself": (lambda: Net(lambda s, x: s.a(torch.cat([x, x], 1)).relu(), a=conv(16, 8)), 2),
    "concat of a concat": (lambda: Net(nested, a=conv(8, 8), b=conv(24, 8), c=conv(8, 8)), 4),
    "split": (
        lambda: Net(lambda s, x: s.a(x[:, :3]).relu() + s.b(x[:, 3:]).relu(), a=conv(3, 8), b=conv(5, 8)),
        3,
    ),
    "chunks joined": (
        lambda: Net(lambda s, x: s.a(torch.cat(x.chunk(2, 1)[::-1], 1)).relu(), a=conv(8, 8)),
        2,
    ),
    "zeros in front of a max pool": (
        lambda: Net(lambda s, x: s.b(s.p(s.a(x))).relu(), a=conv(8, 8), b=conv(8, 8), p=zero_padded_pool()),
        3,
    ),
    "reflected edges": (
        lambda: Net(lambda s, x: s.a(x).relu(), a=nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")),
        2,
    ),
    "matmul with one column": (
        lambda: Net(
            lambda s, x: (lambda y: y * (y @ s.w))(x.flatten(2).transpose(1, 2)), w=nn.Parameter(torch.randn(8, 1))
        ),
        2,
    ),
    "linear with one output": (
        lambda: Net(
            lambda s, x: x * s.a(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).sigmoid(), a=nn.Linear(8, 1, bias=False)
        ),
        2,
    ),
    "depthwise transposed convolution": (
        lambda: Net(lambda s, x: s.a(x).relu(), a=nn.ConvTranspose2d(8, 8, 2, 2, groups=8)),
        1,
    ),
    "transposed convolution to one channel": (
        lambda: Net(lambda s, x: s.b(s.a(x).relu()).relu(), a=nn.ConvTranspose2d(8, 1, 2, 2), b=conv(1, 8)),
        2,
    ),
    "transposed convolution": (
        lambda: Net(
            lambda s, x: s.b(s.n(s.a(x)).relu()).relu(),
            a=nn.ConvTranspose2d(8, 12, 2, 2, groups=2),
            n=nn.BatchNorm2d(12),
            b=conv(12, 8),
        ),
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_every_target_takes_it_and_computes_what_was_trained(name: str) -> None:
    build, layers = NETWORKS[name]
    torch.manual_seed(0)
    network, x = build().eval(), torch.randn(12, 3, 10, 10)
    quantized = quantization.quantize(network, x, "minmax", half_range=False)
    qdq = export.int8(quantized, x[:1])
    graphs = targets.lowered(qdq)
    with torch.no_grad():
        wanted, floats = quantized(x).numpy(), network(x).numpy()
    assert 0 < np.abs(wanted - floats).max() < 0.1 * np.abs(floats).max()
    unoptimized = [(model, False) for model in (qdq, *(graph.model for graph in graphs.values()))]
    for model, optimize in (*unoptimized, (graphs["int8-cpu"].model, True)):
        # A value between two steps may round to the other side.
        answers = run(model, x, optimize)
        in_half = model.opset_import[0].version > qdq.opset_import[0].version  # the parts left in floating point
        assert optimize or in_half or np.isclose(answers, wanted, atol=1e-5).all(axis=1).sum() >= 6
        assert np.abs(answers - wanted).max() < 0.05 * np.abs(wanted).max()
    fast = kinds(optimized(graphs["int8-cpu"].model))
    assert len([kind for kind in fast if kind in ("QLinearConv", "MatMulIntegerToFloat", "QLinearMatMul")]) == layers
    if importlib.util.find_spec("tensorrt_rtx"):
        builder.parse(graphs["int8-rtx"].model.SerializeToString(), "tensorrt_rtx")


def run(model: onnx.ModelProto, x: Tensor, optimize: bool = False) -> np.ndarray:
    with onnxruntime.open_model(model.SerializeToString(), 1, optimize=optimize) as session:
        return session.infer(x.numpy())


def test_a_network_quantized_in_places_that_share_a_scale_still_learns_it_once() -> None:
    torch.manual_seed(0)
    network, x = NETWORKS["concat of ReLUs"][0]().eval(), torch.randn(4, 3, 10, 10)
    quantized = quantization.quantize(network, x, "minmax", half_range=False)
    scales = [tensor for name, tensor in quantized.named_parameters() if "post_hooks" in name and tensor.requires_grad]
    count = len(scales)
    quantization.strip(quantized, x[:1])
    with torch.no_grad():
        for scale in scales:
            scale.mul_(1.5)
    qdq = export.int8(quantized, x[:1])
    assert sum("post_hooks" in name and tensor.requires_grad for name, tensor in quantized.named_parameters()) == count
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in qdq.graph.initializer}
    (concat,) = (node for node in qdq.graph.node if node.op_type == "Concat")
    made = {node.output[0]: node for node in qdq.graph.node}
    assert len({float(stored[made[name].input[1]]) for name in concat.input}) == 1


def test_standardized_weights_are_stored_in_8_bits() -> None:
    layers = pytest.importorskip("timm.layers")
    torch.manual_seed(0)
    network = nn.Sequential(
        layers.ScaledStdConv2d(3, 32, 3, padding=1), nn.ReLU(),
        layers.ScaledStdConv2d(32, 64, 3, padding=1), nn.ReLU(),
        layers.StdConv2d(64, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(3200, 7),
    ).eval()  # fmt: skip
    x = torch.randn(8, 3, 10, 10)
    with torch.no_grad():
        wanted = network(x).numpy()
    models.with_constant_weights(network, x[:1])
    full = export.fp32(network, x[:1])
    graphs = targets.lowered(export.int8(quantization.quantize(network, x, "minmax", half_range=False), x[:1]))
    np.testing.assert_allclose(run(full, x), wanted, atol=1e-4 * np.abs(wanted).max())
    for graph in graphs.values():
        assert graph.model.ByteSize() < full.ByteSize() / 3
        assert "BatchNormalization" not in kinds(graph.model)
        assert np.abs(run(graph.model, x) - wanted).max() < 0.1 * np.abs(wanted).max()
    assert kinds(optimized(graphs["int8-cpu"].model)).count("QLinearConv") == 3
