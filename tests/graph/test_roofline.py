"""A network's memory traffic and arithmetic on a GPU, compared with counts by hand, and the resulting time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgefer import bundle, models
from edgefer.devices.specs import DeviceSpec, devices
from edgefer.errors import InputError
from edgefer.graph.count import macs
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.fp16 import to_fp16
from edgefer.graph.lowering import lower
from edgefer.graph.roofline import Kernel, kernels, min_time
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, network
from tests.helpers.torch_networks import export

DEVICE = DeviceSpec(
    name="a round one",
    family="jetson",
    compute="8.7",
    bandwidth=100,
    fp16=10,
    int8=20,
    source="made for a test",
    url="https://developer.nvidia.com/",
    derivation="made for a test",
    checked="made for a test",
)
SHIPPED = bundle.load("edgefer-base")


def model(nodes: list[NodeProto], constants: dict[str, np.ndarray], *outputs: str) -> ModelProto:
    """Return a model with a float32 input ``x`` (N, 2, 4, 4)."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)


WEIGHTS = {
    "w": np.ones((3, 2, 1, 1), np.float32),
    "b": np.ones(3, np.float32),
    "v": np.ones((3, 3, 1, 1), np.float32),
}
# x -> w -> Relu -> v -> + -> Relu -> y, with the first Relu added to v's output.
RESIDUAL = [
    node("Conv", "x w b", "c"),
    node("Relu", "c", "r"),
    node("Conv", "r v", "d"),
    node("Add", "d r", "s"),
    node("Relu", "s", "y"),
]


def quantized() -> ModelProto:
    """Return the same network as lowered for TensorRT: int8 except v's output."""
    constants: dict[str, np.ndarray] = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.int8),
        "w8": np.ones((3, 2, 1, 1), np.int8),
        "v8": np.ones((3, 3, 1, 1), np.int8),
        "b": np.ones(3, np.float32),
    }
    nodes = [node("DequantizeLinear", f"{name}8 scale zero", name) for name in ("w", "v")]
    for each in RESIDUAL:
        inputs = " ".join({"x": "x.dq", "r": "r.dq"}.get(name, name) for name in each.input)
        nodes.append(node(each.op_type, inputs, each.output[0]))
        if each.output[0] in ("r", "y"):
            nodes += pair(each.output[0])
    return model([*pair("x"), *nodes], constants, "y.dq")


def pair(name: str) -> list[NodeProto]:
    quantizer = node("QuantizeLinear", f"{name} scale zero", f"{name}.q")
    return [quantizer, node("DequantizeLinear", f"{name}.q scale zero", f"{name}.dq")]


def test_a_float_network_by_hand() -> None:
    first, second = kernels(model(RESIDUAL, WEIGHTS, "y"))
    # x (2 x 16), w (6), b (3) and r (3 x 16), all 4 bytes; then r once although two nodes read it, v (9) and y.
    assert first == Kernel(("c", "r"), "fp32", macs=6 * 16, bytes=4 * (32 + 6 + 3 + 48))
    assert second == Kernel(("d", "s", "y"), "fp32", macs=9 * 16, bytes=4 * (48 + 9 + 48))


def test_the_same_network_in_int8_by_hand() -> None:
    found = kernels(quantized())
    assert [each.precision for each in found] == ["fp32", "int8", "int8"]
    quantizer, first, second = found
    assert quantizer == Kernel(("x.q",), "fp32", macs=0, bytes=4 * 32 + 32)
    # The bias stays float32; everything else is one byte, the residual too.
    assert first == Kernel(("c", "r", "r.q"), "int8", macs=6 * 16, bytes=32 + 6 + 4 * 3 + 48, padded_macs=4 * 4 * 16)
    assert second == Kernel(("d", "s", "y", "y.q"), "int8", macs=9 * 16, bytes=48 + 9 + 48, padded_macs=4 * 4 * 16)


@pytest.mark.parametrize(("channels", "wide"), [(144, 160), (160, 160), (33, 64), (32, 32), (3, 4)])
def test_int8_computes_channels_padded_to_32_on_a_gpu_and_as_they_are_on_a_cpu(channels: int, wide: int) -> None:
    scales: dict[str, np.ndarray] = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.int8)}
    weights: dict[str, np.ndarray] = {"w8": np.ones((64, channels, 1, 1), np.int8)}
    nodes = [*pair("x"), node("DequantizeLinear", "w8 scale zero", "w"), node("Conv", "x.dq w", "y")]
    made = model(nodes, {**weights, **scales}, "y")
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = channels
    (layer,) = (each for each in kernels(made) if each.macs)
    assert (layer.macs, layer.padded_macs) == (64 * channels * 16, 64 * wide * 16)
    (in_half,) = (each for each in kernels(made, "fp16") if each.macs)
    assert in_half.padded_macs == in_half.macs
    slow = Kernel(("a",), "int8", macs=10**9, bytes=0, padded_macs=2 * 10**9)
    gpu, cpu = min_time([slow], DEVICE), min_time([slow], devices("pi")[0])
    assert gpu is not None
    assert cpu is not None
    assert gpu.least == pytest.approx(2 * 2e9 / 20e12)
    assert cpu.least == pytest.approx(2e9 / ((devices("pi")[0].int8 or 0) * 1e12))


def test_in_half_precision_every_number_takes_two_bytes_and_quantizers_are_gone() -> None:
    full = kernels(model(RESIDUAL, WEIGHTS, "y"))
    for network_ in (model(RESIDUAL, WEIGHTS, "y"), quantized()):
        halves = kernels(network_, "fp16")
        assert [each.precision for each in halves] == ["fp16", "fp16"]
        assert [2 * each.bytes for each in halves] == [each.bytes for each in full]
        assert [each.macs for each in halves] == [each.macs for each in full]


def test_a_file_in_half_precision_moves_what_is_foretold_of_it() -> None:
    made = kernels(to_fp16(model(RESIDUAL, WEIGHTS, "y")))
    foretold = kernels(model(RESIDUAL, WEIGHTS, "y"), "fp16")
    assert [each.precision for each in made if each.macs] == ["fp16", "fp16"]
    # The file's input and output stay float32, so there is one more cast, and y takes 4 bytes.
    assert sum(each.bytes for each in made) == sum(each.bytes for each in foretold) + 32 * (4 + 2) + 48 * 2


def test_time_is_the_larger_of_arithmetic_and_traffic_kernel_by_kernel() -> None:
    computes = Kernel(("a",), "int8", macs=10**9, bytes=1000)  # 2e9 / 20e12 = 100 us, 1e3 / 100e9 = 0.01 us
    moves = Kernel(("b",), "fp16", macs=10**6, bytes=10**7)  # 2e6 / 10e12 = 0.2 us, 1e7 / 100e9 = 100 us
    time = min_time([computes, moves], DEVICE)
    assert time is not None
    assert time.least == pytest.approx(200e-6)
    assert time.arithmetic == pytest.approx(100.2e-6)
    assert time.memory == pytest.approx(100.01e-6)


def test_int8_without_a_figure_for_it_has_no_time() -> None:
    without = DEVICE.model_copy(update={"int8": None, "no_int8": "none"})
    assert min_time(kernels(quantized()), without) is None
    assert min_time(kernels(quantized(), "fp16"), without) is not None


@pytest.mark.parametrize("field", ["bandwidth", "fp16", "int8"])
def test_a_faster_device_takes_no_longer(field: str) -> None:
    network_ = [*kernels(quantized()), *kernels(quantized(), "fp16"), Kernel(("a",), "int8", 10**9, 1)]
    network_.append(Kernel(("b",), "fp16", 10**9, 1))
    slow, fast = (min_time(network_, _with(field, factor)) for factor in (1, 2))
    assert slow is not None
    assert fast is not None
    assert fast.least < slow.least


def _with(field: str, factor: float) -> DeviceSpec:
    return DEVICE.model_copy(update={field: factor * getattr(DEVICE, field)})


def test_with_endless_bandwidth_arithmetic_is_left() -> None:
    time = min_time(kernels(quantized()), _with("bandwidth", 1e9))
    assert time is not None
    assert time.least == pytest.approx(time.arithmetic, rel=1e-3)


def test_silu_runs_with_its_convolution_and_a_gate_does_not() -> None:
    silu = [node("Conv", "x w b", "c"), node("Sigmoid", "c", "g"), node("Mul", "c g", "y")]
    assert [each.nodes for each in kernels(model(silu, WEIGHTS, "y"))] == [("c", "g", "y")]
    gate = [
        node("Conv", "x w b", "c"),
        node("GlobalAveragePool", "c", "p"),
        node("Conv", "p v", "e"),
        node("Sigmoid", "e", "g"),
        node("Mul", "c g", "y"),
    ]
    assert [each.nodes for each in kernels(model(gate, WEIGHTS, "y"))] == [("c",), ("p",), ("e", "g"), ("y",)]


def test_a_sum_runs_with_the_convolution_that_does_not_wait_for_the_other_one() -> None:
    """Only the sum reads either tensor, but its second branch begins after the first."""
    nodes = [
        node("Conv", "x w b", "c"),
        node("Neg", "c", "n"),
        node("Conv", "n v", "d"),
        node("Add", "n d", "y"),
    ]
    assert [each.nodes for each in kernels(model(nodes, WEIGHTS, "y"))] == [("c", "n"), ("d", "y")]


def test_a_tensor_that_two_kernels_read_is_written_once_and_read_twice() -> None:
    nodes = [node("Conv", "x w b", "c"), node("Conv", "c v", "y"), node("MaxPool", "c", "z", kernel_shape=[1, 1])]
    first, second, third = kernels(model(nodes, WEIGHTS, "y", "z"))
    assert first.bytes == 4 * (32 + 6 + 3 + 48)
    assert second.bytes == 4 * (48 + 9 + 48)
    assert third.bytes == 4 * (48 + 48)


def test_a_reshape_and_a_concatenation_cost_nothing_themselves() -> None:
    nodes = [
        node("Conv", "x w b", "c"),
        node("Conv", "x w", "d"),
        node("Concat", "c d", "both", axis=1),
        node("Flatten", "both", "flat"),
        node("Gemm", "flat head", "y", transB=1),
    ]
    found = kernels(model(nodes, {**WEIGHTS, "head": np.ones((5, 96), np.float32)}, "y"))
    assert [each.nodes for each in found] == [("c",), ("d",), ("y",)]
    assert found[2].bytes == 4 * (2 * 48 + 5 * 96 + 5)


def test_a_shape_that_cannot_be_inferred_is_an_error() -> None:
    cut = model(RESIDUAL, WEIGHTS, "y")
    cut.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(InputError, match="cannot be inferred"):
        kernels(cut)


@pytest.mark.parametrize("skip", ["none", "identity", "projection"])
@pytest.mark.parametrize("activation", ["Relu", "Clip", "HardSwish"])
def test_a_lowered_network_has_a_kernel_for_each_layer_the_pool_and_the_input(skip: str, activation: str) -> None:
    qdq = fold_weights(network([Layer(3, bias=True, norm=False, activation=activation, skip=skip)] * 2, 0))
    lowered = lower(qdq, "tensorrt").model
    layers = sum(each.op_type in ("Conv", "Gemm") for each in lowered.graph.node)
    found = kernels(lowered)
    assert len(found) == layers + 2
    assert sum(each.precision == "int8" and each.macs > 0 for each in found) == layers
    assert sum(each.macs for each in found) == macs(lowered)


def test_the_shipped_network_has_the_macs_of_its_manifest_and_less_to_move_in_int8() -> None:
    lowered = onnx.load(SHIPPED.file("int8-tensorrt"))
    eight, sixteen = kernels(lowered), kernels(lowered, "fp16")
    assert sum(each.macs for each in eight) == sum(each.macs for each in sixteen) == SHIPPED.manifest.macs
    # 18 convolutions (including the sums), the classifier, the pool; in INT8 also a quantizer of the input.
    assert (len(eight), len(sixteen)) == (21, 20)
    weights = sum(math.prod(each.dims) for each in lowered.graph.initializer if len(each.dims) > 1)
    assert sum(each.bytes for each in eight) > weights
    assert sum(each.bytes for each in eight) < 0.55 * sum(each.bytes for each in sixteen)
    for device in devices("jetson"):
        fast, slow = min_time(eight, device), min_time(sixteen, device)
        assert slow is not None
        assert fast is None or fast.least < slow.least


@pytest.mark.parametrize("name", ["plain-resnet", "resnet18", "mobilenetv4_conv_small", "efficientnet_b0", "repvgg_a0"])
def test_real_networks_keep_their_macs_and_launch_few_kernels(name: str) -> None:
    folded = fold_batchnorm(export(models.create(name, 7, 1).eval(), torch.zeros(1, 1, 64, 64)))
    found = kernels(folded)
    assert sum(each.macs for each in found) == macs(folded)
    layers = sum(each.op_type in ("Conv", "Gemm") for each in folded.graph.node)
    others = [each.nodes for each in found if each.macs == 0]
    assert len(found) == layers + len(others)
    # The rest beside the layers: pools, squeeze-excite's products, sums without a preceding convolution.
    assert len(others) <= {"plain-resnet": 1, "resnet18": 2, "mobilenetv4_conv_small": 1, "repvgg_a0": 60}.get(name, 40)
