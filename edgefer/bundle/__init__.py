"""The artifact that compression hands on and a device runs: a folder of networks that describes itself."""

from __future__ import annotations

from edgefer.bundle.folder import (
    Bundle,
    NetworkFile,
    add_engine,
    checkpoint,
    default,
    load,
    newest,
    pretrained,
    shipped,
    write,
)
from edgefer.bundle.manifest import (
    Calibration,
    Change,
    Confidence,
    Data,
    Description,
    Engine,
    Manifest,
    Network,
    Score,
    Slow,
    Speed,
)

__all__ = [
    "Bundle",
    "Calibration",
    "Change",
    "Confidence",
    "Data",
    "Description",
    "Engine",
    "Manifest",
    "Network",
    "NetworkFile",
    "Score",
    "Slow",
    "Speed",
    "add_engine",
    "checkpoint",
    "default",
    "load",
    "newest",
    "pretrained",
    "shipped",
    "write",
]
