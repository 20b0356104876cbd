"""Data sets: FER2013 in every layout users have it in, other folders of class folders, and built-in drawn faces."""

from __future__ import annotations

from edgefer.data.audit import Audit, Identical, audit
from edgefer.data.classes import only
from edgefer.data.dataset import SPLITS, Dataset, Split
from edgefer.data.faces import builtin
from edgefer.data.find import find
from edgefer.data.load import load
from edgefer.data.splits import split

__all__ = ["SPLITS", "Audit", "Dataset", "Identical", "Split", "audit", "builtin", "find", "load", "only", "split"]
