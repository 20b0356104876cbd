"""YuNet on pictures of any size: the whole picture, tiles for small faces, and a margin for a picture of one face.

The constants were chosen on FER2013's PublicTest (`benchmarks/faces/faces.py --split val`).
"""

from __future__ import annotations

import cmath
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.faces import crop
from edgefer.faces.face import Face
from edgefer.faces.yunet import YuNet

THRESHOLD = 0.72  # minimum score of a face
_CERTAIN = 0.85  # from this first score on, an upright face needs no second pass
_DOUBTFUL = 0.75  # below this best score, the picture is searched again, rotated either way
_TURNS = (-30.0, 30.0)  # degrees: the network was trained on roughly upright faces
_TILTED = 10.0  # degrees of roll from which a face is checked again, turned upright as for cropping
_LOOKS = 3  # maximum: each pass finds about half of the remaining roll
MIN_CROP, LARGEST_CROP = 48, 512  # shorter and longer side of pictures that may be a single face
_LONGEST_TO_SHORT = 2  # aspect ratio of such a picture
_CROP_THRESHOLD = 0.25  # minimum score there: a face is likely
_CANDIDATE = 0.25  # minimum score for a second pass
_MAX_CANDIDATES = 64  # maximum number of second passes
_WEAK, _MAX_WEAK = 0.4, 5  # maximum number of second passes below this score
_LOOK, _CANVAS = 160, 224  # side of the region in the second pass, and of the black square around it
_FARTHEST, _LEAST, _LARGEST = 0.35, 0.4, 1.8  # / its side: distance from the centre, side of a face that fills it
_WHOLE = 640  # maximum side of a picture searched as a whole
_SMALLEST = 48  # smallest face that YuNet finds reliably, side in pixels
_SHARE = 1 / 64  # default smallest face / longer side
_FILLED = 0.6  # from this side / longer side on, a face is the whole picture
_TILE = 1024
_MAX_PIXELS = 24_000_000  # maximum number of tiles of a picture: a second or two
_STEP = 4.0  # scale between sizes: faces larger than a tile's overlap are small in the next
_EDGE = 3  # a box this close to a tile's edge may be a partial face
_WITHIN = 0.5  # overlap / smaller face's area: from here on two boxes are the same face
_ENLARGED = 2.0  # at most
_STEEPEST = 70.0  # degrees; larger estimates are mostly wrong


class Search:
    """YuNet with its search strategy. See `edgefer.faces.face.Detector`.

    Args:
        network: YuNet.
        title: display name.
        threshold: minimum score of a face.
    """

    def __init__(self, network: YuNet, title: str, threshold: float = THRESHOLD) -> None:
        self.title = title
        self._network, self._threshold = network, threshold

    def find(self, picture: NDArray[np.uint8], min_face: int | None = None) -> list[Face]:
        """Return the faces of a picture, sorted by `Face.rank`, highest first.

        Args:
            picture: uint8, (H, W) grey or (H, W, 3) RGB.
            min_face: smallest face to find, side in pixels; smaller takes longer. By default 48, and in
                pictures longer than 3,072 pixels a 64th of that.
        """
        longest = max(picture.shape[:2])
        least = max(1, min_face) if min_face else max(_SMALLEST, longest * _SHARE)
        coarse, fine = min(1.0, _WHOLE / longest), min(_ENLARGED, _SMALLEST / least)
        fine = min(fine, math.sqrt(_MAX_PIXELS / (picture.shape[0] * picture.shape[1])))
        if min_face and fine < coarse:  # only larger faces: a smaller picture is faster
            coarse = fine
        small = _resized(picture, coarse)
        faces = self._in(small, picture)
        while fine > 1.1 * coarse:
            step = min(fine / coarse, _STEP)
            faces += self._tiles(picture, fine, 1.5 * _SMALLEST * step)
            fine /= step
        faces = self._sure(picture, faces)
        whole = self._whole(picture) if may_be_face(picture) else None
        if whole is None and _best(faces) < _DOUBTFUL and longest >= MIN_CROP:
            first = faces[0].roll if faces else 0.0
            for turn in _TURNS if first < 0 else _TURNS[::-1]:
                faces = _apart([*faces, *self._sure(picture, self._turned(small, picture, turn))])
                if _best(faces) >= _DOUBTFUL:
                    break
        faces = [face for face in faces if (face.score or 0.0) >= self._threshold]
        if whole is not None:
            faces = _apart([*faces, whole])
            faces = [whole if face.side >= _FILLED * longest else face for face in faces]
        if min_face:
            faces = [face for face in faces if face.side >= min_face * 0.9]
        return sorted(faces, key=lambda face: -face.rank)

    def _in(self, small: NDArray[np.uint8], picture: NDArray[np.uint8]) -> list[Face]:
        """Detect faces in a downscaled picture; positions are in pixels of the picture."""
        back = (picture.shape[1] / small.shape[1], picture.shape[0] / small.shape[0])
        return [_moved(face, back, (0, 0)) for face in self._network.run(small, _CANDIDATE)]

    def _tiles(self, picture: NDArray[np.uint8], scale: float, overlap: float) -> list[Face]:
        """Detect faces in overlapping tiles; each face up to `overlap` pixels is complete in one of them."""
        large = _resized(picture, scale)
        back = (picture.shape[1] / large.shape[1], picture.shape[0] / large.shape[0])
        high, wide = large.shape[:2]
        overlap = min(math.ceil(overlap), _TILE // 2)
        found = []
        for top in _starts(high, overlap):
            for left in _starts(wide, overlap):
                tile = large[top : top + _TILE, left : left + _TILE]
                for face in self._network.run(tile, _CANDIDATE):
                    reach = (face.x - face.width / 2, face.y - face.height / 2)
                    end = (face.x + face.width / 2, face.y + face.height / 2)
                    cut = (
                        (left > 0 and reach[0] < _EDGE)
                        or (top > 0 and reach[1] < _EDGE)
                        or (left + _TILE < wide and end[0] > _TILE - _EDGE)
                        or (top + _TILE < high and end[1] > _TILE - _EDGE)
                    )
                    if not cut:
                        found.append(_moved(face, back, (left, top)))
        return found

    def _turned(self, small: NDArray[np.uint8], picture: NDArray[np.uint8], turn: float) -> list[Face]:
        """Detect faces in a downscaled and rotated picture; positions are in pixels of the picture.

        Nearest-neighbour rotation takes a ninth of the time of bilinear. It finds the same faces, since detections are
        checked again in the picture itself.
        """
        across, down = picture.shape[1] / small.shape[1], picture.shape[0] / small.shape[0]
        middle = complex(small.shape[1], small.shape[0]) / 2
        way = cmath.rect(1, math.radians(turn))

        def back(x: float, y: float) -> tuple[float, float]:
            place = middle + (complex(x, y) - middle) * way
            return place.real, place.imag

        found = []
        for face in self._network.run(np.asarray(Image.fromarray(small).rotate(turn)), _CANDIDATE):
            x, y = back(face.x, face.y)
            points = tuple(back(*point) for point in face.landmarks)
            there = replace(face, x=x, y=y, landmarks=points, roll=face.roll + turn)
            found.append(_moved(there, (across, down), (0, 0)))
        return found

    def _sure(self, picture: NDArray[np.uint8], faces: list[Face]) -> list[Face]:
        """Return faces rescored by a second pass; only the strongest of the weak ones get it."""
        apart = _apart(faces)[:_MAX_CANDIDATES]
        strong = sum((face.score or 0.0) >= _WEAK for face in apart)
        return _apart([self._again(picture, face) for face in apart[: strong + _MAX_WEAK]])

    def _again(self, picture: NDArray[np.uint8], face: Face) -> Face:
        """Return a face with score and roll from a second pass on the upright crop on black.

        For candidates with equal first scores, the second score separates faces from others, so it counts twice.
        """
        first, second = face.score or 0.0, 0.0
        if first >= _CERTAIN and abs(face.roll) < _TILTED:
            return face
        roll = face.roll
        for _ in range(_LOOKS):
            turn = roll if _TILTED < abs(roll) <= _STEEPEST else 0.0
            seen = self._look(crop.square(picture, face.x, face.y, face.side, turn, _LOOK))
            if seen is None:
                break
            roll, second = turn + seen.roll, max(second, seen.score or 0.0)
            if abs(seen.roll) < _TILTED or second < _CANDIDATE:
                break
        return replace(face, score=(first + 2 * second) / 3, roll=roll if abs(roll) <= _STEEPEST else 0.0)

    def _whole(self, picture: NDArray[np.uint8]) -> Face | None:
        """Return the face that fills the picture, if there is one."""
        high, wide = picture.shape[:2]
        scale = _LOOK / max(high, wide)
        seen = self._look(_resized(picture, scale))
        if seen is None or (seen.score or 0.0) < _CROP_THRESHOLD:
            return None
        margin = ((_CANVAS - round(wide * scale)) // 2, (_CANVAS - round(high * scale)) // 2)
        face = _moved(seen, (1 / scale, 1 / scale), (-margin[0], -margin[1]))
        if face.side < _FILLED * max(high, wide):
            return face
        return replace(face, x=wide / 2, y=high / 2, width=float(wide), height=float(high))

    def _look(self, part: NDArray[np.uint8]) -> Face | None:
        """Return the face that fills a small picture, in pixels of the black square around it."""
        high, wide = part.shape[:2]
        top, left = (_CANVAS - high) // 2, (_CANVAS - wide) // 2
        canvas = np.zeros((_CANVAS, _CANVAS, *part.shape[2:]), np.uint8)
        canvas[top : top + high, left : left + wide] = part
        middle, side = _CANVAS / 2, min(high, wide)
        for face in self._network.run(canvas, 0.05):
            far = max(abs(face.x - middle), abs(face.y - middle))
            if far < _FARTHEST * side and _LEAST < face.side / side < _LARGEST:
                return face
        return None


def _best(faces: list[Face]) -> float:
    return max((face.score or 0.0 for face in faces), default=0.0)


def _apart(faces: list[Face]) -> list[Face]:
    """Return faces without those that overlap or lie within one with a higher score; highest score first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -(face.score or 0.0)):
        if all(_shared(face, other) <= _WITHIN for other in kept):
            kept.append(face)
    return kept


def _shared(face: Face, other: Face) -> float:
    """Return the intersection of two faces / area of the smaller one."""
    across, down = (
        max(0.0, min(at + size / 2, there + length / 2) - max(at - size / 2, there - length / 2))
        for at, size, there, length in (
            (face.x, face.width, other.x, other.width),
            (face.y, face.height, other.y, other.height),
        )
    )
    return across * down / max(min(face.width * face.height, other.width * other.height), 1e-9)


def may_be_face(picture: NDArray[np.uint8]) -> bool:
    """Return whether a picture has the size and shape of a cropped face."""
    short, long = sorted(picture.shape[:2])
    return bool(short >= MIN_CROP and long <= min(LARGEST_CROP, _LONGEST_TO_SHORT * short))


def _starts(length: int, overlap: int) -> list[int]:
    """Return the tile offsets along a side; the last tile ends at the edge."""
    if length <= _TILE:
        return [0]
    number = math.ceil((length - overlap) / (_TILE - overlap))
    return [round(each * (length - _TILE) / (number - 1)) for each in range(number)]


def _resized(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    image = Image.fromarray(picture)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _moved(face: Face, scale: tuple[float, float], offset: tuple[float, float]) -> Face:
    """Return a face in pixels of the picture: moved by `offset`, then scaled by `scale`."""
    (across, down), (left, top) = scale, offset
    return replace(
        face,
        x=(face.x + left) * across,
        y=(face.y + top) * down,
        width=face.width * across,
        height=face.height * down,
        landmarks=tuple(((x + left) * across, (y + top) * down) for x, y in face.landmarks),
    )
