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

Meter = Callable[[], int]  # free memory of a device, in bytes: what nobody holds
Sides = tuple[int | None, ...]  # (channels, height, width); None where the file leaves it open


@dataclass(frozen=True)
class Options:
    """How a network is run; each backend takes what concerns it.

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
    """What a bench's result says of a session apart from its measurements.

    Attributes:
        protocol: fields of `edgefer.bench.result.Protocol` that this backend decides.
        network: fields of `edgefer.bench.result.NetworkEntry`.
        gpu: that it runs on; None on a CPU.
        buffer_bytes: device memory for inputs and outputs.
    """

    protocol: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    gpu: Gpu | None = None
    buffer_bytes: int = 0


class Closing:
    """The `with` statement for what has a `close`."""

    def close(self) -> None:
        """Free what it holds."""
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
    """Return the logits of a batch, at most `most` images of which are given to `infer` at a time."""
    parts = [infer(batch[start : start + most]) for start in range(0, len(batch), most)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def padded(count: int) -> int:
    """Return the size of batch that `count` images run in, a power of two: a network is made ready for a few sizes."""
    return 1 << (count - 1).bit_length()


class Session(Protocol):
    """A network that is ready to run. Any thread may call `infer`, several at once too."""

    @property
    def input_shape(self) -> Sides:
        """(channels, height, width) of one input; None for a side that the file leaves open."""

    @property
    def classes(self) -> int | None:
        """Number of outputs; None where the file leaves it open."""

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 (N, classes), of a batch, float32 (N, C, H, W).

        Raises:
            InputError: the batch has another type or shape than the network takes.
            MissingRequirement: the device fails.
            RuntimeError: the session has been closed, or belongs to the process that this one was forked from.
        """

    def close(self) -> None:
        """Free what it holds; `infer` raises from now on. Closing again does nothing."""

    def details(self) -> Details:
        """Return what a result says of it."""

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
        """Its name for users: ``cpu`` of ``--device cpu``."""

    @property
    def title(self) -> str:
        """The runtime's name for users, e.g. ``ONNX Runtime``."""

    @property
    def targets(self) -> Sequence[Target]:
        """Forms of INT8 graph that it runs, the preferred one first."""

    @property
    def automatic(self) -> bool:
        """Whether ``auto`` may choose it."""

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU: `Options.threads` means nothing then, and devices have memory of their own."""

    @property
    def sensors(self) -> Sequence[str]:
        """Kinds of energy sensor that see its device, the best first (`edgefer.bench.probes.energy`)."""

    def check(self) -> None:
        """Return where this machine can run it.

        Raises:
            MissingRequirement: it cannot; one line that says what to install.
        """

    def version(self) -> str:
        """Return runtime and version as a result has it: ``onnxruntime 1.31.1, CPUExecutionProvider``."""

    def networks(self, bundle: Bundle) -> list[str]:
        """Return the names of a bundle's networks that it runs: FP32 first, the preferred INT8 network last."""

    def open(self, bundle: Bundle, network: str, options: Options) -> Session:
        """Start a network of a bundle.

        Raises:
            InputError: the runtime refuses the network.
            MissingRequirement: see `check`; or too little memory.
        """

    def open_model(self, model: Path | bytes, threads: int = 1) -> Session:
        """Start an ONNX file that belongs to no bundle, as the accuracy gate does.

        Raises:
            InputError: the runtime refuses it.
            MissingRequirement: see `check`, or the runtime runs nothing but what a bundle holds.
        """

    def run(self, model: bytes, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Return the one output of an ONNX file of any kind, for each of `inputs`: arrays by the input's name.

        Raises:
            InputError: the runtime refuses the file or an input.
            MissingRequirement: see `check`, or the runtime runs nothing but what a bundle holds.
        """

    def meter(self) -> AbstractContextManager[Meter] | None:
        """Return what reads the device's free memory while it is entered; None where that is the process's own."""


_PRECISIONS = ("fp32", "fp16", "int8")


def fitting(bundle: Bundle, targets: Sequence[Target]) -> list[str]:
    """Return the networks of a bundle that are for any of `targets`, FP32 first; of INT8 the first target's last."""
    order = {"any": len(targets), **{target.name: place for place, target in enumerate(targets)}}
    found = [(name, entry) for name, entry in bundle.manifest.networks.items() if entry.target in order]
    found.sort(key=lambda item: (_PRECISIONS.index(item[1].precision), -order[item[1].target]))
    return [name for name, _ in found]
