"""The training log: a CSV line per epoch, and optionally TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from edgefer import paths
from edgefer.errors import MissingRequirement

COLUMNS = ("epoch", "phase", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")


def write_csv(run: Path, history: list[dict[str, Any]]) -> None:
    """Write ``log.csv``, one line per epoch. It is rewritten each time, so a resumed run has no duplicates."""
    with paths.write_atomically(run / "log.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(history)


class TensorBoard:
    """Event files under ``<run>/tensorboard``.

    Raises:
        MissingRequirement: the package tensorboard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingRequirement("tensorboard is not installed; run: pip install tensorboard") from None
        self._writer = SummaryWriter(str(run / "tensorboard"))

    def add(self, line: dict[str, Any]) -> None:
        """Add an epoch's log line."""
        for name in ("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            if line[name] is not None:
                self._writer.add_scalar(name, line[name], line["epoch"])
        self._writer.flush()
