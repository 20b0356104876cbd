"""The interface of a runtime: `Backend` opens a bundle's network as a `Session`.

A new backend is one module with an object that has what `Backend` lists, and one row in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefer.backends.targets import Target
from edgefer.bundle.folder import Bundle
from edgefer.devices.gpu import Gpu

Meter = Callable[[], int]  # free memory of a device, in bytes
Sides = tuple[int | None, ...]  # (channels, height, width); None where the file leaves it open


@dataclass(frozen=True)
class Options:
    """How a network is run; each backend uses what applies to it.

    Attributes:
        threads: for one operator, on a CPU.
        cuda_graphs: start each inference on a GPU as one CUDA graph.
        dla: number of a Jetson's deep learning accelerator.
        board: the board that the GPU is on, with its power mode: engines are tuned to both.
    """

    threads: int = 1
    cuda_graphs: bool = True
    dla: int | None = None
    board: str | None = None


@dataclass(frozen=True)
class Details:
    """What a bench's result records about a session, apart from measurements.

    Attributes:
        protocol: fields of `edgefer.bench.result.Protocol` set by this backend.
        network: fields of `edgefer.bench.result.NetworkEntry`.
        gpu: that it runs on; None on a CPU.
        buffer_bytes: device memory for inputs and outputs.
    """

    protocol: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    gpu: Gpu | None = None
    buffer_bytes: int = 0


class Closing:
    """Mixin: makes an object with `close` a context manager."""

    def close(self) -> None:
        """Free its resources."""
        raise NotImplementedError

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Opened = TypeVar("Opened", bound=Closing)


def in_parts(
    infer: Callable[[NDArray[np.float32]], NDArray[np.float32]], batch: NDArray[np.float32], most: int
) -> NDArray[np.float32]:
    """Return the logits of a batch, passing at most `most` images to `infer` at a time."""
    parts = [infer(batch[start : start + most]) for start in range(0, len(batch), most)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def padded(count: int) -> int:
    """Return the padded batch size for `count` images: a power of two, so that few sizes must be prepared."""
    return 1 << (count - 1).bit_length()


class Session(Protocol):
    """A network that is ready to run. Threads may call `infer` concurrently."""

    @property
    def input_shape(self) -> Sides:
        """(channels, height, width) of one input; None for a side that the file leaves open."""

    @property
    def classes(self) -> int | None:
        """Number of outputs; None where the file leaves it open."""

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 (N, classes), of a batch, float32 (N, C, H, W).

        Raises:
            InputError: the batch does not have the network's input type or shape.
            MissingRequirement: the device fails.
            RuntimeError: the session has been closed, or belongs to the process that this one was forked from.
        """

    def close(self) -> None:
        """Free its resources; `infer` raises from now on. Closing twice does nothing."""

    def details(self) -> Details:
        """Return what a result records about it."""

    def __enter__(self) -> Session:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


class Backend(Protocol):
    """A runtime on a kind of device."""

    @property
    def device(self) -> str:
        """Its name for users: ``cpu`` in ``--device cpu``."""

    @property
    def title(self) -> str:
        """The runtime's name for users, e.g. ``ONNX Runtime``."""

    @property
    def targets(self) -> Sequence[Target]:
        """Forms of INT8 graph that it runs, preferred first."""

    @property
    def automatic(self) -> bool:
        """Whether ``auto`` may choose it."""

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU: then `Options.threads` has no effect, and devices have their own memory."""

    @property
    def sensors(self) -> Sequence[str]:
        """Kinds of energy sensor for its device, best first (`edgefer.bench.probes.energy`)."""

    def check(self) -> None:
        """Return if this machine can run it.

        Raises:
            MissingRequirement: it cannot; the message says what to install.
        """

    def version(self) -> str:
        """Return runtime and version, as in a result: ``onnxruntime 1.31.1, CPUExecutionProvider``."""

    def networks(self, bundle: Bundle) -> list[str]:
        """Return the names of a bundle's networks that it runs: FP32 first, preferred INT8 last."""

    def open(self, bundle: Bundle, network: str, options: Options) -> Session:
        """Start a network of a bundle.

        Raises:
            InputError: the runtime rejects the network.
            MissingRequirement: see `check`; or not enough memory.
        """

    def open_model(self, model: Path | bytes, threads: int = 1) -> Session:
        """Start an ONNX file outside a bundle, as the accuracy gate does.

        Raises:
            InputError: the runtime rejects it.
            MissingRequirement: see `check`, or the runtime only runs networks of a bundle.
        """

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Return the only output of any ONNX file, for each of `inputs`: arrays by input name.

        Raises:
            InputError: the runtime rejects the file or an input.
            MissingRequirement: see `check`, or the runtime only runs networks of a bundle.
        """

    def meter(self) -> AbstractContextManager[Meter] | None:
        """Return a context manager with a reader of the device's free memory; None if it is the process's."""


_PRECISIONS = ("fp32", "fp16", "int8")


def fitting(bundle: Bundle, targets: Sequence[Target]) -> list[str]:
    """Return the networks of a bundle that are for any of `targets`, FP32 first; then INT8, the first target's last."""
    order = {"any": len(targets), **{target.name: place for place, target in enumerate(targets)}}
    found = [(name, entry) for name, entry in bundle.manifest.networks.items() if entry.target in order]
    found.sort(key=lambda item: (_PRECISIONS.index(item[1].precision), -order[item[1].target]))
    return [name for name, _ in found]
