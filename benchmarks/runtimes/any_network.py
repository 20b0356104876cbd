"""Which of timm's networks work with edgefer: 60 of them, one from each of 60 timm model modules.

python benchmarks/runtimes/any_network.py [--only NETWORK ...]        # goes on where it was interrupted
python benchmarks/runtimes/any_network.py --choose

The list is benchmarks/runtimes/any_network.json, by this rule, which looks at no result of edgefer's: of each module of
timm.models the classifier with the fewest parameters, but for `test_...`, which timm has for its own tests. Modules
whose smallest has more than 32 million parameters are left out: edgefer is for compact networks. Of the others, in the
order of the SHA-256 of their names, the first 60. Each gets the smallest of eight sizes, from 64 pixels on, that timm's
network takes.

Each network goes through `train`, the check before it included, one step on synthetic faces; `compress --ptq` with the
accuracy gate off; and `bench` of accuracy and latency on a CPU, one thread, batch 1. All of it runs in a process of its
own, bounded in time and memory. Weights are as good as random: accuracy says nothing here, and only file sizes and
latencies are kept. Such weights make many denormal numbers, which a trained network does not have and which take a CPU
a hundred times as long: they count as zero here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import resource
import tempfile
import time
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import timm
import torch
from onnxruntime import SessionOptions
from timm.models import list_modules

from benchmarks.common import protocol
from edgefer import bundle, console, paths, recipes, versions
from edgefer.backends import onnxruntime
from edgefer.bench import measurement
from edgefer.compression import worth
from edgefer.compression.compressor import compress
from edgefer.compression.config import CompressConfig
from edgefer.compression.rehearsal import rehearse
from edgefer.data import faces
from edgefer.devices import machine
from edgefer.errors import EdgeferError
from edgefer.lines import one_line
from edgefer.training.trainer import train

LIST = Path(__file__).with_suffix(".json")
FORK = multiprocessing.get_context("fork")  # these imports take seconds; done once
RESULT = LIST.parents[1] / "results" / LIST.name
COUNT = 60
MAX_PARAMETERS = 32_000_000
SIZES = (64, 96, 128, 160, 192, 224, 240, 256)  # pixels
IMAGES = {"train": 8, "val": 8, "test": 8}  # one batch
SECONDS, ENOUGH_SECONDS = 0.3, 3.0  # minimum and maximum timing of each network in the bench
MAX_SECONDS, MAX_BYTES = 1800, 8 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="measure these, again if need be")
    parser.add_argument("--choose", action="store_true", help="write the list anew")
    arguments = parser.parse_args()
    console.enable()
    if arguments.choose:
        choose()
    else:
        denormals_as_zero()
        measurement.MAX_SECONDS = ENOUGH_SECONDS
        measure(arguments.out, arguments.only)


def measure(out: Path, only: list[str] | None) -> None:
    """Test the listed networks, each in a separate process, and save the results after each."""
    listed = json.loads(LIST.read_text(encoding="utf-8"))["networks"]
    for entry in listed:
        if entry["network"] in only if only else entry["network"] not in known(out):
            found = in_own_process(entry["network"], entry["size"])
            console.say(f"{entry['network']}: {found['result']} {found.get('reason', '')}")
            done = known(out) | {entry["network"]: {**entry, **found}}  # another process may have written
            tree = {
                "kind": "edgefer any network",
                "networks": [done[each["network"]] for each in listed if each["network"] in done],
                "protocol": {
                    "says": protocol(__doc__),
                    "images": IMAGES,
                    "bench_seconds": SECONDS,
                    "max_seconds": MAX_SECONDS,
                    "max_bytes": MAX_BYTES,
                },
                "machine": machine.describe().model_dump(mode="json"),
                "versions": versions.installed("torch", "timm", "nncf", "onnx", "onnxruntime", "numpy"),
            }
            paths.write_json(out, tree, indent=1)


def known(out: Path) -> dict[str, dict[str, Any]]:
    """Return the results of an earlier run by network."""
    if not out.exists():
        return {}
    return {entry["network"]: entry for entry in json.loads(out.read_text(encoding="utf-8"))["networks"]}


def in_own_process(network: str, size: int) -> dict[str, Any]:
    """Return a network's result; a process that was killed or crashed is a failure."""
    started = time.monotonic()
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_bounded, args=(theirs, network, size))
    process.start()
    theirs.close()
    found = {"result": "failed", "reason": f"took more than {MAX_SECONDS} s"}
    if ours.poll(MAX_SECONDS):
        try:
            found = ours.recv()
        except EOFError:
            process.join()
            found = {"result": "failed", "reason": f"its process ended with {process.exitcode}"}
    process.kill()
    process.join()
    return {**found, "seconds": round(time.monotonic() - started, 1)}


def _bounded(pipe: Connection, network: str, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    pipe.send(through(network, size))


def through(network: str, size: int) -> dict[str, Any]:
    """Test one network; return ``passed``, ``refused`` before training, or ``failed`` after it, and the reason."""
    torch.set_num_threads(1)
    drawn = faces.builtin(**IMAGES)
    settings = [
        f"model.name={network}",
        "model.args={}",
        "train.mirror=false",
        "train.batch_size=8",
        "train.precision=fp32",
        "phases.0.lr=1e-4",
        f"preprocessing.size={size}",
        "preprocessing.color=rgb",
        "preprocessing.mean=[0.5, 0.5, 0.5]",
        "preprocessing.std=[0.25, 0.25, 0.25]",
    ]
    with tempfile.TemporaryDirectory(prefix="edgefer-any-") as folder:
        work = Path(folder)
        (work / "scheme.toml").write_text('images = 8\nobserver = "minmax"\n', encoding="utf-8")
        try:
            recipe = recipes.load("quickstart", settings, epochs=1)
            rehearse(recipe, len(drawn.classes))
        except EdgeferError as error:
            return {"result": "refused", "reason": str(error)}
        try:
            train(recipe, drawn, work / "run", device="cpu")
            packed = compress(
                work / "run",
                drawn,
                work / "bundle",
                CompressConfig(ptq=True, scheme=str(work / "scheme.toml"), max_drop=100.0, allow_float=True),
            )
            result = measurement.bench([bundle.load(packed.bundle)], drawn, seconds=SECONDS, probes=[])
        except Exception as error:  # any other error came too late
            return {"result": "failed", "reason": one_line(f"{type(error).__name__}: {error}", 300)}
    small = next(each for each in result.comparisons if each.network == "int8-cpu")
    gate = packed.integer_share >= worth.MIN_SHARE and small.file_bytes < 1
    return {
        "result": "passed",
        "by_default": "accepted" if gate else "rejected",
        "integer_share": packed.integer_share,
        "file": small.file_bytes,
        "latency": asdict(small.latency),
        "macs": result.bundles[0].macs,
    }


def denormals_as_zero() -> None:
    """Make torch and ONNX Runtime flush numbers under 1.2e-38 to zero, in this process and its forks."""
    torch.set_flush_denormal(True)
    plain = onnxruntime.options

    def options(threads: int = 1, optimize: bool = True, exact: bool = True) -> SessionOptions:
        found = plain(threads, optimize, exact)
        found.add_session_config_entry("session.set_denormal_as_zero", "1")
        return found

    onnxruntime.options = options


def choose() -> None:
    """Write the list: 60 networks, each with its module, parameters (1,000 classes) and size."""
    smallest = [found for module in list_modules() if (found := smallest_of(module))]
    smallest = [entry for entry in smallest if entry["parameters"] <= MAX_PARAMETERS]
    chosen = sorted(smallest, key=lambda entry: hashlib.sha256(entry["module"].encode()).hexdigest())[:COUNT]
    chosen.sort(key=lambda entry: str(entry["module"]))
    for entry in chosen:
        entry["size"] = size_of(entry["network"])
        console.say(f"{entry['module']}: {entry['network']} at {entry['size']} px")
    rule = " ".join((__doc__ or "").split("\n\n")[2].split())
    tree = {"rule": rule, "of_modules": len(smallest), "versions": versions.installed("timm"), "networks": chosen}
    paths.write_json(LIST, tree, indent=1)


def smallest_of(module: str) -> dict[str, Any] | None:
    """Return the smallest classifier of a timm module; None if it only has test models."""
    sizes = {}
    for name in timm.list_models(module=module):
        if not name.startswith("test_"):
            with torch.device("meta"):
                sizes[name] = sum(weight.numel() for weight in timm.create_model(name).parameters())
    if not sizes:
        return None
    network = min(sizes, key=lambda name: (sizes[name], name))
    return {"module": module, "network": network, "parameters": sizes[network]}


def size_of(name: str) -> int:
    """Return the first of `SIZES` that a network accepts; its own size if it accepts none."""
    network = timm.create_model(name, num_classes=7).eval()
    for size in SIZES:
        try:
            with torch.no_grad():
                network(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError, ValueError):
            continue
        return size
    config: Any = network.pretrained_cfg
    return int(config["input_size"][-1])


if __name__ == "__main__":
    main()
