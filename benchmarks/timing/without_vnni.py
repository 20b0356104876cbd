"""INT8 on an x86 CPU without VNNI: ONNX Runtime on an emulated one, compared with this machine.

python benchmarks/timing/without_vnni.py [BUNDLE ...] [--data FER2013.zip] [--images 100] [--qemu qemu-x86_64-static]

Without VNNI ONNX Runtime's fast kernels add two products of 8 bits up in 16, which saturate where weights are beyond
-64 to 64. Sessions of edgefer ask it for exact kernels there (`runtimes.onnxruntime.options`). Each network's file runs
with both on an emulated Haswell, by qemu's user-mode emulation of this Python, and its logits are held against this
machine's. Nothing is timed there: an emulator's speed says nothing. What exact kernels cost is timed here instead, both
in turn, on one thread: this CPU has them too, and VNNI makes only the others faster. Images are PublicTest's, evenly
spread. Without BUNDLE it is the networks that come with edgefer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.common import FER2013, protocol
from benchmarks.runtimes.aarch64 import agreement, output
from edgefer import bundle, data, paths, versions
from edgefer.backends.onnxruntime import OnnxRuntimeSession, options
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "without_vnni.json"
CORE = "Haswell"
KERNELS = {"fast": "0", "exact": "1"}  # the value of session.x64quantprecision

# Runs on both sides, image by image as on a device.
RUN = """
import json, sys
import numpy as np
import onnxruntime as ort
model, folder = sys.argv[1:]
images = np.load(f"{folder}/inputs.npy")
for name, exact in json.loads(KERNELS).items():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", exact)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0].name
    np.save(f"{folder}/{name}.npy", np.concatenate([session.run(None, {feed: image[None]})[0] for image in images]))
""".replace("KERNELS", repr(json.dumps(KERNELS)))

Logits = dict[str, NDArray[np.float32]]


def logits(python: list[str], model: Path, inputs: NDArray[np.float32]) -> Logits:
    """Return a network's logits by kind of kernel, run by `python`, a command."""
    with tempfile.TemporaryDirectory(prefix="edgefer-") as folder:
        np.save(Path(folder) / "inputs.npy", inputs)
        output(
            [*python, "-c", RUN, str(model), folder], f"{python[0]} cannot run {model}", {"ORT_DISABLE_TELEMETRY": "1"}
        )
        return {name: np.load(Path(folder) / f"{name}.npy") for name in KERNELS}


def cost(model: Path, inputs: NDArray[np.float32], seconds: float) -> dict[str, Any]:
    """Return the slowdown of exact kernels against fast ones on this CPU."""
    sessions = []
    for exact in KERNELS.values():
        settings = options()
        settings.add_session_config_entry("session.x64quantprecision", exact)
        inner = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        sessions.append(OnnxRuntimeSession(inner, model.name))
    batches = [image[None] for image in inputs]
    fast, exact_samples = timing.in_turn([each.infer for each in sessions], [batches] * 2, seconds=seconds)
    return {
        "exact_over_fast": asdict(timing.ratio(exact_samples, fast)),
        "milliseconds": {"fast": timing.latency(fast).p50, "exact": timing.latency(exact_samples).p50},
    }


def measure(found: bundle.Bundle, images: NDArray[np.uint8], labels: NDArray[Any], qemu: str) -> dict[str, Any]:
    """Run a bundle's network for CPUs here and on the emulated CPU."""
    file, inputs = found.file("int8-cpu"), found.manifest.preprocessing.apply(images)
    here = logits([sys.executable], file, inputs)
    there = logits([qemu, "-cpu", CORE, sys.executable], file, inputs)
    entry = {
        "bundle": found.manifest.name,
        "sha256": found.manifest.networks["int8-cpu"].sha256,
        "beside_this_machine": {name: agreement(there[name], here["fast"]) for name in KERNELS},
        "exact_here": agreement(here["exact"], here["fast"]),
        "right": {"here": right(here["fast"], labels), **{name: right(there[name], labels) for name in KERNELS}},
        **cost(file, inputs, seconds=3.0),
    }
    print(json.dumps(entry, indent=1), flush=True)
    return entry


def right(answers: NDArray[np.float32], labels: NDArray[Any]) -> int:
    return int((answers.argmax(1) == labels).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", default=list(bundle.pretrained()), metavar="BUNDLE")
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--qemu", default="qemu-x86_64-static", help="of Debian's qemu-user-static, 7.2 or later")
    given = parser.parse_args()
    if not machine.describe().fast_int8 or machine.describe().architecture != "x86_64":
        raise SystemExit("this takes an x86 machine with VNNI: its answers are the ones to hold the others against")
    dataset = data.find(given.data)
    validation = data.split(dataset, "val")
    rows = np.linspace(0, len(validation) - 1, given.images).astype(np.int64)
    load_before = machine.load_average()
    result = {
        "what": "INT8 networks by ONNX Runtime on an emulated x86 CPU without VNNI: logits and predictions beside this "
        "machine's, with fast kernels, which saturate, and exact ones",
        "protocol": protocol(__doc__),
        "core": CORE,
        "emulator": output([given.qemu, "--version"], "qemu does not start").splitlines()[0],
        "data": {"name": dataset.name, "digest": dataset.digest, "split": "val", "images": len(rows)},
        "bundles": [
            measure(bundle.load(each), validation.take(rows), validation.labels[rows], given.qemu)
            for each in given.bundles
        ],
        "load_before": load_before,
        "load_after": machine.load_average(),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("onnxruntime", "numpy"),
    }
    paths.write_json(OUT, result, indent=2)
    print(OUT)


if __name__ == "__main__":
    main()
