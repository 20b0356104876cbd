"""Export a bundle's network as a LiteRT file, for phones and small boards."""

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
    """The exported files.

    Attributes:
        name: of the bundle.
        network: name of the network in the bundle.
        model: the LiteRT file.
        golden: the golden vectors next to it.
        bytes: size of the LiteRT file.
        vectors: number of pictures in `golden`.
        input: shape, (N, height, width, channels).
        normalization: human-readable formula from pixels (0 to 255) to the input.
        labels: number of logits.
        temperature: divisor of the logits before softmax.
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
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "model": str(self.model), "golden": str(self.golden)}


def write(bundle: Bundle, out: Path | None = None, network: str | None = None) -> WrittenLiteRT:
    """Write a bundle's network as a LiteRT file, with golden vectors next to it. Existing files are replaced.

    Args:
        bundle: from `edgefer.bundle.load`.
        out: path of the file; by default ``NAME.tflite`` in the current folder.
        network: name in the bundle; by default the INT8 network for CPUs.

    Raises:
        InputError: there is no such network, an operator is not supported, or `out` does not end in ``.tflite``.
        MissingExtra: the converter is not installed.
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
    """Return whether an ONNX file of the same name needs boxes in the golden vectors, which both files share."""
    try:
        return path.with_suffix(".onnx").exists() and golden.read(checking.beside(path)).vectors[0].box is not None
    except InputError:  # no vectors, or unreadable ones
        return False
