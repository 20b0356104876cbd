"""Convert an ONNX network to the small form's format: a list of layers and FP16 weights in the kernels' order.

The kernels are `web/kernels.c`, called by `web/runtime-small.js`. They cover plain residual networks and YuNet:
convolution, ReLU, addition, pooling and upsampling by two. Arithmetic is float32.

File format: length of the JSON as uint32, the JSON, weights as float16; little-endian. Of weights that mirror each
other (`edgefer.graph.mirrored`) it has the first half, (side, side, inputs, outputs), and the runtime makes the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from edgefer.errors import InputError
from edgefer.graph.mirrored import is_mirrored

_LANES = 4  # channels are padded to a multiple of this
_BLOCK = 8  # output channels per kernel call
_SHAPES = ("Shape", "Gather", "Unsqueeze", "Concat", "Constant")  # source of the shape of YuNet's Reshape
_SAME = ("Cast", "Identity", "Dropout")
_ROWS = (*_SAME, "Reshape", "Sigmoid")  # allowed where channels are the last dimension


@dataclass
class _Plan:
    """The network converted so far.

    Attributes:
        layers: in execution order.
        tensors: tensor numbers by name in the graph.
        channels: per tensor.
        weights: float16 arrays in order.
        size: number of values in `weights`.
        rows: names of tensors on the way to an output whose channels are the last dimension in the graph, too.
        sigmoids: names of outputs with a final sigmoid.
    """

    layers: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, int] = field(default_factory=dict)
    channels: list[int] = field(default_factory=list)
    weights: list[NDArray[np.float16]] = field(default_factory=list)
    size: int = 0
    rows: set[str] = field(default_factory=set)
    sigmoids: set[str] = field(default_factory=set)

    def tensor(self, name: str, channels: int) -> int:
        """Add a tensor and return its number."""
        self.tensors[name] = len(self.channels)
        self.channels.append(channels)
        return self.tensors[name]

    def put(self, values: NDArray[np.float32]) -> int:
        """Add weights and return their offset."""
        start = self.size
        self.weights.append(values.astype(np.float16).ravel())
        self.size += values.size
        return start


def convert(model: ModelProto) -> bytes:
    """Return the file.

    Args:
        model: FP32 or FP16, with one input (1, channels, height, width).

    Raises:
        InputError: the small form does not support an operator or one of its settings.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    uses = [name for node in model.graph.node for name in node.input] + [each.name for each in model.graph.output]
    (source,) = (each for each in model.graph.input if each.name not in constants)
    plan = _Plan()
    plan.tensor(source.name, source.type.tensor_type.shape.dim[1].dim_value)
    enlarged: dict[str, str] = {}  # upsampling by two that feeds an addition
    for node in model.graph.node:
        if node.op_type in _SHAPES and (node.op_type == "Shape" or not plan.tensors.keys() & set(node.input)):
            continue
        if node.input[0] in plan.rows and node.op_type not in _ROWS:
            raise _unknown(node, "after a Transpose or Sigmoid")
        try:
            _layer(plan, node, constants, uses, enlarged)
        except KeyError:  # an unexpected constant or tensor as input, or a missing setting
            raise _unknown(node, "with such inputs or settings") from None
    outputs = [
        {"name": each.name, "tensor": plan.tensors[each.name], "sigmoid": each.name in plan.sigmoids}
        for each in model.graph.output
    ]
    head = json.dumps({"channels": plan.channels, "layers": plan.layers, "outputs": outputs}, separators=(",", ":"))
    head += " " * (len(head) % 2)  # align weights to an even offset
    return len(head).to_bytes(4, "little") + head.encode() + np.concatenate(plan.weights).astype("<f2").tobytes()


def _layer(
    plan: _Plan, node: NodeProto, constants: dict[str, NDArray[Any]], uses: list[str], enlarged: dict[str, str]
) -> None:
    """Add a node, or fold it into the previous layer."""
    source, out = node.input[0], node.output[0]
    settings = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Conv":
        weights, bias = constants[node.input[1]].astype(np.float32), _bias(node, constants)
        _convolution(plan, node, weights, bias, settings)
    elif node.op_type == "Gemm" and settings.get("transB") and settings.get("alpha", 1) == settings.get("beta", 1) == 1:
        weights = constants[node.input[1]].astype(np.float32)[..., None, None]
        _convolution(plan, node, weights, _bias(node, constants), {})
    elif node.op_type == "Relu" and (last := _last(plan, source, uses)) and not last["relu"]:
        last["relu"] = 1
        plan.tensors[out] = last["out"]
    elif node.op_type == "Add" and (half := next((name for name in node.input if name in enlarged), None)):
        whole = next(name for name in node.input if name != half)
        number = plan.tensors[whole]
        to = plan.tensor(out, plan.channels[number])
        plan.layers.append({"op": "upsample_add", "in": number, "half": plan.tensors[enlarged[half]], "out": to})
    elif node.op_type == "Add" and (sides := [name for name in node.input if _last(plan, name, uses, "conv")]):
        other = next(name for name in node.input if name != sides[0])
        last = plan.layers[-1]
        if last["relu"] or last["add"] is not None:
            raise _unknown(node, "after ReLU")
        last["add"] = plan.tensors[other]
        plan.tensors[out] = last["out"]
    elif node.op_type == "MaxPool" and settings["kernel_shape"] == settings["strides"] == [2, 2]:
        if any(settings.get("pads", ())) or settings.get("ceil_mode"):
            raise _unknown(node, "with padding")
        to = plan.tensor(out, plan.channels[plan.tensors[source]])
        plan.layers.append({"op": "maxpool", "in": plan.tensors[source], "out": to})
    elif node.op_type == "GlobalAveragePool":
        to = plan.tensor(out, plan.channels[plan.tensors[source]])
        plan.layers.append({"op": "average", "in": plan.tensors[source], "out": to})
    elif node.op_type == "Resize" and settings.get("mode") == b"nearest" and _by_two(node, constants):
        enlarged[out] = source
    elif (
        node.op_type in _SAME
        or (node.op_type == "Flatten" and plan.layers and plan.layers[-1]["op"] == "average")  # one pixel
        or (node.op_type == "Transpose" and settings.get("perm") == [0, 2, 3, 1])
        or (node.op_type in ("Reshape", "Sigmoid") and source in plan.rows)
    ):
        plan.tensors[out] = plan.tensors[source]
        if source in plan.rows or node.op_type == "Transpose":
            plan.rows.add(out)
        if source in plan.sigmoids or node.op_type == "Sigmoid":
            plan.sigmoids.add(out)
    else:
        raise _unknown(node, "like this one")


def _convolution(
    plan: _Plan, node: NodeProto, weights: NDArray[np.float32], bias: NDArray[np.float32], settings: dict[str, Any]
) -> None:
    """Add a convolution with weights (outputs, inputs per group, side, side)."""
    outputs, inputs, side, across = weights.shape
    pads, strides = set(settings.get("pads", (0,))), set(settings.get("strides", (1,)))
    plain = set(settings.get("dilations", (1,))) == {1} and settings.get("auto_pad", b"NOTSET") == b"NOTSET"
    if not plain or side != across or len(pads) > 1 or len(strides) > 1 or max(pads) > 1:
        raise _unknown(node, "with such padding, stride or dilation")
    padded = -(-outputs // _LANES) * _LANES
    weights = np.concatenate([weights, np.zeros((padded - outputs, *weights.shape[1:]), np.float32)])
    bias = np.concatenate([bias, np.zeros(padded - outputs, np.float32)])
    groups = settings.get("group", 1)
    single = groups > 1
    if single and not (groups == outputs and inputs == 1 and side == 3 and pads == {1} and strides == {1}):
        raise _unknown(node, f"with {groups} groups")
    in_order = np.ascontiguousarray(weights.transpose(2, 3, 1, 0))  # side, side, inputs, outputs
    halved = not single and padded == outputs and is_mirrored(weights)
    if single:
        blocks = [in_order]
    elif halved:
        blocks = [in_order[..., : outputs // 2]]
    else:
        blocks = [in_order[..., at : at + _BLOCK] for at in range(0, padded, _BLOCK)]
    start = plan.put(np.concatenate([each.ravel() for each in blocks]))
    number = plan.tensors[node.input[0]]
    layer: dict[str, Any] = {
        "op": "depthwise" if single else "conv",
        "in": number,
        "out": plan.tensor(node.output[0], outputs),
    }
    layer |= {"weights": start, "bias": plan.put(bias), "side": side, "stride": max(strides), "pad": max(pads)}
    if halved:
        layer["halved"] = [inputs, outputs]
    plan.layers.append({**layer, "relu": 0, "add": None})


def _last(plan: _Plan, name: str, uses: list[str], *kinds: str) -> dict[str, Any] | None:
    """Return the newest layer if it made a tensor with a single consumer, so that this node can be folded into it."""
    last = plan.layers[-1] if plan.layers else None
    if last is None or last["op"] not in (kinds or ("conv", "depthwise")) or uses.count(name) != 1:
        return None
    return last if plan.tensors.get(name) == last["out"] else None


def _bias(node: NodeProto, constants: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    if len(node.input) < 3:
        raise _unknown(node, "without bias")
    return constants[node.input[2]].astype(np.float32)


def _by_two(node: NodeProto, constants: dict[str, NDArray[Any]]) -> bool:
    return len(node.input) > 2 and constants[node.input[2]].tolist() == [1, 1, 2, 2]


def _unknown(node: NodeProto, what: str) -> InputError:
    return InputError(
        f"the small form does not support {node.op_type} {what} ({node.name or node.output[0]}); use --form large"
    )
