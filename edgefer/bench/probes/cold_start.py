"""Cold start: time from the start of a process to a network's first output."""

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
    """Seconds from process start to the first prediction, including Python, imports and loading.

    The files are in the page cache: after a boot it takes longer.

    Attributes:
        median: of the starts.
        fastest: shortest.
        slowest: longest.
        starts: number of starts.
    """

    median: float
    fastest: float
    slowest: float
    starts: int


def of_network(model: Path, shape: tuple[int, int, int], threads: int = 1, device: str = "cpu") -> ColdStart:
    """Start a process repeatedly.

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
