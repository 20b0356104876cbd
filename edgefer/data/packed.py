"""Packed data: one split of a data set as a portable folder.

The cache's four arrays, ``images.npy``, ``labels.npy``, ``splits.npy`` and ``rows.npy``, and ``packed.json``, which
determines each file's header and size, with a digest of everything. A bench on the part gives the same figures as on
the whole, so it includes training images that also occur in the test split.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgefer import limits
from edgefer.data import splits
from edgefer.data.cache import ARRAYS, NPY_HEADER, npy_header
from edgefer.data.contents import name_shown, reading
from edgefer.data.dataset import SPLITS, By, Dataset, Division, PackedPart
from edgefer.data.identical import groups
from edgefer.errors import InputError
from edgefer.lines import complaint, one_line

META = "packed.json"
_NAME = 200  # characters
_BLOCK = 1024  # images in memory at a time

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=_NAME)]
_Length = Annotated[int, Field(ge=1, le=1 << 31)]


class _Division(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    by: By
    rule: _Text
    groups: Annotated[int, Field(ge=0)]
    cut: Annotated[int, Field(ge=0)]


class _Meta(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["edgefer packed data"] = "edgefer packed data"
    format: Literal[1] = 1
    name: _Text
    synthetic: bool
    classes: Annotated[list[_Text], Field(min_length=1, max_length=256)]
    carved: list[_Text]
    division: _Division | None = None
    shape: Annotated[list[_Length], Field(min_length=3, max_length=4)]
    digest: _Digest
    split: _Text
    whole: _Digest


def write(dataset: Dataset, split: str, folder: Path) -> str:
    """Write one split of a data set into an empty folder, and return the part's digest.

    Args:
        dataset: the whole.
        split: one of `edgefer.data.splits.NAMES`.
        folder: there and empty.

    Raises:
        InputError: there is no such split, or no image of it.
    """
    chosen = _chosen(dataset, split)
    others = {"labels": dataset.labels[chosen], "splits": dataset.splits[chosen], "rows": dataset.rows[chosen]}
    arrays = {name: np.ascontiguousarray(values, ARRAYS[name]) for name, values in others.items()}
    shape = (len(chosen), *dataset.images.shape[1:])
    digest = hashlib.sha256()
    with (folder / "images.npy").open("wb") as file:
        file.write(npy_header(ARRAYS["images"], shape))
        for start in range(0, len(chosen), _BLOCK):
            pixels = dataset.images[chosen[start : start + _BLOCK]].tobytes()
            digest.update(pixels)
            file.write(pixels)
    for name, values in arrays.items():
        digest.update(values.data)
        (folder / f"{name}.npy").write_bytes(npy_header(ARRAYS[name], values.shape) + values.tobytes())
    how = dataset.division
    meta = _Meta(
        name=name_shown(dataset.name),
        synthetic=dataset.synthetic,
        classes=list(dataset.classes),
        carved=list(dataset.carved),
        division=_Division(**{**asdict(how), "rule": one_line(how.rule, _NAME) or "-"}) if how else None,
        shape=list(shape),
        digest=digest.hexdigest(),
        split=split,
        whole=dataset.whole_digest,
    )
    (folder / META).write_text(meta.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return meta.digest


def _chosen(dataset: Dataset, split: str) -> NDArray[np.int64]:
    """Return which images are packed: the split, and for ``test`` its copies in training."""
    asked = splits.split(dataset, split).indices
    if split != "test":
        return asked
    train = np.flatnonzero(dataset.splits == SPLITS.index("train"))
    group = groups(dataset.images, np.concatenate([train, asked]))
    copies = train[np.isin(group[: len(train)], group[len(train) :])]
    return np.sort(np.concatenate([copies, asked]))


def load(folder: Path) -> Dataset:
    """Open a folder that `write` wrote, on this machine or another. Every byte is verified; the images stay mapped.

    Raises:
        InputError: it was changed.
    """
    meta = _read_meta(folder / META)
    count, *_ = meta.shape
    arrays = {
        name: _open(folder, name, kind, meta.shape if name == "images" else [count]) for name, kind in ARRAYS.items()
    }
    digest = hashlib.sha256()
    for block in _blocks(arrays["images"]):
        digest.update(block)
    for name in ("labels", "splits", "rows"):
        arrays[name] = np.array(arrays[name])
        digest.update(arrays[name].data)
    if digest.hexdigest() != meta.digest:
        raise _changed(folder, "the digest of its images differs")
    labels, parts = arrays["labels"], arrays["splits"]
    if labels.min() < 0 or labels.max() >= len(meta.classes) or parts.max() >= len(SPLITS):
        raise _changed(folder, "a label or a split has no name")
    return Dataset(
        name=meta.name,
        origin=str(folder),
        images=arrays["images"],
        labels=labels,
        splits=parts,
        rows=arrays["rows"],
        classes=tuple(meta.classes),
        digest=meta.digest,
        synthetic=meta.synthetic,
        layout=f"packed: the split {meta.split} of a data set",
        carved=tuple(meta.carved),
        part=PackedPart(meta.split, meta.whole),
        division=Division(**meta.division.model_dump()) if meta.division else None,
    )


def _read_meta(path: Path) -> _Meta:
    text = limits.read_bytes(path, limits.NOTE)
    limits.check_json(text, str(path))
    try:
        meta = _Meta.model_validate_json(text)
    except ValidationError as error:
        raise _changed(path.parent, f"{META}: {complaint(error)}") from error
    if meta.split not in splits.NAMES or not {*meta.carved} <= {*SPLITS} or meta.shape[3:] not in ([], [3]):
        raise _changed(path.parent, f"{META} has an unknown split or shape")
    texts = (meta.name, *meta.classes, meta.division.rule if meta.division else "")
    if not all(text.isprintable() for text in texts) or len({*meta.classes}) < len(meta.classes):
        raise _changed(path.parent, f"{META} has names that are unprintable or not unique")
    return meta


def _open(folder: Path, name: str, kind: str, shape: list[int]) -> NDArray[Any]:
    """Map an array. Its header is compared, not interpreted, so it cannot claim a false size."""
    path = folder / f"{name}.npy"
    header = npy_header(kind, shape)
    size = NPY_HEADER + math.prod(shape) * np.dtype(kind).itemsize
    with reading(str(path)):
        if not path.is_file():
            raise _changed(folder, f"it has no file {path.name}")
        if path.stat().st_size != size:
            raise _changed(folder, f"{path.name} has {path.stat().st_size:,} bytes instead of {size:,}")
        with limits.opened(path) as file:
            if file.read(NPY_HEADER) != header:
                raise _changed(folder, f"{path.name} has another type or shape")
        try:
            return np.memmap(path, dtype=kind, mode="r", offset=NPY_HEADER, shape=tuple(shape))
        except ValueError as error:  # it was truncated in the meantime
            raise _changed(folder, f"{path.name} changes") from error


def _blocks(images: NDArray[np.uint8]) -> Iterator[memoryview]:
    for start in range(0, len(images), _BLOCK):
        yield np.asarray(images[start : start + _BLOCK]).reshape(-1).data


def _changed(folder: Path, why: str) -> InputError:
    return InputError(f"{folder} is not a packed data set of edgefer ({why}); copy the whole folder again")
