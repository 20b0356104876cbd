"""Zero padding before a convolution moves into it, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgefer.graph.padding import fold_padding

QUANTIZERS = [
    helper.make_node("QuantizeLinear", ["padded", "scale", "zero"], ["q"]),
    helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
]


def model(nodes: list[NodeProto], edges: list[int], value: float = 0.0) -> ModelProto:
    rng = np.random.default_rng(0)
    constants = {
        "half": np.array(edges[:4]),
        "other": np.array(edges[4:]),
        "value": np.array(value, np.float32),
        "scale": np.array(0.02, np.float32),
        "zero": np.array(3, np.int8),
        "weight": rng.normal(size=(4, 2, 3, 3)).astype(np.float32),
    }
    chain = helper.make_node("Concat", ["half", "other"], ["edges"], axis=0)  # as the exporter writes it
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None]) for name in ("x", "y")]
    graph = helper.make_graph([chain, *nodes], "padded", shapes[:1], shapes[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pad(**attributes: str) -> NodeProto:
    return helper.make_node("Pad", ["x", "edges", "value"], ["padded"], **attributes)


def conv(name: str = "padded", **attributes: Any) -> NodeProto:
    return helper.make_node("Conv", [name, "weight"], ["y"], strides=[2, 2], **attributes)


def run(what: ModelProto, optimize: bool = False, mean: float = 0.0) -> np.ndarray:
    options = ort.SessionOptions()
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    x = np.random.default_rng(1).normal(mean, size=(1, 2, 8, 8)).astype(np.float32)
    found: np.ndarray = ort.InferenceSession(what.SerializeToString(), options).run(None, {"x": x})[0]
    return found


def kinds(what: ModelProto) -> set[str]:
    return {node.op_type for node in what.graph.node}


EDGES = [0, 0, 0, 0, 0, 0, 1, 2]


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("own", [{}, {"pads": [1, 0, 0, 1]}])
def test_zeros_in_front_of_a_convolution_become_its_padding(quantized: bool, own: dict[str, Any]) -> None:
    nodes = [pad(), *QUANTIZERS, conv("dq", **own)] if quantized else [pad(), conv(**own)]
    before = model(nodes, EDGES)
    after = fold_padding(before)
    assert not kinds(after) & {"Pad", "Concat"}
    assert np.array_equal(run(after), run(before))


@pytest.mark.parametrize(
    "before",
    [
        model([pad(), conv()], EDGES, value=1.0),
        model([pad(mode="edge"), conv()], EDGES),
        model([pad(), conv()], [0, 0, 1, 1, 0, 0, -1, 0]),
        model([pad(), helper.make_node("Relu", ["padded"], ["y"])], EDGES),
    ],
    ids=["ones", "edge", "cut", "no convolution"],
)
def test_other_padding_stays(before: ModelProto) -> None:
    after = fold_padding(before)
    assert "Pad" in kinds(after)
    assert np.array_equal(run(after), run(before))


@pytest.mark.parametrize("mean", [-3.0, 0.0, 3.0])
def test_zeros_in_front_of_a_max_pool_stay_the_largest_number_where_they_are(mean: float) -> None:
    before = model([pad(), helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[3, 3])], EDGES)
    after = fold_padding(before)
    # ONNX Runtime's optimizations change the outputs of the original graph.
    for optimize in (False, True):
        np.testing.assert_allclose(run(after, optimize, mean), run(before, mean=mean), atol=1e-20)
