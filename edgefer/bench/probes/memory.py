"""Memory of one network, measured in a fresh process."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.backends import registry
from edgefer.bench import fresh_process
from edgefer.errors import InputError

_STATUS = Path("/proc/self/status")
_INFERENCES = 50
_CHILD = "from edgefer.bench.probes.memory import measure; measure(task)"


@dataclass(frozen=True)
class Memory:
    """Resident set of a process that loads one network and infers, in bytes.

    Attributes:
        baseline: with Python, numpy and the runtime imported, before the network is loaded.
        steady: after the last inference.
        peak: maximum (VmHWM; the kernel updates it late, so it is clamped to at least `steady`).
    """

    baseline: int
    steady: int
    peak: int


def of_network(model: Path, shape: tuple[int, int, int], threads: int = 1, device: str = "cpu") -> Memory | None:
    """Measure a network at batch 1.

    Args:
        model: an ONNX file.
        shape: (channels, height, width) of one input.
        threads: for one operator.
        device: whose backend runs it in the process's own memory.

    Returns:
        None on a system without /proc.

    Raises:
        InputError: the network cannot be loaded or run.
    """
    if not there():
        return None
    task = {"model": str(model.resolve()), "shape": shape, "threads": threads, "device": device}
    found = fresh_process.run(_CHILD, task, f"{model}: memory cannot be measured", InputError)
    return Memory(**json.loads(found))


def measure(task: dict[str, Any]) -> None:
    """Measure in this process and print the result as JSON (the child of `of_network`)."""
    batch = np.zeros((1, *task["shape"]), dtype=np.float32)
    backend = registry.get(task["device"])
    backend.check()  # imports the runtime
    baseline = resident("VmRSS")
    with backend.open_model(Path(task["model"]), task["threads"]) as session:
        for _ in range(_INFERENCES):
            session.infer(batch)
        steady = resident("VmRSS")
    json.dump(asdict(Memory(baseline, steady, max(steady, resident("VmHWM")))), sys.stdout)


def there() -> bool:
    """Return whether this system reports a process's memory: Linux does."""
    return _STATUS.exists()


def resident(field: str) -> int:
    """Return a field of /proc/self/status in bytes: ``VmRSS`` now, ``VmHWM`` at most, ``RssFile`` pages of files.

    The kernel updates these late, by up to some hundred KB per core.
    """
    return _field(_STATUS, field)


def own() -> int:
    """Return this process's private memory in bytes, without file pages; exact, counted by page."""
    return _field(_STATUS.with_name("smaps_rollup"), "Anonymous")


def _field(file: Path, field: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{file} has no {field}")
