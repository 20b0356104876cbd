"""The data record of runs and bundles, and splitting a data set as recorded.

A network must be tested on images it was not trained on. The record has the splits themselves, two
bits per picture, not the options that led to them: names of people do not travel with a network, and other versions of
edgefer get the same splits.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data import naming
from edgefer.data.cache import digest_of
from edgefer.data.dataset import SPLITS, Dataset, Division, Naming

_LONGEST = 400_000  # characters, some two million pictures: a manifest has a bound


def record(dataset: Dataset) -> dict[str, Any]:
    """Return the record of a data set: name, digests, and edgefer's splits if it made them.

    Args:
        dataset: the whole, with all its classes.
    """
    division = None
    source = dataset.source or dataset
    if source.division:
        division = {**asdict(source.division), "carved": list(source.carved), "splits": _written(source.splits)}
    how = {} if dataset.naming is None else {"naming": asdict(dataset.naming)}
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "synthetic": dataset.synthetic,
        "pictures": dataset.pictures,
        "division": division,
        **how,
    }


def as_recorded(dataset: Dataset, said: Mapping[str, Any]) -> Dataset:
    """Return the data set with a record's splits and labels if it is of these pictures; otherwise unchanged.

    Args:
        dataset: the whole.
        said: from `record`, or any other value from a file.
    """
    if said.get("digest") == dataset.whole_digest:
        return dataset
    how = _naming(said)
    if dataset.source is not None and dataset.naming is not None:  # the user's labels take precedence
        source = as_recorded(dataset.source, {**said, "digest": how.source if how else said["digest"], "naming": None})
        return dataset if source is dataset.source else naming.again(source, dataset.naming) or dataset
    if how is not None:
        source = as_recorded(dataset, {**said, "digest": how.source, "naming": None})
        named = naming.again(source, how) if source.whole_digest == how.source else None
        if named is None or named.digest != said["digest"]:
            return dataset
        console.say(f"{dataset.name} gets the labels of that network: {', '.join(named.classes)}")
        return named
    splits = splits_of(dataset, said)
    if splits is None:
        return dataset
    try:
        kept = dict(said["division"])
        carved = tuple(name for name in SPLITS if name in kept["carved"])
        division = Division(**{name: kept[name] for name in ("by", "rule", "groups", "cut")})
    except (KeyError, TypeError, ValueError):
        return dataset
    if digest_of(dataset, splits, carved) != said["digest"]:
        return dataset
    console.say(f"{dataset.name} is split as for that network: {division.sentence}")
    return replace(dataset, splits=splits, carved=carved, digest=said["digest"], division=division)


def _naming(said: Mapping[str, Any]) -> Naming | None:
    """Return how a record's labels were changed, or None."""
    kept = said.get("naming")
    try:
        pairs = tuple((str(old), str(new)) for old, new in kept["pairs"]) if kept else ()
        return Naming(str(kept["source"]), pairs, str(kept["votes"])) if kept else None
    except (KeyError, TypeError, ValueError):
        return None


def splits_of(dataset: Dataset, said: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """Return a record's splits of these pictures, uint8, (N,); None if it has none, or is of other pictures.

    Args:
        dataset: the whole.
        said: from `record`, or any other value from a file.
    """
    division = said.get("division")
    if not isinstance(division, Mapping) or not dataset.pictures or said.get("pictures") != dataset.pictures:
        return None
    return _read(division.get("splits"), len(dataset))


def _written(splits: NDArray[np.uint8]) -> str | None:
    """Return splits as text: two bits each, compressed, in base 64; None for millions of pictures."""
    pairs = np.zeros((-(-len(splits) // 4), 4), dtype=np.uint8)
    pairs.reshape(-1)[: len(splits)] = splits
    packed = (pairs << np.array([6, 4, 2, 0], dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    text = base64.b64encode(zlib.compress(packed.tobytes(), 9)).decode()
    return text if len(text) <= _LONGEST else None


def _read(text: object, count: int) -> NDArray[np.uint8] | None:
    """Return the splits of `count` pictures, or None if the text is not from `_written`."""
    size = -(-count // 4)
    try:
        unpacking = zlib.decompressobj()
        packed = unpacking.decompress(base64.b64decode(str(text), validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error):
        return None
    if len(packed) != size:
        return None
    pairs = np.frombuffer(packed, dtype=np.uint8)[:, None] >> np.array([6, 4, 2, 0], dtype=np.uint8) & 3
    splits = pairs.reshape(-1)[:count].astype(np.uint8)
    return splits if splits.max(initial=0) < len(SPLITS) else None
