"""Memory of one network, measured in a fresh process, where nothing that ran before counts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgefer.errors import EdgeferError, InputError
from edgefer.runtimes import onnxruntime

_STATUS = Path("/proc/self/status")
_INFERENCES = 50
_PATIENCE_SECONDS = 300

# The child finds modules where this process does, whether edgefer is installed or run from a checkout;
# -I keeps the current folder and the environment out of its path.
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from edgefer.bench.memory import main; main()"


@dataclass(frozen=True)
class Memory:
    """Resident set of a process that loads one network and infers, in bytes.

    Attributes:
        baseline: with Python, numpy and the runtime imported, before the network is loaded.
        steady: after the last inference.
        peak: the most it ever was (VmHWM, which the kernel brings up to date late: never below `steady` here).
    """

    baseline: int
    steady: int
    peak: int


def of_network(model: Path, shape: tuple[int, int, int], threads: int = 1) -> Memory | None:
    """Measure a network at batch 1.

    Args:
        model: an ONNX file.
        shape: (channels, height, width) of one input.
        threads: as for `onnxruntime.activate`.

    Returns:
        None on a system without /proc.

    Raises:
        InputError: the network cannot be loaded or run.
    """
    if not there():
        return None
    task = json.dumps({"model": str(model.resolve()), "shape": shape, "threads": threads})
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path), task]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{model}: {_INFERENCES} inferences took more than {_PATIENCE_SECONDS} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{model}: its memory cannot be measured: {last}")
    return Memory(**json.loads(done.stdout))


def main() -> None:
    """Measure in this process and print the result as JSON (the child of `of_network`)."""
    task = json.loads(sys.argv[2])
    batch = np.zeros((1, *task["shape"]), dtype=np.float32)
    baseline = resident("VmRSS")
    try:
        with onnxruntime.activate(Path(task["model"]), task["threads"]) as session:
            for _ in range(_INFERENCES):
                session.infer(batch)
            steady = resident("VmRSS")
    except EdgeferError as error:
        sys.exit(str(error))
    json.dump(asdict(Memory(baseline, steady, max(steady, resident("VmHWM")))), sys.stdout)


def there() -> bool:
    """Return whether this system says how much memory a process takes: Linux does."""
    return _STATUS.exists()


def resident(field: str) -> int:
    """Return a field of /proc/self/status in bytes: ``VmRSS`` now, ``VmHWM`` at most, ``RssFile`` pages of files.

    The kernel brings these up to date late, each core up to some hundred KB.
    """
    return _field(_STATUS, field)


def own() -> int:
    """Return the memory of this process's own in bytes, without pages of files; counted page by page, so exact."""
    return _field(_STATUS.with_name("smaps_rollup"), "Anonymous")


def _field(file: Path, field: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{file} has no {field}")
