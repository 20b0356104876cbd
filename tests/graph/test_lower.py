"""From one symmetric QDQ graph to one graph per target: equality, fusions and reported differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgefer.errors import InputError
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.graph import Graph
from edgefer.graph.linter import check, lint
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, kinds, layers, network, pictures, reader_of, run, session

bodies = st.lists(layers, min_size=1, max_size=4)
seeds = st.integers(0, 10**6)
several = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

RESIDUAL = [Layer(4, 3), Layer(4, 3, skip="identity"), Layer(3, 3, skip="projection"), Layer(4, 1)]


def qdq(body: list[Layer], seed: int, reach: float = 1.0) -> ModelProto:
    return stripped(fold_batchnorm(fold_weights(network(body, seed, reach=reach))))


@several
@given(bodies, seeds, st.sampled_from([0.2, 1.0, 5.0]))
def test_without_lifted_clips_and_left_out_quantizers_all_targets_agree_bit_for_bit(
    body: list[Layer], seed: int, reach: float
) -> None:
    model = qdq(body, seed, reach)
    wanted = run(model, pictures())
    for target in ("cpu", "tensorrt", "rtx"):
        lowered = lower(model, target)
        if not lowered.unclipped and not lowered.dropped_quantizers and not lowered.refined:
            event(f"{target} is equal")
            assert np.array_equal(run(lowered.model, pictures()), wanted)


@several
@given(bodies, seeds)
def test_quantizers_that_do_not_clip_are_equal_even_where_a_clip_is_lifted(body: list[Layer], seed: int) -> None:
    model = qdq(body, seed, reach=12.0)
    lowered = lower(model, "cpu")
    assume(not lowered.refined)
    assume(
        all(values_of(model, node.output[0]).max() < 127 for node in model.graph.node if node.name in lowered.unclipped)
    )
    assert np.array_equal(run(lowered.model, pictures()), run(model, pictures()))


@several
@given(bodies, seeds)
def test_what_can_exceed_its_range_is_named(body: list[Layer], seed: int) -> None:
    model = qdq(body, seed, reach=0.1)
    lowered = lower(model, "cpu")
    assert set(lowered.unclipped) <= {node.name for node in lowered.model.graph.node}
    # The quantizers that clip on these pictures in the symmetric QDQ graph, but not in the lowered one.
    for node in [node for node in model.graph.node if node.op_type == "QuantizeLinear"]:
        levels = values_of(model, node.output[0])
        if levels.max() == 127 and levels.min() == 0 and values_of(lowered.model, node.output[0]).max() > 127:
            assert node.name in lowered.unclipped or zero_point(lowered.model, node.name) == 128


def values_of(model: ModelProto, name: str) -> np.ndarray:
    """Return the quantized tensor `name` for the random pictures."""
    seen = ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    kind = TensorProto.UINT8 if zero_point(model, name).dtype == np.uint8 else TensorProto.INT8
    seen.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return run(seen, pictures())


def zero_point(model: ModelProto, name: str) -> np.ndarray:
    quantizer = next(node for node in model.graph.node if name in (node.name, node.output[0]))
    return next(numpy_helper.to_array(each) for each in model.graph.initializer if each.name == quantizer.input[2])


def test_a_bounded_activation_that_fits_its_range_is_not_named() -> None:
    model = qdq([Layer(4, 3, activation="Sigmoid")], 0, reach=1.5)
    lowered = lower(model, "cpu")
    sigmoid = next(node.name for node in model.graph.node if node.op_type == "Sigmoid")
    assert zero_point(lowered.model, f"{sigmoid}.Q") == 0
    assert lowered.unclipped == ()
    assert np.array_equal(run(lowered.model, pictures()), run(model, pictures()))


def test_zero_points_follow_what_a_tensor_can_be() -> None:
    model = qdq([Layer(4, 3), Layer(4, 3, activation="none"), Layer(4, 3, activation="HardSwish")], 0)
    lowered = lower(model, "cpu").model
    points = {
        node.name: int(zero_point(lowered, node.name))
        for node in lowered.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert {name.split(".")[-2]: point for name, point in points.items()} == {
        "input": 128,
        "Relu": 0,
        "Conv": 128,
        "HardSwish": 128,
        "GlobalAveragePool": 128,
    }


def test_onnx_runtime_fuses_all_of_the_cpu_graph_and_keeps_no_relu(tmp_path: Path) -> None:
    body = [Layer(4, 3), Layer(4, 3, skip="identity"), Layer(4, 3, depthwise=True), Layer(3, 3, skip="projection")]
    model = qdq(body, 0)
    session(lower(model, "cpu").model, written_to=str(tmp_path / "cpu.onnx"))
    fused = kinds(onnx.load(tmp_path / "cpu.onnx"))
    assert fused.count("QLinearConv") == 7
    assert fused.count("QLinearAdd") == 2
    assert not {"Conv", "Relu", "BatchNormalization", "Add"} & set(fused)
    session(model, written_to=str(tmp_path / "signed.onnx"))  # the reason for lowering
    assert "Relu" in kinds(onnx.load(tmp_path / "signed.onnx"))


@pytest.mark.parametrize("reach", [0.3, 1.0, 3.0])
def test_onnx_runtime_fuses_a_clip_and_what_makes_it_do_so_moves_the_outputs_by_little(
    reach: float, tmp_path: Path
) -> None:
    body = [Layer(4, 3, activation="Clip"), Layer(4, 3, depthwise=True, activation="Clip"), Layer(4, 1)]
    model = qdq(body, 0, reach)
    lowered = lower(model, "cpu")
    session(lowered.model, written_to=str(tmp_path / "cpu.onnx"))
    fused = kinds(onnx.load(tmp_path / "cpu.onnx"))
    assert fused.count("QLinearConv") == 3
    assert not {"Conv", "FusedConv", "Clip"} & set(fused)
    assert not set(lowered.refined) & set(lowered.unclipped)
    steps = max(scale(model, name) for name in lowered.refined) if lowered.refined else 0.0
    assert all(scale(lowered.model, name) < scale(model, name) for name in lowered.refined)
    undone = lower(model, "cpu", keep=[*lowered.refined, *lowered.unclipped])
    assert not undone.refined
    assert np.array_equal(run(undone.model, pictures()), run(model, pictures()))
    kept = lower(model, "cpu", keep=lowered.refined)
    assert np.abs(run(lowered.model, pictures()) - run(kept.model, pictures())).max() <= 10 * steps


def scale(model: ModelProto, name: str) -> float:
    quantizer = next(node for node in model.graph.node if node.name == name)
    return float(
        next(numpy_helper.to_array(each) for each in model.graph.initializer if each.name == quantizer.input[1])
    )


def test_tensorrt_loses_the_quantizer_between_a_convolution_and_its_add_and_keeps_the_skip() -> None:
    model = qdq(RESIDUAL, 0)
    lowered = lower(model, "tensorrt")
    made_by = {node.output[0]: node for node in lowered.model.graph.node}
    adds = [node for node in lowered.model.graph.node if node.op_type == "Add"]
    assert len(adds) == len(lowered.dropped_quantizers) == 2
    for add in adds:
        assert {made_by[name].op_type for name in add.input} == {"Conv", "DequantizeLinear"}
    assert set(lowered.dropped_quantizers) <= {node.name for node in model.graph.node}
    assert np.abs(run(lowered.model, pictures()) - run(model, pictures())).max() < 0.2


def test_of_two_convolutions_the_longer_branch_is_fused_and_the_shortcut_stays_quantized() -> None:
    lowered = lower(qdq([Layer(4, 3), Layer(3, 3, skip="projection")], 0), "tensorrt")
    made_by = {node.output[0]: node for node in lowered.model.graph.node}
    longer, shortcut = (made_by[name] for name in reader_of(lowered.model, "Add").input)
    assert longer.op_type == "Conv"
    assert made_by[made_by[longer.input[0]].input[0]].input[0].endswith("Relu")
    assert shortcut.op_type == "DequantizeLinear"


@several
@given(bodies, seeds)
def test_every_lowering_passes_its_own_linter(body: list[Layer], seed: int) -> None:
    model = qdq(body, seed)
    for target in ("cpu", "tensorrt", "rtx"):
        check(lower(model, target).model, target)


def test_the_linter_names_the_unsigned_quantizer_that_tensorrt_would_misread() -> None:
    lowered = lower(qdq(RESIDUAL, 0), "cpu").model
    findings = lint(lowered, "tensorrt")
    assert {finding.node for finding in findings} == {
        node.name
        for node in lowered.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and "weight" not in node.name
    }
    assert all("unsigned" in finding.problem for finding in findings)
    with pytest.raises(InputError, match=r"tensorrt: input\.Q: unsigned.*\(and \d+ more\)"):
        check(lowered, "tensorrt")


def broken(node_kind: str, index: int, array: np.ndarray) -> ModelProto:
    """Return a valid TensorRT graph with another constant at one input of its first node of a kind."""
    model = lower(qdq([Layer(4, 3), Layer(4, 3)], 0), "tensorrt").model
    reader_of(model, node_kind).input[index] = "broken"
    model.graph.initializer.append(numpy_helper.from_array(array, "broken"))
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (broken("QuantizeLinear", 1, np.full(3, 0.1, np.float32)), r"input\.Q: .*the scale \[3\]"),
        (broken("QuantizeLinear", 1, np.array(0, np.float32)), r"input\.Q: the scale is 0\.0"),
        (broken("QuantizeLinear", 1, np.array(np.nan, np.float32)), r"input\.Q: the scale is nan"),
        (broken("QuantizeLinear", 2, np.array(3, np.int8)), r"input\.Q: the zero point is 3"),
        (broken("QuantizeLinear", 2, np.array(0, np.uint8)), r"input\.Q: unsigned"),
    ],
)
def test_the_linter_refuses_graphs_that_are_broken_on_purpose(model: ModelProto, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(model, "tensorrt")


def test_the_linter_refuses_an_int32_bias_for_tensorrt_alone() -> None:
    model = lower(qdq([Layer(4, 3, bias=True, norm=False)], 0), "tensorrt").model
    convolution = reader_of(model, "Conv")
    model.graph.initializer.append(numpy_helper.from_array(np.full(4, 9, np.int32), "b"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "s"))
    dequantize = helper.make_node("DequantizeLinear", ["b", "s"], ["bias"], name="bias.DQ")
    convolution.input[2] = "bias"
    model.graph.node.insert(0, dequantize)
    with pytest.raises(InputError, match=r"bias\.DQ: it quantizes to int32"):
        check(model, "tensorrt")
    check(model, "cpu")


def test_a_quantizer_without_a_zero_point_is_unsigned() -> None:
    model = lower(qdq([Layer(4, 3)], 0), "tensorrt").model
    quantizer = reader_of(model, "QuantizeLinear")
    del quantizer.input[2:]
    with pytest.raises(InputError, match="unsigned"):
        check(model, "tensorrt")


@pytest.mark.parametrize(
    ("index", "array", "message"),
    [
        (1, np.full(3, 0.1, np.float32), "single scale"),
        (2, np.array(5, np.int8), "signed quantizers with zero point 0"),
        (2, np.array(0, np.uint8), "signed quantizers with zero point 0"),
    ],
)
def test_lowering_refuses_what_is_not_signed_symmetric_and_per_tensor(
    index: int, array: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        lower(broken("QuantizeLinear", index, array), "cpu")


def test_lowering_says_which_targets_there_are() -> None:
    with pytest.raises(InputError, match="cpu, tensorrt, rtx"):
        lower(qdq([Layer()], 0), "npu")


def per_channel(operator: str, axis: int | None, **settings: Any) -> ModelProto:
    """Return a graph with 4 x 4 (x 1 x 1) weights and a scale for each slice along an axis."""
    convolves = operator.startswith("Conv")
    weights = np.ones((4, 4, 1, 1) if convolves else (4, 4), np.int8)
    along: Any = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scales", "zeros"], ["W"], name="weights", **along),
        helper.make_node(operator, ["x", "W"], ["y"], **settings),
    ]
    shape = [1, 4, 2, 2] if convolves else [1, 4]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.full(4, 0.1, np.float32), "scales"),
            numpy_helper.from_array(np.zeros(4, np.int8), "zeros"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("operator", "axis", "settings", "wanted"),
    [
        ("Conv", 0, {}, None),
        ("Conv", -4, {}, None),
        ("Conv", None, {}, 0),  # the default is 1
        ("ConvTranspose", None, {}, None),
        ("ConvTranspose", 0, {}, 1),
        ("ConvTranspose", 0, {"group": 4}, None),
        ("Gemm", 0, {"transB": 1}, None),
        ("Gemm", 1, {"transB": 1}, 0),
        ("MatMul", 0, {}, 1),
    ],
)
def test_scales_of_weights_have_to_be_along_the_output_channels(
    operator: str, axis: int | None, settings: dict[str, int], wanted: int | None
) -> None:
    problems = [finding.problem for finding in lint(per_channel(operator, axis, **settings), "tensorrt")]
    assert problems == ([] if wanted is None else [problems[0]])
    assert wanted is None or f"the output channels are axis {wanted}" in problems[0]


def test_every_way_to_write_a_constant_and_a_signed_type_is_read() -> None:
    nodes = [
        helper.make_node("Constant", [], ["scale"], value_float=0.1),
        helper.make_node("QuantizeLinear", ["x", "scale"], ["q"], name="Q", output_dtype=TensorProto.INT8),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["y"], name="DQ"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    assert lint(model, "tensorrt") == []
    del nodes[1].attribute[:]
    graph.node[1].CopyFrom(nodes[1])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    assert {finding.node: "unsigned" in finding.problem for finding in lint(model, "tensorrt")} == {
        "Q": True,
        "DQ": True,
    }


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Concat", ["r", "x"], ["o"], axis=1)],
        [helper.make_node("Sigmoid", ["x"], ["g"]), helper.make_node("Mul", ["x", "g"], ["o"])],  # SiLU
        [helper.make_node("Clip", ["x", "", "six"], ["o"])],
    ],
    ids=["Concat", "SiLU", "Clip without a lower end"],
)
def test_what_can_be_below_zero_keeps_a_zero_point_in_the_middle(nodes: list[NodeProto]) -> None:
    constants = {"scale": np.float32(0.1), "zero": np.int8(0), "six": np.float32(6)}
    quantizers = [
        helper.make_node("QuantizeLinear", ["o", "scale", "zero"], ["q"], name="Q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="DQ"),
    ]
    graph = helper.make_graph(
        [*nodes, *quantizers],
        "qdq",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    lowered = Graph(lower(model, "cpu").model)
    (quantizer,) = [node for node in lowered.nodes if node.op_type == "QuantizeLinear"]
    assert lowered.constant(quantizer, 2) == 128
