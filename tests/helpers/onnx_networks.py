"""Small random networks in the form of NNCF's exports, for the tests of graph rewriting: built with onnx alone, run by
ONNX Runtime without graph optimization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIDE = 6


@dataclass(frozen=True)
class Layer:
    """One convolution and its activation, norm and branches.

    `shared` reuses the weights of the layer before, if they fit. A `skip` puts a ReLU and a second convolution after
    the first, and adds the layer's input: unchanged (identity) or through another convolution (projection).
    """

    channels: int = 4
    kernel: int = 3
    depthwise: bool = False
    bias: bool = False
    norm: bool = True
    activation: str = "Relu"
    skip: str = "none"
    shared: bool = False


layers = st.builds(
    Layer,
    channels=st.sampled_from([3, 4]),
    kernel=st.sampled_from([1, 3]),
    depthwise=st.booleans(),
    bias=st.booleans(),
    norm=st.booleans(),
    activation=st.sampled_from(["Relu", "Clip", "Sigmoid", "HardSwish", "none"]),
    skip=st.sampled_from(["none", "none", "identity", "projection"]),
    shared=st.booleans(),
)


@dataclass
class _Writer:
    rng: np.random.Generator
    dyadic: bool
    quantized: bool
    reach: float
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        number = len(self.nodes)
        name = f"/stages/stages.{number}/layer/layer.{number}/{kind}"  # as named by torch's exporter
        self.nodes.append(helper.make_node(kind, list(inputs), [f"{name}_output_0"], name=name, **attributes))
        return f"{name}_output_0"

    def constant(self, array: np.ndarray) -> str:
        name = f"stages.{len(self.nodes)}.layer.constant_{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def scales(self, low: float, high: float, count: int | None = None) -> np.ndarray:
        """Random scales; powers of two in a dyadic network, so that float32 arithmetic on them is exact."""
        drawn = np.exp(self.rng.uniform(np.log(low), np.log(high), count))
        return np.asarray(np.exp2(np.round(np.log2(drawn))) if self.dyadic else drawn, np.float32)

    def numbers(self, count: int) -> np.ndarray:
        drawn = self.rng.normal(0, 0.4, count)
        return np.asarray(np.round(drawn * 16) / 16 if self.dyadic else drawn, np.float32)

    def quantize(self, name: str, largest: float) -> str:
        if not self.quantized:
            return name
        scale = self.scales(largest / 150 * self.reach, largest / 100 * self.reach)
        pair = [self.constant(scale), self.constant(np.array(0, np.int8))]
        return self.add("DequantizeLinear", [self.add("QuantizeLinear", [name, *pair]), *pair])

    def weight(self, shape: tuple[int, ...]) -> str:
        scale = self.scales(1 / 500, 1 / 100, shape[0])
        levels = self.rng.integers(-127, 128, shape)
        noise = 0 if self.dyadic else self.rng.uniform(-0.4, 0.4, shape)
        values = ((levels + noise) * scale.reshape(-1, *[1] * (len(shape) - 1))).astype(np.float32)
        zero = self.constant(np.zeros(shape[0], np.int8))
        pair = [self.constant(scale), zero]
        stored = self.add("QuantizeLinear", [self.constant(values), *pair], axis=0)
        return self.add("DequantizeLinear", [stored, *pair], axis=0)

    def convolution(self, x: str, weight: str, shape: tuple[int, ...], layer: Layer, group: int = 1) -> str:
        """Convolution with the layer's bias and norm."""
        bias = [self.constant(self.numbers(shape[0]))] if layer.bias else []
        attributes = {"pads": [shape[2] // 2] * 4, "kernel_shape": list(shape[2:]), "group": group}
        y = self.add("Conv", [x, weight, *bias], **attributes)
        return self.norm(y, shape[0]) if layer.norm else y

    def norm(self, name: str, channels: int) -> str:
        gamma = np.where(self.rng.random(channels) < 0.4, -1, 1) * self.scales(0.3, 2, channels)
        gamma[self.rng.random(channels) < 0.1] = 0
        variance = self.scales(0.5, 1.5, channels) ** 2
        parts = [gamma, self.numbers(channels), self.numbers(channels), variance]
        epsilon = 0.0 if self.dyadic else 1e-5
        constants = [self.constant(each.astype(np.float32)) for each in parts]
        return self.add("BatchNormalization", [name, *constants], epsilon=epsilon)


def network(
    body: Sequence[Layer], seed: int, dyadic: bool = False, quantized: bool = True, reach: float = 1.0
) -> ModelProto:
    """Return a classifier of (N, 3, SIDE, SIDE) into 5 classes.

    Args:
        body: its convolutions.
        seed: of weights and scales.
        dyadic: every scale a power of two, so that float32 computes without rounding.
        quantized: False omits activation quantizers (weights keep theirs).
        reach: factor on the range of every activation quantizer; well below 1 clips, well above 1 does not.
    """
    writer = _Writer(np.random.default_rng(seed), dyadic, quantized, reach)
    x, channels = writer.quantize("input", 2.0), 3
    last: tuple[str, tuple[int, ...]] = ("", ())
    for layer in body:
        outputs = channels if layer.depthwise else layer.channels
        shape = (outputs, 1 if layer.depthwise else channels, layer.kernel, layer.kernel)
        weight = last[0] if layer.shared and last[1] == shape else writer.weight(shape)
        last = (weight, shape)
        y = writer.convolution(x, weight, shape, layer, channels if layer.depthwise else 1)
        if layer.skip == "projection" or (layer.skip == "identity" and outputs == channels):
            y = writer.quantize(writer.add("Relu", [y]), 3.0)
            second, third = (outputs, outputs, 1, 1), (outputs, channels, 1, 1)
            y = writer.quantize(writer.convolution(y, writer.weight(second), second, layer), 3.0)
            if layer.skip == "projection":  # written after the longer branch, as an exporter may do
                x = writer.quantize(writer.convolution(x, writer.weight(third), third, layer), 3.0)
            y = writer.add("Add", [y, x])
        if layer.activation == "Clip":
            y = writer.add(
                "Clip", [y, writer.constant(np.array(0, np.float32)), writer.constant(np.array(6, np.float32))]
            )
        elif layer.activation != "none":
            y = writer.add(layer.activation, [y])
        x, channels = writer.quantize(y, 1.0 if layer.activation == "Sigmoid" else 3.0), outputs
    x = writer.quantize(writer.add("GlobalAveragePool", [x]), 2.0)
    x = writer.add("Flatten", [x], axis=1)
    writer.add("Gemm", [x, writer.weight((5, channels)), writer.constant(writer.numbers(5))], transB=1)
    writer.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        writer.nodes,
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(array, name) for name, array in writer.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def pictures(seed: int = 0, count: int = 8) -> np.ndarray:
    """Return random input, float32 (count, 3, SIDE, SIDE)."""
    return np.random.default_rng(seed).normal(0, 1, (count, 3, SIDE, SIDE)).astype(np.float32)


def run(model: ModelProto, x: np.ndarray, optimize: bool = False) -> np.ndarray:
    """Return the model's first output as ONNX Runtime computes it."""
    return session(model, optimize).run(None, {"input": x})[0]


def session(model: ModelProto, optimize: bool = False, written_to: str | None = None) -> ort.InferenceSession:
    levels = ort.GraphOptimizationLevel
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.log_severity_level = 3
    if written_to is not None:
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = written_to
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def kinds(model: ModelProto) -> list[str]:
    """Return the operators of a model's nodes."""
    return [node.op_type for node in model.graph.node]


def reader_of(model: ModelProto, kind: str) -> NodeProto:
    """Return a model's first node of a kind."""
    return next(node for node in model.graph.node if node.op_type == kind)
