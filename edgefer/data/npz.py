"""NumPy's .npz: arrays of pictures and labels, in total or per split.

Names as medmnist.com (``train_images``, ``train_labels``, ``val_images``, ...) and Keras (``x_train``, ``y_train``)
have them; or ``images`` and ``labels``, with ``label_names`` and ``splits`` where they are there.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.data.contents import Contents, ImageBlock
from edgefer.data.dataset import SPLITS
from edgefer.data.folders import check_labels
from edgefer.data.listed import split_named
from edgefer.errors import InputError
from edgefer.labels import label_of
from edgefer.lines import one_line

_IMAGES = ("images", "x", "data", "image", "faces")
_LABELS = ("labels", "y", "targets", "label", "emotions", "classes")
_NAMES = ("label_names", "class_names", "names")
_MAX_SIDE = 1024
_BLOCK = 512


def is_npz(entries: list[str]) -> bool:
    """Return whether a zip with these entries is an .npz."""
    return bool(entries) and all(name.endswith(".npy") for name in entries)


def read(archive: zipfile.ZipFile, place: Path) -> Contents:
    """Return the pictures of an .npz.

    Raises:
        InputError: it has no pictures or labels, or pixels that are not 8-bit.
    """
    there = {name.removesuffix(".npy").lower(): name for name in archive.namelist()}
    parts = []
    for split in (None, *SPLITS):
        images = _entry(there, _IMAGES, split)
        labels = _entry(there, _LABELS, split)
        if images and labels and images != labels:
            parts.append((split, images, labels))
    if not parts:
        raise InputError(
            f"{place} has no images and labels (it has: {', '.join(sorted(there)[:8])}); expected images and labels, "
            "x_train and y_train, or train_images and train_labels"
        )
    names_entry = next((there[name] for name in _NAMES if name in there), None)
    names = [] if names_entry is None else [str(each) for each in _array(archive, names_entry, place).reshape(-1)]
    found = [_part(archive, place, images, labels, names) for _, images, labels in parts]
    shapes = {images.shape[1:] for images, _ in found}
    if len(shapes) > 1:
        raise InputError(f"{place}: its splits have pictures of different sizes, {sorted(shapes)}")
    said: list[str | None] = [split for (split, *_), (_, part) in zip(parts, found, strict=True) for _ in part]
    if (
        len(parts) == 1
        and parts[0][0] is None
        and (entry := next((there[n] for n in ("splits", "split") if n in there), None))
    ):
        said = [split_named(str(each)) for each in _array(archive, entry, place).reshape(-1)]
        if len(said) != len(found[0][1]) or None in said:
            raise InputError(f"{place}: its splits are not train, val or test for each picture")
    words = [word for _, part in found for word in part]
    classes = check_labels(str(place), words, said)
    number = {name: index for index, name in enumerate(classes)}
    pictures = np.ascontiguousarray(found[0][0] if len(found) == 1 else np.concatenate([part for part, _ in found]))
    values = np.array([number[word] for word in words], np.int64)
    splits = np.array([SPLITS.index(each or "train") for each in said], np.uint8)
    carved = SPLITS[1:] if not any(said) else () if 0 not in splits or 1 in splits else ("val",)
    return Contents(
        "arrays in an .npz",
        classes,
        pictures.shape[1:],
        usage=False,
        blocks=_blocks(pictures, values, splits, bool(carved)),
        carved=carved,
        groups="arrays do not identify people",
    )


def _blocks(
    images: NDArray[np.uint8], labels: NDArray[np.int64], splits: NDArray[np.uint8], carved: bool
) -> Iterator[ImageBlock]:
    for start in range(0, len(labels), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = images[part]
        files = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in block] if carved else []
        yield ImageBlock(block, labels[part], splits[part], np.arange(start, start + len(block), dtype=np.int64), files)


def _entry(there: dict[str, str], names: tuple[str, ...], split: str | None) -> str | None:
    shapes = ("{0}",) if split is None else ("{1}_{0}", "{0}_{1}")
    return next((there[key] for name in names for shape in shapes if (key := shape.format(name, split)) in there), None)


def _part(
    archive: zipfile.ZipFile, place: Path, images: str, labels: str, names: list[str]
) -> tuple[NDArray[np.uint8], list[str]]:
    pictures, said = _array(archive, images, place), _array(archive, labels, place)
    if pictures.ndim == 4 and pictures.shape[3] == 1:
        pictures = pictures[..., 0]
    shape = pictures.shape
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4) or (pictures.ndim == 4 and shape[3] != 3):
        raise InputError(
            f"{place}: {images} is {pictures.dtype} of shape {shape}; expected uint8, (n, H, W) or (n, H, W, 3)"
        )
    if not shape[0] or not 1 < min(shape[1:3]) <= max(shape[1:3]) <= _MAX_SIDE:
        raise InputError(f"{place}: {images} has shape {shape}; expected pictures of 2 to {_MAX_SIDE} pixels")
    if said.ndim == 2 and said.shape[1] == 1:
        said = said[:, 0]
    if said.ndim == 2 and said.dtype.kind in "iufb" and said.shape[0] == shape[0] and said.size:
        said = said.argmax(axis=1)  # one hot
    if said.ndim != 1 or len(said) != shape[0] or said.dtype.kind not in "iuUS":
        raise InputError(f"{place}: {labels} is {said.dtype} of shape {said.shape}, expected one label per picture")
    if said.dtype.kind in "iu":
        if said.min() < 0 or (names and said.max() >= len(names)):
            which = f"0 to {len(names) - 1}, which have names," if names else "0 and more"
            raise InputError(f"{place}: {labels} has {said.min()} to {said.max()}, but only {which} are possible")
        return pictures, [label_of(names[each]) if names else str(each) for each in said.tolist()]
    words = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in said.tolist()]
    return pictures, [label_of(each) for each in words]


def _array(archive: zipfile.ZipFile, name: str, place: Path) -> NDArray[Any]:
    """Return an array of an .npz, without allocating more than its entry's size."""
    entry = archive.getinfo(name)
    if entry.file_size > limits.TABLE:
        raise limits.too_large(f"{place}: {name}", entry.file_size, limits.TABLE)
    with archive.open(entry) as file:
        content = file.read(entry.file_size)
    try:
        head = io.BytesIO(content)
        version = np.lib.format.read_magic(head)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, kind = reader(head)
        count = int(np.prod(shape, dtype=object))
        if kind.hasobject or count * kind.itemsize > len(content) - head.tell():
            raise ValueError("it claims more data than it has, or holds objects")
        array: NDArray[Any] = np.frombuffer(content, kind, count, head.tell())
        return array.reshape(shape, order="F" if by_columns else "C")
    except (ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise InputError(f"{place}: {name} is not a readable array ({one_line(error, 100)})") from None
