"""Costs and benefits of ONNX Runtime's memory arena: edgefer-base in INT8 with it, with a thriftier one, and without.

python benchmarks/timing/arena.py [--seconds 3]

`next power of two` is ONNX Runtime's default, and what edgefer's sessions have: what an operator needs is taken from
the system in chunks that double, from 1 MiB, and kept. `same as requested` takes no more than is asked for (ONNX
Runtime's `arena_extend_strategy`), `none` has no arena, so that the C library gives and takes each tensor
(`enable_cpu_mem_arena`). Resident sets are those of a fresh process after 50 inferences, with its own part (all but
pages of files) apart, medians of several processes, the kinds in turn; latencies are timed in turn, in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.common import protocol
from edgefer import bundle, paths, versions
from edgefer.backends import onnxruntime
from edgefer.bench.probes.memory import own, resident
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "arena.json"
BUNDLE, NETWORK = "edgefer-base", "int8-cpu"
OURS = "next power of two"
KINDS = (OURS, "same as requested", "none")
BATCHES = (1, 64)  # the bench's latency measurement, and its accuracy
INFERENCES = 50
PROCESSES = 5


def activate(file: Path, kind: str) -> onnxruntime.OnnxRuntimeSession:
    """Start a network like edgefer, but with another arena. At most one `same as requested` per process."""
    options = onnxruntime.options()
    options.enable_cpu_mem_arena = kind != "none"
    if kind == "same as requested":
        cpu = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        # No limit, kSameAsRequested, and defaults for the first chunk and the leftovers of a chunk.
        ort.create_and_register_allocator(cpu, ort.OrtArenaCfg(0, 1, -1, -1))
        options.add_session_config_entry("session.use_env_allocators", "1")
    inner = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return onnxruntime.OnnxRuntimeSession(inner, f"{file.name}, {kind}")


def memory(kind: str, batch: int) -> dict[str, int]:
    """Return this process's memory after its inferences, in bytes."""
    made = bundle.load(BUNDLE)
    spec = made.manifest.preprocessing
    images = np.zeros((batch, spec.channels, spec.size, spec.size), dtype=np.float32)
    session = activate(made.file(NETWORK), kind)
    for _ in range(INFERENCES):
        session.infer(images)
    steady = resident("VmRSS")
    return {"steady": steady, "own": own(), "peak": max(steady, resident("VmHWM"))}


def in_own_process(kind: str, batch: int) -> dict[str, int]:
    command = [sys.executable, __file__, "--memory", kind, "--batch", str(batch)]
    found: dict[str, int] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def memories() -> dict[str, dict[str, dict[str, float]]]:
    """Return the median memory over several processes, for each kind and batch."""
    found: dict[tuple[str, int], list[dict[str, int]]] = {(kind, batch): [] for kind in KINDS for batch in BATCHES}
    for number in range(PROCESSES):
        for job in sorted(found, reverse=number % 2 == 1):
            found[job].append(in_own_process(*job))
    return {
        kind: {
            f"batch {batch}": {key: statistics.median(each[key] for each in runs) for key in runs[0]}
            for batch in BATCHES
            for runs in [found[kind, batch]]
        }
        for kind in KINDS
    }


def latencies(seconds: float) -> dict[str, dict[str, Any]]:
    """Return each kind's latency at batch 1, and its ratio to the default arena."""
    made = bundle.load(BUNDLE)
    spec = made.manifest.preprocessing
    random = np.random.default_rng(0)
    shape = (1, spec.channels, spec.size, spec.size)
    images = [random.normal(size=shape).astype(np.float32) for _ in range(64)]
    sessions = {kind: activate(made.file(NETWORK), kind) for kind in KINDS}
    samples = timing.in_turn(
        [session.infer for session in sessions.values()], [images] * len(sessions), seconds=seconds
    )
    return {
        kind: {
            "latency": asdict(timing.latency(times)),
            "over_default": asdict(timing.ratio(times, samples[KINDS.index(OURS)])),
        }
        for kind, times in zip(sessions, samples, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--memory", choices=KINDS, help="measure in this process and print the result")
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.memory:
        json.dump(memory(arguments.memory, arguments.batch), sys.stdout)
        return
    load_before = machine.load_average()
    used, took = memories(), latencies(arguments.seconds)
    result = {
        "what": "memory in bytes and latency in milliseconds by ONNX Runtime's arena",
        "protocol": protocol(__doc__),
        "bundle": BUNDLE,
        "network": NETWORK,
        "sha256": bundle.load(BUNDLE).manifest.networks[NETWORK].sha256,
        "default": OURS,
        "threads": 1,
        "processes": PROCESSES,
        "arenas": {kind: {"memory": used[kind], **took[kind]} for kind in KINDS},
        "load_before": load_before,
        "load_after": machine.load_average(),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("onnxruntime", "numpy"),
    }
    paths.write_json(OUT, result, indent=2)
    for kind in KINDS:
        ratio = took[kind]["over_default"]
        own = ", ".join(f"{name} {each['own'] / 1e6:.1f} MB" for name, each in used[kind].items())
        print(
            f"{kind}: own memory {own}; p50 {took[kind]['latency']['p50']:.3f} ms, "
            f"{ratio['estimate']:.3f}x ({ratio['low']:.3f} to {ratio['high']:.3f})"
        )
    print(OUT)


if __name__ == "__main__":
    main()
