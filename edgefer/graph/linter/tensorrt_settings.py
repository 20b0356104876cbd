"""Settings and shapes that TensorRT's parser rejects, though ONNX allows them. Rules yield problems as text.

Each rule says what the parser asserts, or what the network's layers check when their shapes are computed (TensorRT for
RTX 1.7, whose messages were the guide; NVIDIA's docs/operators.md names many of them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgefer.graph.linter.view import Call

Rule = Callable[[Call], Iterator[str]]

_MAX_AXES = 8


def _batch_norm(call: Call) -> Iterator[str]:
    if call.attribute("training_mode", 0):
        yield "training_mode=1: export the network in eval mode"
    yield from one_output(call)
    yield from _alike(call, 0, 1, 2, 3, 4)
    yield from _weights(call, 1, 2, 3, 4)


def one_output(call: Call) -> Iterator[str]:
    """Yield a problem if TensorRT only supports the first output."""
    if len([name for name in call.node.output if name]) > 1:
        yield f"TensorRT supports one output of {call.node.op_type}, not {len(call.node.output)}"


def _conv(call: Call) -> Iterator[str]:
    yield from _no_pads_beside_auto(call)
    yield from _rank(call, 3, 5)
    shape, weights, bias = (call.input(place).shape for place in range(3))
    group = call.attribute("group", 1)
    maker = call.maker(2)
    if call.given(2) and bias is not None and len(bias) != 1 and (maker is None or maker.op_type != "DequantizeLinear"):
        yield f"the bias has {len(bias)} axes; it must have one"
    if weights is not None and not 3 <= len(weights) <= 5:
        yield f"weights with {len(weights)} axes"
    if shape is None or weights is None or len(shape) < 3:
        return
    if len(weights) != len(shape):
        yield f"weights with {len(weights)} axes for a tensor with {len(shape)}"
        return
    channels, transposed = shape[1], call.node.op_type == "ConvTranspose"
    inward = weights[0] if transposed else weights[1]
    if not transposed and None not in (channels, inward) and channels != inward * group:
        yield f"weights for {inward * group} channels of a tensor with {channels}"
    if transposed and None not in (channels, inward) and channels != inward:
        yield f"weights for {inward} channels of a tensor with {channels}"
    out = weights[1] * group if transposed and weights[1] is not None else weights[0]
    if out is not None and (group <= 0 or out % group):
        yield f"{out} channels are not divisible into {group} groups"
    if bias is not None and len(bias) == 1 and None not in (bias[0], out) and bias[0] != out:
        yield f"the bias has {bias[0]} numbers for {out} channels"
    kernel = call.attribute("kernel_shape")
    if kernel is not None and None not in weights[2:] and list(kernel) != list(weights[2:]):
        yield f"kernel_shape is {list(kernel)} and the weights have {list(weights[2:])}"
    if _auto(call) not in ("SAME_UPPER", "SAME_LOWER") and not transposed:
        yield from _fits(call, shape[2:], weights[2:])
    yield from _alike(call, 0, 1, 2)
    yield from _not_empty(call)


def _pool(call: Call) -> Iterator[str]:
    yield from _no_pads_beside_auto(call)
    yield from one_output(call)
    yield from _rank(call, 3 if call.node.op_type != "LpPool" else 4, 5)
    shape, kernel = call.input(0).shape, call.attribute("kernel_shape")
    if kernel is None or shape is None:
        return
    pads = call.attribute("pads")
    averages = call.node.op_type == "AveragePool"
    if averages and any(pad >= side for pad, side in zip(pads or (), [*kernel, *kernel], strict=False)):
        yield f"the pads {list(pads)} must be smaller than the kernel {list(kernel)}"
    strides = call.attribute("strides") or [1] * len(kernel)
    if (
        call.node.op_type == "AveragePool"
        and call.attribute("ceil_mode", 0)
        and not call.attribute("count_include_pad", 0)
    ):
        for place, (side, window, stride) in enumerate(zip(shape[2:], kernel, strides, strict=False)):
            if side is None:
                continue
            around = sum((pads or [0] * 2 * len(kernel))[place :: len(kernel)])
            beyond = (-(side + around - window)) % stride
            if around + beyond and (pads or [0] * 2 * len(kernel))[place + len(kernel)] + beyond >= window:
                yield "ceil_mode=1 makes a window entirely in the padding"
                break
    if any(each != 1 for each in call.attribute("dilations") or ()):
        yield "TensorRT has no pooling with dilations"
    if call.node.op_type == "LpPool" and call.attribute("p", 2) not in (1, 2):
        yield f"p={call.attribute('p')}; TensorRT has 1 and 2"
    yield from _not_empty(call)


def _global_pool(call: Call) -> Iterator[str]:
    yield from _rank(call, 3, _MAX_AXES)


def _two_axes(call: Call) -> Iterator[str]:
    yield from _rank(call, 2, _MAX_AXES)


def _depth(call: Call) -> Iterator[str]:
    shape, block = call.input(0).shape, call.attribute("blocksize", 0)
    if shape is None or block <= 0:
        return
    if len(shape) != 4:
        yield f"a tensor with {len(shape)} axes; it must have 4"
        return
    sides = (
        [(shape[1], block * block)] if call.node.op_type == "DepthToSpace" else [(shape[2], block), (shape[3], block)]
    )
    if any(side is not None and side % by for side, by in sides):
        yield f"blocks of {block} do not divide {list(shape)}"


def _mod(call: Call) -> Iterator[str]:
    integer = call.input(0).type in ("int32", "int64")
    if not call.attribute("fmod", 0) and not integer and call.input(0).type:
        yield f"fmod=0 on {call.input(0).type}; TensorRT has it for int32 and int64"
    yield from _alike(call, 0, 1)


def _constant(*places: int) -> Rule:
    def rule(call: Call) -> Iterator[str]:
        for place in places:
            if call.given(place) and not call.fixed(place):
                yield f"input {place} ({_input_name(call, place)}) is computed at run time; TensorRT needs a constant"

    return rule


def _reduced(call: Call) -> Iterator[str]:
    yield from _constant(1)(call)
    if call.input(0).rank == 0:
        yield "a scalar, which TensorRT does not reduce"


def _pad(call: Call) -> Iterator[str]:
    if call.opset < 11:
        return
    maker = call.maker(2)
    numbers = call.input(2).shape if call.fixed(2) and (maker is None or maker.op_type == "Constant") else None
    if numbers is not None and int(np.prod([1 if side is None else side for side in numbers])) != 1:
        yield "constant_value must be a scalar"
    yield from _list(call, 1, "pads")
    yield from _list(call, 3, "axes")
    if call.given(3) and not call.fixed(3):
        yield "axes are computed at run time; TensorRT wants a constant"


def _slice(call: Call) -> Iterator[str]:
    for place, name in enumerate(("starts", "ends", "axes", "steps"), 1):
        yield from _list(call, place, name)
    if call.given(3) and not call.fixed(3):
        yield "axes are computed at run time; TensorRT wants a constant"
    lengths = {shape[0] for place in (1, 2, 3, 4) if (shape := call.input(place).shape) is not None and len(shape) == 1}
    if len(lengths - {None}) > 1:
        yield "starts, ends, axes and steps are of different lengths"
    rank, starts = call.input(0).rank, call.input(1).shape
    # What is left out has a number for each axis, where a list of int64 instead of steps has one for each start.
    needed = ("axes", "steps") if call.input(1).type == "int32" else ("axes",)
    missing = [name for place, name in ((3, "axes"), (4, "steps")) if name in needed and not call.given(place)]
    if missing and call.opset >= 10 and starts is not None and None not in (rank, *starts) and starts != (rank,):
        yield f"without {missing[0]} TensorRT expects starts for all {rank} axes; give axes and steps"


def _einsum(call: Call) -> Iterator[str]:
    yield from _same(call)
    equation = _text(call.attribute("equation", b"")).replace(" ", "").partition("->")[0]
    if any(term.replace(".", "").count(letter) > 1 for term in equation.split(",") for letter in term if letter != "."):
        yield "an index occurs twice in one term"


def _cast_like(call: Call) -> Iterator[str]:
    if call.output().type == "uint8":
        yield "CastLike to uint8; TensorRT makes it int32"


def _range(call: Call) -> Iterator[str]:
    for place in range(3):
        if call.input(place).rank not in (0, None):
            yield f"input {place} ({_input_name(call, place)}) must be a scalar of shape ()"
    yield from _alike(call, 0, 1, 2)


def _resize(call: Call) -> Iterator[str]:
    mode = _text(call.attribute("coordinate_transformation_mode", b"half_pixel"))
    if mode == "tf_crop_and_resize":
        yield f"coordinate_transformation_mode={mode}"
    if call.attribute("antialias", 0):
        yield "antialias=1"
    if call.attribute("exclude_outside", 0) and _text(call.attribute("mode", b"nearest")) != "cubic":
        yield "exclude_outside=1 is for mode cubic only"


def _suppression(call: Call) -> Iterator[str]:
    for place in (2, 3, 4):
        if call.given(place) and (call.input(place).rank not in (0, 1, None) or not call.fixed(place)):
            yield f"input {place} ({_input_name(call, place)}) must be one constant number"


def _moments(call: Call) -> Iterator[str]:
    if call.input(0).type not in ("float", "double", ""):
        yield f"{call.node.op_type} on {call.input(0).type}"


def _rms(call: Call) -> Iterator[str]:
    yield from _alike(call, 0, 1)
    if call.attribute("stash_type", 1) not in (1, 10, 16):
        yield f"stash_type={call.attribute('stash_type')}"


def _same(call: Call) -> Iterator[str]:
    yield from _alike(call, *range(len(call.inputs)))


def _gemm(call: Call) -> Iterator[str]:
    yield from _alike(call, *range(len(call.inputs)))
    left, right, added = (call.input(place).shape for place in range(3))
    if left is None or right is None or len(left) != 2 or len(right) != 2 or added is None or not call.given(2):
        return
    rows = left[1] if call.attribute("transA", 0) else left[0]
    columns = right[0] if call.attribute("transB", 0) else right[1]
    if len(added) > 2:
        yield f"C has {len(added)} axes"
    for side, wanted in zip(added[::-1], (columns, rows), strict=False):
        if None not in (side, wanted) and side != wanted and 1 not in (side, wanted):
            yield f"C of shape {list(added)} cannot be added to a result of shape {[rows, columns]}"
            break


def _window(call: Call) -> Iterator[str]:
    if call.attribute("output_datatype", 1) != 1:
        yield "output_datatype must be float32"
    if call.input(0).rank not in (0, None):
        yield "the size must be a scalar of shape ()"


def _scatter(call: Call) -> Iterator[str]:
    reduction = _text(call.attribute("reduction", b"none"))
    if reduction != "none":
        yield f"reduction={reduction}; TensorRT has none"
    yield from _alike(call, 0, 2)
    ranks = {call.input(place).rank for place in range(3)} - {None}
    if call.node.op_type != "ScatterND" and len(ranks) > 1:
        yield "data, indices and updates have different numbers of axes"


def _recurrent(call: Call) -> Iterator[str]:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[call.node.op_type]
    hidden, ways = (
        call.attribute("hidden_size", 0),
        2 if _text(call.attribute("direction", b"forward")) == "bidirectional" else 1,
    )
    if hidden <= 0:
        yield "hidden_size is missing"
        return
    shape, batch = call.input(0).shape, None
    if shape is not None and len(shape) == 3:
        batch = shape[1]
        wanted = {
            1: (ways, gates * hidden, shape[2]),
            2: (ways, gates * hidden, hidden),
            3: (ways, 2 * gates * hidden),
            4: (batch,),
            5: (ways, batch, hidden),
            6: (ways, batch, hidden),
            7: (ways, 3 * hidden),
        }
        for place, sides in wanted.items():
            found = call.input(place).shape if call.given(place) else None
            differ = found is not None and (
                len(found) != len(sides)
                or any(None not in (one, other) and one != other for one, other in zip(found, sides, strict=True))
            )
            if differ and found is not None:
                yield f"input {place} ({_input_name(call, place)}) has shape {list(found)}, not {list(sides)}"
    yield from _alike(call, 0, 1, 2, 3, 5, 6, 7)
    if call.attribute("layout", 0):
        yield "layout=1"
    if call.attribute("input_forget", 0):
        yield "input_forget=1"
    if call.attribute("clip", 1.0) <= 0:
        yield "clip must be positive"


def _normalization(call: Call) -> Iterator[str]:
    yield from _alike(call, 0, 1, 2)
    if call.node.op_type == "InstanceNormalization":
        yield from _rank(call, 3, 5)
    if call.node.op_type == "GroupNormalization":
        groups, shape = call.attribute("num_groups", 0), call.input(0).shape
        if groups <= 0 or (shape is not None and len(shape) > 1 and shape[1] is not None and shape[1] % groups):
            yield f"num_groups={groups} does not divide the channels"
        yield from _rank(call, 3, 5)


def _lrn(call: Call) -> Iterator[str]:
    size = call.attribute("size", 0)
    if not 1 <= size <= 15 or size % 2 == 0:
        yield f"size={size}; TensorRT supports odd sizes from 1 to 15"
    yield from _rank(call, 3, 5)


def _lp(call: Call) -> Iterator[str]:
    if call.attribute("p", 2) not in (1, 2):
        yield f"p={call.attribute('p')}; TensorRT has 1 and 2"


def _numbers(*places: int) -> Rule:
    def rule(call: Call) -> Iterator[str]:
        for place in places:
            if call.given(place) and call.input(place).rank not in (None, 0, 1):
                yield f"input {place} ({_input_name(call, place)}) must be one number"

    return rule


def _list(call: Call, place: int, name: str) -> Iterator[str]:
    if call.given(place) and call.input(place).rank not in (None, 1):
        yield f"{name} must be a list"


def _rank(call: Call, least: int, most: int) -> Iterator[str]:
    rank = call.input(0).rank
    if rank is not None and not least <= rank <= most:
        yield f"a tensor with {rank} axes; TensorRT has {call.node.op_type} for {least} to {most}"


def _no_pads_beside_auto(call: Call) -> Iterator[str]:
    if _auto(call) in ("SAME_UPPER", "SAME_LOWER") and call.attribute("pads") is not None:
        yield "it has both auto_pad and pads; omit one"


def _fits(call: Call, sides: tuple[int | None, ...], kernel: tuple[int | None, ...]) -> Iterator[str]:
    pads = (call.attribute("pads") or [0] * 2 * len(kernel)) if _auto(call) != "VALID" else [0] * 2 * len(kernel)
    dilations = call.attribute("dilations") or [1] * len(kernel)
    for place, (side, window) in enumerate(zip(sides, kernel, strict=False)):
        if side is None or window is None or len(pads) != 2 * len(kernel) or len(dilations) != len(kernel):
            continue
        if side + pads[place] + pads[place + len(kernel)] < dilations[place] * (window - 1) + 1:
            yield f"a window of {window} is larger than its input of {side}"
            return


def _not_empty(call: Call) -> Iterator[str]:
    if any(side is not None and side < 0 for side in call.output().shape or ()):
        yield f"its result would have shape {list(call.output().shape or ())}"


def _alike(call: Call, *places: int) -> Iterator[str]:
    kinds = {_computed(call.input(place).type) for place in places if call.given(place)} - {""}
    if len(kinds) > 1:
        yield f"inputs of different types: {', '.join(sorted(kinds))}"


def _computed(kind: str) -> str:
    return "float" if kind == "double" else kind  # TensorRT has no double and makes it float32


def _weights(call: Call, *places: int) -> Iterator[str]:
    lengths = {call.input(place).shape for place in places if call.given(place)} - {None}
    if len(lengths) > 1:
        yield "its weights are of different lengths"


def _input_name(call: Call, place: int) -> str:
    if call.schema is None or not call.schema.inputs:
        return str(place)
    return str(call.schema.inputs[min(place, len(call.schema.inputs) - 1)].name)


def _auto(call: Call) -> str:
    return _text(call.attribute("auto_pad", b"NOTSET"))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


_ELEMENTWISE = [
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Or",
    "PRelu",
    "Sub",
    "Sum",
    "Xor",
]

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _same),
    **dict.fromkeys(("ArgMax", "ArgMin", "Hardmax"), _two_axes),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), _window),
    "CastLike": _cast_like,
    "Dropout": _constant(2),
    "Clip": _numbers(1, 2),
    "Concat": _same,
    **dict.fromkeys(("Conv", "ConvTranspose"), _conv),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _depth),
    "Einsum": _einsum,
    "Gemm": _gemm,
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    "GridSample": _same,
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization", "LayerNormalization"), _normalization),
    "LRN": _lrn,
    "LpNormalization": _lp,
    "MatMul": _same,
    "Mod": _mod,
    "Pad": _pad,
    **dict.fromkeys(
        (
            name
            for name in [
                "ReduceL1",
                "ReduceL2",
                "ReduceLogSum",
                "ReduceLogSumExp",
                "ReduceMax",
                "ReduceMean",
                "ReduceMin",
                "ReduceProd",
                "ReduceSum",
                "ReduceSumSquare",
            ]
        ),
        _reduced,
    ),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _constant(1)),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _scatter),
    "MeanVarianceNormalization": _moments,
    "NonMaxSuppression": _suppression,
    "Range": _range,
    "Resize": _resize,
    "RMSNormalization": _rms,
    "Slice": _slice,
    **dict.fromkeys(("LogSoftmax", "Softmax"), _two_axes),
}
