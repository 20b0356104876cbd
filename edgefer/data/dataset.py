"""A data set in memory-mapped form: what every other part of edgefer sees of FER2013 and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
USAGES = ("Training", "PublicTest", "PrivateTest")  # what the challenge calls them, in the same order


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` places among `count`, evenly spaced from the first to the last: int64, rising."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Some rows of a data set, in order. Pixels are read only when asked for.

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
        """Return the rows at `positions` as a split of its own."""
        return Split(
            name or self.name, self.source, self.indices[positions], self.labels[positions], self.rows[positions]
        )


@dataclass(frozen=True)
class PackedPart:
    """What a packed data set is a part of, as the one who packed it says: the part itself can't tell.

    Attributes:
        split: the named split that it holds, whole. Training images are there where they stand in that split too.
        whole: digest of the data set it was taken from.
    """

    split: str
    whole: str


By = Literal["person", "sequence", "picture"]


@dataclass(frozen=True)
class Division:
    """How edgefer took splits from training images: what stays on one side.

    Attributes:
        by: a person's pictures, a sequence's, or pictures that are nearly the same and no more.
        rule: how it was found out what belongs together; for ``picture``, why nothing more could be.
        groups: of the pictures that were divided.
        cut: pictures in groups that were too large, and were cut.
    """

    by: By
    rule: str
    groups: int
    cut: int = 0

    @property
    def sentence(self) -> str:
        """What is to be known of figures on these splits, in a line."""
        if self.by == "person":
            return f"split by person: {self.groups:,} people, by {self.rule}"
        why = self.rule if self.by == "picture" else f"{self.groups:,} groups, by {self.rule}"
        cut = f"; {self.cut:,} pictures are in near-duplicate groups that were split" if self.cut else ""
        return f"split by {self.by}: a person may occur in training and test ({why}{cut})"


NOWHERE = 255  # in the place of an index into SPLITS: the image is in no split


@dataclass(frozen=True)
class Naming:
    """How a data set's labels were changed after it was read (`edgefer.data.naming`).

    Attributes:
        source: digest of the data set as it was read.
        pairs: of each of its labels the one it became, or nothing where its images are left out.
        votes: SHA-256 of the FER+ votes that labels were taken from, before `pairs`; or nothing.
    """

    source: str
    pairs: tuple[tuple[str, str], ...] = ()
    votes: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels and splits.

    Attributes:
        name: ``FER2013``, ``synthetic faces`` or the folder's name.
        origin: where it was read from, as a person would name it.
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB, memory-mapped.
        labels: int64, (N,): index into `classes`.
        splits: uint8, (N,): index into `SPLITS`; 255 for images of classes that are left out.
        rows: int64, (N,): row in the source.
        classes: names of the classes, in the order of `edgefer.labels.ordered`.
        digest: SHA-256 over pixels, labels, splits, rows and, where they still decide what is in a split, groups: the
            same for the same data in any layout.
        synthetic: True for the built-in faces: figures from them must be marked.
        layout: what the source looks like, for a person: ``class folders train/, test/ in a zip``.
        carved: splits that the source does not have and that edgefer took from its training images.
        part: what it is a part of, for a packed data set.
        division: how `carved` was taken; None where nothing was.
        groups: int64, (N,): person or sequence of each image, where that is known.
        grouped: what a group is and how that was found out, or why groups are not known.
        pictures: SHA-256 over the pixels alone: the same whatever the splits.
        naming: how its labels were changed; None where they are what the source says.
        source: itself with the source's own labels, where they were changed.
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
        """The digest, or for a part that of the data set it was taken from."""
        return self.part.whole if self.part else self.digest
