"""Images with the same pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def groups(
    images: NDArray[np.uint8], indices: NDArray[np.int64] | None = None, known: dict[bytes, int] | None = None
) -> NDArray[np.int64]:
    """Return a number for each image: equal for byte-identical pixels.

    Args:
        images: uint8, (N, ...).
        indices: int64, (n,): only these; by default all.
        known: numbers of earlier blocks by hash; this block's are added.

    Returns:
        int64, (n,): 0, 1, ... in the order in which the images appear.
    """
    chosen: Iterable[int] = range(len(images)) if indices is None else indices
    numbers = {} if known is None else known
    plain = np.asarray(images)  # a memory map creates a subclass instance per image, which is slower than hashing
    return np.array(
        [numbers.setdefault(hashlib.blake2b(plain[i], digest_size=16).digest(), len(numbers)) for i in chosen],
        dtype=np.int64,
    )


def by_file(group: NDArray[np.int64], files: Sequence[bytes]) -> NDArray[np.int64]:
    """Renumber groups in the order of their files' hashes: int64, (N,).

    Args:
        group: int64, (N,): equal within a group.
        files: a hash of each image's file or source; the smallest of a group is the group's.
    """
    least: dict[int, bytes] = {}
    for number, file in zip(group.tolist(), files, strict=True):
        least[number] = min(file, least.get(number, file))
    order = {number: place for place, number in enumerate(sorted(least, key=least.__getitem__))}
    return np.array([order[number] for number in group.tolist()], dtype=np.int64)
