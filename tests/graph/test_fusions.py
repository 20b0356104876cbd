"""What ONNX Runtime leaves in FP32, with the cause."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.fusions import in_float, slow
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, network, reader_of


def cpu(*body: Layer) -> ModelProto:
    return stripped(lower(stripped(fold_batchnorm(fold_weights(network(body, 0)))), "cpu").model)


def named(model: ModelProto, kind: str) -> list[str]:
    return [node.name for node in model.graph.node if node.op_type == kind]


def silu(model: ModelProto) -> ModelProto:
    """Replace each Relu by a SiLU."""
    for node in list(model.graph.node):
        if node.op_type == "Relu":
            gate = helper.make_node("Sigmoid", [node.input[0]], [f"{node.name}.gate"], name=f"{node.name}.gate")
            model.graph.node.insert(list(model.graph.node).index(node), gate)
            node.op_type = "Mul"
            node.input.append(gate.output[0])
    return model


def test_a_relu_network_keeps_its_classifier_alone_in_fp32() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3, skip="identity"))
    reasons = slow(model, fast_int8=True)
    assert [each.nodes for each in reasons] == [tuple(named(model, "Gemm")), ()]
    assert "unquantized" in reasons[0].reason
    assert reasons[0].macs < 0.05
    assert "too small" in reasons[1].reason


@pytest.mark.parametrize(
    ("model", "cause"),
    [(cpu(Layer(4, 3, activation="HardSwish"), Layer(4, 3, activation="HardSwish")), "HardSwish"),
     (silu(cpu(Layer(4, 3), Layer(4, 3))), "SiLU")],
    ids=["HardSwish", "SiLU"],
)  # fmt: skip
def test_an_activation_that_is_not_fused_names_the_convolutions_it_keeps_in_fp32(model: ModelProto, cause: str) -> None:
    worst = slow(model, fast_int8=True)[0]
    assert worst.reason.startswith(cause)
    assert list(worst.nodes) == named(model, "Conv")
    assert worst.macs > 0.9
    assert "--activation relu" in worst.remedy


def test_an_activation_with_a_scale_for_each_channel_is_the_cause() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3))
    second = [node for node in model.graph.node if node.op_type == "Conv"][1]
    dequantize = next(node for node in model.graph.node if node.output[0] == second.input[0])
    quantize = next(node for node in model.graph.node if node.output[0] == dequantize.input[0])
    for node in (quantize, dequantize):
        node.input[1], node.input[2] = "scales", "zeros"
    model.graph.initializer.append(numpy_helper.from_array(np.full(4, 0.02, np.float32), "scales"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(4, np.uint8), "zeros"))
    reasons = {each.reason: each for each in slow(model, fast_int8=True)}
    (reason,) = [reason for reason in reasons if "per-channel scales" in reason]
    assert second.name in reasons[reason].nodes


def test_a_squeeze_excite_is_the_cause_and_its_layers_are_named() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3))
    first, second = (node for node in model.graph.node if node.op_type == "Conv")
    x = second.input[0]  # after a DequantizeLinear
    weight = numpy_helper.from_array(np.full((4, 4, 1, 1), 0.1, np.float32), "excite")
    gate = [
        helper.make_node("GlobalAveragePool", [x], ["squeezed"], name="se.pool"),
        helper.make_node("Conv", ["squeezed", "excite"], ["excited"], name="se.conv"),
        helper.make_node("Sigmoid", ["excited"], ["gate"], name="se.gate"),
        helper.make_node("Mul", [x, "gate"], ["scaled"], name="se.mul"),
    ]
    place = list(model.graph.node).index(second)
    for offset, node in enumerate(gate):
        model.graph.node.insert(place + offset, node)
    model.graph.initializer.append(weight)
    second.input[0] = "scaled"
    found = [each for each in slow(model, fast_int8=True) if each.reason.startswith("squeeze-excite")]
    assert len(found) == 1
    assert "se.conv" in found[0].nodes
    assert first.name not in found[0].nodes


def test_depthwise_convolutions_and_a_cpu_without_vnni_are_causes_too() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3, depthwise=True))
    reasons = slow(model, fast_int8=False)
    (depthwise,) = [each for each in reasons if each.reason.startswith("depthwise")]
    assert list(depthwise.nodes) == named(model, "Conv")[1:]
    (cpu_itself,) = [each for each in reasons if "VNNI" in each.reason]
    assert list(cpu_itself.nodes) == named(model, "Conv")
    assert not any("VNNI" in each.reason for each in slow(model, fast_int8=True))


def test_a_batchnorm_that_was_not_folded_is_named() -> None:
    model = stripped(fold_weights(network([Layer(4, 3)], 0)))  # lowered without folding
    model = lower(model, "cpu").model
    norm = reader_of(model, "BatchNormalization")
    assert any(norm.name in each.nodes for each in slow(model, fast_int8=True))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("LeakyRelu", "LeakyRelu: "), ("Softmax", "Softmax: "), ("Mul", "Mul: ")],
)
def test_what_stands_behind_a_layer_is_named_where_it_keeps_the_layer_in_fp32(kind: str, cause: str) -> None:
    model = cpu(Layer(4, 3), Layer(4, 3))
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = kind
            if kind == "Mul":
                node.input.append(node.input[0])
    found = in_float(model)
    assert found.integer == 0
    assert found.reasons[0].reason.startswith(cause)
    assert list(found.reasons[0].nodes) == named(model, "Conv")
    assert found.reasons[0].macs > 0.9


def test_weights_that_are_computed_in_each_call_are_named() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3))
    for conv in [node for node in model.graph.node if node.op_type == "Conv"]:
        computed = helper.make_node("Abs", [conv.input[1]], [f"{conv.name}.abs"], name=f"{conv.name}.abs")
        model.graph.node.insert(list(model.graph.node).index(conv), computed)
        conv.input[1] = computed.output[0]
    found = in_float(model)
    assert found.integer == 0
    assert found.reasons[0].reason.startswith("weights computed in each call")
    assert list(found.reasons[0].nodes) == named(model, "Conv")


def test_the_share_in_integers_is_that_of_the_multiply_accumulates() -> None:
    model = cpu(Layer(4, 3), Layer(4, 3, skip="identity"))
    found = in_float(model)
    assert [each.nodes for each in found.reasons] == [tuple(named(model, "Gemm"))]
    assert found.integer == pytest.approx(1 - found.reasons[0].macs)
    assert in_float(silu(model)).integer < 0.1


def test_a_classifier_whose_logits_are_only_reshaped_is_a_classifier() -> None:
    model = cpu(Layer(4, 3))
    (logits,) = model.graph.output
    flat = helper.make_node("Flatten", ["flat"], [logits.name], name="flat")
    for node in model.graph.node:
        node.output[:] = ["flat" if name == logits.name else name for name in node.output]
    model.graph.node.append(flat)
    (reason,) = in_float(model).reasons
    assert "classifier" in reason.reason
