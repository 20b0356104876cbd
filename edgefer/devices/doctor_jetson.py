"""`edgefer doctor` on a Jetson: whether its GPU can be used, and remedies."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from edgefer.devices import jetpack, jetson, machine
from edgefer.devices.files import text
from edgefer.devices.line import Line
from edgefer.lines import one_line

OLDEST_TENSORRT = 10  # strongly typed networks
_MIN_MEMORY = 2 << 30
_PATIENCE_SECONDS = 60  # an Orin Nano loads OpenCV in some seconds
_OPENCV = """
import cv2
lines = [line.split(":", 1)[1].strip() for line in cv2.getBuildInformation().splitlines() if "GStreamer:" in line]
print(cv2.__version__, "GStreamer" if lines and lines[0].startswith("YES") else "none")
"""
_ENVIRONMENT = "python3 -m venv --system-site-packages .venv"
_JETPACK = "sudo apt install nvidia-jetpack"


@dataclass(frozen=True)
class OpenCV:
    """OpenCV's description of itself.

    Attributes:
        version: empty if it is not installed or does not load.
        gstreamer: whether it opens a CSI camera's pipeline.
        error: why it does not load.
    """

    version: str = ""
    gstreamer: bool = False
    error: str = ""


def opencv() -> OpenCV:
    """Query OpenCV in a separate process: JetPack's prints a page and may crash with NumPy 2."""
    if not importable("cv2"):
        return OpenCV()
    command = [sys.executable, "-c", _OPENCV]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return OpenCV(error=one_line(error, 120))
    words = done.stdout.split()
    if done.returncode or len(words) != 2:
        last = done.stderr.strip().splitlines()[-1:] or ["it ends without a message"]
        return OpenCV(error=one_line(last[0], 120))
    return OpenCV(words[0], words[1] == "GStreamer")


def board_lines(board: jetson.Jetson) -> Iterator[Line]:
    """Report board and JetPack, whether edgefer runs on them, power mode and clocks."""
    release = f"JetPack {board.jetpack}" if board.jetpack else "unknown JetPack"
    found = f"{board.model}, {release} (Jetson Linux {board.linux or 'unknown'})"
    why = jetpack.not_runnable(board.model, board.linux)
    yield Line("machine", "Jetson", "missing" if why else "ok", found, _instead(why, board.model))
    mode = board.power_mode or "unknown"
    most = mode.upper().startswith("MAXN")
    remedy = "" if most else f"{jetson.stronger(board)} for this board's highest performance; all figures depend on it"
    yield Line("machine", "power mode", "ok" if most else "note", mode, remedy)
    locked = board.clocks_locked
    found = {True: "fixed at their maximum", False: "they follow the load", None: "unknown"}[locked]
    found += f"; GPU at {board.gpu_megahertz:.0f} MHz" if board.gpu_megahertz else ""
    remedy = "" if locked else "sudo jetson_clocks before a measurement"
    yield Line("machine", "clocks", "ok" if locked else "note", found, remedy)
    if board.cooling:
        states = ", ".join(f"{name} (state {state})" for name, state in board.cooling.items())
        yield Line("machine", "heat", "note", f"throttled by {states}", "too hot: let it cool, or add a fan")


def container(root: Path) -> str:
    """Return the kind of container, or an empty string."""
    for mark, name in ((".dockerenv", "Docker"), ("run/.containerenv", "Podman")):
        if (root / mark).exists():
            return name
    return ""


def container_line(root: Path) -> Line:
    """Report whether this is a container, and which of the board's files it lacks."""
    kind = container(root)
    if not kind:
        return Line("machine", "container", "ok", "none")
    wanted = ("etc/nv_tegra_release", "etc/nvpmodel.conf", "var/lib/nvpmodel/status")
    lacking = [f"/{name}" for name in wanted if not (root / name).exists()]
    if not lacking:
        return Line("machine", "container", "ok", kind)
    names = " ".join(f"-v {name}:{name}:ro" for name in lacking)
    return Line(
        "machine",
        "container",
        "note",
        f"{kind}, without {len(lacking)} of the board's files",
        f"start the container with --runtime nvidia {names}",
    )


def memory_line(root: Path) -> Line | None:
    """Report free memory, shared by a Jetson's CPU and GPU."""
    available = machine.memory(root, "MemAvailable")
    if available is None:
        return None
    scarce = available < _MIN_MEMORY
    remedy = "close other programs before an engine is built; sudo systemctl isolate multi-user stops the desktop"
    found = f"{available / 1e9:.1f} GB, shared by CPU and GPU"
    return Line("machine", "free memory", "note" if scarce else "ok", found, remedy if scarce else "")


def tensorrt_lines(
    board: jetson.Jetson, root: Path, gpu: Callable[[], str] | None, ask_opencv: Callable[[], OpenCV] = opencv
) -> Iterator[Line]:
    """Report TensorRT and CUDA for this Python, and OpenCV and NumPy, which must match."""
    known = jetpack.of(board.linux)
    yield _tensorrt(board, known, root)
    yield _cuda(known, root)
    yield _binding(known)
    if gpu is not None:
        yield gpu_line(gpu)
    found = ask_opencv()
    yield _opencv(found)
    yield _numpy(found, root)


def gpu_line(gpu: Callable[[], str]) -> Line:
    """Report the driver's description of the GPU."""
    from edgefer.errors import MissingRequirement

    try:
        return Line("TensorRT", "GPU", "ok", gpu())
    except MissingRequirement as error:
        remedy = "reboot if the driver was updated; in a container, start it with --runtime nvidia or --gpus all"
        said = "pip install" in str(error)  # it says what to do itself
        return Line("TensorRT", "GPU", "missing", str(error), "install what the lines above name" if said else remedy)


def _instead(why: str, model: str) -> str:
    if not why:
        return ""
    if jetpack.module(model) == "older":
        return f"{why}; bench its CPU instead: --device cpu"
    return f"{why}; flash one of these with NVIDIA's SDK Manager"


def _tensorrt(board: jetson.Jetson, known: jetpack.JetPack | None, root: Path) -> Line:
    name, part = "TensorRT", "TensorRT"
    found = version("tensorrt") or ""
    if not found:
        return Line(part, name, "missing", *_without_binding(root))
    broken = _does_not_load("tensorrt")
    if broken:
        return Line(part, name, "missing", f"{found} does not load: {broken}", _JETPACK)
    major = found.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_TENSORRT:
        remedy = f"edgefer needs TensorRT 10 or later: {jetpack.SUPPORTED}"
        return Line(part, name, "missing", found, remedy)
    brought = known.tensorrt if known else ""
    if brought and major.isdigit() and not f"{found}.".startswith(f"{brought}."):
        assert known is not None
        remedy = f"a TensorRT from elsewhere must match the driver; if it does not load: {_JETPACK}"
        return Line(part, name, "note", f"{found}; JetPack {known.name} includes {brought}", remedy)
    return Line(part, name, "ok", f"{found}, for this Python")


def _without_binding(root: Path) -> tuple[str, str]:
    """Return what is installed of a TensorRT that this Python cannot import, and the remedy."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    bindings = [path.parent.parent.name for path in root.glob("usr/lib/python3*/dist-packages/tensorrt")]
    libraries = sorted(root.glob("usr/lib/*-linux-gnu/libnvinfer.so.*.*"), key=lambda path: len(path.name))
    which = libraries[-1].name.partition(".so.")[2] if libraries else ""
    fitting = {"python3", f"python{here}"} & set(bindings)
    if fitting:
        found = f"the system's ({which or 'version unknown'}), not visible to this environment"
        return found, f"recreate the environment: {_ENVIRONMENT}"
    if bindings:
        other = min(bindings)
        return f"for {other}; this is Python {here}", f"{other} -m venv --system-site-packages .venv, and install there"
    if libraries:
        return f"{which}, without its Python binding", "sudo apt install python3-libnvinfer"
    return "not installed", f"{_JETPACK}, then {_ENVIRONMENT}"


def _cuda(known: jetpack.JetPack | None, root: Path) -> Line:
    """Report the CUDA toolkit. Engines need only the driver, part of Jetson Linux."""
    said = re.search(r'"cuda"\s*:\s*{[^}]*"version"\s*:\s*"([\d.]+)"', text(root / "usr/local/cuda/version.json"))
    brought = f"CUDA {known.cuda}" if known and known.cuda else "CUDA"
    if said:
        return Line("TensorRT", "CUDA", "ok", said[1])
    return Line("TensorRT", "CUDA", "note", f"no toolkit; JetPack includes {brought}", _JETPACK)


def _binding(known: jetpack.JetPack | None) -> Line:
    """Report the package through which Python calls the driver. Version 13 of cuda-bindings is for CUDA 13."""
    wanted = 13 if known is not None and known.name.startswith("7") else 12
    remedy = f"pip install '{ {12: 'cuda-bindings>=12.9,<13', 13: 'cuda-bindings>=13,<14'}[wanted] }'"
    found = version("cuda.bindings", "cuda-bindings")
    if found:
        major = found.partition(".")[0]
        if known is not None and major.isdigit() and int(major) > wanted:
            return Line("TensorRT", "CUDA binding", "note", f"cuda-bindings {found}, for CUDA {major}", remedy)
        return Line("TensorRT", "CUDA binding", "ok", f"cuda-bindings {found}")
    other = version("pycuda")
    if other:
        return Line("TensorRT", "CUDA binding", "ok", f"pycuda {other}")
    return Line("TensorRT", "CUDA binding", "missing", "neither cuda-bindings nor pycuda", remedy)


def _opencv(found: OpenCV) -> Line:
    """Report whether OpenCV is installed and opens CSI cameras; a USB camera does not need it."""
    part, name = "TensorRT", "OpenCV"
    own = "pip uninstall opencv-python opencv-python-headlessand pip install 'numpy<2', to use JetPack's"
    if found.error:
        return Line(part, name, "note", f"does not load: {found.error}", f"for a CSI camera: {own}")
    if not found.version:
        remedy = f"for a CSI camera: {_JETPACK}, and {_ENVIRONMENT}"
        return Line(part, name, "note", "not installed", remedy)
    if not found.gstreamer:
        return Line(part, name, "note", f"{found.version} without GStreamer", f"for a CSI camera: {own}")
    return Line(part, name, "ok", f"{found.version} with GStreamer")


def _numpy(found: OpenCV, root: Path) -> Line:
    """Report whether NumPy works with JetPack's OpenCV, which is built for NumPy 1."""
    numpy = version("numpy") or "unknown"
    jetpacks = any(root.glob("usr/lib/python3*/dist-packages/cv2*"))
    if numpy.startswith("2.") and (jetpacks or found.error) and not found.version:
        remedy = "pip install 'numpy<2', to use JetPack's OpenCV and a CSI camera"
        return Line("TensorRT", "NumPy", "note", f"{numpy}; JetPack's OpenCV is built for NumPy 1", remedy)
    return Line("TensorRT", "NumPy", "ok", numpy)


def importable(package: str) -> bool:
    """Return whether a package is installed for this Python; it is not loaded."""
    try:
        return util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def version(package: str, distribution: str = "") -> str | None:
    """Return the version of a package that this Python finds, or None."""
    try:
        return metadata.version(distribution or package) if importable(package) else None
    except metadata.PackageNotFoundError:
        return "installed by the system"


def _does_not_load(package: str) -> str:
    try:
        importlib.import_module(package)
    except Exception as error:  # of any kind: a library of another release, a missing driver
        return one_line(error, 120)
    return ""
