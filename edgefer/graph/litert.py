"""A network for ONNX Runtime's CPU written as a LiteRT file (.tflite), with the same scales and no second calibration.

uint8 activations become int8: values and zero point minus 128. Weights stay
int8 with per-channel scales, biases become int32 at the product of the scales of input and weight, as
LiteRT's quantization specification requires (https://ai.google.dev/edge/litert/models/quantization_spec). Outputs
without a quantizer are computed in floating point. The file is written with the schema that ai-edge-litert ships.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgefer.errors import InputError
from edgefer.graph.graph import Graph, attribute
from edgefer.graph.shapes import tensors

_SHIFT = 128  # from uint8 to int8
_OP = schema.BuiltinOperator
_ACTIVATION = schema.ActivationFunctionType
_PADDING = schema.Padding
_OPTIONS = schema.BuiltinOptions
# The lowest version of each operator that supports int8; floating point works too.
_VERSIONS = {
    _OP.ADD: 2,
    _OP.AVERAGE_POOL_2D: 2,
    _OP.CONCATENATION: 2,
    _OP.CONV_2D: 3,
    _OP.DEPTHWISE_CONV_2D: 3,
    _OP.DEQUANTIZE: 2,
    _OP.MAX_POOL_2D: 2,
    _OP.MEAN: 2,
    _OP.PAD: 2,
    _OP.QUANTIZE: 2,
    _OP.RELU: 2,
}
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclass(frozen=True)
class _Scale:
    """Of a quantized tensor: real = scale x (stored - zero)."""

    scale: NDArray[np.float32]
    zero: int = 0
    axis: int = 0


@dataclass(frozen=True)
class _Weight:
    """A constant with its quantization; None for floating point."""

    array: NDArray[Any]
    scale: NDArray[np.float32] | None

    @property
    def real(self) -> NDArray[np.float32]:
        """Its dequantized values; one scale, or one per entry of the first axis."""
        if self.scale is None:
            return self.array.astype(np.float32)
        shape = (-1, *(1,) * (self.array.ndim - 1)) if self.scale.size > 1 else (1,)
        return np.asarray(self.array * self.scale.reshape(shape), np.float32)


def convert(model: ModelProto) -> bytes:
    """Return a network as a LiteRT file.

    Args:
        model: FP32, FP16, or INT8 as ONNX Runtime's CPU runs it (`edgefer.graph.lowering.unsigned`); input (N, C, H, W)

    Returns:
        The file. Its input is float32 (N, H, W, C), its output the logits, float32 (N, classes); N is 1 in the file and
        can be resized.

    Raises:
        InputError: the network has an operator, or a use of one, without a LiteRT form.
    """
    return _Writer(Graph(model)).file()


def from_bytes(content: bytes) -> bytes:
    """Return the LiteRT file for an ONNX file's bytes.

    Raises:
        InputError: it is not an ONNX file; see `convert`.
    """
    try:
        return convert(onnx.load_model_from_string(content))
    except DecodeError:
        raise InputError("it is truncated or not ONNX") from None


class _Writer:
    """The LiteRT graph under construction. Tensors are identified by their ONNX names."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes = {name: shape for name, (shape, _) in tensors(graph).items()}
        self._subgraph = schema.SubGraphT()
        self._subgraph.tensors, self._subgraph.operators = [], []
        self._buffers: list[Any] = [schema.BufferT()]
        self._codes: list[Any] = []
        self._done: set[int] = set()
        self.floats: dict[str, int] = {}  # ONNX tensor: index of the float32 tensor
        self.quantized: dict[str, tuple[int, _Scale]] = {}  # ONNX tensor: int8 tensor and its scale

    def file(self) -> bytes:
        if len(self.graph.inputs) != 1:
            raise InputError(f"the network has {len(self.graph.inputs)} inputs; LiteRT's file needs one")
        (name,) = self.graph.inputs
        self.floats[name] = self.tensor("input", self.sides(name), np.dtype(np.float32))
        self._subgraph.inputs = [self.floats[name]]
        for node in self.graph.nodes:
            if id(node) not in self._done:
                write = _WRITERS.get(node.op_type)
                if write is None:
                    raise InputError(f"{node.op_type} ({node.name or node.output[0]}) cannot be written for LiteRT yet")
                write(self, node)
        self._subgraph.outputs = [self.real(output) for output in self.graph.outputs]
        model = schema.ModelT()
        model.version, model.description = 3, "edgefer"
        model.subgraphs, model.buffers, model.operatorCodes = [self._subgraph], self._buffers, self._codes
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def sides(self, name: str) -> tuple[int, ...]:
        """Return the shape of an ONNX tensor as LiteRT has it: (N, H, W, C) where it is (N, C, H, W)."""
        shape = self.shapes.get(name)
        if shape is None or 0 in shape[1:]:
            raise InputError(f"the shape of {name} is unknown; export the network with a fixed picture size")
        return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        scale: _Scale | None = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), _TYPES[dtype], 0
        if data is None:
            tensor.shapeSignature = [-1, *list(shape)[1:]]
        else:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self._buffers.append(buffer)
            tensor.buffer = len(self._buffers) - 1
        if scale is not None:
            found = schema.QuantizationParametersT()
            found.scale = scale.scale.reshape(-1).tolist()
            found.zeroPoint = [scale.zero] * len(found.scale)
            found.quantizedDimension = scale.axis
            tensor.quantization = found
        self._subgraph.tensors.append(tensor)
        return len(self._subgraph.tensors) - 1

    def constant(self, name: str, data: NDArray[Any], scale: _Scale | None = None) -> int:
        return self.tensor(name, data.shape, data.dtype, scale, data)

    def operator(
        self, kind: int, inputs: Sequence[int], output: int, options: Any = None, options_type: int | None = None
    ) -> None:
        place = next((place for place, each in enumerate(self._codes) if each.builtinCode == kind), None)
        if place is None:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = kind, min(kind, 127)
            code.version = _VERSIONS.get(kind, 1)
            self._codes.append(code)
            place = len(self._codes) - 1
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = place, list(inputs), [output]
        if options is not None:
            operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self._subgraph.operators.append(operator)

    def real(self, name: str) -> int:
        """Return the float32 tensor of an ONNX tensor."""
        if name not in self.floats:
            if name in self.graph.constants:
                self.floats[name] = self.constant(name, self.graph.constants[name].astype(np.float32))
            else:
                if name not in self.quantized:
                    raise InputError(f"{name} cannot be written for LiteRT yet")
                index, _ = self.quantized[name]
                self.floats[name] = self.tensor(f"{name}.float", self.sides(name), np.dtype(np.float32))
                self.operator(_OP.DEQUANTIZE, [index], self.floats[name])
        return self.floats[name]

    def weight(self, name: str) -> _Weight | None:
        """Return the constant of a name, quantized or not, or None."""
        if name in self.graph.constants:
            return _Weight(self.graph.constants[name], None)
        node = self.graph.producer(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in self.graph.constants:
            return None
        zero = self.graph.constant(node, 2)
        stored = self.graph.constants[node.input[0]]
        if stored.dtype != np.int8 or (zero is not None and zero.any()):
            raise InputError(f"{name} is not symmetric int8; compress the network with edgefer")
        scale = self.graph.constant(node, 1)
        if scale is None or (scale.size > 1 and attribute(node, "axis", 1) != 0):
            raise InputError(f"{name} has no per-channel scales; compress the network with edgefer")
        return _Weight(stored, np.asarray(scale, np.float32).reshape(-1))

    def bias(self, node: NodeProto, count: int) -> NDArray[np.float32]:
        """Return the bias of a convolution or product for its `count` channels; zeros if there is none."""
        if len(node.input) < 3 or not node.input[2]:
            return np.zeros(count, np.float32)
        found = self.weight(node.input[2])
        if found is None:
            raise InputError(f"{node.name or node.output[0]}: LiteRT's file needs a constant bias")
        return np.broadcast_to(found.real.reshape(-1), (count,))

    def output(self, node: NodeProto) -> tuple[str, int, _Scale | None]:
        """Return a node's output after fusion: ONNX name, activation and scale.

        A ReLU (ReLU6) after a node, and the quantizer after that, are fused if nothing else reads them.
        """
        name, activation, scale = node.output[0], _ACTIVATION.NONE, None
        following = self._only_reader(name)
        if following is not None and (kind := self._activation(following)) is not None:
            self._done.add(id(following))
            name, activation = following.output[0], kind
            following = self._only_reader(name)
        if following is not None and following.op_type == "QuantizeLinear":
            self._done.add(id(following))
            name, scale = following.output[0], self.scale(following)
        return name, activation, scale

    def made(self, name: str, scale: _Scale | None, shape: Sequence[int] | None = None) -> int:
        """Return a new tensor for the ONNX tensor `name`."""
        sides = self.sides(name) if shape is None else shape
        if scale is None:
            self.floats[name] = self.tensor(name, sides, np.dtype(np.float32))
            return self.floats[name]
        self.quantized[name] = self.tensor(name, sides, np.dtype(np.int8), scale), scale
        return self.quantized[name][0]

    def scale(self, node: NodeProto) -> _Scale:
        """Return the scale of a quantizer of activations."""
        scale, zero = self.graph.constant(node, 1), self.graph.constant(node, 2)
        if scale is None or scale.size != 1:
            raise InputError(
                f"{node.name or node.output[0]} has more than one scale; compress the network with edgefer"
            )
        point = 0 if zero is None else int(zero.reshape(-1)[0])
        unsigned = zero is None or zero.dtype == np.uint8
        return _Scale(np.asarray(scale, np.float32).reshape(-1), point - (_SHIFT if unsigned else 0))

    def _only_reader(self, name: str) -> NodeProto | None:
        readers = self.graph.readers(name)
        return readers[0] if len(readers) == 1 and name not in self.graph.outputs else None

    def _activation(self, node: NodeProto) -> int | None:
        if node.op_type == "Relu":
            return int(_ACTIVATION.RELU)
        if node.op_type == "Clip":
            low, high = self.graph.constant(node, 1), self.graph.constant(node, 2)
            if low is not None and high is not None and (float(low), float(high)) == (0.0, 6.0):
                return int(_ACTIVATION.RELU6)
        return None


def _quantize(writer: _Writer, node: NodeProto) -> None:
    source, scale = node.input[0], writer.scale(node)
    index = writer.quantized[source][0] if source in writer.quantized else writer.real(source)
    writer.operator(_OP.QUANTIZE, [index], writer.made(node.output[0], scale))


def _dequantize(writer: _Writer, node: NodeProto) -> None:
    if node.input[0] in writer.quantized:  # a weight is dequantized at its use
        writer.quantized[node.output[0]] = writer.quantized[node.input[0]]


def _same(writer: _Writer, node: NodeProto) -> None:
    """A cast between floating-point types: everything is float32 here."""
    _alias(writer, node.input[0], node.output[0])


def _alias(writer: _Writer, source: str, name: str) -> None:
    if source in writer.quantized:
        writer.quantized[name] = writer.quantized[source]
    else:
        writer.floats[name] = writer.real(source)


def _conv(writer: _Writer, node: NodeProto) -> None:
    weight = writer.weight(node.input[1])
    if weight is None or weight.array.ndim != 4:
        raise InputError(f"{node.name or node.output[0]}: LiteRT's convolutions need constant 2D weights")
    source = node.input[0]
    name, activation, scale = writer.output(node)
    integer = scale is not None and weight.scale is not None and source in writer.quantized
    groups, inputs = attribute(node, "group", 1), writer.sides(source)[-1]
    depthwise = groups > 1 and groups == inputs
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    numbers = writer.bias(node, len(weight.array))
    axis = 3 if depthwise else 0
    behind = scale if integer else None
    if integer:
        assert weight.scale is not None
        index, taken = writer.quantized[source]
        stored = np.ascontiguousarray(weight.array.transpose(order))
        kernel = writer.constant(f"{name}.weight", stored, _Scale(weight.scale, 0, axis))
        product = np.asarray(weight.scale * taken.scale, np.float32)
        steps = np.clip(np.rint(numbers.astype(np.float64) / product), -(2.0**31), 2.0**31 - 1)
        added = writer.constant(f"{name}.bias", steps.astype(np.int32), _Scale(product))
    else:
        index, taken = writer.real(source), None
        kernel = writer.constant(f"{name}.weight", np.ascontiguousarray(weight.real.transpose(order)))
        added = writer.constant(f"{name}.bias", numbers)
    index, padding = _padded(writer, node, index, taken if integer else None)
    options: Any = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, activation
    options.strideH, options.strideW = attribute(node, "strides", [1, 1])
    options.dilationHFactor, options.dilationWFactor = attribute(node, "dilations", [1, 1])
    if depthwise:
        options.depthMultiplier = len(weight.array) // groups
    kind, options_type = (
        (_OP.DEPTHWISE_CONV_2D, _OPTIONS.DepthwiseConv2DOptions) if depthwise else (_OP.CONV_2D, _OPTIONS.Conv2DOptions)
    )
    made = _made(writer, node, name, behind, scale)
    writer.operator(kind, [index, kernel, added], made, options, options_type)
    _quantized_after(writer, name, behind, scale, made)


def _made(writer: _Writer, node: NodeProto, name: str, behind: _Scale | None, scale: _Scale | None) -> int:
    """Return the tensor that an operator writes: int8, or float32 that is quantized afterwards."""
    if behind is None and scale is not None:
        return writer.tensor(f"{name}.real", writer.sides(node.output[0]), np.dtype(np.float32))
    return writer.made(name, behind, writer.sides(node.output[0]))


def _quantized_after(writer: _Writer, name: str, behind: _Scale | None, scale: _Scale | None, made: int) -> None:
    if behind is None and scale is not None:
        writer.operator(_OP.QUANTIZE, [made], writer.made(name, scale))


def _padded(writer: _Writer, node: NodeProto, index: int, scale: _Scale | None) -> tuple[int, int]:
    """Return the input of a convolution or pool with ONNX's padding, as LiteRT's SAME or VALID, or by a PAD before."""
    if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        raise InputError(f"{node.name or node.output[0]}: automatic padding cannot be written for LiteRT yet")
    pads = attribute(node, "pads", [0, 0, 0, 0])
    if not any(pads):
        return index, int(_PADDING.VALID)
    height, width = writer.sides(node.input[0])[1:3]
    kernel = attribute(node, "kernel_shape", None) or list(writer.shapes[node.input[1]][2:])
    strides, dilations = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
    same: list[int] = []
    for side, window, stride, dilation in zip((height, width), kernel, strides, dilations, strict=True):
        total = max((-(-side // stride) - 1) * stride + dilation * (window - 1) + 1 - side, 0)
        same += [total // 2, total - total // 2]
    if [same[0], same[2], same[1], same[3]] == list(pads):
        return index, int(_PADDING.SAME)
    shape = [1, height + pads[0] + pads[2], width + pads[1] + pads[3], writer.sides(node.input[0])[3]]
    widths = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
    dtype = np.dtype(np.float32 if scale is None else np.int8)
    padded = writer.tensor(f"{node.output[0]}.padded", shape, dtype, scale)
    writer.operator(
        _OP.PAD,
        [index, writer.constant(f"{node.output[0]}.pads", widths)],
        padded,
        schema.PadOptionsT(),
        _OPTIONS.PadOptions,
    )
    return padded, int(_PADDING.VALID)


def _pair(writer: _Writer, node: NodeProto, kind: int, options: Any, options_type: int, integers: bool) -> None:
    """An operator of two tensors of one shape, or of shapes that broadcast."""
    name, activation, scale = writer.output(node)
    options.fusedActivationFunction = activation
    integer = integers and scale is not None and all(source in writer.quantized for source in node.input)
    behind = scale if integer else None
    sources = [writer.quantized[each][0] if integer else _broadcast(writer, node, each) for each in node.input]
    made = _made(writer, node, name, behind, scale)
    writer.operator(kind, sources, made, options, options_type)
    _quantized_after(writer, name, behind, scale, made)


def _broadcast(writer: _Writer, node: NodeProto, name: str) -> int:
    """Return an operand; a constant for each channel, (C, 1, 1), has its channels last."""
    array = writer.graph.constants.get(name)
    if array is None or array.size == 1 or len(writer.sides(node.output[0])) < 4:
        return writer.real(name)
    if array.ndim < 3 or array.size != array.shape[-3]:
        raise InputError(f"{node.name or node.output[0]}: only per-channel constants can be written for LiteRT")
    return writer.constant(name, array.reshape(-1).astype(np.float32))


def _add(writer: _Writer, node: NodeProto) -> None:
    _pair(writer, node, _OP.ADD, schema.AddOptionsT(), _OPTIONS.AddOptions, integers=True)


def _mul(writer: _Writer, node: NodeProto) -> None:
    _pair(writer, node, _OP.MUL, schema.MulOptionsT(), _OPTIONS.MulOptions, integers=True)


def _mean(writer: _Writer, node: NodeProto) -> None:
    name, activation, scale = writer.output(node)
    if activation != _ACTIVATION.NONE:
        raise InputError(f"{node.name or node.output[0]}: an activation after a pool cannot be written for LiteRT yet")
    integer = scale is not None and node.input[0] in writer.quantized
    behind = scale if integer else None
    index = writer.quantized[node.input[0]][0] if integer else writer.real(node.input[0])
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = writer.constant(f"{name}.axes", np.array([1, 2], np.int32))
    made = _made(writer, node, name, behind, scale)
    writer.operator(_OP.MEAN, [index, axes], made, options, _OPTIONS.ReducerOptions)
    _quantized_after(writer, name, behind, scale, made)


def _max_pool(writer: _Writer, node: NodeProto) -> None:
    """A maximum is one of its inputs, so it keeps their scale."""
    source, name = node.input[0], node.output[0]
    scale = writer.quantized[source][1] if source in writer.quantized else None
    index = writer.real(source) if scale is None else writer.quantized[source][0]
    found = attribute(node, "pads", [0, 0, 0, 0])
    index, padding = _padded(writer, node, index, scale)
    lowest = scale is not None and scale.zero == -_SHIFT
    if padding == _PADDING.VALID and any(found) and not lowest:
        raise InputError(f"{node.name or name}: this pool padding cannot be written for LiteRT yet")
    if attribute(node, "dilations", [1, 1]) != [1, 1]:
        raise InputError(f"{node.name or name}: a pool with dilation cannot be written for LiteRT yet")
    if attribute(node, "ceil_mode", 0):
        raise InputError(f"{node.name or name}: a pool that rounds up cannot be written for LiteRT yet")
    options = schema.Pool2DOptionsT()
    options.padding = padding
    options.filterHeight, options.filterWidth = attribute(node, "kernel_shape", [1, 1])
    options.strideH, options.strideW = attribute(node, "strides", [1, 1])
    writer.operator(_OP.MAX_POOL_2D, [index], writer.made(name, scale), options, _OPTIONS.Pool2DOptions)


def _flatten(writer: _Writer, node: NodeProto) -> None:
    """(N, C, H, W) to (N, C H W): channels are last here, so if H W is more than 1 they are moved first."""
    source, name = node.input[0], node.output[0]
    shape = writer.sides(source)
    if len(writer.shapes[name]) != 2 or writer.shapes[name][0] != 1:
        raise InputError(f"{node.name or name}: this reshape cannot be written for LiteRT yet")
    scale = writer.quantized[source][1] if source in writer.quantized else None
    index = writer.real(source) if scale is None else writer.quantized[source][0]
    dtype = np.dtype(np.float32 if scale is None else np.int8)
    if len(shape) == 4 and shape[1] * shape[2] > 1:
        turned = writer.tensor(f"{name}.turned", (1, shape[3], *shape[1:3]), dtype, scale)
        order = writer.constant(f"{name}.order", np.array([0, 3, 1, 2], np.int32))
        writer.operator(_OP.TRANSPOSE, [index, order], turned, schema.TransposeOptionsT(), _OPTIONS.TransposeOptions)
        index = turned
    flat = writer.constant(f"{name}.shape", np.array([-1, writer.shapes[name][1]], np.int32))
    options = schema.ReshapeOptionsT()
    options.newShape = [-1, writer.shapes[name][1]]
    writer.operator(_OP.RESHAPE, [index, flat], writer.made(name, scale), options, _OPTIONS.ReshapeOptions)


def _gemm(writer: _Writer, node: NodeProto) -> None:
    weight = writer.weight(node.input[1])
    scaled = (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)) != (1.0, 1.0)
    if weight is None or attribute(node, "transA", 0) or scaled:
        raise InputError(f"{node.name or node.output[0]}: this matrix product cannot be written for LiteRT yet")
    real = weight.real if attribute(node, "transB", 0) else weight.real.T
    numbers = writer.bias(node, len(real))
    name, activation, scale = writer.output(node)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    # The last layer is small and has no output quantizer: in float32 its logits equal ONNX Runtime's.
    inputs = [
        writer.real(node.input[0]),
        writer.constant(f"{name}.weight", np.ascontiguousarray(real)),
        writer.constant(f"{name}.bias", numbers),
    ]
    made = _made(writer, node, name, None, scale)
    writer.operator(_OP.FULLY_CONNECTED, inputs, made, options, _OPTIONS.FullyConnectedOptions)
    _quantized_after(writer, name, None, scale, made)


def _concat(writer: _Writer, node: NodeProto) -> None:
    if attribute(node, "axis", 1) != 1:
        raise InputError(f"{node.name or node.output[0]}: only channels can be joined for LiteRT yet")
    name, activation, scale = writer.output(node)
    integer = scale is not None and all(source in writer.quantized for source in node.input)
    options = schema.ConcatenationOptionsT()
    options.axis, options.fusedActivationFunction = len(writer.sides(node.input[0])) - 1, activation
    sources = []
    for source in node.input:
        if integer:
            assert scale is not None
            index, taken = writer.quantized[source]
            if taken != scale:
                again = writer.tensor(f"{name}.{source}", writer.sides(source), np.dtype(np.int8), scale)
                writer.operator(_OP.QUANTIZE, [index], again)
                index = again
            sources.append(index)
        else:
            sources.append(writer.real(source))
    behind = scale if integer else None
    made = _made(writer, node, name, behind, scale)
    writer.operator(_OP.CONCATENATION, sources, made, options, _OPTIONS.ConcatenationOptions)
    _quantized_after(writer, name, behind, scale, made)


def _float(kind: int) -> Callable[[_Writer, NodeProto], None]:
    """Return the writer of an operator of one tensor that is computed in float32."""

    def write(writer: _Writer, node: NodeProto) -> None:
        writer.operator(kind, [writer.real(node.input[0])], writer.made(node.output[0], None))

    return write


_WRITERS: dict[str, Callable[[_Writer, NodeProto], None]] = {
    "Add": _add,
    "Cast": _same,
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _mean,
    "HardSwish": _float(_OP.HARD_SWISH),
    "MaxPool": _max_pool,
    "Mul": _mul,
    "QuantizeLinear": _quantize,
    "Relu": _float(_OP.RELU),
    "Reshape": _flatten,
    "Sigmoid": _float(_OP.LOGISTIC),
}
