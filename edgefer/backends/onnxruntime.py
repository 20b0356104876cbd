"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, limits, muted
from edgefer.backends import targets
from edgefer.backends.base import Closing, Details, Options, Sides, fitting
from edgefer.bundle import wire
from edgefer.bundle.folder import Bundle
from edgefer.devices import machine
from edgefer.errors import InputError
from edgefer.lines import one_line

with muted.gpu_discovery():
    import onnxruntime

# `import edgefer` sets ORT_DISABLE_TELEMETRY, which stops the identifier and the database that
# onnxruntime 1.29 and later writes under ~/.cache/Microsoft; this call is for Windows and for older versions.
onnxruntime.disable_telemetry_events()

_EXACT = "session.x64quantprecision"
_NOWHERE = str(Path(os.devnull) / "no weights stand beside a network")
_MAX_THREADS = 1024  # ONNX Runtime would start a million
_FATAL = 4  # the exception already says what ONNX Runtime would print


class OnnxRuntimeSession(Closing):
    """A network that is ready to run; see `edgefer.backends.base.Session`. ONNX Runtime's own sessions are thread-safe.

    Attributes:
        input_shape: (channels, height, width) of one input, None where the file leaves it open.
        classes: number of outputs, None where the file leaves it open.
    """

    def __init__(self, session: onnxruntime.InferenceSession, name: str) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._name = name
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise InputError(f"{name} must have one input, float32 of shape (N, C, H, W); it has {_listed(inputs)}")
        if len(outputs) != 1 or outputs[0].type != "tensor(float)" or len(outputs[0].shape) != 2:
            raise InputError(f"{name} must have one output, float32 of shape (N, classes); it has {_listed(outputs)}")
        if isinstance(inputs[0].shape[0], int):
            raise InputError(f"{name} has a fixed batch of {inputs[0].shape[0]}; export it with the first axis open")
        self._input, self._outputs = inputs[0].name, [outputs[0].name]
        self.input_shape: Sides = tuple(_size(side) for side in inputs[0].shape[1:])
        self.classes = _size(outputs[0].shape[1])

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a batch."""
        session = self._session  # another thread may close it meanwhile
        if session is None:
            raise RuntimeError(f"{self._name} has been closed")
        try:
            logits: NDArray[np.float32] = session.run(self._outputs, {self._input: batch})[0]
        except Exception as error:  # onnxruntime's own errors share no base class
            raise InputError(
                f"{self._name} cannot run on {batch.dtype} of shape {batch.shape}: {said(error)}"
            ) from error
        if logits.ndim != 2 or logits.shape != (len(batch), self.classes or logits.shape[1]):
            raise InputError(f"{self._name} returns shape {logits.shape} for {len(batch)} images")
        return logits

    def close(self) -> None:
        """Free the network's memory."""
        self._session = None

    def details(self) -> Details:
        """Return an empty description."""
        return Details()


def open_model(
    model: Path | bytes, threads: int = 1, optimize: bool = True, name: str = "the network"
) -> OnnxRuntimeSession:
    """Load a network with ONNX Runtime's CPU provider.

    ONNX Runtime gets bytes and never a path, so it can open no other file.

    Args:
        model: an ONNX file, checked first by `edgefer.bundle.wire`, or its bytes.
        threads: threads for one operator; operators run one after another.
        optimize: all graph optimizations (as on a device), or none (the graph as in the file).
        name: the network's name in messages; by default the file's path.

    Raises:
        InputError: the file is missing, not ONNX or not an image classifier, or `threads` is not 1 to 1,024.
    """
    if not 1 <= threads <= _MAX_THREADS:
        raise InputError(f"threads must be 1 to {_MAX_THREADS:,}, not {threads}")
    if isinstance(model, Path):
        name = str(model)
        limits.check_file(model, limits.NETWORK)
        content = limits.read_bytes(model, limits.NETWORK)
        wire.check(content, name)
    else:
        content = model
    try:
        try:
            session = open_session(content, options(threads, optimize))
        except Exception:
            if not _saturates():
                raise
            # Shared weights or zero points cannot be made unsigned per layer.
            session = open_session(content, options(threads, optimize, exact=False))
            console.say_once(
                f"{name} may give other predictions than measured: this CPU has no VNNI, and layers that "
                "share constants cannot be made exact. If an older edgefer wrote the file, compress the network again"
            )
    except Exception as error:  # onnxruntime's own errors share no base class
        raise InputError(f"{name} cannot be loaded by ONNX Runtime: {said(error)}") from error
    return OnnxRuntimeSession(session, name)


def open_session(content: bytes, settings: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's own session for a network that need not be a classifier; its errors are not converted."""
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    session._model_bytes = None  # kept for another provider's session: twice the memory, for nothing
    return session


@cache
def _saturates() -> bool:
    return machine.describe().saturates


def options(threads: int = 1, optimize: bool = True, exact: bool = True) -> onnxruntime.SessionOptions:
    """Return the settings of every session; benchmarks vary one of them.

    With `exact`, on an x86 CPU without VNNI, weights beyond -64 to 64 become unsigned: those kernels accumulate in 32
    bits,
    which is slower but equals every other CPU (benchmarks/timing/without_vnni.py). Half-range weights (`compress --cpu
    no-vnni`) stay as they are, and fast.
    """
    levels = onnxruntime.GraphOptimizationLevel
    found = onnxruntime.SessionOptions()
    found.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    found.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    found.intra_op_num_threads = threads
    found.inter_op_num_threads = 1
    found.enable_cpu_mem_arena = True  # the default, made explicit; benchmarks/timing/arena.py measures its effect
    found.log_severity_level = _FATAL
    # Refuse ONNX Runtime's own format, and external weights, which would be looked up
    # in the current folder.
    found.add_session_config_entry("session.load_model_format", "ONNX")
    found.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    # Threads may spin between the operators of one inference, which is faster than waking them, but not after it:
    # they would slow down whatever runs next, e.g. the other network of a comparison.
    found.add_session_config_entry("session.force_spinning_stop", "1")
    if exact and _saturates():
        found.add_session_config_entry(_EXACT, "1")
    return found


def _listed(nodes: list[Any]) -> str:
    return ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes) or "none"


def _size(side: int | str | None) -> int | None:
    return side if isinstance(side, int) else None


def said(error: Exception) -> str:
    """Return an ONNX Runtime error's message in one line."""
    text = str(error)
    return one_line(text.split(" : ", 3)[-1] if text.startswith("[ONNXRuntimeError]") else text, 200)


class OnnxRuntime:
    """See `edgefer.backends.base.Backend`."""

    device = "cpu"
    title = "ONNX Runtime"
    targets = (targets.CPU,)
    automatic = True
    on_gpu = False
    sensors = ("RAPL", "INA3221")

    def check(self) -> None:
        """Return: ONNX Runtime is a dependency of edgefer."""

    def version(self) -> str:
        """Return its version."""
        return f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider"

    def networks(self, bundle: Bundle) -> list[str]:
        """Return plain networks and those for CPUs."""
        return fitting(bundle, self.targets)

    def open(self, bundle: Bundle, network: str, options: Options) -> OnnxRuntimeSession:
        """Start a network of a bundle."""
        return open_model(bundle.content(network), options.threads, name=str(bundle.file(network)))

    def open_model(self, model: Path | bytes, threads: int = 1) -> OnnxRuntimeSession:
        """Start an ONNX file."""
        return open_model(model, threads)

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Return the only output of any ONNX file for each of `inputs`."""
        try:
            session = open_session(model, options())
            return [session.run(None, dict(each))[0] for each in inputs]
        except Exception as error:  # onnxruntime's own errors share no base class
            raise InputError(f"ONNX Runtime cannot run the file: {said(error)}") from error

    def meter(self) -> None:
        """Return None: it uses the process's own memory."""


BACKEND = OnnxRuntime()
