"""Whether this machine is the one that a bench requires."""

from __future__ import annotations

from pathlib import Path

from edgefer.devices.present import here
from tests.helpers import jetsons

DRIVER = {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\n"}


def test_a_jetson_is_a_jetson_and_no_rtx_machine(tmp_path: Path) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), DRIVER)
    assert here("jetson", root)
    assert not here("rtx", root)


def test_a_machine_with_nvidia_s_driver_is_no_jetson(tmp_path: Path) -> None:
    root = jetsons.write(tmp_path, DRIVER)
    assert here("rtx", root)
    assert not here("jetson", root)


def test_a_machine_with_neither_is_none_of_both(tmp_path: Path) -> None:
    assert not here("rtx", tmp_path)
    assert not here("jetson", tmp_path)
