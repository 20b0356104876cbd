"""The part of NVIDIA's driver API that an inference needs, by cuda.bindings or pycuda.

Allocations are context managers, so that no exit, including errors,
leaks device memory. A context is current on a thread only while `Cuda.current` is entered there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefer.devices.gpu import Gpu
from edgefer.errors import MissingRequirement
from edgefer.lines import one_line

# Tried in this order: cuda.bindings has wheels for x86 and ARM; pycuda must be compiled.
LAYERS = {
    "cuda.bindings": "edgefer.backends.tensorrt.cuda.by_bindings",
    "pycuda": "edgefer.backends.tensorrt.cuda.by_pycuda",
}


@dataclass(frozen=True)
class CudaDevice:
    """A GPU whose primary context this process holds.

    Attributes:
        gpu: what it is.
        context: the layer's object for the primary context.
        waits: how a thread waits for the GPU: ``spin``, or ``auto``: the driver decides.
    """

    gpu: Gpu
    context: Any
    waits: str


@dataclass(frozen=True)
class CudaStream:
    """A stream: ordered work on a GPU.

    Attributes:
        handle: the driver's handle, for TensorRT.
        gpu: that it runs on.
    """

    handle: int
    gpu: Gpu


@dataclass(frozen=True)
class Buffer:
    """Memory accessible to CPU and GPU.

    Attributes:
        host: uint8, page-locked.
        pointer: its address on the device.
        mapped: `pointer` is the same memory as `host`; otherwise it is the device's own.
    """

    host: NDArray[np.uint8]
    pointer: int
    mapped: bool


class Cuda(Protocol):
    """The driver's functions. All raise MissingRequirement on failure; all but `device` need `current`."""

    def device(self) -> AbstractContextManager[CudaDevice]:
        """Hold the primary context of the first GPU.

        On an integrated GPU threads wait by spinning, unless the context is already in use: the driver's default
        may block there, which costs tens of microseconds an inference (CUDA Driver API, cuDevicePrimaryCtxSetFlags).

        Raises:
            MissingRequirement: no driver, or no GPU.
        """

    def current(self, device: CudaDevice) -> AbstractContextManager[None]:
        """Make the context current on the calling thread."""

    def stream(self, device: CudaDevice) -> AbstractContextManager[CudaStream]:
        """Make a stream."""

    def buffer(self, stream: CudaStream, count: int) -> AbstractContextManager[Buffer]:
        """Allocate `count` bytes, mapped to the device on an integrated GPU.

        Raises:
            MissingRequirement: out of memory.
        """

    def copy(self, stream: CudaStream, buffer: Buffer, count: int, to_device: bool) -> None:
        """Queue a copy of the first `count` bytes; a mapped buffer needs none."""

    def graph(self, stream: CudaStream, work: Callable[[], None]) -> AbstractContextManager[Callable[[], None]]:
        """Record what `work` queues without running it; return a function that queues all of it."""

    def wait(self, stream: CudaStream) -> None:
        """Wait for all queued work."""

    def free(self) -> int:
        """Return the GPU's free memory in bytes, in units of blocks.

        On a Jetson that is the free memory of the whole system (CUDA for Tegra, "Estimating total allocatable memory").
        """


def find() -> Cuda:
    """Return the installed layer, cuda.bindings first.

    Raises:
        MissingRequirement: neither is installed.
    """
    reasons = []
    for package, module in LAYERS.items():
        try:
            layer: Cuda = importlib.import_module(module).layer()
        except ImportError as error:
            reasons.append(f"{package}: {one_line(error)}")
        else:
            return layer
    raise MissingRequirement(
        "neither cuda.bindings nor pycuda can be loaded; run: pip install 'edgefer[jetson]' on a Jetson, "
        f"'edgefer[rtx]' elsewhere ({'; '.join(reasons)})"
    )
