"""A GPU as described by its driver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """A GPU as described by its driver.

    Attributes:
        bus: PCI address as nvidia-smi takes it: ``0000:01:00.0``.
        name: e.g. ``Orin`` or ``NVIDIA GeForce RTX 4060``.
        compute: digits of its compute capability: ``87``.
        cuda: the newest CUDA that the driver supports: ``12.6``.
        memory: in bytes; on an integrated GPU all of the machine's.
        integrated: it shares the CPU's memory, as on a Jetson, so no copies are needed.
        layer: the Python package that calls the driver: ``cuda.bindings`` or ``pycuda``.
    """

    bus: str
    name: str
    compute: str
    cuda: str
    memory: int
    integrated: bool
    layer: str
