"""The artifact between compression and device: a self-describing folder of networks."""

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
    AnswerChange,
    Calibration,
    Confidence,
    DataEntry,
    Description,
    Engine,
    Manifest,
    Network,
    Score,
    SlowReason,
    Speed,
)

__all__ = [
    "AnswerChange",
    "Bundle",
    "Calibration",
    "Confidence",
    "DataEntry",
    "Description",
    "Engine",
    "Manifest",
    "Network",
    "NetworkFile",
    "Score",
    "SlowReason",
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
