"""Converts users' pictures to uint8 arrays. Ambiguous input is refused."""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer import download, limits
from edgefer.data.folders import ENDINGS as ENDINGS_IN_DATA
from edgefer.data.pictures import FORMATS, as_array, opened, plain
from edgefer.errors import InputError, MissingExtra
from edgefer.lines import printable

Picture: TypeAlias = "NDArray[np.uint8] | Image.Image | str | os.PathLike[str] | bytes | io.BytesIO"

_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_MAX_PIXELS = 120_000_000  # phones take pictures of 50 and 108 million
_LONGEST_PATH = 4096  # bytes, on Linux
_MAX_LETTERS = 200  # of a non-path text in a message; it may have millions
_MAX_LENGTH = 4  # longer over shorter side of a picture in a stack; faces are about square
_FLAT = 48 * 48  # a row of FER2013's table
_MIN_FLAT = 24 * 24  # pixels of a face stored as a row
_SHAPES = "(H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA"
_FORMS = "an array, a path, a file's bytes, a Pillow image or a list of them"
_ADDRESS = ("http://", "https://")
_DATA = "data:"
# Prefixes of base64 of JPEG, PNG, GIF, WEBP, AVIF and HEIC.
_BASE64 = (
    "/9j/",
    "iVBORw0KGgo",
    "R0lGOD",
    "UklGR",
    "AAAAGGZ0eX",
    "AAAAHGZ0eX",
    "AAAAIGZ0eX",
    "AAAAJGZ0eX",
    "AAAAKGZ0eX",
)
# No path looks like that.
_LONG_BASE64 = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9+/\s]{400,}={0,2}\s*", re.ASCII | re.DOTALL)
_FORMATS = (*FORMATS, "AVIF")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands of ISO 23008-12
ENDINGS = (*ENDINGS_IN_DATA, ".avif", ".heic", ".heif")
_FRAMES = 100  # frames of an animation to search for a non-empty one
_SHARED = Lock()  # a Pillow image reads pixels and EXIF data lazily; two threads may do so at once


def pictures(images: Picture | Iterable[Picture], fetch: bool = False) -> Iterator[NDArray[np.uint8]]:
    """Yield each picture as uint8, (H, W) or (H, W, 3); `Predictor.predict` has the table of what is taken.

    Args:
        images: one picture or many.
        fetch: whether http and https addresses are fetched. In a server, that would let others
            read what only this machine can reach.

    Raises:
        InputError: something is not a picture, or its layout is ambiguous; or it is an address, and `fetch` is False.
    """
    many: Iterable[Any]
    if isinstance(images, np.ndarray):
        many = _stack(images)
    elif isinstance(images, (str, os.PathLike, Image.Image, bytes, io.BytesIO)):
        many = [images]
    elif hasattr(images, "__array__") and getattr(images, "ndim", None) != 1:  # of torch, JAX, pandas, ...
        raise InputError(f"no picture: {_kind(images)}")
    elif isinstance(images, Set):
        raise InputError("not a picture: sets are unordered; give a list")
    elif isinstance(images, Iterable) and not isinstance(images, (bytearray, memoryview, dict)):
        if hasattr(images, "read"):  # its lines would be treated as pictures
            raise InputError(f"no picture: {_kind(images)}")
        many = images
    else:
        raise InputError(f"no picture: {_kind(images)}")
    for position, picture in enumerate(many):
        yield _pixels(picture, position, fetch)


def read(source: Path | str) -> NDArray[np.uint8]:
    """Return a picture's pixels, upright, uint8, (H, W) or (H, W, 3).

    Args:
        source: a file, an http or https address, or a data URI.

    Raises:
        InputError: it is not a picture, is damaged, or has too many pixels.
        MissingRequirement: the address cannot be reached; or the picture is HEIC, and pillow-heif is not installed.
    """
    name = str(source)
    label = printable(name if len(name) <= _LONGEST_PATH else f"{name[:_MAX_LETTERS]}...")
    if isinstance(source, str):
        if name.startswith(_ADDRESS):
            return _read(io.BytesIO(download.get(name, limits.DOWNLOAD)), shown(name))
        if name.startswith(_DATA):
            return _read(io.BytesIO(_content(name)), shown(name))
        if is_base64(name):
            raise InputError(f"{shown(name)} is base64 text; give its bytes, base64.b64decode(text), or a data URI")
    if "\0" in name:
        raise InputError(f"{label} is not a path: it contains a NUL")
    return _read(Path(source), label)


def decoded(content: bytes, label: str, max_pixels: int = _MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the pixels of a picture file's content, upright, uint8, (H, W) or (H, W, 3). Opens nothing else.

    Args:
        content: of the file.
        label: its name in messages.
        max_pixels: limit.

    Raises:
        InputError: it is not a picture, is damaged, or has too many pixels.
        MissingRequirement: it is HEIC, and pillow-heif is not installed.
    """
    return _read(io.BytesIO(content), label, max_pixels)


def is_remote(name: str) -> bool:
    """Return whether a text is an address or a data URI, not a path."""
    return name.startswith((*_ADDRESS, _DATA))


def is_base64(text: str) -> bool:
    """Return whether a text is a picture in base64, passed as a path by mistake."""
    return (len(text) >= 32 and text.startswith(_BASE64)) or _LONG_BASE64.fullmatch(text) is not None


def shown(name: str) -> str:
    """Return an address, a data URI or base64 for messages: printable and shortened."""
    most = 40 if not name.startswith(_ADDRESS) else _MAX_LETTERS
    return printable(name if len(name) <= most else f"{name[:most]}...")


def _content(uri: str) -> bytes:
    """Return the content of a data URI (RFC 2397)."""
    head, comma, data = uri.partition(",")
    if not comma:
        raise InputError(f"{shown(uri)} is not a data URI: it has no comma; data:image/png;base64,...")
    if len(data) > limits.PICTURE:
        raise limits.too_large(shown(uri), len(data), limits.PICTURE)
    content = unquote_to_bytes(data)
    if not head.lower().endswith(";base64"):
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        raise InputError(f"{shown(uri)} is not a data URI: what follows the comma is not base64") from None


def _stack(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Return the pictures of an array.

    Raises:
        InputError: its axes are ambiguous.
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
                f"an array of shape {shape} may be {shape[0]} grey pictures or one picture with channels first; "
                "give grey pictures as list(array), one picture as array.transpose(1, 2, 0)"
            )
        if shape[0] == shape[1] != shape[2] or _sliver(*shape[1:]):
            raise InputError(
                f"an array of shape {shape} is ambiguous; give grey pictures "
                "stacked along the last axis as np.moveaxis(array, -1, 0), others as list(array)"
            )
        return array
    if array.ndim == 4:
        if shape[1] in _CHANNELS and shape[3] not in _CHANNELS:
            raise InputError(f"an array of shape {shape} has channels first; give array.transpose(0, 2, 3, 1)")
        if shape[3] in _CHANNELS and _sliver(*shape[1:3]):
            raise InputError(
                f"an array of shape {shape} is not clearly (N, H, W, C); reorder its axes, or give list(array)"
            )
        return array
    return [array]


def _flattened(rows: int, columns: int) -> bool:
    """Return whether each row may be a face: FER2013's size, or a square number of pixels in too long a row."""
    if columns == _FLAT:
        return True
    square = columns in (math.isqrt(columns) ** 2, 3 * math.isqrt(columns // 3) ** 2)
    return square and columns >= _MIN_FLAT and _sliver(rows, columns)


def _sliver(height: int, width: int) -> bool:
    short, long = sorted((height, width))
    return long > _MAX_LENGTH * short > 0


def _pixels(picture: Any, position: int, fetch: bool) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        return _of_array(picture, f"picture {position}")
    if isinstance(picture, Image.Image):
        return _of_pillow(picture, f"picture {position}")
    if isinstance(picture, (str, os.PathLike)):
        name = os.fspath(picture)
        if isinstance(name, str):
            if not is_remote(name) and is_base64(name):
                raise InputError(f"picture {position} is base64 text; give its bytes: base64.b64decode(text)")
            if name.startswith(_ADDRESS) and not fetch:
                raise InputError(
                    f"{shown(name)} is not fetched by default: use edgefer.load(..., fetch=True), or give its bytes"
                )
            return read(picture if isinstance(picture, str) else Path(name))
    if isinstance(picture, (bytes, io.BytesIO)):
        # A copy has its own position: another thread may read the same BytesIO.
        content = picture if isinstance(picture, bytes) else picture.getvalue()
        return _read(io.BytesIO(content), f"picture {position}")
    raise InputError(f"picture {position} is not a picture: {_kind(picture)}")


def _of_array(picture: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if isinstance(picture, np.ma.MaskedArray):
        raise InputError(f"{name} is a masked array; fill it: array.filled(255)")
    if picture.dtype != np.uint8:
        raise InputError(f"{name} is an array of {picture.dtype}; give uint8, 0 to 255{_conversion(picture)}")
    picture = np.asarray(picture)  # np.matrix always has two axes
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in _CHANNELS or 0 in picture.shape:
        first = picture.ndim == 3 and picture.shape[0] in _CHANNELS
        remedy = "; channels come last: array.transpose(1, 2, 0)" if first else ""
        raise InputError(f"{name} has shape {picture.shape}; give {_SHAPES}{remedy}")
    if picture.shape[0] * picture.shape[1] > _MAX_PIXELS:
        raise InputError(f"{name} has shape {picture.shape}, more than {_MAX_PIXELS:,} pixels; make it smaller")
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
            with suppress(Exception):  # unreadable parts are ignored; see `plain`
                image.getexif()
        return as_array(plain(image))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads pixels lazily
        raise InputError(f"{name} cannot be used: {error}") from error


def _read(source: Path | io.BytesIO, name: str, max_pixels: int = _MAX_PIXELS) -> NDArray[np.uint8]:
    start = _start(source)
    if start[:4] != b"\x89PNG" and is_base64(start.decode("latin-1")):
        raise InputError(f"{name} is base64 text; give its bytes: base64.b64decode(text)")
    formats = _heif() if start[4:8] == b"ftyp" and start[8:12] in _HEIF else _FORMATS
    with opened(source, name, max_pixels, formats) as image:
        return _first_that_shows(image)


def _start(source: Path | io.BytesIO) -> bytes:
    """Return a picture's first bytes; empty if `opened` will fail."""
    if isinstance(source, io.BytesIO):
        return bytes(source.getbuffer()[:64])
    try:
        with limits.opened(source) as file:
            return file.read(64)
    except (InputError, OSError):  # OSError: a failing disk or an unreadable file
        return b""


def _heif() -> tuple[str, ...]:
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise MissingExtra("pillow-heif, which reads HEIC,", "heic") from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def _first_that_shows(image: Image.Image) -> NDArray[np.uint8]:
    """Return the first frame or page with more than one colour, else the first."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):  # MPO: a photograph, and its preview
        return as_array(plain(image, last=True))
    first = frame = as_array(plain(image))
    for number in range(1, max(2, min(_FRAMES, _MAX_PIXELS // (image.width * image.height)))):
        if not (frame == frame[0, 0]).all():
            return frame
        try:
            image.seek(number)
            frame = as_array(plain(image))
        except Exception:  # the end; or a damaged frame after an intact one
            break
    return first if (frame == frame[0, 0]).all() else frame


def _kind(thing: Any) -> str:
    """Return the type of a non-picture, and what to pass instead."""
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
