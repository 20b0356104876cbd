"""Read an ONNX file that somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from edgefer.errors import InputError
from edgefer.graph.graph import Graph
from edgefer.lines import one_line

MOST_BYTES = 2**31 - 1  # what protobuf reads


def read(path: Path) -> ModelProto:
    """Return a model with its weights, those in files beside it included.

    Raises:
        InputError: there is no such file, it is too large, no ONNX, cut short, or not valid.
    """
    if not path.is_file():
        raise InputError(f"{path} is {'no file' if path.exists() else 'not there'}")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{path} has {size:,} bytes; ONNX files end at 2 GiB, larger weights stand in a file beside")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise InputError(f"{path} is no ONNX file, or is cut short") from None
    if not model.graph.node:
        raise InputError(f"{path} is no ONNX file, or is cut short: it holds no nodes")
    try:
        _check_external(model, path.parent)
        load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        Graph(model)  # the checker does not look whether a constant has as many numbers as its shape says
    except (onnx.checker.ValidationError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no valid ONNX file: {one_line(error, 200)}") from None
    return model


def _check_external(model: ModelProto, folder: Path) -> None:
    """Refuse weights outside `folder`, or larger than what holds them, before memory is taken for them."""
    total = 0
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            file = folder / ExternalDataInfo(tensor).location
            if folder.resolve() not in file.resolve().parents or not file.is_file():
                raise ValueError(f"the weights of {tensor.name} should stand in {file.name} beside it")
            total += ExternalDataInfo(tensor).length or file.stat().st_size
    if total > MOST_BYTES:
        raise ValueError(f"its weights have {total:,} bytes, more than the 2 GiB that can be looked through")
