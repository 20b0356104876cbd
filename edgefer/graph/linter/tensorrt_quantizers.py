"""Q/DQ pairs as TensorRT reads them: types, scales, zero points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.view import Call

_STORED = frozenset(("int8", "uint8", "int4", "float8e4m3fn", "float4e2m1"))
_COMPUTED = frozenset(("float", "float16", "bfloat16", "double"))  # double becomes float32
UNSIGNED = "unsigned: TensorRT keeps the scale in a signed tensor, so the upper half clips silently"


def quantizer(call: Call) -> Iterator[Finding]:
    """Yield what is wrong with a QuantizeLinear or DequantizeLinear."""
    if _stored(call) == "uint8":
        yield Finding(call.name, UNSIGNED, "misread")
    for problem in _refused(call):
        yield Finding(call.name, problem)
    if not call.fixed(1):
        yield Finding(call.name, "the scale is computed at run time; it must be a constant", "fails")
    scale = call.constant(1)
    if scale is not None and np.isinf(scale.astype(np.float64)).any():
        yield Finding(call.name, "the scale is inf; it must be a positive number", "misread")
    sides = call.input(1).shape
    if call.opset < 13 and sides is not None and _size(sides) != 1:
        yield Finding(call.name, f"{_size(sides)} scales; opset {call.opset} has one for a tensor", "misread")


def _stored(call: Call) -> str:
    """Return the quantized type."""
    return call.input(0).type if call.node.op_type == "DequantizeLinear" else call.output(0).type


def _refused(call: Call) -> Iterator[str]:
    quantizes = call.node.op_type == "QuantizeLinear"
    stored = _stored(call)
    real = call.input(0).type if quantizes else call.output(0).type
    if stored and stored not in _STORED:
        yield f"it quantizes to {stored}; TensorRT has int8, int4, float8e4m3fn and float4e2m1"
    for kind in (real, call.input(1).type):
        if kind and kind not in _COMPUTED:
            yield f"it quantizes {kind}; TensorRT supports float32, float16 and bfloat16"
            break
    scale, shape = call.input(1), call.input(0).shape
    blocked = call.attribute("block_size", 0) != 0
    numbers = call.constant(1)
    if numbers is not None:
        as_float = numbers.astype(np.float64)
        wrong = as_float[~(as_float > 0)]  # nan, too
        if wrong.size:
            yield f"the scale is {float(wrong.flat[0])}; it must be a positive number"
    zero = call.constant(2)
    if call.given(2):
        if not call.fixed(2):
            yield "the zero point is computed at run time; it must be the constant 0"
        if zero is not None and stored != "uint8" and zero.astype(np.float64).any():
            flat = zero.astype(np.float64).ravel()
            yield f"the zero point is {flat[np.flatnonzero(flat)[0]]:g}; TensorRT accepts only 0"
        zero_shape = call.input(2).shape
        if zero_shape is not None and scale.shape is not None and _size(zero_shape) != _size(scale.shape):
            yield f"the zero point has shape {list(zero_shape)} and the scale {list(scale.shape)}; they must match"
    if scale.shape is None or shape is None:
        return
    rank, count = len(shape), _size(scale.shape)
    if len(scale.shape) > 1 or blocked:
        yield from _blocked(call, shape, scale.shape)
    elif count != 1 and call.opset >= 13:
        axis = call.attribute("axis", 1)
        if not -rank <= axis < rank:
            yield f"axis {axis} of a tensor with {rank} axes"
        elif shape[axis] is not None and shape[axis] != count:
            yield f"there are {count} scales along axis {axis}, which is {shape[axis]} long"
    if stored in ("int4", "float4e2m1") and None not in shape and _size(shape) % 2:
        yield "4 bits need an even number of values"
    if len(scale.shape) == 1 and rank < 2 and count != 1 and not blocked and stored == "float8e4m3fn":
        yield "float8 with a scale per value"
    if rank == 0 and count > 1:
        yield "there are several scales for a single value"


def _blocked(call: Call, shape: tuple[int | None, ...], scale: tuple[int | None, ...]) -> Iterator[str]:
    if len(scale) != len(shape):
        yield f"the scale has {len(scale)} axes and the tensor {len(shape)}"
        return
    differ = [
        place
        for place in range(len(shape))
        if None not in (shape[place], scale[place]) and shape[place] != scale[place]
    ]
    if len(differ) > 1:
        yield f"the scale has shape {list(scale)}; only one axis of {list(shape)} may be split into blocks"
    if differ and differ[0] < len(shape) - 2:
        yield f"blocks along axis {differ[0]} of {len(shape)}; TensorRT supports the last two"


def _size(shape: tuple[int | None, ...]) -> int:
    return int(np.prod([1 if side is None else side for side in shape], dtype=np.int64))
