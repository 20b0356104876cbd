"""Lowers one symmetric QDQ graph to each target's graph, and measures their divergence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from edgefer import bundle, console, limits
from edgefer.backends import onnxruntime, registry
from edgefer.graph import count, mirrored
from edgefer.graph.leftovers import in_half
from edgefer.graph.linter import check
from edgefer.graph.lowering import Lowered, lower
from edgefer.graph.strip import stripped

FP16_MODELS = {f"fp16-{name}": name for name, target in registry.targets().items() if target.fp16}
_INT8 = "int8-"
_IMAGES = 100  # for the divergence of two targets: unoptimized graphs are slow
_MAX_MACS = 250_000_000_000  # total budget of images times graphs: about a minute in unoptimized graphs


def lowered(qdq: ModelProto) -> dict[str, Lowered]:
    """Return the graph for each target, by the network's name in a bundle: ``int8-cpu``, ``int8-tensorrt``, ...

    Raises:
        InputError: a target would reject or misread the graph.
    """
    found = {}
    for target in registry.targets():
        name = f"{_INT8}{target}"
        found[name] = _finished(lower(qdq, target), target)
        check(found[name].model, target)
    return found


def _finished(graph: Lowered, target: str) -> Lowered:
    """Return a graph ready to save; for a GPU, floating-point parts become FP16."""
    without = stripped(graph.model)
    return replace(graph, model=in_half(without) if registry.targets()[target].fp16 else without)


def check_float(name: str, model: ModelProto) -> None:
    """Refuse an FP32 or FP16 network with findings of `edgefer lint`, by its name in a bundle.

    Raises:
        InputError: a target would reject or misread it, or it exceeds a bundle's size limit.
    """
    if model.ByteSize() > limits.NETWORK:
        raise limits.too_large(f"the {name} network", model.ByteSize(), limits.NETWORK)
    check(model, FP16_MODELS.get(name, "cpu"))


def part(name: str, model: ModelProto) -> bundle.NetworkFile:
    """Return a network's file for a bundle. Targets with the same graph share a file."""
    if name in FP16_MODELS:
        return bundle.NetworkFile("fp16.onnx", model.SerializeToString(), "fp16", FP16_MODELS[name])
    target = name.removeprefix(_INT8)
    if target == "cpu":  # TensorRT was not tried on it
        model = mirrored.packed(model)
    return bundle.NetworkFile(
        f"int8.{registry.targets()[target].file or target}.onnx", model.SerializeToString(), "int8", target
    )


def divergence(qdq: ModelProto, graphs: Mapping[str, Lowered], inputs: NDArray[np.float32]) -> dict[str, Any]:
    """Return where the targets' graphs may diverge and by how much, unoptimized, for the manifest.

    Each quantizer changed by a lowering is reverted separately, in its target's graph.

    Args:
        qdq: the graph that was lowered.
        graphs: from `lowered`.
        inputs: float32, (n, C, H, W); the first 100 are used, or fewer of a large network with many such quantizers.
    """
    different = [name for name in graphs if not registry.targets()[name.removeprefix(_INT8)].file]
    jobs = [
        (name, kind, quantizer)
        for name in different
        for kind, found in (
            ("unclipped", graphs[name].unclipped),
            ("dropped", graphs[name].dropped_quantizers),
            ("refined", graphs[name].refined),
        )
        for quantizer in found
    ]
    macs = count.macs(qdq) or _MAX_MACS
    some = inputs[: max(1, min(_IMAGES, _MAX_MACS // (macs * max(len(jobs), 1))))]
    outputs = {name: _run(graphs[name].model, some) for name in different}
    lines = []
    with console.progress("comparing the targets' graphs", len(jobs)) as advance:
        for name, kind, quantizer in jobs:
            target = name.removeprefix(_INT8)
            undone = _run(_finished(lower(qdq, target, keep=[quantizer]), target).model, some)
            lines.append({"network": name, "quantizer": quantizer, "kind": kind, **_difference(undone, outputs[name])})
            advance()
    return {"images": len(some), **_difference(*outputs.values()), "quantizers": lines}


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> dict[str, Any]:
    return {
        "largest_logit_change": float(np.abs(one - other).max()),
        "changed_predictions": int((one.argmax(1) != other.argmax(1)).sum()),
    }


def _run(model: ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    with onnxruntime.open_model(model.SerializeToString(), torch.get_num_threads(), optimize=False) as session:
        return session.infer(inputs)
