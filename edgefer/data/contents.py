"""A data set between source and cache, a block at a time."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import By
from edgefer.errors import InputError
from edgefer.lines import one_line


@dataclass(frozen=True)
class ImageBlock:
    """Some images in the order of their rows.

    Attributes:
        images: uint8, (n, H, W) or (n, H, W, 3).
        labels: int64, (n,).
        splits: uint8, (n,).
        rows: int64, (n,).
        files: a hash of each picture's file; empty if no split is carved.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.uint8]
    rows: NDArray[np.int64]
    files: Sequence[bytes] = ()


@dataclass(frozen=True)
class Contents:
    """Result of a reader; its blocks can be read once.

    Attributes:
        layout: see `Dataset.layout`.
        classes: see `Dataset.classes`; complete once the blocks are read.
        shape: of one image: (H, W) or (H, W, 3).
        usage: True if the source says Training, PublicTest or PrivateTest of each image.
        blocks: the images; at least one. Reading them raises InputError if the source is invalid.
        carved: splits to take from the blocks' training images (`edgefer.data.new_splits`).
        groups: groups of pictures, or why they are unknown.
        by_appearance: `classes` are in order of appearance, still to be sorted.
    """

    layout: str
    classes: Sequence[str]
    shape: tuple[int, ...]
    usage: bool
    blocks: Iterator[ImageBlock]
    carved: tuple[str, ...] = ()
    groups: Groups | str = ""
    by_appearance: bool = False


@dataclass(frozen=True)
class Groups:
    """Which pictures belong together.

    Attributes:
        names: of each picture's group.
        by: kind of group: a person, or a sequence.
        rule: how groups were found, for display.
        asked: given by the user.
    """

    names: tuple[str, ...]
    by: By
    rule: str
    asked: bool = False

    def numbers(self) -> NDArray[np.int64]:
        """Return 0, 1, ... for each picture, int64, (n,): the same for the same group."""
        known: dict[str, int] = {}
        return np.array([known.setdefault(name, len(known)) for name in self.names], dtype=np.int64)


# Errors of zipfile, tarfile, gzip and zlib on damaged files.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OverflowError,
    UnicodeDecodeError,
)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Convert errors on a file to an InputError that names it."""
    try:
        yield
    except PermissionError as error:
        raise InputError(f"{name} cannot be read: permission denied") from error
    except _DAMAGED as error:
        raise InputError(f"{name} is damaged or incomplete ({_said(error)}); download it again") from error
    except NotImplementedError as error:  # zipfile's error for unknown compression
        raise InputError(f"{name} cannot be read ({_said(error)}); pack it again with deflate") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or _said(error)}") from error


def name_shown(name: str) -> str:
    """Return a data set's name for tables and manifests: printable, 1 to 100 characters."""
    return one_line(name, 100) or "data"


def _said(error: BaseException) -> str:
    return one_line(error) or type(error).__name__
