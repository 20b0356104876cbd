"""Limits on files, and the only way to open untrusted ones.

Readers use less than 1 GB and 20 s for any input except large data sets.
Larger files are an InputError in one line, and so are pipes and devices, which would block.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from edgefer.errors import InputError
from edgefer.lines import one_line, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KILO, MEGA, GIGA = 1 << 10, 1 << 20, 1 << 30

# Bytes of a file.
RECIPE = 256 * KILO  # the largest that comes with edgefer has 6 kB
SCHEME = 64 * KILO
LEDGER = MEGA  # claims.toml has a fifth
MANIFEST = MEGA  # thousands of calibration rows are a tenth of that
NOTE = MEGA  # packed.json, meta.json and other small JSON that edgefer keeps for itself
RESULT = 16 * MEGA  # a bench of a hundred networks has 1 MB
LOG = 16 * MEGA  # log.csv: a hundred thousand epochs
VOTES = 16 * MEGA  # fer2013new.csv has 2 MB
GROUPS = 64 * MEGA  # --groups: the path of each picture and a name
STATE = 64 * MEGA  # last.json: names, random numbers and a line for each epoch
TENSORS = 20 * GIGA  # the safetensors next to it: of a billion weights (models.build), their average and Adam's two
KERAS = 640 * MEGA  # a Keras file of weights, and the arrays in it; VGG-16 has 553 MB
NETWORK = 640 * MEGA  # one ONNX file; VGG-16 has 540 MB
ENGINE = 2 * GIGA
DETECTOR = 16 * MEGA  # a face detector's network; YuNet has 0.24 MB
BUNDLE = 4 * GIGA  # all files of one
ARCHIVE = 1024 * GIGA  # a zip of a user's own pictures
TABLE = 2 * GIGA  # fer2013.csv, in an archive or not; the challenge's has 301 MB
PICTURE_IN_DATA = 64 * MEGA  # one picture of a data set, as stored
PICTURE = 256 * MEGA  # one picture of a user's, as stored
DOWNLOAD = 64 * MEGA  # one from an address

# Work that one file may ask for.
PICTURE_MEMORY = 880 * MEGA  # bytes of a picture on its way to an array; with the rest of the program under 1 GB
SCANS = 100  # of a JPEG; programs write 10
SCANNED = 2_000_000_000  # pixels of all its scans together: 20 s
SLOW_PIXELS = 10_000_000  # of forms that Pillow reads in Python: plain PPM, run-length BMP
EXIF = 64 * KILO  # a JPEG's segment holds no more
PIXELS = 400_000_000  # of a data set, and so many more for each byte of its pictures:
PIXELS_A_BYTE = 200

# Other sizes.
VALUES = 400_000  # numbers, texts, lists and objects of one JSON file; a bench of a hundred networks has 50,000
OBJECTS = 20_000  # where a schema may complain of each, at length
STATE_VALUES = 2_000_000  # of last.json: a thousand epochs of a network of ten thousand tensors
DEPTH = 64  # of JSON and TOML, of folders in an archive, of graphs in a network
NAME = 4 * KILO  # bytes of a path in an archive, as on Linux
ENTRIES = 500_000  # of an archive; a large zip may have more, one for each
BYTES_AN_ENTRY = 2 * KILO  # of it: AffectNet has four notes beside each of its 290,000 pictures
DIRECTORY = 64 * MEGA  # bytes of a zip's list of entries, or
SHARE_OF_DIRECTORY = 16  # of a large zip one byte of so many
DOTS = 1000  # in one line of TOML: tomllib walks along a table's dotted name for each of its keys
BLANK_LINES = 1000  # of a table, one after another


@contextmanager
def opened(path: Path, label: str | None = None) -> Iterator[BinaryIO]:
    """Open a regular file, or a link to one, checking the opened file itself.

    Args:
        path: of the file.
        label: its name in messages; by default its path.

    Raises:
        InputError: it is missing, unreadable, or a folder, a pipe or a device.
    """
    label = label or printable(str(path))
    try:
        # Without O_NONBLOCK a pipe without a writer would block here.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputError(f"{label} is not there") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise InputError(f"{label} cannot be read: {_said(error)}") from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise InputError(f"{label} is {'a folder, not a file' if stat.S_ISDIR(mode) else 'not a regular file'}")
    with os.fdopen(handle, "rb") as file:
        yield file


def read_bytes(path: Path, most: int, label: str | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        path: of the file.
        most: bytes that it may have.
        label: its name in messages; by default its path.

    Raises:
        InputError: see `opened`; or it has more than `most` bytes.
    """
    label = label or printable(str(path))
    with opened(path, label) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise too_large(label, size, most)
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise InputError(f"{label} cannot be read: {_said(error)}") from error
    if len(content) > most:
        raise InputError(f"{label} grows beyond {most:,} bytes while it is read")
    return content


def read_text(path: Path, most: int, label: str | None = None) -> str:
    """Return the content of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: see `read_bytes`; or it is not text.
    """
    try:
        return read_bytes(path, most, label).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{label or printable(str(path))} is not text (UTF-8)") from None


def read_toml(path: Path, most: int, label: str | None = None) -> dict[str, Any]:
    """Return a TOML file as dicts, lists and values, at most `DEPTH` deep.

    Raises:
        InputError: see `read_text`; or it is no TOML, or nests too deep.
    """
    return toml(read_text(path, most, label), label or printable(str(path)))


def toml(text: str, label: str) -> dict[str, Any]:
    """Return TOML as dicts, lists and values, at most `DEPTH` deep.

    Raises:
        InputError: it is no TOML, or nests too deep.
    """
    if any(line.count(".") > DOTS for line in text.splitlines()):
        raise InputError(f"{label} is not valid TOML for edgefer: a line has more than {DOTS:,} dots")
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{label} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError is one; so is what int() says of 4,301 digits
        raise InputError(f"{label} is not valid TOML: {one_line(error, 200)}") from None
    check_depth(tree, label)
    return tree


def read_json(path: Path, most: int, label: str | None = None, values: int = VALUES) -> Any:
    """Return a JSON file's values, at most `DEPTH` deep. NaN and infinities are taken, as `json.dumps` writes them.

    Raises:
        InputError: see `read_bytes`; or it is no JSON, nests too deep or has more than `values` values.
    """
    label = label or printable(str(path))
    content = read_bytes(path, most, label)
    check_json(content, label, values, values)
    try:
        tree = json.loads(content)
    except RecursionError:
        raise InputError(f"{label} is damaged or not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{label} is damaged or not JSON: {one_line(error, 200)}") from None
    check_depth(tree, label)
    return tree


def check_json(content: bytes, label: str, values: int = VALUES, objects: int = OBJECTS) -> None:
    """Refuse JSON with more values than edgefer would write, before allocating memory.

    A parser takes up to 70 bytes for each byte of ``{},{},{}``, and a schema's complaints more. Commas and brackets
    inside strings are counted too, so the count is an upper bound.

    Raises:
        InputError: there are more than `values` in all, or more than `objects` objects.
    """
    opening = content.count(b"{")
    if content.count(b",") + content.count(b"[") + opening > values or opening > objects:
        raise InputError(f"{label} has more values than edgefer reads ({values:,}, objects {objects:,})")


def check_depth(tree: Any, label: str) -> None:
    """Refuse dicts and lists nested deeper than `DEPTH`, to avoid stack overflow.

    Raises:
        InputError: they do.
    """
    level = [tree]
    for _ in range(DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InputError(f"{label} is nested deeper than {DEPTH} levels")


def check_file(path: Path, most: int, label: str | None = None) -> int:
    """Return the size of a regular file before another library opens it by name.

    Raises:
        InputError: see `opened`; or it has more than `most` bytes, or is large and mostly sparse, such as 20 GB
            of zeros without disk space.
    """
    label = label or printable(str(path))
    with opened(path, label) as file:
        status = os.fstat(file.fileno())
        size, blocks = status.st_size, getattr(status, "st_blocks", None)  # of 512 bytes; not on Windows
        if size > most:
            raise too_large(label, size, most)
        if blocks is not None and size > 64 * MEGA and blocks * 512 < size // 16 and _has_holes(file, size):
            raise InputError(f"{label} has {size:,} bytes, nearly all sparse")
    return size


def sha256(path: Path, most: int, label: str | None = None) -> str:
    """Return the SHA-256 of a regular file as hex digits.

    Raises:
        InputError: see `check_file`; or it cannot be read to its end.
    """
    check_file(path, most, label)
    digest = hashlib.sha256()
    with opened(path, label) as file:
        try:
            while block := file.read(MEGA):
                digest.update(block)
        except OSError as error:
            raise InputError(f"{label or printable(str(path))} cannot be read: {_said(error)}") from error
    return digest.hexdigest()


def _has_holes(file: BinaryIO, size: int) -> bool:
    """Return whether the file system reports holes: network drives may report no disk use."""
    seek_hole = getattr(os, "SEEK_HOLE", None)
    if seek_hole is None:
        return True
    try:
        return os.lseek(file.fileno(), 0, seek_hole) < size
    except OSError:
        return False


def too_large(label: str, size: int, most: int) -> InputError:
    """Return the error for a file of `size` bytes with a limit of `most`."""
    return InputError(f"{label} is larger than edgefer reads: it has {size:,} bytes, but at most {most:,} are possible")


def entries(size: int) -> int:
    """Return the maximum entries of a zip of `size` bytes, which grows with its size."""
    return max(ENTRIES, size // BYTES_AN_ENTRY)


def directory(size: int) -> int:
    """Return the maximum bytes of the entry list of a zip of `size` bytes."""
    return max(DIRECTORY, size // SHARE_OF_DIRECTORY)


class BoundedReads(io.BufferedReader):
    """A file with bounded reads: a zip's own fields determine read sizes.

    Args:
        raw: opened without a buffer.
        most: bytes of one read.
        label: its name in messages.
    """

    def __init__(self, raw: io.FileIO, most: int, label: str) -> None:
        super().__init__(raw)
        self._most, self._label = most, label

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, or fewer at the end; without a size, all that is left.

        Raises:
            InputError: that is more than the bound.
        """
        everything = size is None or size < 0
        content = b"" if size and size > self._most else super().read(self._most + 1 if everything else size)
        if len(content) > self._most or (size and size > self._most):
            raise InputError(f"{self._label} lists more entries than edgefer reads; unpack it and give the folder")
        return content


def _said(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or one_line(error)
