"""OpenVINO on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.backends.base import Closing, Details, Options, Sides, fitting, in_parts, padded
from edgefer.backends.targets import CPU, TENSORRT, Target
from edgefer.bundle import wire
from edgefer.bundle.folder import Bundle
from edgefer.devices import machine
from edgefer.errors import InputError, MissingExtra
from edgefer.lines import one_line

_MAX_BATCH = 32
_FP32 = "f32"


class OpenVINOSession(Closing):
    """A network that is ready to run; see `edgefer.backends.base.Session`.

    Static shapes run faster, so there is one compiled network for each batch of 1, 2, 4, ... images,
    compiled on first use. Each thread has its own requests.
    """

    def __init__(self, core: Any, model: Any, name: str, settings: dict[str, Any]) -> None:
        self._core, self._name, self._settings = core, name, settings
        self._model: Any | None = model
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._requests = threading.local()
        shape = model.input(0).partial_shape
        if len(model.inputs) != 1 or len(model.outputs) != 1 or len(shape) != 4:
            raise InputError(f"{name} must have one input, float32 of shape (N, C, H, W), and one output")
        self.input_shape: Sides = tuple(_size(side) for side in list(shape)[1:])
        self.classes = _size(list(model.output(0).partial_shape)[-1])

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a batch."""
        fits = batch.ndim == 4 and all(
            want in (None, side) for want, side in zip(self.input_shape, batch.shape[1:], strict=True)
        )
        if batch.dtype != np.float32 or not fits or not len(batch):
            raise InputError(f"{self._name} cannot run on {batch.dtype} of shape {batch.shape}")
        return in_parts(self._infer, batch, _MAX_BATCH)

    def _infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count, sides = len(batch), batch.shape[1:]
        size = padded(count)
        request = self._request((size, *sides))
        if size > count:
            batch = np.concatenate([batch, np.zeros((size - count, *sides), np.float32)])
        try:
            request.infer([np.ascontiguousarray(batch)], share_inputs=True)
        except RuntimeError as error:
            raise InputError(f"{self._name} cannot run on float32 of shape {batch.shape}: {_said(error)}") from error
        return np.array(request.get_output_tensor(0).data[:count], np.float32)

    def _request(self, shape: tuple[int, ...]) -> Any:
        mine: dict[Any, Any] = self._requests.__dict__
        if self._model is None:
            raise RuntimeError(f"{self._name} has been closed")
        if shape not in mine:
            with self._lock:
                mine[shape] = self._network(shape).create_infer_request()
        return mine[shape]

    def _network(self, shape: tuple[int, ...]) -> Any:
        if self._model is None:
            raise RuntimeError(f"{self._name} has been closed")
        if shape not in self._compiled:
            try:
                self._model.reshape(list(shape))
                self._compiled[shape] = self._core.compile_model(self._model, "CPU", self._settings)
            except RuntimeError as error:
                raise InputError(f"{self._name} cannot run on float32 of shape {shape}: {_said(error)}") from error
        return self._compiled[shape]

    def close(self) -> None:
        """Free the network's memory; each thread's requests are freed when the thread ends."""
        with self._lock:
            self._model = None
            self._compiled.clear()
            self._requests = threading.local()

    def details(self) -> Details:
        """Return the type that OpenVINO computes in: bf16 for FP32 and FP16 networks where the CPU has it."""
        with self._lock:
            compiled = next(iter(self._compiled.values()), None)
        if compiled is None:
            return Details()
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return Details(network={"computed_in": _TYPES.get(hint)})


class OpenVino:
    """See `edgefer.backends.base.Backend`."""

    device = "openvino"
    title = "OpenVINO"
    automatic = False  # installing a package must not change predictions
    on_gpu = False
    sensors = ("RAPL", "INA3221")

    @property
    def targets(self) -> tuple[Target, ...]:
        """Both forms, the faster first.

        With AMX that is TensorRT's (0.72 to 0.92 of ONNX Runtime's time against 0.79 to 1.03, on a Xeon with AMX); with
        VNNI only it is the CPU's, in 0.46 to 0.91 of the other's time (benchmarks/results/runtimes.json).
        """
        return (TENSORRT, CPU) if "amx_int8" in machine.describe().flags else (CPU, TENSORRT)

    def check(self) -> None:
        """Return where OpenVINO is installed."""
        _openvino()

    def version(self) -> str:
        """Return its version."""
        return f"OpenVINO {_openvino().__version__.partition('-')[0]}, CPU"

    def networks(self, bundle: Bundle) -> list[str]:
        """Return plain networks, and those for CPUs and TensorRT."""
        return fitting(bundle, self.targets)

    def open(self, bundle: Bundle, network: str, options: Options) -> OpenVINOSession:
        """Start a network of a bundle."""
        int8 = bundle.manifest.networks[network].precision == "int8"
        return open_model(bundle.content(network), options.threads, int8, str(bundle.file(network)))

    def open_model(self, model: Path | bytes, threads: int = 1) -> OpenVINOSession:
        """Start an ONNX file, in FP32 where it is not quantized."""
        if isinstance(model, bytes):
            return open_model(model, threads, int8=True)
        content = limits.read_bytes(model, limits.NETWORK)
        wire.check(content, str(model))
        return open_model(content, threads, int8=True, name=str(model))

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Return the only output of any ONNX file for each of `inputs`."""
        openvino = _openvino()
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": _FP32})
            return [np.array(compiled(dict(each))[0], np.float32) for each in inputs]
        except RuntimeError as error:
            raise InputError(f"OpenVINO cannot run the file: {_said(error)}") from error

    def meter(self) -> None:
        """Return None: it uses the process's own memory."""


BACKEND = OpenVino()

_TYPES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


def open_model(content: bytes, threads: int = 1, int8: bool = False, name: str = "the network") -> OpenVINOSession:
    """Load a network with OpenVINO's CPU plugin.

    Args:
        content: an ONNX file's bytes.
        threads: for one operator.
        int8: whether it is quantized: then floating-point parts run in FP32. Otherwise OpenVINO chooses bf16
            if the CPU has it.
        name: the network's name in messages.

    Raises:
        InputError: OpenVINO rejects it.
        MissingExtra: OpenVINO is not installed.
    """
    openvino = _openvino()
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if int8:
        settings["INFERENCE_PRECISION_HINT"] = _FP32  # floating-point parts of INT8 networks: bf16 changes labels
    core = openvino.Core()
    try:
        found = core.read_model(content)
    except RuntimeError as error:
        raise InputError(f"{name} cannot be loaded by OpenVINO: {_said(error)}") from error
    return OpenVINOSession(core, found, name, settings)


def _openvino() -> Any:
    try:
        import openvino
    except ModuleNotFoundError:
        raise MissingExtra("openvino", "openvino") from None
    return openvino


def _size(side: Any) -> int | None:
    return side.get_length() if side.is_static else None


def _said(error: Exception) -> str:
    return one_line(str(error), 200)
