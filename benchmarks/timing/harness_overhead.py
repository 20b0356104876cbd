"""Overhead of the timing loop: it times a network that does nothing.

python benchmarks/timing/harness_overhead.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import paths
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "harness_overhead.json"


def nothing(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the input: only the call and the clock are timed."""
    return batch


def main() -> None:
    """Measure and write the result."""
    inputs = [np.zeros((1, 1, 44, 44), dtype=np.float32)]
    (samples,) = timing.in_turn([nothing], [inputs], seconds=0.2)
    found = timing.latency(samples)
    result = {
        "what": "latency of a network that does nothing, microseconds",
        "p50": 1000 * found.p50,
        "p99": 1000 * (found.p99 or 0),
        "samples": found.samples,
        "load": machine.load_average(),
        "machine": machine.describe().model_dump(),
    }
    paths.write_json(OUT, result, indent=2)
    print(f"{result['p50']:.2f} us at p50, {result['p99']:.2f} us at p99: {OUT}")


if __name__ == "__main__":
    main()
