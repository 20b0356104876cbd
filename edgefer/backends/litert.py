"""LiteRT (TensorFlow Lite) on the CPU, with XNNPACK: phones, and the Raspberry Pi.

It runs a bundle's CPU networks. `edgefer.graph.litert` writes each as a LiteRT file when it is
opened, in less than a tenth of a second.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.backends.base import Closing, Details, Options, Sides, fitting, in_parts, padded
from edgefer.backends.targets import CPU
from edgefer.bundle import wire
from edgefer.bundle.folder import Bundle
from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line

_CONVERTER = "edgefer.graph.litert"  # a higher floor, so imported when needed, like a target's lowering
_MAX_BATCH = 32
_quiet = threading.Lock()


class LiteRTSession(Closing):
    """A network that is ready to run; see `edgefer.backends.base.Session`.

    LiteRT's interpreters belong to one thread and one batch size: each thread has its own for 1, 2, 4, ... images.
    """

    def __init__(self, content: bytes, threads: int, name: str) -> None:
        self._content: bytes | None = content
        self._threads, self._name = threads, name
        self._mine = threading.local()
        interpreter = self._interpreter(1)
        sides = [int(side) for side in interpreter.get_input_details()[0]["shape"]]
        if len(sides) != 4:
            raise InputError(f"{name} takes input of shape {sides}; edgefer's take (N, height, width, channels)")
        _, high, wide, channels = sides
        self.input_shape: Sides = (channels, high, wide)
        self.classes: int | None = int(interpreter.get_output_details()[0]["shape"][-1])

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a batch."""
        if batch.dtype != np.float32 or batch.ndim != 4 or batch.shape[1:] != self.input_shape or not len(batch):
            raise InputError(f"{self._name} cannot run on {batch.dtype} of shape {batch.shape}")
        return in_parts(self._infer, batch, _MAX_BATCH)

    def _infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count = len(batch)
        size = padded(count)
        interpreter = self._interpreter(size)
        channels_last = np.zeros((size, *batch.shape[2:], batch.shape[1]), np.float32)
        channels_last[:count] = batch.transpose(0, 2, 3, 1)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], channels_last)
        interpreter.invoke()
        logits: NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return logits[:count]

    def _interpreter(self, size: int) -> Any:
        content = self._content
        if content is None:
            raise RuntimeError(f"{self._name} has been closed")
        mine: dict[Any, Any] = self._mine.__dict__
        if size not in mine:
            mine[size] = _started(content, self._threads, size)
        return mine[size]

    def close(self) -> None:
        """Free the network's memory; each thread's interpreters are freed when the thread ends."""
        self._content = None
        self._mine = threading.local()

    def details(self) -> Details:
        """Return the type of the floating-point parts of INT8 networks."""
        return Details(network={"computed_in": "fp32"})


class LiteRt:
    """See `edgefer.backends.base.Backend`."""

    device = "litert"
    title = "LiteRT"
    targets = (CPU,)
    automatic = False  # installing a package must not change predictions
    on_gpu = False
    sensors = ("RAPL", "INA3221")

    def check(self) -> None:
        """Return if LiteRT and the packages that write its files are installed."""
        _runtime()
        _converter()

    def version(self) -> str:
        """Return its version."""
        return f"LiteRT {metadata.version('ai-edge-litert')}, CPU, XNNPACK"

    def networks(self, bundle: Bundle) -> list[str]:
        """Return plain networks and those for CPUs."""
        return fitting(bundle, self.targets)

    def open(self, bundle: Bundle, network: str, options: Options) -> LiteRTSession:
        """Start a network of a bundle."""
        return _open(bundle.content(network), options.threads, str(bundle.file(network)))

    def open_model(self, model: Path | bytes, threads: int = 1) -> LiteRTSession:
        """Start an ONNX file."""
        if isinstance(model, bytes):
            return _open(model, threads, "the network")
        content = limits.read_bytes(model, limits.NETWORK)
        wire.check(content, str(model))
        return _open(content, threads, str(model))

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Refuse: an exported network's preprocessing has no LiteRT form."""
        raise MissingRequirement("LiteRT runs classifiers only")

    def meter(self) -> None:
        """Return None: it uses the process's own memory."""


BACKEND = LiteRt()


def convert(content: bytes, name: str = "the network") -> bytes:
    """Return an ONNX file's network as a LiteRT file.

    Raises:
        InputError: the network has an operator without a LiteRT form.
        MissingExtra: a required package is not installed.
    """
    try:
        return _converter()(content)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def open_file(content: bytes, name: str = "the network", threads: int = 1) -> LiteRTSession:
    """Start a LiteRT file's network.

    Raises:
        InputError: LiteRT rejects it.
        MissingExtra: LiteRT is not installed.
    """
    return LiteRTSession(content, threads, name)


def _open(content: bytes, threads: int, name: str) -> LiteRTSession:
    _runtime()
    return LiteRTSession(convert(content, name), threads, name)


def _started(content: bytes, threads: int, size: int) -> Any:
    with _without_notice():
        try:
            found = _runtime().Interpreter(model_content=content, num_threads=threads)
            details = found.get_input_details()[0]
            if size != 1:
                found.resize_tensor_input(details["index"], [size, *details["shape"][1:]])
            found.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"LiteRT cannot run the network: {one_line(error, 200)}") from None
    return found


@contextmanager
def _without_notice() -> Iterator[None]:
    """Suppress the line that XNNPACK prints for a process's first interpreter."""
    with _quiet:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _runtime() -> Any:
    try:
        return importlib.import_module("ai_edge_litert.interpreter")
    except ModuleNotFoundError:
        raise MissingExtra("ai-edge-litert", "litert") from None


def _converter() -> Callable[[bytes], bytes]:
    try:
        found: Callable[[bytes], bytes] = importlib.import_module(_CONVERTER).from_bytes
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error, "litert") from None
    return found
