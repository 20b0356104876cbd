"""Memory use of evaluation: edgefer-base's INT8 network over all images of FER2013, and over ten times as many.

python benchmarks/timing/streaming_memory.py [FER2013.zip] [--threads 2]

Each evaluation is what `edgefer bench` does: logits over a split, 64 images at a time, then figures from them; in a
process of its own. Ten times as many images are the same ones again and again, by a split whose indices repeat. What
is counted from is a process that has data and network open and has answered batches of each size that comes. Images
are memory-mapped: pages that were read stay in the resident set until the kernel needs them, at most the data set's
size however often they are read. So memory of the process's own (Anonymous in smaps_rollup, which is exact) is stated
apart from pages of files (RssFile). It is looked at every 10 ms, as the kernel keeps no peak of it; the peak of the
whole resident set is the kernel's (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.common import FER2013, protocol
from edgefer import bundle, data, paths, versions
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench.probes import accuracy
from edgefer.bench.probes.memory import own, resident
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine
from edgefer.evaluation import predict

OUT = Path(__file__).parents[1] / "results" / "streaming_memory.json"
NETWORK = "int8-cpu"
TIMES = (1, 10)
BATCH = 64  # as in a bench
WARM = 4  # batches
LOGIT_BYTES = 4


class Watch:
    """The peak of this process's anonymous memory while the block runs."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = own()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, own())

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.most = max(self.most, own())


def repeated(dataset: Dataset, times: int) -> Split:
    """Return all images of a data set in order, repeated."""
    indices = np.tile(np.arange(len(dataset), dtype=np.int64), times)
    return Split(f"all, {times} x", dataset.images, indices, dataset.labels[indices], dataset.rows[indices])


def evaluate(made: bundle.Bundle, network: str, rows: Split, threads: int) -> dict[str, Any]:
    """Evaluate in this process; return its memory in bytes and the seconds."""
    session = registry.open_network(made, network, options=Options(threads=threads))
    spec = made.manifest.preprocessing
    # ONNX Runtime plans its memory for each new shape: full batches and the smaller last one.
    warm = np.arange(min(WARM * BATCH + len(rows) % BATCH, len(rows)))
    for _ in range(2):
        predict.logits(session.infer, spec, rows.subset(warm), BATCH)
    before, files = own(), resident("RssFile")
    start = time.perf_counter()
    with Watch() as streaming:
        logits = predict.logits(session.infer, spec, rows, BATCH)
    streamed = time.perf_counter() - start
    with Watch() as judging:
        judged = accuracy.of(made, rows, None, logits)
    return {
        "images": len(rows),
        "seconds": streamed,
        "accuracy": judged.quality.accuracy,
        "logits": logits.nbytes,
        "own_before": before,
        "own_streaming": streaming.most,
        "own_judging": judging.most,
        "file_pages_before": files,
        "file_pages_after": resident("RssFile"),
        "peak": max(resident("VmHWM"), resident("VmRSS")),
    }


def in_own_process(source: Path, times: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, str(source), "--threads", str(threads), "--times", str(times)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def per_image(runs: list[dict[str, Any]], stage: str) -> float:
    """Return the bytes per additional image: the difference between the two evaluations."""
    few, many = (run[stage] - run["own_before"] for run in runs)
    return float((many - few) / (runs[1]["images"] - runs[0]["images"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=FER2013)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, help="evaluate in this process and print the result")
    arguments = parser.parse_args()
    made = bundle.load("edgefer-base")
    if arguments.times:
        rows = repeated(data.load(arguments.data), arguments.times)
        json.dump(evaluate(made, NETWORK, rows, arguments.threads), sys.stdout)
        return
    dataset = data.load(arguments.data)  # fills the cache, if needed
    said = {"name": dataset.name, "digest": dataset.digest, "images": len(dataset), "bytes": dataset.images.nbytes}
    load_before = machine.load_average()
    runs = [in_own_process(arguments.data, times, arguments.threads) for times in TIMES]
    logit_bytes = LOGIT_BYTES * len(made.manifest.labels)
    result = {
        "what": "memory of evaluating a network over 1 x and 10 x the images, bytes",
        "protocol": protocol(__doc__),
        "bundle": "edgefer-base",
        "network": NETWORK,
        "sha256": made.manifest.networks[NETWORK].sha256,
        "data": said,
        "batch": BATCH,
        "threads": arguments.threads,
        "runs": [{"times": times, **run} for times, run in zip(TIMES, runs, strict=True)],
        "bytes_per_image": {
            "logits": logit_bytes,
            "streaming": per_image(runs, "own_streaming"),
            "judging": per_image(runs, "own_judging"),
        },
        "load_before": load_before,
        "load_after": machine.load_average(),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("onnxruntime", "numpy"),
    }
    paths.write_json(OUT, result, indent=2)
    print(f"{result['bytes_per_image']} bytes an image, {[round(run['seconds']) for run in runs]} s: {OUT}")


if __name__ == "__main__":
    main()
