"""A network of a bundle, started by the runtime that its target needs."""

from __future__ import annotations

from edgefer.bundle.folder import Bundle
from edgefer.errors import InputError
from edgefer.runtimes import onnxruntime


def activate(bundle: Bundle, network: str, threads: int = 1) -> onnxruntime.Session:
    """Start a network of a bundle and check it against the manifest.

    Args:
        bundle: from `edgefer.bundle.load`.
        network: its name in the manifest, e.g. ``int8-cpu``.
        threads: threads for one operator.

    Raises:
        InputError: no such network, or its input or output is not what the manifest describes.
    """
    path = bundle.file(network)
    session = onnxruntime.activate(path, threads)
    spec, labels = bundle.manifest.preprocessing, bundle.manifest.labels
    wanted = (spec.channels, spec.size, spec.size)
    if any(side not in (None, want) for side, want in zip(session.shape, wanted, strict=True)):
        raise InputError(f"{path} takes input of shape {session.shape}, the manifest's preprocessing gives {wanted}")
    if session.classes not in (None, len(labels)):
        raise InputError(f"{path} has {session.classes} outputs, the manifest has {len(labels)} labels")
    return session
