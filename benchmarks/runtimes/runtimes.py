"""The pretrained networks on ONNX Runtime, OpenVINO and LiteRT: precisions, threads and label differences.

python benchmarks/runtimes/runtimes.py [--data fer2013.zip] [--seconds 2]

All networks of a size are timed in turn, batch 1, preprocessing left out (`edgefer.evaluation.timing`). FP32 comes
from the checkpoint that ships. OpenVINO computes FP32 and FP16 networks in bf16 where the CPU has it, which is its
default; LiteRT runs with XNNPACK. What INT8 leaves in floating point stays FP32. Labels are of PrivateTest, held
against ONNX Runtime's INT8: no network is chosen by them.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import FER2013, command, protocol
from edgefer import bundle, console, data, models, paths, versions
from edgefer.backends import litert, onnxruntime, openvino
from edgefer.backends.base import Session
from edgefer.compression import export
from edgefer.devices import machine
from edgefer.evaluation import predict, timing
from edgefer.learning import checkpoint
from edgefer.preprocessing import Preprocessing

OUT = Path(__file__).parents[1] / "results" / "runtimes.json"
NAMES = ("edgefer-nano", "edgefer-small", "edgefer-base")
THREADS = (1, 2)
INT8 = ("int8-cpu", "int8-tensorrt")
REFERENCE = ("ONNX Runtime", "int8-cpu")


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    rows = data.split(data.load(arguments.data), "test")
    lines: list[dict[str, Any]] = []
    for name in NAMES:
        for threads in THREADS:
            lines += measure(name, threads, rows, arguments.seconds)
    result = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "protocol": protocol(__doc__),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("ai-edge-litert", "onnxruntime", "openvino", "numpy"),
        "images": len(rows),
        "networks": lines,
    }
    with paths.write_atomically(arguments.out) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(name: str, threads: int, rows: data.Split, seconds: float) -> list[dict[str, Any]]:
    """Return a row for each network of a size on each runtime."""
    made = bundle.load(name)
    spec = made.manifest.preprocessing
    images = spec.apply(list(rows.take(np.arange(64))))
    inputs = [np.ascontiguousarray(images[number : number + 1]) for number in range(len(images))]
    sessions: dict[tuple[str, str], Session] = {}
    for network, content in {"fp32": fp32(made, spec), "fp16": made.content("fp16-tensorrt")}.items():
        sessions["ONNX Runtime", network] = onnxruntime.open_model(content, threads)
        sessions["OpenVINO", network] = openvino.open_model(content, threads)
    sessions["LiteRT", "fp32"] = litert.BACKEND.open_model(fp32(made, spec), threads)
    sessions["LiteRT", "int8-cpu"] = litert.BACKEND.open_model(made.content("int8-cpu"), threads)
    for network in INT8:
        sessions["ONNX Runtime", network] = onnxruntime.open_model(made.content(network), threads)
        sessions["OpenVINO", network] = openvino.open_model(made.content(network), threads, int8=True)
    infers = [session.infer for session in sessions.values()]
    times = timing.in_turn(infers, [inputs] * len(infers), percentile=90, seconds=seconds, max_seconds=30)
    places = {key: place for place, key in enumerate(sessions)}
    labels = {
        key: predict.logits(session.infer, spec, rows, 64, f"{name} {' '.join(key)}").argmax(axis=1)
        for key, session in (sessions.items() if threads == 1 else ())
    }
    return [
        {
            "bundle": name,
            "runtime": key[0],
            "network": key[1],
            "threads": threads,
            "computed_in": session.details().network.get("computed_in"),
            "latency": vars(timing.latency(times[places[key]])),
            "over_onnxruntime_int8": vars(timing.ratio(times[places[key]], times[places[REFERENCE]])),
            "other_labels": other(labels, key),
        }
        for key, session in sessions.items()
    ]


def other(labels: dict[tuple[str, str], NDArray[np.int64]], key: tuple[str, str]) -> int | None:
    """Return the number of labels that differ from the reference."""
    return int((labels[key] != labels[REFERENCE]).sum()) if labels else None


def fp32(made: bundle.Bundle, spec: Preprocessing) -> bytes:
    """Return the FP32 network of the shipped checkpoint, with BatchNorm fused."""
    example = torch.zeros(1, spec.channels, spec.size, spec.size)
    network = models.as_exportable(
        checkpoint.build(checkpoint.read(checkpoint.find(Path(made.manifest.name)))), example
    )
    content: bytes = export.fp32(network, example).SerializeToString()
    return content


if __name__ == "__main__":
    main()
