"""Whether the device that a bench asks for is this machine."""

from __future__ import annotations

from pathlib import Path

from edgefer.devices import jetson
from edgefer.devices.files import text


def here(device: str, root: Path = Path("/")) -> bool:
    """Return whether this machine is a Jetson, a Raspberry Pi, or another one with NVIDIA's driver.

    Which card the driver runs is not asked: TensorRT for RTX says so itself when it starts. Under WSL the driver is
    that of Windows, and reached by a device of its own.

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
