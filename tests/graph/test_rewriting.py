"""Each rewriting compared with the untouched graph, on random networks, in ONNX Runtime without graph optimization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgefer.graph.bias import hold_bias
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights, quantize
from tests.helpers.onnx_networks import Layer, kinds, layers, network, pictures, reader_of, run

bodies = st.lists(layers, min_size=1, max_size=4)
seeds = st.integers(0, 10**6)
several = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

TWINS = [Layer(4, 3), Layer(4, 3, shared=True), Layer(4, 3, shared=True, norm=False)]


def stored(model: ModelProto) -> list[np.ndarray]:
    """Return the int8 weights of a model's convolutions in order."""
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    made_by = {node.output[0]: node for node in model.graph.node}
    return [constants[made_by[node.input[1]].input[0]] for node in model.graph.node if node.op_type == "Conv"]


@several
@given(bodies, seeds)
@example(TWINS, 0)
def test_weights_as_int8_give_the_same_logits_bit_for_bit(body: list[Layer], seed: int) -> None:
    model = network(body, seed)
    folded = fold_weights(model)
    assert np.array_equal(run(folded, pictures()), run(model, pictures()))
    assert all(weight.dtype == np.int8 for weight in stored(folded))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_quantize_rounds_and_saturates_as_onnx_runtime_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 3, 200), np.arange(-140.5, 141) / 64]).astype(np.float32)[None]
    scale, zero = np.array([1 / 64], np.float32), np.array([0], np.int8)
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["input", "s", "z"], ["q"], axis=0)],
        "q",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(values.shape))],
        [helper.make_tensor_value_info("q", TensorProto.INT8, list(values.shape))],
        [numpy_helper.from_array(scale, "s"), numpy_helper.from_array(zero, "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert np.array_equal(quantize(values, scale, zero), run(model, values))


@several
@given(bodies, seeds)
@example(TWINS, 0)
def test_a_folded_batchnorm_is_exact_where_float32_does_not_round(body: list[Layer], seed: int) -> None:
    # Sigmoid and HardSwish give results with more digits than float32 holds.
    assume(not {"Sigmoid", "HardSwish"} & {layer.activation for layer in body})
    model = fold_weights(network(body, seed, dyadic=True))
    folded = fold_batchnorm(model)
    assert "BatchNormalization" not in kinds(folded)
    assert np.array_equal(run(folded, pictures()), run(model, pictures()))


@several
@given(bodies, seeds)
@example(TWINS, 0)
def test_a_folded_batchnorm_differs_by_float32_rounding_alone(body: list[Layer], seed: int) -> None:
    # Without activation quantizers, which turn a rounding difference into a full step.
    model = fold_weights(network(body, seed, quantized=False))
    folded = fold_batchnorm(model)
    before, after = run(model, pictures()), run(folded, pictures())
    assert "BatchNormalization" not in kinds(folded)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(before).max())))


@several
@given(bodies, seeds)
def test_folding_changes_no_int8_weight_but_its_sign(body: list[Layer], seed: int) -> None:
    model = fold_weights(network(body, seed))
    for before, after in zip(stored(model), stored(fold_batchnorm(model)), strict=True):
        flat, folded = before.reshape(len(before), -1).astype(int), after.reshape(len(after), -1).astype(int)
        assert all(
            np.array_equal(new, old) or np.array_equal(new, -old) or not new.any()
            for old, new in zip(flat, folded, strict=True)
        )


@several
@given(bodies, seeds)
def test_a_float_convolution_takes_its_batchnorm_too(body: list[Layer], seed: int) -> None:
    model = network(body, seed, quantized=False)
    for node in model.graph.node:  # lets each layer read its float weights
        if node.op_type == "Conv":
            made_by = {each.output[0]: each for each in model.graph.node}
            node.input[1] = made_by[made_by[node.input[1]].input[0]].input[0]
    folded = fold_batchnorm(model)
    before, after = run(model, pictures()), run(folded, pictures())
    assert "BatchNormalization" not in kinds(folded)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(before).max())))


def test_a_batchnorm_stays_where_the_convolution_has_another_reader() -> None:
    model = network([Layer(3, 3, activation="none")], 0, quantized=False)
    convolution, pool = reader_of(model, "Conv"), reader_of(model, "GlobalAveragePool")
    add = helper.make_node("Add", [pool.input[0], convolution.output[0]], ["sum"], name="/net/sum")
    model.graph.node.insert(list(model.graph.node).index(pool), add)
    reader_of(model, "GlobalAveragePool").input[0] = "sum"
    folded = fold_batchnorm(fold_weights(model))
    assert "BatchNormalization" in kinds(folded)
    assert np.array_equal(run(folded, pictures()), run(fold_weights(model), pictures()))


def test_a_batchnorm_stays_where_a_weight_of_minus_128_would_have_to_change_sign() -> None:
    model = fold_weights(network([Layer(4, 3)], 3))
    for index, each in enumerate(model.graph.initializer):
        array = numpy_helper.to_array(each)
        if array.dtype == np.int8 and array.ndim == 4:
            changed = array.copy()
            changed[:, 0, 0, 0] = -128
            model.graph.initializer[index].CopyFrom(numpy_helper.from_array(changed, each.name))
    folded = fold_batchnorm(model)
    assert "BatchNormalization" in kinds(folded)
    assert np.array_equal(run(folded, pictures()), run(model, pictures()))


@pytest.mark.parametrize("gamma", [1e-12, 1e-30, 0.0])
def test_the_bias_of_a_dead_channel_survives_onnx_runtimes_int32(gamma: float) -> None:
    model = network([Layer(4, 3), Layer(4, 3)], 5)
    scales = {node.input[1] for node in model.graph.node if node.op_type == "BatchNormalization"}
    shifts = {node.input[2] for node in model.graph.node if node.op_type == "BatchNormalization"}
    for index, each in enumerate(model.graph.initializer):
        array = numpy_helper.to_array(each).copy()
        if each.name in scales:
            array[:2] = gamma
        if each.name in shifts:
            array[:2] = 0.5
        model.graph.initializer[index].CopyFrom(numpy_helper.from_array(array, each.name))
    folded = fold_batchnorm(fold_weights(model))
    wanted = run(lower(folded, "cpu").model, pictures())
    held = run(lower(hold_bias(folded), "cpu").model, pictures(), optimize=True)
    assert np.abs(held - wanted).max() < 0.02
    if gamma:  # the result without it
        lost = run(lower(folded, "cpu").model, pictures(), optimize=True)
        assert np.abs(lost - wanted).max() > 0.05


@several
@given(bodies, seeds)
def test_holding_biases_leaves_living_channels_alone(body: list[Layer], seed: int) -> None:
    folded = fold_batchnorm(fold_weights(network(body, seed)))
    assert hold_bias(folded) == folded


@several
@given(bodies, seeds)
@example(TWINS, 0)
def test_stripping_keeps_the_logits_and_makes_the_file_smaller(body: list[Layer], seed: int) -> None:
    model = fold_weights(network(body, seed))
    small = stripped(model)
    assert np.array_equal(run(small, pictures()), run(model, pictures()))
    assert small.ByteSize() < model.ByteSize()
    assert stripped(small).SerializeToString() == small.SerializeToString()
    assert [each.name for each in (*small.graph.input, *small.graph.output)] == ["input", "logits"]
    names = [node.name for node in small.graph.node]
    assert len(set(names)) == len(names)


def test_stack_traces_of_an_exporter_are_left_out() -> None:
    """torch's newer exporter writes them, with this machine's folders, into metadata of nodes and values."""
    model = fold_weights(network([Layer(4, 3)], 0))
    inside = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inside", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inside, else_branch=inside))
    trace = 'File "/home/somebody/net.py", line 7'
    for graph in (model.graph, *(attribute.g for attribute in model.graph.node[-1].attribute)):
        for each in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
            each.doc_string = trace
            helper.set_model_props(each, {"pkg.torch.onnx.stack_trace": trace})
    helper.set_model_props(model, {"stack_trace": trace})
    assert b"somebody" not in stripped(model).SerializeToString()


def test_names_say_which_module_a_node_comes_from() -> None:
    model = fold_weights(network([Layer(4, 3, norm=False)], 0))
    reader_of(model, "Conv").name = "/stages/stages.0/conv1/conv1.0/Conv"
    names = [node.name for node in stripped(model).graph.node]
    assert "stages.0.conv1.0.Conv" in names
    assert "stages.0.conv1.0.Conv.weight" in names
    assert "input.Q" in names


def test_the_untouched_model_is_not_changed() -> None:
    model = network([Layer(), Layer(skip="identity")], 1)
    before = model.SerializeToString()
    stripped(hold_bias(fold_batchnorm(fold_weights(model))))
    assert model.SerializeToString() == before


def test_each_layer_keeps_constants_of_its_own_that_can_be_made_unsigned() -> None:
    qdq = fold_batchnorm(fold_weights(network([Layer(4, 1), Layer(4, 3), Layer(4, 3)], 0)))
    first, second = (each for each in qdq.graph.initializer if tuple(each.dims) == (4, 4, 3, 3))
    second.raw_data = first.raw_data  # equal weights of two layers
    model = stripped(lower(stripped(qdq), "cpu").model)
    constants = {each.name for each in model.graph.initializer}
    weights = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    assert len(weights) > 3
    for index in (0, 2):
        assert len({node.input[index] for node in weights}) == len(weights)
