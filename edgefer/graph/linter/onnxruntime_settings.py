"""Settings that ONNX Runtime's CPU kernels reject when a session is created, though ONNX allows them.

Each rule says what a kernel's constructor, or a graph optimization before it, checks (onnxruntime/core/providers/cpu
and core/optimizer of 1.31; the messages there were the guide). Rules yield problems as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from onnx import TensorProto

from edgefer.graph.graph import Array
from edgefer.graph.linter.view import Call, type_name, value

Rule = Callable[[Call], Iterator[str]]


def _conv(call: Call) -> Iterator[str]:
    if _auto_pad(call) not in ("NOTSET", "") and call.attribute("pads") is not None:
        yield "it has both auto_pad and pads; omit one"
    yield from _positive(call, "strides", "dilations", "kernel_shape")
    if call.attribute("group", 1) <= 0:
        yield "group must be positive"


def _pool(call: Call) -> Iterator[str]:
    kernel, pads = call.attribute("kernel_shape"), call.attribute("pads")
    if (
        kernel is not None
        and pads is not None
        and (
            len(pads) != 2 * len(kernel)
            or any(pad >= side for pad, side in zip(pads, [*kernel, *kernel], strict=False))
        )
    ):
        yield f"the pads {list(pads)} must be smaller than the kernel {list(kernel)}"
    yield from _positive(call, "strides", "dilations", "kernel_shape")


def _cast(call: Call) -> Iterator[str]:
    if call.attribute("saturate", 1) == 0 and not call.output().type.startswith("float8"):
        yield "saturate=0 is for float8 only"


def _lp(call: Call) -> Iterator[str]:
    if call.attribute("p", 2) not in (1, 2):
        yield f"p={call.attribute('p')}; there are 1 and 2"


def _lrn(call: Call) -> Iterator[str]:
    size = call.attribute("size", 0)
    if size <= 0 or size % 2 == 0:
        yield f"size={size} must be odd and positive"


def _recurrent(call: Call) -> Iterator[str]:
    if call.attribute("hidden_size") is None or call.attribute("hidden_size") <= 0:
        yield "hidden_size is missing"
    if _text(call.attribute("direction", b"forward")) not in ("forward", "reverse", "bidirectional"):
        yield "direction must be forward, reverse or bidirectional"
    if call.attribute("layout", 0):
        yield "layout=1"
    if call.attribute("clip", 1.0) <= 0:
        yield "clip must be positive"


def _target(call: Call) -> Iterator[str]:
    scores, target = call.input(0).rank, call.input(1).rank
    if scores is not None and target is not None and target != scores - 1:
        yield "the target must have one axis fewer than the input"


def _grid(call: Call) -> Iterator[str]:
    modes = ("linear", "nearest", "cubic") if call.opset >= 20 else ("bilinear", "nearest", "bicubic")
    mode = _text(call.attribute("mode", modes[0].encode()))
    if mode not in modes:
        yield f"mode={mode}; there are {', '.join(modes)}"


def _axis(call: Call) -> Iterator[str]:
    if call.input(0).rank == 0:
        yield "its input has no axes"


def _window(call: Call) -> Iterator[str]:
    if call.input(0).rank not in (0, None):
        yield "the size must be a scalar of shape ()"


def _groups(call: Call) -> Iterator[str]:
    if call.attribute("num_groups", 0) <= 0:
        yield "num_groups must be positive"


def _words(name: str, *allowed: str) -> Rule:
    def rule(call: Call) -> Iterator[str]:
        said = call.attribute(name)
        if said is None:
            yield f"{name} is missing"
        elif _text(said).lower() not in {each.lower() for each in allowed}:
            yield f"{name}={_text(said)}; there are {', '.join(allowed)}"

    return rule


def _needed(name: str) -> Rule:
    def rule(call: Call) -> Iterator[str]:
        if call.attribute(name) is None:
            yield f"{name} is missing"

    return rule


def _divide(call: Call) -> Iterator[str]:
    divisor = call.constant(1)
    if divisor is not None and divisor.dtype.kind in "iu" and (divisor == 0).any():
        yield "an integer is divided by 0"


def _resize(call: Call) -> Iterator[str]:
    mode = _text(call.attribute("mode", b"nearest"))
    cubic, antialias = mode == "cubic", bool(call.attribute("antialias", 0))
    if call.attribute("exclude_outside", 0) and not cubic and not (mode == "linear" and antialias):
        yield "exclude_outside=1 is for mode cubic only"
    if antialias and mode not in ("linear", "cubic"):
        yield f"antialias=1 is for modes linear and cubic, not {mode}"
    place = 1 if call.node.op_type == "Upsample" or call.opset < 11 else 2
    scales = call.constant(place) if call.given(place) else None
    if call.node.op_type == "Upsample" and call.opset < 9:
        listed = call.attribute("scales")
        scales = None if listed is None else np.asarray(listed)
    if scales is None or not scales.size:
        return
    wrong = scales[~(np.isfinite(scales) & (scales > 0))]
    if wrong.size:
        yield f"a scale is {float(wrong.flat[0])}; it must be positive"
    if call.node.op_type == "Upsample" and (scales < 1).any():
        yield "Upsample cannot make a tensor smaller"
    if mode == "linear" and not _linear(scales):
        yield f"linear interpolation of {scales.size} axes by {scales.ravel().tolist()}"
    if cubic and not (scales.size == 2 or (scales.size == 4 and (scales.ravel()[:2] == 1).all())):
        yield "cubic interpolation of axes other than the last two"
    rank = call.input(0).rank
    if rank is not None and scales.size != rank and not call.attribute("axes"):
        yield f"there are {scales.size} scales for {rank} axes"


def _linear(scales: Array) -> bool:
    flat = scales.ravel()
    outer = {2: (), 3: (), 4: ((0, 1), (0, 3)), 5: ((0, 1),)}.get(flat.size)
    return outer is not None and (not outer or any(all(flat[axis] == 1 for axis in axes) for axes in outer))


def _slice(call: Call) -> Iterator[str]:
    lengths = set()
    for place in range(1, 5):
        shape = call.input(place).shape if call.given(place) else None
        if shape is not None:
            if len(shape) != 1:
                yield "starts, ends, axes and steps must be lists"
                return
            lengths.add(shape[0])
    if len(lengths - {None}) > 1:
        yield "starts, ends, axes and steps are of different lengths"
    steps = call.constant(4)
    if steps is not None and (steps == 0).any():
        yield "a step is 0"


def _gather_nd(call: Call) -> Iterator[str]:
    rank = call.input(1).rank
    if rank is not None and rank <= call.attribute("batch_dims", 0):
        yield "the indices have too few axes"


def _positive(call: Call, *names: str) -> Iterator[str]:
    for name in names:
        if any(side <= 0 for side in call.attribute(name) or ()):
            yield f"{name}={list(call.attribute(name))} must be positive"


def _auto_pad(call: Call) -> str:
    return _text(call.attribute("auto_pad", b"NOTSET"))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


RULES: dict[str, Rule] = {
    "AveragePool": _pool,
    "BlackmanWindow": _window,
    "Cast": _cast,
    "CastLike": _cast,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "ConvInteger": _conv,
    "Div": _divide,
    "GatherND": _gather_nd,
    "ArgMax": _axis,
    "ArgMin": _axis,
    "GridSample": _grid,
    "GroupNormalization": _groups,
    "GRU": _recurrent,
    "HammingWindow": _window,
    "HannWindow": _window,
    "LRN": _lrn,
    "LSTM": _recurrent,
    "LpNormalization": _lp,
    "LpPool": _pool,
    "MaxPool": _pool,
    "Mod": _divide,
    "NegativeLogLikelihoodLoss": _target,
    "QLinearConv": _conv,
    "RNN": _recurrent,
    "RegexFullMatch": _needed("pattern"),
    "Resize": _resize,
    "Slice": _slice,
    "SoftmaxCrossEntropyLoss": _target,
    "TfIdfVectorizer": _words("mode", "TF", "IDF", "TFIDF"),
    "Upsample": _resize,
}


# ONNX Runtime removes the DequantizeLinear and QuantizeLinear around these, so that they run on integers. It does
# not check whether the operator allows that type (core/optimizer/qdq_transformer/selectors_actions).
_ON_INTEGERS = frozenset(
    [
        "ArgMax",
        "Expand",
        "Flatten",
        "Gather",
        "MaxPool",
        "ReduceMax",
        "ReduceMin",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Squeeze",
    ]
)
# These become one operator of com.microsoft with a per-tensor scale.
_FUSED = frozenset(["Add", "AveragePool", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid", "Softmax"])
_MOVES = frozenset(["MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"])
_SCALAR = frozenset(("Add", "AveragePool", "Mul"))
_BEFORE_QUANTIZER = frozenset(("Clip", "Relu"))
_INTEGERS = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16)


def between_quantizers(call: Call) -> Iterator[str]:
    """Yield problems when ONNX Runtime fuses an operator with the Q/DQ pairs around it."""
    name = call.node.op_type
    if call.node.domain or not call.node.output:
        return
    yield from _signed(call)
    readers = call.scope.readers.get(call.node.output[0], [])
    quantizer = readers[0] if len(readers) == 1 and readers[0].op_type == "QuantizeLinear" else None
    if name in _BEFORE_QUANTIZER and quantizer is not None and len(quantizer.input) > 2:
        zero = call.scope.constants.initializer(quantizer.input[2])
        if zero is not None and zero.data_type not in _INTEGERS:
            yield "ONNX Runtime fuses it with the QuantizeLinear after it, for 8- and 16-bit integers only"
    if quantizer is not None and name in _MOVES and call.opset >= 23 and call.output().type:
        scale_type = value(call.scope.types.get(quantizer.input[1])).type if len(quantizer.input) > 1 else ""
        if scale_type and scale_type != call.output().type:
            yield f"ONNX Runtime moves the QuantizeLinear before it, with scale of type {scale_type}"
    if quantizer is None and name != "ArgMax" and name not in _MOVES:
        return
    made = call.scope.types.get(quantizer.output[0]) if quantizer is not None else None
    behind = [call.maker(place) for place in range(len(call.node.input))]
    pairs = [each for each in behind if each is not None and each.op_type == "DequantizeLinear"]
    if not pairs or behind[0] is not pairs[0]:
        return
    stored = call.scope.types.get(pairs[0].input[0])
    kind = type_name(stored.tensor_type.elem_type) if stored is not None else ""
    same = made is None or stored is None or made.tensor_type.elem_type == stored.tensor_type.elem_type
    if name in _ON_INTEGERS and kind and same and kind not in ("int4", "uint4", "int32"):
        allowed = _allowed(call)
        if allowed and kind not in allowed:
            yield f"ONNX Runtime runs it on the {kind} before its DequantizeLinear; opset {call.opset} forbids that"
    if name in _FUSED and quantizer is not None and kind in ("int8", "uint8"):
        for each in (*pairs, quantizer):
            scale = call.scope.types.get(each.input[1]) if len(each.input) > 1 else None
            dims = value(scale).shape
            if dims is not None and dims != () and (name in _SCALAR or dims != (1,)):
                wanted = "shape ()" if name in _SCALAR else "shape () or (1,)"
                yield f"ONNX Runtime fuses it with the Q/DQ pairs around it; their scales must have {wanted}"
                break
        left_out = [len(each.input) < 3 or not each.input[2] for each in (pairs[0], quantizer)]
        if any(left_out) and kind != "uint8":
            yield "ONNX Runtime fuses it with the Q/DQ pairs around it and reads an omitted zero point as uint8"


def _signed(call: Call) -> Iterator[str]:
    """On x86, ONNX Runtime makes int8 activations uint8. From opset 21 on it forgets pairs that it has added itself.

    It adds one behind each operator that only moves numbers (core/optimizer/qdq_transformer/qdq_propagation.cc).
    """
    dequantize = call.maker(0)
    if call.node.op_type not in _MOVES or call.opset < 21 or dequantize is None or not dequantize.input:
        return
    if dequantize.op_type != "DequantizeLinear" or len(call.scope.readers.get(dequantize.output[0], [])) != 1:
        return
    quantize = call.scope.makers.get(dequantize.input[0])
    stored = call.scope.types.get(dequantize.input[0])
    if (
        quantize is None
        or quantize.op_type != "QuantizeLinear"
        or len(quantize.input) < 3
        or stored is None
        or stored.tensor_type.elem_type != TensorProto.INT8
    ):
        return
    scale = value(call.scope.types.get(dequantize.input[1])).shape
    readers = call.scope.readers.get(call.node.output[0], [])
    if scale in ((), (1,)) and not (readers and all(each.op_type == "QuantizeLinear" for each in readers)):
        yield (
            f"it moves int8 numbers in opset {call.opset}: ONNX Runtime on x86 cannot make them uint8; "
            "quantize to uint8, or export with opset 20"
        )


def _allowed(call: Call) -> set[str]:
    assert call.schema is not None
    formal = call.schema.inputs[0]
    return {each[len("tensor(") : -1] for each in formal.types}


def matmul(call: Call) -> Iterator[str]:
    """Yield what is wrong with the shapes of com.microsoft's FusedMatMul, which onnx does not infer."""
    left, right = (list(call.input(place).shape or ()) for place in range(2))
    if any(call.input(place).shape == () for place in range(2)):
        yield "it multiplies a scalar"
    if not left or not right:
        return
    for side, name in ((left, "transA"), (right, "transB")):
        if call.attribute(name, 0) and len(side) > 1:
            side[-2:] = side[-1], side[-2]
        if call.attribute(f"transBatch{name[-1]}", 0):
            return
    inner = right[-2] if len(right) > 1 else right[0]
    if left[-1] is not None and inner is not None and left[-1] != inner:
        yield f"it multiplies rows of {left[-1]} with columns of {inner}"
    for one, other in zip(left[-3::-1], right[-3::-1], strict=False):
        if one is not None and other is not None and one != other and 1 not in (one, other):
            yield f"{one} matrices are multiplied with {other}"


__all__ = ["RULES", "between_quantizers", "matmul"]
