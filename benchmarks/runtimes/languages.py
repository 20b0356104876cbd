"""A network from Python, Node, C++ and LiteRT: label differences, latency, cold start and download size.

python benchmarks/runtimes/languages.py [--data fer2013.zip] [--rounds 5]

Each program is started as a user starts it. It labels all of PrivateTest first; labels that differ from edgefer's
Python are counted, on the same runtime and on ONNX Runtime. Then the programs are started in turn, round by round, with
1 and with 201 faces of 48 x 48, preprocessing included, on one thread. A picture's time is the difference over 200, in
CPU time, which other programs on the machine disturb little; the first answer is the time from start to end with 1
face. Medians over the rounds; the ratio to edgefer's Python is taken within each round. Downloads are what pip or npm
fetches, and the network's file. The program for LiteRT reads PNG files, the others one file of raw pixels.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import FER2013, command, protocol
from edgefer import bundle, console, data, paths, versions
from edgefer.devices import machine
from edgefer.export import litert_file, onnx_file

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "docs" / "samples"
OUT = ROOT / "benchmarks" / "results" / "languages.json"
NETWORKS = ("edgefer-nano", "edgefer-small", "edgefer-base")
FACES = (1, 201)  # in the timed files
REFERENCE = "Python, edgefer"

Words = list[str | Path]
EDGEFER: Words = [sys.executable, ROOT / "benchmarks" / "runtimes" / "answer.py"]


@dataclass(frozen=True)
class Program:
    """How to start a program, and what it needs.

    Attributes:
        title: for tables.
        runtime: what runs the network.
        device: edgefer's name of that runtime.
        words: before the network and the pictures.
        model: the network's argument: ``.onnx``, ``.tflite``, or empty for its name.
        download: bytes that pip or npm fetches.
    """

    title: str
    runtime: str
    device: str
    words: Words
    model: str
    download: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    rows = data.split(data.load(arguments.data), "test")
    images = [np.repeat(image[:, :, None], 3, axis=2) for image in rows.take(np.arange(len(rows)))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        listed = programs(folder)
        lines = [line for name in NETWORKS for line in measure(name, listed, images, arguments.rounds, folder)]
        node_version = _said("node", "--version")
    tree = {
        "kind": "edgefer in other languages",
        "command": command(),
        "protocol": protocol(__doc__),
        "images": len(images),
        "rounds": arguments.rounds,
        "programs": lines,
        "machine": machine.describe().model_dump(mode="json"),
        "versions": {
            **versions.installed("ai-edge-litert", "onnxruntime", "openvino", "numpy"),
            "node": node_version,
            "onnxruntime-node": _node_package(),
            "g++": _said("g++", "-dumpfullversion"),
        },
    }
    paths.write_json(arguments.out, tree, indent=1)


def programs(folder: Path) -> list[Program]:
    """Build and install the programs in a folder; return how to start each."""
    started, litert = node(folder), SAMPLES / "litert" / "label.py"
    return [
        Program(REFERENCE, "ONNX Runtime", "cpu", [*EDGEFER, "cpu"], "", wheels(folder / "edgefer", ROOT)),
        Program(
            "Python, onnxruntime alone",
            "ONNX Runtime",
            "cpu",
            [sys.executable, SAMPLES / "python" / "label.py"],
            ".onnx",
            wheels(folder / "onnxruntime", "onnxruntime"),
        ),
        Program("Node", "ONNX Runtime", "cpu", started, ".onnx", tarballs(folder / "npm")),
        Program(
            "Python, ai-edge-litert alone",
            "LiteRT",
            "litert",
            [sys.executable, litert],
            ".tflite",
            wheels(folder / "litert", "ai-edge-litert", "pillow"),
        ),
        Program(
            "C++", "OpenVINO", "openvino", cpp(folder), ".onnx", wheels(folder / "openvino", "openvino", "--no-deps")
        ),
    ]


def node(folder: Path) -> Words:
    """Install the Node sample into a folder; return how to start it."""
    copy = shutil.copytree(SAMPLES / "node", folder / "node")
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    subprocess.run(["npm", "install", *quiet, "--cache", folder / "npm"], cwd=copy, check=True)
    return ["node", copy / "label.mjs"]


def cpp(folder: Path) -> Words:
    """Build the C++ sample in a folder; return how to start it."""
    import openvino

    config = Path(openvino.__file__).parent / "cmake"
    settings = (f"-DOpenVINO_DIR={config}", "-DCMAKE_BUILD_TYPE=Release")
    made = folder / "cpp"
    subprocess.run(["cmake", "-S", SAMPLES / "cpp", "-B", made, *settings], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", made], check=True, stdout=subprocess.DEVNULL)
    return [made / "label"]


def write_pam(path: Path, images: Iterable[NDArray[np.uint8]]) -> None:
    """Write pictures, uint8 (H, W, 3 or 4), one after another as Netpbm PAM."""
    with path.open("wb") as file:
        for image in images:
            height, width, depth = image.shape
            kind = {3: "RGB", 4: "RGB_ALPHA"}[depth]
            header = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL 255\nTUPLTYPE {kind}\nENDHDR\n"
            file.write(header.encode() + image.tobytes())


def measure(
    name: str, listed: list[Program], images: list[NDArray[np.uint8]], rounds: int, folder: Path
) -> list[dict[str, Any]]:
    """Return a line for each program on one network."""
    opened = bundle.load(name)
    onnx = onnx_file.write(opened, folder / f"{name}.onnx", "int8-cpu")
    lite = litert_file.write(opened, folder / f"{name}.tflite", "int8-cpu")
    named: dict[str, tuple[str | Path, int]] = {
        "": (name, 0),  # ships with edgefer
        ".onnx": (onnx.model, onnx.bytes),
        ".tflite": (lite.model, lite.bytes),
    }
    faces = {count: pictures(folder, images[:count]) for count in (len(images), *FACES)}

    def words(program: Program, count: int) -> Words:
        network, _ = named[program.model]
        return [*program.words, network, *faces[count][program.model == ".tflite"]]

    whole = faces[len(images)][False]
    python = {device: labels([*EDGEFER, device, name, *whole]) for device in {each.device for each in listed}}
    answers = [labels(words(each, len(images))) for each in listed]
    rows = []
    for number in range(rounds):
        console.say(f"{name}: round {number + 1} of {rounds}")
        rows.append([[used(words(each, count)) for count in FACES] for each in listed])
    lines = []
    for place, program in enumerate(listed):
        costs = [(row[place][1].cpu - row[place][0].cpu) / (FACES[1] - FACES[0]) for row in rows]
        base = [(row[0][1].cpu - row[0][0].cpu) / (FACES[1] - FACES[0]) for row in rows]
        lines.append(
            {
                "network": name,
                "program": program.title,
                "runtime": program.runtime,
                "labels_differ": other(answers[place], python["cpu"]),
                "labels_differ_on_same_runtime": other(answers[place], python[program.device]),
                "cpu_milliseconds": spread([1000 * each for each in costs]),
                "over_python": spread([one / two for one, two in zip(costs, base, strict=True)]),
                "first_answer_seconds": spread([row[place][0].wall for row in rows]),
                "first_answer_cpu_seconds": spread([row[place][0].cpu for row in rows]),
                "download_bytes": program.download + named[program.model][1],
            }
        )
    return lines


def pictures(folder: Path, images: list[NDArray[np.uint8]]) -> tuple[Words, Words]:
    """Write pictures; return one file with all of them, and a PNG file for each."""
    raw = folder / f"{len(images)}.pam"
    write_pam(raw, images)
    single = [folder / f"{number}.png" for number in range(len(images))]
    for path, image in zip(single, images, strict=True):
        if not path.exists():
            Image.fromarray(image).save(path)
    return [raw], [*single]


@dataclass(frozen=True)
class Used:
    """Wall-clock seconds of a process."""

    wall: float
    cpu: float


def used(words: Words) -> Used:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _said(*words)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def other(found: list[str], right: list[str]) -> int:
    """Return the number of wrong labels."""
    return sum(a != b for a, b in zip(found, right, strict=True))


def labels(words: Words) -> list[str]:
    return [line.rpartition(" ")[0] for line in _said(*words).splitlines()]


def spread(values: list[float]) -> dict[str, float]:
    """Return the median, minimum and maximum over all rounds."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def wheels(folder: Path, *what: str | Path) -> int:
    """Return the size of the wheels that pip fetches for a package and its requirements."""
    pinned = ("-c", ROOT / "constraints.txt")
    pip: Words = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-cache-dir", *pinned, "-w", folder]
    subprocess.run([*pip, *what], check=True)
    return sum(each.stat().st_size for each in folder.glob("*.whl"))


def tarballs(cache: Path) -> int:
    """Return the size of the packages in npm's cache; the rest of the cache is JSON metadata."""
    files = [each for each in (cache / "_cacache" / "content-v2").rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files if each.open("rb").read(2) == b"\x1f\x8b")


def _said(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _node_package() -> str:
    wanted: dict[str, str] = json.loads((SAMPLES / "node" / "package.json").read_text())["dependencies"]
    return wanted["onnxruntime-node"]


if __name__ == "__main__":
    main()
