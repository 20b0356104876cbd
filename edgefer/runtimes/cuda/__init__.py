"""NVIDIA's driver, as little of it as an inference takes: six functions, by pycuda or by cuda.bindings.

Each one that takes something gives it back itself (a context manager), so that no way out of an inference, an error
included, leaves memory on the device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import LackError
from edgefer.lines import one_line

# Tried in this order: the package, and the module that calls it.
LAYERS = {"pycuda": "edgefer.runtimes.cuda.by_pycuda", "cuda.bindings": "edgefer.runtimes.cuda.by_bindings"}


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver describes it.

    Attributes:
        bus: where it is: ``0000:01:00.0``, as nvidia-smi takes it.
        name: e.g. ``Orin`` or ``NVIDIA GeForce RTX 4060``.
        compute: digits of its compute capability: ``87``.
        cuda: the newest CUDA that the driver knows: ``12.6``.
        memory: in bytes; on an integrated GPU all of the machine's.
        integrated: it shares the memory of the CPU, as on a Jetson: nothing needs to be copied.
        layer: ``pycuda`` or ``cuda.bindings``.
    """

    bus: str
    name: str
    compute: str
    cuda: str
    memory: int
    integrated: bool
    layer: str


@dataclass(frozen=True)
class Stream:
    """Work in order on a GPU.

    Attributes:
        handle: the driver's, as TensorRT takes it.
        gpu: that it runs on.
    """

    handle: int
    gpu: Gpu


@dataclass(frozen=True)
class Buffer:
    """Memory that CPU and GPU both reach.

    Attributes:
        host: uint8, page-locked.
        pointer: its address on the device.
        mapped: `pointer` is the same memory as `host`; otherwise it is the device's own.
    """

    host: NDArray[np.uint8]
    pointer: int
    mapped: bool


class Cuda(Protocol):
    """The six functions. All raise LackError where the driver refuses."""

    def stream(self) -> AbstractContextManager[Stream]:
        """Start the first GPU, and give this thread its primary context.

        Raises:
            LackError: no driver, or no GPU.
        """

    def buffer(self, stream: Stream, count: int) -> AbstractContextManager[Buffer]:
        """Take `count` bytes, mapped into the device on an integrated GPU.

        Raises:
            LackError: out of memory.
        """

    def copy(self, stream: Stream, buffer: Buffer, count: int, to_device: bool) -> None:
        """Queue a copy of the first `count` bytes; nothing is to be done for a mapped buffer."""

    def graph(self, stream: Stream, work: Callable[[], None]) -> AbstractContextManager[Callable[[], None]]:
        """Record what `work` queues, without running it; what is returned queues all of it at once."""

    def wait(self, stream: Stream) -> None:
        """Wait until all that was queued is done."""

    def free(self, stream: Stream) -> int:
        """Return the bytes of the GPU's memory that nobody holds, no program and no context; they come in blocks."""


def find() -> Cuda:
    """Return the layer that is installed, pycuda first.

    Raises:
        LackError: neither is.
    """
    reasons = []
    for package, module in LAYERS.items():
        try:
            layer: Cuda = importlib.import_module(module).layer()
        except ImportError as error:
            reasons.append(f"{package}: {one_line(error)}")
        else:
            return layer
    raise LackError(
        "neither pycuda nor cuda.bindings can be loaded; run: pip install 'edgefer[tensorrt]' on a Jetson, "
        f"'edgefer[rtx]' elsewhere ({'; '.join(reasons)})"
    )
