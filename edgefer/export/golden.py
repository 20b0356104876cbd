"""Golden vectors: pictures with the probabilities that edgefer's Python predicts for them.

A program in another language that reproduces these probabilities uses the network correctly. The file is JSON with
base64 pixels, so no image library is involved. It also describes the preprocessing, for formats that cannot (LiteRT).
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from edgefer import limits, paths
from edgefer.data import faces
from edgefer.errors import InputError
from edgefer.faces import crop
from edgefer.lines import complaint
from edgefer.predictor import Predictor
from edgefer.preprocessing import Preprocessing

TOLERANCE = 0.1  # of a probability: runtimes round INT8 ties differently. Half of _MARGIN, so labels stay
_MARGIN = 0.2  # between the first two labels
# (height, width, channels) of the pictures: smaller and larger than the input, not square, with alpha
_SHAPES = ((48, 48, 3), (40, 40, 4), (100, 120, 3), (224, 224, 4), (31, 64, 3), (256, 200, 3), (96, 96, 3), (20, 24, 3))
_BOXED = (120, 160)  # height and width of a picture that contains a face
_CANDIDATES = 400

_Place = Annotated[int, Field(ge=-4096, le=4096)]


class Vector(BaseModel):
    """One picture and its prediction."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(gt=0, le=4096)
    width: int = Field(gt=0, le=4096)
    channels: Literal[3, 4]
    box: tuple[_Place, _Place, _Place, _Place] | None = Field(
        description="left, top, right, bottom of the face, in pixels"
    )
    pixels: Base64Bytes = Field(description="uint8, row by row, RGB or RGBA")
    label: str
    probabilities: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(description="in the order of `labels`")

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture, uint8 (height, width, channels)."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.height, self.width, self.channels)


class Golden(BaseModel):
    """All golden vectors of an exported file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: Literal[1] = 1
    name: str
    network_sha256: str = Field(description="of the network's file in the bundle")
    labels: tuple[str, ...]
    preprocessing: Preprocessing = Field(description="from picture to network input")
    temperature: float = Field(gt=0, description="divides the logits before softmax")
    tolerance: float = TOLERANCE
    vectors: tuple[Vector, ...] = Field(min_length=1)


def make(predictor: Predictor, *, box: bool) -> Golden:
    """Return vectors of synthetic faces, predicted by `predictor`.

    Faces need a clear label, at least 0.2 more probable than the next, if there are such faces.
    """
    entry = predictor.bundle.manifest.networks[predictor.network]
    found: list[Vector] = []
    unsure: list[Vector] = []
    for number, face in enumerate(faces.builtin(train=_CANDIDATES, val=7, test=7).images[:_CANDIDATES]):
        if len(found) == len(_SHAPES):
            break
        vector = _vector(predictor, face, _SHAPES[len(found)], box, number)
        first, second = sorted(vector.probabilities, reverse=True)[:2]
        (found if first - second >= _MARGIN else unsure).append(vector)
    vectors = (*found, *unsure[: len(_SHAPES) - len(found)])
    return Golden(
        name=predictor.bundle.manifest.name,
        network_sha256=entry.sha256,
        labels=predictor.labels,
        preprocessing=predictor.bundle.manifest.preprocessing,
        temperature=predictor.bundle.manifest.temperature,
        vectors=vectors,
    )


def write(golden: Golden, path: Path) -> None:
    """Write the vectors as JSON."""
    paths.write_json(path, golden.model_dump(mode="json"), indent=1)


def read(path: Path) -> Golden:
    """Read the vectors next to an exported file.

    Raises:
        InputError: the file is missing or invalid.
    """
    limits.check_file(path, limits.MANIFEST)
    try:
        golden = Golden.model_validate_json(limits.read_bytes(path, limits.MANIFEST))
        for vector in golden.vectors:
            if len(vector.pixels) != vector.height * vector.width * vector.channels:
                raise InputError(f"{path}: a picture has more or fewer pixels than height x width x channels")
            if len(vector.probabilities) != len(golden.labels):
                raise InputError(f"{path}: a vector has {len(vector.probabilities)} probabilities")
    except ValidationError as error:
        raise InputError(f"{path}: {complaint(error)}") from None
    return golden


def _vector(predictor: Predictor, face: NDArray[np.uint8], shape: tuple[int, int, int], box: bool, seed: int) -> Vector:
    height, width, channels = shape
    picture, corners = _coloured(face, (height, width), seed), None
    if box:
        picture, corners = _placed(picture, np.random.default_rng(seed))
    if channels == 4:
        alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
        alpha[: len(alpha) // 8] = 128  # a half-transparent strip
        picture = np.concatenate([picture, alpha], axis=2)
    judged = picture
    if corners is not None:
        left, top, right, bottom = corners
        judged = crop.rectangle(picture, left, top, right - left, bottom - top)
    prediction = predictor.predict([judged])[0]
    return Vector(
        height=picture.shape[0],
        width=picture.shape[1],
        channels=channels,
        box=corners,
        pixels=base64.b64encode(picture.tobytes()),
        label=prediction.label,
        probabilities=tuple(prediction.probabilities.values()),
    )


def _placed(
    face: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Return a larger picture that contains the face, and its box, which may extend beyond the picture."""
    side = min(face.shape[0], face.shape[1], *_BOXED)
    top, left = (int(random.integers(-side // 8, limit - side)) for limit in _BOXED)
    scene = random.integers(0, 256, (*_BOXED, 3), dtype=np.uint8)
    scene[max(top, 0) : top + side, max(left, 0) : left + side] = face[max(-top, 0) : side, max(-left, 0) : side]
    return scene, (left, top, left + side, top + side)


def _coloured(face: NDArray[np.uint8], size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Tint a grey face, (height, width, 3) RGB: grey pixels would not reveal swapped channels."""
    tint = np.random.default_rng(seed).uniform(0.8, 1.0, 3)
    large = np.asarray(Image.fromarray(face).resize(size[::-1], Image.Resampling.BICUBIC), np.float32)
    return np.rint(large[..., None] * tint).astype(np.uint8)
