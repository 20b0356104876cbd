"""Small random graphs from ONNX's operator schemas: operators, types, axes, opsets, and Q/DQ placement.

`draw(seed)` gives the same graph for the same seed and onnx version. Most graphs follow the schemas; about half get an
error: a wrong type, axis, scale, name or opset, or an operator that no target knows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.defs import OpSchema

OLDEST, NEWEST = 9, 26
TYPES = {name.lower(): number for name, number in TensorProto.DataType.items() if name != "UNDEFINED"}
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
QUANTIZED = (
    "int8",
    "int8",
    "int8",
    "int8",
    "uint8",
    "uint8",
    "int16",
    "uint16",
    "int4",
    "uint4",
    "int32",
    "float8e4m3fn",
    "float8e5m2",
)
# Operators of image classifiers; the other half of the samples uses any operator.
COMMON = [
    "Conv",
    "Conv",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Clip",
    "Softmax",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Concat",
    "Split",
    "Slice",
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Pad",
    "Resize",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "Gather",
    "Cast",
    "Erf",
    "Gelu",
    "Pow",
    "Sqrt",
    "Exp",
    "Tanh",
    "Where",
    "Expand",
    "Identity",
    "Dropout",
    "ArgMax",
    "TopK",
    "Max",
    "Min",
    "Equal",
    "Not",
    "DepthToSpace",
    "SpaceToDepth",
    "Einsum",
    "Shape",
    "Constant",
]
WORDS = {
    "auto_pad": ("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "coordinate_transformation_mode": (
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "tf_crop_and_resize",
    ),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "keep_aspect_ratio_policy": ("stretch", "stretch", "not_larger", "not_smaller"),
    "reduction": ("none", "add", "mul", "max", "min", "mean", "sum"),
    "approximate": ("none", "tanh"),
    "padding_mode": ("zeros", "border", "reflection"),
}
MODES = {
    "Resize": ("nearest", "linear", "cubic"),
    "Upsample": ("nearest", "linear"),
    "Pad": ("constant", "constant", "reflect", "edge", "wrap"),
    "DepthToSpace": ("DCR", "CRD"),
    "GridSample": ("bilinear", "nearest", "bicubic", "linear", "cubic"),
    "RoiAlign": ("avg", "max"),
}
DIRECTIONS = {"BitShift": ("LEFT", "RIGHT")}


@dataclass
class Tensor:
    """A tensor of the graph: name, TensorProto type number and shape."""

    name: str
    kind: int
    shape: tuple[int, ...]


@dataclass
class Draft:
    """A graph under construction."""

    random: random.Random
    opset: int
    nodes: list[NodeProto] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    count: int = 0

    def name(self, stem: str) -> str:
        """Return an unused name."""
        self.count += 1
        return f"{stem}{self.count}"

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return self.random.random() < share

    def pick(self, among: Any) -> Any:
        """Return a random item."""
        return self.random.choice(list(among))

    def given(self, kind: int, shape: tuple[int, ...]) -> Tensor:
        """Add an input of the graph."""
        tensor = Tensor(self.name("x"), kind, shape)
        self.inputs.append(tensor)
        return tensor

    def constant(self, kind: int, values: Any) -> Tensor:
        """Add a constant: an initializer, or a Constant node."""
        array = np.asarray(values)
        tensor = made(kind, array, self.name("c"))
        if self.chance(0.15) and self.opset >= 9:
            self.nodes.append(helper.make_node("Constant", [], [tensor.name], name=self.name("n"), value=tensor))
        else:
            self.constants.append(tensor)
        return Tensor(tensor.name, kind, tuple(tensor.dims))

    def weights(self, kind: int, shape: tuple[int, ...]) -> Tensor:
        """Add a constant of small values."""
        numbers = [self.random.randint(-3, 3) for _ in range(int(np.prod(shape)))]
        return self.constant(kind, np.array(numbers, np.float64).reshape(shape))


def made(kind: int, array: Any, name: str) -> TensorProto:
    """Return a tensor of any ONNX type."""
    array = np.asarray(array)
    if kind == TensorProto.STRING:
        return helper.make_tensor(name, kind, array.shape, [b"a"] * array.size)  # type: ignore[list-item]
    if kind in (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64, TensorProto.UINT4):
        array = np.abs(array)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return numpy_helper.from_array(array.astype(dtype), name)


@cache
def schemas(opset: int) -> dict[str, OpSchema]:
    """Return ONNX's operators of an opset, by name."""
    found: dict[str, OpSchema] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= opset and schema.name not in ("If", "Loop", "Scan"):
            known = found.get(schema.name)
            if known is None or schema.since_version > known.since_version:
                found[schema.name] = schema
    return {name: schema for name, schema in sorted(found.items()) if not schema.deprecated}


def draw(seed: int) -> ModelProto:
    """Return the graph of a seed."""
    chosen = random.Random(seed)
    opset = chosen.choice([*range(OLDEST, NEWEST + 1), 13, 13, 17, 17, 17, 18, 19, 20, 21, 21, 22, 23])
    draft = Draft(chosen, opset)
    kind = draft.pick([TensorProto.FLOAT] * 9 + [TensorProto.FLOAT16] * 2 + [TensorProto.DOUBLE, TensorProto.BFLOAT16])
    rank = draft.pick([4, 4, 4, 2, 3, 5, 1])
    first = draft.given(kind, tuple(draft.pick([1, 2, 3, 4, 6, 8]) for _ in range(rank)))
    draft.values.append(first)
    if draft.chance(0.45) and may_quantize(draft, first):
        draft.values = [quantized(draft, first)]
    for _ in range(draft.pick([1, 1, 2, 3])):
        made_now = operator(draft)
        if made_now is None:
            break
        draft.values = [made_now]
        if draft.chance(0.35) and may_quantize(draft, made_now):
            draft.values = [quantized(draft, made_now)]
    return finish(draft)


def may_quantize(draft: Draft, tensor: Tensor) -> bool:
    """Return whether ONNX allows quantizing the tensor in this opset, or occasionally True anyway."""
    allowed = [TensorProto.FLOAT] if draft.opset < 19 else [TensorProto.FLOAT, TensorProto.FLOAT16]
    return (draft.opset >= 10 and tensor.kind in allowed) or draft.chance(0.05)


def quantized(draft: Draft, tensor: Tensor, weights: bool = False) -> Tensor:
    """Put QuantizeLinear and DequantizeLinear after a tensor, or replace it by a DequantizeLinear of a constant."""
    kind = TYPES[draft.pick(QUANTIZED)] if draft.chance(0.35) else TensorProto.INT8
    if draft.opset < 21 and draft.chance(0.9):
        kind = TYPES[draft.pick(("int8", "int8", "int8", "uint8"))]
    if kind == TensorProto.INT32 and not weights:
        kind = TensorProto.INT8
    rank = len(tensor.shape)
    axis = draft.pick(range(-rank - 1, rank + 1)) if draft.chance(0.1) or not rank else draft.pick(range(-rank, rank))
    within = rank and -rank <= axis < rank
    length = tensor.shape[axis] if within else 1
    settings: dict[str, Any] = {}
    shape: tuple[int, ...] = ()
    how = draft.pick(["one"] * 6 + ["one-long", "axis", "axis", "axis", "blocked", "wrong"])
    if how == "one-long":
        shape = (1,)
    elif how == "axis":
        shape, settings["axis"] = (length,), axis
    elif how == "wrong":
        shape, settings["axis"] = draft.pick([(length + 1,), (2, 2), (1, 1)]), axis
    elif how == "blocked" and within and rank > 1 and length % 2 == 0:
        at = axis % rank
        shape = tuple(side // 2 if place == at else side for place, side in enumerate(tensor.shape))
        settings |= {"axis": axis, "block_size": 2}
    if draft.opset < 13 and draft.chance(0.9):
        settings.pop("axis", None)
        settings.pop("block_size", None)
    scale_kind = tensor.kind if draft.chance(0.95) else draft.pick(FLOATS)
    value = draft.pick([0.0, -0.1, float("nan"), float("inf")]) if draft.chance(0.04) else 0.05
    scales = np.full(shape, value)
    scale = draft.given(scale_kind, shape) if draft.chance(0.04) else draft.constant(scale_kind, scales)
    zero: Tensor | None = None
    if draft.chance(0.8):
        zero_shape = shape if draft.chance(0.94) else draft.pick([(), (1,), (length,)])
        number = draft.pick([1, 7]) if draft.chance(0.12) else 0
        if kind == TensorProto.UINT8 and draft.chance(0.5):
            number = 5
        zero = draft.constant(kind, np.full(zero_shape, number))
    if weights:
        stored = draft.weights(kind, tensor.shape).name
    else:
        stored = draft.name("q")
        more = {"output_dtype": kind} if zero is None and kind != TensorProto.UINT8 and draft.opset >= 21 else {}
        names = [tensor.name, scale.name, *([zero.name] if zero else [])]
        draft.nodes.append(
            helper.make_node("QuantizeLinear", names, [stored], name=draft.name("n"), **settings, **more)  # type: ignore[arg-type]
        )
        if draft.chance(0.04) and zero is not None:  # a zero point of another type in the DequantizeLinear
            other = TensorProto.UINT8 if kind == TensorProto.INT8 else TensorProto.INT8
            zero = draft.constant(other, np.zeros(shape))
    out = draft.name("d")
    names = [stored, scale.name, *([zero.name] if zero else [])]
    draft.nodes.append(helper.make_node("DequantizeLinear", names, [out], name=draft.name("n"), **settings))
    return Tensor(out, scale.kind, tensor.shape)


def operator(draft: Draft, name: str | None = None) -> Tensor | None:
    """Add a random or the named operator; return its outputs, or None if ONNX's own inference fails."""
    known = schemas(draft.opset)
    if name is None:
        name = draft.pick([each for each in COMMON if each in known]) if draft.chance(0.6) else draft.pick(known)
        if draft.chance(0.05):
            return contrib(draft)
    schema = known[name]
    bound: dict[str, int] = {}
    plan = PLANS.get(name)
    if draft.values and not (plan and len(draft.values[-1].shape) not in RANKS.get(name, range(9))):
        start = draft.values[-1]
    else:
        rank = draft.pick(RANKS.get(name, [1, 2, 3, 4, 4]))
        kind = draft.pick([TensorProto.FLOAT] * 5 + [TensorProto.FLOAT16])
        start = draft.given(kind, tuple(draft.pick([1, 2, 3, 4, 6, 8]) for _ in range(rank)))
    attributes: dict[str, Any] = {}
    shapes: dict[str, Any] = plan(draft, start.shape, attributes) if plan else {}
    names: list[str] = []
    tensors: dict[str, onnx.TypeProto] = {}
    data: dict[str, TensorProto] = {}
    for place, formal in enumerate(schema.inputs):
        single, variadic = (
            formal.option == OpSchema.FormalParameterOption.Single,
            formal.option == OpSchema.FormalParameterOption.Variadic,
        )
        if not single and not variadic and formal.name not in shapes and draft.chance(0.6):
            names.append("")
            continue
        repeat = draft.pick([1, 2, 2, 3]) if variadic else 1
        for _ in range(repeat):
            tensor = argument(draft, schema, formal, place, start, bound, shapes)
            names.append(tensor.name)
            tensors[tensor.name] = helper.make_tensor_type_proto(tensor.kind, tensor.shape)
    while names and not names[-1]:
        names.pop()
    rank = len(start.shape)
    for key, attribute in schema.attributes.items():
        if key in attributes:
            continue
        drawn = setting(draft, name, key, attribute, rank, start.shape)
        if drawn is not None:
            attributes[key] = drawn
    attributes = {key: value for key, value in attributes.items() if key in schema.attributes}
    if name == "Constant" and draft.chance(0.9):
        key = draft.pick(["value_float", "value_ints", "value"] if draft.opset >= 12 else ["value"])
        drawn = {"value_float": 0.5, "value_ints": [1, 2], "value": made(TensorProto.FLOAT, np.ones(3), "")}
        attributes = {key: drawn[key]}
    count = max(schema.min_output, 1)
    if schema.max_output > count and draft.chance(0.15):
        count += 1
    if name == "Split":
        count = attributes.pop("_outputs", 2) if "_outputs" in attributes else 2
    outputs = [draft.name("y") for _ in range(count)]
    try:
        node = helper.make_node(name, names, outputs, name=draft.name("n"), **attributes)
    except (TypeError, ValueError):
        return None
    draft.nodes.append(node)
    for each in draft.constants:
        if each.name in names:
            data[each.name] = each
    try:
        inferred = onnx.shape_inference.infer_node_outputs(
            schema, node, tensors, data, opset_imports=[helper.make_opsetid("", draft.opset)]
        )
        made_now = inferred[outputs[0]].tensor_type
        shape = tuple(max(side.dim_value, 1) for side in made_now.shape.dim)
        if not made_now.elem_type:
            return None
        return Tensor(outputs[0], made_now.elem_type, shape)
    except Exception:  # an invalid graph: the rest is useless
        return None


def argument(
    draft: Draft,
    schema: OpSchema,
    formal: Any,
    place: int,
    start: Tensor,
    bound: dict[str, int],
    shapes: dict[str, Any],
) -> Tensor:
    """Return a tensor for a formal input: an existing one, a graph input, a constant, or quantized weights."""
    allowed = sorted(TYPES[name] for text in allowed_types(schema, formal.type_str) if (name := text) in TYPES)
    wrong = draft.chance(0.015)
    planned = shapes.get(formal.name)
    if place == 0 and not wrong and planned is None and (start.kind in allowed or draft.chance(0.1)):
        bound.setdefault(formal.type_str, start.kind)
        return start
    if wrong:
        kind = draft.pick(TYPES.values())
    elif formal.type_str in bound:
        kind = bound[formal.type_str]
    else:
        likely = [each for each in (TensorProto.FLOAT, TensorProto.INT64, start.kind) if each in allowed]
        kind = draft.pick(likely) if likely and draft.chance(0.75) else draft.pick(allowed or [TensorProto.FLOAT])
    bound.setdefault(formal.type_str, kind)
    if isinstance(planned, np.ndarray):
        return draft.constant(kind, planned) if draft.chance(0.95) else draft.given(kind, planned.shape)
    if planned is None:
        guess = parameter(draft, schema.name, formal.name, start.shape)
        if guess is not None:
            return draft.constant(kind, guess) if draft.chance(0.93) else draft.given(kind, guess.shape)
        planned = start.shape
        if draft.chance(0.2) and len(planned) > 0:
            planned = draft.pick([(), planned[1:], (1, *planned[1:]), (*planned[:-1], 1), planned[-1:]])
    if place and draft.chance(0.3) and planned and kind in FLOATS and may_quantize(draft, Tensor("", kind, planned)):
        made_now = quantized(draft, Tensor("", kind, planned), weights=True)
        if made_now.kind == kind or draft.chance(0.3):
            return made_now
    return draft.weights(kind, planned) if place and draft.chance(0.6) else draft.given(kind, planned)


def allowed_types(schema: OpSchema, text: str) -> list[str]:
    """Return the tensor types of a formal parameter, as in TYPES; sequences and optionals are omitted."""
    texts = [text]
    for constraint in schema.type_constraints:
        if constraint.type_param_str == text:
            texts = list(constraint.allowed_type_strs)
    return [each[len("tensor(") : -1] for each in texts if each.startswith("tensor(")]


def parameter(draft: Draft, name: str, formal: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
    """Return values for an input that is a setting (axes, a shape, repeats), based on its name."""
    rank = max(len(shape), 1)
    axis = draft.pick(range(-rank - 1, rank + 1)) if draft.chance(0.06) else draft.pick(range(-rank, rank))
    if formal == "axes":
        return np.array(
            [axis] if draft.chance(0.7) else draft.random.sample(range(rank), draft.pick(range(1, rank + 1)))
        )
    if formal == "axis":
        return np.array(axis)
    if formal in ("k", "K"):
        return np.array([draft.pick([1, 1, 2, 9])])
    if formal == "repeats":
        return np.array([draft.pick([1, 2]) for _ in range(rank)])
    if formal in ("depth", "max_output_boxes_per_class", "size", "num_segments"):
        return np.array(draft.pick([2, 4]))
    if formal in ("trip_count", "position", "start", "limit", "delta", "ratio", "training_mode", "max", "min"):
        return np.array({"start": 0, "limit": 6, "delta": 2, "ratio": 0.5, "max": 2, "min": -1}.get(formal, 0))
    if formal in ("indices", "I") and name not in ("MaxUnpool",):
        return np.array(draft.pick([[0], [0, 0], 0]))
    return None


def setting(draft: Draft, name: str, key: str, attribute: Any, rank: int, shape: tuple[int, ...]) -> Any:
    """Return a value for an attribute, or None to omit it."""
    kinds = OpSchema.AttrType
    if not attribute.required and draft.chance(0.55):
        return None
    rank = max(rank, 1)
    axis = draft.pick(range(-rank - 1, rank + 1)) if draft.chance(0.06) else draft.pick(range(-rank, rank))
    if key in ("axis", "batch_axis", "time_axis", "seq_axis"):
        return axis
    if key == "axes":
        return [axis] if draft.chance(0.7) else sorted(draft.random.sample(range(rank), draft.pick(range(1, rank + 1))))
    if key == "perm":
        return draft.random.sample(range(rank), rank)
    if key in ("to", "dtype", "output_dtype", "stash_type"):
        return draft.pick(
            [TensorProto.FLOAT] * 4
            + [TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64]
            + list(TYPES.values())[:16]
        )
    if key == "size" and name == "LRN":
        return draft.pick([3, 5, 5, 2])
    if key == "blocksize":
        return 2
    if key in ("kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape", "group"):
        return None
    if key == "equation":
        return "ij,jk->ik"
    if attribute.type == kinds.STRING:
        words = WORDS.get(key) or (
            MODES.get(name) if key == "mode" else DIRECTIONS.get(name) if key == "direction" else None
        )
        if words:
            return draft.pick(words)
        default = attribute.default_value.s
        return default or "forward"
    if attribute.type == kinds.INT:
        return draft.pick([0, 1, attribute.default_value.i])
    if attribute.type == kinds.FLOAT:
        return draft.pick([attribute.default_value.f, 0.5, 1.0])
    if attribute.type == kinds.INTS:
        return [1, 1]
    if attribute.type == kinds.FLOATS:
        return [1.0, 0.5]
    if attribute.type == kinds.TENSOR:
        kind = draft.pick([TensorProto.FLOAT, TensorProto.INT64, draft.pick(TYPES.values())])
        return made(kind, np.array([1]), "")
    return None


# What makes an operator's inputs consistent: shapes (tuple), settings (array) and attributes.
def _conv(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any], transposed: bool = False) -> dict[str, Any]:
    spatial = len(shape) - 2
    channels = shape[1]
    group = channels if draft.chance(0.2) else draft.pick([each for each in (1, 1, 1, 2, 3) if channels % each == 0])
    kernel = tuple(draft.pick([1, 1, 2, 3]) for _ in range(spatial))
    out = group * draft.pick([1, 2])
    if group != 1:
        attributes["group"] = group
    if draft.chance(0.5):
        attributes["kernel_shape"] = kernel
    if draft.chance(0.7):
        attributes["pads"] = [draft.pick([0, 1, 1]) for _ in range(spatial)] * 2
    if draft.chance(0.3):
        attributes["strides"] = [draft.pick([1, 2])] * spatial
    if draft.chance(0.15):
        attributes["dilations"] = [draft.pick([1, 2])] * spatial
    if draft.chance(0.05):
        out += 1
    weights = (channels, out // group, *kernel) if transposed else (out, channels // group, *kernel)
    if draft.chance(0.03):
        weights = weights[:-1]
    attributes.setdefault("auto_pad", "NOTSET")
    if draft.chance(0.9):
        del attributes["auto_pad"]
    found: dict[str, Any] = {"W": weights}
    if draft.chance(0.6):
        found["B"] = (out,)
    return found


def _pool(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    spatial = len(shape) - 2
    attributes["kernel_shape"] = [draft.pick([1, 2, 2, 3]) for _ in range(spatial)]
    if draft.chance(0.5):
        attributes["strides"] = [draft.pick([1, 2])] * spatial
    if draft.chance(0.4):
        attributes["pads"] = [draft.pick([0, 1]) for _ in range(spatial)] * 2
    return {}


def _gemm(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    out = draft.pick([1, 2, 4])
    flipped = draft.chance(0.5)
    if flipped:
        attributes["transB"] = 1
    inner = shape[0] if draft.chance(0.2) else shape[1]
    if inner != shape[1] or draft.chance(0.03):
        attributes["transA"] = 1
    else:
        attributes["transA"] = 0
    found: dict[str, Any] = {"B": (out, inner) if flipped else (inner, out)}
    if draft.chance(0.6):
        found["C"] = (out,)
    return found


def _matmul(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    inner = shape[-1] + (1 if draft.chance(0.04) else 0)
    return {"B": draft.pick([(inner, 4), (inner, 2), (*shape[:-2], inner, 3), (inner,)])}


def _channels(*names: str) -> Any:
    def plan(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
        length = shape[1] + (1 if draft.chance(0.03) else 0)
        return dict.fromkeys(names, (length,))

    return plan


def _layer_norm(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    attributes["axis"] = draft.pick([-1, -1, len(shape) - 1])
    found: dict[str, Any] = {"Scale": shape[-1:], "scale": shape[-1:]}
    if draft.chance(0.5):
        found["B"] = shape[-1:]
    return found


def _reshape(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    size = int(np.prod(shape))
    wanted = draft.pick([[-1], [1, -1], [size], [0, -1], [-1, 1], [-1, 2], [1, 1, size]])
    if len(shape) < 1 and 0 in wanted:
        wanted = [-1]
    return {"shape": np.array(wanted, np.int64)}


def _pad(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    pads = [draft.pick([0, 0, 1]) for _ in range(2 * len(shape))]
    if draft.opset < 11:
        attributes["pads"] = pads
        return {}
    return {"pads": np.array(pads, np.int64)}


def _slice(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    axis = draft.pick(range(len(shape)))
    if draft.opset < 10:
        attributes |= {"starts": [0], "ends": [1], "axes": [axis]}
        return {}
    found = {"starts": np.array([0]), "ends": np.array([draft.pick([1, 2, 100])]), "axes": np.array([axis])}
    if draft.chance(0.4):
        found["steps"] = np.array([draft.pick([1, 1, 2, -1])])
    return found


def _expand(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"shape": np.array([2, *[1] * len(shape)], np.int64)}


def _split(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    axis = max(range(len(shape)), key=lambda each: shape[each])
    attributes["axis"] = axis
    first = shape[axis] // 2
    halves = [first, shape[axis] - first]
    if draft.chance(0.05):
        halves[0] += 1
    if draft.opset < 13:
        attributes["split"] = halves
        return {}
    if draft.opset >= 18 and draft.chance(0.5):
        attributes["num_outputs"] = 2
        return {}
    return {"split": np.array(halves, np.int64)}


def _resize(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    factors = np.array([1.0] * max(len(shape) - 2, 0) + [2.0] * min(2, len(shape)))
    if draft.opset < 11 or draft.chance(0.6):
        return {"scales": factors, "roi": np.zeros(0)} if draft.opset >= 11 else {"scales": factors}
    sizes = np.array([int(side * factor) for side, factor in zip(shape, factors, strict=True)])
    return {"sizes": sizes} if draft.opset >= 13 else {"sizes": sizes, "roi": np.zeros(0), "scales": np.zeros(0)}


def _squeeze(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    ones = [place for place, side in enumerate(shape) if side == 1] or [0]
    if draft.opset < 13:
        attributes["axes"] = ones[:1]
        return {}
    return {"axes": np.array(ones[:1])}


def _where(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"condition": shape}


def _einsum(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    letters = "abcd"[: len(shape)]
    attributes["equation"] = draft.pick(
        [f"{letters}->{letters[::-1]}", f"{letters},{letters}->{letters}", "...a->...", "aa->a"]
    )
    return {}


def _recurrent(gates: int) -> Any:
    def plan(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
        hidden = draft.pick([1, 2, 4])
        both = draft.chance(0.3)
        attributes |= {
            "hidden_size": hidden,
            "direction": "bidirectional" if both else draft.pick(["forward", "reverse"]),
        }
        ways = 1 + both
        found: dict[str, Any] = {"W": (ways, gates * hidden, shape[2]), "R": (ways, gates * hidden, hidden)}
        if draft.chance(0.4):
            found["B"] = (ways, 2 * gates * hidden)
        return found

    return plan


def _grid(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"grid": (shape[0], 3, 3, 2)}


def _rois(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"rois": (2, 4), "batch_indices": np.array([0, 0])}


def _one_hot(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"depth": np.array(draft.pick([[3], 3])), "values": np.array([0, 1])}


def _boxes(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"boxes": (1, 6, 4), "scores": (1, 2, 6)}


def _lengths(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    attributes |= {"batch_axis": 0, "time_axis": 1}
    return {"sequence_lens": np.ones(shape[0], np.int64)}


def _scatter(draft: Draft, shape: tuple[int, ...], attributes: dict[str, Any]) -> dict[str, Any]:
    return {"indices": np.zeros((1,) * len(shape), np.int64), "updates": (1,) * len(shape)}


PLANS: dict[str, Any] = {
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
    "GridSample": _grid,
    "RoiAlign": _rois,
    "OneHot": _one_hot,
    "NonMaxSuppression": _boxes,
    "ReverseSequence": _lengths,
    "Scatter": _scatter,
    "ScatterElements": _scatter,
    "Conv": _conv,
    "ConvTranspose": lambda draft, shape, attributes: _conv(draft, shape, attributes, transposed=True),
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _channels("scale", "B", "mean", "var", "input_mean", "input_var"),
    "InstanceNormalization": _channels("scale", "B"),
    "GroupNormalization": _channels("scale", "bias"),
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "Reshape": _reshape,
    "Pad": _pad,
    "Slice": _slice,
    "Expand": _expand,
    "Split": _split,
    "Resize": _resize,
    "Upsample": _resize,
    "Squeeze": _squeeze,
    "Where": _where,
    "Einsum": _einsum,
}
RANKS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"), (4, 4, 4, 3, 5)),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "GroupNormalization"), (3, 4, 5)),
    "Gemm": (2,),
    "MatMul": (2, 3, 4),
    **dict.fromkeys(
        ("Slice", "Split", "Resize", "Upsample", "Pad", "LayerNormalization", "RMSNormalization"), (1, 2, 3, 4)
    ),
    "Einsum": (1, 2, 3, 4),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (3,)),
    **dict.fromkeys(("GridSample", "RoiAlign"), (4,)),
    "ReverseSequence": (2, 3, 4),
    "DepthToSpace": (4,),
    "SpaceToDepth": (4,),
}


def contrib(draft: Draft) -> Tensor | None:
    """Add an operator outside ONNX: one of ONNX Runtime's own, an integer one, or an unknown one."""
    start = draft.values[-1]
    out = draft.name("y")
    name, domain, names = draft.pick(
        [
            ("Gelu", "com.microsoft", [start.name]),
            ("BiasGelu", "com.microsoft", [start.name, start.name]),
            ("QuickGelu", "com.microsoft", [start.name]),
            ("FusedMatMul", "com.microsoft", [start.name, start.name]),
            ("QLinearAdd", "com.microsoft", ["a", "b"]),
            ("QLinearSigmoid", "com.microsoft", ["a"]),
            ("QLinearConcat", "com.microsoft", ["a"]),
            ("QLinearMatMul", "", ["a"]),
            ("DynamicQuantizeLinear", "", [start.name]),
            ("MyOp", "acme", [start.name]),
            ("NoSuchOperator", "", [start.name]),
        ]
    )
    if names[0] == "a":
        kind = draft.pick([TensorProto.INT8, TensorProto.UINT8])
        shape = start.shape

        def three() -> list[str]:
            stored = draft.given(kind, shape)
            return [stored.name, draft.constant(TensorProto.FLOAT, 0.1).name, draft.constant(kind, 0).name]

        scale, zero = draft.constant(TensorProto.FLOAT, 0.1).name, draft.constant(kind, 0).name
        names = {
            "QLinearAdd": lambda: [*three(), *three(), scale, zero],
            "QLinearMatMul": lambda: [*three(), *three(), scale, zero],
            "QLinearSigmoid": lambda: [*three(), scale, zero],
            "QLinearConcat": lambda: [scale, zero, *three(), *three()],
        }[name]()
    attributes = {"axis": 0} if name == "QLinearConcat" else {}
    outputs = [out, draft.name("y"), draft.name("y")] if name == "DynamicQuantizeLinear" else [out]
    draft.nodes.append(helper.make_node(name, names, outputs, name=draft.name("n"), domain=domain, **attributes))  # type: ignore[arg-type]
    return None


def finish(draft: Draft, plain: bool = False) -> ModelProto:
    """Return the model: unless `plain`, sometimes inside an If or a function, sometimes with a wrong name or opset."""
    made_by = {name for node in draft.nodes for name in node.output}
    read = {name for node in draft.nodes for name in node.input}
    loose = sorted(made_by - read) or sorted(made_by)
    outputs = [helper.make_empty_tensor_value_info(name) for name in loose]
    inputs = [helper.make_tensor_value_info(each.name, each.kind, each.shape) for each in draft.inputs]
    opsets = [helper.make_opsetid("", draft.opset)]
    opsets += [helper.make_opsetid(each, 1) for each in sorted({node.domain for node in draft.nodes} - {""})]
    nodes, constants, functions = draft.nodes, draft.constants, []
    place = 1.0 if plain else draft.random.random()
    if place < 0.06 and len(loose) == 1:  # inside an If
        body = helper.make_graph(nodes, "then", [], outputs, constants)
        other = onnx.GraphProto()
        other.CopyFrom(body)
        other.name = "else"
        for number, node in enumerate(other.node):
            node.name = f"else{number}"
        flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
        nodes = [helper.make_node("If", ["flag"], [f"{loose[0]}_if"], name="if", then_branch=body, else_branch=other)]
        rename(other)
        nodes[0].attribute[1 if nodes[0].attribute[1].name == "else_branch" else 0].g.CopyFrom(other)
        inputs.append(flag)
        outputs, constants = [helper.make_empty_tensor_value_info(f"{loose[0]}_if")], []
    elif 0.06 <= place < 0.12 and not constants:
        names = [each.name for each in draft.inputs]
        functions = [helper.make_function("local", "Block", names, loose, nodes, opsets)]
        nodes = [helper.make_node("Block", names, [f"{each}_f" for each in loose], name="call", domain="local")]
        outputs = [helper.make_empty_tensor_value_info(f"{each}_f") for each in loose]
        opsets = [*opsets, helper.make_opsetid("local", 1)]
    elif 0.12 <= place < 0.14 and len(nodes) > 1:
        nodes[0].name = nodes[-1].name
    elif 0.14 <= place < 0.16:
        for node in nodes:
            node.name = ""
    elif 0.16 <= place < 0.17:
        opsets[0].version = draft.pick([27, 28, 40])
    graph = helper.make_graph(nodes, "synthetic", inputs, outputs, constants)
    version = draft.pick([10] * 20 + [8, 9, 11, 12, 13, 14]) if draft.opset < 25 else draft.pick([11, 12, 13])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=version, functions=functions)
    typed(model)
    return model


def rename(graph: onnx.GraphProto) -> None:
    """Rename the tensors that a branch creates."""
    own = {name for node in graph.node for name in node.output} | {each.name for each in graph.initializer}
    for node in graph.node:
        node.input[:] = [f"{name}_else" if name in own else name for name in node.input]
        node.output[:] = [f"{name}_else" if name in own else name for name in node.output]
    for each in [*graph.initializer, *graph.output]:
        if each.name in own:
            each.name = f"{each.name}_else"


def typed(model: ModelProto) -> None:
    """Give the outputs the types that ONNX infers, as exporters do, if it can."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # an invalid graph
        inferred = model
    known = {each.name: each.type for each in [*inferred.graph.value_info, *inferred.graph.output]}
    for each in model.graph.output:
        if each.name in known and known[each.name].WhichOneof("value"):
            each.type.CopyFrom(known[each.name])
        elif not each.type.WhichOneof("value") and model.graph.input:
            each.type.tensor_type.elem_type = model.graph.input[0].type.tensor_type.elem_type


def one(name: str, opset: int, kind: int, seed: int) -> ModelProto | None:
    """Return a graph of one operator with a first input of this type; None if the sample is inconsistent."""
    chosen = random.Random(f"{name} {opset} {kind} {seed}")
    draft = Draft(chosen, opset)
    rank = draft.pick(RANKS.get(name, [1, 2, 3, 4, 4]))
    draft.values = [draft.given(kind, tuple(draft.pick([1, 2, 4, 6]) for _ in range(rank)))]
    if operator(draft, name) is None:
        return None
    return finish(draft, plain=True)
