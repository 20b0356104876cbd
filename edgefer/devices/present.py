"""Whether a bench's device is this machine."""

from __future__ import annotations

from pathlib import Path

from edgefer.devices import jetson
from edgefer.devices.files import text


def here(device: str, root: Path = Path("/")) -> bool:
    """Return whether this machine is a Jetson, a Raspberry Pi, or another one with NVIDIA's driver.

    The card's model is not checked: TensorRT for RTX does so when it starts. Under WSL the
    driver is Windows', reached by its own device.

    Args:
        device: ``jetson``, ``rtx`` or ``pi``.
        root: where `proc` and `etc` are; another folder in tests.
    """
    if device == "pi":
        return text(root / "proc/device-tree/model").startswith("Raspberry Pi")
    board = jetson.describe(root) is not None
    if device == "jetson":
        return board
    linux = (root / "proc/driver/nvidia/version").is_file()
    windows = (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/libcuda.so.1").exists()
    return not board and (linux or windows)
