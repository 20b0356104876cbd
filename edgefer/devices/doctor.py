"""What this machine can run, line by line, with a remedy for each missing part."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from edgefer import muted, paths
from edgefer.devices import doctor_jetson, jetson, machine, rapl
from edgefer.devices.doctor_jetson import OpenCV
from edgefer.devices.files import text
from edgefer.devices.line import Line
from edgefer.lines import one_line

_MIN_ONNXRUNTIME = (1, 23)
# tensorrt-rtx 1.7 takes CUDA 13 (its metadata on PyPI), and that driver 580 or newer (CUDA 13.0 release notes).
_RTX_ON_CUDA_13, _CUDA_13_DRIVER = (1, 7), 580
_RTX_ON_CUDA_12 = "update the driver, or: pip uninstall tensorrt-rtx; pip install tensorrt-rtx-cu12 'cuda-bindings<13'"
_MIN_DISK = 5 << 30  # FER2013's cache, NNCF's extension and a few runs
_MIN_MEMORY = 2 << 30
_BUSY = 0.5  # of the cores
EXTRAS = {
    "train": "edgefer train",
    "compress": "edgefer compress, edgefer lint",
    "report": "the HTML report, and the picture of --diagnose",
    "search": "edgefer search",
    "heic": "HEIC pictures",
    "cascade": "finding faces without YuNet's file",
    "litert": "--device litert",
    "openvino": "--device openvino",
    "rtx": "--device rtx: TensorRT for RTX",
    "tensorrt": "--device tensorrt: any NVIDIA GPU",
    "jetson": "--device jetson",
}


def examine(
    extras: Mapping[str, Sequence[str]],
    root: Path = Path("/"),
    gpu: Callable[[], str] | None = None,
    detector: tuple[bool, str, str] | None = None,
    opencv: Callable[[], OpenCV] = doctor_jetson.opencv,
) -> list[Line]:
    """Return the findings, most general first.

    Args:
        extras: packages of each extra, by name.
        gpu: starts and describes the GPU, or raises MissingRequirement; called only if there should be one.
        detector: whether faces are found as well as can be, by what, and what to do if not.
        opencv: says what OpenCV says of itself; asked on a Jetson alone.
        root: where `proc`, `etc` and `sys` are; another folder in tests.
    """
    here, board = machine.describe(root), jetson.describe(root)
    return [
        *_machine(here, board, root),
        *_int8(here),
        *_tensorrt(board, root, gpu, opencv),
        *([] if detector is None else [Line("faces", "detector", "ok" if detector[0] else "note", *detector[1:])]),
        *_extras(extras, board),
        *_folders(),
    ]


def _machine(here: machine.Machine, board: jetson.Jetson | None, root: Path) -> Iterator[Line]:
    yield Line("machine", "processor", "ok", f"{here.cpu}, {here.architecture}, {here.cores} cores")
    if board:
        yield from doctor_jetson.board_lines(board)
        yield doctor_jetson.container_line(root)
        free = doctor_jetson.memory_line(root)
        if free is not None:
            yield free
    available = None if board else machine.memory(root, "MemAvailable")
    if available is not None:
        scarce = available < _MIN_MEMORY
        remedy = "close other programs before training or building an engine" if scarce else ""
        yield Line("machine", "free memory", "note" if scarce else "ok", f"{available / 1e9:.1f} GB", remedy)
    load = machine.load_average()
    if load is not None:
        busy = load > _BUSY * here.cores
        remedy = "latencies measured now are noisy: wait, or stop other programs" if busy else ""
        yield Line("machine", "load", "note" if busy else "ok", f"{load:.1f} on {here.cores} cores", remedy)
    yield _power_sensor(root)
    python = ".".join(map(str, sys.version_info[:3]))
    yield Line("machine", "system", "ok", f"{here.os}, Python {python}{', virtual machine' if here.virtual else ''}")


def _power_sensor(root: Path) -> Line:
    """The energy sensor that `bench` uses on the CPU; a GPU's is nvidia-smi."""
    for name, rails in (("RAPL", rapl.counters(root)), ("INA3221", jetson.watts(root))):
        if rails:
            return Line("machine", "power sensor", "ok", f"{name}: {', '.join(rails)}")
    if rapl.forbidden(root):
        remedy = f"{rapl.REMEDY} before a bench, to measure energy; for all users, until the next reboot"
        return Line("machine", "power sensor", "note", "RAPL, readable by root only", remedy)
    return Line("machine", "power sensor", "ok", "none that edgefer reads (RAPL, INA3221)")


def _int8(here: machine.Machine) -> Iterator[Line]:
    part = "INT8 on the CPU"
    if here.fast_int8:
        found = ", ".join(flag for flag in here.flags if "vnni" in flag or flag in ("amx_int8", "asimddp", "i8mm"))
        yield Line(part, "8-bit arithmetic", "ok", found)
    else:
        remedy = "INT8 may not be faster here; on x86, compress with --cpu no-vnni"
        yield Line(part, "8-bit arithmetic", "note", "neither VNNI nor dot products", remedy)
    try:
        with muted.gpu_discovery():
            import onnxruntime

        version = str(onnxruntime.__version__)
        providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    except Exception as error:  # a wheel for another processor may fail in any way
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
    remedy = "pip install 'onnxruntime>=1.23': this version runs INT8 convolutions in FP32" if old else ""
    yield Line(part, "ONNX Runtime", "note" if old else "ok", f"{version} ({providers})", remedy)


def _tensorrt(
    board: jetson.Jetson | None, root: Path, gpu: Callable[[], str] | None, opencv: Callable[[], OpenCV]
) -> Iterator[Line]:
    if board:
        yield from doctor_jetson.tensorrt_lines(board, root, gpu, opencv)
        return
    part = "TensorRT"
    driver = _first_line(root / "proc/driver/nvidia/version")
    remedy = "" if driver else "engines can be built without a GPU, but not run; run edgefer bench on the device"
    found = driver or "none: no NVIDIA GPU, or not visible here"
    yield Line(part, "NVIDIA driver", "ok" if driver else "missing", found, remedy)
    if gpu is not None and driver:
        yield doctor_jetson.gpu_line(gpu)
    version = doctor_jetson.version("tensorrt_rtx", _distribution("tensorrt-rtx"))
    number = re.search(r" (\d{3,})\.\d+", driver)
    old = number is not None and int(number[1]) < _CUDA_13_DRIVER and "cu12" not in _distribution("tensorrt-rtx")
    if version and old and _numbers(version) >= _RTX_ON_CUDA_13:
        found, remedy = f"{version}, for CUDA 13, which needs driver {_CUDA_13_DRIVER} or newer", _RTX_ON_CUDA_12
        yield Line(part, "TensorRT for RTX", "missing", found, remedy)
        return
    remedy = "" if version else "pip install 'edgefer[rtx]' on x86-64"
    yield Line(part, "TensorRT for RTX", "ok" if version else "missing", version or "not installed", remedy)


def _distribution(name: str) -> str:
    """Return which distribution of a package is installed: the plain one is for the newest CUDA."""
    for each in (name, f"{name}-cu13", f"{name}-cu12"):
        try:
            metadata.version(each)
        except metadata.PackageNotFoundError:
            continue
        return each
    return name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _extras(extras: Mapping[str, Sequence[str]], board: jetson.Jetson | None) -> Iterator[Line]:
    for name, use in EXTRAS.items():
        if name in (("rtx", "tensorrt") if board else ("jetson",)):
            continue
        lacking = [package for package in extras[name] if not doctor_jetson.importable(package)]
        found = f"for {use}" if not lacking else f"for {use}: missing {', '.join(lacking)}"
        remedy = f"pip install 'edgefer[{name}]'" if lacking else ""
        yield Line("extras", name, "missing" if lacking else "ok", found, remedy)
    if doctor_jetson.importable("nncf"):
        compiler = next(
            (path for path in map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")) if path), None
        )
        yield Line(
            "extras",
            "C++ compiler",
            "ok" if compiler else "note",
            Path(compiler).name if compiler else "none",
            "" if compiler else "INT8 fine-tuning is slower without one: apt install g++",
        )


def _folders() -> Iterator[Line]:
    for name, folder in (("cache", paths.cache_dir()), ("runs", paths.RUNS.resolve())):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not os.access(there, os.W_OK):
            remedy = "set EDGEFER_CACHE to a writable folder" if name == "cache" else "change to a writable folder"
            yield Line("folders", name, "missing", "cannot be written", remedy, str(folder))
            continue
        free = shutil.disk_usage(there).free
        scarce = free < _MIN_DISK
        remedy = f"less than {_MIN_DISK >> 30} GB are free: training may fail" if scarce else ""
        yield Line("folders", name, "note" if scarce else "ok", f"{free / 1e9:.0f} GB free", remedy, str(folder))


def _first_line(path: Path) -> str:
    return text(path).partition("\n")[0].removeprefix("NVRM version:").strip()
