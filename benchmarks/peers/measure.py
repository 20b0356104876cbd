"""edgefer's networks beside what people install today, each in an environment of its own, in one run.

python benchmarks/peers/measure.py [--data FER2013.zip] [--out FILE.json] [--environments FOLDER] [--rounds 60]

Accuracy, macro F1 and calibration error (15 bins) on PrivateTest, all of it and deduplicated, where a peer has weights
for these seven classes. Each peer's images are made as its own code makes them (`takes`), of that part of the picture
(43, 48 or 53 of 48 pixels) with which it is right most often on 500 images of PublicTest; ours take all 48. Latency:
one inference on one thread, input ready, all peers in turn, round by round, over the first one's by paired medians.
First answer: seconds from the start of a process, the least of three; memory: the peak of that process until then.
Bytes to install: the unpacked wheels that pip chooses, or npm's node_modules. Joules: of the processor's package for
one inference, idle power in it, where RAPL's counters can be read. The EfficientNets and deepface have random weights:
speed does not depend on them. A peer that cannot be installed or started has its error in the place of figures.
Environments, sizes of releases and probabilities are kept between runs; edgefer is installed anew each time.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import FER2013, command, protocol
from benchmarks.peers import sizes
from benchmarks.peers.peers import ROOT, Peer, list_peers
from edgefer import console, data, paths
from edgefer.devices import machine, rapl
from edgefer.evaluation import metrics, timing

HERE = Path(__file__).parent
CHECKPOINTS = ROOT.parent / "shared" / "checkpoints"
CUTS = (43, 48, 53)  # of 48 pixels
CHOSEN_ON = 500  # images of PublicTest


class Worker:
    """A peer's process."""

    def __init__(self, folder: Path, peer: Peer, images: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""}
        # A pipe that nobody empties would block a worker that says much.
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        if peer.of_npm:
            line = ["node", str(HERE / "worker.js"), peer.kind, str(folder), str(images)]
        else:
            line = [str(folder / "bin" / "python"), str(HERE / "worker.py"), peer.kind, peer.model, str(images)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, env=environment
        )
        self._answer()
        self.first_answer_seconds = time.perf_counter() - started

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
    """Measure the peers and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "peers.json")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "edgefer-peers")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="has lite0-96")
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    console.enable()
    dataset = data.load(arguments.data)
    test, clean = data.split(dataset, "test"), data.split(dataset, "test-leak-free")
    public = data.split(dataset, "val")
    kept = np.isin(test.indices, clean.indices)
    few, all_of_test = public.take(slice(0, CHOSEN_ON)), test.take(slice(None))
    pip = environment(arguments.environments / "pip", (sizes.PIP,), npm=False) / "bin" / "python"
    kept_probabilities = KeptProbabilities(arguments.environments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = folder / "images.npy"
        np.save(images, all_of_test[:64])
        results: dict[str, dict[str, Any]] = {}
        workers: dict[str, Worker] = {}
        chosen: dict[str, int] = {}  # what part of the picture each network's file takes best
        for peer in list_peers(folder, arguments.environments, arguments.checkpoints):
            console.say(f"{peer.title}: starting")
            said: dict[str, Any] = {"training": peer.training, "takes": peer.takes, "labels": peer.labels}
            results[peer.title] = {"protocol": said}
            if peer.published:
                results[peer.title]["published"] = peer.published._asdict()
            try:
                place = environment(arguments.environments / peer.environment, peer.packages, peer.of_npm)
                workers[peer.title], seconds = least(place, peer, images)
                bytes_to_install = (
                    sizes.of_npm(place)
                    if peer.of_npm
                    else sizes.of_pip(pip, peer.install, arguments.environments / "sizes.json")
                )
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                results[peer.title]["error"] = str(error).splitlines()[0]
                console.say(f"{peer.title}: {error}")
                continue
            file = peer.file(place)
            results[peer.title] |= {
                "file_bytes": file.stat().st_size,
                "sha256": paths.sha256(file),
                "bytes_to_install": bytes_to_install,
                "first_answer_seconds": round(seconds, 3),
                "peak_memory": workers[peer.title].ask("memory"),
                "versions": workers[peer.title].ask("versions"),
            }
            if peer.training is None:
                continue
            side = 48
            if peer.kind == "keras":
                side = chosen["tflite"]  # the same network
            elif peer.kind != "edgefer":
                right = {
                    each: quality(kept_probabilities.of(place, peer, few, each), public.labels[:CHOSEN_ON])["accuracy"]
                    for each in CUTS
                }
                side = chosen[peer.kind] = max(right, key=lambda each: (right[each], each == side))
                said["public_test_by_pixels"] = {str(each): value for each, value in right.items()}
            said["pixels"] = side
            found = kept_probabilities.of(place, peer, all_of_test, side)
            results[peer.title]["test"] = quality(found, test.labels)
            results[peer.title]["leak_free"] = quality(found[kept], test.labels[kept])
        load_before = os.getloadavg()[0]
        samples, joules = in_turn(workers, arguments.rounds)
        load_after = os.getloadavg()[0]
        first = next(iter(samples))
        for title, times in samples.items():
            milliseconds = 1e3 * np.array(times)
            ratio = timing.ratio(*(np.reshape(each, (-1, timing.TURN)) for each in (times, samples[first])))
            results[title] |= {
                "latency": {f"p{q}": float(np.percentile(milliseconds, q)) for q in (50, 90, 99)},
                "over_first": {"estimate": ratio.estimate, "low": ratio.low, "high": ratio.high},
                "joules": joules[title],
            }
            workers[title].close()
    result = {
        "kind": "edgefer peers",
        "peers": results,
        "protocol": {
            "says": protocol(__doc__),
            "command": command(),
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


def in_turn(workers: dict[str, Worker], rounds: int) -> tuple[dict[str, list[float]], dict[str, float | None]]:
    """Return each worker's seconds and the joules of one inference, None without a sensor."""
    samples: dict[str, list[float]] = {title: [] for title in workers}
    used: dict[str, list[float]] = {title: [] for title in workers}
    with console.progress("timing in turn", rounds) as advance:
        for number in range(rounds):
            for title in list(workers)[:: 1 if number % 2 else -1]:
                before = rapl.counters()
                samples[title] += workers[title].ask(f"time {timing.UNTIMED} {timing.TURN}")
                packages = rapl.joules(before, rapl.counters())
                used[title] += [value for domain, value in packages.items() if domain.startswith("package-")]
            advance()
    inferences = rounds * (timing.UNTIMED + timing.TURN)
    return samples, {title: sum(each) / inferences if each else None for title, each in used.items()}


@functools.cache
def environment(folder: Path, packages: tuple[str, ...], npm: bool) -> Path:
    """Return an environment that has these packages, made where it is not there."""
    done, asked = folder / "packages.json", ["." if each == str(ROOT) else each for each in packages]
    made = done.exists() and json.loads(done.read_text()) == asked
    if npm:
        if not made:
            folder.mkdir(parents=True, exist_ok=True)
            quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(["npm", "install", "--prefix", folder, *quiet, *packages], check=True)
    else:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "-q", "install", "--no-input"]
        if not made:
            venv.create(folder, with_pip=True, clear=True, symlinks=True)
            pinned = ["-c", str(ROOT / "constraints.txt")] if str(ROOT) in packages else []
            subprocess.run([*pip, *pinned, *packages], check=True)
        elif str(ROOT) in packages:  # edgefer may have changed since
            subprocess.run([*pip, "--no-deps", "--force-reinstall", str(ROOT)], check=True)
    done.write_text(json.dumps(asked))
    return folder


def least(folder: Path, peer: Peer, images: Path) -> tuple[Worker, float]:
    """Return a worker that stays, and the least seconds to a first answer of three."""
    times = []
    for _ in range(2):
        worker = Worker(folder, peer, images)
        times.append(worker.first_answer_seconds)
        worker.close()
    stays = Worker(folder, peer, images)
    return stays, min(*times, stays.first_answer_seconds)


class KeptProbabilities:
    """Probabilities of a peer for images, asked for once: they are kept by what they depend on.

    Args:
        environments: where they are kept.
    """

    def __init__(self, environments: Path) -> None:
        self._kept = environments / "probabilities"
        self._kept.mkdir(parents=True, exist_ok=True)

    def of(self, folder: Path, peer: Peer, images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
        """Return float32, (n, 7), in FER2013's order, of images whose central `side` pixels are taken.

        Where `side` is more than the images have, their last pixels go on.
        """
        worker = (HERE / ("worker.js" if peer.of_npm else "worker.py")).read_bytes()
        said = json.dumps([peer.kind, peer.packages, paths.sha256(peer.file(folder)), side])
        digest = hashlib.sha256(said.encode() + worker + np.ascontiguousarray(images).tobytes()).hexdigest()
        kept = self._kept / f"{digest}.npy"
        if not kept.exists():
            console.say(f"{peer.title}: evaluating {len(images):,} images, {side} px of them")
            with tempfile.TemporaryDirectory() as name:
                np.save(Path(name) / "images.npy", cut(images, side))
                asked = Worker(folder, peer, Path(name) / "images.npy")
                found = np.array(asked.ask("evaluate"), np.float32)
                asked.close()
            with paths.write_atomically(kept) as part, part.open("wb") as file:
                np.save(file, found)
        return np.asarray(np.load(kept), np.float32)


def cut(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the central square of images, (n, side, side); beyond their edge the last pixels go on."""
    have = images.shape[1]
    if side <= have:
        start = (have - side) // 2
        return np.ascontiguousarray(images[:, start : start + side, start : start + side])
    before = (side - have) // 2
    around = (before, side - have - before)
    return np.pad(images, ((0, 0), around, around), mode="edge")


def quality(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, macro F1 and expected calibration error."""
    matrix = metrics.confusion(labels, probabilities.argmax(axis=1), 7)
    return {
        "accuracy": metrics.accuracy(matrix),
        "macro_f1": metrics.macro_f1(matrix),
        "calibration_error": metrics.calibration_error(probabilities, labels),
    }


if __name__ == "__main__":
    main()
