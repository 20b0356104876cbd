"""Does aarch64 need its own lowering? Fusions of ONNX Runtime's aarch64 wheel, and its logits compared with x86.

python benchmarks/runtimes/aarch64.py BUNDLE... [--data FER2013.zip] [--images 32] [--root /var/tmp/edgefer-aarch64]

The wheel of the onnxruntime installed here runs under qemu's user-mode emulation. Debian's arm64 Python and qemu come
by apt-get into --root and are unpacked there; nothing is installed on this machine, and what is there is not fetched
again. Nothing is timed: an emulator's speed says nothing of a real core's. The first core runs the bundle's INT8 files
with graph optimization off and on, and its CPU file with every activation's zero point moved, scales untouched; the
other cores run the CPU file alone, since what stays in FP32 is slow to emulate (7 s of CPU time an image in all).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.common import protocol
from edgefer import bundle, data, paths
from edgefer.devices import machine
from edgefer.graph.graph import Graph

OUT = Path(__file__).parents[1] / "results" / "aarch64.json"
# qemu's name, then implementer, variant and part from /proc/cpuinfo.
CORES = {
    "dot product (Cortex-A76, as in Raspberry Pi 5)": ("cortex-a76", 0x41, 0x4, 0xD0B),
    "no dot product (Cortex-A72, as in Raspberry Pi 4)": ("cortex-a72", 0x41, 0x0, 0xD08),
    "dot product, i8mm, SVE (qemu's own core)": ("max,sme=off", 0x00, 0xF, 0x051),
}
PACKAGES = ("python3:arm64", "libstdc++6:arm64", "qemu-user-static")
FILES = ("int8-cpu", "int8-tensorrt")
LEVELS = {"off": "ORT_DISABLE_ALL", "on": "ORT_ENABLE_ALL"}

# Runs on both sides, image by image as on a device; saves the logits and the graph that ONNX Runtime optimized.
RUN = """
import json, platform, sys
import numpy as np
import onnxruntime as ort
model, inputs, out, *levels = sys.argv[1:]
images = np.load(inputs)
for level in levels:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.optimized_model_filepath = f"{out}/{level}.onnx"
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    logits = [session.run(None, {name: image[None]})[0] for image in images]
    np.save(f"{out}/{level}.npy", np.concatenate(logits))
versions = {"python": platform.python_version(), "onnxruntime": ort.__version__, "numpy": np.__version__}
print(json.dumps({"architecture": platform.machine(), "versions": versions}))
"""

Array = NDArray[Any]


class Emulated(NamedTuple):
    """An aarch64 Python: emulator, Debian files, interpreter and the wheels."""

    qemu: Path
    system: Path
    python: Path
    packages: Path

    def command(self, core: str) -> list[str]:
        return [str(self.qemu), "-cpu", core, "-L", str(self.system), str(self.python)]


def output(command: list[str], failing: str, environment: dict[str, str] | None = None) -> str:
    """Return a command's output; exit with one line if it fails."""
    try:
        done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SystemExit(f"{failing}: there is no {error.filename} here") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise SystemExit(f"{failing}: {lines[-1]} (exit status {done.returncode})")
    return done.stdout


def set_up(root: Path) -> Emulated:
    """Return an emulated Python; fetch the missing parts first."""
    system = root / "system"
    if not system.exists():
        with paths.write_folder_atomically(system) as part, tempfile.TemporaryDirectory() as folder:
            print(f"fetching {', '.join(PACKAGES)} into {root}")
            unpack(part, Path(folder))
    qemu = next(iter(sorted(system.glob("usr/bin/qemu-aarch64*"))), None)
    python = next(iter(sorted(system.glob("usr/bin/python3.*[0-9]"))), None)
    if qemu is None or python is None:
        raise SystemExit(f"{system} lacks qemu or Python; remove it, and it is fetched again")
    version = metadata.version("onnxruntime")
    packages = root / f"onnxruntime-{version}-{python.name}"
    if not packages.exists():
        print(f"fetching onnxruntime {version} for aarch64 into {packages}")
        platforms = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in (17, 27, 28)]
        with paths.write_folder_atomically(packages) as part:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:", f"--target={part}"]
            pip += [*platforms, f"--python-version={python.name.removeprefix('python')}"]
            output([*pip, f"onnxruntime=={version}", "numpy"], "pip cannot fetch the aarch64 wheels")
    return Emulated(qemu, system, python, packages)


def unpack(system: Path, folder: Path) -> None:
    """Fetch Debian packages with separate lists and state, so that the machine's own are untouched."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    (folder / "status").touch()
    apt = ["apt-get", "-qq", "-oAPT::Architectures=amd64,arm64", "-oAPT::Sandbox::User="]
    apt += [f"-oDir::State={folder}", f"-oDir::State::status={folder / 'status'}", f"-oDir::Cache={folder}"]
    failing = "apt-get cannot fetch arm64 packages (Debian's archive has them)"
    output([*apt, "update"], failing)
    output([*apt, "install", "-y", "--no-install-recommends", "--download-only", *PACKAGES], failing)
    for name in ("bin", "lib", "sbin"):  # the loader is in /lib, which is empty in newer packages
        (system / "usr" / name).mkdir(parents=True)
        (system / name).symlink_to(f"usr/{name}")
    for package in sorted((folder / "archives").glob("*.deb")):
        output(["dpkg-deb", "-x", str(package), str(system)], f"cannot unpack {package.name}")


def describe_core(system: Path, implementer: int, variant: int, part: int) -> None:
    """Write the emulated core's /proc/cpuinfo.

    qemu 7.2 shows the host's, in which ONNX Runtime finds no ARM core: 1.28 and later crash at import. ONNX Runtime
    infers a core's features from its name, so a wrong name ends in an illegal instruction.
    """
    core = f"CPU implementer\t: {implementer:#04x}\nCPU architecture: 8\nCPU variant\t: {variant:#x}\n"
    core += f"CPU part\t: {part:#05x}\nCPU revision\t: 0\n\n"
    (system / "proc").mkdir(exist_ok=True)
    text = "".join(f"processor\t: {number}\n{core}" for number in range(os.cpu_count() or 1))
    (system / "proc" / "cpuinfo").write_text(text, encoding="ascii")


def with_zero_point(model: onnx.ModelProto, zero_point: Array) -> bytes:
    """Return a model with this zero point and its type for all activations; scales are unchanged."""
    graph = Graph(model)
    for node in graph.nodes:
        if node.op_type == "QuantizeLinear":
            for each in (node, *graph.readers(node.output[0])):
                graph.set_constant(each, 2, zero_point, f"{node.output[0]}.moved_zero")
    content: bytes = graph.model().SerializeToString()
    return content


def graphs(found: bundle.Bundle) -> dict[str, bytes]:
    """Return the ONNX files to run by name: the bundle's own, and its CPU file with other zero points."""
    files = {name: found.file(name).read_bytes() for name in FILES}
    for_cpu = onnx.load_model_from_string(files["int8-cpu"])
    files["int8-cpu, all int8 with zero point 0"] = with_zero_point(for_cpu, np.array(0, np.int8))
    files["int8-cpu, all uint8 with zero point 128"] = with_zero_point(for_cpu, np.array(128, np.uint8))
    return files


def ran(
    python: list[str], environment: dict[str, str], model: bytes, inputs: Array, levels: list[str]
) -> tuple[dict[str, Any], dict[str, int], dict[str, Array]]:
    """Return the versions, the node counts by operator with optimization on, and the logits by level."""
    with tempfile.TemporaryDirectory(prefix="edgefer-") as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model)
        np.save(folder / "inputs.npy", inputs)
        files = [str(folder / "model.onnx"), str(folder / "inputs.npy"), name]
        command = [*python, "-c", RUN, *files, *(LEVELS[level] for level in levels)]
        said = output(command, f"{python[0]} cannot run the network", {**environment, "ORT_DISABLE_TELEMETRY": "1"})
        nodes = Counter(node.op_type for node in onnx.load(folder / f"{LEVELS['on']}.onnx").graph.node)
        logits = {level: np.load(folder / f"{LEVELS[level]}.npy") for level in levels}
    return json.loads(said.splitlines()[-1]), dict(sorted(nodes.items())), logits


def agreement(ours: Array, theirs: Array) -> dict[str, float]:
    return {
        "largest_logit_difference": float(np.abs(ours - theirs).max()),
        "changed_predictions": int((ours.argmax(1) != theirs.argmax(1)).sum()),
    }


def measure(found: bundle.Bundle, images: NDArray[np.uint8], emulated: Emulated) -> dict[str, Any]:
    """Run all graphs of a bundle here and on each emulated core."""
    inputs = found.manifest.preprocessing.apply(images)
    result: dict[str, Any] = {"bundle": found.manifest.name, "graphs": {}}
    result["sha256"] = {name: found.manifest.networks[name].sha256 for name in FILES}
    for name, model in graphs(found).items():
        levels = list(LEVELS) if name in FILES else ["on"]
        result["x86"], nodes, expected = ran([sys.executable], {}, model, inputs, levels)
        entry: dict[str, Any] = {"x86": {"nodes": nodes}}
        print(f"{found.manifest.name}, {name}\n  x86: {nodes}", flush=True)
        for core, (cpu, *identity) in list(CORES.items())[: None if name == "int8-cpu" else 1]:
            describe_core(emulated.system, *identity)
            environment = {"PYTHONPATH": str(emulated.packages)}
            result["aarch64"], nodes, logits = ran(emulated.command(cpu), environment, model, inputs, levels)
            entry[core] = {"nodes": nodes} | {level: agreement(logits[level], expected[level]) for level in levels}
            print(f"  {core}: {entry[core]}", flush=True)
            levels = ["on"]
        result["graphs"][name] = entry
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--root", type=Path, default=Path("/var/tmp/edgefer-aarch64"))
    given = parser.parse_args()
    bundles = [bundle.load(path) for path in given.bundles]
    dataset = data.find(given.data)
    validation = data.split(dataset, "val")
    images = validation.take(np.linspace(0, len(validation) - 1, given.images).astype(np.int64))
    emulated = set_up(given.root)
    result = {
        "what": "INT8 networks under ONNX Runtime's aarch64 wheel, emulated: nodes of the optimized graph by operator, "
        "and logits beside x86's on the same inputs",
        "speed": "not measured: emulation says nothing of it, and no real aarch64 core was at hand",
        "protocol": protocol(__doc__),
        "optimization": LEVELS,
        "emulator": output([str(emulated.qemu), "--version"], "qemu does not start").splitlines()[0],
        "cores": {core: cpu for core, (cpu, *_) in CORES.items()},
        "data": {"name": dataset.name, "digest": dataset.digest, "split": "val", "images": len(images)},
        "bundles": [measure(each, images, emulated) for each in bundles],
        "machine": machine.describe().model_dump(),
    }
    paths.write_json(OUT, result, indent=2)
    print(OUT)


if __name__ == "__main__":
    main()
