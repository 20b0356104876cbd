"""A network's logits over a split, in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data.dataset import Split
from edgefer.errors import InputError

# A session's `infer`: float32 (N, C, H, W) to logits, float32 (N, classes).
Infer: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Prepares(Protocol):
    """Preprocessing to a network's input: `edgefer.preprocessing.Preprocessing`, or a view of it."""

    def apply(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Convert uint8, (N, H, W) or (N, H, W, 3), to float32, (N, C, H, W)."""


def logits(
    infer: Infer, preprocessing: Prepares, split: Split, batch: int = 64, description: str = "evaluating"
) -> NDArray[np.float32]:
    """Return the network's logits for every image of a split.

    Pixels are read, preprocessed and dropped batch by batch; only the result grows with the split,
    by four bytes per image and class.

    Args:
        infer: a session's method.
        preprocessing: the one the network was trained with.
        split: the images.
        batch: images per batch.
        description: label of the progress bar.

    Returns:
        float32, (n, classes), in split order.

    Raises:
        InputError: the split is empty, or an output is not finite.
    """
    if len(split) == 0:
        raise InputError(f"the {split.name} split has no images")
    out: NDArray[np.float32] | None = None
    done = 0
    with console.progress(description, len(split)) as advance:
        for images, labels in split.batches(batch):
            part = infer(preprocessing.apply(images))
            if not np.isfinite(part).all():
                row = int(split.rows[done + int((~np.isfinite(part)).any(axis=1).argmax())])
                raise InputError(f"{description}: the network's output is not finite for row {row} of {split.name}")
            if out is None:
                out = np.empty((len(split), part.shape[1]), dtype=np.float32)
            out[done : done + len(labels)] = part
            done += len(labels)
            advance(len(labels))
    assert out is not None
    return out
