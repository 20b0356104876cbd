"""What this machine is and can do, line by line, with a remedy for each thing that is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from edgefer import paths
from edgefer.devices import jetson, machine, rapl
from edgefer.devices.files import text
from edgefer.errors import MissingRequirement
from edgefer.lines import one_line

State = Literal["ok", "note", "missing", "broken"]

_MIN_ONNXRUNTIME = (1, 23)
_MIN_TENSORRT = 10  # strongly typed networks
# JetPack: its TensorRT and CUDA (JetPack archive). Of others edgefer knows nothing, and says nothing.
_BROUGHT = {"6.0": ("8.6", "12.2"), "6.1": ("10.3", "12.6"), "6.2": ("10.3", "12.6")}
_MIN_DISK = 5 << 30  # FER2013's cache, NNCF's extension and a few runs
_MIN_MEMORY = 2 << 30
_BUSY = 0.5  # of the cores
EXTRAS = {
    "train": "edgefer train",
    "compress": "edgefer compress, edgefer lint",
    "report": "the HTML report, and the picture of --diagnose",
    "heic": "HEIC pictures",
    "cascade": "finding faces where YuNet's file cannot be had",
    "litert": "--device litert",
    "openvino": "--device openvino",
    "rtx": "--device rtx: TensorRT for RTX",
    "tensorrt": "--device tensorrt: any NVIDIA GPU",
    "jetson": "--device jetson",
}


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        part: what it belongs to: ``machine``, ``INT8 on the CPU``, ``TensorRT``, ``faces``, ``extras``, ``folders``.
        name: what was looked at.
        state: ``ok``; ``note`` where it decides a measurement; ``missing`` where something cannot be done without it;
            ``broken`` where nothing works.
        found: what it is.
        remedy: what to do; empty where nothing needs to be done.
    """

    part: str
    name: str
    state: State
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return asdict(self)


def examine(
    extras: Mapping[str, Sequence[str]],
    root: Path = Path("/"),
    gpu: Callable[[], str] | None = None,
    detector: tuple[bool, str, str] | None = None,
) -> list[Line]:
    """Return what was found, in the order in which a person would ask.

    Args:
        extras: packages of each extra, by name.
        gpu: starts the GPU and says which it is, or raises MissingRequirement; asked only where there should be one.
        detector: whether faces are found as well as can be, by what, and what to do if not.
        root: where `proc`, `etc` and `sys` are; another folder in tests.
    """
    here, board = machine.describe(root), jetson.describe(root)
    return [
        *_machine(here, board, root),
        *_int8(here),
        *_tensorrt(board, root, gpu),
        *([] if detector is None else [Line("faces", "detector", "ok" if detector[0] else "note", *detector[1:])]),
        *_extras(extras, board),
        *_folders(),
    ]


def _machine(here: machine.Machine, board: jetson.Jetson | None, root: Path) -> Iterator[Line]:
    yield Line("machine", "processor", "ok", f"{here.cpu}, {here.architecture}, {here.cores} cores")
    if board:
        release = f"JetPack {board.jetpack}" if board.jetpack else "a JetPack that this edgefer does not know"
        yield Line("machine", "Jetson", "ok", f"{board.model}, {release} (Jetson Linux {board.linux or 'unknown'})")
        yield _power_mode(board)
        locked = board.clocks_locked
        yield Line(
            "machine",
            "clocks",
            "ok" if locked else "note",
            {True: "held at their highest", False: "they follow the load", None: "unknown"}[locked],
            "" if locked else "sudo jetson_clocks before a measurement",
        )
    available = machine.memory(root, "MemAvailable")
    if available is not None:
        scarce = available < _MIN_MEMORY
        remedy = "close other programs before training or building an engine" if scarce else ""
        yield Line("machine", "free memory", "note" if scarce else "ok", f"{available / 1e9:.1f} GB", remedy)
    load = machine.load_average()
    if load is not None:
        busy = load > _BUSY * here.cores
        remedy = "latencies measured now are noisy: wait, or stop what runs" if busy else ""
        yield Line("machine", "load", "note" if busy else "ok", f"{load:.1f} on {here.cores} cores", remedy)
    yield _power_sensor(root)
    python = ".".join(map(str, sys.version_info[:3]))
    yield Line("machine", "system", "ok", f"{here.os}, Python {python}{', virtual machine' if here.virtual else ''}")


def _power_mode(board: jetson.Jetson) -> Line:
    found = board.power_mode or "unknown"
    most = found.upper().startswith("MAXN")
    remedy = "" if most else f"{jetson.stronger(board)} for the most this board gives; every figure depends on it"
    return Line("machine", "power mode", "ok" if most else "note", found, remedy)


def _power_sensor(root: Path) -> Line:
    """What `bench` reads the energy of an inference from; a GPU's own is nvidia-smi."""
    for name, rails in (("RAPL", rapl.counters(root)), ("INA3221", jetson.watts(root))):
        if rails:
            return Line("machine", "power sensor", "ok", f"{name}: {', '.join(rails)}")
    if rapl.forbidden(root):
        remedy = f"{rapl.REMEDY} before a bench, for energy; until the next start, and for all users"
        return Line("machine", "power sensor", "note", "RAPL, which root alone may read", remedy)
    return Line("machine", "power sensor", "ok", "none that edgefer reads (RAPL, INA3221)")


def _int8(here: machine.Machine) -> Iterator[Line]:
    part = "INT8 on the CPU"
    if here.fast_int8:
        found = ", ".join(flag for flag in here.flags if "vnni" in flag or flag in ("amx_int8", "asimddp", "i8mm"))
        yield Line(part, "8-bit arithmetic", "ok", found)
    else:
        remedy = "INT8 may not be faster here; on x86, compress for it with --cpu no-vnni"
        yield Line(part, "8-bit arithmetic", "note", "neither VNNI nor dot products", remedy)
    try:
        import onnxruntime

        version = str(onnxruntime.__version__)
        providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    except Exception as error:  # a wheel for another processor fails in ways of its own
        reason = one_line(error, 120)
        yield Line(
            part,
            "ONNX Runtime",
            "broken",
            f"cannot be imported ({reason})",
            "pip install --force-reinstall onnxruntime",
        )
        return
    old = tuple(int(number) for number in version.split(".")[:2]) < _MIN_ONNXRUNTIME
    remedy = "pip install 'onnxruntime>=1.23': this one runs INT8 convolutions in FP32" if old else ""
    yield Line(part, "ONNX Runtime", "note" if old else "ok", f"{version} ({providers})", remedy)


def _tensorrt(board: jetson.Jetson | None, root: Path, gpu: Callable[[], str] | None) -> Iterator[Line]:
    part = "TensorRT"
    driver = _first_line(root / "proc/driver/nvidia/version")
    if board is None:
        remedy = "" if driver else "engines can be built without it, not run; on the device: edgefer bench there"
        found = driver or "none: no GPU of NVIDIA's, or not visible here"
        yield Line(part, "NVIDIA driver", "ok" if driver else "missing", found, remedy)
    if gpu is not None and (board or driver):
        try:
            yield Line(part, "GPU", "ok", gpu())
        except MissingRequirement as error:
            remedy = "reboot if the driver was updated; in a container, start it with --runtime nvidia or --gpus all"
            package = "pip install" in str(error)  # it says what to do itself
            yield Line(
                part,
                "GPU",
                "missing",
                str(error),
                f"pip install 'edgefer[{'tensorrt' if board else 'rtx'}]'" if package else remedy,
            )
    if board is None:
        version = _version("tensorrt_rtx")
        remedy = "" if version else "pip install 'edgefer[rtx]' on x86-64"
        yield Line(part, "TensorRT for RTX", "ok" if version else "missing", version or "not installed", remedy)
        return
    version = _version("tensorrt") or ""
    major = version.partition(".")[0]
    old = major.isdigit() and int(major) < _MIN_TENSORRT
    brought = _BROUGHT.get(".".join((board.jetpack or "").split(".")[:2]))
    if not version:
        remedy = "sudo apt install nvidia-jetpack, and make the environment with --system-site-packages"
        yield Line(part, "TensorRT", "missing", "not found", remedy)
    elif old:
        remedy = "edgefer takes TensorRT 10 or later: JetPack 6.1 and 6.2 bring 10.3"
        yield Line(part, "TensorRT", "missing", version, remedy)
    elif brought and major.isdigit() and not f"{version}.".startswith(f"{brought[0]}."):
        found = f"{version}; JetPack {board.jetpack} brings {brought[0]} with CUDA {brought[1]}"
        remedy = "one that came otherwise has to fit the driver: if it does not load, sudo apt install nvidia-jetpack"
        yield Line(part, "TensorRT", "note", found, remedy)
    else:
        yield Line(part, "TensorRT", "ok", version + (f", with CUDA {brought[1]} from JetPack" if brought else ""))


def _extras(extras: Mapping[str, Sequence[str]], board: jetson.Jetson | None) -> Iterator[Line]:
    for name, use in EXTRAS.items():
        if name in (("rtx", "tensorrt") if board else ("jetson",)):
            continue
        lacking = [package for package in extras[name] if not _importable(package)]
        found = f"for {use}" if not lacking else f"for {use}: without {', '.join(lacking)}"
        remedy = f"pip install 'edgefer[{name}]'" if lacking else ""
        yield Line("extras", name, "missing" if lacking else "ok", found, remedy)
    if _importable("nncf"):
        compiler = next(
            (path for path in map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")) if path), None
        )
        yield Line(
            "extras",
            "C++ compiler",
            "ok" if compiler else "note",
            compiler or "none",
            "" if compiler else "INT8 fine-tuning works without one, slower: apt install g++",
        )


def _folders() -> Iterator[Line]:
    for name, folder in (("cache", paths.cache_dir()), ("runs", paths.RUNS.resolve())):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not os.access(there, os.W_OK):
            remedy = "set EDGEFER_CACHE to a folder of yours" if name == "cache" else "change to a folder of yours"
            yield Line("folders", name, "missing", f"{folder} cannot be written", remedy)
            continue
        free = shutil.disk_usage(there).free
        scarce = free < _MIN_DISK
        remedy = f"less than {_MIN_DISK >> 30} GB are free: training may stop half-way" if scarce else ""
        yield Line("folders", name, "note" if scarce else "ok", f"{folder}, {free / 1e9:.0f} GB free", remedy)


def _importable(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _version(package: str) -> str | None:
    try:
        return metadata.version(package) if _importable(package) else None
    except metadata.PackageNotFoundError:
        return "installed by the system"


def _first_line(path: Path) -> str:
    return text(path).partition("\n")[0].removeprefix("NVRM version:").strip()
