"""The LiteRT files of the pretrained networks: gate of `edgefer compress`, latency against FP32, size, types.

python benchmarks/runtimes/litert.py [--data fer2013.zip] [--seconds 2]

FP32 comes from the checkpoint that ships, INT8 from the bundle; both are LiteRT files and run with XNNPACK on one
thread. Labels are of PublicTest, the validation split, and the gate is the one of `edgefer compress`: the accuracy that
INT8 loses on the same images, with a paired 95 % interval, at most its default drop. Both are timed in turn, batch 1,
preprocessing left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from benchmarks.common import FER2013, command, protocol
from benchmarks.runtimes.runtimes import fp32
from edgefer import bundle, console, data, paths, versions
from edgefer.backends import litert
from edgefer.compression import gate
from edgefer.compression.config import MAX_DROP
from edgefer.devices import machine
from edgefer.evaluation import predict, timing

OUT = Path(__file__).parents[1] / "results" / "litert.json"
NETWORKS = ("edgefer-nano", "edgefer-small", "edgefer-base")


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    split = data.split(data.load(arguments.data), "val")
    tree = {
        "kind": "LiteRT files",
        "command": command(),
        "protocol": protocol(__doc__),
        "images": len(split),
        "max_drop": MAX_DROP,
        "networks": [measure(name, split, arguments.seconds) for name in NETWORKS],
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("ai-edge-litert", "numpy"),
    }
    paths.write_json(arguments.out, tree, indent=1)


def measure(name: str, split: data.Split, seconds: float) -> dict[str, Any]:
    """Return the results of one network."""
    made = bundle.load(name)
    spec, classes = made.manifest.preprocessing, len(made.manifest.labels)
    files = {"fp32": litert.convert(fp32(made, spec)), "int8-cpu": litert.convert(made.content("int8-cpu"))}
    sessions = {kind: litert.open_file(content, name) for kind, content in files.items()}
    labels = {
        kind: np.asarray(predict.logits(session.infer, spec, split, 64, f"{name} {kind}").argmax(1), np.int64)
        for kind, session in sessions.items()
    }
    change = gate.change("int8-cpu", split.labels, labels["fp32"], labels["int8-cpu"], classes, "LiteRT")
    images = spec.apply(list(split.take(np.arange(64))))
    inputs = [np.ascontiguousarray(images[number : number + 1]) for number in range(len(images))]
    infers = [session.infer for session in sessions.values()]
    times = timing.in_turn(infers, [inputs] * 2, percentile=90, seconds=seconds, max_seconds=30)
    return {
        "network": name,
        "accuracy": {kind: gate.score(kind, split, found, classes).accuracy for kind, found in labels.items()},
        "change": {"points": 100 * change.accuracy, "low": 100 * change.low, "high": 100 * change.high},
        "passed": -100 * change.accuracy <= MAX_DROP,
        "latency": {kind: vars(timing.latency(each)) for kind, each in zip(sessions, times, strict=True)},
        "int8_over_fp32": vars(timing.ratio(times[1], times[0])),
        "bytes": len(files["int8-cpu"]),
        "over_onnx_bytes": len(files["int8-cpu"]) / made.manifest.networks["int8-cpu"].bytes,
        "convolutions": convolutions(files["int8-cpu"]),
    }


def convolutions(content: bytes) -> dict[str, int]:
    """Return the number of CONV_2D, and how many have int8 input, weights and output."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    types = [
        {graph.tensors[index].type for index in (operator.inputs[0], operator.inputs[1], operator.outputs[0])}
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D
    ]
    return {"all": len(types), "int8": types.count({schema.TensorType.INT8})}


if __name__ == "__main__":
    main()
