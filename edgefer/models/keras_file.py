"""Reads weights from Keras files: HDF5 of Keras 2 and 3, and ``.keras``, a zip with HDF5 inside (extra `keras`).

Only numeric arrays are read: no pickle, no code, no layers built, and no links out of the file. Two layouts:

- `model.save("x.h5")`, `save_weights("x.h5")` and Keras's downloads: groups by layer, in the order of the attributes
  ``layer_names`` and ``weight_names``.
- Keras 3's `x.weights.h5`, and the same inside ``.keras``: ``layers/conv2d_3/vars/0``, numbered by layer class.

Keras stores a convolution as (height, width, in, out), a depthwise one as (height, width, channels, 1), a dense layer
as (in, out).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgefer import limits
from edgefer.errors import InputError, MissingExtra
from edgefer.models.renaming import GivenLayer, Kind

SUFFIXES = (".h5", ".hdf5", ".keras")
_INSIDE = "model.weights.h5"  # inside a .keras file
_NODES = 20_000  # maximum groups and arrays in a file; EfficientNet-B7 has 3,000
_DEPTH = 12  # maximum nesting of groups; a network inside a network has 8
_CLASSES = {  # Keras 3's names
    "conv2d": "conv",
    "depthwise_conv2d": "depthwise",
    "batch_normalization": "norm",
    "dense": "dense",
    "normalization": None,  # input mean and variance, which `Preprocessing` handles
}
_NUMBERED = {  # meaning of vars/0, 1, ...
    "conv": ("kernel", "bias"),
    "depthwise": ("kernel", "bias"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}
_TORCH = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_Arrays = dict[str, NDArray[Any]]


def read(path: Path) -> list[GivenLayer]:
    """Return a Keras file's layers in order, with torch's names and axes.

    Args:
        path: a regular file.

    Raises:
        InputError: it is damaged, too large, or has no Keras layers.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "keras") from None
    what = f"model.weights: {path}"
    limits.check_file(path, limits.KERAS, what)
    try:
        with h5py.File(_unzipped(path, what) if path.suffix == ".keras" else path, "r") as file:
            arrays = _arrays(file, what)
            found = _by_class(arrays) or _by_name(file, arrays)
    except InputError:
        raise
    except Exception as error:  # h5py and zipfile raise many types for a damaged file
        raise InputError(f"{what} cannot be read ({type(error).__name__})") from None
    if not found:
        raise InputError(f"{what} holds no layers of Keras")
    return found


def _unzipped(path: Path, what: str) -> io.BytesIO:
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(_INSIDE)
        if entry.file_size > limits.KERAS:
            raise limits.too_large(f"{what}: {_INSIDE}", entry.file_size, limits.KERAS)
        with archive.open(entry) as inside:
            content = inside.read(limits.KERAS + 1)  # the entry's stated size may be wrong
    if len(content) > limits.KERAS:
        raise limits.too_large(f"{what}: {_INSIDE}", len(content), limits.KERAS)
    return io.BytesIO(content)


def _arrays(file: Any, what: str) -> _Arrays:
    """Return the numeric arrays by path; refuse external references, and files too deep or too large."""
    import h5py

    found: _Arrays = {}
    nodes, total = 0, 0
    open_groups = [("", file, 0)]
    while open_groups:
        start, group, depth = open_groups.pop()
        if depth > _DEPTH:
            raise InputError(f"{what} nests deeper than {_DEPTH} groups")
        for name in group:
            nodes += 1
            if nodes > _NODES:
                raise InputError(f"{what} has more than {_NODES:,} groups and arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"{what} has a link to another place: {start}{name[:80]}")
            node = group[name]
            if isinstance(node, h5py.Group):
                open_groups.append((f"{start}{name}/", node, depth + 1))
            elif isinstance(node, h5py.Dataset) and node.dtype.kind in "fiu":
                if node.external or node.is_virtual:
                    raise InputError(f"{what} keeps numbers in another file: {start}{name[:80]}")
                total += node.size * node.dtype.itemsize
                if total > limits.KERAS:
                    raise InputError(f"{what} has arrays of more than {limits.KERAS:,} bytes")
                found[start + name] = node
    return {key: node[()] for key, node in found.items()}


def _by_class(arrays: _Arrays) -> list[GivenLayer]:
    """Return the layers of Keras 3's layout, per class in numeric order."""
    places: dict[tuple[str, str], _Arrays] = {}
    for key, array in arrays.items():
        parent, _, number = key.rpartition("/vars/")
        if parent and number.isdecimal() and not parent.startswith("optimizer"):
            places.setdefault(tuple(parent.rpartition("/")[::2]), {})[number] = array  # type: ignore[arg-type]
    found = []
    for (_, folder), numbered in sorted(places.items(), key=lambda place: (place[0][0], *_numbered(place[0][1]))):
        kind = _CLASSES.get(re.sub(r"_\d+$", "", folder))
        if kind is not None:
            found.append(_layer({_NUMBERED[kind][int(n)]: each for n, each in numbered.items()}, kind == "depthwise"))
    return found


def _numbered(folder: str) -> tuple[str, int]:
    start, number = re.fullmatch(r"(.*?)(?:_(\d+))?", folder).groups()  # type: ignore[union-attr]
    return start, int(number or 0)


def _by_name(file: Any, arrays: _Arrays) -> list[GivenLayer]:
    """Return the layers of Keras 2's layout, in the order of its attributes."""
    root = "model_weights/" if "model_weights" in file else ""
    group = file[root] if root else file
    layers: dict[str, _Arrays] = {}
    for outer in _texts(group, "layer_names"):
        if outer not in group:
            continue
        for weight in _texts(group[outer], "weight_names"):
            array = arrays.get(f"{root}{outer}/{weight}")
            name, _, variable = weight.rpartition("/")
            if array is not None and variable.partition(":")[0] in _TORCH:
                layers.setdefault(f"{outer}/{name}", {})[variable.partition(":")[0]] = array
    return [_layer(each, depthwise=None) for each in layers.values()]


def _texts(group: Any, name: str) -> Iterator[str]:
    """Yield the texts of an attribute, which Keras splits into ``name0``, ``name1``, ... if it is long."""
    keys = [name] if name in group.attrs else []
    if not keys:
        keys = [f"{name}{number}" for number in range(len(group.attrs)) if f"{name}{number}" in group.attrs]
    for key in keys:
        for text in np.atleast_1d(group.attrs[key]):
            yield text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _layer(variables: _Arrays, depthwise: bool | None) -> GivenLayer:
    """Return one layer with torch's names and axes.

    Args:
        variables: by Keras's names.
        depthwise: whether it is a depthwise convolution with its own numbering; None if all layers share one order.
    """
    kernel = variables.get("depthwise_kernel", variables.get("kernel"))
    kind: Kind = "norm"
    if kernel is not None and kernel.ndim == 4:
        kind = "depthwise convolution" if depthwise else "convolution"
    elif kernel is not None:
        kind = "dense layer"
    tensors = {}
    for name, array in variables.items():
        if array.ndim == 4:
            one_filter = array.shape[3] == 1 and array.shape[2] > 1  # (height, width, channels, 1)
            array = array.transpose(2, 3, 0, 1) if depthwise or one_filter else array.transpose(3, 2, 0, 1)
        elif array.ndim == 2:
            array = array.T
        tensors[_TORCH[name]] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return GivenLayer(kind, tensors)
