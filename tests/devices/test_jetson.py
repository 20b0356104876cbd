"""What is read from a Jetson's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.devices import jetson
from tests.helpers import jetsons


def test_a_board_says_what_decides_its_measurements(tmp_path: Path) -> None:
    found = jetson.describe(jetsons.orin_nano(tmp_path))
    assert found is not None
    assert found.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (found.linux, found.jetpack, found.power_mode) == ("36.4.3", "6.2", "15W")
    assert found.clocks_locked is False
    assert found.throttled == 3
    # cv0 is switched off, and the third channel of the sensor is not connected.
    assert found.temperatures == {"cpu": 48.25, "gpu": 46.906, "tj": 48.25}
    assert found.watts == pytest.approx({"VDD_IN": 4.625664, "VDD_CPU_GPU_CV": 0.649216})


def test_jetson_clocks_shows(tmp_path: Path) -> None:
    found = jetson.describe(jetsons.lock_clocks(jetsons.orin_nano(tmp_path)))
    assert found is not None
    assert found.clocks_locked is True


@pytest.mark.parametrize(
    ("release", "jetpack"),
    [
        ("# R32 (release), REVISION: 7.4, GCID: 1", "4.6.1 or later"),
        ("# R35 (release), REVISION: 4.1, GCID: 1", "5.1.2"),
        ("# R36 (release), REVISION: 4.0, GCID: 1", "6.1"),
        ("# R36 (release), REVISION: 4.4, GCID: 1", "6.2.1"),
        ("# R36 (release), REVISION: 4.7, GCID: 1", None),
        ("# R99 (release), REVISION: 1.0, GCID: 1", None),
        ("no release at all", None),
    ],
)
def test_a_release_has_its_jetpack(tmp_path: Path, release: str, jetpack: str | None) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"etc/nv_tegra_release": release})
    found = jetson.describe(root)
    assert found is not None
    assert found.jetpack == jetpack


def test_a_mode_without_a_name_has_its_number(tmp_path: Path) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"var/lib/nvpmodel/status": "pmode:0007 fmode:quiet\n"})
    found = jetson.describe(root)
    assert found is not None
    assert found.power_mode == "mode 7"


def test_a_board_whose_files_say_nothing_is_described_all_the_same(tmp_path: Path) -> None:
    root = jetsons.write(tmp_path, {"proc/device-tree/model": "NVIDIA Jetson AGX Orin\0"})
    found = jetson.describe(root)
    assert found is not None
    assert (found.linux, found.power_mode, found.clocks_locked, found.throttled) == (None, None, None, None)
    assert (found.temperatures, found.watts) == ({}, {})


def test_damaged_sensors_are_left_out(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/temp": "hot\n",
        "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "\n",
    }
    root = jetsons.write(jetsons.orin_nano(tmp_path), files)
    assert list(jetson.temperatures(root)) == ["gpu", "tj"]
    assert list(jetson.watts(root)) == ["VDD_CPU_GPU_CV"]


def test_another_machine_is_none(tmp_path: Path) -> None:
    assert jetson.describe(tmp_path) is None
    pi = jetsons.write(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert jetson.describe(pi) is None
