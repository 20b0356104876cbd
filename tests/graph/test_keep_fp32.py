"""Parts of an INT8 graph kept in FP32: these are exact, and nothing else changes."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from edgefer.errors import InputError
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.graph import Graph
from edgefer.graph.keep_fp32 import QuantizedPart, parts, with_fp32
from edgefer.graph.lowering import lower
from edgefer.graph.observation import observe
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, kinds, layers, network, pictures, run

several = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
bodies = st.lists(layers, min_size=1, max_size=4)
seeds = st.integers(0, 10**6)
RESIDUAL = [Layer(4, 3), Layer(4, 3, skip="identity"), Layer(3, 3, skip="projection")]


def both(body: list[Layer], seed: int) -> tuple[ModelProto, ModelProto]:
    """Return a symmetric QDQ graph and the same network without its quantizers, like two exports."""
    raw = network(body, seed)
    graph = Graph(raw)
    for node in graph.nodes:
        for index, name in enumerate(node.input):
            made_by = graph.producer(name)
            if made_by is not None and made_by.op_type == "DequantizeLinear":
                quantizer = graph.producer(made_by.input[0])
                assert quantizer is not None
                node.input[index] = quantizer.input[0]
    return stripped(fold_batchnorm(fold_weights(raw))), stripped(fold_batchnorm(graph.model()))


@several
@given(bodies, seeds)
def test_with_all_parts_left_in_fp32_the_network_is_the_one_before_it_was_quantized(
    body: list[Layer], seed: int
) -> None:
    qdq, floats = both(body, seed)
    left = with_fp32(qdq, floats, parts(qdq, floats))
    assert "QuantizeLinear" not in kinds(left)
    assert np.array_equal(run(left, pictures()), run(floats, pictures()))


@several
@given(bodies, seeds, st.randoms())
def test_a_network_with_some_parts_left_out_still_lowers_to_every_target(
    body: list[Layer], seed: int, random: Random
) -> None:
    qdq, floats = both(body, seed)
    found = parts(qdq, floats)
    left = with_fp32(qdq, floats, random.sample(found, random.randint(0, len(found))))
    for target in ("cpu", "tensorrt", "rtx"):
        lowered = lower(left, target)
        if not lowered.unclipped and not lowered.dropped_quantizers and not lowered.refined:
            assert np.array_equal(run(lowered.model, pictures()), run(left, pictures()))


def test_nothing_left_out_changes_nothing() -> None:
    qdq, floats = both(RESIDUAL, 0)
    assert np.array_equal(run(with_fp32(qdq, floats, []), pictures()), run(qdq, pictures()))


def test_a_layer_is_left_with_all_it_reads_and_other_readers_go_on_reading_int8() -> None:
    qdq, floats = both(RESIDUAL, 0)
    add = next(part for part in parts(qdq, floats) if part.kind == "layer" and part.name.endswith("Add"))
    assert len(add.tensors) == 2
    left = Graph(with_fp32(qdq, floats, [add]))
    node = next(node for node in left.nodes if node.name == add.name)
    assert {left.producer(name).op_type for name in node.input} == {"Conv", "Relu"}
    skip = next(name for name in node.input if left.producer(name).op_type == "Relu")
    assert {reader.op_type for reader in left.readers(skip)} == {"Add", "QuantizeLinear"}


def test_a_weight_is_left_alone_and_its_layer_still_reads_an_int8_activation() -> None:
    qdq, floats = both(RESIDUAL, 0)
    weight = next(part for part in parts(qdq, floats) if part.kind == "weight")
    left = Graph(with_fp32(qdq, floats, [weight]))
    layer = next(node for node in left.nodes if node.name == weight.name)
    assert left.producer(layer.input[0]).op_type == "DequantizeLinear"
    assert left.constant(layer, 1).dtype == np.float32


def test_a_layer_behind_a_flatten_is_left_with_the_activation_that_comes_through_it() -> None:
    qdq, floats = both(RESIDUAL, 0)
    gemm = next(part for part in parts(qdq, floats) if part.kind == "layer" and part.name.endswith("Gemm"))
    assert len(gemm.tensors) == 2
    left = Graph(with_fp32(qdq, floats, [gemm]))
    node = next(node for node in left.nodes if node.name == gemm.name)
    flatten = left.producer(node.input[0])
    assert flatten is not None
    assert flatten.op_type == "Flatten"
    assert left.producer(flatten.input[0]).op_type == "GlobalAveragePool"


def test_a_part_that_the_network_does_not_have_is_refused() -> None:
    qdq, floats = both(RESIDUAL, 0)
    with pytest.raises(InputError, match="no layer nowhere"):
        with_fp32(qdq, floats, [QuantizedPart("layer", "nowhere", ())])


@several
@given(bodies, seeds)
def test_a_lowering_that_keeps_every_quantizer_it_would_change_is_the_symmetric_qdq_graph(
    body: list[Layer], seed: int
) -> None:
    qdq, _ = both(body, seed)
    wanted = run(qdq, pictures())
    for target in ("cpu", "tensorrt"):
        lowered = lower(qdq, target)
        kept = lower(qdq, target, keep=[*lowered.unclipped, *lowered.dropped_quantizers, *lowered.refined])
        if (
            not kept.unclipped and not kept.dropped_quantizers
        ):  # without a clip another quantizer after it may be in reach
            assert np.array_equal(run(kept.model, pictures()), wanted)


def test_inner_tensors_are_read_as_the_network_computes_them() -> None:
    qdq, _ = both([Layer(4, 3)], 0)
    graph = Graph(qdq)
    seen = observe(qdq, ["input", "input.DQ", *graph.outputs], pictures())
    assert np.array_equal(seen["input"], pictures())
    assert np.array_equal(seen["logits"], run(qdq, pictures()))
    assert np.abs(seen["input"] - seen["input.DQ"]).max() > 0
