"""A model as seen by its target: functions inlined, types and shapes inferred, constants as arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, helper, inliner
from onnx.defs import OpSchema

from edgefer.errors import InputError
from edgefer.graph.graph import Array, in_order
from edgefer.graph.linter import tables
from edgefer.graph.linter.constants import Constants
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.structure import graphs, skeleton
from edgefer.lines import one_line

ONNX_DOMAINS = ("", "ai.onnx")
_PASSES = 64  # of inference; each advances past one layer of ONNX Runtime's own operators


@dataclass(frozen=True)
class Value:
    """Type and shape of a tensor.

    Attributes:
        type: as in ONNX's schemas without ``tensor()``: ``float``, ``int8``, ``seq(tensor(float))``; empty if unknown.
        shape: None if unknown; None in it for an open side.
    """

    type: str = ""
    shape: tuple[int | None, ...] | None = None

    @property
    def rank(self) -> int | None:
        """Number of axes, None if unknown."""
        return None if self.shape is None else len(self.shape)


UNKNOWN = Value()


@dataclass
class Call:
    """One node of the graph, or of a graph inside it.

    Attributes:
        node: in the inlined model.
        name: its name in findings.
        schema: None for an operator unknown to ONNX and ONNX Runtime.
        opset: version of its domain.
        inputs: type and shape of each input; `UNKNOWN` for omitted ones.
        outputs: likewise.
        scope: looks up constants and nodes by name, from inside a subgraph too.
    """

    node: NodeProto
    name: str
    schema: OpSchema | None
    opset: int
    inputs: list[Value]
    outputs: list[Value]
    scope: Scope

    def given(self, index: int) -> bool:
        """Return whether the node has that input."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def input(self, index: int) -> Value:
        """Return an input's type and shape."""
        return self.inputs[index] if index < len(self.inputs) else UNKNOWN

    def output(self, index: int = 0) -> Value:
        """Return an output's type and shape."""
        return self.outputs[index] if index < len(self.outputs) else UNKNOWN

    def constant(self, index: int) -> Array | None:
        """Return an input if it is constant, or computed only from constants and not too large."""
        return self.scope.constants.value(self.node.input[index]) if self.given(index) else None

    def fixed(self, index: int) -> bool:
        """Return whether an input is constant, or computed only from constants."""
        return self.given(index) and self.scope.constants.fixed(self.node.input[index])

    def maker(self, index: int) -> NodeProto | None:
        """Return the node that produces an input, None for a graph input or a constant."""
        return self.scope.makers.get(self.node.input[index]) if self.given(index) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the schema's default, or `default`."""
        for each in self.node.attribute:
            if each.name == name:
                return helper.get_attribute_value(each)
        declared = self.schema.attributes.get(name) if self.schema is not None else None
        if declared is not None and declared.default_value.name:
            return helper.get_attribute_value(declared.default_value)
        return default


def read(call: Call, *rules: Callable[[Call], Iterable[str | Finding]]) -> list[Finding]:
    """Return the rules' findings; an attribute of the wrong kind or length is a finding too."""
    found = []
    for rule in rules:
        try:
            for each in rule(call):
                found.append(each if isinstance(each, Finding) else Finding(call.name, each))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            found.append(Finding(call.name, "its attributes and inputs do not fit together"))
    return found


@dataclass
class Scope:
    """Scope of a graph's nodes: its tensors and those of enclosing graphs."""

    types: dict[str, TypeProto]
    makers: dict[str, NodeProto]
    constants: Constants
    readers: dict[str, list[NodeProto]] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()


class GraphView:
    """A model for rules.

    Attributes:
        model: with its local functions inlined.
        invalid: error of ONNX's own inference.
        calls: its nodes, those of subgraphs after the node that contains them.
    """

    def __init__(self, model: ModelProto, typed: bool) -> None:
        """Infer types and shapes.

        Args:
            model: valid protobuf, otherwise untrusted.
            typed: whether types that ONNX forbids count as invalid; TensorRT ignores them.

        Raises:
            InputError: ONNX cannot even read its functions.
        """
        self.original = model
        self.invalid: list[Finding] = []
        self.model = self._inlined(model)
        self.opsets = {
            each.domain if each.domain != "ai.onnx" else "": each.version for each in self.model.opset_import
        }
        self._skeleton = skeleton(self.model)
        _say_defaults(self._skeleton.graph, self.opsets)
        inferred = self._inferred(typed)
        self.calls: list[Call] = []
        top = Scope({}, {}, Constants(self.opsets.get("", 1)))
        self._walk(self.model.graph, inferred.graph, top, "")

    def constants(self) -> Iterator[TensorProto]:
        """Yield the initializers and the tensors of Constant nodes, including those of subgraphs."""
        for graph in graphs(self.model.graph):
            yield from graph.initializer
            for node in graph.node:
                if node.op_type == "Constant":
                    yield from (each.t for each in node.attribute if each.name == "value")

    def _inlined(self, model: ModelProto) -> ModelProto:
        if not model.functions:
            return model
        try:
            return inliner.inline_local_functions(model)
        except Exception as error:  # onnx raises RuntimeError and its own
            raise InputError(f"a function of the file cannot be read: {one_line(error, 200)}") from None

    def _inferred(self, typed: bool) -> ModelProto:
        try:
            found = onnx.shape_inference.infer_shapes(
                self._skeleton, check_type=typed, strict_mode=True, data_prop=True
            )
        except Exception as error:  # InferenceError, and RuntimeError from deep inside
            message = one_line(error, 1000)
            if not _foreign(message) and (typed or "elem type differs" not in message):
                self.invalid.append(_explained(message))
            try:
                found = onnx.shape_inference.infer_shapes(self._skeleton, data_prop=True)
            except Exception:
                return self._skeleton
        known = 0
        for _ in range(_PASSES):
            added = _foreign_types(found.graph, self._skeleton.graph, {})
            if not added or added == known:
                break
            known = added
            try:
                found = onnx.shape_inference.infer_shapes(self._skeleton, data_prop=True)
            except Exception:
                break
        if known and not self.invalid:  # now that those types are known, others may conflict
            try:
                onnx.shape_inference.infer_shapes(self._skeleton, check_type=typed, strict_mode=True, data_prop=True)
            except Exception as error:
                message = one_line(error, 1000)
                if not _foreign(message):
                    self.invalid.append(_explained(message))
        return found

    def _walk(self, graph: GraphProto, inferred: GraphProto, outer: Scope, where: str) -> None:
        types = dict(outer.types)
        for each in [*inferred.input, *inferred.value_info, *inferred.output]:
            if each.type.WhichOneof("value"):  # an output may be declared without a type
                types[each.name] = each.type
        for initializer in graph.initializer:
            types[initializer.name] = helper.make_tensor_type_proto(initializer.data_type, initializer.dims)
        nodes = in_order(list(graph.node))
        makers = {**outer.makers, **{name: node for node in nodes for name in node.output if name}}
        scope = Scope(
            types, makers, outer.constants.inside(graph, nodes), {}, frozenset(each.name for each in graph.output)
        )
        for node in nodes:
            for name in node.input:
                scope.readers.setdefault(name, []).append(node)
        inner = {node.output[0]: node for node in inferred.node if node.output}
        for node in nodes:
            domain = "" if node.domain == "ai.onnx" else node.domain
            opset = self.opsets.get(domain, 0)
            name = where + (
                node.name or (f"{node.op_type} that makes {node.output[0]}" if node.output else node.op_type)
            )
            self.calls.append(
                Call(
                    node,
                    name,
                    schema_of(node.op_type, opset, domain),
                    opset,
                    [value(types.get(each)) if each else UNKNOWN for each in node.input],
                    [value(types.get(each)) if each else UNKNOWN for each in node.output],
                    scope,
                )
            )
            twin = inner.get(node.output[0]) if node.output else None
            for place, each in enumerate(node.attribute):
                if each.type == AttributeProto.GRAPH:
                    same = twin is not None and place < len(twin.attribute) and twin.attribute[place].name == each.name
                    body = twin.attribute[place].g if same and twin is not None else each.g
                    self._walk(each.g, body, scope, f"{name}/{each.name}/")


def _say_defaults(graph: GraphProto, opsets: dict[str, int]) -> None:
    """Add omitted attributes of operators with a definition: onnx infers through the definition, which reads them."""
    for node in graph.node:
        schema = schema_of(node.op_type, opsets.get(node.domain, 0), node.domain)
        if schema is not None and schema.has_function:  # type: ignore[attr-defined]
            said = {each.name for each in node.attribute}
            defaults = [each.default_value for each in schema.attributes.values() if each.default_value.name]
            node.attribute.extend(each for each in defaults if each.name not in said)


def value(proto: TypeProto | None) -> Value:
    """Return a TypeProto's type and shape."""
    if proto is None:
        return UNKNOWN
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        tensor = proto.tensor_type
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
        return Value(type_name(tensor.elem_type), shape)
    if kind == "sequence_type":
        inner = value(proto.sequence_type.elem_type).type
        return Value(f"seq({_written(inner)})" if inner else "")
    if kind == "optional_type":
        inner = value(proto.optional_type.elem_type).type
        return Value(f"optional({_written(inner)})" if inner else "")
    return Value(str(kind or ""))


def _written(kind: str) -> str:
    return kind if "(" in kind else f"tensor({kind})"


@cache
def type_name(number: int) -> str:
    """Return the name that schemas have for a number of TensorProto.DataType; empty for none."""
    if number == 0 or number not in TensorProto.DataType.values():
        return ""
    return str(TensorProto.DataType.Name(number)).lower()


@cache
def schema_of(name: str, opset: int, domain: str) -> OpSchema | None:
    """Return an operator's schema of an opset, None if ONNX has none."""
    try:
        return onnx.defs.get_schema(name, opset, domain)
    except onnx.defs.SchemaError:
        return None


def _foreign(message: str) -> bool:
    """Return whether inference stopped only at an operator that is not ONNX's: other rules handle those."""
    return (
        "No Op registered for" in message
        or "No opset import for domain" in message
        or "No schema registered" in message
    )


_WHERE = re.compile(r"\(op_type:\s*([^,)]*)(?:,\s*node name:\s*([^)]*))?\)\s*:?\s*")


def _explained(message: str) -> Finding:
    """Return a finding from ONNX's inference error."""
    place = _WHERE.search(message)
    said = one_line(re.sub(r"\[\w+Error\]|^Inference error\(s\):", " ", _WHERE.sub("", message)).strip(), 200)
    node = (place.group(2) or place.group(1)).strip() if place else "the graph"
    return Finding(node, f"ONNX does not allow it: {said}")


def _foreign_types(found: GraphProto, written: GraphProto, outer: Mapping[str, TypeProto]) -> int:
    """Add output types of ONNX Runtime's own operators, as far as their inputs determine them.

    Args:
        found: the graph with the types that were inferred.
        written: the same graph, into which the types go.
        outer: types of the graphs around.

    Returns:
        Number of tensors with known types.
    """
    types = {**outer, **{each.name: each.type for each in [*found.input, *found.value_info, *found.output]}}
    for each in found.initializer:
        types[each.name] = helper.make_tensor_type_proto(each.data_type, each.dims)
    count = 0
    for node, twin in zip(found.node, written.node, strict=True):
        for one, other in zip(node.attribute, twin.attribute, strict=True):
            if one.type == AttributeProto.GRAPH:
                count += _foreign_types(one.g, other.g, types)
        declared = tables.onnxruntime().schemas.get(node.op_type) if node.domain == "com.microsoft" else None
        if declared is None:
            continue
        bound = {}
        for formal, name in zip(_spread(declared["inputs"], len(node.input)), node.input, strict=False):
            if name in types and types[name].HasField("tensor_type"):
                bound[formal[1]] = types[name].tensor_type.elem_type
        shape = types.get(node.input[0]) if len(node.input) else None
        for formal, name in zip(_spread(declared["outputs"], len(node.output)), node.output, strict=False):
            only = declared["types"].get(formal[1], [])
            kind = (
                bound.get(formal[1]) or _NUMBERS.get(formal[1]) or (_NUMBERS.get(only[0]) if len(only) == 1 else None)
            )
            if name and kind and (name not in types or not types[name].WhichOneof("value")):
                made = TypeProto()
                if node.op_type in tables.SAME_SHAPE and shape is not None:
                    made.CopyFrom(shape)
                made.tensor_type.elem_type = kind
                written.value_info.append(helper.make_value_info(name, made))
            count += bool(name and kind)
    return count


_NUMBERS = {name.lower(): number for name, number in TensorProto.DataType.items() if number}


def _spread(formals: list[list[str]], count: int) -> Iterator[list[str]]:
    """Yield the formal parameter of each of `count` actual ones; the last may be variadic."""
    for place in range(count):
        if place < len(formals):
            yield formals[place]
        elif formals and formals[-1][2] == "Variadic":
            yield formals[-1]
