"""What ONNX Runtime's CPU provider rejects: operators, types and settings without a kernel."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import ModelProto, helper, inliner
from onnx.defs import OpSchema

from edgefer.graph.linter import tables
from edgefer.graph.linter.findings import Finding
from edgefer.graph.linter.tables import Kernel
from edgefer.graph.linter.view import Call, GraphView, schema_of

_VARIADIC = OpSchema.FormalParameterOption.Variadic


def kernels(call: Call) -> Iterator[Finding]:
    """Yield problems of an operator without a matching kernel."""
    if call.node.op_type == "Constant" and not call.node.domain:
        return  # no kernel: its value becomes an initializer
    domain = "" if call.node.domain == "ai.onnx" else call.node.domain
    known = tables.onnxruntime().kernels.get(domain, {})
    rows = known.get(call.node.op_type)
    if domain == "com.microsoft" and rows is not None:
        given = _foreign_formals(call)
        if not any(_fits(row, each, 1) for row in rows for each in (given, _cast(call, given))):
            yield Finding(call.name, f"{_called(call)} has no kernel for {_types(call)} in ONNX Runtime's CPU provider")
        return
    if call.schema is None:
        yield Finding(call.name, f"ONNX Runtime has no {_called(call)} of opset {call.opset}")
        return
    if call.schema.deprecated:
        yield Finding(call.name, f"ONNX no longer has {_called(call)} in opset {call.opset}")
        return
    if not has_kernel(call):
        yield Finding(
            call.name,
            f"{_called(call)} of opset {call.opset} has no kernel for {_types(call)} in ONNX Runtime's CPU provider",
        )


def has_kernel(call: Call) -> bool:
    """Return whether there is a kernel, also after what ONNX Runtime does for want of one.

    It casts float16 to float32 around an operator, and puts an operator's definition as a function in its place.
    """
    assert call.schema is not None
    domain = "" if call.node.domain == "ai.onnx" else call.node.domain
    rows = tables.onnxruntime().kernels.get(domain, {}).get(call.node.op_type, [])
    given = formals(call)
    since = call.schema.since_version
    if any(_fits(row, given, since) for row in rows):
        return True
    if _function(call):
        return True
    cast = _cast(call, given)
    return any(_fits(row, cast, since) for row in rows)


def _cast(call: Call, given: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return an operator's inputs after ONNX Runtime's casts from float16 to float32."""
    if not any(each.type == "float16" for each in call.inputs):
        return given
    return [(name, text, *("float" if kind == "float16" else kind for kind in kinds)) for name, text, *kinds in given]


def _fits(row: Kernel, given: list[tuple[str, ...]], since: int) -> bool:
    """Return whether a kernel matches an operator, by the rule of ONNX Runtime's kernel registry.

    An open-ended kernel must have the schema's version; others must include it.
    """
    first, last, types = row
    if not (first == since or (last and first < since <= last)):
        return False
    for name, text, *kinds in given:
        allowed = types.get(text, types.get(name))
        if allowed is not None and any(kind and kind not in allowed for kind in kinds):
            return False
    return True


def formals(call: Call) -> list[tuple[str, ...]]:
    """Return (formal name, type parameter, actual types ...) of inputs and outputs."""
    assert call.schema is not None
    found: list[tuple[str, ...]] = []
    for declared, actual in ((call.schema.inputs, call.inputs), (call.schema.outputs, call.outputs)):
        for place, formal in enumerate(declared):
            of_it = actual[place:] if formal.option == _VARIADIC else actual[place : place + 1]
            found.append((formal.name, formal.type_str, *(each.type for each in of_it)))
    return found


def _foreign_formals(call: Call) -> list[tuple[str, ...]]:
    schema = tables.onnxruntime().schemas.get(call.node.op_type, {"inputs": [], "outputs": []})
    found: list[tuple[str, ...]] = []
    for declared, actual in ((schema["inputs"], call.inputs), (schema["outputs"], call.outputs)):
        for place, (name, text, option) in enumerate(declared):
            of_it = actual[place:] if option == "Variadic" else actual[place : place + 1]
            found.append((name, text, *(each.type for each in of_it)))
    return found


def foreign(call: Call) -> Iterator[str]:
    """Yield what is wrong with the inputs, attributes and types of an operator of com.microsoft."""
    schema = tables.onnxruntime().schemas.get(call.node.op_type)
    if schema is None:
        return
    bound: dict[str, str] = {}
    several = {name for name, _, option in schema["inputs"] if option == "Variadic"}  # may have several types
    for name, text, *kinds in _foreign_formals(call):
        for kind in filter(None, kinds):
            if name in several:
                continue
            fixed = text if text not in schema["types"] else bound.setdefault(text, kind)
            if kind != fixed:
                yield f"{name} is {kind} where it must be {fixed}"
            elif text in schema["types"] and kind not in schema["types"][text]:
                yield f"{name} cannot be {kind}"
    for place, (name, _, option) in enumerate(schema["inputs"]):
        if option == "Single" and not call.given(place):
            yield f"input {name} is missing"
    said = {each.name for each in call.node.attribute}
    for name in sorted(said - set(schema["attributes"])):
        yield f"it has no attribute {name}"
    for name in sorted(set(schema["required"]) - said):
        yield f"{name} is missing"


def _function(call: Call) -> bool:
    """Return whether the operator's definition as a function consists of operators that have kernels."""
    assert call.schema is not None
    if not (call.schema.has_context_dependent_function or (call.schema.has_function and _valid(call))):  # type: ignore[attr-defined]
        return False
    inside = expanded(call)
    if inside is None:
        return False
    view = GraphView(inside, typed=True)
    if view.invalid or any(each.node.op_type == call.node.op_type for each in view.calls):
        return False
    return not any(list(kernels(each)) for each in view.calls)


def _valid(call: Call) -> bool:
    """Return whether ONNX's definition is valid in this opset: none of its operators has changed since."""
    assert call.schema is not None
    written = [version for version in call.schema.function_opset_versions if version <= call.opset]  # type: ignore[attr-defined]
    if not written:
        return False
    body = onnx.FunctionProto.FromString(call.schema.get_function_with_opset_version(max(written)))  # type: ignore[attr-defined]
    for node in body.node:
        then, now = (schema_of(node.op_type, version, node.domain) for version in (max(written), call.opset))
        if then is None or now is None or then.since_version != now.since_version:
            return False
    return True


def expanded(call: Call) -> ModelProto | None:
    """Return a model of only the operator's definition, None if its types are unknown."""
    assert call.schema is not None
    numbers = {name.lower(): number for name, number in onnx.TensorProto.DataType.items()}
    infos: dict[str, onnx.ValueInfoProto] = {}
    for name, one in [
        *zip(call.node.input, call.inputs, strict=True),
        *zip(call.node.output, call.outputs, strict=True),
    ]:
        if name:
            if one.type not in numbers:
                return None
            infos[name] = helper.make_tensor_value_info(name, numbers[one.type], one.shape)
    held = [(name, call.scope.constants.initializer(name)) for name in call.node.input if name]
    constants = []
    for name, tensor in held:
        if tensor is not None:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = name
            constants.append(copy)
    names = list(dict.fromkeys(name for name in call.node.input if name))
    node = onnx.NodeProto()
    node.CopyFrom(call.node)
    said = {each.name for each in node.attribute}  # the definition also reads omitted attributes
    defaults = [each.default_value for each in call.schema.attributes.values() if each.default_value.name]
    node.attribute.extend(each for each in defaults if each.name not in said)
    graph = helper.make_graph(
        [node], "one", [infos[name] for name in names], [infos[name] for name in call.node.output if name], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(call.node.domain, call.opset)], ir_version=10)
    try:
        inlined = inliner.inline_selected_functions(
            model, [(call.node.domain, call.node.op_type)], inline_schema_functions=True
        )
    except Exception:  # a definition that onnx cannot build for these types
        return None
    return inlined


def _called(call: Call) -> str:
    return f"{call.node.domain}:{call.node.op_type}" if call.node.domain else call.node.op_type


def _types(call: Call) -> str:
    kinds = [each.type for each in call.inputs if each.type] or [each.type for each in call.outputs if each.type]
    return " and ".join(dict.fromkeys(kinds)) or "these inputs"


__all__ = ["expanded", "has_kernel", "kernels", "schema_of"]
