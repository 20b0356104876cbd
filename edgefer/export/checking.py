"""Run an exported file on its golden vectors with each installed runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.backends import litert, registry
from edgefer.bundle import wire
from edgefer.errors import InputError, MissingRequirement
from edgefer.evaluation.metrics import softmax
from edgefer.export import golden
from edgefer.export.golden import Golden, Vector
from edgefer.faces import crop
from edgefer.inputs import pictures


@dataclass(frozen=True)
class Checked:
    """One runtime's results on the vectors.

    Attributes:
        device: its name, e.g. ``cpu``.
        runtime: name and version; empty if it did not run.
        why: why it did not run; empty if it did.
        vectors: number of vectors run.
        labels: number of vectors whose label differs from Python's.
        largest: largest difference of a probability from Python's.
        passed: all labels match Python's, and no probability differs by more than the tolerance.
    """

    device: str
    runtime: str = ""
    why: str = ""
    vectors: int = 0
    labels: int = 0
    largest: float = 0.0
    passed: bool = False


def check(path: Path, devices: Sequence[str] = ()) -> list[Checked]:
    """Run an exported file on the vectors next to it, ``NAME.golden.json`` for ``NAME.onnx`` or ``NAME.tflite``.

    A LiteRT file runs only on LiteRT, with edgefer's own preprocessing.

    Args:
        path: the exported file.
        devices: devices to use; by default each available one that runs this file type.

    Raises:
        InputError: the file or its vectors are missing or were not written by `edgefer export`, or an installed runtime
            cannot run the file.
        MissingRequirement: a requested device is not available.
    """
    limits.check_file(path, limits.NETWORK)
    vectors = golden.read(beside(path))
    content = limits.read_bytes(path, limits.NETWORK)
    if path.suffix == ".tflite":
        if others := set(devices) - {"litert"}:
            raise InputError(f"{path} runs only on litert, not on {', '.join(sorted(others))}")
        with litert.open_file(content, str(path)) as session:
            images = vectors.preprocessing.apply(list(pictures([_face(each) for each in vectors.vectors])))
            answers = [softmax(session.infer(image[None]) / vectors.temperature)[0] for image in images]
        return [_compared("litert", vectors, answers)]
    wire.check(content, str(path))
    found = []
    for device in devices or [name for name in registry.BACKENDS if not registry.get(name).on_gpu]:
        try:
            found.append(_on(device, content, vectors))
        except MissingRequirement as error:
            if devices:
                raise
            found.append(Checked(device, why=str(error)))
    return found


def beside(path: Path) -> Path:
    """Return the path of an exported file's golden vectors."""
    return path.with_suffix(".golden.json")


def _on(device: str, content: bytes, vectors: Golden) -> Checked:
    backend = registry.get(device)
    backend.check()
    return _compared(device, vectors, backend.run(content, [_inputs(vector) for vector in vectors.vectors]))


def _compared(device: str, vectors: Golden, answers: Sequence[NDArray[np.float32]]) -> Checked:
    labels, largest = 0, 0.0
    for vector, answer in zip(vectors.vectors, answers, strict=True):
        if answer.shape != (len(vectors.labels),) or not np.isfinite(answer).all():
            raise InputError(
                f"{device} returns {answer.dtype} of shape {answer.shape}, not {len(vectors.labels)} probabilities"
            )
        labels += vectors.labels[int(answer.argmax())] != vector.label
        largest = max(largest, float(np.abs(answer - np.array(vector.probabilities)).max()))
    return Checked(
        device,
        registry.get(device).version(),
        vectors=len(vectors.vectors),
        labels=labels,
        largest=largest,
        passed=not labels and largest <= vectors.tolerance,
    )


def _face(vector: Vector) -> NDArray[np.uint8]:
    """Return the face of a vector: the picture or its box, which only an ONNX file may take as input."""
    if vector.box is None:
        return vector.image
    left, top, right, bottom = vector.box
    return crop.rectangle(vector.image, left, top, right - left, bottom - top)


def _inputs(vector: Vector) -> dict[str, np.ndarray]:
    box = {} if vector.box is None else {"box": np.array(vector.box, np.int64)}
    return {"image": vector.image, **box}
