"""The artifact that compression hands on and a device runs: a folder of networks that describes itself."""

from __future__ import annotations

from edgefer.bundle.folder import Bundle, Part, load, newest, write
from edgefer.bundle.manifest import Calibration, Change, Data, Description, Manifest, Network, Score, Slow, Speed

__all__ = [
    "Bundle",
    "Calibration",
    "Change",
    "Data",
    "Description",
    "Manifest",
    "Network",
    "Part",
    "Score",
    "Slow",
    "Speed",
    "load",
    "newest",
    "write",
]
