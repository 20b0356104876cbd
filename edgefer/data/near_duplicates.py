"""Near-duplicates: the same photograph resized, compressed, brightened or slightly cropped.

A picture is described by its low frequencies (DCT-II, after Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010), as a unit vector, independent of brightness and contrast. Two pictures
are near-duplicates if the cosine between one's vector and that of the other, or of a small crop of the other, reaches
`THRESHOLD`. Not all pairs are compared: random hyperplanes turn vectors into bits (Charikar, "Similarity estimation
techniques from rounding algorithms", STOC 2002), and only pictures that agree in all bits of a band are compared.

All arithmetic is in integers that float64 and float32 represent exactly, so every machine finds the same pairs.
`benchmarks/faces/near_duplicates.py` measured the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgefer.data.components import joined

THRESHOLD = 0.975  # cosine; see benchmarks/results/near_duplicates.json for recall and false matches
STRICTER = (0.98, 0.985, 0.99, 0.995)  # for groups that are too large
_ORDERS = 9  # frequencies u + v from 1 to this, 54 in all
_SCALE = 2048  # vector length, so that products of two vectors are integers below 2**24
_MIN_CONTRAST = 4.0  # grey levels, standard deviation; a flatter picture has nothing to compare
_BANDS, _BITS = 16, 24
_NEIGHBOURS = 16  # comparisons per picture and bucket
_PIXELS = 1 << 21  # described at a time

Vectors = NDArray[np.int16]


def describe(images: NDArray[np.uint8]) -> Vectors:
    """Return picture vectors: int16, (n, views, 54), the first view the whole picture; zeros for a flat one.

    Args:
        images: uint8, (n, H, W) or (n, H, W, 3).
    """
    step = max(1, _PIXELS // int(np.prod(images.shape[1:3])))
    parts = [_describe(images[start : start + step]) for start in range(0, len(images), step)]
    return np.concatenate(parts) if parts else np.empty((0, 7, _frequencies().sum()), np.int16)


def _describe(images: NDArray[np.uint8]) -> Vectors:
    grey = np.asarray(images)
    if grey.ndim == 4:  # ITU-R BT.601 in 256ths
        grey = (grey.astype(np.int64) @ np.array([77, 150, 29]) + 128) >> 8
    pixels = grey.astype(np.float64)
    views = [_vectors(pixels[:, rows, columns]) for rows, columns in _views(*pixels.shape[1:])]
    return np.stack(views, axis=1)


def _views(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return the whole picture and slight crops, as from cropping a face again."""
    views = [(slice(0, height), slice(0, width))]
    for share in (48, 24):  # one and two pixels of FER2013's 48 on every side
        y, x = (round(side / share) for side in (height, width))
        views.append((slice(y, height - y), slice(x, width - x)))
    views += [  # two from a corner
        (rows, columns)
        for rows in (slice(y, height), slice(0, height - y))
        for columns in (slice(x, width), slice(0, width - x))
    ]
    return views


def _vectors(pixels: NDArray[np.float64]) -> Vectors:
    """Return the low frequencies as vectors of length `_SCALE`, int16, (n, 54)."""
    height, width = pixels.shape[1:]
    spectrum = _cosines(height) @ (pixels @ _cosines(width).T)
    # Whole numbers below 2**53 up to here, and their squares below too after this.
    chosen = np.rint(spectrum[:, _frequencies()] / (height * width))
    length = np.sqrt((chosen**2).sum(axis=1, keepdims=True))
    flat = length < _MIN_CONTRAST * 256 * 256 / 2
    return np.where(flat, 0, np.rint(chosen * _SCALE / np.maximum(length, 1))).astype(np.int16)


def _cosines(side: int) -> NDArray[np.float64]:
    places = (np.arange(side) + 0.5) * (np.pi / side)
    cosines: NDArray[np.float64] = np.rint(256 * np.cos(np.outer(np.arange(_ORDERS + 1), places)))
    return cosines


def _frequencies() -> NDArray[np.bool_]:
    orders = np.add.outer(np.arange(_ORDERS + 1), np.arange(_ORDERS + 1))
    return (orders > 0) & (orders <= _ORDERS)


def linked(vectors: Vectors, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Return groups of near-duplicates: int64, (n,), the number of each group's first picture.

    Time and memory are linear in n: within a band, a picture is compared with few
    others. Long chains of near-duplicates are still connected, since each is compared with its neighbours.

    Args:
        vectors: from `describe`.
        threshold: least cosine.
    """
    whole, firsts, places = np.unique(vectors[:, 0], axis=0, return_index=True, return_inverse=True)
    numbers = np.arange(len(whole))  # identical vectors count once
    shown = np.flatnonzero(whole.any(axis=1))
    least = threshold * _SCALE**2
    one = whole[shown].astype(np.float32)
    keys = _keys(one)
    orders = [np.argsort(keys[:, band], kind="stable") for band in range(_BANDS)]
    for view in range(vectors.shape[1]):  # whole pictures first: crops need not be compared for pictures already joined
        other = vectors[firsts[shown], view].astype(np.float32)
        asked = _keys(other)
        for band in range(_BANDS):
            for a, b in _candidates(keys[:, band], orders[band], asked[:, band]):
                apart = numbers[shown[a]] != numbers[shown[b]]
                a, b = a[apart], b[apart]
                near = np.einsum("ij,ij->i", one[a], other[b]) >= least
                numbers = joined(numbers, shown[a[near]], shown[b[near]])
    # Map numbers of distinct vectors to first pictures.
    first = np.full(len(whole), len(vectors))
    np.minimum.at(first, numbers, firsts)
    found = first[numbers][places.reshape(-1)]
    return np.where(vectors[:, 0].any(axis=1), found, np.arange(len(vectors)))  # flat ones have nothing to compare


def _candidates(
    keys: NDArray[np.int64], order: NDArray[np.int64], asked: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs with equal bits of a band, in large buckets only the nearest: int64, (m,) each.

    Args:
        keys: of whole pictures in one band, from `_keys`.
        order: sorts them.
        asked: keys of the pictures to compare with them.
    """
    keys = keys[order]
    middle = np.searchsorted(keys, asked)
    for step in range(-_NEIGHBOURS // 2, _NEIGHBOURS // 2):
        place = middle + step
        inside = np.flatnonzero((place >= 0) & (place < len(keys)))
        same = inside[keys[place[inside]] >> _BITS == asked[inside] >> _BITS]
        found = order[place[same]]
        different = found != same
        yield found[different], same[different]


def _keys(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each band's bits above those of the next band, which order a bucket: int64, (n, bands)."""
    random = np.random.RandomState(0)  # its numbers never change (NEP 19)
    planes = random.randint(-1, 2, (vectors.shape[1], _BANDS * _BITS)).astype(np.float32)
    packed = np.packbits((vectors @ planes) > 0, axis=1).reshape(-1, _BANDS, _BITS // 8).astype(np.int64)
    bits = packed @ (np.int64(256) ** np.arange(_BITS // 8)[::-1])
    return bits << _BITS | np.roll(bits, -1, axis=1)
