"""Values of a network's inner tensors."""

from __future__ import annotations

from collections.abc import Iterable

import onnxruntime
from onnx import ModelProto, ValueInfoProto

from edgefer.graph.graph import Array


def observe(model: ModelProto, names: Iterable[str], inputs: Array) -> dict[str, Array]:
    """Return the tensors of these names, by ONNX Runtime with graph optimization off.

    Args:
        model: with one input.
        names: of any tensors, including the input.
        inputs: of the network.
    """
    (source,) = model.graph.input
    inner = sorted(set(names) - {source.name})
    opened = ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(ValueInfoProto(name=name) for name in inner)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {source.name: inputs, **dict(zip(inner, session.run(inner, {source.name: inputs}), strict=True))}
