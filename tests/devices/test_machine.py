"""The machine's description, read from recorded files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgefer.devices import machine

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
flags\t\t: fpu avx2 hypervisor avx512f avx512_vnni
processor\t: 1
model name\t: another
"""
ORIN = """processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes fphp asimdhp asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd42
"""


def _tree(root: Path, cpuinfo: str, board: str | None = None) -> Path:
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "proc/cpuinfo").write_text(cpuinfo)
    (root / "proc/meminfo").write_text("MemTotal:        8029072 kB\nMemFree: 1 kB\n")
    (root / "etc/os-release").write_text('NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n')
    if board:
        (root / "proc/device-tree/model").write_bytes(board.encode() + b"\0")
    return root


def test_a_server(tmp_path: Path) -> None:
    found = machine.describe(_tree(tmp_path, XEON))
    assert found.cpu == "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    assert found.flags == ["avx2", "avx512f", "avx512_vnni"]
    assert found.virtual is True
    assert found.fast_int8
    assert found.memory_bytes == 8029072 * 1024
    assert found.os == "Ubuntu 22.04.4 LTS"


def test_a_board_with_arm_cores(tmp_path: Path) -> None:
    found = machine.describe(_tree(tmp_path, ORIN, "NVIDIA Jetson Orin Nano Developer Kit"))
    assert found.cpu.startswith("NVIDIA Jetson Orin Nano Developer Kit (")
    assert found.flags == ["asimddp", "fphp"]
    assert found.virtual is None
    assert found.fast_int8


def test_a_cpu_without_vnni(tmp_path: Path) -> None:
    found = machine.describe(_tree(tmp_path, XEON.replace("avx512_vnni", "")))
    assert not found.fast_int8
    assert found.model_copy(update={"architecture": "x86_64"}).saturates
    assert not found.model_copy(update={"architecture": "aarch64"}).saturates
    assert not found.model_copy(update={"architecture": "x86_64", "flags": ["avx_vnni"]}).saturates


def test_a_system_without_proc(tmp_path: Path) -> None:
    found = machine.describe(tmp_path)
    assert found.memory_bytes is None
    assert found.flags == []
    assert found.cpu


def test_this_machine() -> None:
    found = machine.describe()
    assert found.cores >= 1
    assert {"python", "numpy", "onnxruntime"} <= set(found.versions)
    assert machine.Machine.model_validate_json(found.model_dump_json()) == found


def test_the_load_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.load_average() is None or machine.load_average() >= 0

    def fail() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", fail)
    assert machine.load_average() is None
