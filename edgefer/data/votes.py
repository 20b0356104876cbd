"""FER+: ten people's votes on each image of FER2013 (Barsoum et al. 2016)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import limits
from edgefer.data.dataset import USAGES, Dataset
from edgefer.errors import InputError

KINDS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),  # and not a face
)
_COLUMNS = ["Usage", "Image name", *KINDS]
# FER2013's labels in FER+'s words.
_SAME = {
    **{"angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness"},
    **{"sad": "sadness", "surprise": "surprise", "neutral": "neutral"},
}
_MIN_ALIKE = 0.4  # share of equal labels: FER+ agrees with FER2013 on two of three images, chance on one of six
_MAX_VOTES = 1000


def read(path: Path, dataset: Dataset) -> NDArray[np.float32]:
    """Return the share of votes of each kind, float32, (images of the data set, 10); rows sum to 1.

    Single votes are ignored, as in FER+, unless no kind has more.

    Args:
        path: ``fer2013new.csv``.
        dataset: FER2013; its rows correspond to the file's lines.

    Raises:
        InputError: the file is damaged, not FER+, or does not belong to these data.
    """
    counted = _votes(path, dataset)
    more = np.where(counted > 1, counted, 0)
    counted = np.where(more.any(axis=1, keepdims=True), more, counted)
    total = counted.sum(axis=1, keepdims=True)
    return np.where(total > 0, counted / np.maximum(total, 1), 1 / len(KINDS)).astype(np.float32)


def counted(path: Path, dataset: Dataset) -> NDArray[np.int64]:
    """Return the votes for each kind, int64, (images of the data set, 10), without single votes.

    Args:
        path: ``fer2013new.csv``.
        dataset: FER2013; its rows correspond to the file's lines.

    Raises:
        InputError: the file is damaged, not FER+, or does not belong to these data.
    """
    found = _votes(path, dataset)
    return np.where(found > 1, found, 0)


def _votes(path: Path, dataset: Dataset) -> NDArray[np.int64]:
    """Return all votes of the images of a data set, int64, (images, 10)."""
    dataset = dataset.source or dataset  # labels and splits to compare the votes with
    text = limits.read_text(path, limits.VOTES)
    try:
        header, *table = (line for line in csv.reader(text.splitlines()) if line)
        usages = np.array([USAGES.index(line[0]) for line in table])
        votes = np.array([[int(cell) for cell in line[2:]] for line in table])
    except (ValueError, IndexError, OverflowError, csv.Error):
        raise InputError(f"{path} is not a table of FER+ votes; give fer2013new.csv") from None
    whole = header == _COLUMNS and votes.dtype.kind == "i" and votes.shape == (len(table), len(KINDS))
    if not whole or votes.min(initial=0) < 0 or votes.max(initial=0) > _MAX_VOTES:
        raise InputError(f"{path} is not a table of FER+ votes; give fer2013new.csv")
    if dataset.rows.max() >= len(table) or (usages[dataset.rows] != dataset.splits).any():
        raise InputError(f"{path} does not belong to {dataset.name}: its rows are in other splits")
    found: NDArray[np.int64] = votes[dataset.rows]
    wanted = [KINDS.index(_SAME[name]) if name in _SAME else -1 for name in dataset.classes]
    alike = float(
        (np.where(found > 1, found, 0).argmax(1) == np.array(wanted)[dataset.labels])[dataset.splits == 0].mean()
    )
    if alike < _MIN_ALIKE:
        raise InputError(
            f"{path} does not belong to {dataset.name}: its votes fit {alike:.0%} of the labels; the images must stand "
            "in the order of fer2013.csv"
        )
    return found
