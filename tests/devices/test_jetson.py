"""Readings from a Jetson's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.devices import jetpack, jetson, present
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
        ("# R35 (release), REVISION: 6.0, GCID: 1", "5.1.4"),
        ("# R35 (release), REVISION: 6.1, GCID: 1", "5.1.5"),
        ("# R35 (release), REVISION: 6.4, GCID: 1", "5.1.4 to 5.1.6"),
        ("# R36 (release), REVISION: 2.0, GCID: 1", "6.0 DP"),
        ("# R36 (release), REVISION: 3.0, GCID: 1", "6.0"),
        ("# R36 (release), REVISION: 4.0, GCID: 1", "6.1"),
        ("# R36 (release), REVISION: 4.2, GCID: 1", "6.1"),
        ("# R36 (release), REVISION: 4.4, GCID: 1", "6.2.1"),
        ("# R36 (release), REVISION: 4.7, GCID: 1", "6.2.1"),
        ("# R36 (release), REVISION: 5.0, GCID: 1", "6.2.2"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "7.0"),
        ("# R38 (release), REVISION: 4.0, GCID: 1", "7.1"),
        ("# R39 (release), REVISION: 0.0, GCID: 1", "7.2"),
        ("# R39 (release), REVISION: 2.0, GCID: 1", "7.2"),
        ("# R39 (release), REVISION: 3.0, GCID: 1", "7.2 or later"),
        ("# R99 (release), REVISION: 1.0, GCID: 1", None),
        ("no release at all", None),
    ],
)
def test_a_release_has_its_jetpack(tmp_path: Path, release: str, jetpack: str | None) -> None:
    root = jetsons.write(jetsons.orin_nano(tmp_path), {"etc/nv_tegra_release": release})
    found = jetson.describe(root)
    assert found is not None
    assert found.jetpack == jetpack


@pytest.mark.parametrize(
    ("model", "linux", "runs"),
    [
        ("NVIDIA Jetson Orin Nano Developer Kit", "36.4.0", True),
        ("NVIDIA Jetson AGX Orin", "36.5.0", True),
        ("NVIDIA Jetson AGX Orin", "39.2.0", True),
        ("NVIDIA Jetson AGX Orin", "99.0.0", True),  # a release of the future
        ("NVIDIA Jetson AGX Thor Developer Kit", "38.2.0", True),
        ("NVIDIA Jetson AGX Thor Developer Kit", "39.0.0", True),
        ("NVIDIA Jetson AGX Orin", "36.3.0", False),  # TensorRT 8.6
        ("NVIDIA Jetson AGX Orin", "35.6.1", False),
        ("NVIDIA Orin Nano Developer Kit", "35.4.1", False),
        ("NVIDIA Jetson AGX Orin", "38.4.0", False),  # only on Thor
        ("NVIDIA Jetson Nano Developer Kit", "32.7.4", False),
        ("NVIDIA Jetson Xavier NX Developer Kit", "35.6.1", False),
    ],
)
def test_a_board_and_its_jetpack_run_edgefer_or_not(model: str, linux: str, runs: bool) -> None:
    why = jetpack.not_runnable(model, linux)
    assert (why == "") is runs
    assert runs or why.startswith("not runnable")


@pytest.mark.parametrize(
    ("files", "model"),
    [
        ({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1"}, "an unknown Jetson"),
        ({"tmp/nv_jetson_model": "NVIDIA Jetson Orin Nano Developer Kit\n"}, "NVIDIA Jetson Orin Nano Developer Kit"),
        ({"dev/nvmap": ""}, "an unknown Jetson"),
        ({"proc/device-tree/model": "NVIDIA Orin Nano Developer Kit\0"}, "NVIDIA Orin Nano Developer Kit"),
    ],
)
def test_a_jetson_is_known_by_whatever_a_container_shows_of_it(
    tmp_path: Path, files: dict[str, str], model: str
) -> None:
    found = jetson.describe(jetsons.write(tmp_path, files))
    assert found is not None
    assert found.model == model
    assert present.here("jetson", tmp_path)


def test_before_nvpmodel_has_run_a_board_is_in_its_default_mode(tmp_path: Path) -> None:
    root = jetsons.orin_nano(tmp_path)
    (root / "var/lib/nvpmodel/status").unlink()
    found = jetson.describe(root)
    assert found is not None
    assert found.power_mode == "25W"


def test_the_clock_of_the_gpu_and_what_slows_it_down_are_read_and_a_fan_is_none_of_it(tmp_path: Path) -> None:
    root = jetsons.orin_nano(tmp_path)
    found = jetson.describe(root)
    assert found is not None
    assert (found.gpu_megahertz, found.cooling) == (305, {})
    jetsons.write(root, {"sys/class/thermal/cooling_device1/cur_state": "1\n"})
    found = jetson.describe(root)
    assert found is not None
    assert found.cooling == {"gpu-throttle-alert": 1}


def test_a_thor_s_power_is_read_from_its_ina238(tmp_path: Path) -> None:
    assert jetson.watts(jetsons.thor(tmp_path)) == {"INA238 2-0044": 30.25}


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
