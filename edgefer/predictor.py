"""Expressions of faces in pictures: what `edgefer.load` returns."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer import bundle as bundles
from edgefer import console
from edgefer.bundle import Bundle
from edgefer.data.pictures import opened, plain
from edgefer.detector import LEAST_SIDE, Box, Detector
from edgefer.errors import InputError, MissingExtra
from edgefer.evaluation.metrics import softmax
from edgefer.lines import printable
from edgefer.runtimes import bundled

Picture: TypeAlias = "NDArray[np.uint8] | Image.Image | str | os.PathLike[str] | bytes | io.BytesIO"

Faces: TypeAlias = Literal["auto", "always", "never"]

_BATCH = 32  # pictures that run together
_MOST_CHANNELS = 4
_MOST_PIXELS = 120_000_000  # of a file: telephones take pictures of 50 and 108 million


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture.

    Attributes:
        label: the most probable class.
        probabilities: of each class, by label; they add up to 1.
        milliseconds: time from pixels to probabilities: preprocessing and inference, reading a file not included.
            Pictures that were given together run together, so this is their share of the time.
        box: of the face in its picture; None where the picture was taken for a face as it is.
    """

    label: str
    probabilities: dict[str, float]
    milliseconds: float
    box: Box | None = None

    @property
    def confidence(self) -> float:
        """Probability of the label."""
        return self.probabilities[self.label]


class Predictor:
    """A network of a bundle, ready for pictures. Ends with `close`, or as a context manager.

    Attributes:
        bundle: where the network is from.
        network: its name in the bundle, e.g. ``int8-cpu``.
        labels: names of the classes, in the order of the network's outputs.
    """

    def __init__(self, bundle: Bundle, network: str, threads: int = 1) -> None:
        self.bundle = bundle
        self.network = network
        self.labels = bundle.manifest.labels
        self._session = bundled.activate(bundle, network, threads)
        spec = bundle.manifest.preprocessing
        # The first inference takes several times as long as those after it: not one whose time is told.
        self._session.infer(np.zeros((1, spec.channels, spec.size, spec.size), np.float32))
        self._detector: Detector | None = None

    @classmethod
    def load(cls, path: Path | str | None = None, network: str | None = None, threads: int = 1) -> Predictor:
        """Open the bundle at `path`; see `edgefer.load`."""
        bundle = bundles.default() if path is None else bundles.load(path)
        if network is None:
            fitting = bundle.networks_for("cpu")
            if not fitting:
                raise InputError(f"{path} has no network for a CPU; it has {', '.join(bundle.manifest.networks)}")
            network = fitting[-1]
        return cls(bundle, network, threads)

    def predict(self, images: Picture | Iterable[Picture]) -> list[Prediction]:
        """Return a prediction for each picture. A picture is one face, cut out; `predict_faces` finds faces.

        Args:
            images: one picture or many, in any of these forms. uint8 array: (H, W) or (H, W, 1) grey, (H, W, 3) RGB
                or (H, W, 4) RGBA; a stack of these; three axes that end in 1, 3 or 4 are one picture, not a stack.
                Path of an image file, its content as bytes or BytesIO, or a Pillow image (turned upright as its EXIF
                data says; what is transparent becomes white; 16 bits become 8; the first of several pages or frames).
                Or any iterable of pictures, of mixed forms and sizes; it is read a few pictures at a time.

        Returns:
            One prediction for each picture, in order. An empty list for none.

        Raises:
            InputError: something is no picture; the message names the file or the position.
        """
        inputs = self._inputs(_pictures(images))
        predictions: list[Prediction] = []
        while batch := list(islice(inputs, _BATCH)):
            predictions += self._infer(batch)
        return predictions

    def predict_faces(self, images: Picture | Iterable[Picture], faces: Faces = "auto") -> list[list[Prediction]]:
        """Return predictions for the faces in each picture, the largest face first; an empty list for none.

        Args:
            images: as for `predict`.
            faces: ``always`` looks for faces with OpenCV's detector, ``never`` takes each picture for one face.
                ``auto`` takes pictures for one face that are as small as one and have its shape: 64 pixels at most on
                the shorter side, the longer at most twice as long; and all of them where OpenCV is not there. One of
                a single colour has no face then.

        Raises:
            InputError: something is no picture; the message names the file or the position. Or `faces` is none of
                those words.
            MissingExtra: the detector is asked for and not installed.
        """
        if faces not in get_args(Faces):
            raise InputError(f"faces is {faces!r}; it takes {', '.join(get_args(Faces))}")
        return [self._predict_faces(picture, faces) for picture in _pictures(images)]

    def start_detector(self, faces: Faces = "always") -> Detector | None:
        """Read the face detector now, so that no picture's time has that in it.

        Args:
            faces: with ``auto`` a missing OpenCV is said once, on the command line; pictures are one face then.

        Raises:
            MissingExtra: with ``always``, OpenCV is not installed.
            LackError: it does not load.
        """
        try:
            self._detector = self._detector or Detector()
        except MissingExtra:
            if faces == "always":
                raise
            console.say_once(
                "each picture is taken for one face, since OpenCV is not installed to find faces: "
                "pip install 'edgefer[faces]'"
            )
        return self._detector

    def _predict_faces(self, picture: NDArray[np.uint8], faces: Faces) -> list[Prediction]:
        if faces == "never":
            return self.predict([picture])
        detector = None if faces == "auto" and _like_one_face(picture) else self.start_detector(faces)
        if detector is None:
            return [] if (picture == picture[0, 0]).all() else self.predict([picture])
        boxes = detector.find(picture)
        crops = [picture[box.top : box.top + box.height, box.left : box.left + box.width] for box in boxes]
        return [replace(prediction, box=box) for prediction, box in zip(self.predict(crops), boxes, strict=True)]

    def _inputs(self, pictures: Iterable[NDArray[np.uint8]]) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Yield the network's input of each picture, (1, channels, size, size), and the seconds that it took.

        One picture is in memory at a time: a telephone's has 36 MB, and a batch of them more than a small device.
        """
        for picture in pictures:
            start = time.perf_counter()
            pixels = self.bundle.manifest.preprocessing.apply([picture])
            yield pixels, time.perf_counter() - start

    def _infer(self, batch: Sequence[tuple[NDArray[np.float32], float]]) -> list[Prediction]:
        start = time.perf_counter()
        logits = self._session.infer(np.concatenate([pixels for pixels, _ in batch]))
        if logits.shape[1] != len(self.labels):
            raise InputError(
                f"{self.bundle.file(self.network)} has {logits.shape[1]} outputs for {len(self.labels)} labels; "
                "compress it again"
            )
        if not np.isfinite(logits).all():
            raise InputError(f"{self.bundle.file(self.network)} gives an output that is not finite; compress it again")
        probabilities = softmax(logits / self.bundle.manifest.temperature)
        seconds = time.perf_counter() - start + sum(seconds for _, seconds in batch)
        milliseconds = seconds * 1000 / len(batch)
        return [
            Prediction(self.labels[int(row.argmax())], dict(zip(self.labels, row.tolist(), strict=True)), milliseconds)
            for row in probabilities
        ]

    def close(self) -> None:
        """Free the network's memory."""
        self._session.deactivate()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pictures(images: Picture | Iterable[Picture]) -> Iterator[NDArray[np.uint8]]:
    """Yield uint8 arrays, (H, W) or (H, W, 3)."""
    if isinstance(images, np.ndarray):
        # Three axes that end in 1 to 4 are a picture with such channels, not a stack of slivers.
        stacked = images.ndim == 4 or (images.ndim == 3 and images.shape[2] > _MOST_CHANNELS)
        many: Iterable[Picture] = images if stacked else [images]
    elif isinstance(images, (str, os.PathLike, Image.Image, bytes, io.BytesIO)):
        many = [images]
    elif isinstance(images, Iterable) and not isinstance(images, (bytearray, dict, io.IOBase)):
        many = images
    else:
        forms = "an array, a path, a file's bytes, a Pillow image or many of them"
        raise InputError(f"no picture: {type(images).__name__}; give {forms}")
    for position, picture in enumerate(many):
        yield _pixels(picture, position)


def _pixels(picture: Picture, position: int) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8:
            raise InputError(f"picture {position} is an array of {picture.dtype}; give uint8, 0 to 255")
        channels = picture.shape[2] if picture.ndim == 3 else 1
        if picture.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in picture.shape:
            shapes = "(H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA"
            raise InputError(f"picture {position} has shape {picture.shape}; give {shapes}")
        if channels == 4:
            return np.asarray(plain(Image.fromarray(picture)))
        return picture.reshape(picture.shape[:2]) if channels == 1 else picture
    if isinstance(picture, Image.Image):
        return _upright(picture, f"picture {position}")
    if isinstance(picture, (str, os.PathLike)):
        name = os.fspath(picture)
        if isinstance(name, str):
            return read(Path(name))
    if isinstance(picture, (bytes, io.BytesIO)):
        return _read(io.BytesIO(picture) if isinstance(picture, bytes) else picture, f"picture {position}")
    raise InputError(f"picture {position} is no picture: {type(picture).__name__}")


def read(path: Path) -> NDArray[np.uint8]:
    """Return a picture file's pixels, upright, uint8, (H, W) or (H, W, 3).

    Raises:
        InputError: it is no picture, is damaged, or has too many pixels.
    """
    return _read(path, printable(str(path)))


def _read(source: Path | io.BytesIO, name: str) -> NDArray[np.uint8]:
    with opened(source, name, _MOST_PIXELS) as image:
        return np.asarray(plain(image))


def _like_one_face(picture: NDArray[np.uint8]) -> bool:
    short, long = sorted(picture.shape[:2])
    return bool(short <= LEAST_SIDE and long <= 2 * short)


def _upright(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if 0 in image.size:
        raise InputError(f"{name} has no pixels: {image.width} x {image.height}")
    try:
        return np.asarray(plain(image))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads a file when its pixels are asked for
        raise InputError(f"{name} cannot be used: {error}") from error
