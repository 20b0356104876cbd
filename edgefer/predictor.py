"""Expressions of faces in pictures: what `edgefer.load` returns."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from edgefer import bundle as bundles
from edgefer.backends import registry
from edgefer.backends.base import Closing, Options
from edgefer.bundle import Bundle
from edgefer.errors import InputError, MissingRequirement
from edgefer.evaluation.metrics import softmax
from edgefer.faces import crop, notes
from edgefer.faces import detector as detectors
from edgefer.faces.face import Box, Detector, Face, Landmarks
from edgefer.faces.search import MIN_CROP
from edgefer.inputs import Picture, pictures

Faces: TypeAlias = Literal["auto", "always", "never"]

_BATCH = 32  # pictures that run together


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture.

    Attributes:
        label: the most probable class.
        probabilities: of each class, by label; they add up to 1.
        milliseconds: time from pixels to probabilities: preprocessing and inference, reading a file not included.
            Pictures that were given together run together, so this is their share of the time.
        box: square around the face in its picture, cut to the picture; None where the picture was taken for a face as
            it is.
        score: how sure the detector is that this is a face, 0 to 1; None where it does not say, or did not look.
        roll: degrees that the face is turned clockwise in its picture. It was turned upright before it was judged.
        landmarks: (x, y) of the eyes, the tip of the nose and the corners of the mouth, in pixels of the picture;
            empty where they are not known.
        notes: what lowers the trust in the answer: ``small``, ``profile``, ``occluded`` (or blurred: a low score).
    """

    label: str
    probabilities: dict[str, float]
    milliseconds: float
    box: Box | None = None
    score: float | None = None
    roll: float = 0.0
    landmarks: Landmarks = ()
    notes: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """Probability of the label."""
        return self.probabilities[self.label]


class Predictor(Closing):
    """A network of a bundle, ready for pictures. Ends with `close`, or as a context manager.

    One predictor may be used by many threads at a time: each call answers as it does alone, and networks run side by
    side. After `close` calls raise RuntimeError; those that run at that moment may do so too.

    Attributes:
        bundle: where the network is from.
        network: its name in the bundle, e.g. ``int8-cpu``.
        device: that it runs on, e.g. ``cpu``.
        labels: names of the classes, in the order of the network's outputs.
    """

    def __init__(
        self,
        bundle: Bundle,
        network: str | None = None,
        threads: int = 1,
        device: str = "auto",
        detector: str | os.PathLike[str] | None = None,
        fetch: bool = False,
    ) -> None:
        self.bundle = bundle
        self._fetch = fetch
        self.labels = bundle.manifest.labels
        self.device, self.network, self._session = registry.choose(bundle, device, network, Options(threads=threads))
        spec = bundle.manifest.preprocessing
        # The first inference takes several times as long as those after it: not one whose time is told.
        self._session.infer(np.zeros((1, spec.channels, spec.size, spec.size), np.float32))
        self._detector_name, self._threads = detector, threads
        self._detector: Detector | MissingRequirement | None = None  # None until somebody needs it
        self._starting = Lock()  # threads that need the detector first read it once

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        network: str | None = None,
        threads: int = 1,
        device: str = "auto",
        detector: str | os.PathLike[str] | None = None,
        fetch: bool = False,
    ) -> Predictor:
        """Open the bundle at `path`; see `edgefer.load`."""
        bundle = bundles.default() if path is None else bundles.load(path)
        return cls(bundle, network, threads, device, detector, fetch)

    def predict(self, images: Picture | Iterable[Picture]) -> list[Prediction]:
        """Return a prediction for each picture. A picture is one face, cut out; `predict_faces` finds faces.

        Args:
            images: one picture or many, in these forms. An iterable may mix forms and sizes; it is read a few pictures
                at a time.

                ========================================  ===========================================================
                taken                                     as
                ========================================  ===========================================================
                uint8 (H, W), (H, W, 1)                   one grey picture
                uint8 (H, W, 3), (H, W, 4)                one picture, RGB (OpenCV's BGR is ``array[..., ::-1]``), RGBA
                uint8 (N, H, W), (N, H, W, 1 or 3 or 4)   N pictures
                path, str                                 a file; of several frames the first that shows anything
                str: ``https://...``                      what is there, at most 64 MB, with ``load(..., fetch=True)``
                str: ``data:image/...``                   a data URI's content
                bytes, BytesIO                            a file's content
                Pillow image                              itself, turned upright as its EXIF data says
                list, generator, ... of these             one picture each
                ========================================  ===========================================================

                A text names a file, and with `fetch` any address that this machine can reach. A server gives bytes of
                what others send it, never their texts.

                What is transparent becomes white, 16 bits become 8. Refused is what has another type or is not
                certain; a list of arrays is always one picture each:

                ========================================  ===========================================================
                refused                                   give instead
                ========================================  ===========================================================
                float, bool, int16, object, ... arrays    uint8, 0 to 255; the message has the conversion
                (3 or 4, H, W)                            ``array.transpose(1, 2, 0)``, or ``list(array)`` if grey
                (N, 1 or 3 or 4, H, W)                    ``array.transpose(0, 2, 3, 1)``
                (H, H, N)                                 ``np.moveaxis(array, -1, 0)``
                (N, 2304), rows of any square if wide     ``array.reshape(-1, 48, 48)``, or ``[array]`` if one picture
                stacks of pictures longer than 4 to 1     ``list(array)``
                tensors, masked arrays, DataFrames        a uint8 NumPy array
                ``https://...`` by default                ``edgefer.load(..., fetch=True)``, or the bytes
                base64, bytearray, open files             bytes
                sets, dictionaries                        a list
                ========================================  ===========================================================

        Returns:
            One prediction for each picture, in order. An empty list for none.

        Raises:
            InputError: something is no picture, or may be read in two ways; the message names the file or the position.
            RuntimeError: the predictor is closed.
        """
        inputs = self._inputs(pictures(images, self._fetch))
        predictions: list[Prediction] = []
        while batch := list(islice(inputs, _BATCH)):
            predictions += self._infer(batch)
        return predictions

    def predict_faces(
        self, images: Picture | Iterable[Picture], faces: Faces = "auto", min_face: int | None = None
    ) -> list[list[Prediction]]:
        """Return predictions for the faces in each picture, sorted by score times size; an empty list for none.

        Args:
            images: as for `predict`.
            faces: ``always`` looks for faces, ``never`` takes each picture for one face. ``auto`` looks too, but takes
                pictures for one face that are too small for more: under 48 pixels on the shorter side, the longer at
                most twice as long. One of a single colour has no face then.
            min_face: side in pixels of the smallest face to look for. By default 48, and a 64th of the longer side of
                pictures longer than 3,072 pixels; smaller ones are found now and then.

        Raises:
            InputError: something is no picture; the message names the file or the position. Or `faces` is none of
                those words.
            MissingRequirement: there is no detector: YuNet's file cannot be fetched, and OpenCV 4 is not installed.
        """
        if faces not in get_args(Faces):
            raise InputError(f"faces is {faces!r}; use one of {', '.join(get_args(Faces))}")
        if min_face is not None and min_face < 1:
            raise InputError(f"min_face must be at least 1 pixel, not {min_face}")
        return [self._predict_faces(picture, faces, min_face) for picture in pictures(images, self._fetch)]

    def start_detector(self) -> Detector:
        """Start the face detector now, so that no picture's time has that in it.

        Raises:
            InputError: the file that was named for it is not there or is another network.
            MissingRequirement: there is none.
        """
        with self._starting:
            if self._detector is None:
                try:
                    self._detector = detectors.open_detector(self._detector_name, self._threads)
                except MissingRequirement as error:  # kept: to try again takes seconds
                    self._detector = error
            found = self._detector
        if isinstance(found, MissingRequirement):
            raise found
        return found

    def _predict_faces(self, picture: NDArray[np.uint8], faces: Faces, min_face: int | None) -> list[Prediction]:
        if not needs_detector(picture, faces):
            blank = faces == "auto" and (picture == picture[0, 0]).all()
            return [] if blank else self.predict([picture])
        found = self.start_detector().find(picture, min_face)
        predictions = self.predict([crop.of(picture, face) for face in found])
        return [_placed(prediction, face, picture) for prediction, face in zip(predictions, found, strict=True)]

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
            raise InputError(f"{self.bundle.file(self.network)} returns values that are not finite; compress it again")
        probabilities = softmax(logits / self.bundle.manifest.temperature)
        seconds = time.perf_counter() - start + sum(seconds for _, seconds in batch)
        milliseconds = seconds * 1000 / len(batch)
        return [
            Prediction(self.labels[int(row.argmax())], dict(zip(self.labels, row.tolist(), strict=True)), milliseconds)
            for row in probabilities
        ]

    def close(self) -> None:
        """Free the network's memory, as soon as no thread runs it any more."""
        self._session.close()


def needs_detector(picture: NDArray[np.uint8], faces: Faces) -> bool:
    """Return whether faces are looked for in a picture; `Predictor.predict_faces` says when."""
    short, long = sorted(picture.shape[:2])
    return faces == "always" or (faces == "auto" and not (short < MIN_CROP and long <= 2 * short))


def _placed(prediction: Prediction, face: Face, picture: NDArray[np.uint8]) -> Prediction:
    return replace(
        prediction,
        box=face.box(picture),
        score=face.score,
        roll=face.roll,
        landmarks=face.landmarks,
        notes=notes.of(face),
    )
