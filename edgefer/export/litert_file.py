"""A bundle's network as a LiteRT file, for programs on phones and small boards."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefer import paths
from edgefer.backends import litert
from edgefer.backends.base import fitting
from edgefer.bundle import Bundle
from edgefer.errors import InputError
from edgefer.export import checking, golden
from edgefer.predictor import Predictor


@dataclass(frozen=True)
class WrittenLiteRT:
    """What `write` wrote.

    Attributes:
        name: of the bundle's network.
        network: which of its files.
        model: the LiteRT file.
        golden: the golden vectors next to it.
        bytes: of the LiteRT file.
        vectors: pictures in `golden`.
        input: its shape, (N, height, width, channels).
        normalization: from pixels of 0 to 255 to that input, as a person reads it.
        labels: how many logits there are.
        temperature: divides the logits before softmax.
    """

    name: str
    network: str
    model: Path
    golden: Path
    bytes: int
    vectors: int
    input: tuple[str | int, ...]
    normalization: str
    labels: int
    temperature: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "model": str(self.model), "golden": str(self.golden)}


def write(bundle: Bundle, out: Path | None = None, network: str | None = None) -> WrittenLiteRT:
    """Write a network of a bundle as a LiteRT file, and golden vectors next to it. Files that are there are replaced.

    Args:
        bundle: from `edgefer.bundle.load`.
        out: the file; by default ``NAME.tflite`` in the current folder.
        network: its name in the bundle; by default the INT8 network for CPUs.

    Raises:
        InputError: there is no such network, it has an operator that is not written yet, or `out` does not end in
            ``.tflite``.
        MissingExtra: what writes it is not installed.
    """
    manifest = bundle.manifest
    path = out or Path(f"{manifest.name}.tflite")
    if path.suffix != ".tflite":
        raise InputError(f"{path} should end in .tflite")
    fits = fitting(bundle, litert.BACKEND.targets)
    if not (network or fits):
        raise InputError(f"{bundle.path} has no network for CPUs; choose another with --network")
    name = network or fits[-1]
    content = litert.convert(bundle.content(name), str(bundle.file(name)))
    with Predictor(bundle, name, device="cpu") as predictor:
        vectors = golden.make(predictor, box=_shares_boxes(path))
    with paths.write_atomically(path) as part:
        part.write_bytes(content)
    golden.write(vectors, checking.beside(path))
    spec = manifest.preprocessing
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (spec.mean, spec.std))
    return WrittenLiteRT(
        manifest.name,
        name,
        path,
        checking.beside(path),
        len(content),
        len(vectors.vectors),
        ("N", spec.size, spec.size, spec.channels),
        f"{spec.color}, (pixel / 255 - [{mean}]) / [{std}]",
        len(manifest.labels),
        manifest.temperature,
    )


def _shares_boxes(path: Path) -> bool:
    """Return whether an ONNX file of the same name needs boxes in the golden vectors, which are those of both."""
    try:
        return path.with_suffix(".onnx").exists() and golden.read(checking.beside(path)).vectors[0].box is not None
    except InputError:  # no vectors, or none that can be read
        return False
