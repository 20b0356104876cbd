"""YuNet and its output decoding (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector").

It runs on ONNX Runtime on every device. OpenVINO gives the same outputs, is 10 to 40 % slower and
compiles for a second per new picture size (`runtimes` in benchmarks/results/faces.json). TensorRT would need
an engine per size, and its sessions here have one output, not twelve; it was not measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.backends import onnxruntime as runtime
from edgefer.bundle import wire
from edgefer.errors import InputError
from edgefer.faces.face import Face, roll
from edgefer.lines import one_line, printable

_STRIDES = (8, 16, 32)
_PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # outputs per stride, and values per position
_MULTIPLE = 32  # divisor of height and width
_OVERLAP = 0.3  # intersection over union from which two boxes are the same face
_MOST = 1000  # maximum number of boxes for non-maximum suppression


class YuNet:
    """The network, ready to run. `run` is thread-safe.

    Args:
        model: an ONNX file with YuNet's input and outputs.
        threads: intra-operator threads.

    Raises:
        InputError: the file is missing, not ONNX, or another network.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        self._name = printable(str(model))
        content = limits.read_bytes(model, limits.DETECTOR)
        wire.check(content, self._name)
        try:
            self._session = runtime.open_session(content, runtime.options(threads))
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise InputError(f"{self._name} cannot be loaded by ONNX Runtime: {runtime.said(error)}") from error
        self._outputs = [f"{part}_{stride}" for stride in _STRIDES for part in _PARTS]
        inputs, outputs = self._session.get_inputs(), {output.name for output in self._session.get_outputs()}
        if len(inputs) != 1 or inputs[0].shape[1:2] != [3] or not outputs.issuperset(self._outputs):
            raise InputError(f"{self._name} is not YuNet: its inputs or outputs have other names or shapes")
        if any(isinstance(side, int) for side in inputs[0].shape[2:]):
            raise InputError(f"{self._name} takes one picture size; edgefer needs yunet_s_dynamic.onnx")
        self._input = inputs[0].name

    def run(self, picture: NDArray[np.uint8], threshold: float) -> list[Face]:
        """Return the faces in a picture at its own size, highest score first.

        Args:
            picture: uint8, (H, W) grey or (H, W, 3) RGB.
            threshold: minimum score.

        Raises:
            InputError: the network's outputs are not YuNet's.
        """
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in picture.shape[:2])
        pixels = np.zeros((1, 3, height, width), np.float32)  # BGR, 0 to 255
        for number in range(3):  # one by one: half the time of all together
            channel = picture if picture.ndim == 2 else picture[..., 2 - number]
            pixels[0, number, : picture.shape[0], : picture.shape[1]] = channel
        try:
            values = self._session.run(self._outputs, {self._input: pixels})
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise InputError(f"{self._name} cannot run: {one_line(error, 200)}") from error
        found = []
        for number, stride in enumerate(_STRIDES):
            four = values[number * len(_PARTS) : (number + 1) * len(_PARTS)]
            positions = (height // stride) * (width // stride)
            for value, size in zip(four, _PARTS.values(), strict=True):
                if value.shape != (1, positions, size):
                    raise InputError(f"{self._name} is not YuNet: an output has shape {value.shape}")
            cls, obj, bbox, kps = (value[0] for value in four)
            likely = np.flatnonzero(cls[:, 0] * obj[:, 0] >= threshold**2)  # most positions and strides are below it
            if len(likely):
                found.append(_decode(cls, obj, bbox, kps, likely, stride, width // stride))
        if not found:
            return []
        boxes, points, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = suppress(boxes, scores)
        return [_face(boxes[each], points[each], scores[each]) for each in kept]


def _face(box: NDArray[np.float32], points: NDArray[np.float32], score: np.float32) -> Face:
    x, y, width, height = map(float, box)
    landmarks = tuple((float(across), float(down)) for across, down in points)
    return Face(x, y, width, height, float(score), landmarks, roll(landmarks))


def _decode(
    cls: NDArray[np.float32],
    obj: NDArray[np.float32],
    bbox: NDArray[np.float32],
    kps: NDArray[np.float32],
    places: NDArray[np.int64],
    stride: int,
    columns: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Decode outputs of some positions at one stride; positions are numbered row by row.

    Returns:
        Boxes (n, 4): centre, width and height; landmarks (n, 5, 2); scores (n).
    """
    scores = np.sqrt(np.clip(cls[places, 0], 0, 1) * np.clip(obj[places, 0], 0, 1))
    place = np.stack([places % columns, places // columns], axis=1).astype(np.float32)
    middle = (place + bbox[places, :2]) * stride
    size = np.exp(np.clip(bbox[places, 2:], -10, 10)) * stride
    points = (place[:, None] + kps[places].reshape(-1, 5, 2)) * stride
    return np.concatenate([middle, size], axis=1), points, scores


def suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float = _OVERLAP) -> list[int]:
    """Non-maximum suppression: return the remaining boxes, highest score first.

    Args:
        boxes: (n, 4): centre, width and height.
        scores: (n).
        overlap: intersection over union.
    """
    order = np.argsort(-scores, kind="stable")[:_MOST]
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    areas = boxes[:, 2] * boxes[:, 3]
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        sides = np.minimum(corners[best, 2:], corners[order, 2:]) - np.maximum(corners[best, :2], corners[order, :2])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        order = order[shared <= overlap * (areas[best] + areas[order] - shared)]
    return kept
