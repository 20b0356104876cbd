"""Data sets: FER2013 in all its layouts, class folders, lists and archives, and built-in synthetic faces."""

from __future__ import annotations

from edgefer.data.auditing import Audit, Identical, NearDuplicates, People, audit
from edgefer.data.classes import only, with_classes
from edgefer.data.dataset import SPLITS, Dataset, Division, Split
from edgefer.data.default import find
from edgefer.data.faces import builtin
from edgefer.data.loading import load
from edgefer.data.naming import check_named, guessed, made_of
from edgefer.data.provenance import as_recorded, record, splits_of
from edgefer.data.reading import Reading, description
from edgefer.data.splits import split
from edgefer.data.whole import problems

__all__ = [
    "SPLITS",
    "Audit",
    "Dataset",
    "Division",
    "Identical",
    "NearDuplicates",
    "People",
    "Reading",
    "Split",
    "as_recorded",
    "audit",
    "builtin",
    "check_named",
    "description",
    "find",
    "guessed",
    "load",
    "made_of",
    "only",
    "problems",
    "record",
    "split",
    "splits_of",
    "with_classes",
]
