"""Q/DQ pairs that a target loads, but fails on or misreads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto

from edgefer.graph.graph import attribute
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.view import Call


def quantizer(call: Call, target: str) -> Iterator[Finding]:
    """Yield problems of a QuantizeLinear or DequantizeLinear after loading."""
    scale, shape = call.input(1).shape, call.input(0).shape
    blocked = call.attribute("block_size", 0) != 0 or (scale is not None and len(scale) > 1)
    count = scale[0] if scale is not None and len(scale) == 1 and not blocked else 1
    per_axis = count != 1
    if target == "cpu":
        yield from _numbers(call)
        if call.given(2) and scale is not None and call.input(2).shape not in (None, scale):
            said = f"the zero point has shape {list(call.input(2).shape or ())} and the scale {list(scale)}"
            if scale not in ((), (1,)) or call.input(2).shape not in ((), (1,)):
                yield Finding(call.name, f"{said}; they must match", "fails")
        if per_axis and shape and call.opset >= 13:
            axis = call.attribute("axis", 1)
            if -len(shape) <= axis < len(shape) and None not in (shape[axis], count) and shape[axis] != count:
                yield Finding(call.name, f"{count} scales along axis {axis}, which is {shape[axis]} long", "fails")
    if not per_axis:
        return
    if not call.fixed(0) and not _weights_behind(call):
        yield Finding(
            call.name,
            f"the scale of an activation has shape ({count},); it must be a scalar of shape ()",
            "misread",
        )
    elif shape:
        axis = (call.attribute("axis", 1) if call.opset >= 13 else 1) % len(shape)
        for reader in call.scope.readers.get(call.node.output[0], []):
            wanted = _output_channels(reader, call.node.output[0], len(shape))
            if wanted is not None and axis != wanted:
                yield Finding(
                    call.name,
                    f"the scales are along axis {axis} of the weights; the output channels are axis {wanted}",
                    "misread",
                )
                return


def _weights_behind(call: Call) -> bool:
    maker = call.maker(0)
    return maker is not None and maker.op_type == "QuantizeLinear" and call.scope.constants.fixed(maker.input[0])


def _numbers(call: Call) -> Iterator[Finding]:
    scale = call.constant(1)
    if scale is None:
        return
    numbers = scale.astype(np.float64)
    wrong = numbers[~(np.isfinite(numbers) & (numbers > 0))]
    if wrong.size:
        yield Finding(call.name, f"the scale is {float(wrong.flat[0])}; it must be a positive number", "misread")


def _output_channels(reader: NodeProto, weights: str, rank: int) -> int | None:
    """Return which axis of its weights an operator's output channels are; None for other operators and inputs."""
    if len(reader.input) < 2 or reader.input[1] != weights:
        return None
    if reader.op_type == "Gemm":
        return 0 if attribute(reader, "transB", 0) else 1
    if reader.op_type == "MatMul":
        return rank - 1 if rank > 1 else None
    if reader.op_type == "ConvTranspose":
        return 1 if attribute(reader, "group", 1) == 1 else None  # of groups, both axes include them
    return 0 if reader.op_type == "Conv" else None
