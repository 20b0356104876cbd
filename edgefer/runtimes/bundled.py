"""A network of a bundle, started by the runtime that a device needs."""

from __future__ import annotations

from typing import TypeAlias

from edgefer.bundle.folder import Bundle
from edgefer.bundle.manifest import Target
from edgefer.errors import InputError
from edgefer.runtimes import engine, gpu, onnxruntime

# Each device, and which of a bundle's networks are made for it.
TARGETS: dict[str, Target] = {"cpu": "cpu", "jetson": "tensorrt", "rtx": "rtx"}

Session: TypeAlias = "onnxruntime.Session | engine.Session"


def activate(
    bundle: Bundle, network: str, threads: int = 1, device: str = "cpu", options: gpu.Options | None = None
) -> Session:
    """Start a network of a bundle and check it against the manifest.

    Args:
        bundle: from `edgefer.bundle.load`.
        network: its name in the manifest, e.g. ``int8-cpu``.
        threads: threads for one operator, on the CPU.
        device: one of `TARGETS`.
        options: how, on a GPU.

    Raises:
        InputError: no such network, or its input or output is not what the manifest describes.
        LackError: the machine lacks what the device takes.
    """
    path = bundle.file(network)
    session: Session
    if device == "cpu":
        session = onnxruntime.activate(bundle.content(network), threads, name=str(path))
    else:
        session = gpu.activate(bundle, network, device, options or gpu.Options())
    spec, labels = bundle.manifest.preprocessing, bundle.manifest.labels
    wanted = (spec.channels, spec.size, spec.size)
    why = ""
    if any(side not in (None, want) for side, want in zip(session.shape, wanted, strict=True)):
        why = f"{path} takes input of shape {session.shape}, the manifest's preprocessing gives {wanted}"
    elif session.classes not in (None, len(labels)):
        why = f"{path} has {session.classes} outputs, the manifest has {len(labels)} labels"
    if why:
        session.deactivate()
        raise InputError(why)
    return session
