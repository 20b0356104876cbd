"""A network on a GPU in a fresh process: GPU and CPU memory, and the time to its first prediction."""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgefer import bundle
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench import fresh_process
from edgefer.bench.probes import memory
from edgefer.bench.probes.cold_start import ColdStart
from edgefer.bench.probes.memory import Memory
from edgefer.errors import MissingRequirement

_STARTS = 3
_INFERENCES = 50
_ANSWER = "edgefer measured: "
_CHILD = "from edgefer.bench.probes.gpu_memory import main; main(task)"


@dataclass(frozen=True)
class GpuMemory:
    """GPU memory of one network in bytes: the drop in the driver's free memory.

    Includes the engine, TensorRT's workspace, compiled kernels, the CUDA graph and our buffers. Excludes the
    process's CUDA context, created before the engine is loaded. On an integrated GPU this is the machine's memory, so
    other programs' changes are included; on a discrete GPU, those on the GPU.

    Attributes:
        buffers: edgefer's, for inputs and outputs of a full batch.
        steady: after the last inference; never below `buffers`.
        peak: maximum after loading and after each inference; changes within these are not seen.
    """

    buffers: int
    steady: int
    peak: int


@dataclass(frozen=True)
class GpuMemoryUse:
    """Result of a fresh process.

    Attributes:
        memory: of the process, as for a network on the CPU; None without /proc.
        gpu_memory: on the device.
        cold_start: from process start to the first prediction, with an engine already built.
    """

    memory: Memory | None
    gpu_memory: GpuMemory
    cold_start: ColdStart


def of_network(made: bundle.Bundle, network: str, device: str, options: Options) -> GpuMemoryUse:
    """Start a process three times; memory is that of the last one.

    Args:
        made: the bundle.
        network: its name; its engine is built.
        device: a GPU device.
        options: how to run it.

    Raises:
        MissingRequirement: the process ended without a prediction.
    """
    task = {"bundle": str(made.path.resolve()), "network": network, "device": device, **asdict(options)}
    seconds, replies = [], []
    for _ in range(_STARTS):
        before = time.monotonic_ns()  # Linux: one clock for all processes
        replies.append(_start(task))
        seconds.append((replies[-1]["answered"] - before) * 1e-9)
    last = replies[-1]  # the first start compiles kernels if they are not cached
    return GpuMemoryUse(
        memory=None if last["memory"] is None else Memory(**last["memory"]),
        gpu_memory=GpuMemory(**last["gpu_memory"]),
        cold_start=ColdStart(statistics.median(seconds), min(seconds), max(seconds), len(seconds)),
    )


def _start(task: dict[str, Any]) -> dict[str, Any]:
    said = fresh_process.run(_CHILD, task, "in a fresh process", MissingRequirement)
    # Libraries may print too, before and after.
    line = next((line for line in reversed(said.splitlines()) if line.startswith(_ANSWER)), "")
    if not line:
        raise MissingRequirement("the process returned nothing")
    found: dict[str, Any] = json.loads(line.removeprefix(_ANSWER))
    return found


def main(task: dict[str, Any]) -> None:
    """Measure in this process and print the result as JSON (the child of `of_network`)."""
    sys.stdout.write(f"\n{_ANSWER}{json.dumps(measure(task))}\n")


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Run a network in this process.

    Args:
        task: bundle, network, device, and the fields of `Options`.

    Returns:
        ``memory`` (bytes, or None), ``gpu_memory`` (bytes), and when it ``answered`` first (monotonic nanoseconds).
    """
    made, backend = bundle.load(Path(task["bundle"])), registry.get(task["device"])
    options = Options(**{each.name: task[each.name] for each in fields(Options)})
    spec = made.manifest.preprocessing
    batch = np.zeros((1, spec.channels, spec.size, spec.size), dtype=np.float32)
    backend.check()  # imports the runtime
    baseline = memory.resident("VmRSS") if memory.there() else 0
    meter = backend.meter()
    assert meter is not None, "a GPU has memory of its own"
    with meter as free_memory:  # holds the context, which is not the network's
        before = free_memory()
        with backend.open(made, task["network"], options) as session:
            free = [free_memory()]
            session.infer(batch)
            answered = time.monotonic_ns()
            for _ in range(_INFERENCES):
                free.append(free_memory())
                session.infer(batch)
            free.append(free_memory())
            buffers = session.details().buffer_bytes
            steady = memory.resident("VmRSS") if memory.there() else 0
    here = Memory(baseline, steady, max(steady, memory.resident("VmHWM"))) if memory.there() else None
    taken = GpuMemory(buffers, max(buffers, before - free[-1]), max(buffers, before - min(free)))
    return {"memory": here and asdict(here), "gpu_memory": asdict(taken), "answered": answered}
