"""The artifact that compression hands on and a device runs: a folder of networks that describes itself."""

from __future__ import annotations

from edgefer.bundle.folder import Bundle, Part, load, newest, write
from edgefer.bundle.manifest import Calibration, Data, Description, Manifest, Network, Score

__all__ = [
    "Bundle",
    "Calibration",
    "Data",
    "Description",
    "Manifest",
    "Network",
    "Part",
    "Score",
    "load",
    "newest",
    "write",
]
