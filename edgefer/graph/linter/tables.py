"""Tables of targets' operators, extracted from the runtimes by benchmarks/runtimes/lint_tables.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

# Operators of ONNX Runtime's domain with the type and shape of their input.
SAME_SHAPE = frozenset(
    [
        "BiasGelu",
        "BiasAdd",
        "DequantizeLinear",
        "FastGelu",
        "FusedGelu",
        "Gelu",
        "QLinearAdd",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QuantizeLinear",
        "QuickGelu",
        "BiasSplitGelu",
    ]
)

Kernel = tuple[int, int, dict[str, list[str]]]


@dataclass(frozen=True)
class OnnxRuntimeTable:
    """ONNX Runtime's CPU kernels.

    Attributes:
        version: of the onnxruntime used.
        kernels: by domain and operator: first version, last version (0: open), types by type parameter or formal name.
        schemas: of the operators of com.microsoft.
        ir: last supported IR version.
        opsets: last supported opset, by domain.
    """

    version: str
    kernels: dict[str, dict[str, list[Kernel]]]
    schemas: dict[str, Any]
    ir: int
    opsets: dict[str, int]


@cache
def onnxruntime() -> OnnxRuntimeTable:
    """Return the table of ONNX Runtime."""
    read = _read("onnxruntime.json")
    return OnnxRuntimeTable(read["version"], read["kernels"], read["schemas"], read["ir"], read["opsets"])


@dataclass(frozen=True)
class TensorRTTable:
    """What TensorRT's parser accepts.

    Attributes:
        version: of the tensorrt_rtx used.
        inputs: types of a graph's inputs and outputs.
        constants: types of initializers.
        operators: by name: types by type parameter.
        foreign: operators of com.microsoft.
    """

    version: str
    inputs: frozenset[str]
    constants: frozenset[str]
    foreign: frozenset[str]
    operators: dict[str, dict[str, list[str]]]


@cache
def tensorrt() -> TensorRTTable:
    """Return the table of TensorRT."""
    read = _read("tensorrt.json")
    return TensorRTTable(
        read["version"],
        frozenset(read["inputs"]),
        frozenset(read["constants"]),
        frozenset(read["foreign"]),
        read["operators"],
    )


def _read(name: str) -> dict[str, Any]:
    content = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(content)
    return found
