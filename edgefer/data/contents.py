"""A data set on its way from its source into the cache, a block at a time."""

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
        files: a hash of each picture's file, whatever it is made into; empty where no split is carved.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.uint8]
    rows: NDArray[np.int64]
    files: Sequence[bytes] = ()


@dataclass(frozen=True)
class Contents:
    """What a reader found; its blocks can be taken once.

    Attributes:
        layout: see `Dataset.layout`.
        classes: see `Dataset.classes`; complete once the blocks are taken.
        shape: of one image: (H, W) or (H, W, 3).
        usage: True if the source says Training, PublicTest or PrivateTest of each image.
        blocks: the images; at least one. Taking them raises InputError where the source is wrong.
        carved: splits that are to be taken from the blocks' training images (`edgefer.data.new_splits`).
        groups: what belongs together, or why that is not known.
        by_appearance: `classes` are in the order in which they appear, and are yet to be ordered.
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
        by: what a group is: a person, or a sequence.
        rule: how that was found out, for a person.
        asked: the user said so.
    """

    names: tuple[str, ...]
    by: By
    rule: str
    asked: bool = False

    def numbers(self) -> NDArray[np.int64]:
        """Return 0, 1, ... for each picture, int64, (n,): the same for the same group."""
        known: dict[str, int] = {}
        return np.array([known.setdefault(name, len(known)) for name in self.names], dtype=np.int64)


# What zipfile, tarfile, gzip and zlib raise on files that are not what they should be.
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
    """Turn what goes wrong with a file into an InputError that names it."""
    try:
        yield
    except PermissionError as error:
        raise InputError(f"{name} cannot be read: permission denied") from error
    except _DAMAGED as error:
        raise InputError(f"{name} is damaged or incomplete ({_said(error)}); download it again") from error
    except NotImplementedError as error:  # zipfile's word for a compression it does not know
        raise InputError(f"{name} cannot be read ({_said(error)}); pack it again with deflate") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or _said(error)}") from error


def name_shown(name: str) -> str:
    """Return a data set's name as tables and manifests hold it: printable, 1 to 100 characters."""
    return one_line(name, 100) or "data"


def _said(error: BaseException) -> str:
    return one_line(error) or type(error).__name__
