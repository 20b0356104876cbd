"""Tables for `edgefer lint`: the kernels of the installed onnxruntime, and what tensorrt_rtx's parser accepts.

python benchmarks/runtimes/lint_tables.py

ONNX Runtime lists its CPU kernels itself: operator, versions, types. TensorRT's parser lists nothing, so every ONNX
operator is tried in small graphs (`random_graphs.one`) with each type that its schema allows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from benchmarks.runtimes import forked, random_graphs
from edgefer.backends.tensorrt import builder
from edgefer.errors import InputError
from edgefer.graph.linter.onnxruntime import formals
from edgefer.graph.linter.view import GraphView

OUT = Path(__file__).parents[2] / "edgefer" / "graph" / "lint"
KINDS = (1, 10, 16, 11, 6, 7, 3, 2, 9, 17, 22, 23)
DRAWS = 6
OPSETS = (9, 11, 13, 17, 21, 23, 25)
SHARE = 0.5  # a type is listed if it is accepted at least half as often as the operator's best type
_LAST = 2**31 - 1


def kernels() -> dict[str, dict[str, list[Any]]]:
    """Return domain -> operator -> [first version, last version or 0, {type parameter or formal name: types}]."""
    found: dict[str, dict[str, list[Any]]] = {}
    for each in state.get_all_opkernel_def():
        if each.provider != "CPUExecutionProvider" or each.domain == "com.microsoft.nchwc":
            continue
        first, last = each.version_range
        types = {key: sorted(short(name) for name in names) for key, names in sorted(each.type_constraints.items())}
        found.setdefault(each.domain, {}).setdefault(each.op_name, []).append(
            [first, 0 if last == _LAST else last, types]
        )
    return {domain: {name: joined(rows) for name, rows in sorted(ops.items())} for domain, ops in sorted(found.items())}


def joined(rows: list[Any]) -> list[Any]:
    """Merge kernels of one operator that differ in only one type parameter."""
    done: list[Any] = []
    for first, last, types in sorted(rows, key=lambda row: (row[0], json.dumps(row[2]))):
        for other in done:
            if other[:2] != [first, last] or other[2].keys() != types.keys():
                continue
            differ = [key for key in types if types[key] != other[2][key]]
            if len(differ) <= 1:
                for key in differ:
                    other[2][key] = sorted({*other[2][key], *types[key]})
                break
        else:
            done.append([first, last, types])
    return done


def schemas(names: set[str]) -> dict[str, Any]:
    """Return com.microsoft's operators: inputs and outputs as (name, type parameter, option), types, attributes."""
    found = {}
    for each in state.get_all_operator_schema():
        if each.domain != "com.microsoft" or each.name not in names:
            continue
        found[each.name] = {
            "inputs": [[one.name, short(one.typeStr), option(one)] for one in each.inputs],
            "outputs": [[one.name, short(one.typeStr), option(one)] for one in each.outputs],
            "types": {
                one.type_param_str: sorted(short(name) for name in one.allowed_type_strs)
                for one in each.type_constraints
            },
            "attributes": sorted(each.attributes),
            "required": sorted(key for key, one in each.attributes.items() if one.required),
        }
    return dict(sorted(found.items()))


def opens(opset: int, ir: int, domain: str = "") -> bool:
    """Return whether ONNX Runtime opens a file with this opset and IR version."""
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [one], [other])
    opsets = [
        helper.make_opsetid("", opset if not domain else 17),
        *([helper.make_opsetid(domain, opset)] if domain else []),
    ]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        content = helper.make_model(graph, opset_imports=opsets, ir_version=ir).SerializeToString()
        onnxruntime.InferenceSession(content, options)
    except Exception:  # onnxruntime's own errors share no base class
        return False
    return True


def option(formal: Any) -> str:
    """Return Single, Optional or Variadic."""
    return str(formal.option).rpartition(".")[2]


def short(text: str) -> str:
    """Return ``float`` for ``tensor(float)``; sequences, maps and optionals stay as they are."""
    return text[len("tensor(") : -1] if text.startswith("tensor(") else text


def main() -> None:
    """Write the tables."""
    found = kernels()
    table = {
        "source": f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider: get_all_opkernel_def()",
        "version": onnxruntime.__version__,
        "ir": max(ir for ir in range(3, 30) if opens(17, ir)),
        "opsets": {
            domain: max(version for version in range(1, 60) if opens(version, 8, domain))
            for domain in ("", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft")
        },
        "kernels": found,
        "schemas": schemas(set(found["com.microsoft"])),
    }
    write(OUT / "onnxruntime.json", table)
    write(OUT / "tensorrt.json", parsed())


def parsed() -> dict[str, Any]:
    """Return operator -> type parameter -> types that the parser accepts, and the types of constants and inputs."""
    jobs = [
        (name, opset, kind, seed)
        for opset in OPSETS
        for name, schema in random_graphs.schemas(opset).items()
        for kind in KINDS
        for seed in range(DRAWS)
    ]
    counted: dict[str, dict[str, dict[str, list[int]]]] = {}  # operator -> type parameter -> type -> [accepted, tried]
    for (name, *_), said in forked.each(jobs, ask):
        if not said or said == forked.CRASHED:
            continue
        for text, kinds in said["types"].items():
            for kind in set(kinds):
                count = counted.setdefault(name, {}).setdefault(text, {}).setdefault(kind, [0, 0])
                count[0] += said["taken"]
                count[1] += 1
    operators = {}
    for name, texts in sorted(counted.items()):
        shares = {
            text: {kind: taken / asked for kind, (taken, asked) in kinds.items()} for text, kinds in texts.items()
        }
        best = max((share for kinds in shares.values() for share in kinds.values()), default=0)
        if best:
            allowed = allowed_types(name)  # without a sample nothing is known, so nothing is reported
            operators[name] = {
                text: sorted(
                    {kind for kind, share in kinds.items() if share >= SHARE * best}
                    | (allowed.get(text, set()) - {*kinds})
                )
                for text, kinds in sorted(shares.items())
            }
    version = builder.api("tensorrt_rtx").__version__
    return {
        "source": f"tensorrt_rtx {version}: OnnxParser on {len(jobs)} random graphs of one operator",
        "version": version,
        "inputs": [name for name in random_graphs.TYPES if takes(plain(name))],
        "constants": [name for name in random_graphs.TYPES if takes(held(name))],
        "foreign": [name for name, said in onnxruntime_schemas().items() if takes(foreign(name, len(said["inputs"])))],
        "operators": operators,
    }


def allowed_types(name: str) -> dict[str, set[str]]:
    """Return the tensor types that ONNX allows an operator, by type parameter, in any sampled opset."""
    found: dict[str, set[str]] = {}
    for opset in OPSETS:
        schema = random_graphs.schemas(opset).get(name)
        for each in schema.type_constraints if schema else ():
            types = {short(text) for text in each.allowed_type_strs if text.startswith("tensor(")}
            found.setdefault(each.type_param_str, set()).update(types)
    return found


def ask(job: tuple[str, int, int, int]) -> dict[str, Any] | None:
    """Return whether the parser accepts a random operator, and its types by type parameter; None: no valid sample."""
    name, opset, kind, seed = job
    model = random_graphs.one(name, opset, kind, seed)
    if model is None:
        return None
    view = GraphView(model, typed=True)
    if view.invalid:
        return None
    found: dict[str, list[str]] = {}
    for call in view.calls:
        if call.node.op_type == name and call.schema is not None:
            for _, text, *kinds in formals(call):
                found.setdefault(text, []).extend(each for each in kinds if each)
    return {"types": found, "taken": takes(model)}


def takes(model: ModelProto) -> bool:
    """Return whether TensorRT's parser accepts a model."""
    try:
        builder.parse(model.SerializeToString(), "tensorrt_rtx")
    except InputError:
        return False
    return True


def plain(kind: str) -> ModelProto:
    """Return a graph with an input of this type."""
    values = [helper.make_tensor_value_info(name, random_graphs.TYPES[kind], [2]) for name in "xy"]
    return model_of(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:]))


def onnxruntime_schemas() -> dict[str, Any]:
    """Return the operators of com.microsoft."""
    return schemas(set(kernels()["com.microsoft"]))


def foreign(name: str, most: int) -> ModelProto:
    """Return a graph of an operator of com.microsoft on float32."""
    count = min(most, 3) if name not in ("Gelu", "QuickGelu", "FastGelu") else 1
    given = [helper.make_tensor_value_info(f"x{place}", TensorProto.FLOAT, [2, 4]) for place in range(count)]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])
    node = helper.make_node(name, [each.name for each in given], ["y"], domain="com.microsoft")
    graph = helper.make_graph([node], "g", given, [out])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def held(kind: str) -> ModelProto:
    """Return a graph with a constant of a type that only reads its shape."""
    constant = random_graphs.made(random_graphs.TYPES[kind], np.ones(2), "c")
    out = helper.make_tensor_value_info("y", TensorProto.INT64, [1])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    nodes = [helper.make_node("Shape", ["c"], ["y"]), helper.make_node("Identity", ["x"], ["z"])]
    other = helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])
    return model_of(helper.make_graph(nodes, "g", [given], [out, other], [constant]))


def model_of(graph: Any) -> ModelProto:
    """Return a model of opset 23."""
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def write(path: Path, table: dict[str, Any]) -> None:
    """Write JSON with one operator per line."""
    lines = json.dumps(table, separators=(",", ":")).replace(']],"', ']],\n"').replace('}},"', '}},\n"')
    path.write_text(lines + "\n", encoding="utf-8")
    print(path.name, len(lines))


if __name__ == "__main__":
    main()
