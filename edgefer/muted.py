"""What a library writes to the terminal by itself, and means nothing to a user."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DISCOVERY = b"GPU device discovery failed"


@contextmanager
def gpu_discovery(root: Path = Path("/")) -> Iterator[None]:
    """Leave out what ONNX Runtime 1.23 and later warns of when it is imported on a board.

    It looks for PCI devices behind /sys/class/drm and finds none on a Jetson or a Raspberry Pi (onnxruntime issues
    26300 and 26763). It writes past Python, so that the process's own stderr is read and passed on without that line.
    """
    cards = (root / "sys/class/drm").glob("card[0-9]*")
    if "onnxruntime" in sys.modules or all((card / "device/vendor").exists() for card in cards if "-" not in card.name):
        yield
        return
    with lines_with(_DISCOVERY):
        yield


@contextmanager
def lines_with(unwanted: bytes) -> Iterator[None]:
    """Leave out lines that a library writes past Python; the process's own stderr is read, and the rest passed on."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said:
                if unwanted not in line:
                    os.write(2, line)
