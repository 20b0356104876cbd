"""A pair of quantizers after Concat, Split and Gather, where it changes no value."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto

from edgefer.graph.graph import Graph
from edgefer.graph.requantization import requantize
from tests.helpers.onnx_networks import kinds

_MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[N, 4, 5] input) => (float[N, C, 5] output)
<float one = {{0.25}}, float other = {{{other}}}, int8 zero = {{0}}, int64[2] picked = {{2, 0}},
 int64[6] edges = {{0, 1, 0, 0, 0, 2}}>
{{
    a8 = QuantizeLinear(input, one, zero)
    a = DequantizeLinear(a8, one, zero)
    negative = Neg(a)
    b8 = QuantizeLinear(negative, other, zero)
    b = DequantizeLinear(b8, other, zero)
    {body}
}}
"""


def model(body: str, other: float = 0.25) -> ModelProto:
    made = onnx.parser.parse_model(_MODEL.format(body=body, other=other))
    for index, node in enumerate(made.graph.node):
        node.name = f"{index}.{node.op_type}"
    onnx.checker.check_model(made)
    return made


def run(model: ModelProto) -> np.ndarray:
    x = np.random.default_rng(0).normal(0, 20, (3, 4, 5)).astype(np.float32)  # some of it clips
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"input": x})
    return np.asarray(answer)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        ("c = Concat<axis = 1>(a, b)\n output = Neg(c)", 1),
        ("c = Concat<axis = 1>(a, b, a)\n d = Concat<axis = 1>(c, b)\n output = Neg(d)", 2),
        ("t = Transpose<perm = [0, 1, 2]>(b)\n c = Concat<axis = 1>(a, t)\n n = Neg(c)\n output = Add(n, c)", 1),
        ("c, d = Split<axis = 1>(a)\n output = Mul(c, d)", 2),
        ("c = Gather<axis = 1>(a, picked)\n output = Neg(c)", 1),
        ("c = Pad(a, edges)\n output = Neg(c)", 1),
        ('c = Pad<mode = "reflect">(a, edges)\n output = Neg(c)', 1),
    ],
    ids=["concat", "concat of a concat", "behind a transpose, read twice", "split", "gather", "zeros", "reflected"],
)
def test_a_pair_is_inserted_and_changes_no_bit(body: str, pairs: int) -> None:
    before = model(body)
    after = requantize(before)
    onnx.checker.check_model(after)
    assert kinds(after).count("QuantizeLinear") == kinds(Graph(before).model()).count("QuantizeLinear") + pairs
    assert np.array_equal(run(before), run(after))
    for node in after.graph.node:
        if node.op_type in ("Concat", "Split", "Gather", "Pad"):
            readers = [each.op_type for each in after.graph.node if set(node.output) & set(each.input)]
            assert set(readers) == {"QuantizeLinear"}


@pytest.mark.parametrize(
    ("body", "other"),
    [
        ("c = Concat<axis = 1>(a, b)\n output = Neg(c)", 0.5),
        ("c = Concat<axis = 1>(a, negative)\n output = Neg(c)", 0.25),
        (
            "c = Concat<axis = 1>(a, b)\n d8 = QuantizeLinear(c, one, zero)\n output = DequantizeLinear(d8, one, zero)",
            0.25,
        ),
        ("output = Concat<axis = 1>(a, b)", 0.25),
        ("c = Pad(a, edges, one)\n output = Neg(c)", 0.25),
    ],
    ids=["two scales", "one input in float32", "quantized already", "the network's output", "ones"],
)
def test_nothing_is_inserted_where_it_would_change_something_or_is_there(body: str, other: float) -> None:
    before = model(body, other)
    assert sorted(kinds(requantize(before))) == sorted(kinds(Graph(before).model()))
