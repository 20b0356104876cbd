"""TensorRT and TensorRT for RTX: engines from ONNX files.

Both have the same Python API; they differ in the module's name, and the second also builds for other GPUs.
Explicit Q/DQ, strong typing: types and scales are those of the file. What TensorRT 11 removed is not used (calibrators,
precision flags, weak typing).
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from edgefer import console, paths
from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line

Runtime = Literal["tensorrt", "tensorrt_rtx"]

MAX_BATCH = 32
CURRENT = "CURRENT"
_STEPS = 1000
_MEMORY = re.compile(r"out ?of ?memory|cudaMalloc|insufficient (workspace|memory)", re.IGNORECASE)
_OLDEST = 10
_TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_PACKAGES = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}
_TURING = "75"  # rejects some graphs, and builds for several GPUs


@dataclass(frozen=True)
class Built:
    """An engine that was built.

    Attributes:
        engine: its bytes, as TensorRT's own tools read them.
        version: of the TensorRT that built it, the only one that can read it.
        warnings: the builder's warnings, one line each.
        seconds: build time.
        on_gpu: names of the layers that DLA could not run, if requested.
    """

    engine: bytes
    version: str
    warnings: tuple[str, ...]
    seconds: float
    on_gpu: tuple[str, ...] = ()


def api(runtime: Runtime) -> ModuleType:
    """Return the Python module of a runtime.

    Raises:
        MissingRequirement: it is not installed, does not load or is too old; the message says how to install it.
    """
    try:
        module = importlib.import_module(runtime)
    except ModuleNotFoundError:
        if runtime == "tensorrt_rtx":
            raise MissingExtra("tensorrt-rtx", "rtx") from None
        raise MissingRequirement(
            "TensorRT is not installed; on a Jetson it comes with JetPack: sudo apt install nvidia-jetpack, and an "
            "environment made with --system-site-packages"
        ) from None
    except (ImportError, OSError) as error:
        raise MissingRequirement(f"{runtime} is installed but does not load: {one_line(error)}") from None
    version = str(module.__version__)
    if runtime == "tensorrt" and int(version.partition(".")[0]) < _OLDEST:
        raise MissingRequirement(f"TensorRT {version} has no strongly typed networks; JetPack 6.1 and later have them")
    return module


def compute_capabilities(runtime: Runtime = "tensorrt_rtx") -> list[str]:
    """Return the compute capabilities that engines can be built for without a GPU: ``86``."""
    known = [name[2:] for name in dir(api(runtime).ComputeCapability) if re.fullmatch(r"SM\d+", name)]
    return sorted(known, key=int)


def parse(content: bytes, runtime: Runtime) -> tuple[Any, Any, Any]:
    """Return builder, network and parser of an ONNX file. All three must be kept while the network is used.

    Raises:
        InputError: TensorRT's parser rejects the file.
        MissingRequirement: see `api`.
    """
    trt = api(runtime)
    builder = _made(trt.Builder, runtime)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    if hasattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH"):  # still needed by 10.x
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, _logger(runtime))
    if not parser.parse(content):
        if not parser.num_errors:
            raise InputError(f"TensorRT's parser rejects the network: {last_error(runtime)}")
        error = parser.get_error(0)
        where = f" at node {error.node_name()}" if error.node_name() else ""
        raise InputError(f"TensorRT's parser rejects the network{where}: {one_line(error.desc())}")
    return builder, network, parser


def _made(factory: Callable[[Any], Any], runtime: Runtime) -> Any:
    """Return a builder or a runtime. If TensorRT cannot start, its binding raises TypeError: nullptr."""
    try:
        return factory(_logger(runtime))
    except TypeError:
        raise MissingRequirement(
            f"{_TITLES[runtime]} cannot start: {last_error(runtime)}; it needs an NVIDIA driver that supports "
            f"its CUDA version (CUDA 13: driver 580 or newer). For an older driver: pip uninstall "
            f"{_PACKAGES[runtime]}; pip install "
            f"{_PACKAGES[runtime]}-cu12 'cuda-bindings<13' (`edgefer doctor` lists what is installed)"
        ) from None


def build(
    content: bytes,
    runtime: Runtime,
    compute: Sequence[str] = (),
    max_batch: int = MAX_BATCH,
    workspace: int | None = None,
    dla: int | None = None,
    timings: Path | None = None,
) -> Built:
    """Build an engine for any batch from 1 to `max_batch`, fastest at 1.

    Args:
        content: an ONNX file with one input, (N, C, H, W), without findings of `edgefer.graph.linter`.
        runtime: ``tensorrt`` builds for this machine's GPU; ``tensorrt_rtx`` for the given ones, without a GPU.
        compute: compute capabilities, ``86``, or `CURRENT` for this machine's GPU; only for ``tensorrt_rtx``.
        max_batch: images at a time.
        workspace: bytes of GPU memory for the builder; by default all of it.
        dla: number of a deep learning accelerator; the GPU runs the rest. A
            DLA engine accepts exactly `max_batch` images.
        timings: a file in which ``tensorrt`` caches its timings for the next build.

    Raises:
        InputError: the parser or the builder rejects the network, or a compute capability is unknown.
        MissingRequirement: see `api`; or not enough memory, or no such DLA.
    """
    trt = api(runtime)
    logger = _logger(runtime)
    logger.lines.clear()
    started = time.monotonic()
    builder, network, parser = parse(content, runtime)
    config = builder.create_builder_config()
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    if runtime == "tensorrt_rtx":
        _choose(trt, config, compute)
        config.set_flag(
            trt.BuilderFlag.REQUIRE_USER_ALLOCATION
        )  # otherwise its engines cannot be recorded as CUDA graphs
    if runtime == "tensorrt" and timings is not None:  # TensorRT for RTX measures nothing when it builds
        kept = config.create_timing_cache(_content(timings))
        if not config.set_timing_cache(kept, ignore_mismatch=False):  # from another device, or damaged
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    given = network.get_input(0)
    one, most = ((batch, *tuple(given.shape)[1:]) for batch in (1 if dla is None else max_batch, max_batch))
    profile = builder.create_optimization_profile()
    profile.set_shape(given.name, one, one, most)
    config.add_optimization_profile(profile)
    on_gpu = () if dla is None else _use_dla(trt, builder, network, config, dla)  # the profile's shape decides
    with console.progress("building the engine", _STEPS) as advance:
        monitor = _monitor(trt, advance)
        config.progress_monitor = monitor
        engine = builder.build_serialized_network(network, config)
    del parser
    if monitor.stopped is not None:
        raise monitor.stopped
    if engine is None:
        said = last_error(runtime)
        if "BuildCanceled" in said:  # Ctrl-C came between two lines of the monitor, and TensorRT swallowed it
            raise KeyboardInterrupt
        if _MEMORY.search(said):
            raise MissingRequirement(f"not enough memory to build the engine: close other programs ({said})")
        raise InputError(f"TensorRT cannot build the network: {said}")
    measured = config.get_timing_cache() if runtime == "tensorrt" else None
    if measured is not None and timings is not None:
        with paths.write_atomically(timings) as part:
            part.write_bytes(bytes(measured.serialize()))
    warnings = tuple(text for severity, text in logger.lines if severity == "warning")
    return Built(bytes(engine), str(trt.__version__), warnings, time.monotonic() - started, on_gpu)


def _use_dla(trt: ModuleType, builder: Any, network: Any, config: Any, dla: int) -> tuple[str, ...]:
    """Request a DLA, and return the names of the layers that run on the GPU instead.

    TensorRT supports DLA up to 10.7 and again from 11.4.1 on, on AGX Orin with JetPack 7.2.2 (TensorRT 11.4.1
    documentation, "Strongly Typed Networks for DLA"); none supports Q/DQ, so bench gives it the FP16 network.
    """
    cores = builder.num_DLA_cores
    if not 0 <= dla < cores:
        there = f"DLA 0 to {cores - 1}" if cores else "no DLA usable by this TensorRT"
        raise MissingRequirement(f"there is no DLA {dla}: this device has {there}; omit --dla to run on its GPU")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = dla
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    on_gpu = tuple(layer.name for layer in layers if not config.can_run_on_DLA(layer))
    convolutions = {layer.name for layer in layers if layer.type == trt.LayerType.CONVOLUTION}
    if convolutions and convolutions <= set(on_gpu):
        raise InputError("the DLA runs none of the network's convolutions; omit --dla to run it on the GPU")
    return on_gpu


def _monitor(trt: ModuleType, advance: Callable[..., None]) -> Any:
    """Follow a build: its outermost phase is 1,000 steps long, whatever TensorRT counts."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Called by the builder's threads."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.outermost: dict[str, int] = {}
            self.done = 0
            self.stopped: BaseException | None = None  # Ctrl-C: raised here, it would end in TensorRT

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            """Take note of a phase."""
            try:
                if parent is None:
                    self.outermost[name] = steps
            except BaseException as error:
                self.stopped = error

        def step_complete(self, name: str, step: int) -> bool:
            """Move the bar, and say whether to go on."""
            try:
                if name in self.outermost:
                    reached = _STEPS * (step + 1) // max(1, self.outermost[name])
                    advance(max(0, reached - self.done))
                    self.done = max(self.done, reached)
            except BaseException as error:
                self.stopped = error
            return self.stopped is None

        def phase_finish(self, name: str) -> None:
            """Nothing to do."""

    return Monitor()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def load(engine: bytes, runtime: Runtime, dla: int | None = None) -> Any | None:
    """Return an engine on the current GPU or DLA, or None: `last_error` says why.

    Raises:
        MissingRequirement: see `api`.
    """
    logger = _logger(runtime)
    logger.lines.clear()
    loader = _made(api(runtime).Runtime, runtime)  # the engine keeps it
    if dla is not None:
        loader.DLA_core = dla
    return loader.deserialize_cuda_engine(engine)


def last_error(runtime: Runtime) -> str:
    """Return the last error that TensorRT wrote."""
    errors = [text for severity, text in _logger(runtime).lines if severity == "error"]
    return errors[-1] if errors else "no reason given"


def check_compute(compute: Sequence[str]) -> None:
    """Refuse compute capabilities that TensorRT for RTX does not support, or not in one engine.

    Raises:
        InputError: one is unknown, or 75 is combined with others.
        MissingRequirement: see `api`.
    """
    if list(compute) == [CURRENT]:
        return
    known = compute_capabilities("tensorrt_rtx")
    wrong = [each for each in compute if each not in known]
    if wrong or not compute:
        what = f"unknown compute capability {wrong[0]}" if wrong else "no compute capability given"
        raise InputError(f"{what}; TensorRT for RTX builds for {', '.join(known)}")
    if _TURING in compute and len(compute) > 1:
        raise InputError("compute capability 75 needs its own engine: it rejects graphs that the others accept")


def _choose(trt: ModuleType, config: Any, compute: Sequence[str]) -> None:
    check_compute(compute)
    config.num_compute_capabilities = len(compute)
    for number, each in enumerate(compute):
        name = each if each == CURRENT else f"SM{each}"
        config.set_compute_capability(getattr(trt.ComputeCapability, name), number)


@cache
def _logger(runtime: Runtime) -> Any:
    """TensorRT keeps the first logger for the life of the process, so there is only one."""
    trt = api(runtime)
    names = {trt.ILogger.WARNING: "warning", trt.ILogger.ERROR: "error", trt.ILogger.INTERNAL_ERROR: "error"}

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        """Collects warnings and errors; prints nothing."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[tuple[str, str]] = []

        def log(self, severity: Any, message: str) -> None:
            """Take a line."""
            if severity in names:
                self.lines.append((names[severity], one_line(message)))

    return Logger()
