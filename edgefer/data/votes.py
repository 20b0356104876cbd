"""FER+: what ten people saw in each image of FER2013 (Barsoum et al. 2016)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import USAGES, Dataset
from edgefer.errors import InputError

KINDS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),  # and not a face
)
_COLUMNS = ["Usage", "Image name", *KINDS]
_LARGEST = 1 << 26


def read(path: Path, dataset: Dataset) -> NDArray[np.float32]:
    """Return the share of the votes that each kind has, float32, (images of the data set, 10); rows add up to 1.

    A kind with a single vote counts for nothing, as in FER+, unless no kind has more.

    Args:
        path: ``fer2013new.csv``.
        dataset: FER2013, whose rows the file's lines stand for.

    Raises:
        InputError: the file is damaged or another one, or does not belong to these data.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is too large to be fer2013new.csv")
        with path.open(newline="", encoding="utf-8-sig") as lines:
            header, *table = csv.reader(lines)
        usages = np.array([line[0] for line in table])
        votes = np.array([line[2:] for line in table]).astype(np.int64).astype(np.float32)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError, csv.Error):  # UnicodeDecodeError is a ValueError
        raise InputError(f"{path} is no table of FER+ votes; it takes fer2013new.csv") from None
    if header != _COLUMNS or votes.shape != (len(table), len(KINDS)) or (votes < 0).any():
        raise InputError(f"{path} is no table of FER+ votes; it takes fer2013new.csv")
    if dataset.rows.max() >= len(table) or (usages[dataset.rows] != np.array(USAGES)[dataset.splits]).any():
        raise InputError(f"{path} does not belong to {dataset.name}: its lines are of other splits")
    more = np.where(votes > 1, votes, 0)
    counted = np.where(more.any(axis=1, keepdims=True), more, votes)[dataset.rows]
    total = counted.sum(axis=1, keepdims=True)
    return np.where(total > 0, counted / np.maximum(total, 1), 1 / len(KINDS)).astype(np.float32)
