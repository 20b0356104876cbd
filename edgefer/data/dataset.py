"""A memory-mapped data set, as used by the rest of edgefer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
USAGES = ("Training", "PublicTest", "PrivateTest")  # the challenge's names, in the same order


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of `count` positions, evenly spaced from first to last: int64, ascending."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Some rows of a data set, in order. Pixels are read on demand.

    Attributes:
        name: ``train``, ``val``, ``test``, or a named evaluation set.
        source: all images of the data set, uint8, (N, H, W) grey or (N, H, W, 3) RGB, memory-mapped.
        indices: int64, (n,): which images of `source` these are.
        labels: int64, (n,): index into the data set's classes.
        rows: int64, (n,): row of each image in the source file (FER2013: row of fer2013.csv).
    """

    name: str
    source: NDArray[np.uint8]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, positions: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Return the images at `positions` of this split, uint8, (n, H, W) or (n, H, W, 3)."""
        return np.asarray(self.source[self.indices[positions]])

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Yield images and labels in order, `size` at a time (the last batch may be smaller)."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self.take(part), self.labels[part]

    def subset(self, positions: NDArray[np.int64], name: str | None = None) -> Split:
        """Return the rows at `positions` as a new split."""
        return Split(
            name or self.name, self.source, self.indices[positions], self.labels[positions], self.rows[positions]
        )


@dataclass(frozen=True)
class PackedPart:
    """The data set that a packed part was taken from, as recorded when packing.

    Attributes:
        split: the named split, complete. Training images are included if they also occur in that split.
        whole: digest of the original data set.
    """

    split: str
    whole: str


By = Literal["person", "sequence", "picture"]


@dataclass(frozen=True)
class Division:
    """How edgefer took splits from training images: what is kept within one split.

    Attributes:
        by: a person's pictures, a sequence's, or only near-duplicates.
        rule: how groups were found; for ``picture``, why there are none.
        groups: of the pictures divided.
        cut: pictures in groups that were too large and were split.
    """

    by: By
    rule: str
    groups: int
    cut: int = 0

    @property
    def sentence(self) -> str:
        """Caveat of figures on these splits, in one line."""
        if self.by == "person":
            return f"split by person: {self.groups:,} people, by {self.rule}"
        why = self.rule if self.by == "picture" else f"{self.groups:,} groups, by {self.rule}"
        cut = f"; {self.cut:,} pictures are in near-duplicate groups that were split" if self.cut else ""
        return f"split by {self.by}: a person may occur in training and test ({why}{cut})"


NOWHERE = 255  # instead of an index into SPLITS: the image is in no split


@dataclass(frozen=True)
class Naming:
    """How a data set's labels were changed after it was read (`edgefer.data.naming`).

    Attributes:
        source: digest of the data set as it was read.
        pairs: old and new label; empty: its images are dropped.
        votes: SHA-256 of the FER+ votes that gave the labels, before `pairs`; or empty.
    """

    source: str
    pairs: tuple[tuple[str, str], ...] = ()
    votes: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels and splits.

    Attributes:
        name: ``FER2013``, ``synthetic faces`` or the folder's name.
        origin: its source, for display.
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB, memory-mapped.
        labels: int64, (N,): index into `classes`.
        splits: uint8, (N,): index into `SPLITS`; 255 for images of dropped classes.
        rows: int64, (N,): row in the source.
        classes: names of the classes, in the order of `edgefer.labels.ordered`.
        digest: SHA-256 over pixels, labels, splits, rows and, if they affect splits, groups: the same
            for the same data in any layout.
        synthetic: True for the built-in faces: figures from them must be marked.
        layout: description of the source: ``class folders train/, test/ in a zip``.
        carved: splits that edgefer took from the source's training images.
        part: the original of a packed data set.
        division: how `carved` was taken; None if nothing was.
        groups: int64, (N,): person or sequence of each image, if known.
        grouped: kind of group and how groups were found, or why they are unknown.
        pictures: SHA-256 over the pixels only, independent of splits.
        naming: how its labels were changed; None: the source's labels.
        source: the data set with the source's labels, if they were changed.
    """

    name: str
    origin: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.uint8]
    rows: NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str
    synthetic: bool = False
    layout: str = ""
    carved: tuple[str, ...] = ()
    part: PackedPart | None = None
    division: Division | None = None
    groups: NDArray[np.int64] | None = None
    grouped: str = ""
    pictures: str = ""
    naming: Naming | None = None
    source: Dataset | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def whole_digest(self) -> str:
        """The digest; for a part that of the original data set."""
        return self.part.whole if self.part else self.digest
