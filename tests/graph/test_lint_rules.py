"""Findings of lint's rules, compared with ONNX Runtime's session and TensorRT's parser on the same graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgefer.graph.linter import lint
from edgefer.graph.linter.asking import RuntimeVerdict, ask, settled
from edgefer.graph.linter.findings import Finding


def model_of(
    nodes: list[NodeProto],
    constants: dict[str, np.ndarray],
    shape: tuple[int, ...] = (1, 3, 4, 4),
    opset: int = 17,
    domains: tuple[str, ...] = (),
) -> ModelProto:
    """Return a model from x to y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def pair(zero: np.ndarray, scale: np.ndarray, opset: int = 17, **settings: Any) -> ModelProto:
    """Return a graph of one Q/DQ pair."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="Q", **settings),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="DQ", **settings),
    ]
    return model_of(nodes, {"s": scale, "z": zero}, opset=opset)


def one(operator: str, domain: str = "", **settings: Any) -> ModelProto:
    """Return a graph of one operator."""
    return model_of(
        [helper.make_node(operator, ["x"], ["y"], name="n", domain=domain, **settings)],
        {},
        domains=(domain,) * bool(domain),
    )


def normalization() -> ModelProto:
    weights = {name: np.ones(3, np.float32) for name in "abcd"}
    node = helper.make_node("BatchNormalization", ["x", *"abcd"], ["y", "m", "v"], name="n", training_mode=1)
    return model_of([node], weights)


def bias_of_addition() -> ModelProto:
    nodes = [
        helper.make_node("DequantizeLinear", ["b", "s"], ["bias"], name="bias.DQ"),
        helper.make_node("Add", ["x", "bias"], ["y"], name="add"),
    ]
    return model_of(nodes, {"b": np.full((3, 1, 1), 9, np.int32), "s": np.array(0.1, np.float32)})


def same_names() -> ModelProto:
    nodes = [helper.make_node("Relu", ["x"], ["r"], name="n"), helper.make_node("Tanh", ["r"], ["y"], name="n")]
    return model_of(nodes, {})


def in_a_function() -> ModelProto:
    inner = pair(np.array(7, np.int8), np.array(0.1, np.float32))
    function = helper.make_function(
        "local", "Block", ["x", "s", "z"], ["y"], list(inner.graph.node), list(inner.opset_import)
    )
    model = pair(np.array(7, np.int8), np.array(0.1, np.float32))
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Block", ["x", "s", "z"], ["y"], domain="local", name="call"))
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.functions.append(function)
    return model


def written(output: str, nodes: str, more: str = "", kind: str = "int32") -> ModelProto:
    """Return a network of a float[6,8] `x`, and of lists of one number: start, end, axis and step."""
    lists = ", ".join(f"{kind}[1] {name} = {{{value}}}" for name, value in zip(LISTS, (0, 1, 1, 1), strict=True))
    inputs = ", ".join(filter(None, ("float[6,8] x", more)))
    text = f'<ir_version: 9, opset_import: ["" : 17]> drawn ({inputs}) => ({output}) <{lists}> {{ {nodes} }}'
    return onnx.parser.parse_model(text)


LISTS = ("start", "end", "axis", "step")
ZERO, SCALE = np.array(0, np.int8), np.array(0.1, np.float32)


@pytest.mark.parametrize(
    ("make", "target", "message"),
    [
        (lambda: pair(np.array(0, np.int16), SCALE, opset=21), "tensorrt", "int16"),
        (lambda: pair(np.array(0, np.uint16), SCALE, opset=21), "rtx", "uint16"),
        (bias_of_addition, "tensorrt", "it quantizes to int32"),
        (normalization, "tensorrt", "training_mode=1"),
        (in_a_function, "tensorrt", "the zero point is 7"),
        (lambda: one("MyOp", "acme"), "cpu", "has no acme:MyOp"),
        (lambda: one("MyOp", "acme"), "tensorrt", "no acme:MyOp"),
        (lambda: one("NoSuchOperator"), "cpu", "has no NoSuchOperator"),
        (lambda: one("NonZero"), "tensorrt", "NonZero is unknown"),
        (same_names, "cpu", "the same name"),
        (lambda: pair(np.zeros(2, np.int8), np.full(2, 0.1, np.float32), axis=1), "tensorrt", "2 scales along axis 1"),
        (lambda: pair(np.zeros(3, np.int8), SCALE), "tensorrt", "they must match"),
        (lambda: pair(ZERO, SCALE.astype(np.float64)), "cpu", "double"),
        (lambda: pair(ZERO, SCALE, opset=27), "cpu", "opset 27"),
        (lambda: one("AveragePool", kernel_shape=[2, 2], pads=[2, 2, 2, 2]), "cpu", "must be smaller than the kernel"),
        (lambda: one("HardSigmoid", alpha=0.2, beta=0.5), "cpu", ""),
        (
            lambda: written("float[6,1] y", "y = Slice(x, start, end, axis)"),
            "tensorrt",
            "without steps",
        ),
        (lambda: written("float[6,1] y", "y = Slice(x, start, end, axis, step)"), "tensorrt", ""),
        (lambda: written("float[6,1] y", "y = Slice(x, start, end, axis)", kind="int64"), "tensorrt", ""),
        (lambda: written("float[1,8] y", "y = Slice(x, start, end)", kind="int64"), "tensorrt", "without axes"),
        (lambda: written("float[6,8] y", "y = Dropout(x, , train)", "bool train"), "tensorrt", "at run time"),
        (
            lambda: written("float y", "a = Constant<value_float=1.0>() y = ReduceMax(a)"),
            "tensorrt",
            "a scalar",
        ),
    ],
)
def test_the_rules_and_the_runtime_agree(make: Callable[[], ModelProto], target: str, message: str) -> None:
    model = make()
    answer = ask(model.SerializeToString(), target)
    findings = lint(model, target)
    if not message:
        assert settled(findings, answer) == []
        assert answer is None or not answer.problem
        return
    assert any(message in f"{each.node}: {each.problem}" for each in findings), findings
    if target != "cpu" and answer is None:
        pytest.skip("tensorrt_rtx is not installed")
    assert answer is not None
    assert answer.problem


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: pair(ZERO.reshape(1), SCALE.reshape(1)),
        lambda: pair(np.zeros((1, 3, 4, 2), np.int8), np.full((1, 3, 4, 2), 0.1, np.float32), 21, axis=3, block_size=2),
    ],
    ids=["scale of shape (1,)", "blocked scales"],
)
def test_what_the_runtime_takes_is_no_finding(make: Callable[[], ModelProto], target: str) -> None:
    model = make()
    answer = ask(model.SerializeToString(), target)
    assert answer is None or not answer.problem
    assert lint(model, target) == []


def test_a_scale_computed_from_constants_is_a_constant() -> None:
    model = pair(ZERO, SCALE)
    model.graph.node.insert(0, helper.make_node("Mul", ["half", "fifth"], ["s"]))
    del model.graph.initializer[0]
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(each, np.float32), name) for name, each in (("half", 0.5), ("fifth", 0.2))
    )
    assert lint(model, "tensorrt") == []
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.array(-0.2, np.float32), "fifth"))
    assert any("the scale is -0.1" in each.problem for each in lint(model, "tensorrt"))


def test_a_scale_computed_in_two_ways_from_one_constant_is_a_constant() -> None:
    model = pair(ZERO, SCALE)
    for number, (kind, read, made) in enumerate(
        [("Neg", ["half"], "less"), ("Neg", ["less"], "more"), ("Mul", ["half", "more"], "s")]
    ):
        model.graph.node.insert(number, helper.make_node(kind, read, [made]))
    del model.graph.initializer[0]
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    assert lint(model, "tensorrt") == []


def test_the_runtime_knows_best_what_it_refuses_and_not_what_it_misreads() -> None:
    findings = [Finding("a", "refused"), Finding("b", "misread", "misread")]
    assert settled(findings, None) == findings
    assert settled(findings, RuntimeVerdict("it")) == findings[1:]
    assert settled(findings, RuntimeVerdict("another in its place")) == findings[1:]
    assert settled([], RuntimeVerdict("it", "refuses")) == [Finding("it", "refuses")]
