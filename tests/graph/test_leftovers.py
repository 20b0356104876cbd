"""Parts that TensorRT would compute in FP32 beside INT8 are FP16 in the file; ONNX Runtime's labels stay the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from torch import nn

from edgefer.backends import onnxruntime
from edgefer.compression import export, quantization, targets
from edgefer.graph.graph import Graph
from edgefer.graph.leftovers import float_nodes, in_half
from edgefer.graph.linter import check
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped


def lowered(activation: type[nn.Module]) -> tuple[ModelProto, ModelProto]:
    """Return a small network's INT8 graph for TensorRT, as lowered and as bundled."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, padding=1), activation(), nn.Conv2d(16, 32, 3, padding=1)]
    network = nn.Sequential(*layers, activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 7)).eval()
    images = torch.randn(8, 1, 24, 24)
    signed = export.int8(quantization.quantize(network, images, "minmax", False), images[:1])
    return stripped(lower(signed, "tensorrt").model), targets.lowered(signed)["int8-tensorrt"].model


@pytest.fixture(scope="module")
def silu() -> tuple[ModelProto, ModelProto]:
    return lowered(nn.SiLU)


def test_a_network_that_runs_in_integers_as_a_whole_stays_as_it_is() -> None:
    plain, filed = lowered(nn.ReLU)
    assert float_nodes(plain) == []
    assert filed == plain
    assert filed.opset_import[0].version == 17


def test_what_no_convolution_takes_with_it_is_named_and_is_float16_in_the_file(
    silu: tuple[ModelProto, ModelProto],
) -> None:
    plain, filed = silu
    assert [name.rpartition(".")[2] for name in float_nodes(plain)] == ["Sigmoid", "Mul", "Sigmoid", "Mul"]
    onnx.checker.check_model(filed, full_check=True)
    assert (filed.opset_import[0].version, filed.ir_version) == (19, 9)
    graph = Graph(filed)
    quantizers = [node for node in graph.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {scale.dtype for node in quantizers if (scale := graph.constant(node, 1)) is not None} == {
        np.dtype(np.float16)
    }
    assert [each.type.tensor_type.elem_type for each in (*filed.graph.input, *filed.graph.output)] == [1, 1]
    check(filed, "tensorrt")
    check(filed, "rtx")


def test_onnx_runtime_gives_the_same_labels(silu: tuple[ModelProto, ModelProto]) -> None:
    images = np.random.default_rng(1).normal(size=(256, 1, 24, 24)).astype(np.float32)
    logits = []
    for each in silu:
        with onnxruntime.open_model(each.SerializeToString()) as session:
            logits.append(session.infer(images))
    np.testing.assert_array_equal(logits[0].argmax(axis=1), logits[1].argmax(axis=1))
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.02 * logits[0].std()


def test_tensorrts_parser_takes_it_and_computes_in_half_precision(silu: tuple[ModelProto, ModelProto]) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    from edgefer.backends.tensorrt import builder

    _, network, _parser = builder.parse(silu[1].SerializeToString(), "tensorrt_rtx")
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = (trt.LayerType.CONVOLUTION, trt.LayerType.ACTIVATION, trt.LayerType.DEQUANTIZE)
    assert {layer.get_output(0).dtype for layer in layers if layer.type in kinds} == {trt.float16}
    assert {layer.get_output(0).dtype for layer in layers if layer.type == trt.LayerType.QUANTIZE} == {trt.int8}
    assert len(builder.build(silu[1].SerializeToString(), "tensorrt_rtx", ["86"]).engine) > 10_000


def test_a_scale_too_small_for_float16_keeps_the_graph_in_float32(silu: tuple[ModelProto, ModelProto]) -> None:
    graph = Graph(silu[0])
    quantizer = next(node for node in graph.nodes if node.op_type == "QuantizeLinear")
    graph.set_constant(quantizer, 1, np.array(1e-6, np.float32), "tiny")
    assert in_half(graph.model()) == graph.model()
