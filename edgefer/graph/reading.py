"""Reads untrusted ONNX files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from edgefer import limits
from edgefer.errors import InputError
from edgefer.graph.graph import Graph
from edgefer.graph.linter.structure import nodes_within, problem
from edgefer.lines import one_line


def read(path: Path) -> ModelProto:
    """Return a model with its weights, including external files next to it.

    Raises:
        InputError: it is missing, too large, not ONNX, truncated or invalid.
    """
    limits.check_file(path, limits.NETWORK)
    content = limits.read_bytes(path, limits.NETWORK)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise InputError(f"{path} is truncated or not ONNX") from None
    if not model.graph.node:
        raise InputError(f"{path} is truncated or not ONNX: it holds no nodes")
    try:
        _check_external(model, path.parent)
        load_external_data_for_model(model, str(path.parent))
        wrong = problem(model)
        if wrong:
            raise ValueError(wrong)
        Graph(model)  # the checker does not compare a constant's number of values with its shape
    except (onnx.checker.ValidationError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a valid ONNX file: {one_line(error, 200)}") from None
    return model


def _check_external(model: ModelProto, folder: Path) -> None:
    """Refuse weights outside `folder`, or larger than their file, before a file is opened.

    Exporters write only initializers into external files; constants of nodes and subgraphs are internal.
    """
    for tensor in _inner(model):
        if uses_external_data(tensor):
            raise ValueError(f"the constant {tensor.name} should be in the file itself, not in an external one")
    total = 0
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            info = ExternalDataInfo(tensor)
            file = folder / info.location
            if folder.resolve() not in file.resolve().parents or not file.is_file():
                raise ValueError(f"the weights of {tensor.name} should be in {file.name} next to it")
            size = limits.check_file(file, limits.NETWORK)
            total += info.length or size
    if total > limits.NETWORK:
        raise ValueError(f"its weights have {total:,} bytes, more than the limit of {limits.NETWORK:,}")


def _inner(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model except its graph's initializers."""
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in nodes_within([*model.graph.node, *(node for function in model.functions for node in function.node)]):
        for each in node.attribute:
            if each.HasField("t"):
                yield each.t
            yield from each.tensors
            for sparse in [*([each.sparse_tensor] if each.HasField("sparse_tensor") else []), *each.sparse_tensors]:
                yield from (sparse.values, sparse.indices)
            for graph in (each.g, *each.graphs):
                yield from graph.initializer
