"""Pictures in the forms that users have them, as uint8 arrays. What could be read in two ways is refused."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.data.pictures import as_array, opened, plain
from edgefer.errors import InputError
from edgefer.lines import printable

Picture: TypeAlias = "NDArray[np.uint8] | Image.Image | str | os.PathLike[str] | bytes | io.BytesIO"

_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_MOST_PIXELS = 120_000_000  # telephones take pictures of 50 and 108 million
_LONGEST_PATH = 4096  # bytes, on Linux
_MOST_LETTERS = 200  # of a text in a message that is no path, and may have millions
_MOST_LENGTH = 4  # longer over shorter side of a picture in a stack; faces are about square
_FLAT = 48 * 48  # a row of FER2013's table
_LEAST_FLAT = 24 * 24  # pixels of a face that is stored as a row
_SHAPES = "(H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA"
_FORMS = "an array, a path, a file's bytes, a Pillow image or a list of them"
_NO_FILE = ("data:", "/9j/", "iVBORw0KGgo")  # data URLs, and how a JPEG's and a PNG's base64 begins
_SHARED = Lock()  # a Pillow image reads its pixels and EXIF data when first asked; two threads may do so at once


def pictures(images: Picture | Iterable[Picture]) -> Iterator[NDArray[np.uint8]]:
    """Yield each picture as uint8, (H, W) or (H, W, 3); `Predictor.predict` has the table of what is taken.

    Raises:
        InputError: something is no picture, or its layout is not certain.
    """
    many: Iterable[Any]
    if isinstance(images, np.ndarray):
        many = _stack(images)
    elif isinstance(images, (str, os.PathLike, Image.Image, bytes, io.BytesIO)):
        many = [images]
    elif hasattr(images, "__array__") and getattr(images, "ndim", None) != 1:  # of torch, JAX, pandas, ...
        raise InputError(f"no picture: {_kind(images)}")
    elif isinstance(images, Set):
        raise InputError("no picture: a set has no order; give a list")
    elif isinstance(images, Iterable) and not isinstance(images, (bytearray, memoryview, dict)):
        if hasattr(images, "read"):  # its lines would be taken for pictures
            raise InputError(f"no picture: {_kind(images)}")
        many = images
    else:
        raise InputError(f"no picture: {_kind(images)}")
    for position, picture in enumerate(many):
        yield _pixels(picture, position)


def read(path: Path) -> NDArray[np.uint8]:
    """Return a picture file's pixels, upright, uint8, (H, W) or (H, W, 3).

    Raises:
        InputError: it is no picture, is damaged, or has too many pixels.
    """
    name = str(path)
    label = printable(name if len(name) <= _LONGEST_PATH else f"{name[:_MOST_LETTERS]}...")
    if "\0" in name:
        raise InputError(f"{label} is no path: a NUL is in it")
    return _read(path, label)


def _stack(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Return the pictures of an array.

    Raises:
        InputError: its axes can be read in two ways.
    """
    shape = array.shape
    if array.ndim == 2 or (array.ndim == 3 and shape[2] in _CHANNELS):
        if (array.ndim == 2 or shape[2] == 1) and _flattened(*shape[:2]):
            raise InputError(
                f"an array of shape {shape} may be {shape[0]} flattened faces or one picture; "
                "give faces as array.reshape(-1, height, width), one picture as [array]"
            )
        return [array]
    if array.ndim == 3 and shape[2] > max(_CHANNELS):
        if shape[0] in (3, 4):
            raise InputError(
                f"an array of shape {shape} may be {shape[0]} grey pictures or one with channels first; "
                "give grey pictures as list(array), one picture as array.transpose(1, 2, 0)"
            )
        if shape[0] == shape[1] != shape[2] or _sliver(*shape[1:]):
            raise InputError(
                f"an array of shape {shape} is no certain stack of grey pictures, (N, H, W); "
                "give pictures along the last axis as np.moveaxis(array, -1, 0), others as list(array)"
            )
        return array
    if array.ndim == 4:
        if shape[1] in _CHANNELS and shape[3] not in _CHANNELS:
            raise InputError(f"an array of shape {shape} has channels first; give array.transpose(0, 2, 3, 1)")
        if shape[3] in _CHANNELS and _sliver(*shape[1:3]):
            raise InputError(
                f"an array of shape {shape} is no certain stack of pictures, (N, H, W, C); "
                "move its axes into that order, or give list(array)"
            )
        return array
    return [array]


def _flattened(rows: int, columns: int) -> bool:
    """Return whether each row may be a face: FER2013's size, or a square's pixels in what is too long for a picture."""
    if columns == _FLAT:
        return True
    square = columns in (math.isqrt(columns) ** 2, 3 * math.isqrt(columns // 3) ** 2)
    return square and columns >= _LEAST_FLAT and _sliver(rows, columns)


def _sliver(height: int, width: int) -> bool:
    short, long = sorted((height, width))
    return long > _MOST_LENGTH * short > 0


def _pixels(picture: Any, position: int) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        return _of_array(picture, f"picture {position}")
    if isinstance(picture, Image.Image):
        return _of_pillow(picture, f"picture {position}")
    if isinstance(picture, (str, os.PathLike)):
        name = os.fspath(picture)
        if isinstance(name, str):
            if name.startswith(_NO_FILE):
                raise InputError(f"picture {position} is base64 text; give its bytes: base64.b64decode(text)")
            if name.startswith(("http://", "https://")):
                raise InputError(f"picture {position} is an address, {printable(name[:_MOST_LETTERS])}; download it")
            return read(Path(name))
    if isinstance(picture, (bytes, io.BytesIO)):
        # A copy's position is its own: another thread may read the same BytesIO.
        content = picture if isinstance(picture, bytes) else picture.getvalue()
        return _read(io.BytesIO(content), f"picture {position}")
    raise InputError(f"picture {position} is no picture: {_kind(picture)}")


def _of_array(picture: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if isinstance(picture, np.ma.MaskedArray):
        raise InputError(f"{name} is a masked array; say what is behind its mask: array.filled(255)")
    if picture.dtype != np.uint8:
        raise InputError(f"{name} is an array of {picture.dtype}; give uint8, 0 to 255{_conversion(picture)}")
    picture = np.asarray(picture)  # np.matrix has two axes whatever is done to it
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in _CHANNELS or 0 in picture.shape:
        first = picture.ndim == 3 and picture.shape[0] in _CHANNELS
        remedy = "; channels come last: array.transpose(1, 2, 0)" if first else ""
        raise InputError(f"{name} has shape {picture.shape}; give {_SHAPES}{remedy}")
    if picture.shape[0] * picture.shape[1] > _MOST_PIXELS:
        raise InputError(f"{name} has shape {picture.shape}, more than {_MOST_PIXELS:,} pixels; make it smaller")
    if channels == 4:
        return np.asarray(plain(Image.fromarray(picture)))
    return picture.reshape(picture.shape[:2]) if channels == 1 else picture


def _conversion(picture: NDArray[Any]) -> str:
    if picture.dtype == bool:
        return ": 255 * array.astype(np.uint8)"
    if picture.dtype.kind not in "iuf" or not picture.size:
        return ""
    low, high = picture.min(), picture.max()
    if picture.dtype.kind == "f" and low >= 0 and high <= 1:
        return ": (255 * array).round().astype(np.uint8)"
    return ": array.astype(np.uint8)" if low >= 0 and high <= 255 else ""


def _of_pillow(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if 0 in image.size:
        raise InputError(f"{name} has no pixels: {image.width} x {image.height}")
    try:
        with _SHARED:
            image.load()
            with suppress(Exception):  # what of it cannot be read does not matter; see `plain`
                image.getexif()
        return as_array(plain(image))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads a file when its pixels are asked for
        raise InputError(f"{name} cannot be used: {error}") from error


def _read(source: Path | io.BytesIO, name: str) -> NDArray[np.uint8]:
    with opened(source, name, _MOST_PIXELS) as image:
        return as_array(plain(image, last=True))


def _kind(thing: Any) -> str:
    """Return the type of what is no picture, and what to give in its place."""
    kind = type(thing).__name__
    if hasattr(thing, "permute"):
        return f"{kind}; give a uint8 NumPy array, channels last: tensor.permute(1, 2, 0).numpy()"
    if hasattr(thing, "__array__"):
        return f"{kind}; give a uint8 NumPy array: np.asarray(...)"
    if hasattr(thing, "read"):
        return f"{kind}; give its content: file.read()"
    if isinstance(thing, (bytearray, memoryview)):
        return f"{kind}; give bytes(...)"
    return f"{kind}; give {_FORMS}"
