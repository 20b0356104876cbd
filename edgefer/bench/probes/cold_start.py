"""How long the first answer takes: from the start of a process to a network's first output."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from edgefer.bench import fresh_process
from edgefer.errors import InputError

_STARTS = 3
_CHILD = """
import time
from pathlib import Path
import numpy as np
from edgefer.backends import registry
with registry.get(task["device"]).open_model(Path(task["model"]), task["threads"]) as session:
    session.infer(np.zeros((1, *task["shape"]), dtype=np.float32))
    print(time.monotonic_ns())
"""


@dataclass(frozen=True)
class ColdStart:
    """Seconds from starting a process to the first answer; Python, imports and loading included.

    The files were read just before, so they come from the system's cache: after a boot it takes longer.

    Attributes:
        median: of the starts.
        fastest: the shortest.
        slowest: the longest.
        starts: how many.
    """

    median: float
    fastest: float
    slowest: float
    starts: int


def of_network(model: Path, shape: tuple[int, int, int], threads: int = 1, device: str = "cpu") -> ColdStart:
    """Start a process again and again.

    Args:
        model: an ONNX file.
        shape: (channels, height, width) of one input.
        threads: for one operator.
        device: whose backend runs it.

    Raises:
        InputError: the network cannot be loaded or run.
    """
    task = {"model": str(model.resolve()), "shape": shape, "threads": threads, "device": device}
    seconds = []
    for _ in range(_STARTS):
        before = time.monotonic_ns()  # Linux, macOS: one clock for all processes
        answered = fresh_process.run(_CHILD, task, f"{model}: no first prediction arrived", InputError)
        seconds.append((int(answered) - before) * 1e-9)
    return ColdStart(statistics.median(seconds), min(seconds), max(seconds), len(seconds))
