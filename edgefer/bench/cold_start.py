"""How long the first answer takes: from the start of a process to a network's first output."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edgefer.errors import InputError

_STARTS = 3
_PATIENCE_SECONDS = 300
# Finds modules where this process does; -I keeps the current folder and the environment out of its path.
_CHILD = """
import json, sys, time
task = json.loads(sys.argv[1])
sys.path[:] = task["path"]
from pathlib import Path
import numpy as np
from edgefer.runtimes import onnxruntime
with onnxruntime.activate(Path(task["model"]), task["threads"]) as session:
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


def of_network(model: Path, shape: tuple[int, int, int], threads: int = 1) -> ColdStart:
    """Start a process again and again.

    Args:
        model: an ONNX file.
        shape: (channels, height, width) of one input.
        threads: as for `onnxruntime.activate`.

    Raises:
        InputError: the network cannot be loaded or run.
    """
    task = json.dumps({"model": str(model.resolve()), "shape": shape, "threads": threads, "path": sys.path})
    seconds = [_start(model, task) for _ in range(_STARTS)]
    return ColdStart(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def _start(model: Path, task: str) -> float:
    before = time.monotonic_ns()  # Linux, macOS: one clock for all processes
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD, task],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{model}: its first answer took more than {_PATIENCE_SECONDS} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{model}: its first answer never came: {last}")
    return (int(done.stdout) - before) * 1e-9
