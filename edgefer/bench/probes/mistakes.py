"""The most often misclassified faces: which ones, as what, and with which confidence.

A result has only their rows in the data set; a report shows their pixels only on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import Split
from edgefer.evaluation import metrics
from edgefer.pages import picture

MOST = 24
_SIDE = 96  # pixels of a thumbnail, at most


@dataclass(frozen=True)
class NetworkPrediction:
    """One network's prediction for a face.

    Attributes:
        label: the predicted class.
        confidence: its probability, at its bundle's temperature.
    """

    label: str
    confidence: float


@dataclass(frozen=True)
class MistakenFace:
    """A misclassified face.

    Attributes:
        row: in the data set's source.
        label: its class there.
        predictions: one per network, in the result's order.
    """

    row: int
    label: str
    predictions: list[NetworkPrediction]


def most_often(
    rows: Split, classes: Sequence[str], logits: Sequence[NDArray[np.float32]], temperatures: Sequence[float]
) -> list[MistakenFace]:
    """Return the faces misclassified by most networks; ties by confidence in the wrong class.

    Args:
        rows: the images.
        classes: names of the classes.
        logits: of each network, float32, (n, classes), before the temperature.
        temperatures: of each network's bundle.
    """
    shares = [metrics.softmax(each / np.float32(by)) for each, by in zip(logits, temperatures, strict=True)]
    predicted = np.stack([each.argmax(axis=1) for each in shares])  # (networks, n)
    sure = np.stack([each.max(axis=1) for each in shares])
    wrong = predicted != rows.labels
    places = np.lexsort((-(sure * wrong).sum(axis=0), -wrong.sum(axis=0)))
    return [
        MistakenFace(
            row=int(rows.rows[place]),
            label=classes[rows.labels[place]],
            predictions=[
                NetworkPrediction(classes[found], round(float(confidence), 4))
                for found, confidence in zip(predicted[:, place], sure[:, place], strict=True)
            ],
        )
        for place in places[:MOST]
        if wrong[:, place].any()
    ]


def pictures(found: Sequence[MistakenFace], rows: Split) -> list[str | None]:
    """Return each face as a PNG data URI (``data:image/png;base64,...``).

    Args:
        found: the faces.
        rows: images to look them up in; None for a missing one.
    """
    places = {int(row): place for place, row in reversed(list(enumerate(rows.rows)))}
    return [
        None if each.row not in places else picture.address(rows.take(np.array([places[each.row]]))[0], _SIDE)
        for each in found
    ]
